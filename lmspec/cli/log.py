"""log: how a metric went over the commits of a branch, and at which of them it really changed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.cli import comparing, mistakes, reporting

if TYPE_CHECKING:
    from lmspec.history.trend import Course


@click.command("log")
@click.argument("metric", required=False)
@click.option(
    "--branch",
    metavar="REV",
    default="HEAD",
    show_default=True,
    help="Branch, tag or commit to go back from.",
)
@click.option(
    "--max-count",
    "most",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Commits of each metric.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Show commits at which the metric did not change, too.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "svg", "md"]),
    default="text",
    show_default=True,
    help="How to print it. svg: a plot with intervals.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file instead."
)
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(
    metric: str | None, branch: str, most: int, everything: bool, form: str, output: Path | None
) -> None:
    """A metric at each commit of a branch that changed it, newest first, along first parents.

    METRIC may be cut to its end, or have `*` for any part, if that means one metric; without it, those that the gates are
    about. Each value has its 95 % interval from the predictions of its commit, and a verdict against the commit before that has
    the metric, tested on the examples that both scored, in pairs. From git alone: no cache, no network, nothing checked out.

    Each verdict is at p <= 0.05 for that commit and metric alone, not corrected for how many are looked at: where nothing
    changed, up to one in twenty says better or worse.

    Exits 0 if it is shown, 2 if there is no such metric or commit, or it cannot be written.

    \b
    Example:
      lmspec log
      lmspec log tweets.accuracy --branch main
      lmspec log 'scores.release.*.movies.accuracy' --format svg --output movies.svg
    """
    found = _courses(metric, branch, most, everything)
    if output:
        comparing.write(output, _shown(found, form) + "\n")
    elif form == "text" and reporting.is_terminal(sys.stdout):
        from rich.console import Console

        from lmspec.reports import courses

        Console().print(courses.render(found))
    else:
        click.echo(_shown(found, form))


def _courses(metric: str | None, branch: str, most: int, everything: bool) -> list["Course"]:
    from lmspec.history import commits, metric_lookup
    from lmspec.history.trend import course

    root = Path.cwd()
    line = commits.line(branch, root)
    with commits.Files(root) as files:
        names = (
            [metric_lookup.metric(metric, line, files)]
            if metric
            else metric_lookup.of_gates(line, files)
        )
        return [course(name, line, files, most, everything) for name in names]


def _shown(found: list["Course"], form: str) -> str:
    """Only what one form needs is imported: plots take a second."""
    if form == "svg":
        from lmspec.reports import courseplot

        return courseplot.svg(found).rstrip("\n")
    from lmspec.reports import courses

    return {"text": courses.plain, "md": courses.as_markdown, "json": courses.as_json}[form](found)
