"""folds: a model trained several times, each time without some rows, which it then answers."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.corpus import NearDuplicates
from lmspec.specs.results import Metric, Table

FOLDS = Table("folds", {"x": "fold", "y": "accuracy", "template": "bar_horizontal"})


class FoldsSpec(Artifact):
    """k-fold cross-validation: every row is answered by a model that has not seen it.

    For few rows, whose test split would be too small to show anything: `scores` with `of:
    folds.NAME` has every row of the splits. Source: Stone 1974, JRSS B 36.
    """

    noun = "folds"
    numerics = True
    origin = "of"
    metrics = (Metric("rows"), Metric("smallest_fold"), Metric("fewest_training_rows"))
    reports = (FOLDS,)
    of: Annotated[Ref, To(("model",), section=True)] = Field(
        description="the model whose architecture and training are used, on the rows of its splits"
    )
    folds: int = Field(
        ge=2,
        le=100,
        description="parts of the rows, with labels in proportion; a model is trained without each",
    )
    dev: float | None = Field(
        gt=0,
        le=0.5,
        description="share of the rows of the other folds on which a training stops early; null:"
        " the dev split, which is then in no fold",
    )
    keep_together: NearDuplicates | None = Field(
        description="put near-duplicates into the same fold, as the splits do; null: only groups"
        " are kept together"
    )
    seed: int = Field(ge=0, lt=2**31, description="seed of the folds, and of their dev parts")
