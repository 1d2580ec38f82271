"""corpus: cleaned rows, with labels or turns.   sources -> documents.parquet, *.ids, ..."""

import importlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import annotations, documents, rawtable, rowids
from lmspec.formats.annotations import Corrected
from lmspec.methods import (
    annotating,
    cleaning,
    conversing,
    labelling,
    redacting,
    repeats,
    swallowed,
    workers,
)
from lmspec.methods.annotating import Annotation
from lmspec.methods.labelling import Whole
from lmspec.methods.screening import Document, Rejected, Rows
from lmspec.specs.corpus import FUNCTIONS, LABELLED_BY, RATERS, CorpusSpec, Table

PROBABILITIES = "probabilities.parquet"  # of labels that follow from ratings or votes
ELSEWHERE = "in another corpus"
DELETED = "deleted"
KEEP_ALL = "keep_all"  # of contradictions: another answer makes another row
OF_TURNS = {  # what the reasons to leave out a row are called where turns are compared
    repeats.CONTRADICTORY: "contradictory answer",
    repeats.NEAR_OTHER_LABEL: "near-duplicate with another answer",
}
BATCH, ROWS_PER_LINE = 500, 50_000  # rows


def build(spec: CorpusSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Clean and label every row, then drop duplicates; each row ends in one of the two tables."""
    elsewhere = ids_elsewhere(spec, needs)
    annotated = annotations_of(spec, needs)
    deleted = rowids.read(needs.root / spec.deleted, spec.deleted) if spec.deleted else frozenset()
    annotated = kept_of(annotated, deleted, spec)
    whole = whole_tables(spec, needs)
    screened = list(read(spec, needs, annotated, whole))
    say_deleted(spec, deleted, screened)
    rows = [without(row, elsewhere, deleted) for row in screened]
    require_rows(annotated, rows)
    cleaned = [row for row in rows if isinstance(row, Document)]
    turns = spec.tables[0].turns is not None  # so have the others
    apart = spec.contradictions == KEEP_ALL
    found = repeats.find(
        [same(row, spec, apart) for row in cleaned],
        [row.text for row in cleaned],
        [None if apart else row.answer or row.label for row in cleaned],
        spec.contradictions,
        spec.near_duplicates,
        stage.say,
    )
    rejected = [row for row in rows if isinstance(row, Rejected)]
    rejected += [
        repeated(
            cleaned[i],
            cleaned[of.other],
            OF_TURNS.get(of.reason, of.reason) if turns else of.reason,
        )
        for i, of in found.of.items()
    ]
    reasons = dict(sorted(Counter(row.reason for row in rejected).items()))
    say(spec, rejected, kept=len(cleaned) - len(found.of))
    contradictions = [[cleaned[i] for i in rows] for rows in found.contradictions]
    say_contradictions(contradictions, spec.contradictions)
    kept = sorted(document for i, document in enumerate(cleaned) if i not in found.of)
    frame = framed(kept, turns, spec.tables)
    write(spec, kept, frame, rejected, out)
    counts = {
        "documents": frame.height,
        "rejected": reasons,
        "contradictions": {
            "texts": len(contradictions),
            "rows": sum(map(len, contradictions)),
            "near_duplicates": sum(
                of.reason == repeats.NEAR_OTHER_LABEL for of in found.of.values()
            ),
        },
    }
    documents.write_counts(counts, out)
    personal = personal_data(kept)
    say_personal(personal["personal_data"], personal["redacted"])
    report: dict[str, object] = counts | personal | {"table": by_table(frame)}
    tables: dict[str, list[dict[str, object]]] = {
        "rows": frame.select("id", "table", "label").rows(named=True)
    }
    if whole:
        own = [row for row in kept if row.id not in annotated]  # others' labels are annotations
        report |= write_whole(spec, whole, own, out)
        of_whole = tables_of(spec, whole)
        tables |= {one.name: of_whole[one.name] for one in spec.written() if one.name in of_whole}
    if spec.corrections is None:
        return stage.Report(report, tables)
    corrected = {row.id: row for row in kept if row.id in annotated}
    report["corrections"] = write_corrected(corrected, annotated, out)
    tables["corrected"] = table_of(corrected, annotated)
    return stage.Report(report, tables)


def whole_tables(spec: CorpusSpec, needs: stage.Needs) -> dict[str, Whole]:
    """Table -> its labels, of those whose labels follow from all of their rows."""
    return {
        table.name: importlib.import_module(LABELLED_BY[table.label.kind]).labels_of(
            table, spec, needs
        )
        for table in spec.tables
        if table.label is not None and table.label.kind in LABELLED_BY
    }


def write_whole(
    spec: CorpusSpec, whole: Mapping[str, Whole], kept: Sequence[Document], out: Path
) -> dict[str, dict[str, object]]:
    """Write how probable such labels are, of the rows that are kept; returns the metrics."""
    beside = sorted({name for one in whole.values() for name in one.beside})
    rows: list[tuple[object, ...]] = []
    for row in kept:
        if row.table in whole:
            values = whole[row.table].beside
            own = (values[name][row.row - 1] if name in values else None for name in beside)
            rows.append((row.id, row.table, row.label, *own))
    schema: dict[str, Any] = dict.fromkeys(("id", "table", "label"), pl.String)
    schema |= dict.fromkeys(beside, pl.Float64)
    documents.write(pl.DataFrame(rows, schema, orient="row"), out / PROBABILITIES)
    metrics: dict[str, dict[str, object]] = {}
    for table in spec.tables:
        if table.name in whole and table.label is not None:
            metrics.setdefault(table.label.kind, {})[table.name] = whole[table.name].metrics
    return metrics


def tables_of(spec: CorpusSpec, whole: Mapping[str, Whole]) -> dict[str, list[dict[str, object]]]:
    """The tables in git of raters and of labelling functions."""
    kinds = {RATERS.name: "ratings", FUNCTIONS.name: "votes"}
    return {
        name: [
            {**row}
            for table in spec.tables
            if table.label is not None and table.label.kind == kind
            for row in whole[table.name].table
        ]
        for name, kind in kinds.items()
    }


def table_of(
    corrected: Mapping[str, Document], annotated: Mapping[str, Annotation]
) -> list[dict[str, object]]:
    """Each row that has an annotation; one that is left out afterwards has no table."""
    rows: list[dict[str, object]] = []
    for name, one in sorted(annotated.items()):
        row = corrected.get(name)
        table, was = (row.table, row.was) if row else (None, None)
        values: dict[str, object] = {"id": name, "table": table, "was": was, "label": one.label}
        rows.append(values | {"annotator": one.annotator, "time": one.time, "list": one.list})
    return rows


def annotations_of(spec: CorpusSpec, needs: stage.Needs) -> dict[str, Annotation]:
    """Id -> the annotation that gives a row its label. Raises LmspecError."""
    if spec.corrections is None:
        return {}
    read = annotations.read_all(needs.root, spec.corrections)
    settled = annotating.settled(read, spec.labels)
    if not settled:
        found = "there is no label in them"
        remedy = "give some with `lmspec label`, or remove `corrections`"
        raise LmspecError(" and ".join(spec.corrections), found, remedy)
    return settled


def kept_of(
    annotated: Mapping[str, Annotation], deleted: Collection[str], spec: CorpusSpec
) -> dict[str, Annotation]:
    """Those of rows that are not deleted. Raises LmspecError if that is none of them."""
    kept = {name: one for name, one in annotated.items() if name not in deleted}
    if annotated and not kept:
        found = "all rows that have a label in it are deleted"
        raise LmspecError(" and ".join(spec.corrections or ()), found, "remove `corrections`")
    return kept


def require_rows(annotated: Mapping[str, Annotation], rows: Sequence[Document | Rejected]) -> None:
    """Raise LmspecError if an annotation is of no row."""
    if not annotated:
        return
    rejected = [row for row in rows if isinstance(row, Rejected)]
    present = {row.id for row in rows if isinstance(row, Document)}
    reasons = {cleaning.document_id(row.text): row.reason for row in rejected}
    elsewhere = {name for name, reason in reasons.items() if reason == ELSEWHERE}
    annotating.require_present(annotated, present | elsewhere, reasons)


def write_corrected(
    corrected: Mapping[str, Document], annotated: Mapping[str, Annotation], out: Path
) -> dict[str, int]:
    """Write which rows have labels of annotations; returns how many, by what that did."""
    rows = {
        name: Corrected(row.was, annotated[name].label, annotated[name].place)
        for name, row in corrected.items()
    }
    annotations.write_corrected(rows, out)
    counts = {
        "changed": sum(row.was not in (None, row.label) for row in rows.values()),
        "confirmed": sum(row.was == row.label for row in rows.values()),
        "added": sum(row.was is None for row in rows.values()),
        "left_out": len(annotated) - len(rows),
    }
    done = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items())
    stage.say(f"labels of annotations: {done}")
    return counts


def same(row: Document, spec: CorpusSpec, apart: bool) -> str:
    """Equal for rows that count as the same, as they are in the corpus: redacted, if they are.

    apart  does another answer make another row?
    """
    if not spec.redact and not spec.clean.look_alikes:
        return row.common if row.turns and not apart else row.id
    if not row.turns:
        return cleaning.document_id(row.text)
    return conversing.row_id(row.turns, row.choices) if apart else conversing.prompt_id(row.turns)


def write(
    spec: CorpusSpec,
    kept: Sequence[Document],
    frame: pl.DataFrame,
    rejected: Sequence[Rejected],
    out: Path,
) -> None:
    """The rows that are kept, those that are not, and what each row is recognised by."""
    has_turns = "turns" in frame.columns
    documents.write(frame, out / "documents.parquet")
    documents.write_ids((document.common for document in kept), out, "documents")
    if has_turns:
        documents.write_answers((document.answer for document in kept), out, "documents")
    documents.write(
        pl.DataFrame(
            sorted(rejected, key=lambda row: row[:2]), schema=documents.REJECTED, orient="row"
        ),
        out / "rejected.parquet",
    )
    documents.write_labels(spec.labels, out)
    documents.write_clean(cleaning.rule(spec.clean, has_turns, spec.redact), out)


def personal_data(kept: Sequence[Document]) -> dict[str, dict[str, int]]:
    """In how many texts each kind of personal data is, and in how many it was redacted."""
    fields = {"personal_data": "personal", "redacted": "redacted"}
    return {
        name: {kind: sum(kind in getattr(row, field) for row in kept) for kind in redacting.KINDS}
        for name, field in fields.items()
    }


def say_personal(left: Mapping[str, int], redacted: Mapping[str, int]) -> None:
    """Print in how many texts personal data is, and was."""
    for what, counts in (("redacted", redacted), ("personal data, as it is", left)):
        if listed := ", ".join(f"{kind} in {n:,} texts" for kind, n in counts.items() if n):
            stage.say(f"{what}: {listed}")


def by_table(frame: pl.DataFrame) -> dict[str, dict[str, object]]:
    """How many rows a table gave, and of each label."""
    return {
        str(name): {
            "documents": part.height,
            "label": dict(sorted(part["label"].drop_nulls().value_counts().iter_rows())),
        }
        for (name,), part in sorted(frame.group_by("table"))
    }


def framed(kept: Sequence[Document], turns: bool, tables: Sequence[Table]) -> pl.DataFrame:
    """The rows that are kept, in their order. turns: they are conversations."""
    rows = [tuple(document[: len(documents.DOCUMENT)]) for document in kept]
    if not turns:
        frame = pl.DataFrame(rows, schema=documents.DOCUMENT, orient="row")
        return frame.with_columns(further(kept, tables))
    turned = [[turn._asdict() for turn in document.turns] for document in kept]
    whole: list[tuple[object, ...]] = [(*row, t) for row, t in zip(rows, turned, strict=True)]
    schema = documents.CONVERSATION
    if any(document.choices for document in kept):
        whole = [(*row, list(document.choices)) for row, document in zip(whole, kept, strict=True)]
        schema = documents.MULTIPLE_CHOICE
    frame = pl.DataFrame(whole, schema=schema, orient="row")
    return frame.with_columns(further(kept, tables))


def further(kept: Sequence[Document], tables: Sequence[Table]) -> list[pl.Series]:
    """A column for each name that a table keeps; rows of the other tables have no value."""
    place = {table.name: {name: i for i, name in enumerate(table.keep)} for table in tables}
    names = dict.fromkeys(name for table in tables for name in table.keep)

    def value(row: Document, name: str) -> str | None:
        at = place[row.table].get(name)
        return None if at is None else row.kept[at]

    return [pl.Series(name, [value(row, name) for row in kept], pl.String) for name in names]


def repeated(row: Document, other: Document, reason: str) -> Rejected:
    """A row that gives way to another one."""
    found = (row.table, row.row, row.text, reason, other.id, row.label)
    return Rejected(*found, other.table, other.row, other.label)


def read(
    spec: CorpusSpec,
    needs: stage.Needs,
    annotated: Mapping[str, Annotation],
    whole: Mapping[str, Whole],
) -> Iterator[Document | Rejected]:
    """Every row of every table, screened."""
    for table in spec.tables:
        path = needs[table.of] / table.file
        labels = whole[table.name].labels if table.name in whole else None
        parts = batches(rawtable.rows(path, table), table, spec, annotated, labels)
        first, texts, lines, number = 0, 0, 0, 0
        for part in workers.over(Rows.screened, parts, path.stat().st_size):
            for row, within in part:
                number += 1
                yield row
                if within:
                    first, texts, lines = first or number, texts + 1, lines + within
            if number % ROWS_PER_LINE == 0:
                stage.say(f"{table.name}: {number:,} rows cleaned")
        if texts:
            stage.say(
                f"{table.name}: {texts:,} texts seem to hold {lines:,} other rows, the first in "
                f"row {first}: {swallowed.question(table.format.kind)}"
            )


def batches(
    rows: Iterator[rawtable.Row],
    table: Table,
    spec: CorpusSpec,
    annotated: Mapping[str, Annotation],
    labels: Sequence[str | labelling.NoLabel] | None,
) -> Iterator[Rows]:
    """The rows of a table in parts for the workers. labels: of all, if they follow from all."""
    first = 1
    while part := list(islice(rows, BATCH)):
        own = None if labels is None else labels[first - 1 : first - 1 + len(part)]
        yield Rows(part, first, table, spec, annotated, own)
        first += len(part)


def ids_elsewhere(spec: CorpusSpec, needs: stage.Needs) -> dict[str, str]:
    """Common id of each document of the corpora to do without -> the first that has it."""
    elsewhere: dict[str, str] = {}
    for corpus in spec.without:
        for name in documents.read_ids(needs[corpus], "documents"):
            elsewhere.setdefault(name, str(corpus))
    return elsewhere


def without(
    row: Document | Rejected, elsewhere: Mapping[str, str], deleted: Collection[str]
) -> Document | Rejected:
    """The row; rejected if it is to be deleted, or another corpus has its text with any label.

    Of a deleted one nothing but its place stays, whatever else it would be rejected for.
    """
    if deleted and not names_of(row).isdisjoint(deleted):
        return Rejected(row.table, row.row, "", DELETED, "")
    corpus = None if isinstance(row, Rejected) else elsewhere.get(row.common)
    if corpus is None:
        return row
    return Rejected(row.table, row.row, row.text, ELSEWHERE, corpus)


def say_deleted(
    spec: CorpusSpec, deleted: Collection[str], rows: Sequence[Document | Rejected]
) -> None:
    """Warn of ids that are of no row: a row that was meant by one is still there."""
    nowhere = {*deleted}
    for row in rows if deleted else ():
        nowhere -= names_of(row)
    if nowhere:
        stage.say(
            f"warning: {len(nowhere):,} of {len(deleted):,} ids in {spec.deleted} are of no row, "
            f"so nothing was deleted by them: {some(sorted(nowhere))}"
        )


def names_of(row: Document | Rejected) -> set[str]:
    """The ids of a row: of its text as it is here, and the one that it has in every corpus."""
    if isinstance(row, Document):
        return {row.id, row.common}
    return {cleaning.document_id(row.text), cleaning.common_id(row.text)}


def say(spec: CorpusSpec, rejected: Sequence[Rejected], kept: int) -> None:
    """Print counts and what caused them; raise LmspecError if nothing is left."""
    counts = Counter(row.reason for row in rejected)
    listed = ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
    unknown = values_of(rejected, labelling.NOT_A_LABEL)
    if not kept:
        found = f"no row is left: {listed or 'the tables are empty'}"
        if unknown:
            remedy = f"the labels are {some(spec.labels)}; the tables have {unknown}: add `rename`"
        else:
            remedy = "correct `missing`, `label` or `clean`"
        raise LmspecError("corpus", found, remedy)
    stage.say(f"{kept:,} documents; rejected: {listed or 'none'}")
    if unknown:
        stage.say(f"not a label: {unknown}; the labels are {some(spec.labels)}: add `rename`?")
    if missing := values_of(rejected, labelling.NO_LABEL):
        stage.say(f"no label: {missing}")


def values_of(rejected: Sequence[Rejected], reason: str) -> str:
    """The values that rows were rejected for, the most frequent first; empty if there are none."""
    counts = Counter(row.detail for row in rejected if row.reason == reason)
    values = [
        f"{value[:80]!r} {count:,} row{'' if count == 1 else 's'}"
        for value, count in counts.most_common()
    ]
    return some(values) if values else ""


def say_contradictions(texts: Sequence[Sequence[Document]], rule: str) -> None:
    """Print how many texts have different labels, and some of them."""
    if not texts:
        return
    what = "prompts have different answers" if texts[0][0].turns else "texts have different labels"
    stage.say(f"{len(texts):,} {what} (contradictions: {rule}), such as")
    for rows in texts[:3]:
        given = [row.turns[-1].content[:60] if row.turns else row.label for row in rows]
        text = rows[0].turns[-2].content if rows[0].turns else rows[0].text
        places = ", ".join(
            f"{row.table} row {row.row} {label!r}"
            for row, label in zip(rows[:4], given, strict=False)
        )
        counts = ", ".join(f"{label!r} {count}" for label, count in Counter(given).most_common())
        stage.say(f"  {text[:60]!r}: {counts} ({places})")


STAGE = stage.Stage(CorpusSpec, build)
