"""bench/diff: what a comparison of two commits takes, beside DVC's own, which has no statistics: whole processes, in turn.

    python bench/diff.py > bench/diff.md      (in a repository that is built and has two commits)

Three repositories: this one; a clone of it with one more commit, in which three models answer as others do; and one with a
thousand metrics and a table of a hundred thousand predictions.
"""

import csv
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from validate import processor  # beside this file

from lmspec.methods.metrics import BETTER, full
from lmspec.run import provenance

ROOT = Path(__file__).parent.parent
ROUNDS = 9
EXAMPLES, METRICS = 100_000, 1_000
CHANGED = {
    "textcnn": "bilstm",
    "graph": "student",
    "release": "updated",
}  # whose answers are whose in the other commit
OURS = [sys.executable, "-m", "lmspec", "diff", "HEAD~1", "HEAD", "--format", "json"]
DVC = [sys.executable, "-m", "dvc", "metrics", "diff", "HEAD~1", "HEAD"]
LARGE = """
corpus:
  c: {labels: [negative, positive], tables: []}
splits:
  s: {of: corpus.c}
model:
  m: {on: splits.s}
scores:
  m: {of: model.m, on: [splits.s], batch_size: 1, calibration_bins: 15}
"""


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        changed, large = Path(scratch, "changed"), Path(scratch, "large")
        make_changed(changed)
        make_large(large)
        rows = {
            "this repository, HEAD~1": in_turn(ROOT),
            "three models with other answers": in_turn(changed),
            f"{METRICS:,} metrics, {EXAMPLES:,} predictions": in_turn(large, dvc=False),
        }
    print("# What a comparison takes\n")
    print(
        f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}; {ROUNDS} rounds, medians, seconds.\n"
    )
    print(
        "| | metrics tested | `lmspec diff --format json` | `dvc metrics diff` | ratio |\n| --- | ---: | ---: | ---: | ---: |"
    )
    for name, (tested, ours, theirs) in rows.items():
        one = statistics.median(ours)
        other = (
            f"{statistics.median(theirs):.2f} | {one / statistics.median(theirs):.2f}"
            if theirs
            else "- | -"
        )
        print(f"| {name} | {tested} | {one:.2f} | {other} |")
    print("\nAt most 0.6 times; at most 5 s.")


def in_turn(folder: Path, dvc: bool = True) -> tuple[int, list[float], list[float]]:
    """(metrics with an interval, seconds of ours, seconds of DVC's); one round before is not counted."""
    report = json.loads(run(OURS, folder)[1])
    tested = sum(metric["interval"] is not None for metric in report["metrics"])
    ours, theirs = [], []
    for number in range(ROUNDS + 1):
        print(f"  {folder.name} {number}/{ROUNDS}", file=sys.stderr, flush=True)
        for command, seconds in ((OURS, ours), (DVC, theirs)):
            if command is OURS or dvc:
                taken = run(command, folder)[0]
                if number:
                    seconds.append(taken)
    return tested, ours, theirs


def run(command: list[str], folder: Path) -> tuple[float, str]:
    """(seconds, what it printed). The code of this repository, wherever it runs."""
    begin = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # DVC's modules are compiled, as pip leaves them
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command} in {folder}: {done.stderr}")
    return time.perf_counter() - begin, done.stdout


def make_changed(folder: Path) -> None:
    """A clone with one more commit: some scores are those of other models, and dvc.lock has their hashes."""
    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    lock = (folder / "dvc.lock").read_text()
    for to, of in CHANGED.items():
        for name in (".json", "/predictions.csv", "/confusion.csv"):
            here, there = (folder / f"data/metrics/scores-{key}{name}" for key in (to, of))
            before, after = here.read_bytes(), there.read_bytes()
            here.write_bytes(after)
            path = here.relative_to(folder).as_posix()
            lock = lock.replace(entry(path, before), entry(path, after))
    (folder / "dvc.lock").write_text(lock)
    commit(folder)


def entry(path: str, content: bytes) -> str:
    """What dvc.lock has of an output."""
    return f"- path: {path}\n      hash: md5\n      md5: {hashlib.md5(content).hexdigest()}\n      size: {len(content)}\n"


def make_large(folder: Path) -> None:
    """Two commits of one model's scores, and of a file with many other metrics."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "params.yaml").write_text(LARGE)
    for number in range(2):
        rng = np.random.default_rng([number, 7])
        metrics = folder / "data/metrics"
        (metrics / "scores-m").mkdir(parents=True, exist_ok=True)
        rest = {f"m{i}": float(value) for i, value in enumerate(rng.random(METRICS))}
        for name in ("model-m", "corpus-c", "splits-s"):
            (metrics / f"{name}.json").write_text(
                json.dumps(rest if name == "model-m" else {"documents": EXAMPLES})
            )
        write_scores(metrics, np.random.default_rng(1), rng)
        commit(folder)


def write_scores(metrics: Path, same: np.random.Generator, other: np.random.Generator) -> None:
    """Predictions of three tables, and their metrics as the stage computes them. same: draws that both commits share."""

    labels = np.array(["negative", "positive"])
    truth = same.integers(0, 2, EXAMPLES)
    table = same.integers(0, 3, EXAMPLES)
    margin = (2 * truth - 1) * 1.2 + same.normal(0, 1, EXAMPLES) + other.normal(0, 0.2, EXAMPLES)
    positive = 1 / (1 + np.exp(-margin))
    probability = np.round(np.stack([1 - positive, positive], axis=1), 6)
    predicted = probability.argmax(1)
    with (metrics / "scores-m/predictions.csv").open("w", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(
            [
                "dataset",
                "id",
                "table",
                "group",
                "label",
                "predicted",
                "confidence",
                "label_probability",
            ]
        )
        columns = (
            labels[truth],
            labels[predicted],
            probability.max(1),
            probability[np.arange(EXAMPLES), truth],
        )
        for i, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            table.writerow(["s", f"{i:016x}", f"table{table[i]}", "", *row])
    found = full(truth, probability, tuple(labels.tolist()), 15)
    found["table"] = {
        f"table{i}": full(truth[table == i], probability[table == i], tuple(labels.tolist()), 15)
        for i in range(3)
    }
    (metrics / "scores-m.json").write_text(json.dumps({"s": found}))
    (metrics.parent / "records").mkdir(exist_ok=True)
    entries: list[provenance.Entry] = [{"name": "data/metrics/scores-m.json", "digest": {}}]
    provenance.annotate(entries, "data/metrics/scores-m.json", BETTER)
    (metrics.parent / "records/scores-m.json").write_text(
        provenance.statement("scores.m", {}, [], entries, {})
    )


def commit(folder: Path) -> None:
    """All that is there."""
    git(folder, "add", "-A")
    git(
        folder,
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "commit",
        "--quiet",
        "-m",
        "made",
    )


def git(folder: Path, *arguments: str) -> None:
    """Raises CalledProcessError if git does."""
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()
