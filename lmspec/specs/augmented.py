"""augmented: splits with further training texts, made from those that are there or from a file."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Ref, Spec, To
from lmspec.specs.results import Metric

Share = Annotated[
    float, Field(gt=0, le=1, description="of the training texts: so many, each drawn by itself")
]
Copies = Annotated[
    int, Field(ge=1, le=100, description="made of each drawn text, each with draws of its own")
]
File = Annotated[
    Inside, Field(description="file of the repository with words, sentences and templates")
]


class Typos(Spec):
    """Letters that are swapped, dropped, doubled, or hit beside their key."""

    kind: Literal["typos"] = Field(description="character noise; the label stays")
    share: Share
    copies: Copies
    edits: int = Field(ge=1, le=20, description="letters that are changed in each, at most")


class Dropout(Spec):
    """Words that are left out."""

    kind: Literal["word_dropout"] = Field(description="words are left out; the label stays")
    share: Share
    copies: Copies
    rate: float = Field(gt=0, lt=1, description="chance of each word to be left out")


class Swap(Spec):
    """Neighbouring words that change places."""

    kind: Literal["word_swap"] = Field(description="words change places; the label stays")
    share: Share
    copies: Copies
    swaps: int = Field(ge=1, le=20, description="pairs of neighbours that change places in each")


class Counterfactual(Spec):
    """Terms of `swaps` in the file become others of their list: the same text of someone else."""

    kind: Literal["counterfactual"] = Field(
        description="terms become others of their list; the label stays. Source: Zhao et al. 2018,"
        " arXiv:1804.06876"
    )
    file: File
    share: Share
    copies: Copies


class Negation(Spec):
    """`is bad` becomes `is not bad`, with the other label, by `negation` in the file."""

    kind: Literal["negation"] = Field(
        description="a negated word of polarity turns the label, in short texts with one such word."
        " Source: Kaushik et al. 2020, arXiv:1909.12434"
    )
    file: File
    share: Share
    copies: Copies
    max_words: int = Field(
        ge=3, le=100, description="longer texts may have other reasons for their label, and stay"
    )


class Context(Spec):
    """A sentence of `contexts` in the file, before or after the text."""

    kind: Literal["context"] = Field(
        description="a sentence that says nothing of the label is put beside the text"
    )
    file: File
    share: Share
    copies: Copies


class Templates(Spec):
    """`templates` of the file, with words in their slots."""

    kind: Literal["templates"] = Field(
        description="sentences with their labels. Source: Ribeiro et al. 2020, arXiv:2005.04118"
    )
    file: File
    rows: int = Field(
        ge=1,
        le=10**6,
        description="texts that are drawn, as many from each template as it allows",
    )


Kind = Typos | Dropout | Swap | Counterfactual | Negation | Context | Templates
KINDS = (
    "typos",
    "word_dropout",
    "word_swap",
    "counterfactual",
    "negation",
    "context",
    "templates",
)


class AugmentedSpec(Artifact):
    """Training texts as they are, and more; dev as it is; no test split.

    What is made from a text depends on that text, the seed and the number of the copy alone. A text
    that is in dev or test is not made. What a model that is trained on it has seen are the splits.
    """

    noun = "augmented"
    is_data = True
    metrics = (
        Metric("train.documents"),
        Metric("train.label.{label}"),
        Metric("dev.documents"),
        *(Metric(f"added.{kind}") for kind in KINDS),
        Metric("left_out.unchanged"),
        Metric("left_out.repeated"),
        Metric("left_out.held_out"),
    )
    of: Annotated[Ref, To(("splits",), reads=("train", "dev"))] = Field(
        description="splits whose train split is added to, and whose dev split is handed on"
    )
    seed: int = Field(ge=0, lt=2**31, description="of all draws")
    add: tuple[Annotated[Kind, Field(discriminator="kind")], ...] = Field(
        strict=False, min_length=1, max_length=20, description="what is made, in this order"
    )

    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._files()))

    def _files(self) -> Iterator[str]:
        for kind in self.add:
            if isinstance(kind, Counterfactual | Negation | Context | Templates):
                yield kind.file
