"""mentioning: which texts have one of some words."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mentions(texts: Sequence[str], words: Sequence[str]) -> NDArray[np.bool_]:
    """(n,) has a text one of the words, whole and in any case?"""
    every = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{every})(?!\w)", re.IGNORECASE)
    return np.array([pattern.search(text) is not None for text in texts], bool)
