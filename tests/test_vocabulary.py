"""One term for one thing: words that another replaces (vocabulary.txt) are nowhere in the
repository."""

import bisect
import functools
import itertools
import re
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
BUILT = ("data/*", "dvc.lock", "examples/*/data/*", "examples/*/dvc.lock")
COPIES = ("examples/*/stages/*",)  # of stages/, by tests/test_shell_example.py
GENERATED = (*BUILT, *COPIES, "requirements.lock", "LICENSE", "*.png")
ITSELF = ("tests/vocabulary.txt", "tests/test_vocabulary.py")
# `NotGiven`, `not_given`, `not given` and `notGiven` are the same two words
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# between the words of one term: not the comma or the colon that ends a phrase or a name
BETWEEN = re.compile(r"""[\s_.\-/<>{}"'`#*]*""")


class Exemption(NamedTuple):
    """Where a term is the right word: in these files, on lines that contain this."""

    glob: str
    part: str

    def holds(self, path: str, line: str) -> bool:
        """Whether a use of the term is exempt."""
        return fnmatch(path, self.glob) and self.part in line


class Entry(NamedTuple):
    """A replaced term: its forms, each a sequence of words."""

    forms: tuple[tuple[str, ...], ...]
    replacement: str
    exemptions: tuple[Exemption, ...]

    def __str__(self) -> str:
        return " ".join(self.forms[0])


def entries(text: str) -> list[Entry]:
    """Parse vocabulary.txt."""
    parsed: list[Entry] = []
    for line in text.splitlines():
        if line.startswith("    "):
            glob, _, part = line.strip().partition(": ")
            entry = parsed.pop()
            parsed.append(entry._replace(exemptions=(*entry.exemptions, Exemption(glob, part))))
        elif line and not line.startswith("#"):
            forms, _, replacement = line.partition(" -> ")
            words = tuple(tuple(form.lower().split()) for form in forms.split("|"))
            parsed.append(Entry(words, replacement.strip(), ()))
    return parsed


class Text:
    """The words of a file, its name first, and the line of each."""

    def __init__(self, path: str, content: str) -> None:
        self.path = path
        self.lines = [path, *content.splitlines()]
        text = "\n".join(self.lines)
        matches = list(WORD.finditer(text))
        self.words = [match.group().lower() for match in matches]
        self.joined = [
            BETWEEN.fullmatch(text, one.end(), other.start()) is not None
            for one, other in itertools.pairwise(matches)
        ]
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self.line_of = [bisect.bisect_right(starts, match.start()) - 1 for match in matches]
        self.places: dict[str, list[int]] = {}
        for place, word in enumerate(self.words):
            self.places.setdefault(word, []).append(place)

    def uses(self, entry: Entry) -> Iterator[tuple[int, str]]:
        """(number, text) of each line with the term; 0 is the file's name."""
        for form in entry.forms:
            for place in self.places.get(form[0], ()):
                end = place + len(form)
                if tuple(self.words[place:end]) == form and all(self.joined[place : end - 1]):
                    number = self.line_of[place]
                    yield number, self.lines[number]


@functools.cache
def texts() -> tuple[Text, ...]:
    """Every file that people write, and what is generated for people to read."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(
        Text(name, (ROOT / name).read_text(encoding="utf-8", errors="replace"))
        for name in names.stdout.splitlines()
        if (ROOT / name).is_file() and not any(fnmatch(name, g) for g in (*GENERATED, *ITSELF))
    )


VOCABULARY = entries((ROOT / "tests/vocabulary.txt").read_text())


@pytest.mark.parametrize("entry", VOCABULARY, ids=str)
def test_a_replaced_term_is_nowhere(entry: Entry) -> None:
    """Neither in a name nor in prose, except where vocabulary.txt allows it."""
    uses = [
        f"{text.path}:{number}: {line.strip()}"
        for text in texts()
        for number, line in text.uses(entry)
        if not any(exemption.holds(text.path, line) for exemption in entry.exemptions)
    ]
    assert uses == [], f"write '{entry.replacement}'"


@pytest.mark.parametrize("entry", VOCABULARY, ids=str)
def test_a_planted_term_is_found(entry: Entry) -> None:
    """As an identifier, a class, a file's name, in prose, and where a line ends within it."""
    for form in entry.forms:
        for planted in (
            "_".join(form) + " = 3",
            "class " + "".join(word.title() for word in form) + ":",
            f'"""Raise if the {" ".join(form)}, and so on."""',
            "# a comment that ends in " + "\n# ".join(form),
        ):
            assert list(Text("lmspec/planted.py", planted).uses(entry)), planted
        assert list(Text(f"lmspec/{'_'.join(form)}.py", "").uses(entry))


@pytest.mark.parametrize("entry", [entry for entry in VOCABULARY if entry.exemptions], ids=str)
def test_every_exemption_is_used(entry: Entry) -> None:
    """One whose line is gone would let the term back in."""
    for exemption in entry.exemptions:
        assert any(
            exemption.holds(text.path, line) for text in texts() for _, line in text.uses(entry)
        ), exemption


def test_every_term_has_a_replacement_and_stands_once() -> None:
    """So that whoever finds a term here knows what to write."""
    forms = [form for entry in VOCABULARY for form in entry.forms]
    assert len(forms) == len(set(forms))
    assert all(entry.replacement and all(entry.forms) for entry in VOCABULARY)


def test_only_whole_words_of_one_phrase_are_found() -> None:
    """`inside` has no `side`, and a comma or a colon ends a phrase."""
    entry = Entry((("side",), ("old", "commit")), "revision", ())
    text = "beside = outsides + sidecar\ndef f(old: Commit): ...\nthe old, commit it"
    assert not list(Text("inside.py", text).uses(entry))
