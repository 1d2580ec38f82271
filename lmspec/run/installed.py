"""installed: the packages that a stage can import: those in its cache key, and no other.

Those are the packages that its code imports and all that they require. What else is installed does
not exist for the stage: a library that looks for an optional package takes the same way wherever
the stage runs. What a package requires on some platforms alone (CUDA's libraries of torch) is in no
key, since toolchain.yaml is the same on each, but can be imported.
"""

import functools
import os
import re
import site
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import DistributionFinder, PathDistribution
from pathlib import Path
from types import ModuleType
from typing import Any

from lmspec.errors import LmspecError

INFO = ".dist-info"
PLATFORM = re.compile(r"platform_system|platform_machine|sys_platform|os_name")
WINDOWS = re.compile(r"""^[^!]*== *["'](?:Windows|win32|nt)["'](?!.* or )""")
REQUIRED = re.compile(r"^Requires-Dist: *([\w.-]+)([^;\n]*)(?:;(.*))?$", re.MULTILINE)
VERSION = re.compile(r"^Version:(.+)$", re.MULTILINE)
VARIABLE = "LMSPEC_PACKAGES"  # tells a worker, which is another process, what it can import


def canonical(name: str) -> str:
    """Name of a package as PEP 503 compares it, without a device (onnxruntime-gpu).

    It has no dot, which DVC would read as a level.
    """
    return re.sub(r"[-_.]+", "-", name).lower().removesuffix("-gpu")


@functools.cache
def folders() -> tuple[Path, ...]:
    """Where this interpreter has its packages, not where PYTHONPATH has some."""
    names = site.getsitepackages()
    if site.ENABLE_USER_SITE:
        names.append(site.getusersitepackages())
    given = [Path(name) for name in names if Path(name).is_dir()]
    return tuple(dict.fromkeys([*given, *(folder.resolve() for folder in given)]))


@functools.cache
def records() -> dict[str, Path]:
    """Package -> the folder that says what belongs to it, as `numpy-2.4.6.dist-info`."""
    found: dict[str, Path] = {}
    for folder in folders():
        for record in sorted(folder.glob(f"*{INFO}")):
            found.setdefault(canonical(record.name.partition("-")[0]), record)
    return found


def version(name: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    found = VERSION.search(_header(name)) if name in records() else None
    return found[1].strip() if found else None


def visible(declared: Iterable[str]) -> set[str]:
    """Names of the declared packages, and of all that those require on some platforms alone."""
    declared = set(declared)
    seen: set[str] = set()
    queue = sorted(declared)
    while queue:
        name = queue.pop()
        if name in seen or name not in records():
            continue
        seen.add(name)
        for required, _, marker in REQUIRED.findall(_header(name)):
            is_of_platform = PLATFORM.search(marker) and not WINDOWS.search(marker)
            if "extra" not in marker and (is_of_platform or name not in declared):
                queue.append(canonical(required))
    return seen


def places(names: Iterable[str]) -> dict[Path, list[str]]:
    """Folder of packages -> paths in it that belong to these packages.

    A folder that several packages may share, since it is none itself (`google`, `nvidia`), is given
    by its parts.
    """
    found: dict[Path, list[str]] = {}
    for record in (records()[name] for name in names if name in records()):
        content = _text(record / "RECORD")
        lines = content.splitlines()
        tops = {line.partition("/")[0].partition(",")[0] for line in lines}
        whole = {
            top for top in tops if top.endswith(INFO) or f"\n{top}/__init__.py," in f"\n{content}"
        }
        # a path that begins with a dot is outside, such as that of a program
        rest = tuple(
            f"{top}{end}" for top in tops - whole if not top.startswith(".") for end in "/,"
        )
        files = (line.partition(",")[0] for line in lines if line.startswith(rest))
        shared = {"/".join(file.split("/")[:2]) for file in files} - whole
        found.setdefault(record.parent.resolve(), []).extend(sorted(whole | shared))
    return found


class Packages:
    """Finds modules as Python does, but of installed packages these alone. To be in sys.meta_path.

    names   of the packages
    paths   what belongs to them
    hidden  top-level modules that were looked for, and belong to others
    """

    def __init__(self, declared: Iterable[str]) -> None:
        self.names = sorted(visible(declared))
        self.hidden: set[str] = set()
        inside = places(self.names)
        self.paths = [folder / path for folder, paths in inside.items() for path in paths]
        parts = [path.split("/") for paths in inside.values() for path in paths]
        self._whole = {part[0].partition(".")[0] for part in parts if len(part) == 1}
        self._shared = {(part[0], part[1].partition(".")[0]) for part in parts if len(part) == 2}
        self._tops = {top for top, _ in self._shared}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """As Python's, and None for a module of another package."""
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or all(self._has(place) for place in _places_of(spec)):
            return spec
        self.hidden.add(fullname.partition(".")[0])
        return None

    def _has(self, place: str) -> bool:
        """Does a file or folder belong to these packages, or to none at all?"""
        inside = _inside(place)
        if inside is None:
            return True
        top, part = (name.partition(".")[0] for name in (*inside.split(os.sep, 2), "")[:2])
        return top in self._whole or (top, part) in self._shared or (not part and top in self._tops)

    def find_distributions(
        self, context: DistributionFinder.Context | None = None
    ) -> Iterator[PathDistribution]:
        """For importlib.metadata."""
        name = getattr(context, "name", None)
        for package in self.names if name is None else [canonical(name)]:
            if package in self.names and package in records():
                yield PathDistribution(records()[package])

    def invalidate_caches(self) -> None:
        """As Python asks of a finder."""
        PathFinder.invalidate_caches()

    def require(self, modules: Iterable[str]) -> None:
        """Raise LmspecError if one of these top-level modules, imported here, is another's."""
        for module in modules:
            if not self._has(str(folders()[0] / module)):
                found = f"a stage imported {module}, which is not in its cache key"
                raise LmspecError(str(folders()[0] / module), found, line_to_add(module))


def limit(declared: Iterable[str]) -> Packages:
    """Let this process, and the workers that it spawns, import these packages alone."""
    packages = Packages(declared)
    os.environ[VARIABLE] = " ".join(packages.names)
    finders: list[Any] = sys.meta_path
    finders[finders.index(PathFinder)] = packages
    return packages


def limit_worker() -> None:
    """The same in a worker."""
    if VARIABLE in os.environ:
        limit(os.environ[VARIABLE].split())


def line_to_add(module: str) -> str:
    """How to declare an installed package by a top-level module of it."""
    return f"write `import {module}` into the stage's code, then run `lmspec sync`"


def is_in(file: Path) -> str | None:
    """Top-level name of a file of an installed package; None for any other file."""
    inside = _inside(str(file))
    return inside and inside.partition(os.sep)[0].partition(".")[0]


def _places_of(spec: ModuleSpec) -> list[str]:
    return [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())


def _inside(file: str) -> str | None:
    """Its path from the folder of packages that it is in."""
    for folder in folders():
        if file.startswith(f"{folder}{os.sep}"):
            return file[len(str(folder)) + 1 :]
    return None


@functools.cache
def _header(name: str) -> str:
    return _text(records()[name] / "METADATA").partition("\n\n")[0]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
