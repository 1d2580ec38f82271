"""augmented, mixing: two training texts of one label become one.   splits -> made texts"""

from collections.abc import Iterator, Mapping, Sequence

from lmspec import stage
from lmspec.methods import mixing
from lmspec.methods.augmenting import Made, Text
from lmspec.specs.augmented import Mixing


def of_rows(
    kind: Mixing,
    key: Sequence[int],
    rows: Sequence[Text],
    needs: stage.Needs,
    clean: Mapping[str, bool],
) -> Iterator[tuple[int, Made | None]]:
    """(place of a row, what is made of it); None if no other row has its label."""
    yield from mixing.of_texts(kind, key, [Text(row.id, row.text, row.label) for row in rows])
