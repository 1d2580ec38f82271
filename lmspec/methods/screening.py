"""screening: a row of a table as a document, or why it is rejected."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lmspec.methods import cleaning, conversing, grouping, labelling, redacting, swallowed
from lmspec.methods.annotating import Annotation
from lmspec.methods.conversing import Turn
from lmspec.specs.corpus import Clean, ColumnLabel, CorpusSpec, Table, ThresholdLabel
from lmspec.specs.ratings import RatingsLabel
from lmspec.specs.votes import VotesLabel

NO_TEXT = "no text"
NOT_ANNOTATED = "no annotation"
NONE: Mapping[str, Annotation] = {}
Label = ColumnLabel | ThresholdLabel | RatingsLabel | VotesLabel


class Document(NamedTuple):
    """A row that is kept.

    group   None if it is a group of its own
    label   None if the table has none
    id      of its text as it was written: repaired, with nothing redacted or folded
    row     its number in the table, from 1
    common  the id that it has in every corpus; of a conversation, that of its prompt
    turns   of a conversation, whose text is all of them; else empty
    answer  id of its last answer; "" without turns
    choices answers to choose from, that one among them; () where there is no choice
    personal  kinds of personal data in its text
    redacted  kinds of which it has placeholders in their place
    was       of a row with an annotation, the label that its table gives; None if it gives none
    kept      values of the columns that its table keeps, in their order; None of a missing one
    """

    id: str
    text: str
    label: str | None
    group: str | None
    table: str
    row: int
    common: str
    turns: tuple[Turn, ...] = ()
    answer: str = ""
    choices: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
    redacted: tuple[str, ...] = ()
    was: str | None = None
    kept: tuple[str | None, ...] = ()


class Rejected(NamedTuple):
    """A row that is left out.

    reason  counted in the metrics
    detail  the value or the document that caused it
    label   its own, if it was read
    other_  the row that it repeats or contradicts, if that is why it is left out
    """

    table: str
    row: int
    text: str
    reason: str
    detail: str
    label: str | None = None
    other_table: str | None = None
    other_row: int | None = None
    other_label: str | None = None


def screened(
    cells: Mapping[str, str | None],
    row: int,
    table: Table,
    spec: CorpusSpec,
    annotated: Mapping[str, Annotation] = NONE,
    whole: str | labelling.NoLabel | None = None,
) -> Document | Rejected:
    """Clean and label a row.

    annotated  id -> the annotation that gives its label
    whole      its label if that follows from all rows of the table
    """
    given = {name: labelling.present(cell, table.missing) for name, cell in cells.items()}
    if table.text is None:
        return _conversation(given, row, table, spec)
    raw = given[table.text]
    if raw is None:
        return Rejected(table.name, row, "", NO_TEXT, _shown(cells[table.text]))
    text = cleaning.repair(raw, spec.clean, redact=spec.redact)
    fault = cleaning.length_fault(text, spec.clean)
    if fault:
        return Rejected(table.name, row, text, fault, f"{len(text)} characters")
    label = whole or _label(cells, given, table.label, spec)
    written = cleaning.repair(raw, _plain(spec.clean)) if _is_altered(spec) else text
    name, was = cleaning.document_id(written), None
    if name in annotated:
        was = None if isinstance(label, labelling.NoLabel) else label
        label = annotated[name].label
    if isinstance(label, labelling.NoLabel):
        return Rejected(table.name, row, text, label.reason, label.detail)
    group = grouping.group_of(given, table.group, table.name)
    repaired = spec.clean.fix_unicode and spec.clean.unescape_html
    common = name if repaired else cleaning.common_id(raw)
    kept = tuple(given[column] for column in table.keep)
    document = Document(name, text, label, group, table.name, row, common, was=was, kept=kept)
    return _searched(document, written, spec)


def _is_altered(spec: CorpusSpec) -> bool:
    """Is a text more than repaired? It keeps the id of what was written: its split, its scores."""
    return bool(spec.redact or spec.clean.look_alikes)


def _plain(clean: Clean) -> Clean:
    return clean.model_copy(update={"look_alikes": None})


def _searched(document: Document, written: str, spec: CorpusSpec) -> Document:
    """The document, with the kinds of personal data in it, and in what was written."""
    replaced = {one.kind for one in redacting.found(written, spec.redact)} if spec.redact else ()
    redacted = tuple(kind for kind in redacting.KINDS if kind in replaced)
    return document._replace(personal=redacting.kinds_in(document.text), redacted=redacted)


def _conversation(
    given: Mapping[str, str | None],
    row: int,
    table: Table,
    spec: CorpusSpec,
) -> Document | Rejected:
    turns = conversing.turns_of(given, table, spec.clean, spec.redact)
    choices = conversing.choices_of(given, table, spec.clean, spec.redact)
    if isinstance(turns, conversing.NoTurns):
        return Rejected(table.name, row, "", turns.reason, turns.detail)
    if isinstance(choices, conversing.NoTurns):
        return Rejected(table.name, row, "", choices.reason, choices.detail)
    text = conversing.text_of(turns)
    fault = cleaning.length_fault(text, spec.clean)
    if fault:
        return Rejected(table.name, row, text, fault, f"{len(text)} characters")
    group = grouping.group_of(given, table.group, table.name)
    written, listed = turns, choices
    if _is_altered(spec):
        asked = conversing.turns_of(given, table, _plain(spec.clean))
        offered = conversing.choices_of(given, table, _plain(spec.clean))
        # what has content after it is altered had some before
        assert not isinstance(asked, conversing.NoTurns)
        assert not isinstance(offered, conversing.NoTurns)
        written, listed = asked, offered
    document = Document(
        conversing.row_id(written, listed),
        text,
        None,
        group,
        table.name,
        row,
        conversing.prompt_id(written),
        turns,
        conversing.answer_id(written),
        choices,
        kept=tuple(given[column] for column in table.keep),
    )
    return _searched(document, conversing.text_of(written), spec)


def _label(
    cells: Mapping[str, str | None],
    given: Mapping[str, str | None],
    rule: Label | None,
    spec: CorpusSpec,
) -> str | labelling.NoLabel | None:
    assert not isinstance(rule, RatingsLabel | VotesLabel)  # of all rows of a table
    if rule is None:  # a row has a label where others have: of annotations alone
        return labelling.NoLabel(labelling.NO_LABEL, NOT_ANNOTATED) if spec.labels else None
    value = given[rule.column]
    if value is None:
        return labelling.NoLabel(labelling.NO_LABEL, _shown(cells[rule.column]))
    return labelling.label_of(value, rule, spec.labels)


class Rows(NamedTuple):
    """Consecutive rows of a table, for a worker.

    first      number of the first one, from 1
    annotated  id -> the annotation that gives a row its label
    whole      of a table whose labels follow from all of its rows: those of these rows
    """

    cells: list[dict[str, str | None]]
    first: int
    table: Table
    spec: CorpusSpec
    annotated: Mapping[str, Annotation] = NONE
    whole: Sequence[str | labelling.NoLabel] | None = None

    def screened(self) -> list[tuple[Document | Rejected, int]]:
        """Each row, and how many other rows its text seems to hold."""
        pattern = swallowed.row_pattern([*self.spec.labels, *_renamed(self.table)])
        # turns may have lines of any form, and plain text has no rows to swallow
        text = self.table.text if self.table.format.kind != "text" else None
        none: list[str | labelling.NoLabel | None] = [None] * len(self.cells)
        whole = none if self.whole is None else self.whole
        return [
            (
                screened(row, number, self.table, self.spec, self.annotated, label),
                swallowed.rows_within(row[text] or "", pattern) if text else 0,
            )
            for number, (row, label) in enumerate(
                zip(self.cells, whole, strict=True), start=self.first
            )
        ]


def _renamed(table: Table) -> Mapping[str, str]:
    """Value of the label column -> label, of those that are renamed."""
    return (table.label.rename if isinstance(table.label, ColumnLabel) else None) or {}


def _shown(value: str | None) -> str:
    return "null" if value is None else value
