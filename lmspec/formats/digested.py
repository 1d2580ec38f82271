"""digested: plain values that a stage keeps for itself, in a file with their own digest.

Damage of the disk, or of an editor, is noticed; the file is there as a whole or not at all.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.methods import resume

OWN = "sha256"


def digest(value: Any) -> str:
    """SHA-256 of plain values. Raises ValueError for a number that is none."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write(values: Mapping[str, Any], path: Path) -> None:
    """Its folder may be missing. Raises OSError, or ValueError for a number that is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as stream:
        json.dump({**values, OWN: digest(values)}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
    resume.sync(path.parent)


def read(path: Path) -> dict[str, Any] | None:
    """None if there is no such file. Raises OSError, or ValueError if it is damaged."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        found: dict[str, Any] = json.loads(text)
        whole = found.pop(OWN) == digest(found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise damaged(path)
    return found


def damaged(path: Path) -> ValueError:
    """What is in the file is not what was written there."""
    return ValueError(f"{path.parent.name}/{path.name} is damaged")
