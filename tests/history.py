"""history: small projects in git, written by hand: what a build would have left, without one."""

import csv
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from lmspec.cli.main import main
from lmspec.language import nouns
from lmspec.methods import metrics
from lmspec.pipeline import compiler
from lmspec.run import provenance
from lmspec.specs.names import ArtifactName
from lmspec.specs.results import HEADLINES, directions
from lmspec.statistics import predictions
from lmspec.writing import answers
from lmspec.writing.answers import Answer
from stages import scores

SPEC = """\
# A project of one small model.
sources:
  raw: {kind: file, path: raw/reviews.csv, sha256: 'SHA'}
corpus:
  reviews:
    tables:
      - {name: movies, of: sources.raw, file: reviews.csv, FIELDS}
      - {name: products, of: sources.raw, file: reviews.csv, FIELDS}
    labels: [bad, good]
    clean: {fix_unicode: true, unescape_html: true, min_chars: 3, max_chars: 200}
    contradictions: keep_first
    near_duplicates: null
    without: []
splits:
  reviews: {of: corpus.reviews, train: 0.6, dev: 0.2, test: 0.2, seed: 1, keep_together: null}
model:
  cnn:
    on: splits.reviews
    architecture: {kind: cnn, embedding_dim: 16, filters: 16, widths: [1, 2], vocabulary: 300, max_length: 24, long_texts: truncate, dropout: 0.1}
    training:
      kind: gradient_descent
      epochs: 3
      batch_size: 16
      optimizer: {kind: adamw, peak_learning_rate: 3.0e-3, weight_decay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1.0e-8}
      warmup_fraction: 0.0
      decay: constant
      max_gradient_norm: 1.0
      class_weights: none
      early_stopping: {metric: macro_f1, evaluation_steps: 6, patience: 3}
      seeds: 1
exported:
  cnn: {of: model.cnn, opset: 18, max_logit_difference: 1.0e-4}
scores:
  cnn: {of: model.cnn, on: [splits.reviews], batch_size: 16, calibration_bins: 5, accepted_overlap: []}
speed:
  cnn: {of: exported.cnn, against: model.cnn, on: splits.reviews, texts: 8, rounds: 12, batch_size: 4}
gates:
  # further gates
numerics: {seed: 3, threads: 1, precision: fp32, instructions: avx2}
machine: {device: cpu}
""".replace("SHA", hashlib.sha256(b"").hexdigest()).replace(
    "FIELDS",
    "format: {kind: csv, quoting: double, columns: null}, missing: [''], text: text, group: null, "
    "label: {kind: column, column: stars, values: text, rename: {'1': bad, '5': good}}",
)
# Of a model that writes, and the answers to the nearest prompts that it must beat.
WRITING = (
    """\
sources:
  raw: {kind: file, path: raw/reviews.csv, sha256: 'SHA'}
  weights: {kind: file, path: raw/reviews.csv, sha256: 'SHA'}
corpus:
  pages:
    tables:
      - {name: linux, of: sources.raw, file: reviews.csv, FIELDS}
      - {name: osx, of: sources.raw, file: reviews.csv, FIELDS}
    labels: []
    clean: {fix_unicode: false, unescape_html: false, min_chars: 3, max_chars: 200}
    contradictions: keep_all
    near_duplicates: null
    without: []
splits:
  pages: {of: corpus.pages, train: 0.6, dev: 0.2, test: 0.2, seed: 1, keep_together: null}
model:
  shell:
    on: splits.pages
    architecture:
      kind: causal
      weights: sources.weights
      max_length: 128
      long_texts: leave_out
      prompt: {kind: pair, template: "{prompt}: ", end: "<|end|>"}
      dropout: 0.0
      frozen_embeddings: false
      frozen_layers: 0
    training:
      kind: gradient_descent
      epochs: 1
      batch_size: 16
      optimizer: {kind: adamw, peak_learning_rate: 3.0e-4, weight_decay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1.0e-8}
      warmup_fraction: 0.0
      decay: constant
      max_gradient_norm: 1.0
      class_weights: none
      early_stopping: {metric: log_loss, evaluation_steps: 6, patience: 3}
      seeds: 1
  nearest: {on: splits.pages, architecture: {kind: nearest, words: [1, 1], swap_first_word: true}, training: {kind: none}}
scores:
  shell: {of: model.shell, on: [splits.pages], batch_size: 8, generation: {GREEDY}, accepted_overlap: []}
  nearest: {of: model.nearest, on: [splits.pages], batch_size: 8, generation: {GREEDY}, accepted_overlap: []}
gates:
  # further gates
numerics: {seed: 3, threads: 1, precision: fp32, instructions: avx2}
machine: {device: cpu}
""".replace("SHA", hashlib.sha256(b"").hexdigest())
    .replace(
        "FIELDS",
        "format: {kind: csv, quoting: double, columns: null}, missing: [''], text: null, label: null, "
        "group: {column: page, pattern: null}, "
        "turns: {kind: pair, prompt: [request], joined_by: ' ', answer: command, system: null, replace: []}",
    )
    .replace(
        "GREEDY",
        "decode: {kind: greedy}, new_tokens: 48, stop: [], repetition_penalty: null, constraint: null, "
        "rows: null",
    )
)
TOOLCHAIN = "python: '3.11'\npackages:\n  numpy: 2.4.6\n  onnx: 1.23.2\n"
CODE = '"""A stage."""\n\nLIMIT = 3\n\n\ndef build(rows):\n    """Keep some."""\n    return rows[:LIMIT]  # the first\n'
GATES = "  # further gates\n"
# What of lmspec dvc.yaml has in such a project, whose stages import nothing: modules that the
# compiler asks for by name. It holds no compiler, so its pipeline is what the tests' lmspec writes.
LMSPEC = (
    "lmspec/formats/checkpoint.py",
    "lmspec/formats/graph.py",
    "lmspec/architectures/cnn.py",
    "lmspec/methods/sources/file.py",
    "lmspec/run/__main__.py",
)
WRITERS = (
    *LMSPEC,
    "stages/writing.py",
    "stages/writing_scores.py",
    "lmspec/architectures/causal.py",
    "lmspec/architectures/nearest.py",
    "lmspec/formats/nearest.py",
    "lmspec/formats/writer.py",
    "lmspec/writing/torchdecoder.py",
)
# noun -> fields that name what an artifact is made from
MADE_FROM = {
    "splits": ("of",),
    "model": ("on",),
    "exported": ("of",),
    "scores": ("of", "on"),
    "speed": ("of", "against", "on"),
}


@dataclass(frozen=True)
class Example:
    """One answer to one example of a test split. confidence: of what was predicted."""

    id: str
    table: str
    label: str
    predicted: str
    confidence: float = 0.9
    group: str = ""

    @property
    def right(self) -> bool:
        """Is it the label?"""
        return self.label == self.predicted


def examples(
    count: int, wrong: Iterable[int] = (), labels: Sequence[str] = ("bad", "good"), start: int = 0
) -> list[Example]:
    """So many, of two tables and some labels in turn; those at the places in `wrong` are answered
    with the next label."""
    missed = set(wrong)
    rng = random.Random(count)
    found = []
    for i in range(count):
        place = (i // 2) % len(labels)
        answer = labels[(place + (i in missed)) % len(labels)]
        sure = round(0.55 + 0.4 * rng.random(), 6)
        found.append(
            Example(f"e{start + i:05}", ("movies", "products")[i % 2], labels[place], answer, sure)
        )
    return found


def flipped(
    rows: Sequence[Example], places: Iterable[int], labels: Sequence[str] = ("bad", "good")
) -> list[Example]:
    """The same, where those at some places are answered with the next label."""
    chosen = set(places)
    after = dict(zip(labels, [*labels[1:], labels[0]], strict=True))
    return [
        replace(row, predicted=after[row.predicted]) if i in chosen else row
        for i, row in enumerate(rows)
    ]


def measured(
    rows: Sequence[Example], labels: Sequence[str] = ("bad", "good"), bins: int = 5
) -> dict[str, Any]:
    """The metrics of a test split, as `stages/scores.py` computes them."""
    number = {label: i for i, label in enumerate(labels)}
    truth = np.array([number[row.label] for row in rows])
    probabilities = [
        [row.confidence if row.predicted == label else _other(row, labels) for label in labels]
        for row in rows
    ]
    probability = np.array(probabilities)
    found = metrics.full(truth, probability, tuple(labels), bins)
    answers = [row.label for row in rows], [row.predicted for row in rows]
    found |= scores.counted(tuple(labels), *answers) if rows else {}
    found["overlap"] = 0
    tables = sorted({row.table for row in rows})
    if len(tables) > 1:
        at = {table: np.flatnonzero([row.table == table for row in rows]) for table in tables}
        found["table"] = {
            s: metrics.full(truth[p], probability[p], tuple(labels), bins) for s, p in at.items()
        }
    return found


def _other(row: Example, labels: Sequence[str]) -> float:
    return (1 - row.confidence) / (len(labels) - 1)


def replies(count: int, wrong: Iterable[int] = (), start: int = 0) -> list[Answer]:
    """So many generated commands, on pages of two tables; those at the places in `wrong` lack the
    first word of the reference, and are less probable."""
    missed, rng, found = set(wrong), random.Random(count), []
    for i in range(count):
        words = [*rng.sample(COMMANDS, rng.randint(4, 7)), f"file{start + i}"]
        table = ("linux", "osx")[i % 2]
        nll = round(len(words) * (1.5 + rng.random() + (i in missed)), 6)
        text = " ".join(words[1:] if i in missed else words)
        found.append(
            Answer(
                f"a{start + i:05}",
                table,
                f"page{i // 4}",
                text,
                " ".join(words),
                nll,
                len(words) + 1,
                len(text.split()) + 1,
                "end",
            )
        )
    return found


def rewritten(
    rows: Sequence[Answer], places: Iterable[int], text: str | None = None
) -> list[Answer]:
    """The same, with the reference as the answer at some places, or another text."""
    chosen = set(places)
    return [
        replace(row, text=row.reference if text is None else text) if i in chosen else row
        for i, row in enumerate(rows)
    ]


def looked_up(rows: Sequence[Answer]) -> list[Answer]:
    """The same of a model without probabilities, which generates no tokens."""
    return [replace(row, nll=None, tokens=None, new_tokens=None, stopped="") for row in rows]


class Project:
    """A project in a git repository. root: the folder of its params.yaml; git: the repository, the
    same if not given; code: files that each stage depends on."""

    def __init__(self, root: Path, git: Path | None = None, code: Sequence[str] = LMSPEC) -> None:
        self.root, self.top, self.code = root, git or root, code
        self.commits = 0

    def git(self, *arguments: str, code: int = 0) -> str:
        """Run git at the top of the repository."""
        quiet = (
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "protocol.file.allow=always",
        )
        day = f"2026-01-{self.commits % 28 + 1:02}T00:00:00Z"
        dates = {
            "GIT_AUTHOR_DATE": day,
            "GIT_COMMITTER_DATE": day,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        run = subprocess.run(
            ["git", *quiet, *arguments],
            cwd=self.top,
            env=os.environ | dates,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == code, (
            f"git {arguments} exited {run.returncode}:\n{run.stdout}{run.stderr}"
        )
        return run.stdout.strip()

    def commit(self, message: str = "a change") -> str:
        """All that is there; its hash."""
        self.commits += 1
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def run(self, *arguments: str) -> Result:
        """An lmspec command in the project, in this process. A traceback is one here too."""
        before = Path.cwd()
        os.chdir(self.root)
        try:
            found = CliRunner().invoke(main, list(arguments))
        finally:
            os.chdir(before)
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found

    def report(self, *arguments: str) -> dict[str, Any]:
        """What `lmspec diff --format json` says."""
        found: dict[str, Any] = json.loads(self.run("diff", *arguments, "--format", "json").stdout)
        return found

    def write(self, path: str, content: str | bytes) -> None:
        """A file of the project."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)

    def remove(self, *paths: str) -> None:
        """Files or folders of the project."""
        for path in paths:
            place = self.root / path
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    def text(self, path: str) -> str:
        """A file of the project."""
        return (self.root / path).read_bytes().decode()

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that occurs once in a file."""
        text = self.text(path)
        assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {path}"
        self.write(path, text.replace(old, new))

    def gate(self, name: str, gate: str) -> None:
        """Add a gate to params.yaml, written as there."""
        self.edit("params.yaml", GATES, f"  {name}: {gate}\n{GATES}")

    @property
    def spec(self) -> dict[str, Any]:
        """params.yaml, nested."""
        values: dict[str, Any] = YAML(typ="safe").load(self.text("params.yaml"))
        return values

    def metrics(self, artifact: str) -> dict[str, Any]:
        """What its stage wrote."""
        found: dict[str, Any] = json.loads(self.text(f"data/metrics/{_stage(artifact)}.json"))
        return found

    def record(self, artifact: str) -> None:
        """Provenance of a build without metrics."""
        text = provenance.statement(artifact, {}, [], [], {})
        self.write(f"data/provenance/{_stage(artifact)}.json", text)

    def measure(
        self,
        artifact: str,
        values: Mapping[str, Any],
        better: Mapping[str, str] | None = None,
        **how: Any,
    ) -> None:
        """Metrics, and the record that says which way each is better. how: name -> content of what
        it was made from."""
        path = f"data/metrics/{_stage(artifact)}.json"
        self.write(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")
        for row, found in values.items() if artifact.startswith("scores.") else ():
            headline = {name: found[name] for name in HEADLINES if name in found}
            self.write(f"data/metrics/{_stage(artifact)}/{row}.json", json.dumps(headline))
        outputs = [provenance.of_path(self.root / path, path)]
        provenance.annotate(
            outputs,
            path,
            directions(nouns.of(artifact.partition(".")[0]).metrics) if better is None else better,
        )
        inputs = [
            {"name": name, "digest": {"dirHash": _md5(content)}} for name, content in how.items()
        ]
        self.write(
            f"data/provenance/{_stage(artifact)}.json",
            provenance.statement(artifact, {}, inputs, outputs, {}),
        )

    def table(
        self,
        artifact: str,
        report: str,
        rows: Sequence[Mapping[str, object]],
        header: Sequence[str] = (),
    ) -> None:
        """A table that git keeps."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, header or list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write(f"data/metrics/{_stage(artifact)}/{report}.csv", text.getvalue())

    def score(
        self,
        artifact: str,
        sides: Mapping[str, Sequence[Example]],
        labels: Sequence[str] = ("bad", "good"),
        bins: int = 5,
    ) -> None:
        """What `stages/scores.py` leaves for those answers: metrics, predictions, confusion,
        record."""
        self.measure(
            artifact, {dataset: measured(rows, labels, bins) for dataset, rows in sides.items()}
        )
        rows = [(dataset, row) for dataset, each in sides.items() for row in each]
        self.table(
            artifact,
            "predictions",
            [_prediction(dataset, row, labels) for dataset, row in rows],
            predictions.COLUMNS,
        )
        count = Counter((dataset, row.label, row.predicted) for dataset, row in rows)
        pairs = [
            (dataset, label, predicted)
            for dataset in sides
            for label in labels
            for predicted in labels
        ]
        self.table(
            artifact,
            "confusion",
            [
                {"dataset": s, "label": one, "predicted": other, "examples": count[s, one, other]}
                for s, one, other in pairs
            ],
            ("dataset", "label", "predicted", "examples"),
        )

    def answer(self, artifact: str, sides: Mapping[str, Sequence[Answer]]) -> None:
        """What `stages/writing_scores.py` leaves for those answers, the texts aside."""
        tables = {dataset: answers.rows(dataset, rows) for dataset, rows in sides.items()}
        self.measure(
            artifact,
            {
                dataset: answers.metrics(rows, tables[dataset]) | {"overlap": 0}
                for dataset, rows in sides.items()
            },
        )
        self.table(artifact, "answers", [row for rows in tables.values() for row in rows])

    def keep_texts(self, artifact: str, sides: Mapping[str, Sequence[Answer]]) -> None:
        """The texts, as they are in the output of the scores."""
        path = self.root / ArtifactName.parse(artifact).folder / answers.FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [
            (dataset, row.id, f"what is {row.id}?", row.reference, row.text)
            for dataset, each in sides.items()
            for row in each
        ]
        pl.DataFrame(rows, schema=list(answers.TEXTS), orient="row").write_parquet(path)

    def corpus(
        self, rows: Sequence[tuple[str, str, str]], artifact: str = "corpus.reviews"
    ) -> None:
        """Rows (id, table, label) of a corpus, and the counts of them."""
        self.table(artifact, "rows", [dict(zip(ROWS, row, strict=True)) for row in rows], ROWS)
        tables: dict[str, Any] = {}
        for table in sorted({table for _, table, _ in rows}):
            labels = Counter(label for _, other, label in rows if other == table)
            tables[table] = {"documents": labels.total(), "label": dict(sorted(labels.items()))}
        self.measure(artifact, {"documents": len(rows), "table": tables})

    def speed(
        self,
        rounds: Sequence[tuple[float, float]],
        artifact: str = "speed.cnn",
        rival: str = "the model",
    ) -> None:
        """Rounds of (milliseconds, those of the rival)."""
        columns = ("p50_ms", "p95_ms", "texts_per_second")
        rows = [
            {
                "round": i,
                **{
                    f"of_{name}": value
                    for name, value in zip(columns, (of, 2 * of, 4000 / of), strict=True)
                },
                **{
                    f"against_{name}": value
                    for name, value in zip(columns, (other, 2 * other, 4000 / other), strict=True)
                },
            }
            for i, (of, other) in enumerate(rounds, 1)
        ]
        middles = [float(np.median([pair[i] for pair in rounds])) for i in (0, 1)]
        of, against = (
            {
                "latency_ms": {"p50": middle, "p95": 2 * middle},
                "texts_per_second": 4000 / middle,
                "weights_bytes": 1000,
                "peak_memory_bytes": 5000,
            }
            for middle in middles
        )
        self.measure(
            artifact, {"of": of, "against": against, "ratio": {}}, **{"data/model/cnn": rival}
        )
        self.table(artifact, "rounds", rows)

    def lock(self, hashes: Mapping[str, str] | None = None) -> None:
        """dvc.lock, as `dvc repro` would leave it now: of what is here, with the hashes that it
        has. hashes: of sources' files, in place of those."""
        spec, toolchain = self.spec, YAML(typ="safe").load(self.text("toolchain.yaml"))
        stages: dict[str, Any] = {}
        known = dict(hashes or {})
        for noun in ("sources", "corpus", *MADE_FROM):
            for name, fields in (spec.get(noun) or {}).items():
                stages[f"{noun}-{name}"] = self._locked(noun, name, fields, spec, toolchain, known)
        self.save_lock(stages)

    @property
    def locked(self) -> dict[str, Any]:
        """Stage -> its entry in dvc.lock."""
        stages: dict[str, Any] = YAML(typ="safe").load(self.text("dvc.lock"))["stages"]
        return stages

    def save_lock(self, stages: Mapping[str, Any]) -> None:
        """Write dvc.lock."""
        yaml, text = YAML(typ="safe"), io.StringIO()
        yaml.default_flow_style = False
        yaml.representer.ignore_aliases = lambda _: True
        yaml.dump({"schema": "2.0", "stages": stages}, text)
        self.write("dvc.lock", text.getvalue())

    def _locked(
        self, noun: str, name: str, fields: Any, spec: Any, toolchain: Any, hashes: dict[str, str]
    ) -> dict[str, Any]:
        code = [f"stages/{noun}.py", "lmspec/shared.py", *self.code]
        files = [fields["path"]] if noun == "sources" else []
        deps = {path: _md5((self.root / path).read_bytes()) for path in code}
        deps |= {p: hashes.get(p) or _md5((self.root / p).read_bytes()) for p in files}
        deps |= {path: hashes[path] for path in self._folders(noun, fields)}
        folder = f"data/{noun}/{name}"
        hashes[folder] = _md5(json.dumps([fields, deps])) + ".dir"
        packages = {f"packages.{name}": version for name, version in toolchain["packages"].items()}
        tables = [
            f"data/metrics/{noun}-{name}/{table.name}.csv" for table in nouns.of(noun).reports
        ]
        for table in tables:  # every build writes all of its tables
            if not (self.root / table).exists():
                self.write(table, "")
        outs = {folder: hashes[folder]}
        outs |= {
            path: _md5((self.root / path).read_bytes()) for path in self._outputs(f"{noun}-{name}")
        }
        return {
            "cmd": compiler.command_of(ArtifactName(noun, name)),
            "deps": [
                {"path": path, "hash": "md5", "md5": md5} for path, md5 in sorted(deps.items())
            ],
            "params": {
                "params.yaml": {f"{noun}.{name}": fields, "numerics": spec["numerics"]},
                "toolchain.yaml": {**packages, "python": toolchain["python"]},
            },
            "outs": [
                {"path": path, "hash": "md5", "md5": md5} for path, md5 in sorted(outs.items())
            ],
        }

    def _folders(self, noun: str, fields: Any) -> list[str]:
        tables = fields.get("tables", ())
        names = [table["of"] for table in tables]
        for field in MADE_FROM.get(noun, ()):
            value = fields.get(field, [])
            names += value if isinstance(value, list) else [value]
        names += [fields["architecture"]["weights"]] if _has_weights(fields) else []
        return [f"data/{name.replace('.', '/', 1)}" for name in dict.fromkeys(names)]

    def _outputs(self, stage: str) -> list[str]:
        places = (
            f"data/metrics/{stage}.json",
            f"data/metrics/{stage}",
            f"data/provenance/{stage}.json",
        )
        found = [self.root / place for place in places]
        files = [
            file
            for place in found
            for file in (sorted(place.rglob("*")) if place.is_dir() else [place])
            if file.is_file()
        ]
        return [file.relative_to(self.root).as_posix() for file in files]


ROWS = ("id", "table", "label")


def _prediction(dataset: str, row: Example, labels: Sequence[str]) -> dict[str, object]:
    of_label = row.confidence if row.right else _other(row, labels)
    return dict(
        zip(
            predictions.COLUMNS,
            (
                dataset,
                row.id,
                row.table,
                row.group,
                row.label,
                row.predicted,
                round(row.confidence, 6),
                round(of_label, 6),
            ),
            strict=True,
        )
    )


def _has_weights(fields: Mapping[str, Any]) -> bool:
    return "weights" in fields.get("architecture", {})


def _stage(artifact: str) -> str:
    return artifact.replace(".", "-", 1)


def _md5(content: bytes | str) -> str:
    return hashlib.md5(
        content.encode() if isinstance(content, str) else content, usedforsecurity=False
    ).hexdigest()


REVIEWS = examples(200, wrong=range(0, 200, 9))  # 177 of 200 are right
TIMES = [(2 + 0.05 * ((7 * i) % 12), 10 + 0.1 * ((5 * i) % 12)) for i in range(12)]
KEPT = [(row.id, row.table, row.label) for row in examples(300, start=1000)]


def begin(project: Project, spec: str) -> None:
    """Write its spec, its code and its source, with nothing built."""
    project.root.mkdir(parents=True, exist_ok=True)
    project.git("init", "-q", "-b", "main")
    project.write("params.yaml", spec)
    project.write("toolchain.yaml", TOOLCHAIN)
    for noun in ("sources", "corpus", *MADE_FROM):
        project.write(f"stages/{noun}.py", CODE)
    project.write("lmspec/shared.py", "def shared():\n    return 1\n")
    for path in project.code:
        project.write(path, "")
    project.write("raw/reviews.csv", "")


def make(root: Path, git: Path | None = None, spec: str = SPEC) -> Project:
    """A project that is built, and committed."""
    project = Project(root, git)
    begin(project, spec)
    project.corpus(KEPT)
    sides = {
        side: {"documents": count, "label": {"bad": count // 2, "good": count // 2}}
        for side, count in SIZES.items()
    }
    project.measure("splits.reviews", sides)
    dev = {"accuracy": 0.88, "macro_f1": 0.87, "log_loss": 0.31}
    project.measure("model.cnn", {"dev": dev, "best_step": 40, "steps": 60, "parameters": 5000})
    project.record("sources.raw")
    project.measure(
        "exported.cnn", {"largest_logit_difference": 1e-6, "nodes": 20, "bytes": 20_000}
    )
    project.score("scores.cnn", {"reviews": REVIEWS})
    project.speed(TIMES)
    project.lock()
    project.commit("built")
    return project


SIZES = {"train": 600, "dev": 200, "test": 200}
COMMANDS = ("git", "ls", "tar", "--all", "-xzf", "sudo", "grep", "|", "find", ".", "-name", "sort")
REPLIES = replies(200, wrong=range(0, 200, 3))  # 133 of 200 are the reference


def answered(root: Path) -> Project:
    """A project whose model writes, that is built, and committed."""
    project = Project(root, code=WRITERS)
    begin(project, WRITING)
    rows = [{"id": row.id, "table": row.table, "label": ""} for row in REPLIES]
    project.table("corpus.pages", "rows", rows, ROWS)
    counts = {table: {"documents": 100} for table in ("linux", "osx")}
    project.measure("corpus.pages", {"documents": 200, "table": counts})
    project.measure("splits.pages", {side: {"documents": n} for side, n in SIZES.items()})
    dev = {"accuracy": 0.62, "log_loss": 1.8}
    project.measure("model.shell", {"dev": dev, "best_step": 40, "steps": 60, "parameters": 5000})
    project.measure("model.nearest", {"parameters": 0})
    project.record("sources.raw")
    project.record("sources.weights")
    project.answer("scores.shell", {"pages": REPLIES})
    near = rewritten(REPLIES, range(0, 200, 2), "git status")
    project.answer("scores.nearest", {"pages": looked_up(near)})
    project.lock()
    project.commit("built")
    return project
