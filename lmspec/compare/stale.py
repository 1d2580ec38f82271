"""stale: which artifacts are not what this revision's own spec, code and versions would build, by its dvc.lock.

A gate on metrics of yesterday's spec would lie. Nothing is hashed but code and metrics, so it needs no cache.
"""

import hashlib
from collections.abc import Iterator, Mapping

from lmspec.compare.revision import LOCK, PARAMS, TOOLCHAIN, Revision, is_elsewhere
from lmspec.formats.lockfile import NEVER
from lmspec.pipeline.paths import METRICS, PROVENANCE, folder, metrics, stage_name
from lmspec.run import declaration

MADE_FROM_STALE = ", which it is made from, is stale"


def artifacts(side: Revision) -> dict[str, str]:
    """Artifact -> why it is stale. Empty if there is no dvc.lock: `unknown` says so."""
    if unknown(side):
        return {}
    found: dict[str, str] = {}
    made: dict[str, tuple[str, str]] = {}  # path -> (artifact, its hash)
    hashes: dict[str, str] = {}
    for name in side.artifacts:
        made[folder(name)] = name, ""  # for one that dvc.lock has no run of
        for path, md5 in side.lock.get(stage_name(name), NEVER).outs.items():
            made[path] = name, md5
    for name in _in_order(side, made):
        reason = next(_reasons(side, name, made, hashes, found), None)
        if reason:
            found[name] = reason
    return found


def first(found: Mapping[str, str]) -> dict[str, str]:
    """Those that are not stale because of another alone."""
    return {name: why for name, why in found.items() if not why.endswith(MADE_FROM_STALE)}


def unknown(side: Revision) -> bool:
    """Is there no dvc.lock to tell?"""
    return LOCK not in side.tree.ids


def _in_order(side: Revision, made: Mapping[str, tuple[str, str]]) -> list[str]:
    """What is made from another comes after it."""
    order: dict[str, None] = {}

    def visit(name: str, seen: frozenset[str]) -> None:
        for path in side.lock.get(stage_name(name), NEVER).deps:
            maker = made.get(path)
            if maker and maker[0] not in seen and maker[0] not in order:
                visit(maker[0], seen | {name})
        order.setdefault(name)

    for name in side.artifacts:
        visit(name, frozenset())
    return list(order)


def _reasons(
    side: Revision,
    name: str,
    made: Mapping[str, tuple[str, str]],
    hashes: dict[str, str],
    stale: Mapping[str, str],
) -> Iterator[str]:
    run = side.lock.get(stage_name(name))
    if run is None:
        yield "dvc.lock has no run of it"
        return
    for file, values in run.params.items():
        now = side.params if file == PARAMS else side.toolchain if file == TOOLCHAIN else None
        for path, value in values.items():
            if now is not None and not declaration.same(value, declaration.at(now, path)):
                yield f"{path} of {file} is not what it was built with"
    for path, md5 in run.deps.items():
        if path in made:
            maker, there = made[path]
            if maker in stale:
                yield f"{maker}{MADE_FROM_STALE}"
            elif there != md5:
                yield f"it was made from another {path} than dvc.lock has"
        elif path in side.tree.ids:
            if _md5(side, path, hashes) != md5:
                yield f"{path} is not what it was built with"
        elif not is_elsewhere(path) and not any(
            path.startswith(f"{other}/") for other in side.tree.others
        ):
            yield f"{path}, which it was built with, is gone"
    if metrics(name) in side.tree.ids and metrics(name) not in run.outs:
        yield f"dvc.lock does not say what its build wrote to {metrics(name)}"
    for path, md5 in run.outs.items():
        kept = path.startswith((f"{METRICS}/", f"{PROVENANCE}/")) and path in side.tree.ids
        if kept and _md5(side, path, hashes) != md5:
            yield f"{path} is not what the build wrote"


def _md5(side: Revision, path: str, hashes: dict[str, str]) -> str:
    if path not in hashes:
        hashes[path] = hashlib.md5(side.tree.read(path) or b"", usedforsecurity=False).hexdigest()
    return hashes[path]
