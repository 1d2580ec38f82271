"""corpus: one table of cleaned, labelled documents.   sources -> documents.parquet, rejected.parquet, labels.json"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import documents, rawtable
from lmspec.methods import cleaning, duplicates, grouping, labelling
from lmspec.specs.corpus import CorpusSpec, Table

Rejected = list[tuple[str, int, str, str, str]]


def build(spec: CorpusSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Clean and label every row, then turn duplicates away; every row ends in one of the two tables."""
    rejected: Rejected = []
    rows = [
        row
        for table in spec.tables
        for row in read(table, spec, needs[table.of] / table.file, rejected)
    ]
    frame = pl.DataFrame([row for _, row in rows], schema=documents.DOCUMENT, orient="row")
    repeats = {position: (reason, of) for position, reason, of in repeated(frame, spec)}
    for position, (reason, of) in repeats.items():
        rejected.append(
            (frame["table"][position], rows[position][0], frame["text"][position], reason, of)
        )
    frame = frame.filter([i not in repeats for i in range(frame.height)]).sort("id")
    reasons = dict(sorted(Counter(reason for *_, reason, _ in rejected).items()))
    if frame.is_empty():
        raise LmspecError("corpus", "no row is left", f"see why they were rejected: {reasons}")
    stage.say(
        f"{frame.height} documents; rejected: {', '.join(f'{n} {reason}' for reason, n in reasons.items()) or 'none'}"
    )
    unknown = Counter(detail for *_, reason, detail in rejected if reason == labelling.NOT_A_LABEL)
    if unknown:
        stage.say(
            f"not a label: {some([f'{value!r} ({n} rows)' for value, n in unknown.most_common()])}"
        )
    documents.write(frame, out / "documents.parquet")
    documents.write(
        pl.DataFrame(sorted(rejected), schema=documents.REJECTED, orient="row"),
        out / "rejected.parquet",
    )
    documents.write_labels(spec.labels, out)
    tables = {
        str(name): {
            "documents": part.height,
            "label": dict(sorted(part["label"].value_counts().iter_rows())),
        }
        for (name,), part in sorted(frame.group_by("table"))
    }
    report = {"documents": frame.height, "rejected": reasons, "table": tables}
    return stage.Report(report, {"rows": frame.select("id", "table", "label").rows(named=True)})


def read(
    table: Table, spec: CorpusSpec, path: Path, rejected: Rejected
) -> Iterator[tuple[int, tuple[str | None, ...]]]:
    """(row number from 1, document) of each row of a table that passes; the others are appended to `rejected`."""
    for number, row in enumerate(rawtable.read(path, table).iter_rows(named=True), start=1):
        text = cleaning.mend(row[table.text] or "", spec.clean)
        label = labelling.label_of(row[table.label.column], table.label, spec.labels)
        fault = cleaning.length_fault(text, spec.clean)
        if fault:
            rejected.append((table.name, number, text, fault, f"{len(text)} characters"))
        elif isinstance(label, labelling.NoLabel):
            rejected.append((table.name, number, text, label.reason, label.detail))
        else:
            group = grouping.group_of(row, table.group, table.name)
            yield number, (cleaning.document_id(text), text, label, group, table.name)


def repeated(frame: pl.DataFrame, spec: CorpusSpec) -> Iterator[tuple[int, str, str]]:
    """(position, reason, id of the row that is kept) of every row that repeats an earlier one."""
    ids = frame["id"].to_list()
    first: dict[str, int] = {}
    for position, name in enumerate(ids):
        first.setdefault(name, position)
    kept = list(first.values())
    stands_for: dict[str, str] = {}
    if spec.near_duplicates:
        for earlier, later in duplicates.near_pairs(
            [frame["text"][i] for i in kept], spec.near_duplicates
        ):
            one, other = ids[kept[earlier]], ids[kept[later]]
            if one not in stands_for and other not in stands_for:
                stands_for[other] = one
    for position, name in enumerate(ids):
        if first[name] != position:
            yield position, "exact duplicate", stands_for.get(name, name)
        elif name in stands_for:
            yield position, "near-duplicate", stands_for[name]


STAGE = stage.Stage(CorpusSpec, build)
