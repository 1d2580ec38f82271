"""build: bring artifacts up to date, independent stages side by side."""

import contextlib
import sys
import time
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.errors import some
from lmspec.formats import lockfile
from lmspec.pipeline import durations, dvc, leftovers, paths, plan, repro, scheduler
from lmspec.reports import progress


@click.command("build")
@click.argument("targets", nargs=-1, metavar="[ARTIFACT|STAGE]...")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=1),
    help="Stages at once, each with `numerics.threads` threads.  "
    "[default: cores / numerics.threads; 1 on a GPU]",
)
@click.option(
    "-k",
    "--keep-going",
    is_flag=True,
    help="After a failure, build what does not depend on it.",
)
def command(targets: tuple[str, ...], jobs: int | None, keep_going: bool) -> None:
    """Build what is out of date: everything, or the named artifacts and what they are made from.
    Gives the same result as `dvc repro`.

    A stage starts once its inputs are built; one that measures runs alone. Each line of output
    starts with its stage. If a stage fails, running stages finish, no more start, and the exit code
    is 1.

    Ctrl-C stops the running stages and waits for them; finished stages are kept, and the next build
    continues from there.

    \b
    Example:
      lmspec build
      lmspec build model.minilm model-textcnn -j 2
    """
    project = loading.compiled_project()
    root = Path.cwd()
    names = [loading.artifact_named(project, target, "build") for target in targets]
    if removed := leftovers.sweep(root):
        click.echo(f"removed what killed runs had left: {some(removed)}")
    started = time.monotonic()
    with dvc.stages(root, [paths.stage_name(name) for name in names]) as listed:
        verdicts = {stage.name: verdict for stage, verdict in plan.forecasts(listed)}
    known = lockfile.split(lockfile.text_in(root)).stages
    changed = [stage for stage, verdict in verdicts.items() if verdict != plan.HIT]
    before = scheduler.affected(scheduler.graph(project, verdicts), changed)
    seconds = {
        stage: expected.seconds for stage in before if (expected := durations.expected(root, stage))
    }
    schedule = scheduler.Schedule(
        scheduler.longest_first(before, seconds),
        jobs or scheduler.default_jobs(project),
        scheduler.measuring(project),
        keep_going,
    )
    stop, ends = repro.StopSignal(), []
    stop.listen()
    lines = progress.Progress(schedule.before, seconds)
    with contextlib.closing(scheduler.build(root, schedule, stop)) as events:
        for event in events:
            click.echo(lines.line(event))
            ends += [event] if isinstance(event, repro.End) else []
    if any(end.outcome in (repro.BUILT, repro.RESTORED) for end in ends):
        scheduler.settle(root, known, list(verdicts))
    untouched = len(verdicts) - len(before)
    click.echo(progress.summary(ends, before, untouched, time.monotonic() - started))
    failed = [end for end in ends if end.outcome == repro.FAILED]
    for end in failed:
        click.echo("\n".join([f"{end.stage} failed:", *end.error]), err=True)
    sys.exit(128 + stop.number if stop.number else 1 if failed else 0)
