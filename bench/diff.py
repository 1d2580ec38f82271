"""bench/diff: time of `lmspec diff` and of `dvc metrics diff`, which has no statistics. Whole
processes, interleaved.

    python bench/diff.py > bench/diff.md      (in a repository that is built and has two commits)

Three repositories: this one; a clone with one more commit, in which three models have the
predictions of other models; and one with a thousand metrics and a hundred thousand predictions.
`dvc metrics diff` reads three metrics for each scores artifact and dataset, `lmspec diff` all.
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

from lmspec.methods.metrics import full
from lmspec.run import provenance
from lmspec.specs.results import directions
from lmspec.specs.scores import ScoresSpec
from lmspec.statistics import predictions

ROOT = Path(__file__).parent.parent
ROUNDS = 9
EXAMPLES, METRICS = 100_000, 1_000
# model -> the model whose predictions it has in the other commit
CHANGED = {"textcnn": "bilstm", "graph": "student", "release": "updated"}
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
            "three models with other predictions": in_turn(changed),
            f"{METRICS:,} metrics, {EXAMPLES:,} predictions": in_turn(large, dvc=False),
        }
    print("# Time of a comparison\n")
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    print(f"{machine}; {ROUNDS} rounds, medians, seconds.\n")
    print("| | metrics tested | `lmspec diff --format json` | `dvc metrics diff` | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
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
    """(metrics with an interval, seconds of lmspec, seconds of DVC), after one round of warm-up."""
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
    """(seconds, standard output) of a command that runs the code of this repository in a folder."""
    begin = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # pip leaves DVC's modules compiled
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command} in {folder}: {done.stderr}")
    return time.perf_counter() - begin, done.stdout


def make_changed(folder: Path) -> None:
    """A clone with one more commit: some scores are those of other models, with their hashes in
    dvc.lock and provenance."""
    git(ROOT, "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    lock = (folder / "dvc.lock").read_text()
    for to, of in CHANGED.items():
        made = folder / f"data/provenance/scores-{to}.json"
        old = text = made.read_text()
        rows = sorted((folder / f"data/metrics/scores-{of}").glob("*.json"))  # DVC's metrics
        names = (".json", "/predictions.csv", "/confusion.csv", *(f"/{row.name}" for row in rows))
        for name in names:
            here, there = (folder / f"data/metrics/scores-{model}{name}" for model in (to, of))
            before, after = here.read_bytes(), there.read_bytes()
            here.write_bytes(after)
            path = here.relative_to(folder).as_posix()
            lock = lock.replace(entry(path, before), entry(path, after))
            text = text.replace(
                *(hashlib.sha256(content).hexdigest() for content in (before, after))
            )
        made.write_text(text)
        path = made.relative_to(folder).as_posix()
        lock = lock.replace(entry(path, old.encode()), entry(path, text.encode()))
    (folder / "dvc.lock").write_text(lock)
    commit(folder)


def entry(path: str, content: bytes) -> str:
    """The entry of an output in dvc.lock."""
    md5 = hashlib.md5(content).hexdigest()
    return f"- path: {path}\n      hash: md5\n      md5: {md5}\n      size: {len(content)}\n"


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
    """Predictions on three tables, and their metrics as the stage computes them.

    same   draws that both commits share; other: draws of this commit
    """
    labels = np.array(["negative", "positive"])
    truth = same.integers(0, 2, EXAMPLES)
    table = same.integers(0, 3, EXAMPLES)
    margin = (2 * truth - 1) * 1.2 + same.normal(0, 1, EXAMPLES) + other.normal(0, 0.2, EXAMPLES)
    positive = 1 / (1 + np.exp(-margin))
    probability = np.round(np.stack([1 - positive, positive], axis=1), 6)
    predicted = probability.argmax(1)
    with (metrics / "scores-m/predictions.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(predictions.COLUMNS)
        columns = (
            labels[truth],
            labels[predicted],
            probability.max(1),
            probability[np.arange(EXAMPLES), truth],
        )
        for i, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            writer.writerow(["s", f"{i:016x}", f"table{table[i]}", "", *row])
    scores = full(truth, probability, tuple(labels.tolist()), 15)
    scores["table"] = {
        f"table{i}": full(truth[table == i], probability[table == i], tuple(labels.tolist()), 15)
        for i in range(3)
    }
    (metrics / "scores-m.json").write_text(json.dumps({"s": scores}))
    (metrics.parent / "provenance").mkdir(exist_ok=True)
    entries: list[provenance.Entry] = [{"name": "data/metrics/scores-m.json", "digest": {}}]
    provenance.annotate(entries, "data/metrics/scores-m.json", directions(ScoresSpec.metrics))
    (metrics.parent / "provenance/scores-m.json").write_text(
        provenance.statement("scores.m", {}, [], entries, {})
    )


def commit(folder: Path) -> None:
    """Commit everything."""
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
    """Run git; raises CalledProcessError if it fails."""
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()
