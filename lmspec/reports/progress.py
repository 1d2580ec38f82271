"""progress: a build on a terminal: a line for each event, and a summary."""

import itertools
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import click

from lmspec.errors import some
from lmspec.pipeline.durations import about, measured
from lmspec.pipeline.repro import BUILT, FAILED, RESTORED, SAME, STOPPED, End, Line, Start
from lmspec.pipeline.scheduler import Event, Stopping

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
WORDS = {RESTORED: "restored from the cache"}  # other outcomes are shown as they are


class Progress:
    """The events of a build as lines, each with its stage before it.

    seconds  stage -> how long it will take
    """

    def __init__(self, stages: Collection[str], seconds: Mapping[str, float]) -> None:
        self._width = max(map(len, stages), default=0)
        self._colours = dict(zip(stages, itertools.cycle(COLOURS), strict=False))
        self._seconds = seconds

    def line(self, event: Event) -> str:
        """One event."""
        if isinstance(event, Stopping):
            return f"stopping {some(event.stages)}; press Ctrl-C again to kill"
        name = click.style(f"{event.stage:{self._width}}", fg=self._colours[event.stage])
        match event:
            case Line():
                return f"{name} | {click.unstyle(event.text)}"
            case Start():
                seconds = self._seconds.get(event.stage)
                return f"{name} running" + (f", {about(seconds)}" if seconds else "")
            case End():
                result = WORDS.get(event.outcome, event.outcome)
                return f"{name} {result} ({measured(event.seconds)})"


def summary(ends: Sequence[End], scheduled: Collection[str], untouched: int, seconds: float) -> str:
    """How many stages had each outcome. untouched: stages that were up to date before."""
    counts = Counter(end.outcome for end in ends)
    counts[SAME] += untouched
    parts = [
        f"{counts[outcome]} {WORDS.get(outcome, outcome)}"
        for outcome in (BUILT, RESTORED, SAME, FAILED, STOPPED)
        if counts[outcome]
    ]
    failed = [end.stage for end in ends if end.outcome == FAILED]
    if left := [stage for stage in scheduled if stage not in {end.stage for end in ends}]:
        why = f", since {some(failed)} failed" if failed else ""
        parts.append(f"{len(left)} not started{why}: {some(left)}")
    return f"{'; '.join(parts) or 'nothing to build'} ({measured(seconds)})"
