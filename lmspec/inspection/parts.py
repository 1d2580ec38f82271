"""parts: how many answers are right in a part of a test split."""

from collections.abc import Iterator

from lmspec.inspection.overview import ONE_SIDED
from lmspec.inspection.results import Part
from lmspec.statistics import exact, paired
from lmspec.statistics.arrays import Bools, Ints
from lmspec.statistics.paired import Sample


def tables(sample: Sample) -> Iterator[Part]:
    """Each table, where there are several."""
    names = sample.predictions.strata.tables
    for table in names if len(names) > 1 else ():
        yield part("table", table, sample, sample.rows(table))


def part(kind: str, name: str, sample: Sample, rows: Ints) -> Part:
    """Some of the examples. rows: their indices."""
    right: Bools = sample.predictions.right[rows]
    worth = paired.independent(right, sample.groups, rows)
    share = float(right.mean())
    interval = exact.clopper_pearson(share * worth, worth, ONE_SIDED)
    return Part(kind, name, len(rows), share, interval)
