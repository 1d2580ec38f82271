"""packages: those that a stage's code imports, and all that they require."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement

from lmspec.run import installed, toolchain

PLATFORMS = (  # where a project is built
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "platform_machine": "arm64"},
)
Needed = tuple[str, frozenset[str]]  # name of a package, and its extras that are asked for


@dataclass(frozen=True)
class Package:
    """version: without its local label; requires: as its metadata have it."""

    version: str
    requires: tuple[Requirement, ...]

    def needs(self, extras: frozenset[str]) -> Iterator[Needed]:
        """What it requires on every platform."""
        for needed in self.requires:
            if needed.marker is None or any(
                all(needed.marker.evaluate(platform | {"extra": extra}) for platform in PLATFORMS)
                for extra in ("", *extras)
            ):
                yield installed.canonical(needed.name), frozenset(needed.extras)


@functools.cache
def executed(modules: frozenset[str]) -> dict[str, str]:
    """Name -> version of packages with those top-level modules, and of all that they require.

    Packages that are not installed and requirements of one platform are left out.
    """
    versions: dict[str, str] = {}
    direct = {name for module in modules for name in toolchain.owners().get(module, ())}
    queue: list[Needed] = [(name, frozenset()) for name in direct]
    seen: set[Needed] = set()
    while queue:
        name, extras = queue.pop()
        package = None if (name, extras) in seen else _package(name)
        seen.add((name, extras))
        if package is not None:
            queue += package.needs(extras)
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
    direct = {n for module in modules for n in owners.get(module, (installed.canonical(module),))}
    return sorted(direct & recorded.keys())


@functools.cache
def _package(name: str) -> Package | None:
    here = toolchain.package(name)
    if here is None:
        return None
    requires = tuple(_requirements(here.requires or ()))
    return Package(toolchain.public(here.version), requires)


def _requirements(texts: Iterable[str]) -> Iterator[Requirement]:
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue
