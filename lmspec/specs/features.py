"""features: what a cheap classifier reads of texts, where it only helps to choose rows."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.architecture import (
    CharOrders,
    Encoder,
    MaxFeatures,
    MaxLength,
    MinDocuments,
    WordOrders,
)
from lmspec.specs.base import Spec
from lmspec.specs.checks import architecture as checks

InverseRegularization = Annotated[
    float,
    Field(gt=0, le=1e9, description="of the logistic regression on these features (C)"),
]


class Ngrams(Spec):
    """TF-IDF of word and character n-grams, as of a model of kind linear."""

    holds = (checks.n_grams_are_given, checks.n_gram_orders_are_in_order)
    kind: Literal["linear"] = Field(description="TF-IDF of n-grams")
    word_ngrams: WordOrders
    char_ngrams: CharOrders
    min_documents: MinDocuments
    max_features: MaxFeatures
    inverse_regularization: InverseRegularization


class Frozen(Spec):
    """The mean over the tokens of a frozen encoder, as of a model of kind embedding."""

    kind: Literal["embedding"] = Field(description="frozen pretrained weights")
    weights: Encoder
    max_length: MaxLength
    inverse_regularization: InverseRegularization


Features = Annotated[Ngrams | Frozen, Field(discriminator="kind")]


def modules(features: Ngrams | Frozen | None) -> tuple[str, ...]:
    """What computes them, beside what a stage imports."""
    return ("lmspec.architectures.embedding",) if isinstance(features, Frozen) else ()
