"""results: what `lmspec show` finds, as values; every form shows this and nothing else.

Shares, probabilities and differences are in 0..1; intervals are two-sided, at 95 %.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmspec.compare.report import Gate, Interval

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A metric, or the difference of one, with its interval. why: there is no interval."""

    value: float
    interval: Interval | None
    why: str | None = None


@dataclass(frozen=True)
class Problem:
    """What is not built, out of date, or wrong with a result. remedy: what to do."""

    artifact: str
    found: str
    remedy: str


@dataclass(frozen=True)
class Score:
    """Scores on one dataset.

    of           the model or graph that was scored
    majority     macro F1 against the constant answer of the most frequent label
    linear       macro F1 against the linear baseline on the same dataset
    answer       the label that nearly all answers are; None if there is no such
    bytes        of the graph, or of the weights in fp32
    latency_ms   median time for one text
    shipped      does a bundle hold what was scored?
    """

    scores: str
    of: str
    dataset: str
    examples: int
    accuracy: Estimate
    macro_f1: Estimate
    majority: Estimate | None
    linear: Estimate | None
    answer: str | None
    bytes: int | None
    latency_ms: float | None
    shipped: bool


@dataclass(frozen=True)
class TextScore:
    """Scores of generated or chosen answers on one dataset.

    metrics  exact match, BLEU, chrF, log loss, or those of choices: as far as there are any
    nearest  chrF against the answers to the nearest training prompts, on the same prompts
    tokens_per_second  written in one text
    bytes, shipped     as of `Score`
    """

    scores: str
    of: str
    dataset: str
    examples: int
    metrics: Mapping[str, Estimate]
    nearest: Estimate | None
    bytes: int | None
    tokens_per_second: float | None
    shipped: bool


@dataclass(frozen=True)
class Overview:
    """The project in short.

    scores    of labels; answers: of generated texts; choices: among given answers
    baseline  dataset -> scores of the simple baseline: a linear model, or nearest prompts
    """

    scores: Sequence[Score]
    answers: Sequence[TextScore]
    choices: Sequence[TextScore]
    baseline: Mapping[str, str]
    gates: Sequence[Gate]
    problems: Sequence[Problem]


@dataclass(frozen=True)
class ClassScore:
    """One label of a test split: F1 with its interval, precision, recall; None without answers."""

    label: str
    examples: int
    f1: Estimate | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Confused:
    """How often one label was answered for another. share: of the examples of `label`."""

    label: str
    predicted: str
    examples: int
    share: float


@dataclass(frozen=True)
class Bin:
    """Answers of similar confidence. confidence: their mean."""

    low: float
    high: float
    examples: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Part:
    """Accuracy on a part of the test split: one table, or texts of some length."""

    kind: str
    name: str
    examples: int
    accuracy: float
    interval: Interval


@dataclass(frozen=True)
class Mistake:
    """A wrong answer. text: None if the data are not here."""

    id: str
    table: str
    label: str
    predicted: str
    confidence: float
    text: str | None


@dataclass(frozen=True)
class OnDataset:
    """Scores on one dataset, in detail.

    matrix  a row for each true label; None for many labels
    rates   metric, such as `abstention.unsure` -> share, with the interval that its stage found
    """

    score: Score
    metrics: Mapping[str, Estimate]
    classes: Sequence[ClassScore]
    labels: Sequence[str]
    matrix: Sequence[Sequence[int]] | None
    confused: Sequence[Confused]
    bins: Sequence[Bin]
    parts: Sequence[Part]
    mistakes: Sequence[Mistake]
    rates: Mapping[str, Estimate]


@dataclass(frozen=True)
class Answer:
    """A generated answer far from its reference.

    similarity  its chrF alone, 0 to 100
    prompt, reference, text  None if the data are not here
    """

    id: str
    table: str
    similarity: float
    prompt: str | None
    reference: str | None
    text: str | None


@dataclass(frozen=True)
class OnPrompts:
    """Scores of generated answers on one dataset, in detail.

    metrics  name -> value with its interval; facts: name -> number, as the stage reported them
    parts    exact matches by table
    lengths  tokens generated -> how many answers; empty for a model that looks answers up
    worst    the answers that have the least in common with their references
    """

    score: TextScore
    metrics: Mapping[str, Estimate]
    facts: Mapping[str, float]
    parts: Sequence[Part]
    lengths: Mapping[str, int]
    worst: Sequence[Answer]


@dataclass(frozen=True)
class Failure:
    """A case that does not pass.

    expected, predicted  the label that it must have, or whose probability is watched; and its own
    before, probability  of `expected`: of the text before the change (None: there is none), and of
                         this one
    text                 None if it is of a test split whose data are not here
    """

    id: str
    expected: str
    predicted: str
    before: float | None
    probability: float | None
    text: str | None


@dataclass(frozen=True)
class SuiteResult:
    """A suite of cases. metric: `pass_rate`, or `gap` of groups.

    cases  or templates, of groups
    means  term -> mean probability in all templates, the lowest first; of groups alone
    """

    suite: str
    metric: str
    found: Estimate
    cases: int
    means: Mapping[str, float]
    worst: Sequence[Failure]


@dataclass(frozen=True)
class TracedLayer:
    """Share of the answer that comes with a layer's states, at each of POSITIONS."""

    name: str
    shares: Mapping[str, Estimate]


@dataclass(frozen=True)
class TracedPair:
    """Two texts that differ in one word.

    tokens    of the other text; word: numbers of those that differ
    restored  of each layer: the share that comes with each token
    """

    id: str
    one: str
    other: str
    answers: Sequence[str]
    log_odds: Sequence[float]
    tokens: Sequence[str]
    word: Sequence[int]
    layers: Sequence[str]
    restored: Sequence[Sequence[float]]


@dataclass(frozen=True)
class Known:
    """What a layer knows of a concept, and what the answers are worth without it."""

    concept: str
    layer: str
    texts: int
    majority: float
    probe: Estimate
    erased: Estimate
    accuracy: Estimate
    without: Estimate
    lost: Estimate


@dataclass(frozen=True)
class TracedPart:
    """Weights of a part of the network. None: it has none of that, or it was not asked for."""

    name: str
    weights: int
    norm: float
    zero: int
    changed: float | None
    state_norm: float | None
    units: int | None
    dead: int | None


@dataclass(frozen=True)
class Traces:
    """What was traced.

    state    why it is not what params.yaml asks for; None if it is
    against  the network with which weights are compared
    pairs    with their tokens; empty unless the data are here
    """

    name: str
    of: str
    on: str
    state: str | None
    against: str | None
    count: int
    left_out: int
    difference: Estimate | None
    layers: Sequence[TracedLayer]
    concepts: Sequence[Known]
    parts: Sequence[TracedPart]
    pairs: Sequence[TracedPair] = ()

    @property
    def decided(self) -> str | None:
        """The first layer after which most of the answer has left the word; None if none has."""
        return next((one.name for one in self.layers if one.shares["word"].value < 0.5), None)


@dataclass(frozen=True)
class NGram:
    """One of the heaviest n-grams of a linear model, for a label."""

    label: str
    ngram: str
    weight: float


@dataclass(frozen=True)
class Detail:
    """One artifact.

    references  what it is made from
    used_by     artifacts made from it
    scored      scores of it, if it is a model or a graph
    written     the same of models that write
    prompts     of scores of generated answers, in place of `datasets`
    suites      of what was examined
    traced      of a network that was looked into
    metrics     dotted name -> number or text, as its stage reported them
    over_seeds  dev metric -> its mean over several trainings, with their interval
    seeds       number of these trainings
    curve       columns of its training curve by name
    """

    artifact: str
    references: Sequence[str]
    used_by: Sequence[str]
    scored: Sequence[Score]
    written: Sequence[TextScore]
    metrics: Mapping[str, Any]
    datasets: Sequence[OnDataset]
    prompts: Sequence[OnPrompts]
    suites: Sequence[SuiteResult]
    traced: Traces | None
    over_seeds: Mapping[str, Estimate]
    seeds: int
    curve: Mapping[str, Sequence[float]]
    ngrams: Sequence[NGram]
    problems: Sequence[Problem]
