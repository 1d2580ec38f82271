"""trials: what came of a trial at a rung, kept for a search that is killed, repeated or widened.

One folder per trial, named after a digest of the model's section; its state is beside its results.
A result counts only if it says that it is of the same section and rung, and has its own digest.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.formats import digested

Section = Mapping[str, Any]
Result = dict[str, Any]  # of numbers and booleans


def folder(place: Path, section: Section) -> Path:
    """Of a trial. place: that of the search, whose name holds all else that results depend on."""
    return place / digested.digest(section)[:32]


def read(place: Path, section: Section, rung: float | None) -> Result | None:
    """What came of a trial at a rung; None if that is not known.

    Raises ValueError if its file is damaged, or of something else.
    """
    path = _file(place, section, rung)
    found = digested.read(path)
    if found is None:
        return None
    if found.get("of") != _subject(section, rung):
        raise digested.damaged(path)
    result: Result = found["result"]
    return result


def write(place: Path, section: Section, rung: float | None, result: Result) -> None:
    """As a whole or not at all."""
    kept = {"of": _subject(section, rung), "result": result}
    digested.write(kept, _file(place, section, rung))


def _file(place: Path, section: Section, rung: float | None) -> Path:
    return folder(place, section) / f"{'end' if rung is None else rung}.json"


def _subject(section: Section, rung: float | None) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps({"section": section, "rung": rung}))
    return plain
