"""bisect: find the first commit at which a gate fails, without building anything."""

import sys
from pathlib import Path

import click

from lmspec.cli import comparing, mistakes, options
from lmspec.reports import printing


@click.command("bisect")
@click.argument("gate")
@click.option(
    "--good",
    metavar="REV",
    help="Commit at which the gate passes.  [default: the newest before the bad one]",
)
@click.option(
    "--bad",
    metavar="REV",
    default="HEAD",
    show_default=True,
    help="Commit at which the gate fails.",
)
@options.form("text", "json")
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(gate: str, good: str | None, bad: str, form: str) -> None:
    """Find the first commit at which a gate fails, and show what that commit changed.

    Every first-parent commit between the good and the bad one is checked against the gate as
    params.yaml has it now, with the metrics that the commit holds. A gate that compares takes the
    good commit as its baseline. If the gate broke more than once, the latest time counts. Commits
    whose metrics are missing, out of date or not comparable are skipped; if one of them may be the
    first bad commit, all candidates are listed. Reads git alone: no cache, no network, no builds.

    Exits 0 if the first bad commit is found, 1 if the gate passes at the bad commit or no good
    commit is found, 2 if the commits cannot be compared.

    \b
    Example:
      lmspec bisect release-tweets
      lmspec bisect release-tweets --good v1.0 --bad main --format json
    """
    from lmspec.history import bisection
    from lmspec.reports import bisection as forms

    search = bisection.bisect(gate, good, bad, Path.cwd())
    if form == "json":
        printing.data(forms.as_json(search))
    else:
        printing.text(forms.plain(search))
    sys.exit(comparing.FAILED if isinstance(search.result, bisection.NotFound) else 0)
