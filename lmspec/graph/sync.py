"""sync: the specs and the imports of the stages, compiled to dvc.yaml."""

import hashlib
import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from lmspec.graph.closure import Closure, closure
from lmspec.specs.base import Artifact, references
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.project import Project

HEADER = "# Written by `lmspec sync` from params.yaml and the imports of stages/: edit those, not this.\n"
DVC_YAML = "dvc.yaml"
TOOLCHAIN = "toolchain.yaml"
METRICS = "data/metrics"


def compile_dvc_yaml(project: Project, root: Path) -> str:
    """The text of dvc.yaml: one stage per artifact, in the order of the nouns and of params.yaml."""
    stages, plots, artifacts = {}, [], {}
    for name, spec in project.artifacts():
        stage = stage_name(name)
        stages[stage] = _stage(project, name, spec, root)
        plots += _plots(stage, spec)
        if isinstance(spec, BundleSpec):
            artifacts[stage] = {"path": f"{folder(name)}", "type": "model", "desc": spec.title}
    document: dict[str, Any] = {"stages": stages}
    if plots:
        document["plots"] = plots
    if artifacts:
        document["artifacts"] = artifacts
    return HEADER + _yaml(document)


def _yaml(document: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def compile_toolchain(project: Project, root: Path) -> str | None:
    """The text of toolchain.yaml: SHA-256 of each module of an installed lmspec that a stage can execute.

    DVC watches this file in their place. None if lmspec lies in the project itself, where DVC watches its files.
    """
    outside: dict[str, Path] = {}
    for _, spec in project.artifacts():
        outside |= code_of(project, spec, root).outside
    if not outside:
        return None
    tree: dict[str, Any] = {}
    for module, path in sorted(outside.items()):
        *packages, name = module.split(".")
        branch = tree
        for package in packages:
            branch = branch.setdefault(package, {})
        branch[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return HEADER.replace("this.", "this. What lmspec executes: an upgrade reruns what it changes.") + _yaml(tree)


def outputs(project: Project, root: Path) -> dict[str, str]:
    """File -> text of all that `lmspec sync` writes."""
    toolchain = compile_toolchain(project, root)
    return {DVC_YAML: compile_dvc_yaml(project, root)} | ({TOOLCHAIN: toolchain} if toolchain else {})


def outdated(project: Project, root: Path) -> dict[str, str]:
    """File -> new text of what is not as params.yaml and the code say."""
    texts = outputs(project, root)
    return {n: t for n, t in texts.items() if not (root / n).exists() or (root / n).read_text(encoding="utf-8") != t}


def stage_name(name: str) -> str:
    """`model.minilm` -> `model-minilm`: DVC allows no dot."""
    return name.replace(".", "-", 1)


def folder(name: str) -> str:
    """Where an artifact lies."""
    noun, _, key = name.partition(".")
    return f"data/{noun}/{key}"


def code_of(project: Project, spec: Artifact, root: Path) -> Closure:
    """What the build of an artifact can execute: its stage, its variants, the readers of what it is made from."""
    modules = [f"stages.{spec.noun}", *spec.modules()]
    origin: Artifact | None = spec
    while origin is not None:
        before = origin.reads_like()
        origin = project.find(before) if before else None
        modules += origin.reader_modules() if origin else ()
    return closure(tuple(modules), root)


def needs_of(project: Project, spec: Artifact) -> list[str]:
    """Names of the artifacts that it refers to, each once, in the order of its fields."""
    return list(dict.fromkeys(str(ref) for _, ref in references(spec)))


def _stage(project: Project, name: str, spec: Artifact, root: Path) -> dict[str, Any]:
    noun, _, key = name.partition(".")
    stage: dict[str, Any] = {"cmd": f"exec python -m stages.{noun} {key}"}
    code = code_of(project, spec, root)
    stage["deps"] = [*(folder(need) for need in needs_of(project, spec)), *spec.files(), *code.files]
    stage["params"] = [
        name,
        *(["numerics"] if spec.numerics else []),
        *([{TOOLCHAIN: list(code.outside)}] if code.outside else []),
    ]
    outs: list[Any] = [folder(name)] if spec.cached else []
    outs += [{f"{METRICS}/{stage_name(name)}/{report}.csv": {"cache": False}} for report in spec.reports]
    if outs:
        stage["outs"] = outs
    if spec.metrics:
        stage["metrics"] = [{f"{METRICS}/{stage_name(name)}.json": {"cache": False}}]
    return stage


def _plots(stage: str, spec: Artifact) -> list[dict[str, Any]]:
    plots: list[dict[str, Any]] = []
    if "curve" in spec.reports:
        file = f"{METRICS}/{stage}/curve.csv"
        for title, columns in (("loss", ["train_loss", "dev_log_loss"]), ("dev accuracy", ["dev_accuracy", "dev_macro_f1"])):
            plots.append({f"{stage}: {title}": {"x": {file: "step"}, "y": {file: columns}, "title": f"{stage}: {title}"}})
    if "outcomes" in spec.reports:
        file = f"{METRICS}/{stage}/outcomes.csv"
        shape = {"x": {file: "label"}, "y": {file: "predicted"}, "template": "confusion"}
        plots.append({f"{stage}: confusion": {**shape, "title": f"{stage}: confusion"}})
    return plots
