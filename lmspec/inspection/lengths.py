"""lengths: how long texts are: quantiles, and the bars of a histogram."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

QUANTILES = {"least": 0.0, "median": 0.5, "95 %": 0.95, "99 %": 0.99, "most": 1.0}
BARS = 40  # of a histogram


@dataclass(frozen=True)
class Lengths:
    """How long texts are. bars: (upper end, texts) of each bar, the ends in proportion."""

    unit: str
    looked_at: int
    mean: float
    quantiles: Mapping[str, int]
    bars: Sequence[tuple[int, int]]


def of(unit: str, lengths: pl.Series) -> Lengths:
    """Of the length of each text."""
    if lengths.is_empty():
        return Lengths(unit, 0, 0.0, {}, [])
    quantiles = {
        name: int(lengths.quantile(share, "nearest") or 0) for name, share in QUANTILES.items()
    }
    return Lengths(
        unit,
        len(lengths),
        float(lengths.mean() or 0),  # type: ignore[arg-type]
        quantiles,
        _bars(lengths, quantiles["99 %"]),
    )


def _bars(lengths: pl.Series, most: int) -> list[tuple[int, int]]:
    """Bars of equal width up to the 99th percentile; the last one has all that is longer."""
    width = max(1, -(-most // BARS))
    place = (lengths.clip(1) - 1) // width
    last = max(0, (most - 1) // width)
    counts = dict(place.clip(0, last).value_counts().iter_rows())
    return [((i + 1) * width, int(counts.get(i, 0))) for i in range(last + 1)]
