"""augmented: further training texts.   splits, phrases -> train.parquet, made.parquet, ..."""

import importlib
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, phrases
from lmspec.methods import augmenting, cleaning, repairing
from lmspec.specs.augmented import FURTHER, KINDS, AugmentedSpec, Templates

HANDED_ON = ("labels.json", "clean.json", "counts.json", "corpus.txt", "dev.parquet", "dev.ids")
UNCHANGED, REPEATED, HELD_OUT = "unchanged", "repeated", "held_out"
UNSUITABLE, DISAGREED = "unsuitable", "disagreed"  # paraphrases
COLUMNS = list(documents.DOCUMENT)


class Row(NamedTuple):
    """A training text.

    made_from  id of the one that it was made from
    kind       what made it
    beside     id of another text that a part of it is from
    kept       values of further columns that the corpus keeps: of a made text, of its origin
    """

    id: str
    text: str
    label: str
    group: str | None
    table: str
    common: str
    kind: str | None = None
    made_from: str | None = None
    copy: int | None = None
    beside: str | None = None
    kept: tuple[str | None, ...] = ()


def build(spec: AugmentedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train rows as they are, and what is made; none twice, none that is in dev or test."""
    labels = documents.read_labels(needs[spec.of])
    rows = given(spec, needs[spec.of], labels)
    reasons = (UNCHANGED, REPEATED, HELD_OUT, UNSUITABLE, DISAGREED)
    left_out = Counter(dict.fromkeys(reasons, 0))
    known = {(row.common, row.label) for row in rows}
    held_out = {name for split in ("dev", "test") for name in read_ids(needs[spec.of], split)}
    made = []
    for row in candidates(spec, needs, rows, labels):
        if isinstance(row, str):
            left_out[row] += 1
        elif row.common in held_out:
            left_out[HELD_OUT] += 1
        elif (row.common, row.label) in known:
            left_out[REPEATED] += 1
        else:
            known.add((row.common, row.label))
            made.append(row)
    added = Counter(row.kind for row in made)
    listed = ", ".join(f"{kind} {added[kind]:,}" for kind in KINDS if added[kind])
    stage.say(f"{len(rows):,} training texts, and {len(made):,} more: {listed or 'none'}")
    if not made:
        why = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
        found = f"nothing was made of {len(rows):,} texts: {why or 'none was drawn'}"
        remedy = (
            "raise `share`, or take another kind: of unchanged texts it found nothing to change"
        )
        raise LmspecError(f"augmented, of {spec.of}", found, remedy)
    kept = documents.kept_columns(needs[spec.of], "train")
    write(sorted([*rows, *made], key=lambda row: (row.id, row.label)), kept, out)
    for name in HANDED_ON:
        shutil.copyfile(needs[spec.of] / name, out / name)
    counts = Counter(row.label for row in (*rows, *made))
    return stage.Report(
        {
            "train": {
                "documents": len(rows) + len(made),
                "label": {label: counts[label] for label in sorted(labels)},
            },
            "dev": {"documents": len(read_ids(needs[spec.of], "dev"))},
            "added": {kind: added[kind] for kind in KINDS},
            "left_out": dict(left_out),
        }
    )


def given(spec: AugmentedSpec, splits: Path, labels: list[str]) -> list[Row]:
    """The train split. Raises LmspecError of conversations, and of texts without labels."""
    frame = documents.read_split(splits, "train")
    if "turns" in frame.columns or not labels:
        what = "conversations" if "turns" in frame.columns else "texts without labels"
        found = f"{spec.of} has {what}, and more is made of labelled texts alone"
        raise LmspecError("augmented.of", found, "name splits of such")
    rows = frame.select(COLUMNS).rows()
    further = frame.select(documents.kept_columns(splits, "train"))
    kept = further.rows() if further.width else [()] * len(rows)
    return [
        Row(*(*row, common))._replace(kept=own)
        for row, common, own in zip(rows, read_ids(splits, "train"), kept, strict=True)
    ]


def candidates(
    spec: AugmentedSpec, needs: stage.Needs, rows: list[Row], labels: list[str]
) -> Iterator[Row | str]:
    """What is made, kind by kind; the reason where nothing was made of a text."""
    clean = documents.read_clean(needs[spec.of])
    for place, kind in enumerate(spec.add):
        key = [spec.seed, augmenting.AUGMENT, *augmenting.number_of(spec.add, place)]
        file = getattr(kind, "file", None)
        texts = phrases.read(needs.root, file, kind.kind, labels) if file else None
        if isinstance(kind, Templates):
            assert texts is not None  # templates have a file
            for each in augmenting.of_templates(key, texts, kind.rows, labels):
                yield made(each, None, kind.kind, clean)
            continue
        if kind.kind in FURTHER:
            of_rows = importlib.import_module(FURTHER[kind.kind]).of_rows
            for place, one in of_rows(kind, key, rows, needs, clean):
                is_made = isinstance(one, augmenting.Made)
                yield made(one, rows[place], kind.kind, clean) if is_made else one or UNCHANGED
            continue
        for row in rows:
            for one in augmenting.of_text(kind, key, row.id, row.text, row.label, texts):
                yield UNCHANGED if one is None else made(one, row, kind.kind, clean)


def made(one: augmenting.Made, of: Row | None, kind: str, clean: Mapping[str, bool]) -> Row:
    """A text as a row, repaired as the corpus repaired all: so a service will read it."""
    text = repairing.repair(one.text, **clean)
    source = (None, kind, None) if of is None else (of.group, of.table, of.id)
    group, table, made_from = source
    common = cleaning.common_id(text)
    name = cleaning.document_id(text)
    row = Row(name, text, one.label, group, str(table), common, kind, made_from)
    kept = () if of is None else of.kept
    return row._replace(copy=one.copy, beside=one.beside, kept=kept)


def write(rows: list[Row], kept: Sequence[str], out: Path) -> None:
    """The train split; and of each made row, what it was made from and by which kind.

    kept  further columns of the corpus
    """
    frame = pl.DataFrame([row[: len(COLUMNS)] for row in rows], documents.DOCUMENT, orient="row")
    values = [row.kept or (None,) * len(kept) for row in rows]
    frame = frame.with_columns(
        pl.Series(name, [row[i] for row in values], pl.String) for i, name in enumerate(kept)
    )
    documents.write(frame, out / "train.parquet")
    documents.write_ids((row.common for row in rows), out, "train")
    schema: dict[str, Any] = dict.fromkeys(("id", "label", "kind", "made_from"), pl.String)
    schema |= {"copy": pl.Int64}
    if any(row.beside for row in rows):
        schema["beside"] = pl.String
    of = [
        (row.id, row.label, row.kind, row.made_from, row.copy, row.beside)[: len(schema)]
        for row in rows
        if row.kind
    ]
    documents.write(pl.DataFrame(of, schema, orient="row"), out / "made.parquet")


def read_ids(splits: Path, split: str) -> list[str]:
    """Common ids of a split."""
    return documents.read_ids(splits, split)


STAGE = stage.Stage(AugmentedSpec, build)
