"""bench/bounds: how often a gate passes although the truth just fails it, or fails although it just
passes.

    python bench/bounds.py > bench/bounds.md      (some minutes on one core; needs no build)

Uses the simulated models of bench/verdicts, whose truth is known; each pair of predictions goes
through the code that evaluates gates. For comparison: the bootstrap's own bounds (BCa), which fail
where hardly any answer changed.
"""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import verdicts
from threadpoolctl import threadpool_limits
from verdicts import ALIKE, APART, CONFIDENCE, SEED, SETS, Design

from lmspec.compare import bounds
from lmspec.compare.bounds import Bounds
from lmspec.statistics import bootstrap, paired

DESIGNS = [Design(50, 2, ALIKE, -0.04), Design(200, 2, ALIKE, -0.04), Design(200, 4, ALIKE, -0.04)]
DESIGNS += [
    Design(1_000, 4, ALIKE, -0.04),
    Design(200, 2, APART, 0.15),
    Design(1_000, 4, APART, 0.3),
]
DESIGNS += [
    Design(200, 2, ALIKE, -0.04, documents=0.6),
    Design(1_000, 2, ALIKE, -0.04, documents=0.6),
]
DESIGNS += [Design(1_000, 4, APART, 0.3, documents=0.6)]
KINDS = {
    "difference": "Difference of two models",
    "bootstrap": "The same by the bootstrap alone",
    "level": "One model's metric",
}


def truths(design: Design) -> dict[str, tuple[float, float]]:
    """Metric -> its true values (baseline, candidate), from very many examples, without lmspec."""
    rng = np.random.default_rng([SEED, verdicts.TRUTH, design.stream])
    confusion = np.zeros((2, design.classes, design.classes))
    for _ in range(verdicts.TRUTH // verdicts.CHUNK):
        drawn = verdicts.answers(design, verdicts.CHUNK, rng)
        for model, probability in enumerate((drawn.baseline, drawn.candidate)):
            np.add.at(confusion[model], (drawn.truth, probability.argmax(1)), 1)
    hits = np.diagonal(confusion, axis1=1, axis2=2)
    f1 = 2 * hits / (confusion.sum(1) + confusion.sum(2))
    whole = {
        "accuracy": hits.sum(1) / verdicts.TRUTH,
        "macro_f1": f1.mean(1),
        f"f1.c{design.classes - 1}": f1[:, -1],
    }
    return {name: (float(old), float(new)) for name, (old, new) in whole.items()}


@dataclass
class Beyond:
    """(kind, metric) -> for each test set: is the truth below the lower bound, and above the upper
    one?"""

    cases: dict[tuple[str, str], list[tuple[bool, bool]]] = field(default_factory=dict)

    def add(self, kind: str, metric: str, found: Bounds, truth: float) -> None:
        """Add a test set."""
        self.cases.setdefault((kind, metric), []).append((truth < found.low, truth > found.high))

    def rates(self, kind: str, metric: str) -> tuple[list[bool], list[bool]]:
        """(sets,) for the lower bound and for the upper one."""
        low, high = zip(*self.cases[kind, metric], strict=True)
        return list(low), list(high)


def simulated(design: Design) -> tuple[Beyond, float]:
    """(results of all test sets, share of discordant pairs), from a seed that depends on the
    design."""
    rng, begin = np.random.default_rng([SEED, design.stream]), time.perf_counter()
    found, discordant, true = Beyond(), 0, truths(design)
    for _ in range(SETS):
        pairs = verdicts.paired(design, verdicts.answers(design, design.examples, rng))
        discordant += int((pairs.pairs.baseline.right != pairs.pairs.candidate.right).sum())
        for name, (old, new) in true.items():
            part = paired.SplitMetric(name, None)
            found.add("difference", name, bounds.of_pairs(pairs, part, CONFIDENCE), new - old)
            plain = pairs.difference(part)
            both = (plain.bound(1 - CONFIDENCE), plain.bound(CONFIDENCE))
            found.add("bootstrap", name, Bounds(plain.value, *both), new - old)
            found.add(
                "level",
                name,
                bounds.of_sample(
                    paired.Sample(pairs.pairs.candidate, pairs.scale), part, CONFIDENCE
                ),
                new,
            )
    print(f"{time.perf_counter() - begin:5.0f} s  {design!r}", file=sys.stderr)
    return found, discordant / SETS / design.examples


def lines(
    kind: str, every: dict[Design, tuple[Beyond, float]], shares: list[list[bool]]
) -> Iterator[str]:
    """One line per design: both bounds of each metric."""
    for design, (found, discordant) in every.items():
        cells = []
        for name in ("accuracy", "macro_f1", f"f1.c{design.classes - 1}"):
            ends = found.rates(kind, name)
            shares += ends
            cells += map(verdicts.rate, ends)
        yield " | ".join([f"{design} | {100 * discordant:.1f}", *cells])


def main() -> None:
    """Print all tables."""
    bootstrap.MOST = verdicts.REPLICATES
    print("# Error rates of the bounds of gates\n")
    print(
        f"{SETS:,} simulated test sets per line, {verdicts.REPLICATES:,} replicates, one-sided",
        "95 % bounds. Each figure is the percentage of test sets in which the truth is beyond the",
        "bound: how often a gate passes that should just fail. 95 % intervals of the rates in",
        "brackets. The F1 is that of the rarest class.\n",
    )
    every = {design: simulated(design) for design in DESIGNS}
    head = "examples | discordant, %" + "".join(
        f" | {name}, lower | upper" for name in ("accuracy", "macro_f1", "f1")
    )
    for kind, title in KINDS.items():
        shares: list[list[bool]] = []
        print(f"## {title}\n")
        verdicts.table(head, list(lines(kind, every, shares)))
        print(
            f"\nCriterion: at most 5 %. Result: {verdicts.counted(shares, 1 - CONFIDENCE, True)}.\n"
        )


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
