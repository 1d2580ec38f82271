"""bands: of the scores that get a label, none gets two."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def bands_are_apart(rule: Mapping[str, Any]) -> Iterator[Disagreement]:
    """No score is in two bands, and no band is empty."""
    spans = []
    for i, band in enumerate(rule["bands"] or ()):
        low = -math.inf if band["at_least"] is None else band["at_least"]
        high = math.inf if band["at_most"] is None else band["at_most"]
        if low > high:
            found = f"the band of '{band['label']}' is empty:"
            found += f" at_least is {low:g}, and at_most is {high:g}"
            upper = ((("bands", i, "at_most"), "its upper bound"),)
            yield Disagreement(("bands", i, "at_least"), found, "swap them", upper)
        else:
            spans.append((low, high, i, str(band["label"])))
    for (_, high, i, one), (low, _, j, two) in itertools.pairwise(sorted(spans)):
        if low <= high:
            span = f"{low:g} belongs" if low == high else f"{low:g} to {high:g} belong"
            found = f"the bands of '{two}' and '{one}' overlap: {span} to both"
            remedy = "leave a gap: both bounds of a band belong to it"
            others = ((("bands", i), f"the band of '{one}'"),)
            yield Disagreement(("bands", j), found, remedy, others)
