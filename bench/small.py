"""bench/small: does a model that learned nothing ever ship without a failing gate?

    python bench/small.py > bench/small.md            (some minutes on two cores)
    python bench/small.py cli NUMBER...               (some of the sets by the commands themselves)

200 random data sets of 10 to 2,000 rows and 2 to 10 labels, the most frequent up to 200 times as
frequent as the rarest; of half of them the labels follow from the texts. Each is begun by the code
of `lmspec init`. Its stages then run in one process, without sandbox, provenance and ONNX: they are
the stages' own `build` functions, and `exported` fails where a graph answers otherwise than its
model, so what is scored here is the model. The gates are those that `init` wrote, evaluated by the
code of `lmspec gate`. `cli` runs `lmspec init`, `dvc repro` and `lmspec gate` instead, and compares
the verdicts.
"""

import contextlib
import csv
import datetime
import importlib
import io
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from ruamel.yaml import YAML
from threadpoolctl import threadpool_limits

from lmspec import stage
from lmspec.compare import gates
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.revision import Revision
from lmspec.errors import LmspecError
from lmspec.git.tree import Tree
from lmspec.run.determinism import fix
from lmspec.scaffold import beginning, files, table
from lmspec.specs.base import references
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project
from lmspec.specs.results import directions

SETS = 200
SEED = 14
VOCABULARY = 1500
SIGNS = 6  # words that only texts of one label have
FROM = 500  # rows from which a learnable set should pass
COLUMNS = ("text", "label")
NEARLY_ALL = 0.99


@dataclass(frozen=True)
class Design:
    """A data set. learnable: 90 % of the texts have a word of their label."""

    number: int
    rows: int
    labels: int
    imbalance: float
    learnable: bool


@dataclass(frozen=True)
class Result:
    """What became of it.

    refused   why `init` or a stage refused it; empty if it was built
    constant  share of the test texts with the most frequent answer
    verdicts  gate -> verdict
    passed    did all gates pass?
    """

    design: Design
    refused: str
    constant: float
    verdicts: dict[str, str]
    passed: bool


def designs() -> list[Design]:
    """Drawn once for all."""
    draw = random.Random(SEED)
    return [
        Design(
            number,
            round(10 * 200 ** draw.random()),
            draw.randint(2, 10),
            200 ** draw.random(),
            number % 2 == 0,
        )
        for number in range(SETS)
    ]


def rows(design: Design) -> list[tuple[str, str]]:
    """(text, label): words by Zipf's law, sizes of the labels in geometric steps."""
    draw = random.Random(f"{SEED}:{design.number}")
    words = [_word(draw) for _ in range(VOCABULARY)]
    usual = [1 / (rank + 2) for rank in range(VOCABULARY)]
    sizes = [design.imbalance ** -(i / (design.labels - 1)) for i in range(design.labels)]
    signs = [[_word(draw) for _ in range(SIGNS)] for _ in sizes]
    labels = [*range(design.labels)]
    labels += draw.choices(labels, sizes, k=max(0, design.rows - design.labels))
    table = []
    for label in labels[: design.rows]:
        text = draw.choices(words, usual, k=draw.randint(4, 25))
        if design.learnable and draw.random() < 0.9:
            text.insert(draw.randrange(len(text)), draw.choice(signs[label]))
        table.append((" ".join(text), f"label {label}"))
    return table


def _word(draw: random.Random) -> str:
    syllables = (draw.choice("bdfgklmnprstv") + draw.choice("aeiou") for _ in range(1, 5))
    return "".join(syllables)[: draw.randint(3, 8)]


def write(design: Design, path: Path) -> Path:
    """As a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows(rows(design))
    return path


def result_of(design: Design) -> Result:
    """Begun, built and judged in this process."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with (
        tempfile.TemporaryDirectory() as scratch,
        contextlib.redirect_stderr(io.StringIO()),
        threadpool_limits(1),
    ):
        folder = Path(scratch)
        data = write(design, folder / "small.csv")
        try:
            with beginning.begin(table.read(data, *COLUMNS), "balanced", None) as begun:
                text = dict(files.texts(begun, None))["params.yaml"]
            return _judged(design, folder, text)
        except LmspecError as error:
            return Result(design, f"{error.found}", 0.0, {}, False)


def _judged(design: Design, folder: Path, text: str) -> Result:
    params = YAML(typ="safe").load(text)
    params["scores"]["small"]["of"] = "model.linear"  # instead of its graph
    project = Project.model_validate(params)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    (folder / "data/sources/small").mkdir(parents=True)
    (folder / "small.csv").rename(folder / "data/sources/small/small.csv")
    fix(project.numerics)
    for name in ("corpus.small", "splits.small", "model.linear", "scores.small"):
        report = _built(project, ArtifactName.parse(name), folder)
    metrics = folder / "data/metrics"
    (metrics / "scores-small").mkdir(parents=True)
    (metrics / "scores-small.json").write_text(json.dumps(report.metrics))
    answers = pl.DataFrame(list(report.tables["predictions"]))
    answers.write_csv(metrics / "scores-small/predictions.csv")
    listed = [path for path in folder.rglob("*") if path.is_file()]
    paths = {path.relative_to(folder).as_posix(): "" for path in listed}
    artifact = Artifact(_Revision(Tree("worktree", None, folder, paths)), "scores.small")
    pair = ArtifactPair(artifact, artifact)
    today = datetime.date.today()
    verdicts = [
        gates.evaluated(pair, name, gate, today, {}) for name, gate in project.gates.items()
    ]
    (_, most), *_ = Counter(answers["predicted"]).most_common(1)
    return Result(
        design,
        "",
        most / answers.height,
        {each.gate: each.verdict for each in verdicts},
        all(gate.passed for gate in verdicts),
    )


class _Revision(Revision):
    """Directions of the metrics from the specs, as no provenance says them here."""

    def directions(self, artifact: str) -> dict[str, str]:
        """Of scores."""
        from lmspec.specs.scores import ScoresSpec

        return dict(directions(ScoresSpec.metrics))


def _built(project: Project, name: ArtifactName, folder: Path) -> stage.Report:
    spec = project.find(str(name))
    refs = [ref for _, ref in references(spec)]
    folders = {str(ref): folder / "data" / ref.noun / ref.name for ref in refs}
    numerics = project.numerics if spec.numerics else None
    out = folder / "data" / name.noun / name.name
    out.mkdir(parents=True)
    script = importlib.import_module(f"stages.{name.noun}")
    needs = stage.Needs(folders, numerics, project.machine, root=folder)
    report: stage.Report = script.build(spec, needs, out)
    return report


def by_commands(design: Design) -> Result:
    """The same by `lmspec init`, `dvc repro` and `lmspec gate`."""
    with tempfile.TemporaryDirectory() as scratch:
        data = write(design, Path(scratch, "small.csv"))
        project = Path(scratch, "project")
        columns = ["--text", COLUMNS[0], "--label", COLUMNS[1]]
        begin = _run(["lmspec", "init", str(project), "--data", str(data), *columns], scratch)
        if begin.returncode:
            return Result(design, begin.stderr.splitlines()[0], 0.0, {}, False)
        build = _run(["dvc", "repro", "--quiet"], project)
        if build.returncode:
            return Result(design, build.stderr.strip().splitlines()[-1], 0.0, {}, False)
        gate = _run(["lmspec", "gate", "--format", "json"], project)
        verdicts = {each["gate"]: each["verdict"] for each in json.loads(gate.stdout)}
        answers = pl.read_csv(project / "data/metrics/scores-small/predictions.csv")
        (_, most), *_ = Counter(answers["predicted"]).most_common(1)
        return Result(design, "", most / answers.height, verdicts, gate.returncode == 0)


def _run(command: list[str], folder: Path | str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )


def main() -> None:
    """Print the table, or compare some sets with what the commands say."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    every = designs()
    if sys.argv[1:2] == ["cli"]:
        for number in map(int, sys.argv[2:]):
            here, there = result_of(every[number]), by_commands(every[number])
            same = here.verdicts == there.verdicts and bool(here.refused) == bool(there.refused)
            print(number, "same" if same else f"DIFFERENT: {here} {there}", flush=True)
        return
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.map(result_of, every, chunksize=5)
    print(report(results))


def report(results: list[Result]) -> str:
    """As Markdown."""
    lines = ["# Small data: no model that learned nothing ships without a failing gate\n"]
    lines += [
        f"{SETS} random data sets of 10 to 2,000 rows, 2 to 10 labels, up to 200 rows of the most "
        "frequent label for one of the rarest; *learnable*: 90 % of the texts have a word of their "
        "label. *Constant*: at least 99 % of the test texts get one answer.\n",
        "| sets | number | refused | constant | constant and all gates pass | all gates pass |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    groups = {
        "learnable, 500 rows or more": lambda d: d.learnable and d.rows >= FROM,
        "learnable, fewer rows": lambda d: d.learnable and d.rows < FROM,
        "not learnable": lambda d: not d.learnable,
    }
    for name, belongs in groups.items():
        chosen = [each for each in results if belongs(each.design)]
        constant = [each for each in chosen if not each.refused and each.constant >= NEARLY_ALL]
        cells = [
            len(chosen),
            sum(bool(each.refused) for each in chosen),
            len(constant),
            sum(each.passed for each in constant),
            sum(each.passed for each in chosen),
        ]
        lines.append(f"| {name} | {' | '.join(map(str, cells))} |")
    reasons = Counter(_without_numbers(each.refused) for each in results if each.refused)
    lines += ["", "Refused because:", ""]
    lines += [f"- {count} times: {reason}" for reason, count in reasons.most_common()]
    return "\n".join(lines)


def _without_numbers(text: str) -> str:
    text, _, _ = text.partition(":")  # before the list of labels
    return " ".join("N" if word.strip(",.").isdecimal() else word for word in text.split())


if __name__ == "__main__":
    main()
