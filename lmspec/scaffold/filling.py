"""filling: the templates of a new project, and what the params.yaml of every project has."""

import platform
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from lmspec.methods import folders
from lmspec.methods.scalar import flow, quoted


def filled(template: str, values: dict[str, Any]) -> str:
    """The text of a template. Raises KeyError if a value is lacking."""
    folder = resources.files("lmspec.scaffold") / "templates"
    return Template((folder / template).read_text(encoding="utf-8")).substitute(values)


def common(path: Path, name: str) -> dict[str, Any]:
    """Of the file at that path, and of this machine. name: of the artifacts."""
    return {
        "name": name,
        "path": quoted(f"raw/{path.name}"),
        "file": quoted(path.name),
        "sha256": quoted(folders.sha256(path)),
        "threads": 2,
        "instructions": "avx2" if platform.machine().lower() in ("x86_64", "amd64") else "default",
    }


def source(name: str, fields: dict[str, Any], comment: str) -> str:
    """Text of the source of weights."""
    lines = [f"\n  {name}: # {comment}; see its licence before you pass it on"]
    lines += [f"\n    {field}: {flow(value)}" for field, value in fields.items()]
    return "".join(lines)


def deeper(text: str) -> str:
    """A text that is further in by a level."""
    return text.replace("\n", "\n  ")
