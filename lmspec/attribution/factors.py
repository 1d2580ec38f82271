"""factors: what differs between two commits, as data, spec, code and toolchain.

Only what a build is made from counts: no comment, no layout, no gate.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lmspec.compare import changes
from lmspec.compare.revision import CODE as CODE_FOLDERS
from lmspec.compare.revision import Revision, annotation_files, executed, is_elsewhere
from lmspec.errors import LmspecError, some
from lmspec.git import tree
from lmspec.language import nouns, uses
from lmspec.pipeline import difference
from lmspec.run import interpreter, toolchain
from lmspec.specs import blocks

DATA, SPEC, CODE, TOOLCHAIN = "data", "spec", "code", "toolchain"
FACTORS = (DATA, SPEC, CODE, TOOLCHAIN)


def of_section(name: str) -> str | None:
    """The factor that a section of params.yaml belongs to; None for gates, which build nothing.

    `machine` has to fit the code that reads it. A block goes with what uses it.
    """
    if name in ("gates", "machine", blocks.SECTION):
        return CODE if name == "machine" else None
    return DATA if nouns.of(name).is_data else SPEC


def differing(baseline: Revision, candidate: Revision) -> dict[str, tuple[str, ...]]:
    """Factor -> what differs, in words; empty if nothing does."""
    code = changes.code(baseline, candidate)
    versions = _versions(baseline, candidate)
    return {
        DATA: (*_values(baseline, candidate, DATA), *_raw(baseline, candidate)),
        SPEC: tuple(_values(baseline, candidate, SPEC)),
        CODE: tuple(f"{change.file}: {some(change.what)}" for change in code if change.what),
        # a package that only one records is used by other code or another spec
        TOOLCHAIN: tuple(
            f"{name} {difference.short(old)} -> {difference.short(new)}"
            for name, old, new in versions
            if old and new and old != new
        ),
    }


def data_of_one(baseline: Revision, candidate: Revision) -> list[str]:
    """Artifacts of data that only one of the commits has."""
    names = baseline.artifacts.keys() ^ candidate.artifacts.keys()
    return sorted(name for name in names if nouns.of(name.partition(".")[0]).is_data)


def raw_files(*revisions: Revision) -> list[str]:
    """Files and folders of the repository that are sources, or annotations, in any revision."""
    specs = (spec for revision in revisions for spec in revision.artifacts.items())
    copied = {
        str(spec["path"])
        for name, spec in specs
        if name.startswith("sources.") and spec.get("kind") == "file"
    }
    given = {path for each in revisions for path in annotation_files(each.artifacts)}
    return sorted(copied | given)


def code_files(*revisions: Revision) -> list[str]:
    """`stages`, `lmspec` and modules elsewhere that stages import; a mix has all of one commit."""
    paths = filter(is_elsewhere, executed(*revisions) or ())
    return [*CODE_FOLDERS, *sorted(path for path in paths if path.endswith(".py"))]


def installed(baseline: Revision, candidate: Revision) -> Literal["baseline", "candidate", "both"]:
    """Whose versions are installed here. Raises LmspecError if neither's are.

    A package that one commit alone records has to have that commit's version.
    """
    rows = [(name, old, new, _here(name)) for name, old, new in _versions(baseline, candidate)]
    of_baseline = all(here == (old or new) for _, old, new, here in rows)
    of_candidate = all(here == (new or old) for _, old, new, here in rows)
    if of_baseline:
        return "both" if of_candidate else "baseline"
    if of_candidate:
        return "candidate"
    here, wanted = [], []
    for name, old, new, version in rows:
        if not old == new == version:
            here.append(f"{name} {difference.short(version)}")
            recorded = dict.fromkeys(map(difference.short, filter(None, (old, new))))
            wanted.append(f"{name} {' or '.join(recorded)}")
    raise LmspecError(
        "toolchain.yaml",
        f"mixes cannot be built with what is installed: {some(here)} is not what {baseline.name} "
        f"was built with, nor {candidate.name}",
        f"run this where either commit's versions are installed: {some(wanted)}",
    )


def _values(baseline: Revision, candidate: Revision, factor: str) -> Iterator[str]:
    """Leaves of params.yaml that differ."""
    params = baseline.params, candidate.params
    used = {
        block
        for values in params
        for name, section in values.items()
        if of_section(name) == factor
        for block in blocks.used(section, blocks.of(values))
    }
    old, new = (
        {name: value for name, value in values.items() if of_section(name) == factor}
        | {blocks.SECTION: {n: v for n, v in blocks.of(values).items() if n in used}}
        for values in uses.compared(*params)
    )
    return difference.described(old, new)


def _raw(baseline: Revision, candidate: Revision) -> Iterator[str]:
    """Source files in git that differ; of files elsewhere the spec has a hash."""
    if paths := tuple(raw_files(baseline, candidate)):
        files = set[tuple[str, str]]()
        for revision in (baseline, candidate):
            at = tree.tree(str(revision.commit), revision.tree.root, paths)
            at.close()
            files ^= at.ids.items()
        yield from sorted({path for path, _ in files})


def _versions(baseline: Revision, candidate: Revision) -> list[tuple[str, str | None, str | None]]:
    """(name, version in the baseline, in the candidate) of all that toolchain.yaml records."""

    def text(version: Any) -> str | None:
        return None if version is difference.MISSING else str(version)

    rows = difference.rows(baseline.toolchain, candidate.toolchain)
    return [(row.name.removeprefix("packages."), text(row.old), text(row.new)) for row in rows]


def _here(name: str) -> str | None:
    """The version installed here; of a module of an installed lmspec its SHA-256."""
    if name == "python":
        return toolchain.minor()
    if name.startswith("lmspec."):
        path = Path(interpreter.PACKAGE, *name.split(".")[1:]).with_suffix(".py")
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None
    package = toolchain.package(name)
    return toolchain.public(package.version) if package else None
