"""files: the text files of a new project, from templates and the table."""

import json
import math
import platform
import re
import statistics
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Any

from lmspec.language import schema
from lmspec.methods import folders
from lmspec.methods.scalar import flow, quoted
from lmspec.run import installed, toolchain
from lmspec.scaffold.table import LabelledTable
from lmspec.scaffold.wheel import Wheel

MOST_TOKENS = 512
TEMPLATES = {
    "params.yaml": "params.yaml.tmpl",
    "Makefile": "Makefile.tmpl",
    ".github/workflows/lmspec.yml": "workflow.yml.tmpl",
    ".gitlab-ci.yml": "gitlab-ci.yml.tmpl",
    ".gitignore": "gitignore.tmpl",
    ".dvcignore": "dvcignore.tmpl",
}


def texts(table: LabelledTable, package: Wheel | None) -> Iterator[tuple[str, str]]:
    """(path, content) of every text file of the new project."""
    folder = resources.files("lmspec.scaffold") / "templates"
    values = {**_values(table), "python": toolchain.minor()}
    for path, template in TEMPLATES.items():
        yield path, Template((folder / template).read_text(encoding="utf-8")).substitute(values)
    yield "params.schema.json", schema.PATH.read_text(encoding="utf-8")
    yield "requirements.txt", "\n".join(requirements(package)) + "\n"
    for recipe in recipes():
        yield f"stages/{recipe.name}", recipe.read_text(encoding="utf-8")


def recipes() -> list[Path]:
    """The stages that a project gets a copy of, in an installed lmspec or its repository."""
    package = Path(__file__).parents[1]
    packaged = package / "recipes"
    return sorted((packaged if packaged.is_dir() else package.parent / "stages").glob("*.py"))


def _values(table: LabelledTable) -> dict[str, Any]:
    """What the templates fill in. Small data gets larger dev and test shares and more epochs."""
    rows = len(table.lengths)
    usual = statistics.quantiles(table.lengths, n=20)[-1]  # characters of the 95th percentile
    small = rows < 2000
    batch_size = 16 if small else 64
    # about three characters per token
    tokens = next((n for n in (32, 64, 128, 256) if n >= usual / 3), MOST_TOKENS)
    return {
        "name": table.name,
        "title": quoted(f"Labels of {table.path.name}"),
        "intended_use": quoted(f"Texts like those of {table.path.name}, in their language."),
        "path": quoted(f"raw/{table.path.name}"),
        "file": quoted(table.path.name),
        "sha256": quoted(folders.sha256(table.path)),
        "format": flow(table.spec["format"]),
        "missing": flow(table.spec["missing"]),
        "text": quoted(table.text),
        "label": flow(table.spec["label"]),
        "labels": ", ".join(quoted(label) for label in table.labels),
        "max_chars": max(1000, *table.lengths),
        "train": 0.6 if small else 0.8,
        "dev": 0.2 if small else 0.1,
        "test": 0.2 if small else 0.1,
        "vocabulary": 1000 if small else 8000,
        "max_length": tokens,
        "epochs": 20 if small else 5,
        "batch_size": batch_size,
        "evaluation_steps": math.ceil(rows * (0.6 if small else 0.8) / batch_size),  # an epoch
        "majority": round(max(table.labels.values()) / rows, 3),
        "threads": 2,
        "instructions": "avx2" if platform.machine().lower() in ("x86_64", "amd64") else "default",
    }


def requirements(own: Wheel | None) -> Iterator[str]:
    """requirements.txt: lmspec and everything it needs, at the installed versions.

    own  what it is installed from, unless this one came from a URL
    """
    yield "# What this project began with. An upgrade reruns the stages whose code it changes."
    yield "# No package index has lmspec: the file in vendor/ is it. Run pip in this folder."
    pins: dict[str, str] = {}
    queue = ["lmspec"]
    while queue:
        name = installed.canonical(queue.pop())
        package = None if name in pins else toolchain.package(name)
        if package is None:  # done, for another platform, or of an extra that is not installed
            continue
        if name == "lmspec" and (origin := _origin(package)):
            pins[name] = f"{name} @ {origin}"
        elif name == "lmspec" and own:
            pins[name] = own.requirement
        else:
            pins[name] = f"{name}=={toolchain.public(package.version)}"
        needed = (text for text in package.requires or () if "extra ==" not in text)
        queue += [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in needed]
    yield from sorted(pins.values())


def _origin(package: metadata.Distribution) -> str | None:
    """The URL that a package was installed from; None if from an index or a local folder."""
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin:
        return f"{origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"
    address = str(origin.get("url", ""))
    return address if address.startswith("https:") else None
