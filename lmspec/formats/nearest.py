"""nearest: training prompts and their answers on disk, as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.architectures.nearest import Nearest

KIND, PAIRS = "nearest", "pairs.json"


@dataclass(frozen=True)
class Kept:
    """A model that looks answers up. clean: as of its texts, see methods/repairing.py."""

    model: Nearest
    clean: Mapping[str, bool]


def write(kept: Kept, out: Path) -> None:
    """Write pairs.json, a list of [prompt, answer], and lmspec.json."""
    model = kept.model
    pairs = [list(pair) for pair in zip(model.prompts, model.answers, strict=True)]
    _write_json(pairs, out / PAIRS)
    about = {
        "kind": KIND,
        "words": list(model.words),
        "swap_first_word": model.swaps,
        "spaced": model.spaced,
        "clean": dict(kept.clean),
    }
    _write_json(about, out / "lmspec.json")


def read(folder: Path) -> Kept:
    """Read a model; what it needs to compare prompts is computed again."""
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    pairs = json.loads((folder / PAIRS).read_text(encoding="utf-8"))
    prompts, answers = ([pair[side] for pair in pairs] for side in (0, 1))
    low, high = about["words"]
    model = Nearest(prompts, answers, (low, high), about["swap_first_word"], about["spaced"])
    return Kept(model, about["clean"])


def _write_json(values: Any, file: Path) -> None:
    text = json.dumps(values, ensure_ascii=False, indent=0) + "\n"
    file.write_text(text, encoding="utf-8")
