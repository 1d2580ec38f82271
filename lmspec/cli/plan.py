"""plan: what `dvc repro` would run, why, and for about how long."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading, options
from lmspec.pipeline import plan, subprocesses
from lmspec.reports import plans, printing


@click.command("plan")
@options.targets()
@options.form(*plans.FORMS)
@click.option("--exit-code", is_flag=True, help="Exit 2 if a stage will or may run, 0 if none.")
def command(targets: tuple[str, ...], form: str, exit_code: bool) -> None:
    """Show which stages `dvc repro` would run, why (old -> new value, file, missing output), and
    about how long they take. Runs nothing.

    \b
    run      it will run
    may run  it runs only if a stage before it gives another output
    restore  out of date, but DVC's cache has the result of an earlier run with the same inputs
    hit      up to date

    Times are medians of the stage's last five runs on this machine, or on another one, which is
    then named.

    \b
    Example:
      lmspec plan
      lmspec plan bundle.release
      lmspec plan --exit-code --format md     # in CI
    """
    project = loading.compiled_project()
    stages = tuple(name.stage for name in loading.artifacts(project, targets))
    steps = plan.plan(Path.cwd(), stages)
    (printing.data if form == "json" else printing.text)(plans.FORMS[form](steps))
    if note := subprocesses.no_python(Path.cwd()):
        printing.text(f"note: {note}", err=True)
    if exit_code and any(step.verdict in (plan.RUN, plan.MAY) for step in steps):
        sys.exit(2)
