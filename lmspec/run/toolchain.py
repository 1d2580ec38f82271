"""toolchain: the Python packages that a stage executes: those that its code imports, and the compiled ones beneath them.

toolchain.yaml records them, and DVC watches it: an upgrade reruns what it can change. Of Python itself the minor version counts
(3.11), of a package its public version (2.13.0 of 2.13.0+cpu); provenance has both in full.
"""

import contextlib
import functools
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError
from lmspec.run import interpreter, provenance

TOP = re.compile(r"^([^/\\,\s.]+)(?:/[^,]*|\.py|\.[^/,]*\.?(?:so|pyd)),", re.MULTILINE)
DISTRIBUTION = re.compile(r"^([^/\\,\s]+?)-[^-/]+\.dist-info/", re.MULTILINE)


def python() -> str:
    """In full, as 3.11.7."""
    return platform.python_version()


def minor() -> str:
    """What toolchain.yaml records of Python, as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def public(version: str) -> str:
    """Without its local label, which says for which device a package was built."""
    return version.partition("+")[0]


def canonical(name: str) -> str:
    """As packages are compared (PEP 503), without a device (onnxruntime-gpu). It has no dot, which DVC takes for a level."""
    return re.sub(r"[-_.]+", "-", name).lower().removesuffix("-gpu")


def package(name: str) -> metadata.Distribution | None:
    """What is installed under that name, or as its variant for a device."""
    for variant in (name, f"{name}-gpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.distribution(variant)
    return None


@functools.cache
def owners() -> dict[str, tuple[str, ...]]:
    """Top-level module -> names of the packages that have files of it."""
    found: dict[str, tuple[str, ...]] = {}
    for installed in metadata.distributions():
        files = installed.read_text("RECORD") or ""
        name = DISTRIBUTION.search(files)  # a metadata file takes five times as long to read
        if name is not None:
            for module in set(TOP.findall(files)) - {"__pycache__"}:
                found[module] = tuple(sorted({*found.get(module, ()), canonical(name[1])}))
    return found


def require(recorded: Mapping[str, Any]) -> None:
    """Raise LmspecError if this environment is not the recorded one, as far as a stage has it in its key.

    recorded: `python`, `packages.torch`, ... -> version
    """
    for key, version in recorded.items():
        name = key.removeprefix("packages.")
        if key != "python" and name == key:
            continue
        installed = package(name)
        here = (
            minor()
            if key == "python"
            else public(installed.version)
            if installed
            else "not installed"
        )
        if here != version:
            if version is None:
                raise LmspecError(
                    "toolchain.yaml",
                    f"it does not record {name}",
                    "run `lmspec sync`, then `dvc repro`",
                )
            found = f"{name} is {here}, and {version} is recorded"
            get = (
                f"`make PYTHON=python{version}`"
                if key == "python"
                else f"`pip install {name}=={version}`"
            )
            remedy = f"{get} gets the recorded one; or `lmspec sync` records this one, and what uses it reruns"
            raise LmspecError("toolchain.yaml", found, remedy)


def loaded(root: Path) -> list[str]:
    """Files, or top folders of packages, of all that this process has imported since it started and that is not the project's.

    Raises LmspecError if one of them is in no file that DVC watches.
    """
    standard = Path(sysconfig.get_path("stdlib"))
    found = set()
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if (
            name in interpreter.BEFORE
            or file.is_relative_to(interpreter.PACKAGE)
            or not file.is_absolute()
        ):
            continue
        site = [
            i for i, part in enumerate(file.parts) if part in ("site-packages", "dist-packages")
        ]
        if site:
            found.add(file.parts[site[-1] + 1].partition(".")[0])
        elif not file.is_relative_to(root) and not file.is_relative_to(standard):
            remedy = "put it into the project, or install it as a package (not with -e)"
            raise LmspecError(
                str(file), "it was imported, and neither DVC nor toolchain.yaml watches it", remedy
            )
    return sorted(found)


def packages(recorded: Mapping[str, Any], modules: Iterable[str]) -> list[dict[str, Any]]:
    """For the record of a stage: all packages that it declares or has imported, with their versions in full."""
    names = {key.removeprefix("packages."): True for key in recorded if key.startswith("packages.")}
    for module in modules:
        for name in owners().get(module, ()):
            names.setdefault(name, False)
    found = ((name, package(name), declared) for name, declared in sorted(names.items()))
    return [
        provenance.of_package(name, package.version, declared)
        for name, package, declared in found
        if package
    ]
