"""corpus: cleaned, labelled rows.   sources -> documents.parquet, rejected.parquet, *.ids"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import documents, rawtable
from lmspec.methods import duplicates, labelling
from lmspec.methods.screening import Document, Rejected, screened
from lmspec.specs.corpus import CorpusSpec


def build(spec: CorpusSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Clean and label every row, then drop duplicates; each row ends in one of the two tables."""
    elsewhere = ids_elsewhere(spec, needs)
    rows = [left_out(row, elsewhere) for row in read(spec, needs)]
    cleaned = [row for row in rows if isinstance(row, Document)]
    ids, texts = [document.id for document in cleaned], [document.text for document in cleaned]
    repeats = duplicates.repeats(ids, texts, spec.near_duplicates)
    repeated = [
        Rejected(d.table, d.row, d.text, *repeats[i]) for i, d in enumerate(cleaned) if i in repeats
    ]
    rejected = [row for row in rows if isinstance(row, Rejected)] + repeated
    reasons = dict(sorted(Counter(row.reason for row in rejected).items()))
    say(rejected, reasons, kept=len(cleaned) - len(repeats))
    kept = [
        document[: len(documents.DOCUMENT)]
        for i, document in enumerate(cleaned)
        if i not in repeats
    ]
    frame = pl.DataFrame(kept, schema=documents.DOCUMENT, orient="row").sort("id")
    documents.write(frame, out / "documents.parquet")
    common = {d.id: d.common for i, d in enumerate(cleaned) if i not in repeats}
    documents.write_ids((common[name] for name in frame["id"]), out, "documents")
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


def read(spec: CorpusSpec, needs: stage.Needs) -> Iterator[Document | Rejected]:
    """Every row of every table, screened."""
    for table in spec.tables:
        cells = rawtable.read(needs[table.of] / table.file, table).iter_rows(named=True)
        for number, row in enumerate(cells, start=1):
            yield screened(row, number, table, spec)


def ids_elsewhere(spec: CorpusSpec, needs: stage.Needs) -> dict[str, str]:
    """Common id of each document of the corpora to do without -> the first that has it."""
    elsewhere: dict[str, str] = {}
    for corpus in spec.without:
        for name in documents.read_ids(needs[corpus], "documents"):
            elsewhere.setdefault(name, str(corpus))
    return elsewhere


def left_out(row: Document | Rejected, elsewhere: Mapping[str, str]) -> Document | Rejected:
    """The row; rejected if another corpus has its text, with whatever label."""
    corpus = None if isinstance(row, Rejected) else elsewhere.get(row.common)
    if corpus is None:
        return row
    return Rejected(row.table, row.row, row.text, "in another corpus", corpus)


def say(rejected: Sequence[Rejected], reasons: Mapping[str, int], kept: int) -> None:
    """Print counts; raise LmspecError if nothing is left."""
    if not kept:
        raise LmspecError(
            "corpus", "no row is left", f"see why they were rejected: {dict(reasons)}"
        )
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
    stage.say(f"{kept} documents; rejected: {counts or 'none'}")
    unknown = Counter(row.detail for row in rejected if row.reason == labelling.NOT_A_LABEL)
    if unknown:
        values = [f"{value!r} ({count} rows)" for value, count in unknown.most_common()]
        stage.say(f"not a label: {some(values)}")


STAGE = stage.Stage(CorpusSpec, build)
