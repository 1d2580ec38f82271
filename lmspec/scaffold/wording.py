"""wording: numbers in the words of `lmspec init`."""

from collections.abc import Sequence


def duration(seconds: float) -> str:
    """On two cores."""
    return f"about {max(1, round(seconds / 60))} min on two cores" if seconds > 45 else "seconds"


def quantile(ascending: Sequence[int], share: float) -> int:
    """The number that this share of them does not exceed."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


def sized(parameters: int) -> str:
    """A number of parameters: 135M, 1.2B."""
    if parameters >= 995_000_000:
        return f"{parameters / 1e9:.1f}B"
    return f"{parameters / 1e6:.0f}M" if parameters >= 1e6 else f"{parameters:,}"
