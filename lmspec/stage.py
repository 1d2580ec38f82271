"""stage: the door between DVC and the library: one artifact, built whole or not at all."""

import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lmspec.errors import LmspecError
from lmspec.run import child, declaration
from lmspec.specs.base import Artifact, references
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.results import Better, directions

Row = Mapping[str, Any]
# what oneDNN and MKL call them; MKL heeds its own only on processors of its maker
INSTRUCTIONS = {
    "default": ("SSE41", "SSE4_2"),
    "avx2": ("AVX2", "AVX2"),
    "avx512": ("AVX512_CORE_BF16", "AVX512"),
}


@dataclass(frozen=True)
class Needs:
    """What a build is handed: the folders of the artifacts that its spec refers to, and nothing else.

    folders   `noun.key` -> folder
    numerics  None for a stage whose bytes they do not decide
    """

    folders: Mapping[str, Path]
    numerics: Numerics | None
    machine: Machine
    root: Path = field(default_factory=Path.cwd)

    def __getitem__(self, ref: str) -> Path:
        return self.folders[ref]

    @property
    def bits(self) -> Numerics:
        """The numerics of a stage that declares them."""
        if self.numerics is None:
            raise TypeError(
                "this noun does not declare `numerics = True`, so it must not read them"
            )
        return self.numerics


@dataclass(frozen=True)
class Report:
    """What git keeps of a build: metrics, nested by what they are about, and small tables by name.

    better  which way a metric that the spec does not declare is better: `{"auc": "higher"}`
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    better: Mapping[str, Better] = field(default_factory=dict)


def say(line: str) -> None:
    """Tell whoever watches the build, as training tells its progress."""
    print(f"  {line}", file=sys.stderr, flush=True)


Build = Callable[[Any, Needs, Path], Report]


def run(noun: str, spec_type: Any, build: Build) -> None:
    """Build the artifact named on the command line: `python -m stages.<noun> <key>`. Exits 1 with one message on error."""
    try:
        if child.current is None:
            found = f"it was started as `{' '.join(sys.argv)}`"
            raise LmspecError(f"stages.{noun}", found, f"usage: python -m stages.{noun} <key>")
        child.leave(_run(child.current, spec_type, build))
    except Exception as error:
        said = child.explained(error)
        if said is None:
            raise
        sys.exit(f"lmspec: {said}{child.current.advice if child.current else ''}")


def _run(this: child.Building, spec_type: Any, build: Build) -> dict[str, Better]:
    """Build and check; which way each metric is better."""
    stage = this.stage
    spec, numerics, machine = _specs(this, spec_type)
    folders = {str(ref): Path("data", ref.noun, ref.name) for _, ref in references(spec)}
    known = {*stage.deps, *stage.modules}
    _require_declared({folder.as_posix() for folder in folders.values()}, known, stage.name)
    _require_declared({_file_of(module, known) for module in spec.modules()}, known, stage.name)
    if spec.numerics:
        fix_numerics(numerics)
        _require_device(machine)
    if stage.noun == "sources":
        os.environ.pop("HF_HUB_OFFLINE")
    try:
        report = build(
            spec, Needs(folders, numerics if spec.numerics else None, machine), stage.partial
        )
    except FileNotFoundError as error:
        remedy = "if what it is made from is damaged, `dvc checkout` mends it"
        raise LmspecError(f"{stage.noun}.{stage.key}", str(error), remedy) from error
    executed = _executed(this.root)
    _require_declared(set(executed), known, stage.name)
    _require_recorded(executed, this.values[declaration.TOOLCHAIN])
    _write_report(spec, stage, report)
    return directions(spec.metrics) | dict(report.better)


def _specs(this: child.Building, spec_type: Any) -> tuple[Any, Numerics, Machine]:
    """The artifact's own section, numerics and machine; no other section is looked at."""
    values = this.values[declaration.PARAMS]
    name = f"{this.stage.noun}.{this.stage.key}"
    try:
        return (
            TypeAdapter(spec_type).validate_python(values[name]),
            Numerics.model_validate(values["numerics"]),
            Machine.model_validate(values["machine"]),
        )
    except ValidationError:
        found = f"{name}, numerics or machine is not as it should be"
        raise LmspecError(
            declaration.PARAMS, found, "`lmspec validate` shows each problem at its place"
        ) from None


def _require_declared(used: set[str], known: set[str], stage: str) -> None:
    """DVC takes an old result for a new one if a stage reads or executes what dvc.yaml does not name."""
    if used - known:
        found = f"{stage} uses {', '.join(sorted(used - known))}, which it does not declare"
        raise LmspecError("dvc.yaml", found, "run `lmspec sync`, then `dvc repro`")


def _file_of(module: str, known: set[str]) -> str:
    """How dvc.yaml names a module: by its name where it lies outside of the project, by its path inside."""
    return module if module in known else f"{module.replace('.', '/')}.py"


def _executed(root: Path) -> dict[str, Path]:
    """Files of the project and of lmspec that this process has imported.

    Each under its path relative to the root, or, where lmspec lies outside the project, under its module's name.
    """
    executed = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(file or os.devnull)
        if path.is_relative_to(root) and "site-packages" not in path.parts:
            executed[path.relative_to(root).as_posix()] = path
        elif file and name.split(".")[0] == "lmspec":
            executed[f"{name}.__init__" if path.stem == "__init__" else name] = path
    return executed


def _require_recorded(executed: Mapping[str, Path], recorded: Mapping[str, Any]) -> None:
    """Modules outside the project are those that toolchain.yaml records: DVC watches that file in their place."""
    for name, path in executed.items():
        if name in recorded and recorded[name] != hashlib.sha256(path.read_bytes()).hexdigest():
            raise LmspecError(
                declaration.TOOLCHAIN,
                f"{name} is another than it records",
                "run `lmspec sync`, then `dvc repro`",
            )


def _require_device(machine: Machine) -> None:
    torch = sys.modules.get("torch")
    if machine.device == "cuda" and torch is not None and not torch.cuda.is_available():
        raise LmspecError(
            "params.yaml: machine.device", "'cuda', and torch finds no such device", "set it to cpu"
        )


def fix_numerics(numerics: Numerics) -> None:
    """Make torch, where a stage has imported it, compute the same bits every time. Raises LmspecError if it cannot."""
    os.environ["ATEN_CPU_CAPABILITY"] = numerics.instructions
    os.environ["ONEDNN_MAX_CPU_ISA"], os.environ["MKL_ENABLE_INSTRUCTIONS"] = INSTRUCTIONS[
        numerics.instructions
    ]
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    torch = sys.modules.get("torch")
    if torch is None:
        return
    found = torch.backends.cpu.get_cpu_capability().lower()
    if found != numerics.instructions:
        raise LmspecError(
            "params.yaml: numerics.instructions",
            f"'{numerics.instructions}' is asked for, and torch computes with '{found}' on this processor",
            "build on a processor that has them, or change the field: the model will have other bits",
        )
    torch.set_num_threads(numerics.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(numerics.seed)


def _write_report(spec: Artifact, stage: declaration.Stage, report: Report) -> None:
    declared = sorted(table.name for table in spec.reports)
    if sorted(report.tables) != declared or bool(report.metrics) != bool(spec.metrics):
        raise TypeError(
            f"{stage.name} reported {sorted(report.tables)}; its spec declares {declared}"
        )
    if report.metrics:
        text = json.dumps(report.metrics, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        _write(stage.report / f"{stage.name}.json", text)
    for table, rows in report.tables.items():
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        _write(stage.report / stage.name / f"{table}.csv", stream.getvalue())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
