"""build: bring artifacts up to date, independent stages side by side."""

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.errors import LmspecError, some
from lmspec.formats import lockfile
from lmspec.language import suggest
from lmspec.pipeline import compiler, durations, dvc, leftovers, paths, plan, scheduler
from lmspec.specs.project import Project

COLOURS = ("cyan", "magenta", "yellow", "green", "blue")
WORDS = {scheduler.RESTORED: "restored from the cache"}  # else an outcome is its own word


@click.command("build")
@click.argument("targets", nargs=-1, metavar="[ARTIFACT|STAGE]...")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="Stages at once, each with `numerics.threads` threads.  [default: cores / numerics.threads; 1 on a GPU]",
)
@click.option(
    "-k",
    "--keep-going",
    is_flag=True,
    help="After a failure, go on with what does not depend on it.",
)
def command(targets: tuple[str, ...], jobs: int | None, keep_going: bool) -> None:
    """Build what changed: all of it, or the named artifacts and what they are made from. The result is that of `dvc repro`.

    A stage starts when what it is made from is there; one that measures runs alone. Each line of a stage has its name before
    it. If a stage fails, those that run are finished, no other is started, and the exit code is 1.

    Ctrl-C stops the stages and waits for their end; what was finished is kept, and the next build goes on from there.

    \b
    Example:
      lmspec build
      lmspec build model.minilm model-textcnn -j 2
    """
    project = loading.valid_project()
    root = Path.cwd()
    stages = _stages(project, targets)
    if compiler.outdated(project, root):
        raise LmspecError(
            "dvc.yaml", "it is not what params.yaml and the code say", "run `lmspec sync` first"
        )
    if swept := leftovers.sweep(root):
        click.echo(f"removed what runs that were killed had left: {some(swept)}")
    begun = time.monotonic()
    with dvc.stages(root, stages) as found:
        forecasts = {forecast.stage.name: forecast.verdict for forecast in plan.forecasts(found)}
    known = lockfile.split(lockfile.text_in(root)).stages
    needs = {name: compiler.needs_of(project, spec) for name, spec in project.artifacts()}
    made_from = {
        paths.stage_name(name): [paths.stage_name(need) for need in its]
        for name, its in needs.items()
    }
    changed = [stage for stage, verdict in forecasts.items() if verdict != plan.HIT]
    before = scheduler.affected({stage: made_from[stage] for stage in forecasts}, changed)
    times = {
        stage: expected.seconds for stage in before if (expected := durations.expected(root, stage))
    }
    rules = scheduler.Rules(
        scheduler.longest_first(before, times),
        jobs or default_jobs(project),
        _measured(project),
        keep_going,
    )
    ended, number = _build(root, rules, times)
    if any(end.outcome in (scheduler.BUILT, scheduler.RESTORED) for end in ended):
        _settle(root, known, list(forecasts))
    click.echo(_summary(ended, before, len(forecasts) - len(before), time.monotonic() - begun))
    failed = [end for end in ended if end.outcome == scheduler.FAILED]
    for end in failed:
        click.echo("\n".join([f"{end.stage} failed:", *end.error]), err=True)
    sys.exit(128 + number if number else 1 if failed else 0)


def default_jobs(project: Project) -> int:
    """As many as the cores that this process may use have room for; one where they would share a GPU."""
    if project.machine.device != "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // project.numerics.threads)


def _stages(project: Project, targets: Iterable[str]) -> list[str]:
    """The stages that are named, `model-minilm` or `model.minilm`. Raises LmspecError for one that there is not."""
    names = {name: paths.stage_name(name) for name, _ in project.artifacts()}
    for target in targets:
        if target not in names and target not in names.values():
            near = suggest.nearest(target, [*names, *names.values()])
            remedy = f"did you mean '{near}'?" if near else f"there are {some(list(names))}"
            raise LmspecError("build", f"there is no artifact '{target}'", remedy)
    return [names.get(target, target) for target in targets]


def _measured(project: Project) -> list[str]:
    """Stages that nothing may disturb: what they measure is of no use otherwise."""
    return [paths.stage_name(name) for name, spec in project.artifacts() if spec.measured]


def _build(
    root: Path, rules: scheduler.Rules, times: Mapping[str, float]
) -> tuple[list[scheduler.Ended], int]:
    """Build, and print what happens; how each stage ended, and the number of the signal that ended it all, 0 if none did."""
    stop = scheduler.Stop()
    stop.listen()
    ended = []
    width = max(map(len, rules.before), default=0)
    colours = {stage: COLOURS[i % len(COLOURS)] for i, stage in enumerate(rules.before)}
    with contextlib.closing(scheduler.build(root, rules, stop)) as events:
        for event in events:
            if isinstance(event, scheduler.Stopping):
                click.echo(f"stopping {some(event.stages)}; a second time: at once")
                continue
            name = click.style(f"{event.stage:{width}}", fg=colours[event.stage])
            if isinstance(event, scheduler.Said):
                click.echo(f"{name} | {event.line}")
            elif isinstance(event, scheduler.Begun):
                about = f", {durations.about(times[event.stage])}" if event.stage in times else ""
                click.echo(f"{name} running{about}")
            else:
                ended.append(event)
                click.echo(
                    f"{name} {WORDS.get(event.outcome, event.outcome)} ({_time(event.seconds)})"
                )
    return ended, stop.number


def _settle(root: Path, known: Collection[str], order: list[str]) -> None:
    """Bring dvc.lock into the order in which `dvc repro` writes it: stages that ran side by side end in any."""
    path = root / lockfile.NAME
    # DVC's lock: nobody else writes it meanwhile. If others build, the order is theirs to spoil
    with contextlib.suppress(LmspecError), dvc.stages(root):
        text = path.read_text(encoding="utf-8")
        better = scheduler.in_order(text, known, order)
        if better != text:
            partial = path.with_name("dvc.lock.partial")
            partial.write_text(better, encoding="utf-8")
            partial.replace(path)


def _summary(
    ended: list[scheduler.Ended], before: Mapping[str, object], untouched: int, seconds: float
) -> str:
    counts = Counter(end.outcome for end in ended)
    counts[scheduler.SAME] += untouched
    said = [
        f"{counts[o]} {WORDS.get(o, o)}"
        for o in (scheduler.BUILT, scheduler.RESTORED, scheduler.SAME)
        if counts[o]
    ]
    said += [f"{counts[o]} {o}" for o in (scheduler.FAILED, scheduler.STOPPED) if counts[o]]
    left = [stage for stage in before if stage not in {end.stage for end in ended}]
    failed = [end.stage for end in ended if end.outcome == scheduler.FAILED]
    why = f", since {some(failed)} failed" if failed else ""
    said += [f"{len(left)} not started{why}: {some(left)}"] if left else []
    return f"{'; '.join(said) or 'nothing to build'} ({_time(seconds)})"


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
