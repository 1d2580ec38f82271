"""packages: those that a stage's code imports, and the compiled ones they require."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from lmspec.run import toolchain

COMPILED = re.compile(r"\.(?:so|pyd|dll|dylib)[,.]")
PLATFORM = (
    "platform_system",
    "platform_machine",
    "sys_platform",
    "os_name",
    "platform_python_implementation",
    "extra",
)


@dataclass(frozen=True)
class Package:
    """version: without its local label; needs: names of what it requires on every platform."""

    version: str
    compiled: bool
    needs: tuple[str, ...]


@functools.cache
def executed(modules: frozenset[str]) -> dict[str, str]:
    """Name -> version of packages with those top-level modules, and of compiled ones they need.

    Packages that are not installed and requirements of one platform are left out.
    """
    versions: dict[str, str] = {}
    direct = {name for module in modules for name in toolchain.owners().get(module, ())}
    queue, seen = list(direct), set()
    while queue:
        name = queue.pop()
        package = None if name in seen else _package(name)
        seen.add(name)
        if package is not None:
            queue += package.needs
            if name in direct or package.compiled:
                versions[name] = package.version
    return dict(sorted(versions.items()))


def watched(modules: frozenset[str], recorded: Mapping[str, str]) -> list[str]:
    """Names of `recorded`, a toolchain.yaml's packages, that a stage with those modules executes.

    Where another version of one is installed, or none, what it required is unknown: then only those
    that own a module. One that is not installed is looked for under its module's name.
    """
    here = {name: _package(name) for name in recorded}
    if all(package and package.version == recorded[name] for name, package in here.items()):
        return [name for name in executed(modules) if name in recorded]
    owners = toolchain.owners()
    direct = {n for module in modules for n in owners.get(module, (toolchain.canonical(module),))}
    return sorted(direct & recorded.keys())


@functools.cache
def _package(name: str) -> Package | None:
    installed = toolchain.package(name)
    if installed is None:
        return None
    compiled = COMPILED.search(installed.read_text("RECORD") or "") is not None
    return Package(
        toolchain.public(installed.version), compiled, tuple(_needs(installed.requires or ()))
    )


def _needs(requirements: Iterable[str]) -> Iterable[str]:
    for text in requirements:
        try:
            needed = Requirement(text)
        except InvalidRequirement:
            continue
        if needed.marker is None or (
            not any(word in str(needed.marker) for word in PLATFORM) and needed.marker.evaluate()
        ):
            yield toolchain.canonical(needed.name)
