"""flips: negative flips: examples that were right in the baseline and are wrong in the candidate.

Users notice them even where accuracy rises. Source: Yan et al. 2021, Positive-congruent training,
arXiv:2011.09161; Xie et al. 2021, arXiv:2105.03048.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Example, Flips, Slice
from lmspec.compare.revision import Unavailable
from lmspec.compare.verdicts import CONFIDENCE
from lmspec.statistics import exact
from lmspec.statistics.arrays import Interval, Ints
from lmspec.statistics.paired import PairedSample, independent

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
        if pair.noun != "scores" or pair.same_predictions:
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
                    tuple(_worst(paired, dataset, root)),
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


def _worst(paired: PairedSample, dataset: str, root: Path) -> Iterator[Example]:
    """Negative flips whose true label lost the most probability."""
    baseline, candidate = paired.pairs.baseline, paired.pairs.candidate
    negative = np.flatnonzero(baseline.right & ~candidate.right)
    lost = baseline.label_probability[negative] - candidate.label_probability[negative]
    chosen = [int(i) for i in negative[np.argsort(-lost, kind="stable")][:SHOWN]]
    texts = _texts(
        root / "data" / "splits" / dataset / "test.parquet", {candidate.id[i] for i in chosen}
    )
    for i in chosen:
        probabilities = float(baseline.label_probability[i]), float(candidate.label_probability[i])
        answers = baseline.predicted[i], candidate.predicted[i]
        text = texts.get(candidate.id[i])
        yield Example(
            candidate.id[i], candidate.table[i], candidate.label[i], *answers, *probabilities, text
        )


def _texts(path: Path, ids: set[str]) -> dict[str, str]:
    """id -> text, where the dataset is at hand."""
    if not ids or not path.is_file():
        return {}
    import polars as pl  # here: it takes 0.1 s, and few reports need it

    try:
        frame = pl.read_parquet(path, columns=["id", "text"])
        return dict(frame.filter(pl.col("id").is_in(sorted(ids))).iter_rows())
    except (pl.exceptions.PolarsError, OSError):
        return {}
