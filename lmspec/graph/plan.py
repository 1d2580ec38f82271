"""plan: what `dvc repro` would run, and why: old and new value, file, artifact."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.compare import difference
from lmspec.graph import dvc, keep, lock
from lmspec.graph.sync import folder, needs_of, stage_name
from lmspec.specs.project import Project

HIT, RUN, MAY = "hit", "run", "may run"


@dataclass(frozen=True)
class Step:
    """One stage. verdict: hit; run; may run (if an artifact before it comes out otherwise)."""

    stage: str
    verdict: str
    reasons: tuple[str, ...]


def plan(project: Project, params: dict[str, Any], root: Path, targets: tuple[str, ...] = ()) -> list[Step]:
    """A step for each stage (or for the targets and what they are made from), in an order in which they can run.

    params: params.yaml as it is now.
    """
    changed = dvc.status(root, targets)
    runs = lock.read(root)
    steps: dict[str, Step] = {}
    for name in _in_order(project):
        stage = stage_name(name)
        spec = project.find(name)
        needs = needs_of(project, spec)
        before = [stage_name(need) for need in needs if steps[stage_name(need)].verdict != HIT]
        pending = {folder(need) for need in needs if stage_name(need) in before}
        own = tuple(_reasons(changed.get(stage, []), runs.get(stage), params, pending, root))
        if own:
            steps[stage] = Step(stage, RUN, own)
        elif before:
            steps[stage] = Step(stage, MAY, tuple(f"if {s} comes out otherwise" for s in before))
        else:
            steps[stage] = Step(stage, HIT, ())
    wanted = _upstream(project, targets)
    return [step for stage, step in steps.items() if not wanted or stage in wanted]


def _in_order(project: Project) -> list[str]:
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in order:
            for need in needs_of(project, project.find(name)):
                visit(need)
            order[name] = None

    for name, _ in project.artifacts():
        visit(name)
    return list(order)


def _upstream(project: Project, targets: tuple[str, ...]) -> set[str]:
    names = {stage_name(name): name for name, _ in project.artifacts()}
    queue, found = [names[t] for t in targets if t in names], set()
    while queue:
        name = queue.pop()
        if stage_name(name) not in found:
            found.add(stage_name(name))
            queue += needs_of(project, project.find(name))
    return found


def _reasons(changes: list[Any], run: lock.Run | None, params: dict[str, Any], pending: set[str], root: Path) -> Iterator[str]:
    """The reasons of a stage's own. pending: folders whose own stage is going to run: what they will be is not known yet."""
    if changes and run is None:
        yield "it has never run"
        return
    for change in changes:
        if not isinstance(change, dict):
            yield str(change)
            continue
        for kind, entries in change.items():
            for path, what in entries.items():
                if kind == "changed outs":
                    yield f"{path} is {'missing' if what == 'deleted' else what}"
                elif isinstance(what, dict):
                    yield from _values(path, what, run, params)
                elif path.endswith(".py") and what == "modified" and run:
                    yield f"{path}: {keep.edit(root, path, run.deps.get(path, ''))}"
                elif path not in pending:
                    yield f"{path} {what}"


def _values(path: str, names: dict[str, str], run: lock.Run | None, params: dict[str, Any]) -> Iterator[str]:
    """Old and new value of each parameter that changed."""
    for name, state in names.items():
        if path != "params.yaml":
            yield f"{path}: {name} {state}"
            continue
        rows = difference.rows(run.params.get(name) if run else None, _lookup(params, name), name)
        yield from (f"{r.name}: {_short(r.old)} -> {_short(r.new)}" for r in rows if r.differs)


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _lookup(params: dict[str, Any], name: str) -> Any:
    value: Any = params
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
