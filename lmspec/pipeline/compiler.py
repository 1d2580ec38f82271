"""compiler: specs and the imports of the stages -> dvc.yaml and toolchain.yaml."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lmspec.errors import LmspecError
from lmspec.formats import yamltext
from lmspec.pipeline import packages
from lmspec.pipeline.closure import Closure, Code, OnDisk, closure
from lmspec.run import environment, toolchain
from lmspec.specs.base import Artifact, Ref, references
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.names import FETCHING, METRICS, PARTS, ArtifactName
from lmspec.specs.project import Project
from lmspec.specs.results import Table

WRITTEN = (
    "# Written by `lmspec sync` from params.yaml and the imports of stages/: edit those, not this."
)
DVC_YAML = "dvc.yaml"
TOOLCHAIN = "toolchain.yaml"
Document = dict[str, Any]  # of YAML
COMPILING = [Path(__file__).with_name(f"{name}.py") for name in ("closure", "compiler", "packages")]


def dvc_yaml_text(project: Project, root: Path) -> str:
    """The text of dvc.yaml: one stage per artifact, in the order of nouns and of params.yaml."""
    stages, plots, artifacts = {}, [], {}
    files = OnDisk(root)
    for name, spec in project.artifacts():
        artifact = ArtifactName.parse(name)
        stage = artifact.stage
        code = code_of(project, spec, files)
        stages[stage] = stage_of(project, name, code, packages.executed(code.foreign))
        plots += _plots(stage, spec)
        if isinstance(spec, BundleSpec):
            artifacts[stage] = {"path": artifact.folder, "type": "model", "desc": spec.title}
    document = {"stages": stages, "plots": plots, "artifacts": artifacts}
    used = {section: value for section, value in document.items() if value or value is stages}
    return f"{WRITTEN}\n{text_of(used)}"


def text_of(document: Document) -> str:
    """A document as YAML, as DVC writes it."""
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()


def toolchain_text(project: Project, root: Path) -> str:
    """The text of toolchain.yaml: versions of Python and of the packages that stages execute.

    With the SHA-256 of each module of an installed lmspec, whose files DVC cannot watch.
    """
    files = OnDisk(root)
    closures = [code_of(project, spec, files) for _, spec in project.artifacts()]
    versions = packages.executed(frozenset().union(*(code.foreign for code in closures)))
    tree: Document = {"python": toolchain.minor(), "packages": versions}
    outside = {module: path for code in closures for module, path in code.outside.items()}
    if outside:  # comparisons ask which lmspec wrote dvc.yaml
        outside |= {f"lmspec.pipeline.{file.stem}": file for file in COMPILING}
    for module, path in sorted(outside.items()):
        *parents, name = module.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    meaning = "What stages execute: an upgrade reruns what it can change."
    return f"{WRITTEN} {meaning}\n{text_of(tree)}"


def outputs(project: Project, root: Path) -> dict[str, str]:
    """File -> text of each file that `lmspec sync` writes."""
    return {DVC_YAML: dvc_yaml_text(project, root), TOOLCHAIN: toolchain_text(project, root)}


def out_of_date(project: Project, root: Path) -> dict[str, str]:
    """File -> new text of each file that `lmspec sync` would change."""
    return {
        name: text
        for name, text in outputs(project, root).items()
        if not (root / name).exists() or (root / name).read_bytes() != text.encode()
    }


def require_none(out_of_date: Iterable[str]) -> None:
    """Raises LmspecError if there are files that `lmspec sync` would change."""
    if files := " and ".join(out_of_date):
        raise LmspecError(
            files,
            "out of date: params.yaml, imports or packages have changed",
            "run `lmspec sync`, and commit what it writes",
        )


def upgrades(root: Path, text: str) -> list[str]:
    """The versions that a new toolchain.yaml changes: `torch 2.12.0 -> 2.13.0`.

    None if the present one cannot be read, as after a merge.
    """
    path, new = root / TOOLCHAIN, _versions(text)
    try:
        old = _versions(path.read_text(encoding="utf-8")) if path.exists() else new
        names = sorted({name for name, _ in old.items() ^ new.items()})
    except (YAMLError, ValueError, AttributeError, TypeError):
        return []
    return [f"{name} {old.get(name, 'none')} -> {new.get(name, 'none')}" for name in names]


def _versions(text: str) -> dict[str, str]:
    document = yamltext.load(text) or {}
    return {"python": document.get("python", "none"), **document.get("packages", {})}


def code_of(project: Project, spec: Artifact, files: Code) -> Closure:
    """What a build can execute: its stage, its variants, the readers of what it is made from."""
    modules = ["lmspec.run.__main__", f"stages.{spec.noun}", *spec.modules()]
    if section := spec.section():
        modules += project.find(section).modules()
    origin: Artifact | None = spec
    while origin is not None:
        before = origin.reads_like()
        origin = project.find(before) if before else None
        modules += origin.reader_modules() if origin else ()
    return closure(tuple(modules), files)


def needs_of(project: Project, spec: Artifact) -> list[str]:
    """Names of the artifacts that it reads, without repeats: first those that it refers to.

    Of what reads another's section, then what that refers to. Of what examines a model, then the
    data that the model has seen: whole folders, since git can hold their hashes against those that
    their stages wrote; it has none of a single .ids file.
    """
    model, section = spec.examined(), spec.section()
    seen = _seen_by(project, model) if model else ()
    read = [*references(spec), *(references(project.find(section)) if section else ())]
    return list(dict.fromkeys([*(str(ref) for _, ref in read), *seen]))


def _seen_by(project: Project, model: Ref) -> Iterator[str]:
    """Corpora and splits that it, or what it was made from, refers to."""
    for _, ref in references(project.find(model)):
        if ref.noun in PARTS:
            yield str(ref)
        else:
            yield from _seen_by(project, ref)


def command_of(artifact: ArtifactName) -> str:
    """What DVC runs: the project's own Python if it has one, as `make env` makes it.

    `subprocesses.no_python` says so where there is none at all.
    """
    fixed = {"PYTHONHASHSEED": "0", **environment.HUGE_PAGES}
    variables = " ".join(f"{name}={value}" for name, value in fixed.items())
    path = 'PATH="$PWD/.venv/bin:$PATH"'
    return f"exec env {variables} {path} python -m lmspec.run {' '.join(artifact)}"


def stage_of(project: Project, name: str, code: Closure, executed: Iterable[str]) -> Document:
    """The stage of one artifact in dvc.yaml. executed: names of the packages in its key."""
    artifact, spec = ArtifactName.parse(name), project.find(name)
    stage: Document = {"cmd": command_of(artifact)}
    needs = (ArtifactName.parse(need).folder for need in needs_of(project, spec))
    stage["deps"] = [*needs, *spec.files(), *code.files]
    watched = ["python", *(f"packages.{package}" for package in executed), *code.outside]
    sections = [name, *(str(each) for each in [spec.section()] if each)]
    blocks = [block for section in sections for block in project.blocks_of(section)]
    own = dict.fromkeys([*sections, *blocks])
    stage["params"] = [*own, *_numerics(project, spec), {TOOLCHAIN: watched}]
    if not spec.measured:
        stage["outs"] = [artifact.folder]
    # DVC keeps no run-cache for a stage with outputs in git, unless they are metrics or plots.
    # `dvc metrics show` has a row for each file of metrics and a column for each number in one, so
    # they are the few that people compare; of a JSON object without arrays it plots nothing.
    if headlines := [artifact.headline(row) for row in spec.headlines()]:
        stage["metrics"] = [_in_git(path) for path in headlines]
    records = [artifact.metrics] if spec.metrics else []
    stage["plots"] = [_report(artifact.stage, table) for table in spec.written()]
    stage["plots"] += [_in_git(path) for path in (*records, artifact.provenance)]
    return stage


def _in_git(path: str) -> Document:
    return {path: {"cache": False}}


def _numerics(project: Project, spec: Artifact) -> list[str]:
    """What of them is in the key: the files of the system in every one, as any stage reads them."""
    if spec.numerics:
        return ["numerics"]
    in_key = project.numerics.system_files and spec.noun != FETCHING
    return ["numerics.system_files"] if in_key else []


def _report(stage: str, table: Table) -> Document:
    """A table that git keeps, and how DVC plots it."""
    plot = dict(table.plot)
    if "title" in plot:
        plot["title"] = f"{stage}: {plot['title']}"
    return {f"{METRICS}/{stage}/{table.name}.csv": {"cache": False, **plot}}


def _plots(stage: str, spec: Artifact) -> list[Document]:
    """Plots of several columns of a table."""
    plots = []
    for table in spec.written():
        file = f"{METRICS}/{stage}/{table.name}.csv"
        for name, columns in table.curves.items():
            title = f"{stage}: {name}"
            plot = {"x": {file: table.plot["x"]}, "y": {file: list(columns)}, "title": title}
            plots.append({title: plot})
    return plots
