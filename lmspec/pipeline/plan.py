"""plan: what `dvc repro` will run or restore, why, and for about how long."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lmspec.pipeline import difference, durations, dvc, dvc_stage, edits, stopped
from lmspec.run import declaration
from lmspec.run.declaration import PARAMS

HIT = "hit"  # up to date
RESTORE = "restore"  # DVC takes its result from the cache
RUN = "run"
MAY = "may run"  # depends on the results of stages that run before it


@dataclass(frozen=True)
class Step:
    """One stage.

    reasons   for its verdict; for a stage that is up to date: signs that its output is damaged
    expected  its duration, if it may run and was timed
    done      optimizer steps of its training that are done and will not be done again, and in all
    """

    stage: str
    verdict: str
    reasons: tuple[str, ...]
    expected: durations.Expected | None = None
    done: tuple[int, int] | None = None


def plan(root: Path, targets: tuple[str, ...] = ()) -> list[Step]:
    """A step for each stage, or for the targets and what they are made from, in DVC's order."""
    with dvc.stages(root, targets) as stages:
        return [_step(root, stage, verdict) for stage, verdict in forecasts(stages)]


def forecasts(stages: Iterable[dvc_stage.Stage]) -> Iterator[tuple[dvc_stage.Stage, str]]:
    """(stage, verdict), following `dvc repro` with what each stage leaves behind, where known.

    One thing is left out: a run can restore what the cache lacks of another stage, if its output
    has the same bytes.
    """
    coming: dict[str, dvc_stage.Arrival] = {}
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
        yield stage, verdict


def _step(root: Path, stage: dvc_stage.Stage, verdict: str) -> Step:
    if verdict == HIT:
        damaged = (
            f"{path} has {here:,} bytes; it had {then:,} when it was built: `lmspec verify --cache`"
            for path, then, here in stage.resized
        )
        return Step(stage.name, verdict, tuple(damaged))
    reasons = ["it has never run"]
    if stage.ran:
        reasons = [reason for change in stage.changes for reason in reasons_of(change, root)]
    if verdict == MAY and stage.changes:
        reasons += [f"cached if {before} is rebuilt to a known output" for before in stage.waits]
    elif verdict == MAY:
        reasons = [f"only if {before}'s output changes" for before in stage.waits]
    expected = durations.expected(root, stage.name) if verdict in (RUN, MAY) else None
    found = None if verdict != RUN or stage.waits else stopped.reached(root, stage.name)
    done = (found.step, found.steps) if found else None
    return Step(stage.name, verdict, tuple(reasons), expected, done)


def is_moved(change: dvc_stage.Change) -> bool:
    """Did values only move into a block or out of one? DVC compares what is written."""
    of_params = change.kind == dvc_stage.VALUE and change.path == PARAMS
    return of_params and declaration.same(change.old, change.new)


def reasons_of(change: dvc_stage.Change, root: Path) -> Iterator[str]:
    """One change in words, with old and new values."""
    if change.kind == dvc_stage.COMMAND:
        yield change.state
    elif change.kind == dvc_stage.OUTPUT:
        yield f"{change.path} is {'missing' if change.state == 'deleted' else change.state}"
    elif change.kind == dvc_stage.VALUE and change.path == PARAMS:
        if is_moved(change):
            yield f"{change.name}: the same values, written in another place: `lmspec keep`"
        yield from difference.described(change.old, change.new, change.name)
    elif change.kind == dvc_stage.VALUE and change.name.startswith(
        "lmspec."
    ):  # a digest of a module
        yield f"{change.path}: {change.name} {change.state}"
    elif change.kind == dvc_stage.VALUE:
        name = change.name.removeprefix("packages.")
        yield f"{name} {change.old or 'none'} -> {change.new or 'none'}"
    elif change.path.endswith(".py") and change.state == "modified":
        yield f"{change.path}: {edits.described(root, change.path, change.old or '')}"
    else:
        yield f"{change.path} {change.state}"
