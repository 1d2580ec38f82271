"""mixing: two training texts of one label become one."""

import bisect
import re
from collections.abc import Iterator, Sequence

from lmspec.methods.augmenting import Draw, Made, Text, drawn
from lmspec.specs.augmented import Mixing

IDS = 2**64  # there are ids of 16 hexadecimal digits
SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+")


class Others:
    """Texts by label, on a ring of their ids.

    The one that a draw meets is the next on the ring, so a text more or less in the data changes
    only what is drawn from the arc before it (consistent hashing).
    """

    def __init__(self, texts: Sequence[Text]) -> None:
        self._ring: dict[str, list[tuple[int, Text]]] = {}
        for one in texts:
            self._ring.setdefault(one.label, []).append((int(one.id, 16), one))
        for ring in self._ring.values():
            ring.sort()

    def of(self, one: Text, draw: Draw) -> Text | None:
        """Another text of its label; None if there is none."""
        ring = self._ring[one.label]
        at = bisect.bisect_left(ring, int(draw.integers(IDS, dtype="uint64")), key=lambda of: of[0])
        for i in range(min(2, len(ring))):  # the next two: the text itself may be one of them
            other = ring[(at + i) % len(ring)][1]
            if other.id != one.id:
                return other
        return None


def of_texts(
    kind: Mixing, key: Sequence[int], texts: Sequence[Text]
) -> Iterator[tuple[int, Made | None]]:
    """(place of a text, what is made of it); None if no other text has its label.

    key  of the draws: the seed, and the number of the kind
    """
    others = Others(texts)
    for place, one in enumerate(texts):
        for copy, draw in drawn(kind, key, one.id):
            other = others.of(one, draw)
            if other is None:
                yield place, None
                continue
            text = mixed(one.text, other.text, kind.parts, draw)
            yield place, Made(text, one.label, copy, other.id)


def mixed(text: str, other: str, parts: str, draw: Draw) -> str:
    """Two texts as one. parts: texts, halves or sentences, as the spec has it."""
    if parts == "texts":
        return f"{text} {other}"
    if parts == "sentences":
        return " ".join([*some_sentences(text, draw), *some_sentences(other, draw)])
    first, second = text.split(), other.split()
    return " ".join([*first[: (len(first) + 1) // 2], *second[len(second) // 2 :]])


def some_sentences(text: str, draw: Draw) -> list[str]:
    """Half of its sentences, rounded up, in their order."""
    sentences = SENTENCE_END.split(text)
    chosen = draw.permutation(len(sentences))[: (len(sentences) + 1) // 2]
    return [sentences[i] for i in sorted(chosen.tolist())]
