"""building: run a stage's build, and check that dvc.yaml declares all that it used."""

import csv
import functools
import hashlib
import importlib
import io
import json
import operator
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import seenfile
from lmspec.methods.resume import Resume
from lmspec.run import declaration, determinism, installed, interpreter, lifetime, seen
from lmspec.run.declaration import Declaration
from lmspec.run.ranks import Rank
from lmspec.specs import blocks
from lmspec.specs.base import Artifact, references
from lmspec.specs.names import PARTS, ArtifactName, MetricPath
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.results import Better, directions


@dataclass(frozen=True)
class Built:
    """What a build reports.

    files   path -> text, of metrics and tables
    better  directions of the metrics
    """

    files: dict[str, str]
    better: dict[str, Better]


def build(
    root: Path,
    declared: Declaration,
    values: Mapping[str, Mapping[str, Any]],
    resume: Resume | None,
    out: Path,
    rank: Rank | None = None,
) -> Built:
    """Build into a folder. values: file -> name -> value of the parameters."""
    determinism.limit_threads(values[declaration.PARAMS], declared)
    os.environ.update(rank.variables() if rank else {})
    script = _script(declared)
    spec, numerics, machine = _specs(script, declared, values[declaration.PARAMS])
    refs = [ref for _, ref in references(spec)]
    folders = {str(ref): Path("data", ref.noun, ref.name) for ref in refs}
    known = {*declared.deps, *declared.modules}
    _require_declared({folder.as_posix() for folder in folders.values()}, known, declared)
    model = spec.examined()
    learned = seenfile.read(folders[model]) if model else {}
    folders |= {data: Path(ArtifactName.parse(data).folder) for data in learned}
    _require_declared({folder.as_posix() for folder in folders.values()}, known, declared)
    _require_declared({_file_of(module, known) for module in spec.modules()}, known, declared)
    if spec.numerics:
        determinism.fix(numerics)
        determinism.require_device(machine, rank.here if rank else 0)
    if declared.fetches:
        os.environ.pop("HF_HUB_OFFLINE")
    section = spec.section()
    needs = stage.Needs(
        folders | (_made(declared) if section else {}),
        numerics if spec.numerics else None,
        machine,
        seen=learned,
        resume=resume,
        section=_section(values[declaration.PARAMS], section, declared) if section else {},
    )
    try:
        report = script.build(spec, needs, out)
    except FileNotFoundError as error:
        remedy = "if one of its inputs is damaged, `dvc checkout` restores it"
        raise LmspecError(str(declared.name), str(error), remedy) from error
    _require_no_thread(root, declared)
    if not spec.final and spec.noun not in (*PARTS, "sources"):
        seen.write(seen.of(refs, folders), out)
    executed = _executed(root)
    _require_declared(set(executed), known, declared)
    _require_recorded(executed, values[declaration.TOOLCHAIN])
    return Built(_files(spec, declared, report), directions(spec.metrics) | dict(report.better))


def _require_no_thread(root: Path, declared: Declaration) -> None:
    """Raise LmspecError for a daemon thread of the project's code that outlives the build.

    The end of the process would cut short what it writes. Python waits for other threads, and
    threads of libraries, such as those that watch memory, write no output.
    """
    code = {str((root / dep).resolve()) for dep in declared.deps}
    until = time.monotonic() + lifetime.GRACE_SECONDS
    while _runs_unattended(code):
        if time.monotonic() > until:
            found = "its build ended and left a thread running"
            remedy = "let the build join each thread that it starts; nothing was written"
            raise LmspecError(declared.stage, found, remedy)
        time.sleep(lifetime.POLL_SECONDS)


def _runs_unattended(code: set[str]) -> bool:
    """Does a thread that Python does not wait for run one of these files?"""
    attended = {thread.ident for thread in threading.enumerate() if not thread.daemon}
    for thread, top in sys._current_frames().items():
        frame: FrameType | None = None if thread in attended else top
        while frame is not None:
            if os.path.realpath(frame.f_code.co_filename) in code:
                return True
            frame = frame.f_back
    return False


def _script(declared: Declaration) -> stage.Stage:
    module = importlib.import_module(f"stages.{declared.name.noun}")
    script = getattr(module, "STAGE", None)
    if not isinstance(script, stage.Stage):
        file = f"stages/{declared.name.noun}.py"
        remedy = "end it with `STAGE = stage.Stage(<type of its spec>, build)`"
        raise LmspecError(file, "it does not define STAGE", remedy)
    return script


def _specs(
    script: stage.Stage, declared: Declaration, params: Mapping[str, Any]
) -> tuple[Any, Numerics, Machine]:
    """The artifact's section, numerics and machine: the build gets no other section."""
    params = blocks.without(params)
    try:
        return (
            TypeAdapter(script.spec).validate_python(params[str(declared.name)]),
            Numerics.model_validate(params["numerics"]),
            Machine.model_validate(params["machine"]),
        )
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        message = f"{declared.name}, numerics or machine is not valid: {path or 'it'}: {what}"
        remedy = "`lmspec validate` shows each problem at its place"
        raise LmspecError(declaration.PARAMS, message, remedy) from None


def _section(params: Mapping[str, Any], name: str, declared: Declaration) -> dict[str, Any]:
    """An artifact's section, which the stage watches. Raises LmspecError if it does not."""
    _require_declared({name}, set(declared.watched[declaration.PARAMS]), declared)
    section: dict[str, Any] = blocks.without(params)[name]
    return section


def _made(declared: Declaration) -> dict[str, Path]:
    """Artifact -> folder of each output that the stage depends on."""
    makers = declared.made.items()
    return {str(maker): Path(place) for place, maker in makers if place == maker.folder}


def _require_declared(used: set[str], known: set[str], declared: Declaration) -> None:
    """DVC would reuse an old result although something that it does not watch has changed."""
    if used - known:
        names = ", ".join(sorted(used - known))
        raise LmspecError(
            declaration.DVC_YAML,
            f"{declared.stage} uses {names}, which it does not declare",
            declaration.SYNC,
        )


def _file_of(module: str, known: set[str]) -> str:
    """A module as dvc.yaml names it: its path in the project, or its name if it is installed."""
    return module if module in known else f"{module.replace('.', '/')}.py"


def _executed(root: Path) -> dict[str, Path]:
    """Files of the project and of lmspec that this process has imported, named as in dvc.yaml."""
    executed = {}
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or os.devnull)
        if path.is_relative_to(root) and installed.is_in(path) is None:
            executed[path.relative_to(root).as_posix()] = path
        elif path.is_relative_to(interpreter.PACKAGE):
            executed[interpreter.module_of(path)] = path
    return executed


def _require_recorded(executed: Mapping[str, Path], recorded: Mapping[str, Any]) -> None:
    """DVC watches toolchain.yaml in place of an installed lmspec, so the two must agree."""
    for name, path in executed.items():
        if name in recorded and recorded[name] != hashlib.sha256(path.read_bytes()).hexdigest():
            raise LmspecError(
                declaration.TOOLCHAIN, f"{name} differs from the recorded version", declaration.SYNC
            )


def _files(spec: Artifact, declared: Declaration, report: stage.Report) -> dict[str, str]:
    tables = sorted(table.name for table in spec.written())
    if sorted(report.tables) != tables or bool(report.metrics) != bool(spec.metrics):
        reported = f"metrics {bool(report.metrics)}, tables {sorted(report.tables)}"
        wanted = f"metrics {bool(spec.metrics)}, tables {tables}"
        raise TypeError(f"{declared.stage} reported {reported}; its spec declares {wanted}")
    files = {declared.name.table(table): _csv(rows) for table, rows in report.tables.items()}
    if report.metrics:
        files[declared.name.metrics] = _json(report.metrics)
    for row, columns in spec.headlines().items():
        values = {column: _at(report.metrics, path) for column, path in columns.items()}
        files[declared.name.headline(row)] = _json(values)
    return files


def _json(value: Any) -> str:
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    return f"{text}\n"


def _at(metrics: Mapping[str, Any], path: MetricPath) -> Any:
    return functools.reduce(operator.getitem, path, metrics)


def _csv(rows: Sequence[stage.Row]) -> str:
    """Without rows an empty file, which readers take for no table: only rows name the columns."""
    if not rows:
        return ""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
