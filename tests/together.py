"""together: small trainings by several processes, as the ranks of a stage run them.

`python -m tests.together SIZE FOLDER EXPERIMENT...` forks them.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lmspec.architectures import causal, transformer
from lmspec.formats import conversations
from lmspec.methods import reading
from lmspec.methods.resume import Resume
from lmspec.run.ranks import MEETING
from lmspec.specs.architecture import Transformer
from lmspec.specs.updated import Retention
from lmspec.training import checkpoints, imitating, loop, seeds, supervision, writing
from lmspec.training.task import Task
from lmspec.writing.prompting import Writer
from tests import miniature, tinywriter
from tests.test_training import NUMERICS, SGD, TEXTS, TRUTH, alone, make, recipe
from tests.test_training_methods import MUON

# 160 texts in batches of 53: the last has one, so that all but one process are without a row
EACH_STEP = {"metric": "accuracy", "evaluation_steps": 1, "patience": 1000}
PLAIN = recipe(epochs=5, batch_size=53, early_stopping=EACH_STEP)
SHORT: dict[str, Any] = {"has_dropout": False, "epochs": 2}
METHODS: dict[str, dict[str, Any]] = {
    name: {field: getattr(recipe(**{field: value}), field)}
    for name, field, value in (
        ("sgd", "optimizer", SGD | {"momentum": 0.9}),
        ("muon", "optimizer", MUON),
        ("average", "averaging", {"kind": "ema", "decay": 0.9}),
        ("layerwise", "layerwise_decay", 0.5),
        ("accumulation", "micro_batch_size", 10),
    )
}
Found = dict[str, Any]


class Kill(BaseException):
    """Ends a training at that point, as SIGKILL does."""


def bert(folder: Path) -> tuple[Any, list[Any], int]:
    """As `make`."""
    if not (folder / "weights").exists():
        miniature.write_weights(folder / "weights")
    spec = Transformer.model_validate(
        {
            "kind": "transformer",
            "weights": "sources.bert",
            "max_length": 24,
            "long_texts": "truncate",
            "dropout": 0.1,
            "classifier_dropout": 0.1,
            "frozen_embeddings": False,
            "frozen_layers": 0,
        }
    )
    seeds.seed_weights(NUMERICS)
    model, tokenizer, pad = transformer.create(spec, folder / "weights", TEXTS, 2)
    return model, reading.Reader(tokenizer, "truncate").read(TEXTS).ids, pad


def trained(
    folder: Path,
    kind: str = "cnn",
    world: int | None = None,
    resume: Path | None = None,
    kill_at: int | None = None,
    has_dropout: bool = True,
    sharding: str | None = None,
    **changes: object,
) -> Found:
    """Digest of the weights, and the loss of each step."""
    model, ids, pad = bert(folder) if kind == "bert" else make(kind)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout) and not has_dropout:
            module.p = 0.0
    known, passed = supervision.supervised(TRUTH), 0

    def objective(*arguments: Any) -> torch.Tensor:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            raise Kill
        return known(*arguments)

    evaluate = supervision.evaluation(model, alone(ids[:20]), TRUTH[:20], pad)
    numerics = NUMERICS.model_copy(update={"world": world, "sharding": sharding})
    spec = PLAIN.model_copy(update=changes)
    place = Resume(resume, lambda: True) if resume else None
    fitted = loop.fit(model, Task(ids, pad, objective, evaluate), spec, numerics, place)
    held = b"".join(v.detach().numpy().tobytes() for v in model.state_dict().values())
    norm = sum(float(v.double().square().sum()) for v in model.state_dict().values())
    return {
        "weights": hashlib.sha256(held).hexdigest(),
        "norm": norm,
        "losses": [row["train_loss"] for row in fitted.curve],
        "kind": type(model).__name__,
        "evaluated": evaluate(),
    }


def written(
    folder: Path,
    world: int | None = None,
    sharding: str | None = None,
    weighted: bool = True,
    again: bool = False,
    old: int | None = None,
) -> Found:
    """A model that writes, with a head that is tied to its embeddings, in packed lines.

    again  its layers are computed again for the gradients
    old    it is an update, and its examples are old ones from this number on
    """
    if not (folder / "tiny").exists():
        tinywriter.write_weights(folder / "tiny")
        tinywriter.write_splits(folder / "pairs")
    model, tokenizer, pad, _ = causal.create(tinywriter.spec_of(), folder / "tiny")
    writer = Writer(tokenizer, tinywriter.PAIR, tinywriter.MOST, "leave_out")
    rows = conversations.read(folder / "pairs", "train", writer)
    evaluate = writing.evaluation(model, rows.ids[:20], rows.learned[:20], 100, pad)
    objective = writing.imitating()
    if old is not None:
        kept = imitating.kept(model, rows.ids[old:], rows.learned[old:], pad, 8, 2.0)
        rule = Retention(temperature=2.0, weight=3.0, top_logits=8)
        objective = imitating.retaining(kept, old, rule)
    task = Task(
        rows.ids,
        pad,
        objective,
        evaluate,
        collate=writing.collated(rows.learned, 128),
        weight=rows.weight if weighted else None,
    )
    numerics = NUMERICS.model_copy(update={"world": world, "sharding": sharding})
    stopping = {"metric": "log_loss", "evaluation_steps": 1, "patience": 1000}
    spec = tinywriter.training(batch_size=53, micro_batch_size=10, early_stopping=stopping)
    if again:
        model.activation_checkpointing_enable({"use_reentrant": False})
    fitted = loop.fit(model, task, spec, numerics)
    tied = model.lm_head.weight is model.model.embed_tokens.weight
    return {
        "losses": [row["train_loss"] for row in fitted.curve],
        "evaluated": evaluate(),
        "kind": f"{type(model).__name__}, tied: {tied}",
    }


def killed_and_resumed(folder: Path, **how: Any) -> Found:
    """Killed in the middle of two steps, and trained on."""
    checkpoints.EVERY_SECONDS, checkpoints.SHARE = 0.0, 1e9
    for at in (4, 3):
        try:
            trained(folder, resume=folder / "resume", kill_at=at, **how)
        except Kill:
            torch.distributed.barrier()
    return trained(folder, resume=folder / "resume", **how)


def method(name: str, folder: Path, **how: Any) -> Found:
    """A transformer trained by one of the methods."""
    return trained(folder, "bert", **SHORT, **METHODS[name], **how)


EXPERIMENTS: dict[str, Callable[..., Found]] = {
    "plain": lambda folder, **how: trained(folder, has_dropout=False, **how),
    "dropout": trained,
    "again": trained,
    "accumulated": lambda folder, **how: trained(
        folder, has_dropout=False, micro_batch_size=10, **how
    ),
    "resumed": killed_and_resumed,
    "bert": lambda folder, **how: trained(folder, "bert", **SHORT, **how),
    "sharded": lambda folder, **how: trained(folder, "bert", sharding="full", **SHORT, **how),
    "written": written,
    "written unweighted": partial(written, weighted=False),
    "sharded written": partial(written, sharding="full"),
    "updated": partial(written, old=80),
    "sharded updated": partial(written, old=80, sharding="full"),
    "sharded again": partial(written, sharding="full", again=True),
    **{f"sharded {name}": partial(method, name, sharding="full") for name in METHODS},
}


def together(size: int, folder: Path, *experiments: str) -> list[dict[str, Found]]:
    """Results of each process, by experiment."""
    (folder / "meeting").unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.together", str(size), str(folder), *experiments]
    place = {MEETING: str(folder / "meeting"), "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        cwd=miniature.ROOT,
        env=os.environ | place | {"TORCH_CPP_LOG_LEVEL": "ERROR", "WORLD_SIZE": str(size)},
        timeout=500,
        check=False,
    )
    assert done.returncode == 0
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]


def main() -> int:
    """Fork the processes, as a stage's supervisor does, but after the imports: they take longer."""
    size, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    children = []
    for rank in range(size):
        children.append(os.fork())
        if children[-1] == 0:
            os.environ["RANK"] = str(rank)
            found = {name: EXPERIMENTS[name](folder, world=size) for name in sys.argv[3:]}
            (folder / f"{rank}.json").write_text(json.dumps(found))
            return 0
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


if __name__ == "__main__":
    sys.exit(main())
