"""card: what a model card has beside its scores, and from which artifacts."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Ref, Spec, To

Prose = Annotated[str, Field(min_length=1, max_length=20_000)]


class Card(Spec):
    """A longer model card, and the same as a page, `card.html`.

    Numbers come from artifacts alone; what no artifact has, the card says is not measured. Prose is
    marked as its authors'. Source: Mitchell et al. 2019, arXiv:1810.03993; Gebru et al. 2018,
    arXiv:1803.09010.
    """

    examined: Annotated[Ref, To(("examined",))] | None = Field(
        description="suites of cases of the same model, whose rates it shows; null: none"
    )
    explained: Annotated[Ref, To(("explained",))] | None = Field(
        description="explanations of the same model, of which it shows some; null: none"
    )
    attacked: Annotated[Ref, To(("attacked",))] | None = Field(
        default=None,
        description="attacks on the same model: whether its train texts are known from its answers;"
        " without it, the card says that this is not measured",
    )
    texts: int = Field(
        ge=0,
        le=100,
        description="test texts of `explained` that it shows, as many right as wrong; 0: none,"
        " since a bundle travels further than its test texts may",
    )
    contact: Prose | None = Field(description="whom to ask, and who maintains it (Markdown)")
    data: Prose | None = Field(
        description="why and how the data were collected, by whom, and their licenses (Markdown)"
    )
    compute: Prose | None = Field(
        default=None,
        description="time and energy of its trainings, and how they were measured (Markdown); no"
        " artifact has them, since each build of it has the same bytes. Without it, the card says"
        " that they are not measured",
    )
    considerations: Prose | None = Field(
        description="whom it may harm, and what was done about that (Markdown)"
    )
