"""screening: a row of a table as a document, or why it is rejected."""

from collections.abc import Mapping
from typing import NamedTuple

from lmspec.methods import cleaning, grouping, labelling
from lmspec.specs.corpus import CorpusSpec, Table


class Document(NamedTuple):
    """A row that is kept.

    group   None if it is a group of its own
    row     its number in the table, from 1
    common  the id that it has in every corpus
    """

    id: str
    text: str
    label: str
    group: str | None
    table: str
    row: int
    common: str


class Rejected(NamedTuple):
    """reason: counted in the metrics; detail: the value or the document that caused it."""

    table: str
    row: int
    text: str
    reason: str
    detail: str


def screened(
    cells: Mapping[str, str | None], row: int, table: Table, spec: CorpusSpec
) -> Document | Rejected:
    """Clean and label a row."""
    raw = cells[table.text] or ""
    text = cleaning.repair(raw, spec.clean)
    fault = cleaning.length_fault(text, spec.clean)
    if fault:
        return Rejected(table.name, row, text, fault, f"{len(text)} characters")
    label = labelling.label_of(cells[table.label.column], table.label, spec.labels)
    if isinstance(label, labelling.NoLabel):
        return Rejected(table.name, row, text, label.reason, label.detail)
    group = grouping.group_of(cells, table.group, table.name)
    name = cleaning.document_id(text)
    repaired = spec.clean.fix_unicode and spec.clean.unescape_html
    common = name if repaired else cleaning.common_id(raw)
    return Document(name, text, label, group, table.name, row, common)
