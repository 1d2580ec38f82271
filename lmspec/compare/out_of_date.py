"""out_of_date: artifacts whose metrics are not what the revision's spec and code would build.

A gate on the metrics of another spec would mislead. Only dvc.lock and provenance are used: files
in git are hashed, outputs are not, so no DVC cache is needed.
"""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from lmspec.compare import declared, leaks
from lmspec.compare.caching import cached
from lmspec.compare.declared import Compiled
from lmspec.compare.revision import (
    LOCK,
    PARAMS,
    TOOLCHAIN,
    TRACKED,
    Revision,
    is_elsewhere,
    source_files,
    yaml_of,
)
from lmspec.formats.lockfile import Run
from lmspec.run import declaration, provenance
from lmspec.run.provenance import Provenance
from lmspec.specs import blocks
from lmspec.specs.names import METRICS, PROVENANCE, ArtifactName

MADE_FROM_OUT_OF_DATE = ", which it is made from, is out of date"
EDITED, NEW_FILE = "the build wrote", "its hash in params.yaml did not"
LOST = "is missing, although its build wrote it"
# `dvc commit` records the old output as if it had been built from the new inputs
COMMITTED = "its provenance has"
REMEDIES = {
    COMMITTED: "run `dvc repro --force --single-item` on its stage",
    EDITED: "`git checkout` it, or run `dvc repro`",
    LOST: "run `dvc repro`, and if git ignores it, correct .gitignore",
    NEW_FILE: "put the new hash there and run `dvc repro`, or `git checkout` the file",
    declared.OTHER_COMMAND: "run `lmspec sync`, then `dvc repro`",
    declared.INVALID: "`lmspec validate` says why",
}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
# A file of git LFS: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\n")
LONGEST_POINTER = 200  # bytes


class Digests(NamedTuple):
    """Of a file in git. pointed: the SHA-256 in it if it is a git LFS pointer, else None."""

    md5: str
    sha256: str
    pointed: str | None


def artifacts(revision: Revision) -> dict[str, str]:
    """Artifact -> why it is out of date. Empty without a dvc.lock; see `unknown`."""
    return {} if unknown(revision) else _Check(revision).reasons()


def roots(reasons: Mapping[str, str]) -> dict[str, str]:
    """Those that are out of date by themselves, not through what they are made from."""
    return {name: why for name, why in reasons.items() if not why.endswith(MADE_FROM_OUT_OF_DATE)}


def unknown(revision: Revision) -> bool:
    """Is there no dvc.lock to judge by?"""
    return LOCK not in revision.tree.ids


def remedy(why: str) -> str:
    """What to do about a reason."""
    return next((do for end, do in REMEDIES.items() if why.endswith(end)), "run `dvc repro`")


def by_another_lmspec(revision: Revision, reasons: Mapping[str, str]) -> list[str]:
    """Artifacts that are up to date only according to the dvc.yaml of another lmspec."""
    compiled = Compiled(revision)
    if unknown(revision) or not compiled.foreign:
        return []
    current = (name for name in revision.artifacts if name not in reasons)
    return [n for n in current if any(compiled.stages[n].lacking(revision.run(n)))]


def _is_code(path: str) -> bool:
    """Is a dependency a file that git must hold? Data may be in DVC's cache."""
    return not is_elsewhere(path) or (path.endswith(".py") and not path.startswith("/"))


class _Check:
    """makers: path of an output -> (artifact, MD5 in dvc.lock; empty if that has no run of it)."""

    def __init__(self, revision: Revision) -> None:
        self.revision, self.compiled = revision, Compiled(revision)
        self.sources = source_files(revision.artifacts)
        self.makers: dict[str, tuple[str, str]] = {}
        for name in revision.artifacts:
            self.makers[ArtifactName.parse(name).folder] = name, ""
            for path, md5 in revision.run(name).outs.items():
                self.makers[path] = name, md5

    def reasons(self) -> dict[str, str]:
        """Artifact -> the first reason."""
        reasons: dict[str, str] = {}
        for name in self._makers_first():
            reason = next(self._of(name, reasons), None)
            if reason:
                reasons[name] = reason
        return reasons

    def _makers_first(self) -> list[str]:
        order: dict[str, None] = {}

        def visit(name: str, visiting: frozenset[str]) -> None:
            for path in self.revision.run(name).deps:
                maker = self.makers.get(path)
                if maker and maker[0] not in visiting and maker[0] not in order:
                    visit(maker[0], visiting | {name})
            order.setdefault(name)

        for name in self.revision.artifacts:
            visit(name, frozenset())
        return list(order)

    def _of(self, name: str, known: Mapping[str, str]) -> Iterator[str]:
        """known: reasons of what it may be made from."""
        artifact = ArtifactName.parse(name)
        if artifact.stage not in self.revision.lock:
            yield "dvc.lock has no run of it"
            return
        run, ids = self.revision.run(name), self.revision.tree.ids
        yield from self._parameters(run.params)
        for path, md5 in run.deps.items():
            yield from self._dependency(name, path, md5, known)
        if artifact.metrics in ids and artifact.metrics not in run.outs:
            yield f"dvc.lock does not record its build's {artifact.metrics}"
        if leak := leaks.reason(self.revision, name):
            yield leak
        for path, md5 in run.outs.items():
            committed = path.startswith((f"{METRICS}/", f"{PROVENANCE}/")) and path in ids
            if committed and self._digests(path).md5 != md5:
                yield f"{path} is not what {EDITED}"
            lost = path.startswith(f"{METRICS}/{artifact.stage}/") and path not in ids
            if lost and not self._is_in_submodule(path):
                yield f"{path} {LOST}"
        if lacking := self.compiled.lacking(name, run):
            yield lacking
        yield from self._provenance(artifact, run)

    def _parameters(self, files: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
        documents = {PARAMS: self.revision.params, TOOLCHAIN: self.revision.toolchain}
        for file, values in files.items():
            for path, value in values.items() if file in documents else ():
                if not declaration.same(value, declaration.at(documents[file], path)):
                    yield f"{path} of {file} is not what it was built with"

    def _dependency(
        self, name: str, path: str, md5: str, known: Mapping[str, str]
    ) -> Iterator[str]:
        if path in self.makers:
            maker, made = self.makers[path]
            if maker in known:
                yield f"{maker}{MADE_FROM_OUT_OF_DATE}"
            elif made != md5:
                yield f"it was made from another {path} than dvc.lock has"
        elif (now := self._now(name, path, md5)) is not None:
            if now != md5 and name in self.sources:
                yield f"{path} changed, and {NEW_FILE}"
            elif now != md5:
                yield f"{path} is not what it was built with"
        elif _is_code(path) and not self._is_in_submodule(path):
            yield f"{path}, which it was built with, is gone"

    def _is_in_submodule(self, path: str) -> bool:
        """Is it in another repository, which is not checked?"""
        return any(path.startswith(f"{place}/") for place in self.revision.tree.submodules)

    def _provenance(self, artifact: ArtifactName, run: Run) -> Iterator[str]:
        """Where its provenance disagrees with git, or with the provenance of its inputs."""
        ids, path = self.revision.tree.ids, artifact.provenance
        if path not in run.outs or self.compiled.foreign:
            return
        record = self.revision.provenance(str(artifact))
        if record is None:
            yield f"{path} is {'not provenance' if path in ids else 'missing'}"
            return
        if artifact.metrics in ids and artifact.metrics not in record.outputs:
            yield f"{path} does not have {artifact.metrics}"
        for name, entry in record.outputs.items():
            sha256 = entry["digest"].get("sha256")
            if name in ids and sha256 and self._digests(name).sha256 != sha256:
                yield f"{name} is not what {path} says"
        for what in self._recorded(record, run):
            yield f"{what} is not what {COMMITTED}"
        for name, entry in record.inputs.items():
            maker, _ = self.makers.get(name, (None, ""))
            made = self.revision.provenance(maker) if maker else None
            if made and made.outputs.get(name, entry)["digest"] != entry["digest"]:
                yield f"{path} and the provenance of {maker} disagree on {name}"

    def _recorded(self, record: Provenance, run: Run) -> Iterator[str]:
        """Parameters, versions and files on which dvc.lock and the provenance disagree."""
        for name, value in blocks.without(run.params.get(PARAMS, {})).items():
            if not declaration.same(record.params.get(name, value), value):
                yield f"{name} of {PARAMS}"
        for name, version in run.params.get(TOOLCHAIN, {}).items():
            built_with = record.packages.get(name.removeprefix("packages."), "").partition("+")[0]
            module = record.inputs.get(name, {}).get("digest", {}).get("sha256")
            if (built_with or module or version) != version:
                yield f"{name} of {TOOLCHAIN}"
        for path in run.deps:
            entry = record.inputs.get(path, {})
            sha256 = entry.get("digest", {}).get("sha256")
            if path in self.revision.tree.ids and sha256 and not self._same(path, sha256, entry):
                yield path

    def _same(self, path: str, sha256: str, entry: Mapping[str, Any]) -> bool:
        """Does git hold the file that was read, or the same code but for comments and layout?"""
        digests = self._digests(path)
        if sha256 in (digests.sha256, digests.pointed):
            return True
        stated = entry.get("annotations", {}).get("parsed")
        content = self.revision.tree.read(path) if stated else None
        # another version of Python writes the same syntax tree differently
        if content is not None and self.revision.toolchain.get("python") == PYTHON:
            return bool(provenance.parsed(content) == stated)
        return content is not None

    def _now(self, name: str, path: str, md5: str) -> str | None:
        """MD5 of a file or folder in git, as DVC computes it; None if git does not hold it.

        md5  that of the build; returned if git LFS has the file with the SHA-256 of the build
        """
        ids = self.revision.tree.ids
        if path in ids:
            digests = self._digests(path)
            if digests.pointed is None:
                return digests.md5
            record = self.revision.provenance(name)
            built = record.inputs.get(path, {}).get("digest", {}) if record else {}
            return md5 if digests.pointed == built.get("sha256") else digests.md5
        if f"{path}{TRACKED}" in ids:
            outs = yaml_of(self.revision.tree, f"{path}{TRACKED}").get("outs")
            return str(outs[0].get("md5")) if isinstance(outs, list) and outs else None
        inside = {p: self._digests(p) for p in sorted(ids) if p.startswith(f"{path}/")}
        if not inside or any(digests.pointed for digests in inside.values()):
            return None
        start = len(path) + 1
        rows = [{"md5": digests.md5, "relpath": p[start:]} for p, digests in inside.items()]
        return f"{hashlib.md5(json.dumps(rows).encode(), usedforsecurity=False).hexdigest()}.dir"

    @cached
    def _digests(self, path: str) -> Digests:
        md5, sha256, head = hashlib.md5(usedforsecurity=False), hashlib.sha256(), bytearray()

        def take(chunk: bytes) -> None:
            head.extend(chunk[: LONGEST_POINTER - len(head)])
            md5.update(chunk)
            sha256.update(chunk)

        self.revision.tree.feed(path, take)
        pointer = POINTER.match(head)
        return Digests(
            md5.hexdigest(), sha256.hexdigest(), pointer[1].decode() if pointer else None
        )
