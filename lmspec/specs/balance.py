"""balance: which training texts count more, so that a group's rare labels are learned as well."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Spec

Words = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=100)], ...],
    Field(strict=False, min_length=1, max_length=1000),
]


class OfColumn(Spec):
    """A group for each value; texts without one are a group, too."""

    kind: Literal["column"] = Field(description="texts with one value of a column")
    column: str = Field(
        min_length=1,
        max_length=1000,
        description="table, or a column that the corpus keeps",
    )


class OfTerms(Spec):
    """A group for each choice of the lists: texts of one list alone, of both, of none."""

    kind: Literal["terms"] = Field(description="texts that have one of some words")
    terms: tuple[Words, ...] = Field(
        strict=False,
        min_length=1,
        max_length=10,
        description="lists of words, or of runs of words; matched whole, whatever their case",
    )


class Balance(Spec):
    """Each label of each group counts as much as any other, however many texts it has.

    Source: Kamiran & Calders 2012, doi:10.1007/s10115-011-0463-8 (weights of rows by group and
    label).
    """

    by: Annotated[OfColumn | OfTerms, Field(discriminator="kind")] = Field(
        description="which texts are a group"
    )
    power: float = Field(
        gt=0,
        le=1,
        description="a text counts (texts / (pairs * texts of its pair of group and label)) **"
        " power, as a share of the mean: 1: all pairs count the same; 0.5: half way, if some have"
        " few texts",
    )
