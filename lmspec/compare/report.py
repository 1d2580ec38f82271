"""report: all that `lmspec diff` has found, as values: every form of output shows this and nothing else.

As JSON it has a schema, report.schema.json. Shares, probabilities and differences are in 0..1, as the metrics are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["test sets", "slices"]
Better = Literal["higher", "lower"]
Verdict = Literal[
    "better",  # the difference is one, in the direction that the metric's stage declares
    "worse",
    "same",  # the same value, from the same predictions
    "~",  # no difference that this test set could show
    "changed",  # a fact, such as a number of rows: it has no direction, or is exact
    "untested",  # two values, and nothing in git from which their spread could be told
    "not comparable",
    "missing",  # the artifact is there, its metric is not: a failure
    "new",  # the artifact, or this metric of it, is in the new spec alone
    "removed",  # the same of the old spec
]
GateVerdict = Literal["pass", "fail", "undecided", "missing", "stale", "not comparable", "waived"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Side:
    """One of the two that are compared. commit: its hash in full; None for the working tree."""

    name: str
    commit: str | None


@dataclass(frozen=True)
class Change:
    """A value that is another. A side that lacks it has `missing`, which forms for people show as a dash."""

    name: str
    baseline: Any
    candidate: Any


@dataclass(frozen=True)
class Rows:
    """What happened to the rows of one table and label of a corpus, or of a test split.

    relabelled  that had another label before, and have this one now
    """

    artifact: str
    table: str
    label: str
    added: int
    removed: int
    relabelled: int


@dataclass(frozen=True)
class Code:
    """A file of code that stages execute. what: names of its changed definitions; empty if only comments or layout changed."""

    file: str
    what: tuple[str, ...]
    stages: tuple[str, ...]


@dataclass(frozen=True)
class Changes:
    """What was changed, before what that did.

    parameters  of params.yaml, one for each leaf
    data        rows in, out and relabelled
    code        of files in the closure of a stage
    toolchain   versions of Python and of packages
    rebuilt     artifacts with other outputs; new, removed: by the specs; renamed: old name -> new name
    """

    parameters: tuple[Change, ...] = ()
    data: tuple[Rows, ...] = ()
    code: tuple[Code, ...] = ()
    toolchain: tuple[Change, ...] = ()
    rebuilt: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seeds:
    """The same metric over trainings with several seeds, on the dev split of what was trained.

    baseline, candidate  its values; interval: of the difference of the means (Welch), 95 %; None if a side has one seed alone
    """

    of: str
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    interval: Interval | None


@dataclass(frozen=True)
class Metric:
    """One number of one artifact on both sides.

    name        `noun.key.path`; under its new name where the artifact was renamed
    difference  candidate - baseline, on the examples that were compared; None if one is missing or no number
    better      the direction of progress, as its stage declared it; None: it has none
    interval    of the difference, 95 %, for this metric alone
    p, p_holm   two-sided; p_holm corrected for all metrics of its family, and the verdict goes by it
    family      `test sets`, or `slices` for one class or table; None if it was not tested
    smallest    smallest difference that this test set would have shown in four of five cases, at the level of the verdict
    method      how it was tested
    examples    that were compared
    reason      why it is not comparable, missing or untested; what was left out
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
    smallest: float | None = None
    method: str | None = None
    examples: int | None = None
    reason: str | None = None
    seeds: Seeds | None = None


@dataclass(frozen=True)
class Example:
    """A test text that was right and is wrong now. Probabilities are of its true label; text: None where it is not at hand."""

    id: str
    table: str
    label: str
    baseline: str
    candidate: str
    old_probability: float
    new_probability: float
    text: str | None = None


@dataclass(frozen=True)
class Slice:
    """Flips within one class or table. kind: `class` or `table`."""

    kind: Literal["class", "table"]
    name: str
    examples: int
    negative_flips: int
    positive_flips: int


@dataclass(frozen=True)
class Flips:
    """Examples that were right and are wrong now (broken), and back (mended), of one artifact on one test split.

    rate    broken of all examples that both sides have
    bound   upper, one-sided, 95 %; in groups: Korn & Graubard 1998
    worst   some of the broken, those first whose true label lost the most probability
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
    """new / old of a latency, throughput, size or memory. interval: 95 %; None for what was measured once or is exact.

    method  how the two were made comparable
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
class Gate:
    """What a gate of the new side's params.yaml says.

    metric    what it is about
    demand    its demand in words: `at least 0.84`
    found     what was found, in words, with the interval where it has one
    needed    about how many examples would decide, if what was seen stays as it is; for one that is undecided
    passed    does it let the change through? An undecided one as its spec says
    why       of a failure, or of a waiver: its reason, who signed it off, and until when
    line      of params.yaml at which it stands; None if that is not known
    margin    largest loss that a non-inferiority gate allows; None for other kinds
    """

    gate: str
    kind: str
    metric: str
    demand: str
    verdict: GateVerdict
    passed: bool
    found: str
    needed: int | None = None
    why: str | None = None
    line: int | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Confusion:
    """How often each label was predicted for each.

    old, new  rows are the true labels, in the order of `labels`; None if that side has none, both if the labels are too many
    """

    artifact: str
    dataset: str
    labels: tuple[str, ...]
    baseline: tuple[tuple[int, ...], ...] | None
    candidate: tuple[tuple[int, ...], ...] | None


@dataclass(frozen=True)
class Calibration:
    """Of one artifact on one test split: per bin of confidence (mean confidence, accuracy, examples); empty bins left out."""

    artifact: str
    dataset: str
    baseline: tuple[tuple[float, float, int], ...]
    candidate: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True)
class Curve:
    """How a training went on both sides: columns of its curve.csv by name."""

    artifact: str
    baseline: dict[str, tuple[float, ...]]
    candidate: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class Point:
    """A graph or model on the front of size against accuracy. dataset: of the accuracy."""

    artifact: str
    dataset: str
    side: Literal["baseline", "candidate"]
    bytes: int
    accuracy: float


@dataclass(frozen=True)
class Report:
    """Both revisions, what changed, what it did.

    notes    what could not be compared, and why
    shipped  scores artifacts that a bundle of the candidate quotes: what is released
    """

    baseline: Side
    candidate: Side
    changes: Changes
    metrics: tuple[Metric, ...] = ()
    flips: tuple[Flips, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    gates: tuple[Gate, ...] = ()
    notes: tuple[str, ...] = ()
    confusion: tuple[Confusion, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    curves: tuple[Curve, ...] = ()
    front: tuple[Point, ...] = ()
    shipped: tuple[str, ...] = ()

    @property
    def lost(self) -> Sequence[tuple[str, str]]:
        """(which metrics are missing, why): those of one artifact for one reason together, as when its file is not there."""
        found: dict[tuple[str, str], list[str]] = {}
        for metric in self.metrics:
            if metric.verdict == "missing":
                artifact = ".".join(metric.name.split(".")[:2])
                found.setdefault((artifact, metric.reason or "its artifact is there"), []).append(
                    metric.name
                )
        more = {
            key: f" and {len(names) - 1} more are" if len(names) > 1 else " is"
            for key, names in found.items()
        }
        return [(f"{names[0]}{more[key]} missing", key[1]) for key, names in found.items()]

    @property
    def failures(self) -> Sequence[str]:
        """Why the change must not pass: one line each. A metric that is missing is one."""
        gates = [
            f"gate {gate.gate}: {gate.verdict}: {gate.found}"
            for gate in self.gates
            if not gate.passed
        ]
        return [*(f"{what}: {why}" for what, why in self.lost), *gates]
