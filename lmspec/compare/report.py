"""report: the result of `lmspec diff` as values; every form of output shows this and nothing else.

As JSON it has a schema, report.schema.json. Shares, probabilities and differences are in 0..1,
as the metrics are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from lmspec.specs.names import MetricName

Names = tuple[str, ...]
Numbers = tuple[float, ...]
Interval = tuple[float, float]
Matrix = tuple[tuple[int, ...], ...]  # a row for each true label
Bins = tuple[tuple[float, float, int], ...]  # (mean confidence, accuracy, examples) of each
Family = Literal["test sets", "slices", "explanations", "cases"]
Better = Literal["higher", "lower"]
Verdict = Literal[
    "better",  # significantly, in the direction that the metric's stage declares
    "worse",
    "same",  # the same value, from the same answers; of losses, from the same probabilities
    "inconclusive",  # no significant difference on this test set; see `mde`
    "changed",  # a number without a direction, such as a count of rows
    "untested",  # two values, and nothing in git to estimate their spread from
    "not comparable",
    "missing",  # the artifact exists, its metric does not: a failure
    "new",  # the artifact, or this metric of it, is in the candidate only
    "removed",  # it is in the baseline only, by the specs
]
GateVerdict = Literal[
    "pass", "fail", "undecided", "missing", "out of date", "not comparable", "waived"
]


@dataclass(frozen=True)
class RevisionId:
    """A revision by its name and its full commit hash; None for the working tree."""

    name: str
    commit: str | None


@dataclass(frozen=True)
class Change:
    """A value that differs; `missing` for a revision that lacks it.

    used_by  artifacts that it reaches, if it is in a block
    """

    name: str
    baseline: Any
    candidate: Any
    used_by: Names = ()


@dataclass(frozen=True)
class Rows:
    """Changed rows of one table and label of a corpus, or of a test split.

    relabelled  rows that have this label now and had another
    """

    artifact: str
    table: str
    label: str
    added: int
    removed: int
    relabelled: int


@dataclass(frozen=True)
class Code:
    """A changed file that stages execute.

    what  its changed definitions; empty if only comments or layout changed
    """

    file: str
    what: Names
    stages: Names


@dataclass(frozen=True)
class Changes:
    """Everything that differs but the metrics.

    parameters  leaves of params.yaml
    data        rows added, removed and relabelled
    code        files that stages execute
    toolchain   versions of Python and of packages
    rebuilt     artifacts with other outputs
    new         artifacts in the candidate's spec only; removed: in the baseline's only
    renamed     former name -> new name
    """

    parameters: tuple[Change, ...] = ()
    data: tuple[Rows, ...] = ()
    code: tuple[Code, ...] = ()
    toolchain: tuple[Change, ...] = ()
    rebuilt: Names = ()
    new: Names = ()
    removed: Names = ()
    renamed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seeds:
    """The same metric over trainings with several seeds, on the dev split of the model.

    of                   the model
    baseline, candidate  values, one a seed
    interval             95 %, of the difference of the means (Welch); None for a single seed
    """

    of: str
    baseline: Numbers
    candidate: Numbers
    interval: Interval | None


@dataclass(frozen=True)
class Metric:
    """One number of one artifact in both revisions.

    name        `noun.name.path`; under its new name where the artifact was renamed
    difference  candidate - baseline, on the common examples; None unless both are numbers
    better      the direction of progress, as its stage declares it; None if it has none
    interval    95 %, of the difference, for this metric alone; None if the units are too few
    p, p_holm   two-sided; the verdict goes by p_holm, corrected over the family
    family      `test sets`, `slices` for one class or table, `explanations`, or `cases` of suites;
                None if it was not tested
    mde         minimum detectable effect at 80 % power, at the level of the verdict; None: none is
    method      the test
    examples    common examples
    reason      why it is not comparable, missing or untested; which examples were left out
    """

    name: str
    baseline: Any
    candidate: Any
    difference: float | None
    better: Better | None
    verdict: Verdict
    interval: Interval | None = None
    p: float | None = None
    p_holm: float | None = None
    family: Family | None = None
    mde: float | None = None
    method: str | None = None
    examples: int | None = None
    reason: str | None = None
    seeds: Seeds | None = None


@dataclass(frozen=True)
class Example:
    """A negative flip.

    baseline, candidate  predicted labels; probabilities: of the true label
    text                 None where the dataset is not at hand
    Of generated answers: `label` is the reference, `text` the prompt, a probability the geometric
    mean of those of the reference's tokens. Hashes take the place of texts that are not at hand.
    """

    id: str
    table: str
    label: str
    baseline: str
    candidate: str
    baseline_probability: float
    candidate_probability: float
    text: str | None = None


@dataclass(frozen=True)
class Slice:
    """Flips within one class or table."""

    kind: Literal["class", "table"]
    name: str
    examples: int
    negative_flips: int
    positive_flips: int


@dataclass(frozen=True)
class Flips:
    """Negative flips (right in the baseline, wrong in the candidate) and positive ones.

    rate    negative flips of the common examples
    bound   its upper bound, one-sided, 95 %
    worst   some negative flips; first those whose true label lost the most probability, or whose
            answer has the least in common with the reference
    """

    artifact: str
    dataset: str
    examples: int
    negative_flips: int
    positive_flips: int
    rate: float
    bound: float
    slices: tuple[Slice, ...] = ()
    worst: tuple[Example, ...] = ()


@dataclass(frozen=True)
class Ratio:
    """candidate / baseline of a latency, throughput, size or memory.

    interval  95 %; None if it is exact or was measured once
    method    how the two runs were made comparable
    """

    name: str
    baseline: float
    candidate: float
    ratio: float
    better: Better | None
    verdict: Verdict
    interval: Interval | None = None
    p: float | None = None
    method: str | None = None


@dataclass(frozen=True)
class Distance:
    """How far a metric of some scores is from that of another answer to the same test split.

    against       `majority`, or the scores of the linear baseline; of generated answers, those of
                  the nearest training prompt
    answer        the label that the majority answers; None for scores
    value, other  of the scores, and of what they are held against
    interval      95 %, of the difference, for this metric alone; None if the units are too few
    """

    against: str
    answer: str | None
    metric: str
    value: float
    other: float
    difference: float
    interval: Interval | None


@dataclass(frozen=True)
class Standing:
    """What scores of the candidate are worth beside a constant answer and a simple baseline.

    warnings  what makes them worth little
    """

    artifact: str
    dataset: str
    examples: int
    distances: tuple[Distance, ...]
    warnings: Names


@dataclass(frozen=True)
class Gate:
    """The result of one gate of the candidate's params.yaml.

    metric    pattern of the metrics that it is about
    demand    what it requires, in words: `at least 0.84`
    passed    does it let the change through? If undecided, as its spec says
    observed  the value and its bounds, in words
    needed    if undecided: about how many examples would decide, at the effect observed
    why       of a waiver: its reason, who signed it off, and until when
    line      its line of params.yaml; None if unknown
    margin    largest loss that a non-inferiority gate against the baseline allows; else None
    against   `baseline`, `majority`, or an artifact of the same commit; None for other kinds
    """

    gate: str
    kind: str
    metric: str
    demand: str
    verdict: GateVerdict
    passed: bool
    observed: str
    needed: int | None = None
    why: str | None = None
    line: int | None = None
    margin: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Confusion:
    """How often each label was predicted for each true one.

    baseline, candidate  a row for each true label, in the order of `labels`; None without
                         predictions, or if there are too many labels
    """

    artifact: str
    dataset: str
    labels: Names
    baseline: Matrix | None
    candidate: Matrix | None


@dataclass(frozen=True)
class Calibration:
    """(mean confidence, accuracy, examples) of each bin of confidence that is not empty."""

    artifact: str
    dataset: str
    baseline: Bins
    candidate: Bins


@dataclass(frozen=True)
class Curve:
    """The learning curve of a training: the columns of its curve.csv by name."""

    artifact: str
    baseline: dict[str, Numbers]
    candidate: dict[str, Numbers]


@dataclass(frozen=True)
class Point:
    """A graph or model by size and accuracy; dataset: on whose test split."""

    artifact: str
    dataset: str
    revision: Literal["baseline", "candidate"]
    bytes: int
    accuracy: float


@dataclass(frozen=True)
class Moved:
    """A text whose words two revisions rank differently.

    baseline, candidate              predicted labels
    correlation                      rank correlation of the weights of its words
    baseline_words, candidate_words  of most weight for the candidate's label, the heaviest first;
                                     empty where the text is not at hand
    """

    id: str
    table: str
    label: str
    baseline: str
    candidate: str
    correlation: float
    baseline_words: Names = ()
    candidate_words: Names = ()
    text: str | None = None


@dataclass(frozen=True)
class WordWeight:
    """How much a word speaks for a label, on average over the texts so predicted; in probability.

    texts  of the candidate that have it
    """

    label: str
    word: str
    texts: int
    baseline: float
    candidate: float


@dataclass(frozen=True)
class Drift:
    """How far two revisions explain the same texts alike.

    texts        explained in both, in the same words
    left_out     others that both explain: in other words, or of another of several labels
    correlation  mean rank correlation of the weights of a text's words
    interval     95 %, over texts or groups of them
    moved        the texts of the lowest correlation
    words        those whose weight changed most, what gained first
    """

    artifact: str
    texts: int
    left_out: int
    correlation: float
    interval: Interval
    moved: tuple[Moved, ...] = ()
    words: tuple[WordWeight, ...] = ()


@dataclass(frozen=True)
class Report:
    """What changed, and what it did.

    notes      what could not be checked, and why
    shipped    scores artifacts that a bundle of the candidate quotes: what is released
    standings  of the candidate's scores that changed or are new, and of worthless ones
    remeasured artifacts that were timed again, without a difference, and time the same outputs
    drifts     of explanations that differ
    """

    baseline: RevisionId
    candidate: RevisionId
    changes: Changes
    metrics: tuple[Metric, ...] = ()
    flips: tuple[Flips, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    gates: tuple[Gate, ...] = ()
    notes: Names = ()
    confusion: tuple[Confusion, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    curves: tuple[Curve, ...] = ()
    front: tuple[Point, ...] = ()
    shipped: Names = ()
    standings: tuple[Standing, ...] = ()
    remeasured: Names = ()
    drifts: tuple[Drift, ...] = ()

    @property
    def warnings(self) -> Sequence[str]:
        """What makes scores worth little, each sentence once."""
        return list(dict.fromkeys(text for each in self.standings for text in each.warnings))

    @property
    def blocking(self) -> Sequence[Gate]:
        """Gates that do not pass."""
        return [gate for gate in self.gates if not gate.passed]

    @property
    def lost(self) -> Sequence[tuple[str, str]]:
        """(which metrics are missing, why), one for each artifact and reason."""
        names: dict[tuple[str, str], list[str]] = {}
        for metric in self.metrics:
            if metric.verdict == "missing":
                artifact = str(MetricName.parse(metric.name).artifact)
                reason = metric.reason or "its artifact exists"
                names.setdefault((artifact, reason), []).append(metric.name)
        return [
            (f"{first} and {len(more)} more are missing" if more else f"{first} is missing", reason)
            for (_, reason), (first, *more) in names.items()
        ]

    @property
    def failures(self) -> Sequence[str]:
        """Why the change must not pass, one line each: missing metrics, then gates."""
        return [
            *(f"{what}: {why}" for what, why in self.lost),
            *(f"gate {gate.gate}: {gate.verdict}: {gate.observed}" for gate in self.blocking),
        ]
