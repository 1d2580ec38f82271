"""seenfile: the data that a model was trained, stopped or calibrated on, as its folder names it."""

import json
from collections.abc import Mapping
from pathlib import Path

from lmspec.errors import LmspecError

NAME = "seen.json"
Seen = Mapping[str, tuple[str, ...]]  # `splits.name` -> its parts, such as train and dev


def read(folder: Path) -> Seen:
    """What an artifact has seen. Raises LmspecError if its folder does not say."""
    try:
        document = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return {str(data): tuple(map(str, parts)) for data, parts in document.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        found = f"it has no {NAME} that says what it was trained on"
        raise LmspecError(str(folder), found, "build it again: `dvc repro`") from None
