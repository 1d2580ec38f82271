"""kinds: which kind of model a folder holds, without reading the model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLAIN = "none"  # as in writing/prompting.py, which is in no key of classifiers


def kind_of(folder: Path) -> str:
    """Its kind, which names the module in lmspec.architectures that implements it."""
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    return str(about["kind"])


def architecture_of(folder: Path) -> Mapping[str, Any]:
    """Its kind, and of a model that writes `max_length` and `prompt`, as its spec has them."""
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    prompt = about.get("prompt") or {"kind": PLAIN}
    shown = None if prompt["kind"] == PLAIN else prompt
    return {"kind": about["kind"], "max_length": about.get("max_length"), "prompt": shown}
