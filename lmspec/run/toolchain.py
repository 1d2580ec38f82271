"""toolchain: the packages that a stage executes: those it imports, and what they require.

toolchain.yaml records them and DVC watches it, so an upgrade reruns what it can change. It has
Python's minor version (3.11) and public versions of packages (2.13.0 of 2.13.0+cpu); provenance has
both in full.
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
from lmspec.run.installed import canonical, is_in
from lmspec.run.installed import version as version_of

TOP = re.compile(r"^([^/\\,\s.]+)(?:/[^,]*|\.py|\.[^/,]*\.?(?:so|pyd)),", re.MULTILINE)
DISTRIBUTION = re.compile(r"^([^/\\,\s]+?)-[^-/]+\.dist-info/", re.MULTILINE)


def python() -> str:
    """The full version, as 3.11.7."""
    return platform.python_version()


def minor() -> str:
    """The version in toolchain.yaml, as 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def public(version: str) -> str:
    """A version without its local label, which names the device that a package was built for."""
    return version.partition("+")[0]


def package(name: str) -> metadata.Distribution | None:
    """The installed package of that name, or its variant for a device."""
    for variant in (name, f"{name}-gpu"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.distribution(variant)
    return None


@functools.cache
def owners() -> dict[str, tuple[str, ...]]:
    """Top-level module -> names of the packages that have files of it."""
    owners: dict[str, tuple[str, ...]] = {}
    for installed in metadata.distributions():
        files = installed.read_text("RECORD") or ""
        name = DISTRIBUTION.search(files)  # reading METADATA takes five times as long
        if name is not None:
            for module in set(TOP.findall(files)) - {"__pycache__"}:
                owners[module] = tuple(sorted({*owners.get(module, ()), canonical(name[1])}))
    return owners


def require(recorded: Mapping[str, Any]) -> None:
    """Raise LmspecError if a version that a stage has in its cache key is not the installed one.

    recorded: `python`, `packages.torch`, ... -> version
    """
    for key, version in recorded.items():
        name = key.removeprefix("packages.")
        if key != "python" and name == key:
            continue
        here = minor() if key == "python" else public(version_of(name) or "not installed")
        if here != version:
            if version is None:
                raise LmspecError(
                    "toolchain.yaml",
                    f"it does not record {name}",
                    "run `lmspec sync`, then `dvc repro`",
                )
            message = f"{name} is {here}, and {version} is recorded"
            get = (
                f"`make PYTHON=python{version}`"
                if key == "python"
                else f"`pip install {name}=={version}`"
            )
            sync = "`lmspec sync` records this one, and what uses it reruns"
            remedy = f"{get} gets the recorded one; or {sync}"
            raise LmspecError("toolchain.yaml", message, remedy)


def loaded(root: Path) -> list[str]:
    """Top-level names of the installed packages that this process has imported since it started.

    Raises LmspecError for a module that neither DVC nor toolchain.yaml watches.
    """
    standard = Path(sysconfig.get_path("stdlib"))
    packages = set()
    for name, module in list(sys.modules.items()):
        file = Path(getattr(module, "__file__", None) or "")
        if (
            name in interpreter.BEFORE
            or file.is_relative_to(interpreter.PACKAGE)
            or not file.is_absolute()
        ):
            continue
        package = is_in(file)
        if package is not None:
            packages.add(package)
        elif not file.is_relative_to(root) and not file.is_relative_to(standard):
            remedy = "put it into the project, or install it as a package (not with -e)"
            raise LmspecError(
                str(file), "it was imported, and neither DVC nor toolchain.yaml watches it", remedy
            )
    return sorted(packages)


def packages(recorded: Mapping[str, Any], modules: Iterable[str]) -> list[dict[str, Any]]:
    """Provenance entries of all packages that a stage declares or has imported."""
    names = {key.removeprefix("packages."): True for key in recorded if key.startswith("packages.")}
    for module in modules:
        for name in owners().get(module, ()):
            names.setdefault(name, False)
    return [
        provenance.of_package(name, installed.version, declared)
        for name, declared in sorted(names.items())
        if (installed := package(name))
    ]
