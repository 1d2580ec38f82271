"""tabular: how a file holds a table, and which of its scores get which label."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec
from lmspec.specs.turns import Column

Label = Annotated[str, Field(min_length=1, max_length=100)]
Bound = Annotated[float, Field(ge=-1e15, le=1e15)]


class Delimited(Spec):
    """Tab-separated or comma-separated text in UTF-8."""

    kind: Literal["tsv", "csv"] = Field(description="tsv: separated by tabs; csv: by commas")
    quoting: Literal["none", "double", "backslash"] = Field(
        description="how a field holds a separator, a quote or a line break. none: it cannot, a "
        'quote is text; double: in quotes, with "" for a quote (RFC 4180, pandas); '
        'backslash: in quotes, with \\" for a quote (Spark, MySQL)'
    )
    columns: tuple[Column, ...] | None = Field(
        strict=False,
        description="column names of a file without a header line; null: it has one",
    )


class Typed(Spec):
    """A format that names its columns itself."""

    kind: Literal["jsonl", "parquet"] = Field(
        description="jsonl: one JSON object a line; parquet: one table"
    )


class Band(Spec):
    """Scores from `at_least` to `at_most`, both included, get this label."""

    label: Label = Field(description="one of the corpus's labels")
    at_least: Bound | None = Field(description="lower bound; null: none")
    at_most: Bound | None = Field(description="upper bound; null: none")

    def holds_score(self, score: float) -> bool:
        """Is it in the band?"""
        return (self.at_least is None or score >= self.at_least) and (
            self.at_most is None or score <= self.at_most
        )
