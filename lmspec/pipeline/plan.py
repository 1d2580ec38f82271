"""plan: what `dvc repro` will run, what it will restore, why, and for about how long: old and new value, file, artifact."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.pipeline import difference, durations, dvc, keep

HIT, RESTORE, RUN, MAY = "hit", "restore", "run", "may run"


@dataclass(frozen=True)
class Forecast:
    """What `dvc repro` does with one stage. verdict:

    hit      nothing: it is up to date
    restore  its result is in DVC's cache, and is taken from there without running the stage
    run      it runs it
    may run  that depends on how the stages that it waits for come out
    """

    stage: dvc.Stage
    verdict: str


@dataclass(frozen=True)
class Step:
    """One stage. reasons: of it and its verdict; expected: how long it takes, if it will or may run and was timed before."""

    stage: str
    verdict: str
    reasons: tuple[str, ...]
    expected: durations.Expected | None = None


def plan(root: Path, targets: tuple[str, ...] = ()) -> list[Step]:
    """A step for each stage (or for the targets and what they are made from), in the order in which `dvc repro` takes them."""
    with dvc.stages(root, targets) as stages:
        return [_step(root, forecast) for forecast in forecasts(stages)]


def forecasts(stages: Iterable[dvc.Stage]) -> Iterator[Forecast]:
    """Go through the stages as `dvc repro` does, with what each will leave behind as far as it is known, and run none.

    One thing is left out: a run can bring back what is missing in the cache for another stage whose output has the same bytes.
    """
    coming: dict[str, dvc.Arrival] = {}
    for listed in stages:
        stage = listed.after(coming)
        restored = stage.restored() if stage.changes and not stage.waits else None
        if not stage.changes and not stage.waits:
            verdict = HIT
        elif restored is not None:
            verdict = RESTORE
            coming |= restored
        else:
            runs = not stage.waits or (stage.changes and not stage.might_be_restored())
            verdict = RUN if runs else MAY
            coming |= stage.unknown()
        yield Forecast(stage, verdict)


def _step(root: Path, forecast: Forecast) -> Step:
    stage, verdict = forecast.stage, forecast.verdict
    reasons = (
        [reason for change in stage.changes for reason in _reasons(change, root)]
        if stage.ran
        else ["it has never run"]
    )
    if verdict == MAY and stage.changes:
        reasons += [
            f"unless {before} comes out as in a run of which the cache has the result"
            for before in stage.waits
        ]
    elif verdict == MAY:
        reasons = [f"if {before} comes out otherwise" for before in stage.waits]
    timed = durations.expected(root, stage.name) if verdict in (RUN, MAY) else None
    return Step(stage.name, verdict, tuple(reasons) if verdict != HIT else (), timed)


def _reasons(change: dvc.Change, root: Path) -> Iterator[str]:
    if change.kind == dvc.COMMAND:
        yield change.state
    elif change.kind == dvc.OUTPUT:
        yield f"{change.path} is {'missing' if change.state == 'deleted' else change.state}"
    elif (
        change.kind == dvc.VALUE
        and change.path == "toolchain.yaml"
        and not change.name.startswith("lmspec.")
    ):
        yield f"{change.name.removeprefix('packages.')} {change.old or 'none'} -> {change.new or 'none'}"
    elif change.kind == dvc.VALUE and change.path != "params.yaml":
        yield f"{change.path}: {change.name} {change.state}"
    elif change.kind == dvc.VALUE:
        rows = difference.rows(change.old, change.new, change.name)
        yield from (
            f"{row.name}: {_short(row.old)} -> {_short(row.new)}" for row in rows if row.differs
        )
    elif change.path.endswith(".py") and change.state == "modified":
        yield f"{change.path}: {keep.edit(root, change.path, change.old or '')}"
    else:
        yield f"{change.path} {change.state}"


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
