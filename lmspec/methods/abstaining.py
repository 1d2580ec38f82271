"""abstaining: when an answer is `unsure`: unless one label alone is probable enough.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

from collections.abc import Mapping

UNSURE = "unsure"


def kept(answer: Mapping[str, float], thresholds: Mapping[str, float]) -> list[str]:
    """Labels that may be the true one: those whose probability is at least their threshold."""
    return [label for label, share in answer.items() if share >= thresholds[label]]


def is_unsure(answer: Mapping[str, float], thresholds: Mapping[str, float]) -> bool:
    """Is another label kept than the most probable one, or none?

    answer  label -> probability, of at least one; of equal ones the first counts
    """
    return kept(answer, thresholds) != [max(answer, key=answer.__getitem__)]
