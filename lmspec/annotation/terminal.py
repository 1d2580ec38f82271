"""terminal: one text at a time, and a key for each label."""

from collections.abc import Callable, Sequence

from lmspec.annotation.session import Session
from lmspec.formats.worklist import Row

UNSURE, UNDO, QUIT = "n", "u", "q"
KEYS = "".join(key for key in "1234567890abcdefghijklmoprstvwxyz")  # without those three
ENDS = ("", "\x03", "\x04")  # end of the input, Ctrl and C, Ctrl and D
SAME = " "  # the label that a suspect has
Say = Callable[[str], None]


def keys_of(labels: Sequence[str]) -> dict[str, str] | None:
    """Key -> label; None if there are more labels than keys."""
    return dict(zip(KEYS, labels, strict=False)) if len(labels) <= len(KEYS) else None


def run(session: Session, annotator: str, read: Callable[[], str], say: Say) -> None:
    """Ask for labels until all rows have one, or the annotator quits.

    read  waits for a key; of more labels than keys, for a line with a label or its number
    """
    keys = keys_of(session.labels)
    say(help_of(session.labels))
    while (row := session.next(annotator)) is not None:
        progress = session.progress(annotator)
        say(shown(row, f"{progress.rows - progress.left + 1} of {progress.rows}"))
        if not _answered(session, annotator, row, keys, read, say):
            return


def _answered(
    session: Session,
    annotator: str,
    row: Row,
    keys: dict[str, str] | None,
    read: Callable[[], str],
    say: Say,
) -> bool:
    """Take keys until one is an answer. False if the annotator quits."""
    while True:
        given = read()
        if given in (*ENDS, QUIT):
            return False
        if given == UNDO:
            back = session.undo(annotator)
            say(f"taken back: {back.text[:60]!r}" if back else "there is nothing to take back")
            return True
        if given == UNSURE:
            session.unsure(annotator, row.id)
            return True
        label = row.label if given == SAME and row.label else label_of(given, session.labels, keys)
        if label is None:
            say(f"{given!r} is no key here: {help_of(session.labels)}")
            continue
        session.label(annotator, row.id, label)
        say(f"  {label}")
        return True


def decide(session: Session, annotator: str, read: Callable[[], str], say: Say) -> None:
    """Ask for the label of each row on which annotators disagree, until none is left."""
    keys = keys_of(session.labels)
    apart = session.disagreements()
    say(help_of(session.labels) if apart else "there are no disagreements")
    for place, one in enumerate(apart, start=1):
        given = ", ".join(f"{who}: {label}" for who, label in one.labels)
        say(f"\n{place} of {len(apart)}, {one.row.table}\n{one.row.text}\n{given}")
        label = None
        while label is None:
            key = read()
            if key in (*ENDS, QUIT):
                return
            if key == UNSURE:
                break
            label = label_of(key, session.labels, keys)
            if label is not None:
                session.decide(annotator, one.row.id, label)
                say(f"  {label}")


def label_of(given: str, labels: Sequence[str], keys: dict[str, str] | None) -> str | None:
    """The label of a key; without keys, of its name or number."""
    if keys is not None:
        return keys.get(given)
    if given in labels:
        return given
    number = int(given) if given.isdecimal() and len(given) < 6 else 0
    return labels[number - 1] if 0 < number <= len(labels) else None


def help_of(labels: Sequence[str]) -> str:
    """The keys."""
    keys = keys_of(labels) or {str(i): label for i, label in enumerate(labels, start=1)}
    named = "  ".join(f"{key} {label}" for key, label in keys.items())
    return f"{named}  |  {UNSURE} not sure  {UNDO} undo  {QUIT} quit"


def shown(row: Row, place: str) -> str:
    """A text; of a suspect also the label that it has and the one that is more probable."""
    lines = ["", f"{place}, {row.table}", row.text]
    if row.label is not None:
        lines.append(f"has the label {row.label} (space confirms it); suggested: {row.suggested}")
    return "\n".join(lines)
