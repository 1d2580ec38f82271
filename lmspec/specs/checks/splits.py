"""splits checks: the fractions make a whole."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def fractions_sum_to_one(splits: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Every document is in one split."""
    others = splits["dev"] + splits["test"]
    total, rest = splits["train"] + others, 1 - others
    if abs(total - 1) > 1e-9:
        found = f"train + dev + test is {total:.6g}, and must be 1"
        remedy = f"write {rest:.6g}" if rest >= 0 else "lower `dev` or `test`"
        yield Disagreement(("train",), found, remedy)
