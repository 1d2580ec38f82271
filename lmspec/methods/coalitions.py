"""coalitions: what a model answers while only some words of a text are kept.

All that measures and compares explanations asks here, so that a word is taken away in one way.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Floats, Ids, Windows, predicted
from lmspec.methods.wordreader import Words

Bools = NDArray[np.bool_]


class Coalitions:
    """Probabilities of the labels of one text; each choice of words is predicted once.

    mask_id     takes the place of each token of a word that is taken away; None: nothing does
    batch_size  versions of the text that are predicted together
    """

    def __init__(
        self, predictor: Predictor, words: Words, mask_id: int | None, batch_size: int
    ) -> None:
        self.predictor, self.words = predictor, words
        self.mask_id, self.batch_size = mask_id, batch_size
        self._known: dict[bytes, Floats] = {}

    def __call__(self, kept: Bools) -> Floats:
        """(m, n) which words are kept -> (m, k) probabilities."""
        rows = [row.tobytes() for row in kept]
        new = {key: row for key, row in zip(rows, kept, strict=True) if key not in self._known}
        if new:
            found = self._predicted(list(new.values()))
            self._known.update(zip(new, found, strict=True))
        return np.stack([self._known[key] for key in rows])

    @property
    def whole(self) -> Floats:
        """(k,) of the text as it is."""
        probabilities: Floats = self(np.ones((1, len(self.words)), bool))[0]
        return probabilities

    def without(self, removed: Sequence[int] | Ids) -> Bools:
        """(n,) all words but these."""
        kept = np.ones(len(self.words), bool)
        kept[list(removed)] = False
        return kept

    def _predicted(self, kept: Sequence[Bools]) -> Floats:
        if self.words.ids:
            windows = [[self._window(w, row) for w in range(len(self.words.ids))] for row in kept]
        else:
            texts = [self._text(row) for row in kept]
            read = self.predictor.reader.read(texts)
            windows = [[read.ids[i] for i in read.places(t)] for t in range(len(texts))]
        nothing = np.zeros(len(windows), np.int64)
        return predicted(
            self.predictor.forward,
            Windows(
                [window for each in windows for window in each],
                np.repeat(np.arange(len(windows)), [len(each) for each in windows]),
                nothing,
                nothing,
                None,
            ),
            self.predictor.pad_id,
            self.batch_size,
        )

    def _window(self, number: int, kept: Bools) -> Ids:
        """Token ids of a window; of one of which nothing is left, the padding's."""
        ids, place = self.words.ids[number], self.words.places[number]
        left = without(ids, (place >= 0) & ~kept[place], self.mask_id)
        return left if len(left) else np.array([self.predictor.pad_id], np.int64)

    def _text(self, kept: Bools) -> str:
        """The text without the words that are not kept; white space stays."""
        parts, at = [], 0
        for (start, end), is_kept in zip(self.words.spans, kept, strict=True):
            parts.append(self.words.text[at : end if is_kept else start])
            at = end
        return "".join(parts) + self.words.text[at:]


def without(ids: Ids, removed: Bools, mask_id: int | None) -> Ids:
    """Tokens (t,) of which some are taken away: masked, or left out."""
    left: Ids = ids[~removed] if mask_id is None else np.where(removed, mask_id, ids)
    return left
