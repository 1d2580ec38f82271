"""seen: the data that a model, or what it was made from, was trained, stopped or calibrated on.

The runner writes it beside the weights, by the references of the spec: no stage can forget it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from lmspec.formats.seenfile import NAME, Seen, read
from lmspec.specs.base import Ref
from lmspec.specs.names import PARTS


def of(references: Iterable[Ref], folders: Mapping[str, Path]) -> Seen:
    """What these references read, and what the artifacts that they name have seen."""
    seen: dict[str, set[str]] = {}
    for ref in references:
        if ref.noun in PARTS:
            seen.setdefault(str(ref), set()).update(ref.learned)
        elif ref.noun != "sources":
            for data, parts in read(folders[ref]).items():
                seen.setdefault(data, set()).update(parts)
    return {data: tuple(sorted(seen[data])) for data in sorted(seen)}


def write(seen: Seen, folder: Path) -> None:
    """Write it as JSON."""
    (folder / NAME).write_text(json.dumps(seen) + "\n", encoding="utf-8")
