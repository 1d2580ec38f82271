"""bench/verdicts: are the verdicts of `lmspec diff` right? Against simulated models, of which the truth is known.

    python bench/verdicts.py > bench/verdicts.md      (half an hour of one core; needs no build)

Two models answer the same test set, thousands of times, and each pair of answers goes through the code that judges those of
a commit. Peers: McNemar's exact test by SciPy, and the unpaired z test that lm-evaluation-harness compares models with.
"""

import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from lmspec.compare import flips, judging
from lmspec.compare.artifact import Artifact
from lmspec.compare.report import Metric
from lmspec.statistics import bootstrap, predictions
from lmspec.statistics import paired as samples

SEED = 20_261_124
SETS = 2_000  # test sets of each design of equal skill
MORE = 20_000  # of two models that differ: it takes so many to tell a rate of 94 from one of 95 %
REPLICATES = 1_000  # where `lmspec diff` draws up to 10,000
TRUTH = 2_000_000  # examples from which the true metrics are taken
CHUNK = 250_000
BINS = 10
LEVEL, CONFIDENCE = judging.LEVEL, judging.CONFIDENCE
WHOLE = {
    "accuracy": "higher",
    "macro_f1": "higher",
    "log_loss": "lower",
    "expected_calibration_error": "lower",
}
PRIORS = {2: (0.6, 0.4), 4: (0.4, 0.3, 0.2, 0.1)}
SKILL = {
    2: 1.45,
    4: 2.1,
}  # distance of the true label's logit, in standard deviations of its noise: 85 and 86 % right
PREFIX = "scores.simulated.test."
OVERCONFIDENCE = (
    1.3  # factor of the logits: models that are calibrated have no calibration error to get wrong
)
ALIKE, APART, FAR = (
    0.9975,
    0.6,
    0.0,
)  # share of the noise that both models have: 1 to 2, about 16, about 25 % discordant
SOURCES = (0.3, 0.0, -0.3)  # skill of each table, beside the model's


@dataclass(frozen=True)
class Design:
    """How two models and their test sets come about.

    shared     share of the noise's variance that both models have in common
    gain       what the new model's skill is above the old one's
    documents  share of the noise's variance that the examples of a document have in common; None: there are no documents
    tables    how many, of different difficulty
    """

    examples: int
    classes: int
    shared: float
    gain: float = 0.0
    documents: float | None = None
    sources: int = 1

    def __str__(self) -> str:
        kind = (
            ", documents"
            if self.documents is not None
            else f", {self.sources} tables"
            if self.tables > 1
            else ""
        )
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
    """truth, table, document: (n,); old, new: (n, classes) probabilities."""

    truth: np.ndarray
    source: np.ndarray
    document: np.ndarray | None
    old: np.ndarray
    new: np.ndarray


def answers(design: Design, size: int, rng: np.random.Generator) -> Answers:
    """What both models say of so many new examples."""
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
    shift = np.asarray(SOURCES)[table] if design.tables > 1 else 0.0

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

    both = noise()
    old = probabilities(SKILL[design.classes], both)
    return Answers(
        truth, table, document, old, probabilities(SKILL[design.classes] + design.gain, both)
    )


def paired(design: Design, found: Answers) -> samples.Paired:
    """As `lmspec diff` has it: from two tables of predictions, with six digits."""
    names = np.asarray([f"c{i}" for i in range(design.classes)])
    size = len(found.truth)
    ids, label = tuple(map(str, range(size))), tuple(names[found.truth].tolist())
    table = tuple(np.char.add("s", found.table.astype(str)).tolist())
    group = ("",) * size if found.document is None else tuple(found.document.astype(str).tolist())

    def side(probability: np.ndarray) -> predictions.Predictions:
        predicted = tuple(names[probability.argmax(1)].tolist())
        told = (
            np.round(probability.max(1), 6),
            np.round(probability[np.arange(size), found.truth], 6),
        )
        return predictions.Predictions(ids, table, group, label, predicted, *told)

    pairs = predictions.pair(side(found.old), side(found.new))
    return samples.Paired(pairs, predictions.Scale(tuple(names.tolist()), BINS), same=False)


class Simulated:
    """Stands for the evidence of two revisions."""

    def __init__(self, pairs: samples.Paired) -> None:
        self.pairs = pairs

    def scored(self, artifact: str, path: tuple[str, ...]) -> samples.Paired:
        """The same for all."""
        return self.pairs


def rows(design: Design, pairs: samples.Paired) -> Iterator[judging.Row]:
    """Each metric of the test split, tested, and not yet judged."""
    artifact = Artifact(Simulated(pairs), "scores.simulated", ({}, {}))
    paths = [(name,) for name in WHOLE]
    if not design.gain:
        paths += [("f1", f"c{i}") for i in range(design.classes)]
    if design.tables > 1:
        paths += [("table", f"s{i}", name) for i in range(design.tables) for name in WHOLE]
    for path in paths:
        plain = Metric(
            PREFIX + ".".join(path), 0.0, 0.0, None, WHOLE.get(path[-1], "higher"), "changed"
        )
        yield artifact.scored(("test", *path), plain)


@dataclass
class Sets:
    """What came of all test sets of a design.

    metrics     per metric, one for each set, judged alone
    gained      (sets,) examples that only the new model has right; lost: that only the old one has
    bound       (sets,) upper bound of the rate of flips
    z           (sets,) p of the unpaired test; wide: width of its interval
    """

    design: Design
    metrics: dict[str, list[Metric]] = field(default_factory=dict)
    gained: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)
    z: list[float] = field(default_factory=list)
    wide: list[float] = field(default_factory=list)

    def add(self, pairs: samples.Paired) -> None:
        """One more."""
        for row in rows(self.design, pairs):
            judged = judging.judged([row])[0]
            self.metrics.setdefault(judged.name.removeprefix(PREFIX), []).append(judged)
        old, new = pairs.pairs.old.right, pairs.pairs.new.right
        self.gained.append(int((new & ~old).sum()))
        self.lost.append(int((old & ~new).sum()))
        self.bound.append(flips.count(pairs, np.arange(len(old))).bounds(CONFIDENCE)[1])
        error = np.sqrt((old.var(ddof=1) + new.var(ddof=1)) / len(old))
        self.z.append(float(2 * stats.norm.sf(abs(new.mean() - old.mean()) / error)))
        self.wide.append(float(2 * stats.norm.isf((1 - CONFIDENCE) / 2) * error))

    def told(self, name: str) -> list[bool]:
        """(sets,) was a difference said to be one?"""
        return [metric.verdict in ("better", "worse") for metric in self.metrics[name]]

    def holds(self, name: str, truth: float) -> list[bool]:
        """(sets,) is the truth within the interval? A set without an interval counts as one that misses it."""
        return [
            metric.interval is not None and metric.interval[0] <= truth <= metric.interval[1]
            for metric in self.metrics[name]
        ]

    def mean(self, name: str) -> float:
        """Of the differences."""
        return float(np.mean([metric.difference for metric in self.metrics[name]]))

    @property
    def width(self) -> float:
        """Of the interval of the accuracy, in the mean."""
        return float(
            np.mean(
                [
                    high - low
                    for low, high in (
                        metric.interval or (0, 0) for metric in self.metrics["accuracy"]
                    )
                ]
            )
        )

    def __str__(self) -> str:
        discordant = (np.mean(self.gained) + np.mean(self.lost)) / self.design.examples
        return f"{self.design} | {100 * discordant:.1f}"


def simulated(design: Design, count: int) -> Sets:
    """All test sets of a design. The same design gives the same."""
    rng, begin, found = (
        np.random.default_rng([SEED, zlib.crc32(repr(design).encode())]),
        time.perf_counter(),
        Sets(design),
    )
    for _ in range(count):
        found.add(paired(design, answers(design, design.examples, rng)))
    print(f"{time.perf_counter() - begin:5.0f} s  {design!r}", file=sys.stderr)
    return found


def truth(design: Design) -> dict[str, float]:
    """The differences of the metrics, and the rate of flips, of very many examples; by their definitions, and not by `lmspec`."""
    rng = np.random.default_rng([SEED, TRUTH, zlib.crc32(repr(design).encode())])
    loss, flipped, gaps = np.zeros(2), 0, np.zeros((2, BINS))
    confusion = np.zeros((2, design.classes, design.classes))
    for _ in range(TRUTH // CHUNK):
        found = answers(design, CHUNK, rng)
        rights = []
        for side, probability in enumerate((found.old, found.new)):
            predicted, confidence = probability.argmax(1), probability.max(1)
            rights.append(predicted == found.truth)
            np.add.at(confusion[side], (found.truth, predicted), 1)
            loss[side] -= np.log(np.maximum(probability[np.arange(CHUNK), found.truth], 5e-7)).sum()
            place = np.minimum((confidence * BINS).astype(int), BINS - 1)
            gaps[side] += np.bincount(place, rights[-1] - confidence, BINS)
        flipped += int((rights[0] & ~rights[1]).sum())
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    sides = {
        "accuracy": hits.sum(1) / TRUTH,
        "macro_f1": (2 * hits / (confusion.sum(1) + confusion.sum(2))).mean(1),
        "log_loss": loss / TRUTH,
        "expected_calibration_error": np.abs(gaps).sum(1) / TRUTH,
    }
    return {name: float(new - old) for name, (old, new) in sides.items()} | {
        "flips": flipped / TRUTH
    }


def rate(cases: list[bool]) -> str:
    """Percent, with the 95 % interval that so many simulated sets leave it (Wilson)."""
    low, high = wilson(cases)
    return f"{100 * np.mean(cases):.1f} ({100 * low:.1f} to {100 * high:.1f})"


def wilson(cases: list[bool]) -> tuple[float, float]:
    """95 % interval of a share."""
    found = stats.binomtest(int(np.sum(cases)), len(cases)).proportion_ci(0.95, "wilson")
    return found.low, found.high


def table(head: str, lines: list[str]) -> None:
    """In Markdown, the first column to the left. head: its columns between bars."""
    columns = head.count("|")
    print(f"| {head} |\n| --- |{' ---: |' * columns}")
    print("\n".join(f"| {line} |" for line in lines))


def counted(shares: list[list[bool]], limit: float, above: bool) -> str:
    """How many rates lie on the wrong side of a limit, and how many of these with their whole interval."""
    wrong = [
        cases for cases in shares if (np.mean(cases) > limit) == above and np.mean(cases) != limit
    ]
    surely = [
        cases
        for cases in wrong
        if (wilson(cases)[0] > limit if above else wilson(cases)[1] < limit)
    ]
    side = "above" if above else "below"
    return f"of {len(shares)} rates, {len(wrong)} lie {side} {100 * limit:.0f} %, {len(surely)} with their whole interval"


def nulls(all_sets: list[Sets]) -> None:
    """Table a."""
    lines, shares = [], []
    for sets in all_sets:
        found = {name: sets.told(name) for name in sets.metrics}
        shares += found.values()
        classes = [found[name] for name in found if name.startswith("f1.")]
        others = [found[name] for name in found if name.startswith("table.")]
        worst = [max(group, key=np.sum) if group else None for group in (classes, others)]
        cells = [rate(found[name]) for name in WHOLE] + [
            rate(cases) if cases else "" for cases in worst
        ]
        lines.append(" | ".join([str(sets), *cells]))
    print("## Two models of equal skill: how often a difference is said to be one, %\n")
    head = "examples | discordant, % | accuracy | macro_f1 | log_loss | ECE | f1, its worst class | of a table, the worst"
    table(head, lines)
    print(f"\nCriterion: at most 5 %. Result: {counted(shares, LEVEL, True)}.\n")


def families(all_sets: list[Sets]) -> None:
    """Table b."""
    print("## Ten metrics of models of equal skill: how often any of them is said to differ, %\n")
    lines = []
    for family, names in (("test sets", list(WHOLE)), ("slices", [f"f1.c{i}" for i in range(4)])):
        chosen = [(sets, name) for sets in all_sets for name in names][:10]
        columns = [sets.metrics[name] for sets, name in chosen]
        verdicts = [
            judging.judged([judging.Row(metric) for metric in ten])
            for ten in zip(*columns, strict=True)
        ]
        any_told = [
            any(metric.verdict in ("better", "worse") for metric in ten) for ten in verdicts
        ]
        alone = [any((metric.p or 1.0) <= LEVEL for metric in ten) for ten in verdicts]
        lines.append(f"{family} | {rate(any_told)} | {rate(alone)}")
    table("family of ten | as judged | without Holm's correction", lines)
    print(
        f"\nOn three test splits: {'; '.join(str(sets.design) for sets in all_sets)}. Criterion: at most 5 %.\n"
    )


def powers(all_sets: list[Sets], truths: list[dict[str, float]]) -> None:
    """Table c."""
    lines, apart = [], []
    for sets, true in zip(all_sets, truths, strict=True):
        pairs = zip(sets.gained, sets.lost, strict=True)
        peer = [b + w > 0 and bool(stats.binomtest(b, b + w).pvalue <= LEVEL) for b, w in pairs]
        if sets.design.documents is None:
            apart.append(int(np.sum(np.asarray(peer) != np.asarray(sets.told("accuracy")))))
        peers = [peer, [p <= LEVEL for p in sets.z], sets.told("macro_f1"), sets.told("log_loss")]
        cells = [f"{100 * np.mean(cases):.1f}" for cases in (sets.told("accuracy"), *peers)]
        lines.append(" | ".join([str(sets), f"{100 * true['accuracy']:+.2f}", *cells]))
    print("## Two models that differ: how often that is said, %\n")
    table(
        "examples | discordant, % | accuracy, points | accuracy | McNemar, SciPy | unpaired z | macro_f1 | log_loss",
        lines,
    )
    print(
        f"\nVerdicts on accuracy other than SciPy's, without documents: {sum(apart)} of {len(apart) * MORE:,}. In documents",
        end=" ",
    )
    print("McNemar's test is not valid: it takes their examples for independent.\n")


def coverage(all_sets: list[Sets], truths: list[dict[str, float]]) -> None:
    """Table d."""
    lines, low = [], []
    for sets, true in zip(all_sets, truths, strict=True):
        found = [sets.holds(name, true[name]) for name in list(WHOLE)[:3]]
        low += found
        ece = "expected_calibration_error"
        found += [sets.holds(ece, sets.mean(ece)), sets.holds(ece, true[ece])]
        lines.append(" | ".join([str(sets), *map(rate, found)]))
    print("## 95 % intervals of the difference: how often they hold the true one, %\n")
    table(
        "examples | discordant, % | accuracy | macro_f1 | log_loss | ECE, mean of such test sets | ECE, of all examples",
        lines,
    )
    print("\nCriterion: 94 to 96 % for the first three. Result:", end=" ")
    print(f"{counted(low, 0.94, False)}; {counted(low, 0.96, True)}. ECE", end=" ")
    print(
        "is biased upwards in small test sets, so what it is the mean of depends on their size.\n"
    )


def rates(all_sets: list[Sets], truths: list[dict[str, float]]) -> None:
    """Table e."""
    lines, shares = [], []
    for sets, true in zip(all_sets, truths, strict=True):
        shares.append([bound >= true["flips"] for bound in sets.bound])
        lines.append(
            f"{sets} | {100 * true['flips']:.2f} | {100 * np.mean(sets.bound):.2f} | {rate(shares[-1])}"
        )
    print("## Upper 95 % bound of the rate of flips: how often it holds, %\n")
    table("examples | discordant, % | true rate, % | mean bound, % | holds", lines)
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
        "## What pairs bring: 95 % interval of a difference of accuracy, points, and examples for ±1 point\n"
    )
    table(
        "examples | discordant, % | paired | unpaired | examples, paired | unpaired | ratio", lines
    )
    print("\nThe unpaired interval takes examples for independent: in documents it is too narrow.")


def main() -> None:
    """Print all tables."""
    bootstrap.MOST = REPLICATES
    print("# Are the verdicts right?\n")
    print(
        f"{SETS:,} simulated test sets a line of models of equal skill, {MORE:,} of two that differ; {REPLICATES:,} replicates;",
        "in brackets 95 % intervals of the rates. A document has 1 to 9 examples, whose labels and errors go together.",
        f"Truth from {TRUTH:,} examples.\n",
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
