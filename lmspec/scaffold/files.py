"""files: the text files of a new project, from templates and the table."""

import json
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from lmspec.language import schema
from lmspec.run import installed, toolchain
from lmspec.scaffold import params, writing_params
from lmspec.scaffold.beginning import Beginning, WritingBeginning
from lmspec.scaffold.filling import filled
from lmspec.scaffold.wheel import Wheel

TEMPLATES = {
    "Makefile": "Makefile.tmpl",
    ".github/workflows/lmspec.yml": "workflow.yml.tmpl",
    ".gitlab-ci.yml": "gitlab-ci.yml.tmpl",
    ".gitignore": "gitignore.tmpl",
    ".dvcignore": "dvcignore.tmpl",
}


def texts(begun: Beginning | WritingBeginning, package: Wheel | None) -> Iterator[tuple[str, str]]:
    """(path, content) of every text file of the new project."""
    if isinstance(begun, WritingBeginning):
        yield "params.yaml", writing_params.text(begun)
    else:
        yield "params.yaml", params.text(begun)
    for path, template in TEMPLATES.items():
        yield path, filled(template, {"python": toolchain.minor()})
    yield "params.schema.json", schema.PATH.read_text(encoding="utf-8")
    yield "requirements.txt", "\n".join(requirements(package)) + "\n"
    for recipe in recipes():
        yield f"stages/{recipe.name}", recipe.read_text(encoding="utf-8")


def recipes() -> list[Path]:
    """The stages that a project gets a copy of, in an installed lmspec or its repository."""
    package = Path(__file__).parents[1]
    packaged = package / "recipes"
    return sorted((packaged if packaged.is_dir() else package.parent / "stages").glob("*.py"))


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
