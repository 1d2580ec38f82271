"""runs: what ran on this machine: durations, memory, curves of trainings."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading, options
from lmspec.reports import printing


@click.command("runs")
@click.argument("artifact", required=False, metavar="[ARTIFACT|STAGE]")
@click.option(
    "--last",
    type=click.IntRange(min=1),
    help="Newest runs of each stage.  [default: 1; 20 of one stage]",
)
@options.form("text", "json")
def command(artifact: str | None, last: int | None, form: str) -> None:
    """Show what ran on this machine, newest first: when, how it ended, how long it took, its peak
    memory, and the curves of trainings, also of one that is running or was stopped.

    With ARTIFACT: all runs of one stage, and the newest curve with its evaluations.

    Reads `.lmspec/runs`, which neither git nor DVC has. What DVC restored from its cache did not
    run. Durations of a training that was stopped and went on are of its last process.

    \b
    Example:
      lmspec runs
      lmspec runs model.cnn
      lmspec runs model.cnn --last 1 --format json
    """
    from lmspec.pipeline import runs
    from lmspec.reports import runs as forms
    from lmspec.reports import terminal

    root = Path()
    if artifact:
        (name,) = loading.artifacts(loading.valid_project(), [artifact])
        found = runs.of(root, name.stage)[: last or 20]
    else:
        found = runs.newest(root, last or 1)
    if form == "json":
        printing.data(runs.as_json(found))
        return
    sections = forms.detail(found) if artifact else forms.overview(found)
    if printing.is_terminal(sys.stdout):
        printing.drawn(terminal.drawn(sections))
    else:
        printing.text(terminal.lines(sections).removesuffix("\n"))
