"""trials: what came of a trial at a rung, kept for a search that is killed, repeated or widened.

One folder per trial, named after a digest of the model's section; its state is beside its results.
A result counts only if it says that it is of the same section and rung, and has its own digest.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Section = Mapping[str, Any]
Result = dict[str, Any]  # of numbers and booleans


def folder(place: Path, section: Section) -> Path:
    """Of a trial. place: that of the search, whose name holds all else that results depend on."""
    return place / digest(section)[:32]


def digest(value: Any) -> str:
    """SHA-256 of plain values."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read(place: Path, section: Section, rung: float | None) -> Result | None:
    """What came of a trial at a rung; None if that is not known.

    Raises ValueError if its file is damaged, or of something else.
    """
    path = _file(place, section, rung)
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found = json.loads(text)
        stated = found.pop("sha256")
        whole = stated == digest(found) and found["of"] == _subject(section, rung)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError(f"{path.parent.name}/{path.name} is damaged")
    result: Result = found["result"]
    return result


def write(place: Path, section: Section, rung: float | None, result: Result) -> None:
    """As a whole or not at all."""
    path = _file(place, section, rung)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"of": _subject(section, rung), "result": result}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(kept | {"sha256": digest(kept)}, indent=1), encoding="utf-8")
    partial.replace(path)


def _file(place: Path, section: Section, rung: float | None) -> Path:
    return folder(place, section) / f"{'end' if rung is None else rung}.json"


def _subject(section: Section, rung: float | None) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps({"section": section, "rung": rung}))
    return plain
