"""explained: which words the answers of a model rest on, and how far these explanations hold."""

from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Ref, Spec, To
from lmspec.specs.checks import explained as checks
from lmspec.specs.results import ESTIMATES, Better, Metric, Of, Table
from lmspec.specs.scores import GRAPHS, MODELS

TEXTS, WORDS = Table("texts"), Table("words")
LABELS: tuple[Of, ...] = ("labels",)
BESIDE = "beside"  # the field that names other explanations
MODEL, GRAPH = "stages.explained_model", "stages.explained_graph"
# of models that write
WRITER = ("stages.explained_writer", "lmspec.writing.torchdecoder")
WRITING_GRAPH = ("stages.explained_decoder", "lmspec.formats.decoder")
ANSWER_GRADIENTS = "lmspec.writing.answergradients"
COMPUTED_BY = {  # methods that look into a network -> their module
    "integrated_gradients": "lmspec.methods.gradients",
    "gradient_x_input": "lmspec.methods.gradients",
    "attention_rollout": "lmspec.methods.rollout",
}


def _estimated(path: str, better: Better) -> tuple[Metric, ...]:
    """A mean over texts, and the ends of its 95 % interval, which have no direction."""
    mean, *ends = ESTIMATES
    return Metric(f"{path}.{mean}", better), *(Metric(f"{path}.{end}") for end in ends)


class IntegratedGradients(Spec):
    """Gradients on the way from the masked text to the text, summed.

    Source: Sundararajan et al. 2017, arXiv:1703.01365.
    """

    kind: Literal["integrated_gradients"] = Field(
        description="gradients on the way from the masked text to the text; they sum to what that"
        " changes. Of networks, not of graphs"
    )
    steps: int = Field(
        ge=1,
        le=1024,
        description="equal parts into which the way is cut at first; Simpson's rule is applied to"
        " each",
    )
    max_completeness_delta: float = Field(
        gt=0,
        le=1,
        description="the attributions of a text sum to the change of its probability within this: a"
        " part of the way is halved, at most ten times, while its own sum is off by more than half"
        " of it",
    )


class GradientTimesInput(Spec):
    """One gradient, times the embedding. Source: Shrikumar et al. 2016, arXiv:1605.01713."""

    kind: Literal["gradient_x_input"] = Field(
        description="one gradient, times the embedding; cheap, and less faithful. Of networks"
    )


class Occlusion(Spec):
    """Source: Li et al. 2016, arXiv:1612.08220 (erasure)."""

    kind: Literal["occlusion"] = Field(
        description="what the probability loses without the word, each word by itself"
    )


class Shapley(Spec):
    """Source: Castro et al. 2009, doi:10.1016/j.cor.2008.04.004 (sampled permutations)."""

    kind: Literal["shapley"] = Field(
        description="what the probability gains by the word, on average over the orders in which"
        " the words of the text may be added"
    )
    permutations: int = Field(
        ge=1, le=10_000, description="orders that are drawn of the words of each text"
    )
    exact_words: int = Field(
        ge=0, le=12, description="texts of at most so many words are computed without draws"
    )


class AttentionRollout(Spec):
    """Source: Abnar & Zuidema 2020, arXiv:2005.00928."""

    kind: Literal["attention_rollout"] = Field(
        description="attention through all layers, whatever it does to the answer: a baseline."
        " Of kind transformer"
    )


class Random(Spec):
    """A control that no gate may let through."""

    kind: Literal["random"] = Field(description="random numbers: the control of what is measured")


class Rows(Spec):
    """Which texts are explained: those of the lowest hashes, so that two commits share most."""

    split: Literal["train", "dev", "test"] = Field(description="the split that they are from")
    texts: int = Field(ge=1, le=100_000, description="number of texts; all, if it has fewer")


class Control(Spec):
    """Explanations of a network with shuffled weights must be others.

    Source: Adebayo et al. 2018, arXiv:1810.03292.
    """

    seed: int = Field(ge=0, le=2**31 - 1, description="of the order into which weights are put")
    texts: int = Field(ge=1, le=100_000, description="how many of the texts are explained again")


class Answers(Spec):
    """Whose tokens the words of a prompt make likely."""

    text: Literal["generated", "reference"] = Field(
        description="what the model writes, always its most probable token; or the answer of the"
        " row, which is the same in all revisions"
    )
    tokens: int = Field(ge=1, le=4096, description="of an answer, at most; what follows is cut")


class ExplainedSpec(Artifact):
    """Attributions of words to the predicted label, with measures of their faithfulness.

    Of a model that writes: of the words of a prompt to the log probability of its answer.

    git keeps those of each text, which `lmspec diff` compares, and the words of most weight.
    """

    noun = "explained"
    numerics = True
    final = True
    origin = "of"
    metrics = (
        Metric("texts"),
        Metric("words_per_text"),
        *_estimated("comprehensiveness", "higher"),
        *_estimated("sufficiency", "lower"),
        *_estimated("over_random.comprehensiveness", "higher"),
        *_estimated("over_random.sufficiency", "higher"),
        *_estimated("area_over_perturbation_curve", "higher"),
        Metric("completeness_delta.median", "lower"),
        Metric("completeness_delta.max", "lower"),
        *_estimated("randomized_weights", "lower"),
        Metric("flipped.texts", share=True, of=LABELS),
        Metric("flipped.words", of=LABELS),
        *_estimated("agreement.{other}", "higher"),
        Metric("agreement.{other}.texts"),
    )
    reports = (TEXTS, WORDS)
    holds = (checks.fractions_ascend, checks.beside_each_once)
    of: Annotated[Ref, To(MODELS + GRAPHS)] = Field(
        description="the model or graph whose predictions are explained; a graph as it is served"
    )
    on: Annotated[Ref, To(("splits",))] = Field(description="splits whose texts are explained")
    rows: Rows = Field(description="which of its texts")
    method: Annotated[
        IntegratedGradients | GradientTimesInput | Occlusion | Shapley | AttentionRollout | Random,
        Field(discriminator="kind", description="how a word gets its share of the answer"),
    ]
    answers: Answers | None = Field(
        default=None, description="of models that write: the answers that are explained"
    )
    masking: Literal["mask", "remove"] = Field(
        description="what a word leaves behind that is taken away: mask tokens, or nothing. Only"
        " pretrained encoders have a mask token; of models that write it is white space"
    )
    fractions: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        strict=False,
        min_length=1,
        description="shares of the words that are taken away, or kept alone, those of most weight"
        " first: comprehensiveness and sufficiency are means over them",
    )
    batch_size: int = Field(
        ge=1,
        le=65536,
        description="versions of a text that are predicted together; with int8 it changes the bits,"
        " and 1 is what is served. Of models that write it changes nothing",
    )
    control: Control = Field(description="the same method on shuffled weights")
    beside: tuple[Annotated[Ref, To(("explained",))], ...] = Field(
        strict=False, description="other explanations, whose agreement on common texts is measured"
    )

    def modules(self) -> tuple[str, ...]:
        is_model, inside = self.of.noun in MODELS, COMPUTED_BY.get(self.method.kind)
        if self.answers is not None:
            inside = ANSWER_GRADIENTS if inside else None
            return (*(WRITER if is_model else WRITING_GRAPH), *filter(None, [inside]))
        return (MODEL if is_model else GRAPH, *filter(None, [inside]))

    def reads_like(self) -> Ref | None:
        return self.of if self.of.noun in MODELS else None
