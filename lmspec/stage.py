"""stage: the door between DVC and the library: one artifact, built whole or not at all."""

import csv
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.specs.base import Artifact, references
from lmspec.specs.numerics import Machine, Numerics

Row = Mapping[str, Any]
# what oneDNN and MKL call them; MKL heeds its own only on processors of its maker
INSTRUCTIONS = {"default": ("SSE41", "SSE4_2"), "avx2": ("AVX2", "AVX2"), "avx512": ("AVX512_CORE_BF16", "AVX512")}
BEFORE = "\n  (DVC removed the output of the run before: `git checkout data/metrics && dvc checkout` brings it back)"
PACKAGES = ("lmspec", "stages", "__main__")


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
            raise TypeError("this noun does not declare `numerics = True`, so it must not read them")
        return self.numerics


@dataclass(frozen=True)
class Report:
    """What git keeps of a build: metrics, nested by what they are about, and small tables by name."""

    metrics: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)


def say(line: str) -> None:
    """Tell whoever watches the build, as training tells its progress."""
    print(f"  {line}", file=sys.stderr, flush=True)


Build = Callable[[Any, Needs, Path], Report]


def run(noun: str, spec_type: Any, build: Build) -> None:
    """Build the artifact named on the command line: `python -m stages.<noun> <key>`. Exits 1 with one message on error."""
    try:
        _run(noun, spec_type, build, sys.argv[1:])
    except LmspecError as error:
        sys.exit(f"lmspec: {error}{_before()}")


def _before() -> str:
    """How to get the output of an earlier run back, if DVC has removed one."""
    lock = Path("dvc.lock")
    stage = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    ran = stage and lock.exists() and f"\n  {stage}:\n" in lock.read_text(encoding="utf-8")
    return BEFORE if ran else ""


def _run(noun: str, spec_type: Any, build: Build, arguments: list[str]) -> None:
    if len(arguments) != 1:
        raise LmspecError(f"stages.{noun}", f"got {len(arguments)} arguments", f"usage: python -m stages.{noun} <key>")
    key = arguments[0]
    spec, numerics, machine = _read_params(Path("params.yaml"), noun, key, spec_type)
    folders = {str(ref): Path("data", ref.noun, ref.key) for _, ref in references(spec)}
    declared = _declared(Path("dvc.yaml"), f"{noun}-{key}")
    _require_declared({folder.as_posix() for folder in folders.values()}, declared, f"{noun}-{key}")
    _require_declared({_file_of(module, declared) for module in spec.modules()}, declared, f"{noun}-{key}")
    for ref, folder in folders.items():
        if not folder.is_dir():
            raise LmspecError(f"{noun}.{key}", f"{folder} is missing: {ref} is not built", f"run `dvc repro {noun}-{key}`")
    if spec.numerics:
        fix_numerics(numerics)
        _require_device(machine)
    if noun == "sources":
        os.environ.pop("HF_HUB_OFFLINE")
    partial = Path("data", noun, f".{key}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        report = build(spec, Needs(folders, numerics if spec.numerics else None, machine), partial)
        executed = _executed(Path.cwd())
        _require_declared(set(executed), declared, f"{noun}-{key}")
        _require_recorded(executed)
        _write_report(spec, f"{noun}-{key}", report)
        if spec.cached:
            shutil.rmtree(Path("data", noun, key), ignore_errors=True)
            partial.replace(Path("data", noun, key))
    except FileNotFoundError as error:
        raise LmspecError(f"{noun}.{key}", str(error), "if what it is made from is damaged, `dvc checkout` mends it") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _read_params(path: Path, noun: str, key: str, spec_type: Any) -> tuple[Any, Numerics, Machine]:
    """The artifact's own section, numerics and machine; no other section is looked at."""
    if not path.is_file():
        raise LmspecError(str(path), "there is no such file here", "run it in the folder that holds params.yaml")
    document = YAML(typ="safe").load(path) or {}
    if key not in (document.get(noun) or {}):
        raise LmspecError(f"{path}", f"there is no artifact {noun}.{key}", "run `lmspec sync`, then `dvc repro`")
    try:
        return (
            TypeAdapter(spec_type).validate_python(document[noun][key]),
            Numerics.model_validate(document["numerics"]),
            Machine.model_validate(document["machine"]),
        )
    except (ValidationError, KeyError):
        found = f"{noun}.{key}, numerics or machine is not as it should be"
        raise LmspecError(str(path), found, "`lmspec validate` shows each problem at its place") from None


def _declared(path: Path, stage: str) -> set[str]:
    """What DVC knows that this stage depends on: paths, and names of modules that lie outside the project."""
    stages = (YAML(typ="safe").load(path) or {}).get("stages", {}) if path.exists() else {}
    if stage not in stages:
        raise LmspecError(str(path), f"there is no stage {stage}", "run `lmspec sync`, then `dvc repro`")
    modules = (names for entry in stages[stage].get("params", []) if isinstance(entry, dict) for names in entry.values())
    return {*stages[stage]["deps"], *itertools.chain.from_iterable(modules)}


def _require_declared(used: set[str], declared: set[str], stage: str) -> None:
    """DVC takes an old result for a new one if a stage reads or executes what dvc.yaml does not name."""
    if used - declared:
        found = f"{stage} uses {', '.join(sorted(used - declared))}, which it does not declare"
        raise LmspecError("dvc.yaml", found, "run `lmspec sync`, then `dvc repro`")


def _file_of(module: str, declared: set[str]) -> str:
    """How dvc.yaml names a module: by its name where it lies outside of the project, by its path inside."""
    return module if module in declared else f"{module.replace('.', '/')}.py"


def _executed(root: Path) -> dict[str, Path]:
    """Files of lmspec and of the stages that this process has imported.

    Each under its path relative to the root, or, where the package lies outside the project, under its module's name.
    """
    executed = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and name.split(".")[0] in PACKAGES:
            path = Path(file)
            outside = f"{name}.__init__" if path.stem == "__init__" else name
            executed[path.relative_to(root).as_posix() if path.is_relative_to(root) else outside] = path
    return executed


def _require_recorded(executed: Mapping[str, Path]) -> None:
    """Modules outside the project are those that toolchain.yaml records: DVC watches that file in their place."""
    outside = {name: path for name, path in executed.items() if not name.endswith(".py")}
    recorded = YAML(typ="safe").load(Path("toolchain.yaml")) if outside else {}
    for name, path in outside.items():
        value = recorded
        for part in name.split("."):
            value = value.get(part, {}) if isinstance(value, dict) else {}
        if value != hashlib.sha256(path.read_bytes()).hexdigest():
            raise LmspecError("toolchain.yaml", f"{name} is another than it records", "run `lmspec sync`, then `dvc repro`")


def _require_device(machine: Machine) -> None:
    torch = sys.modules.get("torch")
    if machine.device == "cuda" and torch is not None and not torch.cuda.is_available():
        raise LmspecError("params.yaml: machine.device", "'cuda', and torch finds no such device", "set it to cpu")


def fix_numerics(numerics: Numerics) -> None:
    """Make torch, where a stage has imported it, compute the same bits every time. Raises LmspecError if it cannot."""
    os.environ["ATEN_CPU_CAPABILITY"] = numerics.instructions
    os.environ["ONEDNN_MAX_CPU_ISA"], os.environ["MKL_ENABLE_INSTRUCTIONS"] = INSTRUCTIONS[numerics.instructions]
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


def _write_report(spec: Artifact, name: str, report: Report) -> None:
    if set(report.tables) != set(spec.reports) or bool(report.metrics) != spec.metrics:
        raise TypeError(f"{name} reported {sorted(report.tables)}; its spec declares {sorted(spec.reports)}")
    if report.metrics:
        text = json.dumps(report.metrics, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
        _write(Path("data/metrics", f"{name}.json"), text)
    for table, rows in report.tables.items():
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        _write(Path("data/metrics", name, f"{table}.csv"), stream.getvalue())


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".partial").write_text(text, encoding="utf-8", newline="")
    path.with_suffix(".partial").replace(path)
