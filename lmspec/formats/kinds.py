"""kinds: which kind of model a folder holds, without reading the model."""

import json
from pathlib import Path


def kind_of(folder: Path) -> str:
    """Its kind, which names the module in lmspec.architectures that implements it."""
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    return str(about["kind"])
