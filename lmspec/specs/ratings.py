"""ratings: labels that follow from the ratings that several people gave a text."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Inside, Spec
from lmspec.specs.checks import ratings as checks
from lmspec.specs.checks.bands import bands_are_apart
from lmspec.specs.tabular import Band, Delimited, Typed
from lmspec.specs.turns import Column


class RatingsFile(Spec):
    """A file beside the table, in the same source."""

    file: Inside = Field(description="path inside the source's folder")
    format: Annotated[
        Delimited | Typed, Field(discriminator="kind", description="format of the file")
    ]
    key: Column = Field(description="its column that says which row of the table is rated")
    row: Column = Field(description="the table's column that has the same values")


class Listed(Spec):
    """All ratings of a text are in one cell."""

    kind: Literal["list"] = Field(description="a JSON list in one cell, such as [3, 2, null]")
    column: Column = Field(description="name of the column")


class InColumns(Spec):
    """Each rating of a text has a column."""

    kind: Literal["columns"] = Field(description="one column for each rating")
    columns: tuple[Column, ...] = Field(
        strict=False, min_length=2, max_length=1000, description="their names"
    )


class InRows(Spec):
    """Each rating has a row of the ratings' file."""

    kind: Literal["rows"] = Field(description="one row of `file` for each rating")
    column: Column = Field(description="the column of the rating")


class Position(Spec):
    """The same position is the same person, from row to row."""

    kind: Literal["block"] = Field(
        description="the same position in a list, or the same column, is the same person"
    )
    rows: int | None = Field(
        ge=2,
        le=1_000_000,
        description="rows after which other people follow, such as 30; null: they never do",
    )


class Named(Spec):
    """A column says whose rating it is."""

    kind: Literal["column"] = Field(description="read who rated from a column")
    column: Column = Field(description="name of the column, beside a rating of kind rows")


class Disagreed(Spec):
    """Rows whose ratings speak for another label as well."""

    more_than: float = Field(
        ge=0,
        lt=1,
        description="share of a row's ratings that give another label than its own, from which"
        " its raters disagree; a rater model weighs them",
    )
    then: Literal["reject", "keep"] = Field(
        description="reject: such rows are left out as `raters disagree`; keep: they are counted"
    )


class RatingsLabel(Spec):
    """The label follows from several ratings; one that is in no band is rejected."""

    holds = (
        bands_are_apart,
        checks.scores_have_bands,
        checks.models_know_raters,
        checks.ratings_have_raters,
        checks.ratings_file_has_the_columns,
        checks.columns_are_listed_once,
        checks.ratings_can_be_enough,
    )
    kind: Literal["ratings"] = Field(description="derive the label from several people's ratings")
    ratings: Annotated[
        Listed | InColumns | InRows,
        Field(discriminator="kind", description="where the ratings of a text are"),
    ]
    file: RatingsFile | None = Field(
        description="where they are if not in the table itself; null: in its rows"
    )
    rater: Annotated[Position | Named, Field(discriminator="kind")] | None = Field(
        description="who gave them, for the models that know raters; null: no one knows"
    )
    model: Literal["mean", "majority", "bias_precision", "one_coin"] = Field(
        description="what makes one label of them. mean: the band of the mean; majority: the label"
        " of most, none if two have as many; bias_precision: the band of a mean without each"
        " rater's bias, weighted by precision, and by how unlikely it is that the rater answers at"
        " random; one_coin: the most probable label, where each rater has an accuracy"
    )
    min_raters: int = Field(ge=1, le=1000, description="rows with fewer ratings are left out")
    bands: tuple[Band, ...] | None = Field(
        strict=False,
        min_length=2,
        description="which scores get which label; null: ratings are labels themselves",
    )
    disagreement: Disagreed = Field(description="what becomes of rows on which raters disagree")

    def columns(self) -> tuple[str, ...]:
        """Those of the ratings, and of who gave them."""
        rated = self.ratings.columns if isinstance(self.ratings, InColumns) else ()
        one = () if isinstance(self.ratings, InColumns) else (self.ratings.column,)
        named = (self.rater.column,) if isinstance(self.rater, Named) else ()
        return (*rated, *one, *named)
