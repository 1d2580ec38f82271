"""factors: what could have moved a metric between two commits, in four factors: data, spec, code and toolchain.

Two commits differ in a factor if what a build is made from differs: no comment, no layout, no gate.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lmspec.compare.revision import CODE as CODE_FOLDERS
from lmspec.compare.revision import Revision, executed, is_elsewhere
from lmspec.errors import LmspecError, some
from lmspec.git import tree as repository
from lmspec.language import nouns
from lmspec.pipeline import codediff, difference
from lmspec.run import interpreter, provenance, toolchain

DATA, SPEC, CODE, TOOLCHAIN = "data", "spec", "code", "toolchain"
FACTORS = (DATA, SPEC, CODE, TOOLCHAIN)
OF_NONE = ("gates", "machine")  # they build nothing


def is_data(section: str) -> bool:
    """Whether a section of params.yaml is data, not spec."""
    return nouns.of(section).is_data


def causes(old: Revision, new: Revision) -> dict[str, tuple[str, ...]]:
    """Factor -> what differs, in words; empty for one that is the same."""
    return {
        DATA: (*_values(old, new, data=True), *_raw(old, new)),
        SPEC: tuple(_values(old, new, data=False)),
        CODE: tuple(_code(old, new)),
        TOOLCHAIN: tuple(
            f"{name} {_short(one)} -> {_short(two)}"
            for name, one, two in _versions(old, new)
            if one != two
        ),
    }


def raw_files(*sides: Revision) -> list[str]:
    """Paths of files and folders of the repository that sources of any side name."""
    sections = (
        section for side in sides if isinstance(section := side.params.get("sources"), dict)
    )
    sources = (source for section in sections for source in section.values())
    return sorted(
        {
            str(source["path"])
            for source in sources
            if isinstance(source, dict) and source.get("kind") == "file"
        }
    )


def code_files(*sides: Revision) -> list[str]:
    """What a mix has from one commit, whatever of it differs: `stages`, `lmspec` and modules elsewhere that stages import."""
    return [
        *CODE_FOLDERS,
        *sorted(
            path for path in executed(*sides) or () if path.endswith(".py") and is_elsewhere(path)
        ),
    ]


def installed(old: Revision, new: Revision) -> str:
    """Whose versions are installed here: `old`, `new`, or `both`. Raises LmspecError if neither's are, and says which differ.

    What one side alone records must be installed as it does.
    """
    rows = [
        (name, one, other, _here(name)) for name, one, other in _versions(old, new, common=False)
    ]
    of_old = all(here == (one or other) for _, one, other, here in rows)
    of_new = all(here == (other or one) for _, one, other, here in rows)
    if of_old or of_new:
        return "both" if of_old and of_new else "old" if of_old else "new"
    wrong = [
        f"{name} {_short(here)}" for name, one, other, here in rows if here != one or here != other
    ]
    found = f"mixes cannot be built with what is installed: {some(wrong)} is not what {old.name} was built with, nor {new.name}"
    wanted = [
        f"{name} {_or(one, other)}"
        for name, one, other, here in rows
        if here != one or here != other
    ]
    remedy = f"run this where either commit's versions are installed: {some(wanted)}"
    raise LmspecError("toolchain.yaml", found, remedy)


def _or(one: str | None, other: str | None) -> str:
    return " or ".join(dict.fromkeys(_short(version) for version in (one, other) if version))


def _values(old: Revision, new: Revision, data: bool) -> Iterator[str]:
    one, other = (
        {
            name: value
            for name, value in side.params.items()
            if is_data(name) == data and name not in OF_NONE
        }
        for side in (old, new)
    )
    for row in difference.rows(one, other):
        if row.differs:
            yield f"{row.name}: {_short(row.old)} -> {_short(row.new)}"


def _raw(old: Revision, new: Revision) -> Iterator[str]:
    """Files that git keeps; of others the spec of their source has a hash."""
    paths = tuple(raw_files(old, new))
    one, other = (_ids(side, paths) for side in (old, new))
    yield from (path for path in sorted({*one, *other}) if one.get(path) != other.get(path))


def _ids(side: Revision, paths: tuple[str, ...]) -> dict[str, str]:
    if not paths:
        return {}
    tree = repository.tree(str(side.commit), side.tree.root, paths)
    tree.close()
    return tree.ids


def _code(old: Revision, new: Revision) -> Iterator[str]:
    """Files that a stage of either side executes, by its closure in dvc.lock; without one, all code that is there."""
    stages = executed(old, new)
    for path in sorted({*old.tree.ids, *new.tree.ids}):
        counts = path.endswith(".py") and (stages is None or path in stages)
        if not counts or old.tree.ids.get(path) == new.tree.ids.get(path):
            continue
        one, other = old.tree.read(path), new.tree.read(path)
        if one is None or other is None:
            yield f"{path}: {'a new file' if one is None else 'the file is gone'}"
        elif provenance.parsed(one) != provenance.parsed(other):
            yield f"{path}: {_definitions(one, other)}"


def _definitions(old: bytes, new: bytes) -> str:
    try:
        return some(codediff.changed(old.decode(errors="replace"), new.decode(errors="replace")))
    except (SyntaxError, ValueError):
        return "it does not parse"


def _versions(
    old: Revision, new: Revision, common: bool = True
) -> Iterator[tuple[str, str | None, str | None]]:
    """(name, version of the old side, of the new one). common: only those that both record.

    A package that one side alone records is there because other code or another spec uses it.
    """
    one, other = (dict(_leaves(side.toolchain)) for side in (old, new))
    for name in {**one, **other}:
        if not common or (name in one and name in other):
            yield name, one.get(name), other.get(name)


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name.removeprefix("packages."), str(values)


def _here(name: str) -> str | None:
    """The version that is installed, or, of a module of an installed lmspec, its SHA-256."""
    if name == "python":
        return toolchain.minor()
    if name.startswith("lmspec."):
        path = Path(interpreter.PACKAGE, *name.split(".")[1:]).with_suffix(".py")
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    package = toolchain.package(name)
    return toolchain.public(package.version) if package else None


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    if len(text) == 64 and " " not in text:
        return text[:12]  # a digest
    return text if len(text) <= 40 else text[:37] + "..."
