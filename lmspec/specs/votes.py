"""votes: labels from labelling functions, which vote on a text or abstain: weak supervision."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Inside, Name, Ref, Spec, To
from lmspec.specs.checks import votes as checks
from lmspec.specs.checks.bands import bands_are_apart
from lmspec.specs.tabular import Band, Label
from lmspec.specs.turns import Column


class Lexicon(Spec):
    """A list of words; a text votes by those that it has."""

    holds = (bands_are_apart,)
    kind: Literal["lexicon"] = Field(description="words with a label or a weight")
    name: Name = Field(description="what tables call the function")
    of: Annotated[Ref, To(("sources",))] | None = Field(
        description="the source that has the file; null: the repository"
    )
    file: Inside = Field(
        description="one word a line, a tab, and its label or its weight; what follows another tab"
        " is ignored. A word in lower case is found in any case, one with capitals as it is written"
    )
    bands: tuple[Band, ...] | None = Field(
        strict=False,
        min_length=1,
        description="of words with weights: which sums give which label, none in between; null:"
        " words have labels, and a text votes for the one that most of its words have",
    )


class Pattern(Spec):
    """A regular expression; a text that it is found in gets a vote."""

    holds = (checks.pattern_is_of_linear_time,)
    kind: Literal["pattern"] = Field(description="a regular expression")
    name: Name = Field(description="what tables call the function")
    pattern: Annotated[str, Field(min_length=1, max_length=1000)] = Field(
        description="regular expression of Rust (crate regex), searched in the cleaned text in a"
        " time linear in its length; (?i) ignores case; without look-around and back-references"
    )
    label: Label = Field(description="what a text with a match votes for")


class FromColumn(Spec):
    """A column of the table: metadata, or what another model answered."""

    kind: Literal["column"] = Field(description="the value of a column")
    name: Name = Field(description="what tables call the function")
    column: Column = Field(description="name of the column")
    values: dict[str, Label] = Field(
        min_length=1, description="value -> label; any other value abstains"
    )


class VotesLabel(Spec):
    """The label that most labelling functions vote for; without a vote there is none."""

    holds = (checks.functions_have_their_own_names, checks.votes_can_be_enough)
    kind: Literal["votes"] = Field(description="derive the label from labelling functions")
    functions: tuple[
        Annotated[Lexicon | Pattern | FromColumn, Field(discriminator="kind")], ...
    ] = Field(
        strict=False,
        min_length=1,
        max_length=1000,
        description="each votes for a label or abstains",
    )
    model: Literal["majority"] = Field(
        description="what makes one label of votes. majority: what most vote for, none if two have"
        " as many"
    )
    min_votes: int = Field(
        ge=1, le=1000, description="texts with fewer votes for a label have no label"
    )

    def files(self) -> tuple[str, ...]:
        """Files of the repository that are read."""
        return tuple(
            one.file for one in self.functions if isinstance(one, Lexicon) and one.of is None
        )
