"""encoding: windows of several datasets together, and their weights in a loss."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lmspec.methods import packing
from lmspec.methods.reading import Ids, Windows


def joined(parts: Sequence[tuple[Windows, Sequence[int] | Ids]]) -> Windows:
    """Texts of several datasets, each with the positions of those that are taken, as one."""
    of_text: list[int] = []

    def taken_windows() -> Iterator[Ids]:
        number = 0
        for windows, texts in parts:
            for text in texts:
                places = windows.places(int(text))
                of_text.extend([number] * len(places))
                yield from (windows.ids[place] for place in places)
                number += 1

    ids = packing.packed(taken_windows(), np.int64)

    def taken(name: str) -> Ids:
        return np.concatenate([getattr(w, name)[np.asarray(texts)] for w, texts in parts])

    lacks = all(windows.unknown is not None for windows, _ in parts)
    unknown = taken("unknown") if lacks else None
    return Windows(ids, np.asarray(of_text, np.int64), taken("tokens"), taken("unread"), unknown)


def shares(of_text: Ids) -> NDArray[np.float32] | None:
    """(w,) weight of each window in the loss, on average 1; the windows of a text share its weight.

    of_text  (w,) position of each window's text. None if every text has one window.
    """
    texts, text, windows = np.unique(of_text, return_inverse=True, return_counts=True)
    if len(texts) == len(of_text):
        return None
    result: NDArray[np.float32] = (len(of_text) / len(texts) / windows[text]).astype(np.float32)
    return result


def balanced(truth: Ids) -> NDArray[np.float64]:
    """(n,) texts / (labels * texts of the same label): each label counts as much as any other.

    truth  (n,) positions of the texts' labels. As scikit-learn's `class_weight="balanced"`.
    """
    _, label, count = np.unique(truth, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = len(truth) / (len(count) * count[label])
    return weights


def weights(each: NDArray[np.float64] | None, of_text: Ids) -> NDArray[np.float32] | None:
    """(w,) weight of each window in every term of the loss; None if all count 1.

    each  (n,) how much each text counts; None: all the same
    """
    share = shares(of_text)
    if each is None:
        return share
    own: NDArray[np.float32] = each[of_text].astype(np.float32)
    return own if share is None else own * share
