"""groups: groups of test texts, by a column or by words in them, on which scores are compared."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Name, Spec
from lmspec.specs.checks import groups as checks


class Terms(Spec):
    """Texts that have one of some words."""

    name: Name = Field(description="of the group")
    words: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        strict=False,
        min_length=1,
        max_length=1000,
        description="words, or runs of words; matched whole, whatever their case",
    )


class ByColumn(Spec):
    """A group for each value."""

    holds = (checks.values_are_of_kept_columns,)
    kind: Literal["column"] = Field(description="texts with one value of a column")
    name: Name = Field(description="of this way to group, in the names of metrics")
    column: str = Field(
        min_length=1, max_length=1000, description="table, label, or one that the corpus keeps"
    )
    values: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] | None = Field(
        default=None,
        strict=False,
        min_length=2,
        max_length=100,
        description="groups of a column that the corpus keeps, by its values; texts with others"
        " are in none. Of table and label, all values are groups",
    )


class ByTerms(Spec):
    """A text may be in several groups, or in none."""

    kind: Literal["terms"] = Field(description="texts that have one of some words")
    name: Name = Field(description="of this way to group, in the names of metrics")
    terms: tuple[Terms, ...] = Field(
        strict=False, min_length=2, max_length=100, description="the groups, by their words"
    )


class Groups(Spec):
    """How often each group gets an answer, rightly or wrongly, and how far groups are apart.

    Source: Hardt et al. 2016, arXiv:1610.02413 (rates of errors); Calders et al. 2009 (of answers).
    """

    holds = (checks.names_differ,)
    positive: str = Field(
        min_length=1, description="the label whose rates are compared: of answers, of errors"
    )
    by: tuple[Annotated[ByColumn | ByTerms, Field(discriminator="kind")], ...] = Field(
        strict=False, min_length=1, max_length=32, description="ways to group the test texts"
    )
    draws: int = Field(
        ge=100,
        le=100_000,
        description="of documents with replacement, for the intervals of gaps (bootstrap)",
    )
