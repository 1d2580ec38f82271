"""scheduler: stages side by side, each a `dvc repro --single-item` started once its inputs exist.

DVC does the work and writes dvc.lock: its processes take the repository's lock in turn, and release
it while a stage runs.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.methods import folders
from lmspec.pipeline import compiler, durations, dvc, plan
from lmspec.pipeline.repro import (
    FAILED,
    POLL_SECONDS,
    STOPPED,
    End,
    Line,
    Repro,
    Start,
    StopSignal,
)
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project

Stages = Collection[str]
Graph = Mapping[str, Stages]  # stage -> those that it is made from, which come before it


@dataclass(frozen=True)
class Stopping:
    """A signal came; these stages are running and will be stopped."""

    stages: tuple[str, ...]


Event = Start | Line | Stopping | End


@dataclass(frozen=True)
class Schedule:
    """When a stage may start.

    before      of the stages that are ready the first starts first
    jobs        how many may run at once
    alone       stages that measure: nothing runs beside them, so they start when nothing else can
    keep_going  after a failure, build what does not depend on it; otherwise start nothing more
    """

    before: Graph
    jobs: int = 1
    alone: Stages = ()
    keep_going: bool = False

    def ready(self, running: Stages, ended: Mapping[str, bool]) -> list[str]:
        """The stages to start now. ended: stage -> did it succeed?"""
        if not self.keep_going and not all(ended.values()):
            return []
        free = [
            stage
            for stage, needed in self.before.items()
            if stage not in ended
            and stage not in running
            and all(ended.get(name, False) for name in needed)
        ]
        # while one of `alone` runs, nothing can become free: it started when nothing was
        sociable = [stage for stage in free if stage not in self.alone]
        return sociable[: self.jobs - len(running)] if sociable or running else free[:1]


def affected(before: Graph, changed: Stages) -> dict[str, list[str]]:
    """The part of a graph that may have to be built: what changed, and what is made from it."""
    part: dict[str, list[str]] = {}
    for stage, needed in before.items():
        inside = [name for name in needed if name in part]
        if inside or stage in changed:
            part[stage] = inside
    return part


def longest_first(before: Graph, seconds: Mapping[str, float]) -> Graph:
    """The same graph, ordered by the work that waits for a stage (its critical path), most first.

    seconds  how long a stage takes; 1 for one that was never timed
    """
    path: dict[str, float] = {}
    for stage, needed in reversed(list(before.items())):
        path[stage] = seconds.get(stage, 1) + path.get(stage, 0)
        for name in needed:
            path[name] = max(path.get(name, 0), path[stage])
    return {stage: before[stage] for stage in sorted(before, key=lambda stage: -path[stage])}


def default_jobs(project: Project) -> int:
    """As many as this process has cores for; one on a GPU, which they would share."""
    if project.machine.device != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // project.numerics.threads)


@dataclass(frozen=True)
class Preparation:
    """What a build needs to know.

    order    every stage of the targets, in the order of `dvc repro`
    known    stages that dvc.lock had before
    seconds  stage -> how long it will take, if it was timed before
    """

    schedule: Schedule
    order: list[str]
    known: Stages
    seconds: Mapping[str, float]


def prepare(
    root: Path, project: Project, targets: Sequence[str], jobs: int | None, keep_going: bool
) -> Preparation:
    """Schedule the stages of the targets that are out of date. jobs: None for the default."""
    with dvc.stages(root, targets) as stages:
        verdicts = {stage.name: verdict for stage, verdict in plan.forecasts(stages)}
    needs = {
        ArtifactName.parse(name).stage: [
            ArtifactName.parse(need).stage for need in compiler.needs_of(project, spec)
        ]
        for name, spec in project.artifacts()
    }
    changed = [stage for stage, verdict in verdicts.items() if verdict != plan.HIT]
    before = affected({stage: needs[stage] for stage in verdicts}, changed)
    times = {stage: durations.expected(root, stage) for stage in before}
    seconds = {stage: time.seconds for stage, time in times.items() if time}
    # load beside a stage that measures would change what it measures
    alone = [ArtifactName.parse(name).stage for name, spec in project.artifacts() if spec.measured]
    schedule = Schedule(
        longest_first(before, seconds), jobs or default_jobs(project), alone, keep_going
    )
    known = lockfile.split(lockfile.text_in(root)).stages
    return Preparation(schedule, list(verdicts), known, seconds)


def build(root: Path, schedule: Schedule, stop: StopSignal) -> Generator[Event, None, None]:
    """Bring every stage of the schedule up to date; yields what happens as it happens.

    Ends early after a failure (as the schedule says) and on a stop signal. Closing the generator
    stops the build. Either way no process is left.
    """
    running: dict[str, Repro] = {}
    ended: dict[str, bool] = {}
    announced = False
    try:
        while True:
            if not stop.number:
                for stage in schedule.ready(running, ended):
                    running[stage] = Repro(root, stage)
            elif running and not announced:
                announced = True
                yield Stopping(tuple(running))
            if not running:
                return
            for event in _poll(running, stop):
                if isinstance(event, End):
                    ended[event.stage] = event.outcome not in (FAILED, STOPPED)
                yield event
    finally:
        if running and not stop.number:
            stop.handle(signal.SIGTERM)
        while running:
            list(_poll(running, stop))  # a full pipe would block a stage


def _poll(running: dict[str, Repro], stop: StopSignal) -> Iterator[Event]:
    """What has happened; removes stages that have ended."""
    time.sleep(POLL_SECONDS)
    for stage, repro in list(running.items()):
        yield from repro.poll(stop)
        if repro.end:
            del running[stage]
            yield repro.end


def settle(root: Path, prepared: Preparation) -> None:
    """Write dvc.lock in the order of `dvc repro`: stages that ran side by side end in any."""
    path = root / lockfile.NAME
    # under DVC's lock nothing else writes the file; if another build holds it, leave the order
    with contextlib.suppress(LmspecError), dvc.stages(root):
        text = path.read_text(encoding="utf-8")
        ordered = in_order(text, prepared.known, prepared.order)
        if ordered != text:
            folders.write(path, ordered)


def in_order(text: str, known: Stages, order: Sequence[str]) -> str:
    """dvc.lock as one `dvc repro` would have left it: DVC appends new stages as they finish.

    known  the stages that were in it before
    order  that of `dvc repro`
    """
    lock = lockfile.split(text)
    places = {stage: i for i, stage in enumerate(order)} | dict.fromkeys(known, -1)
    stages = sorted(lock.stages.items(), key=lambda item: places.get(item[0], len(places)))
    return replace(lock, stages=dict(stages)).text()
