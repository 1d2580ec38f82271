"""queue: the rows to label next: those from which a model would learn most."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, To
from lmspec.specs.checks import queue as checks
from lmspec.specs.features import Features, modules
from lmspec.specs.results import Metric, Table


class QueueSpec(Artifact):
    """Rows of a pool that no row of `of` has the text of, the first to label first."""

    noun = "queue"
    numerics = True
    final = True
    metrics = (
        Metric("pool"),
        Metric("labelled"),
        Metric("rows"),
        Metric("mean_margin", share=True),
    )
    reports = (Table("rows"),)
    holds = (checks.features_are_used,)
    pool: Annotated[Ref, To(("corpus",))] = Field(
        description="the corpus that rows are drawn from, whether it has labels or not"
    )
    of: Annotated[Ref, To(("corpus", "splits"))] = Field(
        description="what has labels already: a classifier is fitted to it (of splits, to train)"
    )
    strategy: Literal["margin", "entropy", "diverse", "random"] = Field(
        description="which rows come first. margin: those whose two most likely labels are nearly"
        " as likely; entropy: those with the most even probabilities; diverse: of ten times as many"
        " by margin, one of each cluster; random: any, to compare with"
    )
    features: Features | None = Field(
        description="what the classifier reads of a text; null: of strategy random, which has none"
    )
    n: int = Field(ge=1, le=10_000, description="number of rows")
    seed: int = Field(ge=0, lt=2**31, description="seed of clusters and of random order")

    def modules(self) -> tuple[str, ...]:
        return modules(self.features)
