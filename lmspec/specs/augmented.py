"""augmented: splits with further training texts, made from those that are there or from a file."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from lmspec.specs.base import Artifact, Inside, Ref, Spec, To
from lmspec.specs.checks import augmented as checks
from lmspec.specs.generation import Greedy, Sample
from lmspec.specs.results import Metric
from lmspec.specs.scores import GRAPHS, MODELS, format_of

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


class WordNet(Spec):
    """The database files of WordNet: data.noun, .verb, .adj, .adv and index.sense."""

    kind: Literal["wordnet"] = Field(
        description="WordNet: the other words of a word's most frequent sense; those with an"
        " antonym stay. Source: Miller 1995, doi:10.1145/219717.219748"
    )
    of: Annotated[Ref, To(("sources",))] = Field(description="the source that holds the files")


class WordTable(Spec):
    """A line for each pair: a word, and what may be in its place."""

    kind: Literal["table"] = Field(
        description="a file in UTF-8 with two columns and no header: a word and its synonym"
    )
    of: Annotated[Ref, To(("sources",))] = Field(description="the source that holds the file")
    file: Inside = Field(description="path inside the source's folder")
    separator: Literal["tab", "comma"] = Field(
        description="what is between them; fields with commas are in quotes (RFC 4180)"
    )


class Synonyms(Spec):
    """Words that become others of the same meaning."""

    kind: Literal["synonyms"] = Field(
        description="words become synonyms; the label stays. Negations are never replaced. Source:"
        " Zhang et al. 2015, arXiv:1509.01626; Wei & Zou 2019, arXiv:1901.11196"
    )
    words: Annotated[
        WordNet | WordTable, Field(discriminator="kind", description="which words stand for others")
    ]
    share: Share
    copies: Copies
    rate: float = Field(
        gt=0, le=1, description="chance of each word that has synonyms; one of them at least"
    )
    keep: tuple[Annotated[str, Field(min_length=1, max_length=100)], ...] = Field(
        strict=False,
        max_length=10_000,
        description="words that stay, whatever their case: those by which texts have their label",
    )


class Mixing(Spec):
    """Two training texts of one label become one."""

    kind: Literal["mixing"] = Field(
        description="a text and another one of its label are joined. Source: Luque 2019,"
        " arXiv:1909.11241 (instance crossover)"
    )
    share: Share
    copies: Copies
    parts: Literal["texts", "halves", "sentences"] = Field(
        description="texts: both, one after the other; halves: the first half of the words of one,"
        " and the second half of those of the other; sentences: half of the sentences of each"
    )


class Paraphrase(Spec):
    """The text in other words, by a model of the project that writes."""

    holds = (checks.prompt_has_the_text, checks.copies_differ, checks.lengths_are_in_order)
    kind: Literal["paraphrase"] = Field(
        description="a model that writes says it in other words; the label stays"
    )
    of: Annotated[Ref, To(MODELS)] = Field(description="the model that writes")
    prompt: str = Field(
        min_length=1,
        max_length=20_000,
        description="what it is asked, {text} and all; {label} may be in it, too. A model with a"
        " `prompt` of its own has this as the turn of the user",
    )
    share: Share
    copies: Copies
    decode: Annotated[Greedy | Sample, Field(discriminator="kind")] = Field(
        description="how the next token is chosen"
    )
    new_tokens: int = Field(ge=1, le=131_072, description="tokens of a paraphrase, at most")
    stop: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field(
        strict=False, max_length=16, description="texts that end it and are cut from it"
    )
    batch_size: int = Field(ge=1, le=65536, description="texts that are written side by side")
    min_length: float = Field(
        gt=0, le=1, description="shorter ones are left out: words, as a share of those of the text"
    )
    max_length: float = Field(
        ge=1, le=100, description="longer ones are left out: words, as a multiple of the text's"
    )
    agrees: Annotated[Ref, To(MODELS + GRAPHS)] | None = Field(
        description="a classifier that must give a paraphrase the label of its text, else it is"
        " left out; null: all are taken"
    )


Kind = (
    Typos
    | Dropout
    | Swap
    | Counterfactual
    | Negation
    | Context
    | Templates
    | Synonyms
    | Mixing
    | Paraphrase
)
KINDS = (  # in this order: the place of a kind is in the key of its draws
    "typos",
    "word_dropout",
    "word_swap",
    "counterfactual",
    "negation",
    "context",
    "templates",
    "synonyms",
    "mixing",
    "paraphrase",
)
# kind -> the script that makes it, in the keys of those artifacts alone that name it
FURTHER = {
    "synonyms": "stages.augmented_synonyms",
    "mixing": "stages.augmented_mixing",
    "paraphrase": "stages.augmented_paraphrase",
}


class AugmentedSpec(Artifact):
    """Training texts as they are, and more; dev as it is; no test split.

    What is made from a text depends on that text, the seed and the number of the copy alone. A text
    that is in dev or test is not made. What a model that is trained on it has seen are the splits.
    """

    noun = "augmented"
    numerics = True  # of models that write, or judge what is written
    is_data = True
    metrics = (
        Metric("train.documents"),
        Metric("train.label.{label}"),
        Metric("dev.documents"),
        *(Metric(f"added.{kind}") for kind in KINDS),
        Metric("left_out.unchanged"),
        Metric("left_out.repeated"),
        Metric("left_out.held_out"),
        Metric("left_out.unsuitable"),
        Metric("left_out.disagreed"),
    )
    holds = (checks.one_classifier_agrees,)
    of: Annotated[Ref, To(("splits",), reads=("train", "dev"))] = Field(
        description="splits whose train split is added to, and whose dev split is handed on"
    )
    seed: int = Field(ge=0, lt=2**31, description="of all draws")
    add: tuple[Annotated[Kind, Field(discriminator="kind")], ...] = Field(
        strict=False, min_length=1, max_length=20, description="what is made, in this order"
    )

    def modules(self) -> tuple[str, ...]:
        own = [FURTHER[kind.kind] for kind in self.add if kind.kind in FURTHER]
        judges = [format_of(judge) for judge in self._judges()]
        return tuple(dict.fromkeys([*own, *judges]))

    def reads_like(self) -> Ref | None:
        return next((judge for judge in self._judges() if judge.noun in MODELS), None)

    def _judges(self) -> Iterator[Ref]:
        yield from (
            kind.agrees for kind in self.add if isinstance(kind, Paraphrase) and kind.agrees
        )

    def files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._files()))

    def _files(self) -> Iterator[str]:
        for kind in self.add:
            if isinstance(kind, Counterfactual | Negation | Context | Templates):
                yield kind.file
