"""dialogues: what the conversations of a corpus have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from lmspec.compare.revision import Revision
from lmspec.specs.names import ArtifactName

FREQUENT = 5  # answers that are shown
JUDGED = ("dev", "test")


@dataclass(frozen=True)
class Dialogues:
    """What is in the turns.

    system    rows with a system prompt
    several   rows with more than one prompt
    answers   different last answers
    frequent  answer -> rows, of those in several rows, the most frequent first
    known     `dataset: part` -> rows whose answer is in the train split, too; of how many
    """

    system: int
    several: int
    answers: int
    frequent: Mapping[str, int]
    known: Mapping[str, tuple[int, int]]


def of(frame: pl.DataFrame, revision: Revision, splits: Sequence[str]) -> Dialogues | None:
    """None for texts without turns."""
    if "turns" not in frame.columns:
        return None
    roles = pl.col("turns").list.eval(pl.element().struct.field("role"))
    counts = frame.select(
        system=roles.list.contains("system"),
        several=roles.list.count_matches("user") > 1,
    )
    answers = frame.select(last_of("assistant").alias("answer"))["answer"]
    every = answers.value_counts().sort("count", "answer", descending=[True, False])
    frequent = every.filter(pl.col("count") > 1).head(FREQUENT)
    known = {}
    for one in splits:
        for part in JUDGED:
            number = revision.number(one, (part, "answers_in_train"))
            rows = int(revision.number(one, (part, "documents")) or 0)
            if number is not None and rows:
                known[f"{ArtifactName.parse(one).name}: {part}"] = (int(number), rows)
    return Dialogues(
        int(counts["system"].sum()),
        int(counts["several"].sum()),
        every.height,
        dict(frequent.iter_rows()),
        known,
    )


def last_of(role: str) -> pl.Expr:
    """The last text of that role in each row; of the user, before the last answer."""
    of_role = pl.element().filter(pl.element().struct.field("role") == role)
    return pl.col("turns").list.eval(of_role.struct.field("content")).list.last()


def shown() -> pl.Expr:
    """Each row as people read it, with the role before each turn."""
    line = pl.element().struct.field("role") + ": " + pl.element().struct.field("content")
    return pl.col("turns").list.eval(line).list.join("\n")
