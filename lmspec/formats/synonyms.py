"""synonyms: words and what may be in their place: a file of pairs, or WordNet's files."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.formats.plaintext import require_utf8, shown

PARTS = {"1": "noun", "2": "verb", "3": "adj", "4": "adv", "5": "adj"}  # of a sense key; 5: of a 3
SENSES = "index.sense"
ANTONYM = "!"
# Words that have a sense in WordNet, `in` as inch, and mostly are meant in none.
FUNCTION = frozenset(
    re.findall(
        r"\w+",
        """
a about above across after again against all almost along also although always am among an and
another any are around as at away back be because been before being below between both but by
can could did do does doing done down during each either else enough even ever every few for
from further get had has have having he her here hers him his how however i if in into is it its
just least less let like may me might more most much must my near off often on once one only or
other our ours out over own quite rather same shall she should since so some still such than
that the their theirs them then there these they this those though through thus till to together
too toward two under until up upon us very was we well were what when where whether which while
who whom whose why will with within would yes yet you your yours
""",
    )
)


Synonyms = Mapping[str, Sequence[str]]  # word in lower case -> what may be in its place


def read_table(folder: Path, file: str, separator: str, source: str) -> Synonyms:
    """A file of pairs: a word and its synonym in each line. Rows of several words are not used.

    source  what messages call the folder
    Raises LmspecError with the line.
    """
    path, place = folder / file, f"{source}: {file}"
    if not path.is_file():
        files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        raise LmspecError(place, "there is no such file", f"it has {some(files) or 'none'}")
    require_utf8(path, place)
    pairs: dict[str, list[str]] = {}
    for line, fields in _rows(path, separator, place):
        if len(fields) != 2 or not all(fields):
            count = f"{len(fields)} field{'' if len(fields) == 1 else 's'}"
            found = f"it has {count} instead of 2: {shown(' '.join(fields))}"
            if len(fields) == 2:
                found = f"a field is empty: {shown(' '.join(fields))}"
            remedy = f"a line is a word, a {separator} and its synonym"
            raise LmspecError(f"{place}:{line}", found, remedy)
        word, other = fields[0].casefold(), fields[1]
        if " " not in word and word != other.casefold():
            others = pairs.setdefault(word, [])
            if other not in others:
                others.append(other)
    if not pairs:
        found = "no line has a word and another one in its place"
        raise LmspecError(place, found, "add some: a word of several words is not replaced")
    return pairs


def _rows(path: Path, separator: str, place: str) -> Iterator[tuple[int, list[str]]]:
    """(line, fields without white space around them)."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        if separator == "tab":
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        try:
            for fields in rows:
                if fields:
                    yield rows.line_num, [field.strip() for field in fields]
        except csv.Error as error:
            found = f"its quotes do not match: {error}"
            raise LmspecError(f"{place}:{rows.line_num}", found, 'write "" for a quote') from error


def read_wordnet(folder: Path, source: str) -> Synonyms:
    """Of each word, the others of its most frequent sense, if they are no names.

    A word with an antonym, in whichever sense, neither is replaced nor replaces another: what it
    says of a text could turn. source: what messages call the folder. Raises LmspecError.
    """
    files = [SENSES, *dict.fromkeys(f"data.{part}" for part in PARTS.values())]
    if absent := [name for name in files if not (folder / name).is_file()]:
        found = f"it has no {some(absent)}"
        raise LmspecError(source, found, "name them in `members`, as docs/augmenting.md shows")
    synsets: dict[tuple[str, int], list[str]] = {}
    opposed: set[str] = set()
    for part in dict.fromkeys(PARTS.values()):
        for offset, words, opposing in _synsets(folder / f"data.{part}", source):
            synsets[part, offset] = words
            opposed.update(opposing)
    of = {}
    for word, synset in _most_frequent(folder / SENSES, source).items():
        others = [
            other.replace("_", " ")
            for other in synsets.get(synset, ())
            if other.islower() and other not in opposed and other != word
        ]
        if others and word not in opposed and word not in FUNCTION:
            of[word] = others
    return of


def _synsets(path: Path, source: str) -> Iterator[tuple[int, list[str], set[str]]]:
    """(offset, its words, those of them that have an antonym) of each line of a data file.

    Its format is wndb(5WN): offset, file, type, number of words (hexadecimal), words, each with an
    id, number of pointers, pointers of four fields; the fourth of an antonym begins with the number
    of its word.
    """
    for number, line in _lines(path):
        try:
            head, count = line.split(" | ")[0].split(), 0
            count = int(head[3], 16)
            words = [word.partition("(")[0] for word in head[4 : 4 + 2 * count : 2]]
            at = 5 + 2 * count
            pointers = [head[i : i + 4] for i in range(at, at + 4 * int(head[at - 1]), 4)]
            opposing = {
                words[int(of[:2], 16) - 1].casefold()
                for kind, _, _, of in pointers
                if kind == ANTONYM and of[:2] != "00"
            }
            yield int(head[0]), words, opposing
        except (IndexError, ValueError) as error:
            raise _not_wordnet(path, number, source) from error


def _most_frequent(path: Path, source: str) -> dict[str, tuple[str, int]]:
    """Word -> (part of speech, offset) of its most frequent sense.

    By the counts of WordNet's tagged texts, and of equal ones the first: nouns before verbs.
    A line is senseidx(5WN): lemma%type:..., offset, number of the sense, count.
    """
    best: dict[str, tuple[tuple[int, int, int], int]] = {}  # word -> (rank, offset)
    for number, line in _lines(path):
        try:
            key, offset, sense, count = line.split()
            word, _, rest = key.partition("%")
            found = (-int(count), int(rest[0]), int(sense)), int(offset)
            if "_" not in word and (word not in best or found < best[word]):
                best[word] = found
        except (IndexError, ValueError) as error:
            raise _not_wordnet(path, number, source) from error
    return {word: (PARTS[str(part)], offset) for word, ((_, part, _), offset) in best.items()}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, line); the license at the beginning is indented."""
    with path.open(encoding="latin-1") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and not line.startswith("  "):
                yield number, line


def _not_wordnet(path: Path, line: int, source: str) -> LmspecError:
    found = "it is no line of WordNet's database"
    return LmspecError(f"{source}: {path.name}:{line}", found, "fetch the files of WordNet 3.1")
