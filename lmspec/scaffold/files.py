"""files: the text files of a new project, from templates and the table."""

import dataclasses
import json
import platform
import re
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from string import Template
from typing import Any

from lmspec.language import schema
from lmspec.methods import folders
from lmspec.methods.scalar import flow, quoted
from lmspec.run import installed, toolchain
from lmspec.scaffold.beginning import Beginning
from lmspec.scaffold.wheel import Wheel

TEMPLATES = {
    "params.yaml": "params.yaml.tmpl",
    "Makefile": "Makefile.tmpl",
    ".github/workflows/lmspec.yml": "workflow.yml.tmpl",
    ".gitlab-ci.yml": "gitlab-ci.yml.tmpl",
    ".gitignore": "gitignore.tmpl",
    ".dvcignore": "dvcignore.tmpl",
}
REGRESSION = """
    # of the values of inverse_regularization the one that is best on dev is kept
    kind: logistic_regression
    inverse_regularization: [1.0, 10.0, 100.0]
    class_weights: {class_weights}
    max_iterations: 1000"""


def texts(begun: Beginning, package: Wheel | None) -> Iterator[tuple[str, str]]:
    """(path, content) of every text file of the new project."""
    values = {**_values(begun), "python": toolchain.minor()}
    for path, template in TEMPLATES.items():
        yield path, _filled(template, values)
    yield "params.schema.json", schema.PATH.read_text(encoding="utf-8")
    yield "requirements.txt", "\n".join(requirements(package)) + "\n"
    for recipe in recipes():
        yield f"stages/{recipe.name}", recipe.read_text(encoding="utf-8")


def recipes() -> list[Path]:
    """The stages that a project gets a copy of, in an installed lmspec or its repository."""
    package = Path(__file__).parents[1]
    packaged = package / "recipes"
    return sorted((packaged if packaged.is_dir() else package.parent / "stages").glob("*.py"))


def _values(begun: Beginning) -> dict[str, Any]:
    """What the templates fill in."""
    table, chosen = begun.table, begun.choices
    name = table.name
    values = {
        "name": name,
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
        **dataclasses.asdict(chosen.shares),
        **{key: flow(value) for key, value in dataclasses.asdict(chosen.linear).items()},
        "class_weights": chosen.class_weights,
        "regression": REGRESSION.format(class_weights=chosen.class_weights),
        "threads": 2,
        "instructions": "avx2" if platform.machine().lower() in ("x86_64", "amd64") else "default",
    }
    return values | _candidates(values, begun)


def _candidates(values: dict[str, Any], begun: Beginning) -> dict[str, str]:
    """Text of the models beside `linear`, and of what compares them with it."""
    chosen, weights = begun.choices, begun.weights
    models, scores, gates = [], [], []
    fill = dict(values)
    if weights is not None:
        fill |= {"weights": weights.label, "source": begun.source}
    for name, model in (("hybrid", chosen.hybrid), ("finetuned", chosen.tuning)):
        if model is None:
            continue
        own = dataclasses.asdict(model)
        own |= own.pop("reading", {})
        own["cut"] = f"{100 * begun.cut(own['max_length']):.0f} %"
        models.append(_filled(f"{name}.yaml.tmpl", fill | own))
    written = {"linear": True, "hybrid": chosen.hybrid, "finetuned": chosen.tuning}
    for name, fields in written.items():
        if fields and name != chosen.ships:
            scores.append(_filled("scores.yaml.tmpl", fill | {"model": name}))
            gates.append(_filled("gates.yaml.tmpl", fill | {"model": name}))
    common = chosen.hybrid is not None
    return {
        "shipped": f"model.{chosen.ships}",
        "blocks": _filled("blocks.yaml.tmpl", values) if common else "",
        "trained": " blocks.regression" if common else _deeper(values["regression"]),
        "sources": "".join(_source(begun)) if models else "",
        "models": "".join(models),
        "scores": "".join(scores),
        "gates": "".join(gates),
    }


def _source(begun: Beginning) -> Iterator[str]:
    assert begun.weights is not None
    yield f"\n  {begun.source}: # a pretrained encoder; see its licence before you pass it on"
    for field, value in begun.weights.source.items():
        yield f"\n    {field}: {flow(value)}"


def _deeper(text: str) -> str:
    return text.replace("\n", "\n  ")


def _filled(template: str, values: dict[str, Any]) -> str:
    folder = resources.files("lmspec.scaffold") / "templates"
    return Template((folder / template).read_text(encoding="utf-8")).substitute(values)


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
