"""corpora: what is in a corpus, and what was left out of it: what to look at before a model.

Bounded: columns are read one at a time, and what costs per character looks at a sample.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from lmspec.compare.revision import Revision, at
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.inspection import dialogues, lengths, reading, texts
from lmspec.inspection.dialogues import Dialogues
from lmspec.inspection.lengths import Lengths
from lmspec.inspection.overview import Inspection
from lmspec.inspection.reading import Reads
from lmspec.specs.names import ArtifactName

SAMPLE = 20_000  # texts whose script and tokens are looked at
EACH = 5  # examples of a reason, of a label, of the longest and the shortest texts
SHORTEST, LONGEST, SAMPLES = "shortest", "longest", "texts"
LABELS = 50  # labels with examples
FEW = 20  # documents of a label in a split: fewer say little
PARTS = ("train", "dev", "test")


@dataclass(frozen=True)
class Label:
    """One label. splits: `dataset: split` -> documents, for each split that is cut from it."""

    name: str
    documents: int
    share: float
    tables: Mapping[str, int]
    splits: Mapping[str, int]


@dataclass(frozen=True)
class Left:
    """A row that was left out. like: the text that it repeats or contradicts."""

    table: str
    row: int
    text: str
    detail: str
    like: str | None


@dataclass(frozen=True)
class Reason:
    """Why rows were left out. share: of all rows."""

    reason: str
    rows: int
    share: float
    examples: Sequence[Left]


@dataclass(frozen=True)
class Shown:
    """A text that is shown. why: its label, or what it is an example of."""

    why: str
    table: str
    label: str
    id: str
    characters: int
    text: str


@dataclass(frozen=True)
class Corpus:
    """What is in a corpus.

    state           why it is not what params.yaml asks for; None if it is
    rows            of all tables, those left out included
    contradictions  what its stage counted: texts with several labels, their rows
    small           `dataset: split: label` -> documents, where there are few
    scripts         script -> texts, of those looked at
    looked_at       texts whose script was looked at
    dialogues       what is in their turns; None if they are texts without any
    """

    name: str
    state: str | None
    documents: int
    rows: int
    tables: Mapping[str, int]
    labels: Sequence[Label]
    contradictions: Mapping[str, int]
    small: Mapping[str, int]
    lengths: Sequence[Lengths]
    reads: Sequence[Reads]
    scripts: Mapping[str, int]
    looked_at: int
    reasons: Sequence[Reason]
    samples: Sequence[Shown]
    extremes: Sequence[Shown]
    dialogues: Dialogues | None = None


def inspect(inspected: Inspection, name: ArtifactName) -> Corpus:
    """Raises LmspecError if the corpus is not here."""
    revision = inspected.revision
    folder = revision.tree.root / name.folder
    path = folder / "documents.parquet"
    if not path.is_file():
        built = name.stage in revision.lock
        remedy = f"run `dvc pull {name.stage}`, or " if built else "run "
        raise LmspecError(name.folder, "it is not here", f"{remedy}`dvc repro {name.stage}`")
    frame = documents.read(path).with_columns(characters=pl.col("text").str.len_chars())
    rejected = _rejected(folder / "rejected.parquet")
    rows = frame.height + rejected.height
    every = max(1, -(-frame.height // SAMPLE))
    looked_at = frame.gather_every(every)  # rows are ordered by hash: as good as a random sample
    problem = inspected.problem(str(name))
    splits = [
        other
        for other, spec in revision.artifacts.items()
        if other.startswith("splits.") and spec.get("of") == str(name)
    ]
    labels = list(_labels(revision, frame, documents.read_labels(folder), splits))
    reads = list(reading.models(inspected, splits, looked_at["text"].to_list()))
    turns = dialogues.of(frame, revision, splits)
    if turns:
        frame = frame.with_columns(text=dialogues.shown())
    return Corpus(
        str(name),
        problem.found if problem else None,
        frame.height,
        rows,
        _counts(frame, "table"),
        labels,
        _contradictions(revision, name),
        _small(revision, splits, labels),
        [
            lengths.of("characters", frame["characters"]),
            lengths.of("words", looked_at["text"].str.count_matches(r"\S+")),
            *(_of_turns(frame) if turns else ()),
            *(one.lengths for one in reads),
        ],
        reads,
        texts.scripts(looked_at["text"]),
        looked_at.height,
        list(_reasons(rejected, frame, rows)),
        list(_samples(frame, [label.name for label in labels])),
        list(_extremes(frame)),
        turns,
    )


def _of_turns(frame: pl.DataFrame) -> Iterator[Lengths]:
    for what, role in (("prompts", "user"), ("answers", "assistant")):
        sizes = frame.select(dialogues.last_of(role).str.len_chars())
        yield lengths.of(f"characters of {what}", sizes.to_series())


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    counts = frame[column].value_counts().sort("count", column, descending=[True, False])
    return dict(counts.iter_rows())


def _rejected(path: Path) -> pl.DataFrame:
    """With every column of this version, also if an earlier one wrote it."""
    frame = documents.read(path) if path.is_file() else pl.DataFrame(schema=documents.REJECTED)
    lacking = [
        pl.lit(None, kind).alias(name)
        for name, kind in documents.REJECTED.items()
        if name not in frame.columns
    ]
    return frame.with_columns(lacking)


def _labels(
    revision: Revision, frame: pl.DataFrame, labels: Sequence[str], splits: Sequence[str]
) -> Iterator[Label]:
    by_table = {
        (label, table): count
        for label, table, count in frame.group_by("label", "table").len().iter_rows()
    }
    tables = sorted({table for _, table in by_table})
    total = max(1, frame.height)
    for label in labels:
        counts = {table: by_table.get((label, table), 0) for table in tables}
        in_splits = {
            f"{ArtifactName.parse(one).name}: {part}": int(count)
            for one in splits
            for part in PARTS
            if _documents(revision, one, part)
            for count in [at(revision.metrics(one), (part, "label", label)) or 0]
        }
        number = sum(counts.values())
        yield Label(label, number, number / total, counts, in_splits)


def _documents(revision: Revision, splits: str, part: str) -> int:
    return int(revision.number(splits, (part, "documents")) or 0)


def _small(revision: Revision, splits: Sequence[str], labels: Sequence[Label]) -> dict[str, int]:
    """Labels of which a split has few documents or none."""
    found = {
        f"{split}: {label.name}": count
        for label in labels
        for split, count in label.splits.items()
        if count < FEW
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _contradictions(revision: Revision, name: ArtifactName) -> dict[str, int]:
    counted = at(revision.metrics(str(name)), ("contradictions",))
    values: Mapping[str, Any] = counted if isinstance(counted, Mapping) else {}
    return {what: count for what, count in values.items() if isinstance(count, int) and count}


def _reasons(rejected: pl.DataFrame, frame: pl.DataFrame, rows: int) -> Iterator[Reason]:
    """Each with examples spread over its rows; of a repeated text, what it repeats."""
    for reason, count in _counts(rejected, "reason").items():
        part = rejected.filter(pl.col("reason") == reason)
        chosen = part.gather_every(max(1, part.height // EACH)).head(EACH)
        wanted = pl.Series([one for one in chosen["detail"] if one], dtype=pl.String)
        kept = frame.filter(pl.col("id").is_in(wanted.implode())).select("id", "text", "label")
        like = {
            one: text if label is None else f"{label}: {text}"
            for one, text, label in kept.iter_rows()
        }
        examples = [
            Left(
                row["table"],
                row["row"],
                row["text"] or "",
                _why(row),
                like.get(row["detail"] or ""),
            )
            for row in chosen.iter_rows(named=True)
        ]
        yield Reason(reason, count, count / max(1, rows), examples)


def _why(row: Mapping[str, Any]) -> str:
    """What a stage reported of a row that it left out."""
    if row["other_table"] is None:
        return str(row["detail"] or "")
    if row["label"] is None:
        return f"row {row['other_row']} of {row['other_table']}"
    return (
        f"{row['label']!r}; row {row['other_row']} of {row['other_table']} is "
        f"{row['other_label']!r}"
    )


def _shown(why: str, row: Mapping[str, Any]) -> Shown:
    return Shown(why, row["table"], row["label"] or "", row["id"], row["characters"], row["text"])


def _samples(frame: pl.DataFrame, labels: Sequence[str]) -> Iterator[Shown]:
    """Of each label the first by id, which is a hash: no choice, and the same every time.

    Of texts without labels the first.
    """
    if not labels:
        yield from (_shown(SAMPLES, row) for row in frame.head(EACH).iter_rows(named=True))
    for label in labels[:LABELS]:
        part = frame.lazy().filter(pl.col("label") == label).head(EACH).collect()
        yield from (_shown(label, row) for row in part.iter_rows(named=True))


def _extremes(frame: pl.DataFrame) -> Iterator[Shown]:
    for why, descending in ((LONGEST, True), (SHORTEST, False)):
        # the id decides between texts of one length
        order = frame.select("id", "characters").with_row_index("place")
        first = order.sort("characters", "id", descending=[descending, False]).head(EACH)
        for row in frame[first["place"].to_list()].iter_rows(named=True):
            yield _shown(why, row)
