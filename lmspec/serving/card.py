"""card: what a bundle has for people: its model card, its scores, and mistakes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.formats.manifest import Damaged, Manifest

CARD, SCORES = "README.md", "scores.json"


@dataclass(frozen=True)
class Card:
    """text: Markdown; scores: as stages/bundle.py writes them, None if the bundle has none."""

    text: str
    scores: Mapping[str, Any] | None


def read(folder: Path, about: Manifest) -> Card:
    """Of files that are listed alone, since those are checked. Raises Damaged, OSError."""
    text = (folder / CARD).read_text(encoding="utf-8") if CARD in about.files else ""
    if SCORES not in about.files:
        return Card(text, None)
    try:
        scores = json.loads((folder / SCORES).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Damaged(SCORES, f"it cannot be read ({error})") from None
    if not isinstance(scores, dict):
        raise Damaged(SCORES, "it is no JSON object")
    return Card(text, scores)
