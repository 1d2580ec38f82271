"""bench/pretraining: does pre-training on a domain's texts pay? MiniLM on tweets.

    python bench/pretraining.py > bench/pretraining.md   (needs `dvc repro splits-tweets`)

The encoder guesses masked tokens of the train split's texts; then it and the encoder as it was are
fine-tuned with the same seeds on the same labelled tweets, and measured on the test split.
"""

import importlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from validate import processor

from lmspec import stage
from lmspec.architectures import transformer
from lmspec.formats import documents, examples
from lmspec.methods import reading
from lmspec.specs.architecture import Transformer
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.pretrained import PretrainedSpec
from lmspec.specs.training import GradientDescent
from lmspec.training import loop, seeds, supervision
from lmspec.training.task import Task

ROOT = Path(__file__).parent.parent
SPLITS, MINILM = ROOT / "data/splits/tweets", ROOT / "data/sources/minilm"
LABELLED = (100, None)  # tweets with a label; None: all
SEEDS = (1, 2, 3)
EPOCHS = 3  # of pre-training
LENGTH, THREADS = 64, 2


def recipe(epochs: int, rate: float, every: int, metric: str) -> dict[str, Any]:
    """A training."""
    rule = {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    return {
        "kind": "gradient_descent",
        "epochs": epochs,
        "batch_size": 16,
        "optimizer": {"kind": "adamw", "peak_learning_rate": rate, **rule},
        "warmup_fraction": 0.1,
        "decay": "linear",
        "max_gradient_norm": 1.0,
        "class_weights": "none",
        "early_stopping": {"metric": metric, "evaluation_steps": every, "patience": 99},
        "seeds": 1,
    }


def numerics(seed: int) -> Numerics:
    """As those of this repository."""
    return Numerics(seed=seed, threads=THREADS, precision="fp32", instructions="avx2")


def learned(out: Path) -> dict[str, Any]:
    """Write the encoder that has read the tweets; its metrics."""
    sys.path.insert(0, str(ROOT))  # a stage is no part of the package
    pretrained = importlib.import_module("stages.pretrained")
    spec = PretrainedSpec.model_validate(
        {
            "of": "sources.minilm",
            "on": "splits.tweets",
            "max_length": LENGTH,
            "dropout": 0.1,
            "frozen_embeddings": False,
            "frozen_layers": 0,
            "masking": {"share": 0.15, "masked": 0.8, "random": 0.1},
            "training": recipe(EPOCHS, 2e-4, 113, "log_loss"),
        }
    )
    folders = {"sources.minilm": MINILM, "splits.tweets": SPLITS}
    needs = stage.Needs(folders, numerics(1), Machine(device="cpu"))
    return dict(pretrained.build(spec, needs, out).metrics)


def accuracy(weights: Path, rows: int | None, seed: int) -> float:
    """On the test split, of a model that was fine-tuned on so many tweets."""
    spec = Transformer(
        kind="transformer", weights="sources.minilm", max_length=LENGTH, long_texts="truncate",
        dropout=0.0, classifier_dropout=0.1, frozen_embeddings=True, frozen_layers=0,
    )  # fmt: skip
    bits, labels = numerics(seed), tuple(documents.read_labels(SPLITS))
    seeds.seed_weights(bits)
    model, tokenizer, pad_id = transformer.create(spec, weights, [], len(labels))
    reader = reading.Reader(tokenizer, "truncate")
    new, dev, test = (
        examples.read(SPLITS, name, reader, labels) for name in ("train", "dev", "test")
    )
    chosen = np.random.default_rng(seed).permutation(len(new.truth))[:rows]
    epochs = 1 if rows is None else 8
    plan = recipe(epochs, 1e-4, -(-len(chosen) // 16), "log_loss")
    task = Task(
        [new.windows.ids[i] for i in chosen],
        pad_id,
        supervision.supervised(new.truth[chosen]),
        supervision.evaluation(model, dev.windows, dev.truth, pad_id),
    )
    loop.fit(model, task, GradientDescent.model_validate(plan), bits)
    return supervision.evaluation(model, test.windows, test.truth, pad_id)()["accuracy"]


def main() -> None:
    """Print a table."""
    torch.set_num_threads(THREADS)
    folder = Path(tempfile.mkdtemp()) / "domain"
    folder.mkdir()
    begin = time.monotonic()
    metrics = learned(folder)
    before, after = metrics["before"], metrics["dev"]
    seconds = time.monotonic() - begin
    print("# Pre-training on a domain's texts\n")
    print(f"`python bench/pretraining.py`, {processor()}, {THREADS} threads.")
    print(f"MiniLM-L6 guessed tokens of the tweets to train on, {EPOCHS} epochs ({seconds:.0f} s):")
    print(
        f"log loss {before['log_loss']:.2f} before, with a new head, {after['log_loss']:.2f} after;"
    )
    print(f"accuracy {after['accuracy']:.3f}. Then both were fine-tuned on labelled tweets.")
    print(
        f"Mean accuracy on the test split over the seeds {SEEDS}, and of the differences the mean"
    )
    print("and the standard deviation:\n")
    print("| labelled | MiniLM | pre-trained | difference |\n| ---: | ---: | ---: | ---: |")
    for rows in LABELLED:
        plain, domain = (
            np.asarray([accuracy(weights, rows, seed) for seed in SEEDS])
            for weights in (MINILM, folder)
        )
        gap = domain - plain
        cells = [str(rows or "all"), f"{plain.mean():.3f}", f"{domain.mean():.3f}"]
        print(f"| {' | '.join(cells)} | {gap.mean():+.3f} ± {gap.std(ddof=1):.3f} |", flush=True)


if __name__ == "__main__":
    main()
