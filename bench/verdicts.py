"""bench/verdicts: error rates of the verdicts of `lmspec diff`, on simulated models whose truth is
known.

    python bench/verdicts.py > bench/verdicts.md      (half an hour on one core; needs no build)

Two models answer the same test set, thousands of times, and each pair of predictions goes through
the code that compares two commits. For comparison: McNemar's exact test in SciPy, and the unpaired
z test with which lm-evaluation-harness compares models.
"""

import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from lmspec.compare import flips
from lmspec.compare.metrics import tested
from lmspec.compare.report import Metric
from lmspec.compare.verdicts import CONFIDENCE, LEVEL, Row, judged
from lmspec.statistics import bootstrap, predictions
from lmspec.statistics.paired import PairedSample

SEED = 20_261_124
SETS = 2_000  # test sets per design, for models of equal skill
MORE = 20_000  # for models that differ: that many distinguish a rate of 94 from one of 95 %
REPLICATES = 1_000  # where `lmspec diff` draws up to 10,000
TRUTH = 2_000_000  # examples from which the true metrics are taken
CHUNK = 250_000
BINS = 10
WHOLE = {
    "accuracy": "higher",
    "macro_f1": "higher",
    "log_loss": "lower",
    "expected_calibration_error": "lower",
}
PRIORS = {2: (0.6, 0.4), 4: (0.4, 0.3, 0.2, 0.1)}
# distance of the true label's logit, in standard deviations of its noise: 85 and 86 % right
SKILL = {2: 1.45, 4: 2.1}
PREFIX = "scores.simulated.test."
OVERCONFIDENCE = 1.3  # factor of the logits: a calibrated model has no calibration error to measure
# share of the noise that both models have: 1 to 2, about 16, about 25 % discordant
ALIKE, APART, FAR = 0.9975, 0.6, 0.0
TABLES = (0.3, 0.0, -0.3)  # skill on each table, added to the model's


@dataclass(frozen=True)
class Design:
    """How two models and their test sets are simulated.

    shared     share of the noise's variance that both models have in common
    gain       skill of the candidate minus that of the baseline
    documents  share of the noise's variance that examples of a document share; None: no documents
    tables     number of tables, of different difficulty
    """

    examples: int
    classes: int
    shared: float
    gain: float = 0.0
    documents: float | None = None
    tables: int = 1

    @property
    def stream(self) -> int:
        """Number of its stream of draws; the figures in bench/*.md were drawn when `tables` was
        `sources`."""
        return zlib.crc32(repr(self).replace("tables=", "sources=").encode())

    def __str__(self) -> str:
        kind = f", {self.tables} tables" if self.tables > 1 else ""
        if self.documents is not None:
            kind = ", documents"
        return f"{self.examples:,}, {self.classes} classes{kind}"


NULLS = [Design(n, k, shared) for n in (200, 1_000) for k in (2, 4) for shared in (ALIKE, APART)]
NULLS += [Design(n, 4, shared, documents=0.6) for n in (200, 1_000) for shared in (ALIKE, APART)]
NULLS += [Design(1_000, 2, APART, tables=3)]
FAMILY = [Design(1_000, 4, APART), Design(200, 4, APART), Design(1_000, 4, APART, documents=0.6)]
GAINS = [Design(n, 2, ALIKE, -0.04) for n in (500, 2_000)] + [
    Design(n, 2, APART, 0.15) for n in (500, 2_000)
]
GAINS += [Design(500, 4, APART, 0.3), Design(500, 2, FAR, 0.3)]
GAINS += [Design(n, 2, APART, 0.15, documents=0.6) for n in (500, 2_000)] + [
    Design(2_000, 2, ALIKE, -0.04, documents=0.6)
]


@dataclass(frozen=True)
class Answers:
    """truth, table, document: (n,); baseline, candidate: (n, classes) probabilities."""

    truth: np.ndarray
    table: np.ndarray
    document: np.ndarray | None
    baseline: np.ndarray
    candidate: np.ndarray


def answers(design: Design, size: int, rng: np.random.Generator) -> Answers:
    """Draw examples, and the predictions of both models."""
    document = (
        np.repeat(np.arange(size), rng.integers(1, 10, size))[:size]
        if design.documents is not None
        else None
    )
    common = design.documents or 0.0
    truth = rng.choice(design.classes, size, p=PRIORS[design.classes])
    if document is not None:
        truth = np.where(rng.random(size) < common, truth[document], truth)
    table = np.arange(size) * design.tables // size
    shift = np.asarray(TABLES)[table] if design.tables > 1 else 0.0

    def noise() -> np.ndarray:
        own = rng.standard_normal((size, design.classes))
        if document is None:
            return own
        return (
            np.sqrt(common) * rng.standard_normal((document[-1] + 1, design.classes))[document]
            + np.sqrt(1 - common) * own
        )

    def probabilities(skill: float, shared: np.ndarray) -> np.ndarray:
        logits = np.sqrt(design.shared) * shared + np.sqrt(1 - design.shared) * noise()
        logits[np.arange(size), truth] += skill + shift
        powers = np.exp(
            OVERCONFIDENCE * SKILL[design.classes] * (logits - logits.max(1, keepdims=True))
        )
        return powers / powers.sum(1, keepdims=True)

    common_noise = noise()
    baseline = probabilities(SKILL[design.classes], common_noise)
    candidate = probabilities(SKILL[design.classes] + design.gain, common_noise)
    return Answers(truth, table, document, baseline, candidate)


def paired(design: Design, drawn: Answers) -> PairedSample:
    """Pair the predictions as `lmspec diff` does, from probabilities with six digits."""
    names = np.asarray([f"c{i}" for i in range(design.classes)])
    size = len(drawn.truth)
    ids, label = tuple(map(str, range(size))), tuple(names[drawn.truth].tolist())
    table = tuple(np.char.add("s", drawn.table.astype(str)).tolist())
    group = ("",) * size if drawn.document is None else tuple(drawn.document.astype(str).tolist())

    def predicted(probability: np.ndarray) -> predictions.Predictions:
        labels = tuple(names[probability.argmax(1)].tolist())
        confidence = np.round(probability.max(1), 6)
        of_truth = np.round(probability[np.arange(size), drawn.truth], 6)
        return predictions.Predictions(ids, table, group, label, labels, confidence, of_truth)

    pairs = predictions.pair(predicted(drawn.baseline), predicted(drawn.candidate))
    return PairedSample(pairs, predictions.Scale(tuple(names.tolist()), BINS), same=False)


def rows(design: Design, pairs: PairedSample) -> Iterator[Row]:
    """Each metric of the test split, tested, before the correction for many metrics."""
    paths = [(name,) for name in WHOLE]
    if not design.gain:
        paths += [("f1", f"c{i}") for i in range(design.classes)]
    if design.tables > 1:
        paths += [("table", f"s{i}", name) for i in range(design.tables) for name in WHOLE]
    for path in paths:
        better = WHOLE.get(path[-1], "higher")
        metric = Metric(PREFIX + ".".join(path), 0.0, 0.0, None, better, "changed")
        yield tested(pairs, ("test", *path), metric)


@dataclass
class Sets:
    """The results of all test sets of a design.

    metrics     per metric, one for each set, judged alone
    gained      (sets,) number of positive flips; lost: of negative flips
    bound       (sets,) upper bound of the negative flip rate
    z           (sets,) p of the unpaired test; wide: width of its interval
    """

    design: Design
    metrics: dict[str, list[Metric]] = field(default_factory=dict)
    gained: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)
    z: list[float] = field(default_factory=list)
    wide: list[float] = field(default_factory=list)

    def add(self, pairs: PairedSample) -> None:
        """Add a test set."""
        for row in rows(self.design, pairs):
            metric = judged([row])[0]
            self.metrics.setdefault(metric.name.removeprefix(PREFIX), []).append(metric)
        old, new = pairs.pairs.baseline.right, pairs.pairs.candidate.right
        self.gained.append(int((new & ~old).sum()))
        self.lost.append(int((old & ~new).sum()))
        self.bound.append(flips.count(pairs, np.arange(len(old))).bounds(CONFIDENCE)[1])
        error = np.sqrt((old.var(ddof=1) + new.var(ddof=1)) / len(old))
        self.z.append(float(2 * stats.norm.sf(abs(new.mean() - old.mean()) / error)))
        self.wide.append(float(2 * stats.norm.isf((1 - CONFIDENCE) / 2) * error))

    def differs(self, name: str) -> list[bool]:
        """(sets,) was the verdict better or worse?"""
        return [metric.verdict in ("better", "worse") for metric in self.metrics[name]]

    def holds(self, name: str, truth: float) -> list[bool]:
        """(sets,) does the interval contain the truth?

        A set without an interval counts as a miss.
        """
        return [
            metric.interval is not None and metric.interval[0] <= truth <= metric.interval[1]
            for metric in self.metrics[name]
        ]

    def mean(self, name: str) -> float:
        """Mean difference."""
        return float(np.mean([metric.difference for metric in self.metrics[name]]))

    @property
    def width(self) -> float:
        """Mean width of the interval of the accuracy."""
        intervals = [metric.interval or (0, 0) for metric in self.metrics["accuracy"]]
        return float(np.mean([high - low for low, high in intervals]))

    def __str__(self) -> str:
        discordant = (np.mean(self.gained) + np.mean(self.lost)) / self.design.examples
        return f"{self.design} | {100 * discordant:.1f}"


def simulated(design: Design, count: int) -> Sets:
    """Simulate all test sets of a design, from a seed that depends on the design."""
    rng = np.random.default_rng([SEED, design.stream])
    begin, sets = time.perf_counter(), Sets(design)
    for _ in range(count):
        sets.add(paired(design, answers(design, design.examples, rng)))
    print(f"{time.perf_counter() - begin:5.0f} s  {design!r}", file=sys.stderr)
    return sets


def truth(design: Design) -> dict[str, float]:
    """True differences and negative flip rate, from very many examples, without lmspec."""
    rng = np.random.default_rng([SEED, TRUTH, design.stream])
    loss, flipped, gaps = np.zeros(2), 0, np.zeros((2, BINS))
    confusion = np.zeros((2, design.classes, design.classes))
    for _ in range(TRUTH // CHUNK):
        drawn = answers(design, CHUNK, rng)
        rights = []
        for model, probability in enumerate((drawn.baseline, drawn.candidate)):
            predicted, confidence = probability.argmax(1), probability.max(1)
            rights.append(predicted == drawn.truth)
            np.add.at(confusion[model], (drawn.truth, predicted), 1)
            loss[model] -= np.log(
                np.maximum(probability[np.arange(CHUNK), drawn.truth], 5e-7)
            ).sum()
            place = np.minimum((confidence * BINS).astype(int), BINS - 1)
            gaps[model] += np.bincount(place, rights[-1] - confidence, BINS)
        flipped += int((rights[0] & ~rights[1]).sum())
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    metrics = {
        "accuracy": hits.sum(1) / TRUTH,
        "macro_f1": (2 * hits / (confusion.sum(1) + confusion.sum(2))).mean(1),
        "log_loss": loss / TRUTH,
        "expected_calibration_error": np.abs(gaps).sum(1) / TRUTH,
    }
    return {name: float(new - old) for name, (old, new) in metrics.items()} | {
        "flips": flipped / TRUTH
    }


def rate(cases: list[bool]) -> str:
    """Percent of the sets, with its 95 % interval (Wilson)."""
    low, high = wilson(cases)
    return f"{100 * np.mean(cases):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def wilson(cases: list[bool]) -> tuple[float, float]:
    """95 % interval of a proportion."""
    found = stats.binomtest(int(np.sum(cases)), len(cases)).proportion_ci(0.95, "wilson")
    return found.low, found.high


def table(head: str, lines: list[str]) -> None:
    """Print a Markdown table, its first column left-aligned. head: columns, between bars."""
    columns = head.count("|")
    print(f"| {head} |\n| --- |{' ---: |' * columns}")
    print("\n".join(f"| {line} |" for line in lines))


def counted(shares: list[list[bool]], limit: float, above: bool) -> str:
    """How many rates are beyond a limit, and how many of them with their whole interval."""
    wrong = [
        cases for cases in shares if (np.mean(cases) > limit) == above and np.mean(cases) != limit
    ]
    surely = [
        cases
        for cases in wrong
        if (wilson(cases)[0] > limit if above else wilson(cases)[1] < limit)
    ]
    where = "above" if above else "below"
    return (
        f"of {len(shares)} rates, {len(wrong)} are {where} {100 * limit:.0f} %, "
        f"{len(surely)} with their whole interval"
    )


def nulls(all_sets: list[Sets]) -> None:
    """Table a."""
    lines, shares = [], []
    for sets in all_sets:
        cases = {name: sets.differs(name) for name in sets.metrics}
        shares += cases.values()
        classes = [cases[name] for name in cases if name.startswith("f1.")]
        tables = [cases[name] for name in cases if name.startswith("table.")]
        worst = [max(group, key=np.sum) if group else None for group in (classes, tables)]
        cells = [rate(cases[name]) for name in WHOLE] + [
            rate(group) if group else "" for group in worst
        ]
        lines.append(" | ".join([str(sets), *cells]))
    print("## Two models of equal skill: false verdicts, %\n")
    head = (
        "examples | discordant, % | accuracy | macro_f1 | log_loss | ECE | "
        "f1, worst class | worst table"
    )
    table(head, lines)
    print(f"\nCriterion: at most 5 %. Result: {counted(shares, LEVEL, True)}.\n")


def families(all_sets: list[Sets]) -> None:
    """Table b."""
    print("## Ten metrics of models of equal skill: a false verdict on any of them, %\n")
    lines = []
    for family, names in (("test sets", list(WHOLE)), ("slices", [f"f1.c{i}" for i in range(4)])):
        chosen = [(sets, name) for sets in all_sets for name in names][:10]
        columns = [sets.metrics[name] for sets, name in chosen]
        verdicts = [judged([Row(metric) for metric in ten]) for ten in zip(*columns, strict=True)]
        any_differs = [
            any(metric.verdict in ("better", "worse") for metric in ten) for ten in verdicts
        ]
        alone = [any((metric.p or 1.0) <= LEVEL for metric in ten) for ten in verdicts]
        lines.append(f"{family} | {rate(any_differs)} | {rate(alone)}")
    table("family of ten | as judged | without Holm's correction", lines)
    splits = "; ".join(str(sets.design) for sets in all_sets)
    print(f"\nOn three test splits: {splits}. Criterion: at most 5 %.\n")


def powers(all_sets: list[Sets], truths: list[dict[str, float]]) -> None:
    """Table c."""
    lines, apart = [], []
    for sets, true in zip(all_sets, truths, strict=True):
        pairs = zip(sets.gained, sets.lost, strict=True)
        peer = [b + w > 0 and bool(stats.binomtest(b, b + w).pvalue <= LEVEL) for b, w in pairs]
        if sets.design.documents is None:
            apart.append(int(np.sum(np.asarray(peer) != np.asarray(sets.differs("accuracy")))))
        peers = [
            peer,
            [p <= LEVEL for p in sets.z],
            sets.differs("macro_f1"),
            sets.differs("log_loss"),
        ]
        cells = [f"{100 * np.mean(cases):.1f}" for cases in (sets.differs("accuracy"), *peers)]
        lines.append(" | ".join([str(sets), f"{100 * true['accuracy']:+.2f}", *cells]))
    print("## Two models that differ: power, %\n")
    table(
        "examples | discordant, % | accuracy, points | accuracy | McNemar, SciPy | unpaired z | "
        "macro_f1 | log_loss",
        lines,
    )
    print(
        "\nVerdicts on accuracy that differ from SciPy's, without documents:",
        f"{sum(apart)} of {len(apart) * MORE:,}. In documents",
        "McNemar's test is not valid: it assumes independent examples.\n",
    )


def coverage(all_sets: list[Sets], truths: list[dict[str, float]]) -> None:
    """Table d."""
    lines, low = [], []
    for sets, true in zip(all_sets, truths, strict=True):
        cases = [sets.holds(name, true[name]) for name in list(WHOLE)[:3]]
        low += cases
        ece = "expected_calibration_error"
        cases += [sets.holds(ece, sets.mean(ece)), sets.holds(ece, true[ece])]
        lines.append(" | ".join([str(sets), *map(rate, cases)]))
    print("## 95 % intervals of the difference: coverage, %\n")
    table(
        "examples | discordant, % | accuracy | macro_f1 | log_loss | ECE, mean over test sets | "
        "ECE, all examples",
        lines,
    )
    print("\nCriterion: 94 to 96 % for the first three. Result:", end=" ")
    print(f"{counted(low, 0.94, False)}; {counted(low, 0.96, True)}. ECE", end=" ")
    print("is biased upwards in small test sets, so its mean depends on their size.\n")


def rates(all_sets: list[Sets], truths: list[dict[str, float]]) -> None:
    """Table e."""
    lines, shares = [], []
    for sets, true in zip(all_sets, truths, strict=True):
        shares.append([bound >= true["flips"] for bound in sets.bound])
        true_rate, bound = 100 * true["flips"], 100 * np.mean(sets.bound)
        lines.append(f"{sets} | {true_rate:.2f} | {bound:.2f} | {rate(shares[-1])}")
    print("## Upper 95 % bound of the negative flip rate: coverage, %\n")
    table("examples | discordant, % | true rate, % | mean bound, % | coverage", lines)
    print(f"\nCriterion: at least 95 %. Result: {counted(shares, CONFIDENCE, False)}.\n")


def pairing(all_sets: list[Sets]) -> None:
    """Table f."""
    lines = []
    for sets in all_sets:
        widths = sets.width, float(np.mean(sets.wide))
        needed = [sets.design.examples * (width / 0.02) ** 2 for width in widths]
        cells = [f"±{100 * width / 2:.2f}" for width in widths] + [
            f"{count:,.0f}" for count in needed
        ]
        lines.append(" | ".join([str(sets), *cells, f"{needed[1] / needed[0]:.1f}"]))
    print(
        "## Gain by pairing: 95 % interval of a difference of accuracy, points,"
        " and examples needed for ±1 point\n"
    )
    table(
        "examples | discordant, % | paired | unpaired | examples, paired | unpaired | ratio", lines
    )
    print("\nThe unpaired interval assumes independent examples, so in documents it is too narrow.")


def main() -> None:
    """Print all tables."""
    bootstrap.MOST = REPLICATES
    print("# Error rates of the verdicts\n")
    print(
        f"{SETS:,} simulated test sets per line for models of equal skill, {MORE:,} for models",
        f"that differ; {REPLICATES:,} replicates; 95 % intervals of the rates in brackets. A",
        "document has 1 to 9 examples, whose labels and errors are correlated. The truth is",
        "computed from",
        f"{TRUTH:,} examples.\n",
    )
    null = {design: simulated(design, SETS) for design in NULLS}
    nulls(list(null.values()))
    families([null[design] for design in FAMILY])
    gain = [simulated(design, MORE) for design in GAINS]
    truths = [truth(design) for design in GAINS]
    for show in (powers, coverage, rates):
        show(gain, truths)
    pairing(gain)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
