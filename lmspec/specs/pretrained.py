"""pretrained: an encoder trained further on the texts of a domain, for models to start from."""

from typing import Annotated

from pydantic import Field

from lmspec.specs.architecture import Dropout, FrozenEmbeddings, FrozenLayers, MaxLength
from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import pretrained as checks
from lmspec.specs.checks.training import nothing_else_is_private, weights_are_trained_further
from lmspec.specs.results import COVERAGE, WATCHED, Metric
from lmspec.specs.training import CURVE, Training

QUALITY = tuple((name, WATCHED[name]) for name in checks.WATCHED)
Share = Annotated[float, Field(ge=0, le=1)]


class Masking(Spec):
    """Which tokens are to be guessed. Source: Devlin et al. 2019, arXiv:1810.04805."""

    holds = (checks.shares_are_of_a_whole,)
    share: float = Field(
        gt=0,
        lt=1,
        description="share of a text's tokens that are guessed, at least one; the authors' is 0.15",
    )
    masked: Share = Field(description="share of these that the mask replaces; the authors' is 0.8")
    random: Share = Field(
        description="share of these that any other token replaces; the authors' is 0.1. The rest"
        " stay as they are"
    )


class PretrainedSpec(Artifact):
    """Masked language model: guess tokens of texts, whose labels are not read.

    Source: Gururangan et al. 2020, arXiv:2004.10964.
    """

    noun = "pretrained"
    numerics = True
    metrics = (
        *(Metric(f"dev.{name}", better, better == "higher") for name, better in QUALITY),
        Metric("dev.perplexity", "lower"),
        *(Metric(f"before.{name}", share=better == "higher") for name, better in QUALITY),
        Metric("before.perplexity"),
        *(Metric(f"seeds.{{seed}}.{n}", better, better == "higher") for n, better in QUALITY),
        *(
            Metric(f"over_seeds.{{estimate}}.{n}", better, better == "higher")
            for n, better in QUALITY
        ),
        Metric("best_step"),
        Metric("steps"),
        Metric("parameters"),
        *(Metric(f"train.{metric.path}", share=metric.share) for metric in COVERAGE),
    )
    reports = (CURVE,)
    holds = (checks.guesses_are_watched, weights_are_trained_further, nothing_else_is_private)
    of: Annotated[Ref, To(("sources", "pretrained"))] = Field(
        description="the encoder: a folder with config.json, model.safetensors and tokenizer.json"
    )
    on: Annotated[Ref, To(("splits",), reads=("train", "dev"))] = Field(
        description="splits whose texts are learned from (train) and stop it early (dev)"
    )
    max_length: MaxLength
    dropout: Dropout = Field(description="of hidden states and attention")
    frozen_embeddings: FrozenEmbeddings
    frozen_layers: FrozenLayers
    masking: Masking = Field(description="which tokens are to be guessed")
    training: Training = Field(description="how the weights are fitted")
