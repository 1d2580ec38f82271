"""majority: the most frequent label: what a model must beat that is worth more than a constant."""

from collections import Counter
from collections.abc import Iterable


def most_frequent(labels: Iterable[str]) -> tuple[str, int]:
    """(the most frequent label, how many have it); of several the first in the alphabet.

    Raises ValueError if there is no label.
    """
    count = Counter(labels)
    if not count:
        raise ValueError("there is no label")
    return min(count.items(), key=lambda item: (-item[1], item[0]))
