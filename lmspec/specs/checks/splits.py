"""splits checks: the sides make a whole."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

SPLITS = ("train", "dev", "test")


def fractions_sum_to_one(splits: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Every document is on one split."""
    total = sum(splits[split] for split in SPLITS)
    if abs(total - 1) > 1e-9:
        found = f"train + dev + test is {total:.6g}, and must be 1"
        rest = 1 - splits["dev"] - splits["test"]
        yield Disagreement(
            ("train",), found, f"with {rest:.6g} it is" if rest >= 0 else "lower `dev` or `test`"
        )
