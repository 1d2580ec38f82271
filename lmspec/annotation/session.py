"""session: the rows of a list, and what people did with them: each action is a line of a file.

The file is read again for each question: several terminals and pages may add to it, and what one
shows after a restart is what was there before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lmspec.errors import LmspecError, some
from lmspec.formats.annotations import Appending
from lmspec.formats.worklist import Row
from lmspec.methods import annotating
from lmspec.methods.annotating import Annotation


def now() -> str:
    """The time as a file of annotations has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Progress:
    """Of one annotator. labelled: rows with a label; unsure: rows that were passed over."""

    labelled: int
    unsure: int
    rows: int

    @property
    def left(self) -> int:
        """Rows with neither."""
        return self.rows - self.labelled - self.unsure


@dataclass(frozen=True)
class Given:
    """A row and who gave it which label, in the order of the file."""

    row: Row
    labels: Sequence[tuple[str, str]]


class Session:
    """Labels a list.

    name    of the list: `queue.next`
    rows    in the order in which they are labelled
    labels  to choose from
    file    where annotations are added
    clock   the time of an annotation
    """

    def __init__(
        self,
        name: str,
        rows: Sequence[Row],
        labels: Sequence[str],
        file: Appending,
        clock: Callable[[], str] = now,
    ) -> None:
        self.name, self.labels, self.file = name, tuple(labels), file
        self.rows = {row.id: row for row in rows}
        self._clock = clock

    def next(self, annotator: str) -> Row | None:
        """The first row that the annotator has not looked at; None at the end."""
        done, annotator = self._current(), annotator.strip()
        return next(
            (row for row in self.rows.values() if annotator not in done.get(row.id, {})), None
        )

    def progress(self, annotator: str) -> Progress:
        """How far the annotator is."""
        annotator = annotator.strip()  # as it is written
        own = [row[annotator] for row in self._current().values() if annotator in row]
        labelled = sum(one.action == annotating.LABEL for one in own)
        return Progress(labelled, len(own) - labelled, len(self.rows))

    def labelled(self) -> int:
        """How many rows have a label of anyone, which is not taken back."""
        rows = annotating.current(self._read()).values()
        return sum(any(one.action in annotating.LABELLED for one in row) for row in rows)

    def label(self, annotator: str, row: str, label: str) -> None:
        """Give a label. Raises LmspecError for one that there is not, as for a row."""
        self._add(annotator, row, label, annotating.LABEL)

    def unsure(self, annotator: str, row: str) -> None:
        """Pass over a row."""
        self._add(annotator, row, "", annotating.UNSURE)

    def decide(self, annotator: str, row: str, label: str) -> None:
        """Settle a disagreement."""
        self._add(annotator, row, label, annotating.DECIDE)

    def undo(self, annotator: str) -> Row | None:
        """Take back the annotator's last action; returns its row, None if there is nothing."""
        one = annotating.last_of(self._read(), annotator.strip())
        if one is None:
            return None
        self._add(annotator, one.id, "", annotating.UNDO)
        return self.rows[one.id]

    def disagreements(self) -> list[Given]:
        """Rows with different labels that no one has decided, in the order of the list."""
        done = annotating.current(self._read())
        apart = [row for row in self.rows.values() if annotating.disagree(done.get(row.id, ()))]
        return [
            Given(row, [(who, one.label) for who, one in self._labels(done[row.id]).items()])
            for row in apart
        ]

    @staticmethod
    def _labels(row: Sequence[Annotation]) -> dict[str, Annotation]:
        every = annotating.by_annotator(row)
        return {who: one for who, one in every.items() if one.action == annotating.LABEL}

    def _current(self) -> dict[str, dict[str, Annotation]]:
        """Row -> annotator -> the last action."""
        rows = annotating.current(self._read())
        return {name: annotating.by_annotator(row) for name, row in rows.items()}

    def _read(self) -> list[Annotation]:
        """The lines about rows of this list."""
        return [one for one in self.file.read() if one.id in self.rows]

    def _add(self, annotator: str, row: str, label: str, action: str) -> None:
        if row not in self.rows:
            raise LmspecError(self.name, f"it has no row {row[:80]!r}", "load the page again")
        if action in annotating.LABELLED and label not in self.labels:
            found = f"{label[:80]!r} is none of the labels {some(self.labels)}"
            raise LmspecError(self.name, found, "give one of these")
        time = self._clock()
        self.file.add(Annotation(row, label, annotator.strip(), time, self.name, action))
