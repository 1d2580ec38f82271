"""bench/answers: error rates of the tests of generated answers, on simulated texts whose truth is
known.

    python bench/answers.py > bench/answers.md      (some minutes on one core; needs no build)

Two models write an answer to each of many prompts, on pages of several. Test sets are drawn from
these, page by page, and go through the code that compares two commits and evaluates gates. The true
difference is that of all prompts; for models of equal skill it is 0, since it is drawn for each
prompt which model wrote which text.
"""

import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import verdicts
from threadpoolctl import threadpool_limits
from verdicts import CONFIDENCE, SEED, Row, judged

from lmspec.compare import answers as committed
from lmspec.compare import bounds
from lmspec.compare.metrics import tested
from lmspec.compare.report import Metric
from lmspec.statistics import bootstrap, predictions
from lmspec.statistics.answers import Answers, TextScale
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric
from lmspec.writing import answers
from lmspec.writing.answers import Answer

PROMPTS = 10_000
SETS = 500
VOCABULARY = 400
METRICS = {"exact_match": "higher", "bleu": "higher", "chrf": "higher", "log_loss": "lower"}
# share of the noise of a word that the page, the prompt, and the other model's word have in common
OF_PAGE, OF_PROMPT = 0.25, 0.35
SKILL = 1.3  # of a word, in standard deviations: about a third of the answers match exactly


@dataclass(frozen=True)
class Design:
    """examples: about so many prompts; shared: of a word's own noise by both models; gain: in skill
    of the candidate."""

    examples: int
    shared: float
    gain: float = 0.0
    pages: bool = True

    def __str__(self) -> str:
        where = " on pages" if self.pages else ""
        better = ", one better" if self.gain else ""
        return f"{self.examples:,}{where}, {'alike' if self.shared > 0.9 else 'apart'}{better}"


DESIGNS = [Design(n, shared) for n in (100, 300, 1_000) for shared in (0.95, 0.5)]
DESIGNS += [Design(300, 0.5, pages=False)]
GAINS = [Design(300, 0.95, 0.08), Design(300, 0.5, 0.15), Design(1_000, 0.5, 0.15)]
GAINS += [Design(300, 0.5, 0.15, pages=False)]


@dataclass(frozen=True)
class Population:
    """The answers of both models to all prompts. page: (n,) number of the page of each."""

    sides: tuple[Answers, Answers]
    scale: TextScale
    page: np.ndarray

    def drawn(self, design: Design, rng: np.random.Generator) -> PairedSample:
        """A test set: whole pages, or prompts from anywhere."""
        if design.pages:
            starts = np.flatnonzero(np.diff(self.page, prepend=-1))
            sizes = np.diff(np.append(starts, len(self.page)))
            chosen = rng.integers(0, len(starts), round(design.examples / sizes.mean()))
            rows = np.concatenate([np.arange(starts[i], starts[i] + sizes[i]) for i in chosen])
            group = np.repeat(np.arange(len(chosen)), sizes[chosen])
        else:
            rows = rng.integers(0, len(self.page), design.examples)
            group = np.arange(len(rows))
        swapped = rng.random(len(rows)) < 0.5 if not design.gain else np.zeros(len(rows), bool)
        old, new = (side.rows(rows) for side in self.sides)
        names = tuple(map(str, range(len(rows)))), tuple(map(str, group))
        ends = [
            _named(_mixed(one, other, swapped), *names) for one, other in ((old, new), (new, old))
        ]
        return PairedSample(predictions.matched(*ends), self.scale, same=False)

    def truth(self, design: Design, name: str) -> tuple[float, float]:
        """(difference, level of the candidate) of all prompts."""
        whole = [Sample(side, self.scale).plain(SplitMetric(name, None))[0] for side in self.sides]
        if design.gain:
            return whole[1] - whole[0], whole[1]
        half = np.arange(len(self.page)) % 2 == 0
        mixed = Sample(_mixed(*self.sides, half), self.scale)
        return 0.0, mixed.plain(SplitMetric(name, None))[0]


def _mixed(one: Answers, other: Answers, swapped: np.ndarray) -> Answers:
    """The answers of one, where not swapped those of the other."""
    parts = {
        name: part._replace(
            numbers=np.where(swapped[:, None], other.parts[name].numbers, part.numbers)
        )
        for name, part in one.parts.items()
    }
    words = zip(one.predicted, other.predicted, swapped, strict=True)
    return replace(one, parts=parts, predicted=tuple(b if s else a for a, b, s in words))


def _named(side: Answers, names: tuple[str, ...], groups: tuple[str, ...]) -> Answers:
    return replace(side, id=names, group=groups)


@functools.cache
def population(shared: float, gain: float) -> Population:
    """Draw the prompts, and what both models write. shared, gain: as of `Design`."""
    rng = np.random.default_rng([SEED, round(1e6 * shared), round(1e6 * gain)])
    page = np.repeat(np.arange(PROMPTS), rng.integers(1, 10, PROMPTS))[:PROMPTS]
    of_page, of_prompt = rng.standard_normal(PROMPTS), rng.standard_normal(PROMPTS)
    words = np.array(["".join(rng.choice(list("abcdefghij-"), 5)) for _ in range(VOCABULARY)])
    sides: tuple[list[Answer], list[Answer]] = ([], [])
    for i in range(PROMPTS):
        size = int(rng.integers(4, 10))
        reference, wrong = words[rng.integers(0, VOCABULARY, (2, size))]
        common = np.sqrt(OF_PAGE) * of_page[page[i]] + np.sqrt(OF_PROMPT) * of_prompt[i]
        both = rng.standard_normal(size)
        for rows, more in zip(sides, (0.0, gain), strict=True):
            own = rng.standard_normal(size)
            noise = np.sqrt(shared) * both + np.sqrt(1 - shared) * own
            sure = SKILL + more + common + np.sqrt(1 - OF_PAGE - OF_PROMPT) * noise
            text = " ".join(np.where(sure > 0, reference, wrong))
            nll = float(np.log1p(np.exp(-2 * sure)).sum())
            name = " ".join(reference)
            rows.append(Answer(str(i), "t", str(page[i]), text, name, nll, size))
    read = [_read(rows) for rows in sides]
    return Population((read[0][0], read[1][0]), read[0][1], page)


def _read(rows: list[Answer]) -> tuple[Answers, TextScale]:
    written = answers.rows("d", rows)
    table = {
        name: ["" if row[name] is None else str(row[name]) for row in written]
        for name in written[0]
    }
    found = committed.read(table)
    assert found is not None
    return found[0]["d"], found[1]


@dataclass
class Found:
    """What happened in each test set of a design, per metric: true or false for each set."""

    significant: dict[str, list[bool]] = field(default_factory=dict)
    covered: dict[str, list[bool]] = field(default_factory=dict)
    beyond: dict[str, list[bool]] = field(default_factory=dict)


def simulated(design: Design) -> tuple[Found, float]:
    """All test sets of a design; and the share of prompts whose exact match differs."""
    begin, found = time.perf_counter(), Found()
    every = population(design.shared, design.gain)
    rng = np.random.default_rng([SEED, design.examples, design.pages])
    truths = {name: every.truth(design, name) for name in METRICS}
    for _ in range(SETS):
        pairs = every.drawn(design, rng)
        for name, better in METRICS.items():
            metric = Metric(f"scores.simulated.d.{name}", 0.0, 0.0, None, better, "changed")
            row: Row = tested(pairs, ("d", name), metric)
            (one,) = judged([row])
            difference, level = truths[name]
            low, high = one.interval or (np.nan, np.nan)
            part = SplitMetric(name, None)
            limits = bounds.of_pairs(pairs, part, CONFIDENCE)
            alone = bounds.of_sample(Sample(pairs.pairs.candidate, pairs.scale), part, CONFIDENCE)
            for kind, case in (
                (found.significant, one.verdict in ("better", "worse")),
                (found.covered, low <= difference <= high),
            ):
                kind.setdefault(name, []).append(bool(case))
            for end, case in (
                ("difference, lower", limits.low > difference),
                ("difference, upper", limits.high < difference),
                ("level, lower", alone.low > level),
                ("level, upper", alone.high < level),
            ):
                found.beyond.setdefault(f"{name} {end}", []).append(bool(case))
    print(f"{time.perf_counter() - begin:5.0f} s  {design!r}", file=sys.stderr)
    right = [side.right for side in every.sides]
    return found, float((right[0] != right[1]).mean())


def lines(
    every: dict[Design, tuple[Found, float]], kind: str, shares: list[list[bool]]
) -> Iterator[str]:
    """One line per design: a rate for each metric."""
    for design, (found, discordant) in every.items():
        cases = list(getattr(found, kind).values())
        shares += cases
        yield " | ".join([f"{design} | {100 * discordant:.1f}", *map(verdicts.rate, cases)])


def of_gates(every: dict[Design, tuple[Found, float]], shares: list[list[bool]]) -> Iterator[str]:
    """One line per design and kind of bound."""
    for design, (found, _) in every.items():
        for end in ("difference, lower", "difference, upper", "level, lower", "level, upper"):
            cases = [found.beyond[f"{name} {end}"] for name in METRICS]
            shares += cases
            yield " | ".join([f"{design} | {end}", *map(verdicts.rate, cases)])


def main() -> None:
    """Print all tables."""
    bootstrap.MOST = verdicts.REPLICATES
    print("# Error rates of the tests of generated answers\n")
    sets = f"{SETS:,} simulated test sets per line, {verdicts.REPLICATES:,} replicates"
    print(
        f"{sets}; 95 % intervals of the rates in brackets. Discordant: prompts that only one model",
        "answers exactly. On pages: prompts of a page are alike, and test sets are drawn page by",
        "page.\n",
    )
    equal = {design: simulated(design) for design in DESIGNS}
    gained = {design: simulated(design) for design in GAINS}
    head = "examples | discordant, %" + "".join(f" | {name}" for name in METRICS)
    verdict, interval = "verdicts of better or worse, %", "coverage of the 95 % interval, %"
    for title, kind, every, limit, above, criterion in (
        (f"Models of equal skill: {verdict}", "significant", equal, 0.05, True, "at most 5 %"),
        (f"These: {interval}", "covered", equal, 0.95, False, "at least 95 %"),
        (f"Models that differ: {verdict}", "significant", gained, 0.0, True, ""),
        (f"These: {interval}", "covered", gained, 0.95, False, "at least 95 %"),
    ):
        shares: list[list[bool]] = []
        print(f"## {title}\n")
        verdicts.table(head, list(lines(every, kind, shares)))
        result = verdicts.counted(shares, limit, above)
        print(f"\nCriterion: {criterion}. Result: {result}.\n" if criterion else "")
    shares = []
    print("## Bounds of gates: the truth is beyond the one-sided 95 % bound, %\n")
    ends = list(of_gates(equal | gained, shares))
    verdicts.table(head.replace("discordant, %", "bound"), ends)
    print(f"\nCriterion: at most 5 %. Result: {verdicts.counted(shares, 0.05, True)}.\n")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
