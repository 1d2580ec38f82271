"""situations: in which `lmspec diff` may be run: how each comes about, what it says, its exit code."""

import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests import history
from tests.history import KEPT, REVIEWS, TIMES, Project, examples, flipped

Act = Callable[[Project], tuple[str, ...]]
PREDICTIONS = "data/metrics/scores-cnn/predictions.csv"
SCORES = "data/metrics/scores-cnn.json"


@dataclass(frozen=True)
class Situation:
    """act: makes it, and gives the arguments of `lmspec diff`; says: parts of what is printed; runs
    of spaces count as one."""

    case: str
    says: tuple[str, ...]
    code: int
    act: Act


SITUATIONS: list[Situation] = []


def situation(case: str, *says: str, code: int = 0) -> Callable[[Act], Act]:
    """Put a function into the table."""

    def kept(act: Act) -> Act:
        SITUATIONS.append(Situation(case, says, code, act))
        return act

    return kept


def relabelled(project: Project, *labels: str) -> None:
    """Other labels in the spec, of which the first two take the place of `bad` and `good`."""
    text = project.text("params.yaml")
    text = text.replace("labels: [bad, good]", f"labels: {json.dumps(labels, ensure_ascii=False)}")
    rename = json.dumps({"1": labels[0], "5": labels[1]}, ensure_ascii=False)
    project.write("params.yaml", text.replace("{'1': bad, '5': good}", rename))


def rescored(project: Project, places: Iterable[int] = range(0, 90, 9)) -> None:
    """Another build of the scores, with other answers at some places; those at multiples of 9 were
    wrong."""
    project.score("scores.cnn", {"reviews": flipped(REVIEWS, places)})
    project.lock()


# Two that can be compared


@situation("nothing was changed", "metrics: 63 same", "ok")
def _(project: Project) -> tuple[str, ...]:
    return ()


@situation("A and B are the same commit", "metrics: 63 same", "ok")
def _(project: Project) -> tuple[str, ...]:
    return ("HEAD", "HEAD")


@situation(
    "the model is better, and the tree is not committed",
    "scores.cnn.reviews.accuracy 0.8850 0.9350 +0.0500 [",
    "] better",
    "rebuilt scores.cnn",
    "scores.cnn reviews 200 0 10",
)
def _(project: Project) -> tuple[str, ...]:
    rescored(project)
    return ()


@situation(
    "the other way round: A is the working tree, B a commit",
    "worktree -> HEAD",
    "scores.cnn.reviews.accuracy 0.9350 0.8850 -0.0500 [",
    "] worse",
)
def _(project: Project) -> tuple[str, ...]:
    rescored(project)
    return ("worktree", "HEAD")


@situation(
    "two of 200 answers are others",
    "scores.cnn.reviews.accuracy 0.8850 0.8950 +0.0100",
    "inconclusive (MDE",
)
def _(project: Project) -> tuple[str, ...]:
    rescored(project, [0, 9])
    return ()


@situation("HEAD is detached", "scores.cnn.reviews.accuracy 0.8850 0.9350", "better")
def _(project: Project) -> tuple[str, ...]:
    project.git("checkout", "-q", "--detach")
    rescored(project)
    project.commit()
    return ("HEAD~1", "HEAD")


@situation("a merge commit, against its first parent", "HEAD^1 (", "numpy 2.4.6 2.5.0")
def _(project: Project) -> tuple[str, ...]:
    project.git("checkout", "-q", "-b", "feature")
    upgraded(project)
    project.git("checkout", "-q", "main")
    project.write("notes.txt", "x")
    project.commit()
    project.git("merge", "-q", "--no-ff", "-m", "merge", "feature")
    return ("HEAD^1", "HEAD")


@situation(
    "`main...` on a branch: from where it left main, so nothing that main did since",
    "numpy 2.4.6 2.5.0",
    "metrics: 63 same",
)
def _(project: Project) -> tuple[str, ...]:
    branches(project)
    return ("main...",)


@situation(
    "`main...feature` from elsewhere: the same",
    "-> feature",
    "numpy 2.4.6 2.5.0",
    "metrics: 63 same",
)
def _(project: Project) -> tuple[str, ...]:
    branches(project)
    project.git("checkout", "-q", "main")
    return ("main...feature",)


@situation(
    "`main..feature`: the two as they are, with what main did since",
    "main (",
    "-> feature (",
    "1 worse",
)
def _(project: Project) -> tuple[str, ...]:
    branches(project)
    return ("main..feature",)


def upgraded(project: Project) -> None:
    """Another version of a package, and everything rebuilt to the same bits."""
    project.edit("toolchain.yaml", "numpy: 2.4.6", "numpy: 2.5.0")
    project.lock()
    project.commit("upgrade")


def branches(project: Project) -> None:
    """feature has an upgrade, and main better scores since."""
    project.git("checkout", "-q", "-b", "feature")
    upgraded(project)
    project.git("checkout", "-q", "main")
    rescored(project)
    project.commit("better")
    project.git("checkout", "-q", "feature")


@situation("A is a tag with a message", "v1 (", "metrics: 63 same")
def _(project: Project) -> tuple[str, ...]:
    project.git("tag", "-a", "v1", "-m", "one")
    return ("v1",)


@situation(
    "the project is a folder of the repository, and others are beside it",
    "scores.cnn.reviews.accuracy 0.8850 0.9350",
    "better",
)
def _(project: Project) -> tuple[str, ...]:
    within(project, "models/reviews")
    rescored(project)
    return ()


def within(project: Project, folder: str) -> None:
    """Move the project into a folder of a repository of its own."""
    place = project.root / folder
    shutil.rmtree(project.root / ".git")
    rest = [path for path in project.root.iterdir() if path.name != folder.partition("/")[0]]
    place.mkdir(parents=True)
    for path in rest:
        shutil.move(path, place / path.name)
    project.write("params.yaml", "of: another project\n")
    project.write("data/metrics/scores-cnn.json", "{}")
    project.git("init", "-q", "-b", "main")
    project.root = place
    project.commit()


# What was changed


@situation("comments in params.yaml, and its layout", "metrics: 63 same", "ok")
def _(project: Project) -> tuple[str, ...]:
    project.edit(
        "params.yaml", "machine: {device: cpu}", "# where it runs\nmachine:\n  device: cpu # no GPU"
    )
    return ()


@situation(
    "comments and layout of code, kept by `lmspec keep`",
    "stages/scores.py comments or layout only scores-cnn",
    "metrics: 63 same",
)
def _(project: Project) -> tuple[str, ...]:
    project.edit(
        "stages/scores.py",
        "    return rows[:LIMIT]  # the first",
        "    # why\n    return (\n        rows[:LIMIT]\n    )",
    )
    project.lock()
    return ()


@situation(
    "the same, not kept: DVC would rebuild it",
    "not comparable out of date in worktree: stages/scores.py is not what it was built with",
    "note: scores.cnn is out of date in worktree: stages/scores.py is not what it was built with: run `dvc repro`",
)
def _(project: Project) -> tuple[str, ...]:
    project.edit("stages/scores.py", "  # the first", "")
    return ()


@situation(
    "code was changed",
    "lmspec/shared.py shared, more sources-raw, corpus-reviews, splits-reviews",
    "stages/speed.py build, statements outside its definitions speed-cnn",
)
def _(project: Project) -> tuple[str, ...]:
    project.write(
        "lmspec/shared.py", "def shared():\n    return 2\n\n\ndef more():\n    return 3\n"
    )
    project.edit("stages/speed.py", "LIMIT = 3", "LIMIT = 4")
    project.edit("stages/speed.py", "return rows", "return 2 * rows")
    project.write("lmspec/cli/other.py", "NO_STAGE = 1\n")
    project.lock()
    return ()


@situation("a version of the toolchain was changed", "numpy 2.4.6 2.5.0", "metrics: 63 same")
def _(project: Project) -> tuple[str, ...]:
    upgraded(project)
    return ("HEAD~1", "HEAD")


@situation(
    "rows of a corpus came, went, and have another label or table",
    "corpus.reviews movies good 1 0 2",
    "corpus.reviews products bad 0 3 0",
    "corpus.reviews products good 1 0 0",
)
def _(project: Project) -> tuple[str, ...]:
    rows = list(KEPT)
    gone = [row for row in rows if row[1:] == ("products", "bad")][:3]
    other = [row for row in rows if row[1:] == ("movies", "bad")][:2]
    rows = [
        (i, table, "good") if (i, table, label) in other else (i, table, label)
        for i, table, label in rows
    ]
    project.corpus(
        [row for row in rows if row not in gone]
        + [("n1", "movies", "good"), ("n2", "products", "good")]
    )
    project.lock()
    return ()


@situation(
    "an artifact was renamed",
    "renamed scores.cnn scores.small",
    "gates.level.metric scores.cnn.reviews.accuracy scores.small.reviews.accuracy",
    "metrics: 63 same",
    "pass level floor",
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.commit()
    renamed(project)
    project.edit("params.yaml", "metric: scores.cnn.", "metric: scores.small.")
    return ()


def renamed(project: Project) -> None:
    """scores.cnn is scores.small now, and was built under that name."""
    project.edit("params.yaml", "  cnn: {of: model.cnn, on: [", "  small: {of: model.cnn, on: [")
    for path in (SCORES, "data/metrics/scores-cnn", "data/provenance/scores-cnn.json"):
        shutil.move(project.root / path, project.root / path.replace("scores-cnn", "scores-small"))
    project.score("scores.small", {"reviews": REVIEWS})
    project.lock()


@situation(
    "an artifact was renamed and built otherwise",
    "renamed scores.cnn scores.small",
    "scores.small.reviews.accuracy 0.8850 0.9350",
)
def _(project: Project) -> tuple[str, ...]:
    renamed(project)
    project.score("scores.small", {"reviews": flipped(REVIEWS, range(0, 90, 9))})
    project.lock()
    return ()


@situation(
    "an artifact is new",
    "new scores.graph",
    "scores.graph.reviews.accuracy missing 0.8850 new",
    "28 new, 63 same",
)
def _(project: Project) -> tuple[str, ...]:
    project.edit("params.yaml", "speed:\n", GRAPH + "speed:\n")
    project.score("scores.graph", {"reviews": REVIEWS})
    project.lock()
    return ()


GRAPH = "  graph: {of: exported.cnn, on: [splits.reviews], batch_size: 16, calibration_bins: 5, accepted_overlap: []}\n"


@situation(
    "an artifact is new, and was not built",
    "scores.graph.* is missing: data/metrics/scores-graph.json does not exist in worktree",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.edit("params.yaml", "speed:\n", GRAPH + "speed:\n")
    return ()


@situation(
    "an artifact was removed on purpose",
    "removed speed.cnn",
    "speed.cnn.* removed 10 metrics: of.latency_ms.p50, of.latency_ms.p95",
    "ok",
)
def _(project: Project) -> tuple[str, ...]:
    without_speed(project)
    return ()


def without_speed(project: Project) -> None:
    """Neither in the spec nor built."""
    text = project.text("params.yaml")
    start = text.index("speed:\n")
    project.write("params.yaml", text[:start] + text[text.index("gates:") :])
    project.remove(
        "data/metrics/speed-cnn.json",
        "data/metrics/speed-cnn",
        "data/provenance/speed-cnn.json",
        "stages/speed.py",
    )
    project.write("stages/speed.py", history.CODE)
    project.lock()


@situation(
    "an artifact was removed that never was built", "removed scores.graph", "metrics: 63 same", "ok"
)
def _(project: Project) -> tuple[str, ...]:
    project.edit("params.yaml", "speed:\n", GRAPH + "speed:\n")
    project.commit()
    project.edit("params.yaml", GRAPH, "")
    return ()


@situation("a stage writes one more metric", "exported.cnn.layers missing 3 new", "ok")
def _(project: Project) -> tuple[str, ...]:
    project.measure("exported.cnn", {**project.metrics("exported.cnn"), "layers": 3})
    project.lock()
    return ()


@situation("one more test set is scored", "scores.cnn.tweets.accuracy missing 0.9000 new", "ok")
def _(project: Project) -> tuple[str, ...]:
    with_tweets(project)
    return ()


@situation(
    "a test set is scored no more",
    "scores.cnn.tweets.accuracy 0.9000 missing removed the spec of worktree does not ask for it",
    "ok",
)
def _(project: Project) -> tuple[str, ...]:
    with_tweets(project)
    project.commit()
    project.edit("params.yaml", "[splits.reviews, splits.tweets]", "[splits.reviews]")
    rescored(project, [])
    return ()


def with_tweets(project: Project) -> None:
    """Scores on a second test set."""
    project.edit(
        "params.yaml",
        "model:\n",
        "  tweets: {of: corpus.reviews, train: 0, dev: 0, test: 1, seed: 2, keep_together: null}\nmodel:\n",
    )
    project.edit("params.yaml", "on: [splits.reviews]", "on: [splits.reviews, splits.tweets]")
    project.measure("splits.tweets", {"test": {"documents": 40}})
    project.score("scores.cnn", {"reviews": REVIEWS, "tweets": examples(40, range(4), start=7000)})
    project.lock()


# What is missing or no metric


@situation(
    "the metrics of A are missing",
    "scores.cnn.reviews.accuracy and 27 more are missing: data/metrics/scores-cnn.json does not exist in HEAD~1",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    there = project.text(SCORES)
    project.remove(SCORES)
    project.commit()
    project.write(SCORES, there)
    project.commit()
    return ("HEAD~1", "HEAD")


@situation(
    "the metrics of B are missing",
    "scores.cnn.reviews.accuracy and 27 more are missing: data/metrics/scores-cnn.json does not exist in worktree",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.remove(SCORES)
    return ()


@situation(
    "one metric of B is missing",
    "scores.cnn.reviews.log_loss is missing: worktree does not have it",
    "FAIL: 1 reason",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    remeasured(project, log_loss=None)
    return ()


def remeasured(project: Project, **values: Any) -> None:
    """A build that gave other values on the test split; None: none at all."""
    whole = project.metrics("scores.cnn")
    whole["reviews"] = {
        name: value for name, value in {**whole["reviews"], **values}.items() if value is not None
    }
    project.measure("scores.cnn", whole)
    project.lock()


@situation(
    "a metric is NaN",
    "scores.cnn.reviews.log_loss is missing: its value in worktree is NaN, not a number",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    remeasured(project, log_loss=math.nan)
    return ()


@situation(
    "a metric was infinite in A",
    "scores.cnn.reviews.log_loss is missing: its value in HEAD is Infinity, not a number",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    remeasured(project, log_loss=math.inf)
    project.commit()
    rescored(project, [])
    return ()


@situation(
    "a metric is a text",
    'scores.cnn.reviews.accuracy is missing: its value in worktree is "0.9", not a number',
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    remeasured(project, accuracy="0.9")
    return ()


@situation(
    "a metric is null",
    "scores.cnn.reviews.accuracy is missing: its value in worktree is null, not a number",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.write(SCORES, project.text(SCORES).replace('"accuracy": 0.885', '"accuracy": null'))
    project.lock()
    return ()


@situation("a metric has 400 digits", "exported.cnn.nodes is missing", "not a number", code=1)
def _(project: Project) -> tuple[str, ...]:
    project.measure("exported.cnn", {**project.metrics("exported.cnn"), "nodes": 10**400})
    project.lock()
    return ()


@situation(
    "a file of metrics is binary",
    "scores.cnn.reviews.accuracy and 27 more are missing: data/metrics/scores-cnn.json is not JSON in worktree",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.write(SCORES, bytes(range(256)) * 10)
    return ()


@situation(
    "a file of metrics holds no object",
    "data/metrics/scores-cnn.json is not a JSON object in HEAD",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    there = project.text(SCORES)
    project.write(SCORES, "[0.9]")
    project.commit()
    project.write(SCORES, there)
    return ()


@situation(
    "a merge of metrics is not resolved",
    "data/metrics/scores-cnn.json is not JSON in worktree",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.write(SCORES, f"<<<<<<< HEAD\n{project.text(SCORES)}=======\n{{}}\n>>>>>>> feature\n")
    return ()


# What cannot be decided


@situation(
    "the test set is another one",
    "scores.cnn.reviews.accuracy 0.8850 0.8850 0.0000 not comparable another test set: no example in common, of 200 and 200",
    "splits.reviews: test split movies bad 50 50 0",
)
def _(project: Project) -> tuple[str, ...]:
    project.score("scores.cnn", {"reviews": examples(200, range(0, 200, 9), start=5000)})
    project.lock()
    return ()


@situation(
    "half of the test set is another one",
    "scores.cnn.reviews.accuracy",
    "on the common examples; left out: 100 gone, of 200, 100 new",
)
def _(project: Project) -> tuple[str, ...]:
    project.score("scores.cnn", {"reviews": REVIEWS[:100] + examples(100, start=5000)})
    project.lock()
    return ()


@situation(
    "one table is in both test sets, the other is not",
    "another test set: no example of products in common",
)
def _(project: Project) -> tuple[str, ...]:
    rows = [replace(row, id=f"x{row.id}") if row.table == "products" else row for row in REVIEWS]
    project.score("scores.cnn", {"reviews": rows})
    project.lock()
    return ()


@situation(
    "ten examples have another label",
    "on the common examples; left out: 10 relabelled",
    "splits.reviews: test split movies good 0 0 5",
)
def _(project: Project) -> tuple[str, ...]:
    chosen = [i for i, row in enumerate(REVIEWS) if row.label == "bad"][:10]
    project.score(
        "scores.cnn",
        {
            "reviews": [
                replace(r, label="good") if i in chosen else r for i, r in enumerate(REVIEWS)
            ]
        },
    )
    project.lock()
    return ()


@situation(
    "every example has another label",
    "not comparable another test set: all 200 common examples were relabelled",
)
def _(project: Project) -> tuple[str, ...]:
    project.score(
        "scores.cnn",
        {"reviews": [replace(r, label="good" if r.label == "bad" else "bad") for r in REVIEWS]},
    )
    project.lock()
    return ()


@situation(
    "the labels have other names",
    "not comparable other labels: bad, good, and poor, fine",
    "scores.cnn.* new 6 metrics: reviews.f1.poor, reviews.f1.fine, reviews.table.movies.f1.poor",
)
def _(project: Project) -> tuple[str, ...]:
    relabelled(project, "poor", "fine")
    names = {"bad": "poor", "good": "fine"}
    rows = [replace(row, label=names[row.label], predicted=names[row.predicted]) for row in REVIEWS]
    project.score("scores.cnn", {"reviews": rows}, labels=("poor", "fine"))
    project.lock()
    return ()


@situation("the labels are in another order", "metrics: 63 same")
def _(project: Project) -> tuple[str, ...]:
    project.score("scores.cnn", {"reviews": REVIEWS}, labels=("good", "bad"))
    project.lock()
    return ()


@situation(
    "the test set is one example",
    "scores.cnn.reviews.accuracy 0.0000 1.0000 +1.0000 inconclusive",
    "1 example: no effect can be shown",
)
def _(project: Project) -> tuple[str, ...]:
    rescored_as(project, REVIEWS[:1])
    project.commit()
    rescored_as(project, flipped(REVIEWS[:1], [0]))
    return ()


def rescored_as(project: Project, rows: list[history.Example]) -> None:
    """Another test set."""
    project.score("scores.cnn", {"reviews": rows})
    project.lock()


@situation(
    "the calibration error has other bins: another scorer",
    "expected_calibration_error",
    "not comparable another scorer: 5 and 10 bins",
    "scores.cnn.calibration_bins 5 10",
)
def _(project: Project) -> tuple[str, ...]:
    project.edit("params.yaml", "calibration_bins: 5", "calibration_bins: 10")
    project.score("scores.cnn", {"reviews": REVIEWS}, bins=10)
    project.lock()
    return ()


@situation(
    "the metrics are not those of the predictions: another scorer",
    "scores.cnn.reviews.macro_f1",
    "not comparable another scorer: the predictions of worktree give",
    "and its metrics say 0.99",
)
def _(project: Project) -> tuple[str, ...]:
    remeasured(project, macro_f1=0.99)
    return ()


@situation(
    "an older commit keeps no predictions",
    "scores.cnn.reviews.accuracy 0.8850 0.9350 +0.0500",
    "inconclusive (MDE",
    "HEAD keeps no predictions of reviews",
    "untested",
)
def _(project: Project) -> tuple[str, ...]:
    project.remove(
        *(f"data/metrics/scores-cnn/{name}.csv" for name in ("predictions", "confusion"))
    )
    project.lock()
    project.commit()
    rescored(project)
    return ()


@situation(
    "a table of predictions has no row",
    "note: worktree keeps no predictions of scores.cnn: their differences were not tested on pairs of examples",
)
def _(project: Project) -> tuple[str, ...]:
    project.write(PREDICTIONS, project.text(PREDICTIONS).partition("\n")[0] + "\n")
    project.lock()
    return ()


@situation(
    "a table of predictions is an empty file",
    "note: worktree keeps no predictions of scores.cnn: their differences were not tested on pairs of examples",
)
def _(project: Project) -> tuple[str, ...]:
    project.write(PREDICTIONS, "")
    project.lock()
    return ()


@situation(
    "a table of predictions is cut off",
    "not comparable the predictions of worktree have",
    "its metrics 200",
)
def _(project: Project) -> tuple[str, ...]:
    project.write(PREDICTIONS, project.text(PREDICTIONS)[:3000])
    project.lock()
    return ()


@situation(
    "an example is in the test set twice",
    "not comparable the predictions of worktree repeat an example of reviews",
)
def _(project: Project) -> tuple[str, ...]:
    rescored_as(project, [*REVIEWS, REVIEWS[0]])
    return ()


@situation("predictions without a line end at the end", "metrics: 63 same")
def _(project: Project) -> tuple[str, ...]:
    project.write(PREDICTIONS, project.text(PREDICTIONS).rstrip("\n"))
    project.lock()
    return ()


@situation("predictions with the line ends of Windows", "metrics: 63 same")
def _(project: Project) -> tuple[str, ...]:
    project.write(PREDICTIONS, project.text(PREDICTIONS).replace("\n", "\r\n"))
    project.lock()
    return ()


@situation(
    "ids and tables with commas, quotes and line breaks",
    'a "b", e00064 x, "y" bad bad good',
    "scores.cnn reviews 200 20 0",
)
def _(project: Project) -> tuple[str, ...]:
    rows = [replace(row, id=f'a "b",\n{row.id}', table='x, "y"') for row in REVIEWS]
    rescored_as(project, rows)
    project.commit()
    rescored_as(project, flipped(rows, range(1, 180, 9)))
    return ()


@situation(
    "labels with dots and slashes",
    "scores.cnn.reviews.f1.v1.0",
    "scores.cnn reviews class v1.0",
    "pass label floor",
)
def _(project: Project) -> tuple[str, ...]:
    labels, names = ("v1.0", "v1", "a/b"), {"bad": "v1.0", "good": "v1"}
    rows = [replace(row, label=names[row.label], predicted=names[row.predicted]) for row in REVIEWS]
    relabelled(project, *labels)
    project.gate("label", "{kind: floor, metric: scores.cnn.reviews.f1.v1.0, at_least: 0.5}")
    project.score("scores.cnn", {"reviews": rows}, labels=labels)
    project.lock()
    project.commit()
    project.score(
        "scores.cnn", {"reviews": flipped(rows, range(0, 90, 9), labels[:2])}, labels=labels
    )
    project.lock()
    return ()


@situation(
    "names in any script", "scores.cnn.reviews.f1.schlecht 😡", "scores.cnn reviews table 映画"
)
def _(project: Project) -> tuple[str, ...]:
    names = {"bad": "schlecht 😡", "good": "好い"}
    rows = [
        replace(
            r,
            label=names[r.label],
            predicted=names[r.predicted],
            table={"movies": "映画"}.get(r.table, r.table),
        )
        for r in REVIEWS
    ]
    labels = tuple(names.values())
    relabelled(project, *labels)
    project.score("scores.cnn", {"reviews": rows}, labels)
    project.lock()
    project.commit()
    project.score("scores.cnn", {"reviews": flipped(rows, range(0, 90, 9), labels)}, labels)
    project.lock()
    return ()


@situation(
    "no record says which way a metric is better",
    "no provenance says which way the metrics of scores.cnn are better",
    "changed",
)
def _(project: Project) -> tuple[str, ...]:
    project.measure("scores.cnn", project.metrics("scores.cnn"), better={})
    project.lock()
    project.commit()
    rescored(project)
    project.measure("scores.cnn", project.metrics("scores.cnn"), better={})
    project.lock()
    return ()


# What is not what its spec would build


@situation(
    "params.yaml was changed, and nothing built",
    "not comparable out of date in worktree: model.cnn of params.yaml is not what it was built with",
    "not comparable out of date in worktree: model.cnn, which it is made from, is out of date",
    "notes: 1 note: model.cnn is out of date in worktree: model.cnn of params.yaml is not what it "
    "was built with: run `dvc repro`",
    "out of date, fails level floor",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.commit()
    project.edit("params.yaml", "epochs: 3", "epochs: 4")
    return ()


@situation(
    "metrics were edited by hand",
    "0.8850 0.9950 +0.1100 not comparable out of date in worktree: data/metrics/scores-cnn.json is not what the build wrote",
    "is not what the build wrote: `git checkout` it, or run `dvc repro`",
    "out of date, fails level floor",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.99}")
    project.write(SCORES, project.text(SCORES).replace('"accuracy": 0.885', '"accuracy": 0.995'))
    return ()


@situation(
    "predictions were edited by hand",
    "data/metrics/scores-cnn/predictions.csv is not what the build wrote",
    "not comparable",
)
def _(project: Project) -> tuple[str, ...]:
    project.write(PREDICTIONS, project.text(PREDICTIONS).replace(",bad,good,", ",bad,bad,"))
    return ()


@situation(
    "A was not built, B is: a floor passes, a comparison does not",
    "out of date in HEAD: scores.cnn of params.yaml is not what it was built with",
    "pass level floor",
    "not comparable, fails kept non_inferiority",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.gate(
        "kept",
        "{kind: non_inferiority, metric: scores.cnn.reviews.accuracy, against: baseline, margin: 0.5, confidence: 0.95}",
    )
    project.edit("params.yaml", "batch_size: 16, calibration", "batch_size: 32, calibration")
    project.commit()
    rescored(project)
    return ()


@situation(
    "code that a stage was built with is gone",
    "stages/scores.py, which it was built with, is gone",
    "not comparable",
)
def _(project: Project) -> tuple[str, ...]:
    project.remove("stages/scores.py")
    return ()


@situation(
    "an artifact has no run in dvc.lock",
    "speed.cnn is out of date in worktree: dvc.lock has no run of it: run `dvc repro`",
    "not comparable",
)
def _(project: Project) -> tuple[str, ...]:
    project.write("dvc.lock", project.text("dvc.lock").partition("  speed-cnn:")[0])
    return ()


@situation(
    "there is no dvc.lock",
    "note: worktree has no dvc.lock: whether its metrics match its spec and code was not checked",
    "stages/scores.py build",
    "metrics: 63 same",
)
def _(project: Project) -> tuple[str, ...]:
    project.remove("dvc.lock")
    project.commit()
    project.edit("stages/scores.py", "return rows", "return 2 * rows")
    return ()


@situation(
    "there is no dvc.lock, and a gate",
    "out of date, fails level",
    "worktree has no dvc.lock that says what it was built from",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.remove("dvc.lock")
    return ()


@situation(
    "a floor on a metric that its own predictions contradict",
    "not comparable, fails level floor scores.cnn.reviews.macro_f1",
    "another scorer: the predictions of worktree give",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.macro_f1, at_least: 0.95}")
    remeasured(project, macro_f1=0.99)
    return ()


@situation(
    "a floor where the predictions are of fewer examples than the metrics",
    "not comparable, fails level floor",
    "the predictions of worktree have 100 examples of reviews, its metrics 200",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.write(PREDICTIONS, "".join(project.text(PREDICTIONS).splitlines(keepends=True)[:101]))
    project.lock()
    return ()


@situation(
    "a gate on each table, and the spec has one that was not scored",
    "undecided, fails each floor",
    "reviews.table.letters.accuracy: no example of table 'letters'",
    "(the worst of 3)",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate(
        "each", "{kind: floor, metric: scores.cnn.reviews.table.*.accuracy, at_least: 0.8}"
    )
    with_letters(project)
    project.lock()
    return ()


def with_letters(project: Project) -> None:
    """One more table in the spec."""
    table = next(
        line for line in project.text("params.yaml").splitlines() if "name: products" in line
    )
    project.edit("params.yaml", table, f"{table}\n{table.replace('products', 'letters')}")


@situation(
    "a gate on flips in each table, and no example of one is in common",
    "undecided, fails flips negative_flip_rate",
    "reviews.table.products: no example in common",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate(
        "flips",
        "{kind: negative_flip_rate, metric: scores.cnn.reviews.table.*, against: baseline, at_most: 0.05, confidence: 0.95}",
    )
    rows = [replace(row, id=f"x{row.id}") if row.table == "products" else row for row in REVIEWS]
    rescored_as(project, rows)
    return ()


@situation(
    "half of the test set is another: a gate says on what it was held",
    "| undecided, fails | `kept` | `non_inferiority` |",
    "left out: 100 gone, of 200, 100 new; 100 of the baseline's 200 test examples are gone, "
    "and count as wrong",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate(
        "kept",
        "{kind: non_inferiority, metric: scores.cnn.reviews.accuracy, against: baseline, margin: 0.1, confidence: 0.95}",
    )
    rescored_as(
        project, [*REVIEWS[:100], *(replace(row, id=f"x{row.id}") for row in REVIEWS[100:])]
    )
    return ("--format", "md")


@situation(
    "twenty examples are in another table: they are in no table's pairs",
    "scores.cnn.reviews.table.movies.accuracy",
    "on the common examples; left out: 20 moved to another table",
    "reviews.table.movies: 0 negative flips in 80 examples",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate(
        "flips",
        "{kind: negative_flip_rate, metric: scores.cnn.reviews.table.movies, against: baseline, at_most: 0.01, confidence: 0.95}",
    )
    movies = [row.id for row in REVIEWS if row.table == "movies"][:20]
    rescored_as(
        project, [replace(row, table="products") if row.id in movies else row for row in REVIEWS]
    )
    return ()


@situation(
    "a log loss moved where the predictions write 0",
    "scores.cnn.reviews.log_loss",
    "not comparable -0.5 of it is due to probabilities below 5e-07, which the predictions write as 0",
)
def _(project: Project) -> tuple[str, ...]:
    rescored_as(
        project, [replace(row, confidence=1.0) if not row.right else row for row in REVIEWS]
    )
    project.commit()
    remeasured(project, log_loss=project.metrics("scores.cnn")["reviews"]["log_loss"] - 0.5)
    return ()


@situation(
    "what scores were made from has no run in dvc.lock, as after a merge that left it out",
    "model.cnn is out of date in worktree: dvc.lock has no run of it",
    "out of date, fails level floor scores.cnn.reviews.accuracy at least 0.8 model.cnn, which it is made from, is out of date",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.lock()
    project.write(
        "dvc.lock", re.sub(r"^  model-cnn:\n(?:   .*\n)*", "", project.text("dvc.lock"), flags=re.M)
    )
    return ()


@situation(
    "a module outside of stages/ that a stage imports was edited",
    "scores.cnn is out of date in worktree: helpers.py is not what it was built with",
    "helpers.py statements outside its definitions scores-cnn",
)
def _(project: Project) -> tuple[str, ...]:
    project.write("helpers.py", "LIMIT = 1\n")
    project.lock()
    digest = history._md5(b"LIMIT = 1\n")
    text = project.text("dvc.lock")
    place = text.index("    deps:\n", text.index("  scores-cnn:\n")) + len("    deps:\n")
    project.write(
        "dvc.lock",
        f"{text[:place]}    - path: helpers.py\n      hash: md5\n      md5: {digest}\n{text[place:]}",
    )
    project.commit()
    project.write("helpers.py", "LIMIT = 2\n")
    return ()


@situation(
    "a stage of the project reads a module outside the repository",
    "metrics: 63 same",
    "ok",
)
def _(project: Project) -> tuple[str, ...]:
    own = "  own:\n    cmd: none\n    deps:\n    - path: ../helpers.py\n      md5: a\n    - path: /opt/helpers.py\n      md5: b\n"
    project.write("dvc.lock", project.text("dvc.lock") + own)
    project.commit()
    return ()


@situation(
    "dvc.lock does not say what the build wrote, as after a merge by hand",
    "out of date, fails level floor",
    "dvc.lock does not record its build's data/metrics/scores-cnn.json",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    remeasured(project, accuracy=0.99)
    text = project.text("dvc.lock")
    start = text.index("    outs:\n", text.index("  scores-cnn:\n"))
    end = start + re.search(r"    outs:\n(?:    (?:-|  ).*\n)*", text[start:]).end()  # type: ignore[union-attr]
    project.write("dvc.lock", text[:start] + text[end:])
    return ()


@situation(
    "a gate on flips in each table, and one of the spec was never scored",
    "undecided, fails flips negative_flip_rate",
    "reviews.table.letters: no example in common",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate(
        "flips",
        "{kind: negative_flip_rate, metric: scores.cnn.reviews.table.*, against: baseline, at_most: 0.05, confidence: 0.95}",
    )
    with_letters(project)
    rescored(project)
    return ()


@situation(
    "a gate on all reasons to reject a row",
    "pass few ceiling corpus.reviews.rejected.* at most 9 rejected.too_short is 4",
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("few", "{kind: ceiling, metric: corpus.reviews.rejected.*, at_most: 9}")
    project.measure(
        "corpus.reviews", {**project.metrics("corpus.reviews"), "rejected": {"too_short": 4}}
    )
    project.lock()
    return ()


@situation(
    "a metric was lost, and its gate has a waiver",
    "missing, fails level floor",
    "reviews.macro_f1 is expected but missing: run `dvc repro`",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    signed = "{reason: a reason of ten letters, signed_off_by: B. Person, until: '2999-12-31'}"
    project.gate(
        "level",
        f"{{kind: floor, metric: scores.cnn.reviews.macro_f1, at_least: 0.1, waiver: {signed}}}",
    )
    remeasured(project, macro_f1=None)
    return ()


@situation(
    "a merge of dvc.lock is not resolved",
    "dvc.lock:",
    "it is not a valid lock file: could not find expected ':'",
    "resolve the merge",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    lock = project.text("dvc.lock")
    project.write(
        "dvc.lock",
        lock.replace("  speed-cnn:\n", "<<<<<<< HEAD\n  speed-cnn:\n")
        + "=======\n>>>>>>> feature\n",
    )
    return ()


@situation("dvc.lock is invalid", "dvc.lock: it is not a valid lock file", code=2)
def _(project: Project) -> tuple[str, ...]:
    project.write("dvc.lock", "stages: {scores-cnn: [1]}\n")
    return ()


# Gates


@situation(
    "a gate is on a metric that is not there",
    "missing, fails level floor scores.cnn.tweets.accuracy",
    "FAIL: 1 reason",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.tweets.accuracy, at_least: 0.8}")
    return ()


@situation(
    "a gate is on an artifact that is in no spec",
    "missing, fails level floor",
    "there is no scores.old in the spec of worktree",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.old.reviews.accuracy, at_least: 0.1}")
    project.write("data/metrics/scores-old.json", '{"reviews": {"accuracy": 0.9}}')
    return ()


@situation(
    "a gate fails, and is signed off",
    "waived, passes level floor",
    "signed off by A. Person until 2999-01-31",
    "ok",
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", WAIVED.replace("DAY", "2999-01-31"))
    return ()


WAIVED = (
    "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.95, "
    "waiver: {reason: the data of June, signed_off_by: A. Person, until: 'DAY'}}"
)


@situation("the waiver has ended", "fail level floor", "its waiver expired on 2020-01-31", code=1)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", WAIVED.replace("DAY", "2020-01-31"))
    return ()


@situation("too few examples for a gate", "undecided, fails kept non_inferiority", "about", code=1)
def _(project: Project) -> tuple[str, ...]:
    project.gate(
        "kept",
        "{kind: non_inferiority, metric: scores.cnn.reviews.accuracy, against: baseline, margin: 0.02, confidence: 0.95}",
    )
    rescored(project, [0, 9, 1, 2])
    return ()


@situation(
    "a gate is invalid",
    "params.yaml: gates.level",
    "`lmspec validate` shows it at its place",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy}")
    return ()


# Time and size


@situation(
    "it is twice as fast, in turns with the same model",
    "speed.cnn.of.latency_ms.p50",
    "x0.50",
    "better lower is better relative to model.cnn, measured in turn with it",
)
def _(project: Project) -> tuple[str, ...]:
    project.speed([(of / 2, other) for of, other in TIMES])
    project.lock()
    return ()


@situation(
    "the machine was busier: both take longer",
    "speed.cnn.* inconclusive measured again: no difference beyond noise (6 metrics)",
)
def _(project: Project) -> tuple[str, ...]:
    project.speed([(1.7 * of, 1.7 * other) for of, other in TIMES[1:] + TIMES[:1]])
    project.lock()
    return ()


@situation(
    "the model that it is timed against is another",
    "untested lower is better in two runs, without a common reference for the speed",
)
def _(project: Project) -> tuple[str, ...]:
    project.speed([(of / 2, other) for of, other in TIMES], rival="another")
    project.lock()
    return ()


@situation(
    "a latency was typed, not measured",
    "metrics: 10 not comparable, 53 same",
    "out of date in worktree",
)
def _(project: Project) -> tuple[str, ...]:
    values = project.metrics("speed.cnn")
    values["of"]["latency_ms"]["p50"] /= 2
    project.measure("speed.cnn", values, **{"data/model/cnn": "the model"})
    return ()


@situation(
    "no record says what it was timed beside",
    "untested lower is better in two runs, without a common reference for the speed",
)
def _(project: Project) -> tuple[str, ...]:
    for times in ([(of / 2, other) for of, other in TIMES], TIMES):
        project.speed(times)
        project.measure("speed.cnn", project.metrics("speed.cnn"))
        project.lock()
        project.commit()
    return ("HEAD~1", "HEAD")


@situation(
    "a model was trained on other splits: its dev accuracy is of another dev set",
    "model.cnn.dev.accuracy 0.8000 0.9500 +0.1500 not comparable another dev set",
)
def _(project: Project) -> tuple[str, ...]:
    for accuracy, seed in ((0.8, 1), (0.95, 2)):
        project.edit("params.yaml", "test: 0.2, seed: 1", f"test: 0.2, seed: {seed}")
        project.measure("splits.reviews", {"dev": {"documents": 100}})
        project.measure("model.cnn", {"dev": {"accuracy": accuracy}})
        project.lock()
        project.commit()
    return ("HEAD~1", "HEAD")


@situation("1,000 metrics", "1000 changed")
def _(project: Project) -> tuple[str, ...]:
    for i in range(2):
        project.measure(
            "exported.cnn",
            {**project.metrics("exported.cnn"), "part": {f"m{j:04}": i + j for j in range(1000)}},
        )
        project.lock()
        project.commit()
    return ("HEAD~1", "HEAD")


@situation(
    "a file of metrics is larger than 256 MiB",
    "data/metrics/exported-cnn.json: it has",
    "and a metric may have",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    large(project)
    return ()


@situation(
    "the same in a commit",
    "HEAD:data/metrics/exported-cnn.json: it has",
    "and a metric may have",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    large(project)
    project.commit()
    return ("HEAD~1", "HEAD")


def large(project: Project) -> None:
    """Larger than the limit that the test sets."""
    project.measure("exported.cnn", {"bytes": 1, "text": "x" * (SMALL_LIMIT + 1)})
    project.lock()


SMALL_LIMIT = 100_000


# Repositories


@situation(
    "there is no such revision",
    "no-such: there is no such commit",
    "name a branch, a tag or a commit",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    return ("no-such",)


@situation(
    "a clone is shallow, and lacks A",
    "HEAD~1: there is no such commit",
    "this clone is shallow: `git fetch --unshallow`",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    shallow(project)
    return ("HEAD~1", "HEAD")


def shallow(project: Project) -> None:
    """Put a clone of depth 1 in its place."""
    project.commit()
    project.git("clone", "-q", "--depth", "1", f"file://{project.root}", "shallow")
    project.root = project.top = project.root / "shallow"


@situation("a clone is shallow, and A is there", "metrics: 63 same", "ok")
def _(project: Project) -> tuple[str, ...]:
    shallow(project)
    return ()


@situation(
    "two branches have no commit in common",
    "main...other: they have no commit in common",
    "name a branch that it came from",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    project.git("checkout", "-q", "--orphan", "other")
    project.commit()
    return ("main...other",)


@situation(
    "the repository has no commit",
    "HEAD: the repository has no commit yet",
    "commit what you have built",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    project.remove(".git")
    project.git("init", "-q", "-b", "main")
    return ()


@situation("the folder is in no repository", "it is in no git repository", "`git init`", code=2)
def _(project: Project) -> tuple[str, ...]:
    project.remove(".git")
    return ()


@situation(
    "the repository belongs to another user, as in a container",
    "git refuses a repository that belongs to another user",
    "safe.directory",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    os.environ["GIT_TEST_ASSUME_DIFFERENT_OWNER"] = "1"
    return ()


@situation(
    "A has no params.yaml: the project began later",
    "HEAD~1:params.yaml: there is no such file",
    "name a commit that has one",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    there = project.text("params.yaml")
    project.remove("params.yaml")
    project.commit()
    project.write("params.yaml", there)
    project.commit()
    return ("HEAD~1",)


@situation(
    "the folder has no params.yaml",
    "params.yaml: there is no such file",
    "run lmspec in the folder that holds params.yaml",
    code=2,
)
def _(project: Project) -> tuple[str, ...]:
    project.remove("params.yaml")
    return ()


@situation("params.yaml does not parse in A", "HEAD:params.yaml:1: it does not parse", code=2)
def _(project: Project) -> tuple[str, ...]:
    there = project.text("params.yaml")
    project.write("params.yaml", "sources: [1\n")
    project.commit()
    project.write("params.yaml", there)
    return ()


@situation(
    "the metrics are in a submodule",
    "note: data/metrics of HEAD is a submodule: its content is in another repository, and was not looked at",
    "does not exist in HEAD",
    code=1,
)
def _(project: Project) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as other:
        shutil.copytree(project.root / "data/metrics", Path(other) / "metrics")
        inner = Project(Path(other) / "metrics")
        inner.git("init", "-q", "-b", "main")
        inner.commit()
        project.remove("data/metrics")
        project.commit()
        project.git("submodule", "-q", "add", str(inner.root), "data/metrics")
        project.commit()
    return ()


@situation("the project is a submodule", "scores.cnn.reviews.accuracy 0.8850 0.9350", "better")
def _(project: Project) -> tuple[str, ...]:
    inner = project.root.rename(project.root.with_name("inner"))
    outer = project.root
    outer.mkdir()
    project.git("init", "-q", "-b", "main")
    project.git("submodule", "-q", "add", str(inner), "model")
    project.root = project.top = outer / "model"
    rescored(project)
    return ()
