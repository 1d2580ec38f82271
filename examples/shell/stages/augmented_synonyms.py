"""augmented, synonyms: words become others of the same meaning.   sources -> made texts"""

from collections.abc import Iterator, Mapping, Sequence

from lmspec import stage
from lmspec.formats import synonyms
from lmspec.methods import augmenting, substituting
from lmspec.methods.augmenting import Made, Text
from lmspec.specs.augmented import Synonyms, WordNet


def of_rows(
    kind: Synonyms,
    key: Sequence[int],
    rows: Sequence[Text],
    needs: stage.Needs,
    clean: Mapping[str, bool],
) -> Iterator[tuple[int, Made | None]]:
    """(place of a row, what is made of it); None if no word of it has a synonym."""
    words, folder = kind.words, needs[kind.words.of]
    if isinstance(words, WordNet):
        found = synonyms.read_wordnet(folder, words.of)
    else:
        found = synonyms.read_table(folder, words.file, words.separator, words.of)
    kept = {word.casefold() for word in kind.keep}
    stage.say(f"{words.of}: {len(found):,} words have synonyms")
    for place, row in enumerate(rows):
        for copy, draw in augmenting.drawn(kind, key, row.id):
            text = substituting.substituted(row.text, found, kept, kind.rate, draw)
            yield place, None if text == row.text else Made(text, row.label, copy)
