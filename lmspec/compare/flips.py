"""flips: negative flips: examples that were right in the baseline and are wrong in the candidate.

Users notice them even where accuracy rises. Source: Yan et al. 2021, Positive-congruent training,
arXiv:2011.09161; Xie et al. 2021, arXiv:2105.03048.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lmspec.compare import cases, texts
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Example, Flips, Slice
from lmspec.compare.revision import Unavailable
from lmspec.compare.verdicts import CONFIDENCE
from lmspec.statistics import exact
from lmspec.statistics.answers import Answers, Choices
from lmspec.statistics.arrays import Floats, Interval, Ints
from lmspec.statistics.cases import Cases
from lmspec.statistics.paired import PairedSample, independent
from lmspec.statistics.predictions import Predictions
from lmspec.statistics.sides import Side

SHOWN = 5


@dataclass(frozen=True)
class Count:
    """Flips among some examples. size: the independent examples they are worth, if grouped."""

    examples: int
    negative_flips: int
    positive_flips: int
    size: float

    @property
    def rate(self) -> float:
        """Negative flips of all examples."""
        return self.negative_flips / self.examples

    def bounds(self, confidence: float) -> Interval:
        """Of the rate, each one-sided.

        Source: Clopper & Pearson 1934; in groups Korn & Graubard 1998.
        """
        return exact.clopper_pearson(self.rate * self.size, self.size, confidence)


def count(paired: PairedSample, rows: Ints) -> Count:
    """Flips among the pairs of those indices."""
    baseline, candidate = paired.pairs.baseline.right[rows], paired.pairs.candidate.right[rows]
    negative = baseline & ~candidate
    size = independent(negative, paired.pairs.groups, rows)
    return Count(len(rows), int(negative.sum()), int((~baseline & candidate).sum()), size)


def flips(pairs: Sequence[ArtifactPair], root: Path) -> Iterator[Flips]:
    """Of each test split of the scores whose predictions differ. root: of the texts, if at hand."""
    for pair in pairs:
        if not pair.has_examples or pair.same_predictions:
            continue
        for dataset in pair.candidate.predictions:
            paired = pair.sample(dataset)
            if isinstance(paired, Unavailable):
                continue
            counts = count(paired, paired.rows(None))
            if counts.negative_flips or counts.positive_flips:
                yield Flips(
                    pair.name,
                    dataset,
                    counts.examples,
                    counts.negative_flips,
                    counts.positive_flips,
                    counts.rate,
                    counts.bounds(CONFIDENCE)[1],
                    tuple(_slices(paired)),
                    tuple(_examples(pair, paired, dataset, root)),
                )


def _slices(paired: PairedSample) -> Iterator[Slice]:
    parts: list[tuple[Literal["class", "table"], str, Ints]] = [
        ("class", label, paired.labelled(label)) for label in paired.scale.labels
    ]
    if len(paired.pairs.strata.tables) > 1:
        parts += [("table", table, paired.rows(table)) for table in paired.pairs.strata.tables]
    for kind, name, rows in parts:
        if len(rows):
            counts = count(paired, rows)
            yield Slice(kind, name, len(rows), counts.negative_flips, counts.positive_flips)


def _examples(
    pair: ArtifactPair, paired: PairedSample, dataset: str, root: Path
) -> Iterator[Example]:
    candidate = paired.pairs.candidate
    if not isinstance(candidate, Cases):
        yield from _worst(pair.name, paired, dataset, root)
        return
    lost = np.flatnonzero(paired.pairs.baseline.right & ~candidate.right)
    ids = [candidate.id[i] for i in lost]
    tables = pair.baseline.table(cases.TABLE), pair.candidate.table(cases.TABLE)
    known = texts.of_cases(root, pair.name, dataset, ids)
    yield from itertools.islice(cases.flipped(tables, dataset, ids, known), SHOWN)


def _worst(scores: str, paired: PairedSample, dataset: str, root: Path) -> Iterator[Example]:
    """Negative flips: labels and choices that lost the most probability, texts that have the least
    in common with their references."""
    baseline, candidate = paired.pairs.baseline, paired.pairs.candidate
    negative = np.flatnonzero(baseline.right & ~candidate.right)
    lost = _lost(paired, negative)
    chosen = [int(i) for i in negative[np.argsort(-lost, kind="stable")][:SHOWN]]
    probabilities = zip(_of_label(baseline)[chosen], _of_label(candidate)[chosen], strict=True)
    if isinstance(candidate, Answers):
        words = list(_in_words(scores, candidate, chosen, dataset, root))
    else:
        path = root / "data" / "splits" / dataset / "test.parquet"
        known = texts.of_documents(path, {candidate.id[i] for i in chosen})
        words = [
            (candidate.label[i], baseline.predicted[i], candidate.predicted[i], known.get(name))
            for i, name in ((i, candidate.id[i]) for i in chosen)
        ]
    for i, (label, before, after, text), (sure, now) in zip(
        chosen, words, probabilities, strict=True
    ):
        ends = float(sure), float(now)
        yield Example(candidate.id[i], candidate.table[i], label, before, after, *ends, text)


def _lost(paired: PairedSample, rows: Ints) -> Floats:
    """(rows,) by which the worst come first."""
    baseline, candidate = paired.pairs.baseline, paired.pairs.candidate
    if isinstance(candidate, Answers) and not isinstance(candidate, Choices):
        return -paired.scale.metric("chrf", candidate.parts["chrf"].numbers[rows])
    return np.asarray(_of_label(baseline)[rows] - _of_label(candidate)[rows])


def _of_label(side: Side) -> Floats:
    """(n,) probability of the true label; of the reference, the geometric mean of its tokens'.

    Of a model without probabilities: 1 if it is right, else 0.
    """
    if isinstance(side, Predictions):
        return side.label_probability
    if isinstance(side, Answers) and (loss := side.parts.get("log_loss")):
        tokens, nats = loss.numbers.T
        return np.asarray(np.exp(-nats / np.maximum(tokens, 1)))
    return side.right.astype(np.float64)


def _in_words(
    scores: str, candidate: Answers, chosen: Sequence[int], dataset: str, root: Path
) -> Iterator[tuple[str, str, str, str | None]]:
    """(reference, baseline's answer, candidate's, prompt); hashes where the texts are not at hand.

    The baseline's answer is the reference: it was right.
    """
    hashes = {candidate.id[i]: (candidate.label[i], candidate.predicted[i]) for i in chosen}
    known = texts.of_answers(root, scores, dataset, hashes)
    for name, (reference, answer) in hashes.items():
        written = known.get(name)
        if written is None:
            yield reference, reference, answer, None
        else:
            yield written.reference, written.reference, written.text, written.prompt
