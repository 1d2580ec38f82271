"""out_of_date: artifacts whose metrics are not what the revision's spec and code would build.

A gate on the metrics of another spec would mislead. By dvc.lock alone: code and metrics are
hashed, data is not, so no DVC cache is needed.
"""

import hashlib
from collections.abc import Iterator, Mapping

from lmspec.compare import leaks
from lmspec.compare.caching import cached
from lmspec.compare.revision import LOCK, PARAMS, TOOLCHAIN, Revision, is_elsewhere
from lmspec.run import declaration
from lmspec.specs.names import METRICS, PROVENANCE, ArtifactName

MADE_FROM_OUT_OF_DATE = ", which it is made from, is out of date"


def artifacts(revision: Revision) -> dict[str, str]:
    """Artifact -> why it is out of date. Empty without a dvc.lock; see `unknown`."""
    return {} if unknown(revision) else _Check(revision).reasons()


def roots(reasons: Mapping[str, str]) -> dict[str, str]:
    """Those that are out of date by themselves, not through what they are made from."""
    return {name: why for name, why in reasons.items() if not why.endswith(MADE_FROM_OUT_OF_DATE)}


def unknown(revision: Revision) -> bool:
    """Is there no dvc.lock to judge by?"""
    return LOCK not in revision.tree.ids


class _Check:
    """makers: path of an output -> (artifact, MD5 by dvc.lock; empty if it has no run of it)."""

    def __init__(self, revision: Revision) -> None:
        self.revision = revision
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
            yield from self._dependency(path, md5, known)
        if artifact.metrics in ids and artifact.metrics not in run.outs:
            yield f"dvc.lock does not record its build's {artifact.metrics}"
        if leak := leaks.reason(self.revision, name):
            yield leak
        for path, md5 in run.outs.items():
            committed = path.startswith((f"{METRICS}/", f"{PROVENANCE}/")) and path in ids
            if committed and self._md5(path) != md5:
                yield f"{path} is not what the build wrote"

    def _parameters(self, files: Mapping[str, Mapping[str, object]]) -> Iterator[str]:
        documents = {PARAMS: self.revision.params, TOOLCHAIN: self.revision.toolchain}
        for file, values in files.items():
            for path, value in values.items() if file in documents else ():
                if not declaration.same(value, declaration.at(documents[file], path)):
                    yield f"{path} of {file} is not what it was built with"

    def _dependency(self, path: str, md5: str, known: Mapping[str, str]) -> Iterator[str]:
        if path in self.makers:
            maker, made = self.makers[path]
            if maker in known:
                yield f"{maker}{MADE_FROM_OUT_OF_DATE}"
            elif made != md5:
                yield f"it was made from another {path} than dvc.lock has"
        elif path in self.revision.tree.ids:
            if self._md5(path) != md5:
                yield f"{path} is not what it was built with"
        elif not is_elsewhere(path) and not any(
            path.startswith(f"{submodule}/") for submodule in self.revision.tree.submodules
        ):
            yield f"{path}, which it was built with, is gone"

    @cached
    def _md5(self, path: str) -> str:
        content = self.revision.tree.read(path) or b""
        return hashlib.md5(content, usedforsecurity=False).hexdigest()
