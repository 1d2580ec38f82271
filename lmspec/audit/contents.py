"""contents: how two builds differ: which file, and which tensor, node, row, key or line of it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from lmspec.language.problems import clipped
from lmspec.pipeline import difference

SAME, DIFFERENT = "same content", "different"


@dataclass(frozen=True)
class Finding:
    """A file whose bytes differ.

    verdict  same content (equal tensors, rows or values, other bytes), or different
    what     the first difference, in words
    largest  largest absolute difference of numbers; None if anything else differs
    """

    file: str
    verdict: str
    what: str
    largest: float | None = None


Pair = Callable[[Any, Any], str]  # two values that differ, in words
Difference = tuple[str, float | None]  # in words, empty for the same content; largest of numbers


def findings(one: Path, other: Path) -> list[Finding]:
    """Every file of two folders, or the two files, whose bytes differ."""
    names = {
        path.relative_to(root)
        for root in (one, other)
        for path in (root, *root.rglob("*"))
        if path.is_file()
    }
    differing = []
    for name in sorted(names):
        before, after = one / name, other / name
        what, largest = "only one of the two builds made it", None
        if before.is_file() and after.is_file():
            if before.read_bytes() == after.read_bytes():
                continue
            what, largest = _difference(before, after)
        verdict = DIFFERENT if what else SAME
        file = name.as_posix() if name.name else one.name
        differing.append(Finding(file, verdict, what or "the same content in other bytes", largest))
    return differing


def _difference(one: Path, other: Path) -> Difference:
    try:
        return COMPARERS.get(one.suffix, _bytes)(one, other)
    except Exception as error:  # half a dozen libraries read these files
        what, largest = _bytes(one, other)
        return f"{what}; it cannot be read: {type(error).__name__}", largest


def _tensors(one: Path, other: Path) -> Difference:
    from safetensors.numpy import load_file

    return _arrays("tensor", load_file(one), load_file(other))


def _arrays(noun: str, before: dict[str, Any], after: dict[str, Any]) -> Difference:
    """The array that differs most, and how many differ."""
    if missing := sorted(before.keys() ^ after.keys()):
        return f"{noun} {missing[0]} is in one alone", None
    gaps: dict[str, float] = {}
    for name, array in before.items():
        other = after[name]
        one_shape, other_shape = (f"{a.dtype}{list(a.shape)}" for a in (array, other))
        if one_shape != other_shape:
            return f"{noun} {name} is {one_shape} and {other_shape}", None
        if not np.array_equal(array, other):
            gaps[name] = float(np.nanmax(np.abs(np.subtract(array, other, dtype=np.float64))))
    if not gaps:
        return "", None
    worst, gap = max(gaps.items(), key=itemgetter(1))
    return f"{noun} {worst} differs by up to {gap:.3g}; {len(gaps)} of {len(before)} differ", gap


def _items(
    unit: str,
    one: Sequence[Any],
    other: Sequence[Any],
    shown: Callable[[Any, Any], str],
    first: int = 0,
) -> str:
    """The first item that differs, or how many there are. first: number of the first item."""
    for i, (before, after) in enumerate(zip(one, other, strict=False), first):
        if before != after:
            return f"{unit} {i}{shown(before, after)}"
    return "" if len(one) == len(other) else f"it has {len(one)} and {len(other)} {unit}s"


def _graph(one: Path, other: Path) -> Difference:
    import onnx
    from onnx.numpy_helper import to_array

    before, after = onnx.load(one), onnx.load(other)

    def nodes(a: Any, b: Any) -> str:
        return f" is {a.op_type} {a.name} and {b.op_type} {b.name}"

    if what := _items("node", before.graph.node, after.graph.node, nodes):
        return what, None
    weights = ({w.name: to_array(w) for w in model.graph.initializer} for model in (before, after))
    what, largest = _arrays("weight", *weights)
    return what or ("" if before == after else "its metadata differ"), largest


def _table(one: Path, other: Path) -> Difference:
    import polars as pl

    before, after = pl.read_parquet(one), pl.read_parquet(other)
    if before.schema != after.schema:
        return f"the columns are {before.columns} and {after.columns}", None

    def cells(a: dict[str, Any], b: dict[str, Any]) -> str:
        column = next(name for name in a if a[name] != b[name])
        return f", column {column}{_pair(a[column], b[column])}"

    return _items("row", before.rows(named=True), after.rows(named=True), cells), None


def _values(one: Path, other: Path) -> Difference:
    values = (json.loads(path.read_text(encoding="utf-8")) for path in (one, other))
    rows = [row for row in difference.rows(*values) if row.differs]
    if not rows:
        return "", None
    changes = [abs(row.change) for row in rows if row.change]
    what = f"{rows[0].name}{_pair(rows[0].old, rows[0].new)}; {len(rows)} values differ"
    return what, max(changes) if len(changes) == len(rows) else None


def _lines(one: Path, other: Path) -> Difference:
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (one, other))
    return _items("line", before, after, _pair, first=1) or "its line breaks differ", None


def _bytes(one: Path, other: Path) -> Difference:
    contents = one.read_bytes(), other.read_bytes()
    return _items("byte", *contents, lambda *_: " is the first that differs"), None


def _pair(before: object, after: object) -> str:
    return f": {clipped(repr(before))} and {clipped(repr(after))}"


COMPARERS: dict[str, Callable[[Path, Path], Difference]] = {
    ".safetensors": _tensors,
    ".onnx": _graph,
    ".parquet": _table,
    ".json": _values,
    **dict.fromkeys((".csv", ".md", ".py", ".txt", ".ids"), _lines),
}
