"""bench/private: what differential privacy costs: accuracy, time, and what an attack still finds.

    python bench/private.py > bench/private.md      (a quarter of an hour on two cores)

Needs the project's splits and encoder (`dvc pull`, or `dvc repro`) and opacus. MiniLM, of which the
top layer and the head are trained. Times are processor seconds of steps on the same texts.
"""

import copy
import importlib
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from lmspec.recipes import model as recipe
from opacus import GradSampleModule

from lmspec import stage
from lmspec.formats import documents, examples
from lmspec.methods import membership, reading, torchrun
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine, Numerics
from lmspec.statistics import exact
from lmspec.training import clipping, loop

ROOT = Path(__file__).parent.parent
SETS = ("reviews", "tweets")
EPSILONS = (None, 8.0)
NUMERICS = Numerics(seed=1, threads=1, precision="fp32", instructions="default")
FEW, FEW_EPOCHS = 400, 60  # an overfitted model
STEPS, BATCH, SIZE = 5, 64, 16
LIMIT = 0.5


def spec(name: str, epsilon: float | None, **training: Any) -> ModelSpec:
    """The top layer of the encoder and its head."""
    guarantee = {"private": {"epsilon": epsilon, "delta": 1e-5}} if epsilon else {}
    architecture = {
        "kind": "transformer",
        "weights": "sources.minilm",
        "max_length": 64,
        "long_texts": "truncate",
        "dropout": 0.0,
        "classifier_dropout": 0.0,
        "frozen_embeddings": True,
        "frozen_layers": 5,
    }
    optimizer = {"kind": "adamw", "weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999}
    optimizer |= {"epsilon": 1e-8, "peak_learning_rate": 1e-3 if epsilon else 1e-4}
    stopping = {"metric": "log_loss", "evaluation_steps": 50, "patience": 100}
    base = {
        "kind": "gradient_descent",
        "epochs": 10 if epsilon else 4,
        "batch_size": 512 if epsilon else 32,
        "optimizer": optimizer,
        "warmup_fraction": 0.1,
        "decay": "linear",
        "max_gradient_norm": LIMIT if epsilon else 1.0,
        "class_weights": "none",
        "early_stopping": stopping,
        "seeds": 1,
    }
    values = {"on": f"splits.{name}", "architecture": architecture}
    return ModelSpec.model_validate(values | {"training": base | guarantee | training})


def needs(name: str, splits: Path) -> stage.Needs:
    """What a stage would have."""
    folders = {f"splits.{name}": splits, "sources.minilm": ROOT / "data/sources/minilm"}
    return stage.Needs(folders, NUMERICS, Machine(device="cpu"), ROOT)


def few(splits: Path, out: Path) -> Path:
    """The same with few train texts, and as many test texts."""
    for file in splits.iterdir():
        if not file.stem.startswith(("train", "test")):
            (out / file.name).symlink_to(file.resolve())
    for split in ("train", "test"):
        table = pl.read_parquet(splits / f"{split}.parquet").sort("id")
        documents.write(table.head(FEW), out / f"{split}.parquet")
    return out


def asked(trained: Any, splits: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """(right, log probability of the label) of each text."""
    part = examples.read(splits, split, trained.model.reader, trained.model.labels)
    forward = torchrun.forward(trained.model.model)
    answers = reading.predicted(forward, part.windows, trained.model.pad_id, 64)
    rows = np.arange(len(part.truth))
    return answers.argmax(1) == part.truth, np.log(answers[rows, part.truth].clip(1e-12))


def accuracies(name: str) -> None:
    """A row for each epsilon."""
    splits = ROOT / "data/splits" / name
    for epsilon in EPSILONS:
        begin = time.process_time()
        trained, fitted = recipe.train(spec(name, epsilon), needs(name, splits), NUMERICS)
        seconds = time.process_time() - begin
        right, _ = asked(trained, splits, "test")
        low, high = exact.clopper_pearson(int(right.sum()), len(right), 0.95)
        spent = trained.model.private or {"epsilon": 0.0, "noise_multiplier": 0.0}
        shown = f"{spent['epsilon']:.2f} | {spent['noise_multiplier']:g}" if epsilon else "∞ | 0"
        print(
            f"| {name} | {len(trained.new.truth):,} | {shown} | {right.mean():.3f}"
            f" [{low:.3f}, {high:.3f}] | {fitted.steps} | {seconds:.0f} |",
            flush=True,
        )


def attacks(name: str) -> None:
    """Membership of few texts, learned by heart or with noise."""
    with tempfile.TemporaryDirectory() as scratch:
        splits = few(ROOT / "data/splits" / name, Path(scratch))
        for epsilon in (None, 8.0):
            whole = {"metric": "log_loss", "evaluation_steps": 10**6, "patience": 1}
            changed = {"epochs": FEW_EPOCHS, "early_stopping": whole}
            changed |= {"batch_size": 128 if epsilon else 16}
            one = spec(name, epsilon, **changed)
            if one.training.private:  # of so few rows delta may not be larger
                loose = one.training.private.model_copy(update={"delta": 1e-4})
                training = one.training.model_copy(update={"private": loose})
                one = one.model_copy(update={"training": training})
            trained, _ = recipe.train(one, needs(name, splits), NUMERICS)
            sides, rights = [], []
            for split in ("train", "test"):
                right, confidence = asked(trained, splits, split)
                rights.append(right.mean())
                sides.append(membership.Side(confidence, ("",) * len(confidence)))
            found = [
                membership.estimated(each, *sides, 1) for each in (membership.auc, membership.found)
            ]
            cells = " | ".join(f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]" for e in found)
            shown = f"{epsilon:g}" if epsilon else "∞"
            print(f"| {name} | {shown} | {rights[0]:.3f} | {rights[1]:.3f} | {cells} |", flush=True)


def times(name: str) -> None:
    """Processor seconds of the same steps; the ways take turns."""
    splits = ROOT / "data/splits" / name
    deep = spec(name, None).model_dump()
    deep["architecture"]["frozen_layers"] = 3
    network = recipe.prepared(ModelSpec.model_validate(deep), needs(name, splits), NUMERICS)
    plain = network.model.model.train()
    mean = partial(loop._loss, network.task, NUMERICS)
    ways = {
        "plain": _plain(plain, mean, network.task.objective),
        "lmspec": _ours(copy.deepcopy(plain), mean, network.task.objective),
        "opacus": _theirs(copy.deepcopy(plain), network),
    }
    spent: dict[str, list[float]] = {way: [] for way in ways}
    draw = np.random.default_rng(0)
    for number in range(STEPS + 1):
        rows = draw.choice(len(network.task.ids), BATCH, replace=False)
        rows = rows[np.argsort([len(network.task.ids[i]) for i in rows], kind="stable")]
        for way, step in ways.items():
            begin = time.process_time()
            for part in np.array_split(rows, BATCH // SIZE):
                step(part)
            if number:  # the first one warms up
                spent[way].append((time.process_time() - begin) / BATCH)
    base = float(np.median(spent["plain"]))
    for way, seconds in spent.items():
        ratio = np.median(np.asarray(seconds) / np.asarray(spent["plain"]))
        print(f"| {way} | {1000 * np.median(seconds):.1f} | {ratio:.2f} |", flush=True)
    print(f"plain: {1000 * base:.1f} ms/text", file=sys.stderr)


def _plain(network: Any, mean: Any, objective: Any) -> Callable[[Any], None]:
    def step(rows: Any) -> None:
        network.zero_grad()
        mean(network, objective, rows).backward()

    return step


def _ours(network: Any, mean: Any, objective: Any) -> Callable[[Any], None]:
    rows_of = clipping.Rows(network)

    def step(rows: Any) -> None:
        rows_of.clipped(lambda: mean(network, objective, rows), len(rows), LIMIT)

    return step


def _theirs(network: Any, given: Any) -> Callable[[Any], None]:
    """opacus, with a gradient of each row."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = GradSampleModule(network, loss_reduction="mean")
    trained = [p for p in wrapped.parameters() if p.requires_grad]

    def step(rows: Any) -> None:
        wrapped.zero_grad()
        batch = reading.collate(given.task.ids, rows, given.task.pad_id)
        tensors = (torch.from_numpy(v) for v in (batch.input_ids, batch.attention_mask))
        ids, mask = tensors
        logits = wrapped(input_ids=ids, attention_mask=mask).logits
        truth = torch.from_numpy(given.new.truth[rows])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.nn.functional.cross_entropy(logits, truth).backward()
        each = [p.grad_sample for p in trained if getattr(p, "grad_sample", None) is not None]
        norms = torch.stack([g.flatten(1).square().sum(1) for g in each]).sum(0).sqrt()
        factors = (LIMIT / (norms + 1e-6)).clamp(max=1.0)
        for gradient in each:
            torch.einsum("n,n...->...", factors, gradient)

    return step


def main() -> None:
    """The tables."""
    importlib.import_module("opacus")
    warnings.filterwarnings("ignore", module="opacus")
    torch.set_num_threads(1)
    print("# What differential privacy costs\n")
    print("MiniLM-L6, of which the top layer and the head are trained, one thread.\n")
    print("## Time of a step\n")
    print(f"Three layers trained, batches of {BATCH} reviews, {SIZE} at once; median of {STEPS}.\n")
    print("| way | processor ms/text | times plain |\n| --- | ---: | ---: |")
    times("reviews")
    print("\n## Accuracy on test texts\n")
    print("delta 1e-5; 95 % intervals (Clopper & Pearson).\n")
    print("| texts | rows | epsilon | noise | accuracy | steps | processor s |")
    print("| --- | ---: | ---: | ---: | --- | ---: | ---: |")
    for name in SETS:
        accuracies(name)
    print("\n## What an attack finds\n")
    print(f"{FEW} train texts, {FEW_EPOCHS} epochs, delta 1e-4. *AUC*: train texts against as many")
    print("test texts by the probability of the label; *found*: share at 1 % false positives.\n")
    print("| texts | epsilon | train accuracy | test accuracy | AUC | found |")
    print("| --- | ---: | ---: | ---: | --- | --- |")
    attacks(SETS[0])


if __name__ == "__main__":
    main()
