"""annotating: labels that people gave to rows: whose holds, and where they disagree."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from lmspec.errors import LmspecError, some

LABEL, DECIDE, UNSURE, UNDO = "label", "decide", "unsure", "undo"
ACTIONS = (LABEL, DECIDE, UNSURE, UNDO)
LABELLED = (LABEL, DECIDE)  # those that give a label
ID = re.compile(r"[0-9a-f]{16}")  # cleaning.document_id
MOST_CHARS = 100  # of a label or a name


class Annotation(NamedTuple):
    """What one person did with one row.

    id         of the row, as the documents of a corpus have it
    label      "" where the action gives none
    annotator  who
    time       when, ISO 8601 with its zone
    list       the queue or suspects that the row came from; "" if none
    action     label: gives it; decide: gives it in place of everyone's; unsure: gives none;
               undo: takes back the annotator's last action on the row
    place      where it is written: file and line
    """

    id: str
    label: str
    annotator: str
    time: str
    list: str
    action: str
    place: str = ""


def fault(annotation: Annotation) -> tuple[str, str] | None:
    """(what is wrong with its fields, what to do) or None."""
    gives = annotation.action in LABELLED
    if not ID.fullmatch(annotation.id):
        return f"{annotation.id[:80]!r} is no id", "ids are 16 hexadecimal digits"
    if annotation.action not in ACTIONS:
        return f"there is no action {annotation.action[:80]!r}", f"write one of {some(ACTIONS)}"
    for what, text in (
        ("label", annotation.label),
        ("name of its annotator", annotation.annotator),
    ):
        if len(text) > MOST_CHARS:
            found = f"the {what} has {len(text):,} characters, and {MOST_CHARS} are allowed"
            return found, "shorten it"
    if gives and not annotation.label:
        return f"the action {annotation.action} needs a label", "write one, or remove the line"
    if not gives and annotation.label:
        found = f"the action {annotation.action} gives no label, and it has one"
        return found, "empty the field, or write the action label"
    if not annotation.annotator.strip():
        return "it has no annotator", "write who gave the label"
    if not _is_time(annotation.time):
        found = f"{annotation.time[:80]!r} is no time with a zone"
        return found, "write it as 2026-11-30T09:30:00Z"
    return None


def _is_time(text: str) -> bool:
    try:
        offset = datetime.fromisoformat(text).utcoffset()
    except ValueError:
        return False
    return isinstance(offset, timedelta)


def current(annotations: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    """Row -> what was done with it and not taken back, in its order.

    Raises LmspecError if there is nothing to take back.
    """
    rows: dict[str, list[Annotation]] = {}
    for one in annotations:
        here = rows.setdefault(one.id, [])
        if one.action != UNDO:
            here.append(one)
            continue
        own = [i for i, other in enumerate(here) if other.annotator == one.annotator]
        if not own:
            found = f"{one.annotator} has nothing to take back of row {one.id}"
            raise LmspecError(one.place, found, "remove the line, or restore what was before it")
        del here[own[-1]]
    return {name: here for name, here in rows.items() if here}


def by_annotator(row: Sequence[Annotation]) -> dict[str, Annotation]:
    """Annotator -> the last action on a row, decisions aside."""
    return {one.annotator: one for one in row if one.action != DECIDE}


def decision(row: Sequence[Annotation]) -> Annotation | None:
    """The last decision on a row, if there is any."""
    return next((one for one in reversed(row) if one.action == DECIDE), None)


def disagree(row: Sequence[Annotation]) -> bool:
    """Did its annotators give different labels, and no one has decided?"""
    labels = {one.label for one in by_annotator(row).values() if one.action == LABEL}
    return decision(row) is None and len(labels) > 1


def settled(annotations: Iterable[Annotation], labels: Collection[str]) -> dict[str, Annotation]:
    """Row -> the annotation whose label it gets; rows on which all are unsure are left out.

    labels  those that there are
    Raises LmspecError for another label, and for a disagreement.
    """
    rows = current(annotations)
    result: dict[str, Annotation] = {}
    apart = [row for row in rows.values() if disagree(row)]
    if apart:
        raise disagreement(apart)
    for name, row in rows.items():
        given = [one for one in by_annotator(row).values() if one.action == LABEL]
        one = decision(row) or (given[0] if given else None)
        if one is None:
            continue
        if one.label not in labels:
            found = f"{one.label!r} is none of the labels {some([repr(each) for each in labels])}"
            raise LmspecError(one.place, found, "write one of these, or remove the line")
        result[name] = one
    return result


def disagreement(rows: Sequence[Sequence[Annotation]]) -> LmspecError:
    """Rows that have different labels."""
    (*_, last), more = by_annotator(rows[0]).values(), len(rows) - 1
    given = some(
        [
            f"{one.label!r} by {one.annotator} ({one.place})"
            for one in by_annotator(rows[0]).values()
            if one.action == LABEL
        ]
    )
    others = f", and so have {more:,} other rows" if more else ""
    found = f"row {last.id} has different labels: {given}{others}"
    remedy = "decide with `lmspec label --disagreements`, or add a line with the action decide"
    return LmspecError(last.place, found, remedy)


def require_present(
    decided: Mapping[str, Annotation], present: Collection[str], left_out: Mapping[str, str]
) -> None:
    """Raise LmspecError if a row that has an annotation is not there.

    present   ids of the rows that were cleaned
    left_out  id -> why, of rows that were left out before
    """
    absent = [one for name, one in decided.items() if name not in present]
    if not absent:
        return
    first = absent[0]
    more = f"; {len(absent) - 1:,} other lines have none, either" if len(absent) > 1 else ""
    if first.id in left_out:
        found = f"row {first.id} is left out of the corpus: {left_out[first.id]}{more}"
        raise LmspecError(first.place, found, "remove the line, or correct `clean` or `missing`")
    found = f"no row of the tables has the id {first.id}{more}"
    remedy = "correct the id, or remove the line; ids follow from the cleaned text"
    if first.list.startswith("queue."):
        remedy = (
            f"add the table of the pool that {first.list} took the row from, with `label: null`"
        )
        remedy += "; ids follow from the cleaned text, so `clean` is the same for both"
    raise LmspecError(first.place, found, remedy)


def last_of(annotations: Iterable[Annotation], annotator: str) -> Annotation | None:
    """The last thing that someone did and has not taken back; None if there is nothing."""
    done: list[Annotation] = []
    for one in annotations:
        if one.annotator != annotator:
            continue
        if one.action != UNDO:
            done.append(one)
        elif (same := [i for i, other in enumerate(done) if other.id == one.id]) != []:
            del done[same[-1]]
    return done[-1] if done else None
