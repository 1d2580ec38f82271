"""mutations: a valid spec, and what typing errors, bad merges, odd tools and malice make of it."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
# its sources: two empty tables, and weights that are no more than a configuration
CONFIG = b'{"num_hidden_layers": 4, "max_position_embeddings": 128}'
EMPTY = hashlib.sha256(b"").hexdigest()
WEIGHTS = hashlib.sha256(
    f"{hashlib.sha256(CONFIG).hexdigest()}  config.json\n".encode()
).hexdigest()
MINIATURE = (
    (ROOT / "tests/miniature.yaml")
    .read_text(encoding="utf-8")
    .format(old=EMPTY, new=EMPTY, weights=WEIGHTS)
)
TEXTS = (MINIATURE, (ROOT / "params.yaml").read_text(encoding="utf-8"))
HUGE = "9" * 5000

# what is typed, pasted or left behind by a tool in the middle of a text
SIGNS = [
    *"\"'[]{}&*!|>%@`#:,-?=\\\t\r\n",
    "\r\n",
    "\n\n",
    "[[",
    "- ",
    "? ",
    ": ",
    "# ",
    "\n ",
    "\n\t",
]
UNICODE = [
    "\ufeff",
    "\x85",
    "\u2028",
    "\u2029",
    "\u200f",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d",
    "\xa0",
    "\xad",
    "\u0301",
]
UNICODE += [
    "e\u0301",
    "漢字",
    "\U0001f600",
    "\U0010ffff",
    "\ufffe",
    "\uffff",
    "\0",
    "\x07",
    "\x1b[31m",
    "\x7f",
    "\x9b",
]
YAMLISH = [
    "&a ",
    "&a",
    "*a",
    "*b",
    "<<: *a",
    "<<: *a\n",
    "<<: {}",
    "<<: [*a, *a]",
    "<<: 1\n",
    "<<",
    "&a {<<: *a}",
    "&a [*a]",
]
YAMLISH += [
    "---\n",
    "...\n",
    "|\n",
    "|2\n",
    ">-\n",
    "%YAML 1.1\n---\n",
    "%YAML 1.2\n---\n",
    "%TAG ! tag:x,2000:\n---\n",
]
YAMLISH += [
    "!",
    "!x ",
    "!!str ",
    "!!int ",
    "!!float ",
    "!!bool ",
    "!!null ",
    "!!map ",
    "!!seq ",
    "!!set {a}",
    "!!omap [a: 1]",
]
YAMLISH += [
    "!!binary aGk=",
    "!!merge ",
    "!!python/object/apply:os.getcwd []",
    "!!timestamp 2001-01-01",
    "!!int 0x",
    "!!int '1'",
]
YAMLISH += ["!<tag:yaml.org,2002:int> "]
# instead of a value or a name
PLAIN = [
    "null",
    "~",
    "true",
    "False",
    "yes",
    "0",
    "-0",
    "-1",
    "1",
    "2",
    "16",
    "16.0",
    "0.5",
    "1e-5",
    "5e-324",
    "1e400",
    "-1e400",
]
PLAIN += [
    ".nan",
    ".inf",
    "-.inf",
    HUGE,
    f"-{HUGE}",
    f"{HUGE}.0",
    "0x" + "f" * 5000,
    "1" + "0" * 400,
    "0o17",
    "0b11",
    "1_000",
]
PLAIN += [
    "017",
    "1:30",
    "+1",
    "0x",
    "0o9",
    "1__",
    "=",
    "2001-01-01",
    "2001-13-45",
    "2001-12-14t21:59:43.10-05:00",
]
PLAIN += [
    "9999-12-31T23:59:60Z",
    "",
    '""',
    "' '",
    '"\\x1b[31m\\a\\u202e\\u2028\\x85"',
    '"\\0"',
    '"a\\n"',
    '"\\ud800"',
]
PLAIN += [
    '"{braces} %s %(x)s"',
    "file",
    "cnn",
    "漢字",
    "[]",
    "{}",
    "[[]]",
    "[null]",
    "{a: 1}",
    "{kind: file}",
    "{kind: 1}",
]
PLAIN += [
    "{kind: null}",
    "{? [a] : 1}",
    "{1: 2, 1.0: 3}",
    f"{{{HUGE}: 1}}",
    "{2001-01-01: 1}",
    "{.nan: 1, .nan: 2}",
]
PLAIN += [
    "[" * 100 + "]" * 100,
    "{a: " * 100 + "}" * 100,
    "'(('",
    "'a{9999999999}'",
    '"' + "x" * 100_000 + '"',
    "x" * 300,
]
PLAIN += ["a." * 600 + "a", "a" * 255 + "/" + "b" * 256, "../x", "a.b", "a.b.c", "model", "."]
ODD = SIGNS + UNICODE + YAMLISH + PLAIN

Edit = tuple[str, int, int, Any]


def edited_texts(most: int = 4) -> st.SearchStrategy[bytes]:
    """The bytes of a spec after a few edits of its text."""
    edit = st.tuples(
        st.sampled_from(sorted(OF_TEXT)),
        st.integers(0, 2**20),
        st.integers(0, 2**20),
        st.sampled_from(ODD),
    )
    saved = st.tuples(
        st.sampled_from(sorted(OF_BYTES)), st.integers(0, 2**20), st.binary(min_size=1, max_size=6)
    )
    seldom = st.integers(0, 5).flatmap(lambda draw: st.none() if draw else saved)
    return st.builds(
        _edited_text,
        st.sampled_from(range(len(TEXTS))),
        st.lists(edit, min_size=1, max_size=most),
        seldom,
    )


def _edited_text(which: int, edits: list[Edit], saved: tuple[str, int, bytes] | None) -> bytes:
    text = TEXTS[which]
    for how, a, b, piece in edits:
        text = OF_TEXT[how](text, a % (len(text) + 1), b % (len(text) + 1), piece)
    content = text.encode()
    return (
        OF_BYTES[saved[0]](content, saved[1] % (len(content) + 1), saved[2]) if saved else content
    )


def _lines(
    change: Callable[[list[str], int, int, str], object],
) -> Callable[[str, int, int, str], str]:
    def edit(text: str, a: int, b: int, piece: str) -> str:
        lines = text.splitlines(keepends=True) or [""]
        change(lines, a % len(lines), b % len(lines), piece)
        return "".join(lines)

    return edit


def _put(lines: list[str], i: int, line: str) -> None:
    lines[i] = line


def _swap(items: list[Any], i: int, j: int) -> None:
    items[i], items[j] = items[j], items[i]


def _after_colon(lines: list[str], i: int, piece: str) -> None:
    key, colon, _ = lines[i].partition(": ")
    lines[i] = f"{key}{colon}{piece}\n"


OF_TEXT: dict[str, Callable[[str, int, int, str], str]] = {
    "delete line": _lines(lambda lines, i, j, _: lines.pop(i)),
    "duplicate line": _lines(lambda lines, i, j, _: lines.insert(i, lines[i])),
    "swap lines": _lines(lambda lines, i, j, _: _swap(lines, i, j)),
    "move line": _lines(lambda lines, i, j, _: lines.insert(j, lines.pop(i))),
    "indent line": _lines(lambda lines, i, j, _: _put(lines, i, " " * (j % 9) + lines[i])),
    "outdent line": _lines(lambda lines, i, j, _: _put(lines, i, lines[i][1 + j % 3 :])),
    "begin line": _lines(lambda lines, i, j, piece: _put(lines, i, piece + lines[i])),
    "end line": _lines(
        lambda lines, i, j, piece: _put(lines, i, lines[i].rstrip("\n") + piece + "\n")
    ),
    "replace value": _lines(lambda lines, i, j, piece: _after_colon(lines, i, piece)),
    "prefix value": _lines(
        lambda lines, i, j, piece: _put(lines, i, lines[i].replace(": ", f": {piece}", 1))
    ),
    "delete characters": lambda text, a, b, _: text[:a] + text[a + 1 + b % 8 :],
    "duplicate characters": lambda text, a, b, _: text[: a + b % 8] + text[a:],
    "swap characters": lambda text, a, b, _: (
        text[:a] + text[a + 1 : a + 2] + text[a : a + 1] + text[a + 2 :]
    ),
    "move characters": lambda text, a, b, _: (
        (text[:a] + text[a + 3 :])[:b] + text[a : a + 3] + (text[:a] + text[a + 3 :])[b:]
    ),
    "insert": lambda text, a, b, piece: text[:a] + piece + text[a:],
    "begin": lambda text, a, b, piece: piece + text,
    "end": lambda text, a, b, piece: text + piece,
    "same line ends": lambda text, a, b, _: text.replace(
        "\n", ("\r\n", "\r", "\x85", "\u2028")[a % 4]
    ),
    "tabs": lambda text, a, b, _: text.replace("  ", "\t", 1 + a % 50),
}
OF_BYTES: dict[str, Callable[[bytes, int, bytes], bytes]] = {
    "cut": lambda content, at, _: content[:at],
    "insert": lambda content, at, junk: content[:at] + junk + content[at:],
    "overwrite": lambda content, at, junk: content[:at] + junk + content[at + len(junk) :],
    "UTF-16": lambda content, at, junk: content.decode().encode("utf-16"),
}


class Map(list[list[Any]]):
    """A mapping as a list of [key, value], so that a key may be repeated."""


class Raw(str):
    """YAML that is written verbatim."""


def tree(value: Any) -> Any:
    """Values as a tree that can be edited."""
    if isinstance(value, dict):
        return Map([key, tree(item)] for key, item in value.items())
    return [tree(item) for item in value] if isinstance(value, list) else value


def written(value: Any, depth: int = 0) -> str:
    """A tree as YAML: two levels in block style, what is below in flow style."""
    if not isinstance(value, Map) or not value or depth > 1:
        return _flow(value)
    lines = []
    for key, item in value:
        block = isinstance(item, Map) and item and not depth
        text = f"\n{written(item, 1)}" if block else f" {_flow(item)}\n"
        lines.append(f"{'  ' * depth}{quoted(key)}:{text}")
    return "".join(lines)


def _flow(value: Any) -> str:
    if isinstance(value, Map):
        return "{" + ", ".join(f"{quoted(key)}: {_flow(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return quoted(value)


def quoted(value: Any) -> str:
    """A scalar; a text in quotes, with what is not printable by its number."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return (
            '"'
            + "".join(
                c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in value
            )
            + '"'
        )
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else repr(value)
    )


def places(value: Any) -> Iterator[tuple[Any, int]]:
    """(collection, position) of everything in a tree."""
    for i, item in enumerate(value):
        yield value, i
        child = item[1] if isinstance(value, Map) else item
        if isinstance(child, list):
            yield from places(child)


def edited_trees(most: int = 3) -> st.SearchStrategy[str]:
    """The text of a spec after a few edits of its values."""
    spot = st.integers(0, 2**16)
    edit = st.tuples(st.sampled_from(sorted(OF_TREE)), spot, spot, st.sampled_from(ODD_VALUES))
    return st.builds(
        _edited_tree, st.sampled_from(range(len(VALUES))), st.lists(edit, min_size=1, max_size=most)
    )


def _edited_tree(which: int, edits: list[Edit]) -> str:
    root = tree(VALUES[which])
    for how, a, b, piece in edits:
        spots = list(places(root))
        if spots:
            OF_TREE[how](*spots[a % len(spots)], *spots[b % len(spots)], piece)
    return written(root)


def get(owner: Any, i: int) -> Any:
    """The value at a place."""
    return owner[i][1] if isinstance(owner, Map) else owner[i]


def put(owner: Any, i: int, value: Any) -> None:
    """Replace the value at a place."""
    if isinstance(owner, Map):
        owner[i] = [owner[i][0], value]
    else:
        owner[i] = value


def _rename(owner: Any, i: int, key: Any) -> None:
    if isinstance(owner, Map):
        owner[i] = [key, owner[i][1]]


def _mistype(owner: Any, i: int, at: int) -> None:
    if isinstance(owner, Map):
        _rename(owner, i, str(owner[i][0])[:at] + str(owner[i][0])[at + 1 :])


def _exchange(one: Any, i: int, other: Any, j: int) -> None:
    first, second = get(one, i), get(other, j)
    put(one, i, tree_copy(second))
    put(other, j, tree_copy(first))


def tree_copy(value: Any) -> Any:
    """A tree that shares nothing with the first."""
    if isinstance(value, Map):
        return Map([key, tree_copy(item)] for key, item in value)
    return [tree_copy(item) for item in value] if isinstance(value, list) else value


def _add(owner: Any, i: int, key: Any, value: Any) -> None:
    owner.insert(i, [key, value] if isinstance(owner, Map) else value)


def _key(owner: Any, i: int) -> Any:
    return owner[i][0] if isinstance(owner, Map) else i


def _retyped(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int):
        return float(value)
    if isinstance(value, float):
        return int(value) if abs(value) < 1e15 else 0
    if isinstance(value, Map):
        return [item for _, item in value]
    return (
        Map([str(i), item] for i, item in enumerate(value))
        if isinstance(value, list)
        else Raw(value)
    )


OF_TREE: dict[str, Callable[[Any, int, Any, int, Any], object]] = {
    "delete": lambda one, i, other, j, piece: one.pop(i),
    "duplicate": lambda one, i, other, j, piece: one.insert(i, tree_copy(one[i])),
    "duplicate under another name": lambda one, i, other, j, piece: _add(
        one, i, _key(other, j), tree_copy(get(one, i))
    ),
    "rename": lambda one, i, other, j, piece: _rename(one, i, _key(other, j)),
    "rename oddly": lambda one, i, other, j, piece: _rename(one, i, piece),
    "mistype a name": lambda one, i, other, j, piece: _mistype(one, i, j % 5),
    "copy": lambda one, i, other, j, piece: put(one, i, tree_copy(get(other, j))),
    "swap": lambda one, i, other, j, piece: _exchange(one, i, other, j),
    "replace": lambda one, i, other, j, piece: put(one, i, piece),
    "add": lambda one, i, other, j, piece: _add(one, i, _key(other, j), piece),
    "put into a list": lambda one, i, other, j, piece: put(one, i, [tree_copy(get(one, i))]),
    "put under a name": lambda one, i, other, j, piece: put(
        one, i, Map([[_key(other, j), tree_copy(get(one, i))]])
    ),
    "empty": lambda one, i, other, j, piece: put(
        one, i, type(get(one, i))() if get(one, i) is not None else Map()
    ),
    "retype": lambda one, i, other, j, piece: put(one, i, _retyped(get(one, i))),
}
VALUES = tuple(YAML(typ="safe").load(text) for text in TEXTS)
NAMES = sorted({f"{noun}.{name}" for values in VALUES for noun in values for name in values[noun]})
ODD_VALUES = [
    *map(Raw, PLAIN),
    *NAMES,
    *(sign for sign in UNICODE if sign.isprintable()),
    "\x1b[31m",
    "\u202e",
    "a b",
]
