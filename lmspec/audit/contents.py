"""contents: how two builds differ: which file, and which tensor, node, row, key or line of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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


def findings(one: Path, other: Path) -> list[Finding]:
    """Every file of two folders, or the two files, whose bytes differ."""
    if one.is_file() and other.is_file():
        return _file(one.name, one, other)
    names = sorted(
        {
            p.relative_to(root).as_posix()
            for root in (one, other)
            for p in root.rglob("*")
            if p.is_file()
        }
    )
    differing = []
    for name in names:
        if not (one / name).is_file() or not (other / name).is_file():
            differing.append(Finding(name, DIFFERENT, "only one of the two builds made it"))
        else:
            differing += _file(name, one / name, other / name)
    return differing


def _file(name: str, one: Path, other: Path) -> list[Finding]:
    before, after = one.read_bytes(), other.read_bytes()
    if before == after:
        return []
    look = READERS.get(Path(name).suffix, _bytes)
    try:
        what, largest = look(one, other)
    except Exception as error:  # half a dozen libraries read these files
        what, largest = f"{_bytes(one, other)[0]}; it cannot be read: {type(error).__name__}", None
    return [
        Finding(
            name, DIFFERENT if what else SAME, what or "the same content in other bytes", largest
        )
    ]


Look = Callable[[Path, Path], tuple[str, float | None]]


def _tensors(one: Path, other: Path) -> tuple[str, float | None]:
    from safetensors.numpy import load_file

    return _arrays("tensor", load_file(one), load_file(other))


def _arrays(noun: str, before: dict[str, Any], after: dict[str, Any]) -> tuple[str, float | None]:
    """The array that differs most, and how many differ."""
    missing = sorted(set(before) ^ set(after))
    if missing:
        return f"{noun} {missing[0]} is in one alone", None
    gaps: dict[str, float] = {}
    for name, array in before.items():
        if array.shape != after[name].shape or array.dtype != after[name].dtype:
            shapes = (f"{a.dtype}{list(a.shape)}" for a in (array, after[name]))
            return f"{noun} {name} is {' and '.join(shapes)}", None
        if not np.array_equal(array, after[name]):
            gaps[name] = float(
                np.nanmax(np.abs(array.astype(np.float64) - after[name].astype(np.float64)))
            )
    if not gaps:
        return "", None
    worst = max(gaps, key=lambda name: gaps[name])
    return (
        f"{noun} {worst} differs by up to {gaps[worst]:.3g}; {len(gaps)} of {len(before)} differ",
        gaps[worst],
    )


def _graph(one: Path, other: Path) -> tuple[str, float | None]:
    import onnx
    from onnx import numpy_helper

    before, after = onnx.load(one), onnx.load(other)
    for i, (a, b) in enumerate(zip(before.graph.node, after.graph.node, strict=False)):
        if a != b:
            return f"node {i} is {a.op_type} {a.name} and {b.op_type} {b.name}", None
    if len(before.graph.node) != len(after.graph.node):
        return f"it has {len(before.graph.node)} and {len(after.graph.node)} nodes", None
    weights = [
        {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
        for model in (before, after)
    ]
    what, largest = _arrays("weight", *weights)
    return what or ("" if before == after else "its metadata differ"), largest


def _table(one: Path, other: Path) -> tuple[str, float | None]:
    import polars as pl

    before, after = pl.read_parquet(one), pl.read_parquet(other)
    if before.schema != after.schema:
        return f"the columns are {before.columns} and {after.columns}", None
    rows = zip(before.iter_rows(), after.iter_rows(), strict=False)
    first = next((i for i, (a, b) in enumerate(rows) if a != b), None)
    if first is None:
        return (
            ""
            if before.height == after.height
            else f"it has {before.height} and {after.height} rows"
        ), None
    column = next(name for name in before.columns if before[name][first] != after[name][first])
    return (
        f"row {first}, column {column}: {_short(before[column][first])} and "
        f"{_short(after[column][first])}",
        None,
    )


def _values(one: Path, other: Path) -> tuple[str, float | None]:
    rows = difference.rows(*(json.loads(path.read_text(encoding="utf-8")) for path in (one, other)))
    differing = [row for row in rows if row.differs]
    if not differing:
        return "", None
    first = differing[0]
    largest = (
        max(abs(row.change) for row in differing if row.change is not None)
        if all(r.change for r in differing)
        else None
    )
    return (
        f"{first.name}: {_short(first.old)} and {_short(first.new)}; "
        f"{len(differing)} values differ",
        largest,
    )


def _lines(one: Path, other: Path) -> tuple[str, float | None]:
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (one, other))
    for number, (a, b) in enumerate(zip(before, after, strict=False), start=1):
        if a != b:
            return f"line {number}: {_short(a)} and {_short(b)}", None
    return f"it has {len(before)} and {len(after)} lines", None


def _bytes(one: Path, other: Path) -> tuple[str, float | None]:
    before, after = one.read_bytes(), other.read_bytes()
    at = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    return f"byte {at} is the first that differs, of {len(before)} and {len(after)}", None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


READERS: dict[str, Look] = {
    ".safetensors": _tensors,
    ".onnx": _graph,
    ".parquet": _table,
    ".json": _values,
    **dict.fromkeys((".csv", ".md", ".py", ".txt", ".ids"), _lines),
}
