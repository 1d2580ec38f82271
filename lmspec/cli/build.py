"""build: bring artifacts up to date, independent stages side by side."""

import contextlib
import sys
import time
from pathlib import Path

import click

from lmspec.cli import loading, options
from lmspec.errors import some
from lmspec.pipeline import leftovers, repro, scheduler
from lmspec.reports import printing, progress


@click.command("build")
@options.targets()
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
    stages = [name.stage for name in loading.artifacts(project, targets)]
    if removed := leftovers.sweep(root):
        printing.text(f"removed what killed runs had left: {some(removed)}")
    started = time.monotonic()
    prepared = scheduler.prepare(root, project, stages, jobs, keep_going)
    scheduled = prepared.schedule.before
    stop, ends = repro.StopSignal(), []
    stop.listen()
    lines = progress.Progress(scheduled, prepared.seconds)
    with contextlib.closing(scheduler.build(root, prepared.schedule, stop)) as events:
        for event in events:
            printing.text(lines.line(event), styled=True)
            ends += [event] if isinstance(event, repro.End) else []
    if any(end.outcome in (repro.BUILT, repro.RESTORED) for end in ends):
        scheduler.settle(root, prepared)
    untouched = len(prepared.order) - len(scheduled)
    printing.text(progress.summary(ends, scheduled, untouched, time.monotonic() - started))
    failed = [end for end in ends if end.outcome == repro.FAILED]
    for end in failed:
        printing.text("\n".join([f"{end.stage} failed:", *end.error]), err=True)
    sys.exit(128 + stop.number if stop.number else 1 if failed else 0)
