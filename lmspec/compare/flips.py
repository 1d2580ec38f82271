"""flips: examples that were right and are wrong now, which users notice even where accuracy rises.

Source: Yan et al. 2021, Positive-congruent training, arXiv:2011.09161; Xie et al. 2021, arXiv:2105.03048.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmspec.compare.evidence import Evidence
from lmspec.compare.report import Example, Flips, Slice
from lmspec.statistics import exact
from lmspec.statistics.paired import Paired

CONFIDENCE = 0.95
SHOWN = 5


@dataclass(frozen=True)
class Count:
    """Flips among some examples. size: how many independent ones they are worth, where documents have groups."""

    examples: int
    negative_flips: int
    positive_flips: int
    size: float

    @property
    def rate(self) -> float:
        """Broken, of all."""
        return self.negative_flips / self.examples

    def bounds(self, confidence: float) -> tuple[float, float]:
        """Of the rate, each one-sided. Source: Clopper & Pearson 1934; in groups Korn & Graubard 1998."""
        return exact.clopper_pearson(self.rate * self.size, self.size, confidence)


def count(paired: Paired, rows: NDArray[np.int64]) -> Count:
    """Of the examples at those places."""
    old, new = paired.pairs.old.right[rows], paired.pairs.new.right[rows]
    broken = old & ~new
    groups = paired.pairs.groups
    numbers = None if groups is None else np.unique(groups[rows], return_inverse=True)[1]
    size = float(len(rows)) if numbers is None else exact.effective_size(broken, numbers)
    return Count(len(rows), int(broken.sum()), int((~old & new).sum()), size)


def flips(evidence: Evidence, artifacts: Sequence[str], root: Path) -> Iterator[Flips]:
    """Of each scores artifact and test split whose predictions differ. root: where the texts may be at hand."""
    for name in artifacts:
        if not name.startswith("scores.") or evidence.unchanged(name):
            continue
        for dataset in evidence.predictions("new", name) or {}:
            paired = evidence.paired(name, dataset)
            if isinstance(paired, Paired):
                found = _of(name, dataset, paired, root)
                if found.negative_flips or found.positive_flips:
                    yield found


def _of(artifact: str, dataset: str, paired: Paired, root: Path) -> Flips:
    every = np.arange(len(paired.pairs.new.id))
    whole = count(paired, every)
    return Flips(
        artifact,
        dataset,
        whole.examples,
        whole.negative_flips,
        whole.positive_flips,
        whole.rate,
        whole.bounds(CONFIDENCE)[1],
        tuple(_slices(paired)),
        tuple(_worst(paired, dataset, root)),
    )


def _slices(paired: Paired) -> Iterator[Slice]:
    for label in paired.scale.labels:
        yield from _slice("class", label, paired, paired.labelled(label))
    if len(paired.pairs.tables) > 1:
        for table in paired.pairs.tables:
            yield from _slice("table", table, paired, paired.rows(table))


def _slice(kind: str, name: str, paired: Paired, rows: NDArray[np.int64]) -> Iterator[Slice]:
    if len(rows):
        found = count(paired, rows)
        yield Slice(
            "class" if kind == "class" else "table",
            name,
            found.examples,
            found.negative_flips,
            found.positive_flips,
        )


def _worst(paired: Paired, dataset: str, root: Path) -> Iterator[Example]:
    """The broken ones whose true label lost the most probability."""
    old, new = paired.pairs.old, paired.pairs.new
    broken = np.flatnonzero(old.right & ~new.right)
    lost = old.label_probability[broken] - new.label_probability[broken]
    chosen = [int(i) for i in broken[np.argsort(-lost, kind="stable")][:SHOWN]]
    texts = _texts(root / "data" / "splits" / dataset / "test.parquet", {new.id[i] for i in chosen})
    for i in chosen:
        chances = float(old.label_probability[i]), float(new.label_probability[i])
        yield Example(
            new.id[i],
            new.table[i],
            new.label[i],
            old.predicted[i],
            new.predicted[i],
            *chances,
            texts.get(new.id[i]),
        )


def _texts(path: Path, ids: set[str]) -> dict[str, str]:
    """The texts of some ids, where the corpus is at hand."""
    if not ids or not path.is_file():
        return {}
    import polars as pl  # here: it costs a tenth of a second, and few reports need it

    try:
        frame = pl.read_parquet(path, columns=["id", "text"]).filter(
            pl.col("id").is_in(sorted(ids))
        )
    except (pl.exceptions.PolarsError, OSError):
        return {}
    return dict(frame.iter_rows())
