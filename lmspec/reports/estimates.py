"""estimates: metrics with their intervals as short text, and shares by part of a test split."""

import math
from collections.abc import Sequence

from lmspec.inspection.results import Estimate, Part
from lmspec.reports import tables, words
from lmspec.reports.tables import Table


def level(estimate: Estimate) -> str:
    """`0.867 [0.849..0.885]`: without a space inside, so that a narrow table wraps before it."""
    if math.isnan(estimate.value):
        return words.NONE
    low_high = estimate.interval
    shown = f" [{low_high[0]:.3f}..{low_high[1]:.3f}]" if low_high else ""
    return f"{estimate.value:.3f}{shown}"


def of_100(estimate: Estimate, form: str = ".1f") -> str:
    """`39.6 [37.2..41.9]`, of a metric from 0 to 100."""
    if math.isnan(estimate.value):
        return words.NONE
    low_high = estimate.interval
    shown = f" [{low_high[0]:z.1f}..{low_high[1]:z.1f}]" if low_high else ""
    return f"{estimate.value:{form}}{shown}"


def signed(estimate: Estimate | None) -> str:
    """`+0.086 [0.064..0.108]`."""
    if estimate is None:
        return ""
    low_high = estimate.interval
    shown = f" [{low_high[0]:z.3f}..{low_high[1]:z.3f}]" if low_high else ""
    return f"{estimate.value:+z.3f}{shown}"


def size(count: int) -> str:
    """`17.5 MB`."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


def share(part: float | None) -> str:
    """`86.9 %`."""
    return "" if part is None else f"{100 * part:.1f} %"


def parts(found: Sequence[Part]) -> Table:
    """How many answers are right in each part."""
    rows = (
        (
            part.kind,
            part.name,
            f"{part.examples:,}",
            f"{share(part.accuracy)} [{100 * part.interval[0]:.1f}..{100 * part.interval[1]:.1f}]",
        )
        for part in sorted(found, key=lambda part: (part.kind == "length", 0))
    )
    heads = "by:text|part:name|examples:number|right, 95 %:number"
    return tables.table("parts", heads, rows)
