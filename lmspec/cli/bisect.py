"""bisect: which commit broke a gate, without building any."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.cli import comparing, mistakes
from lmspec.errors import LmspecError

if TYPE_CHECKING:
    from lmspec.reports.culprits import Told


@click.command("bisect")
@click.argument("gate")
@click.option(
    "--good",
    metavar="REV",
    help="A commit that passes.  [default: the newest before the bad one that does]",
)
@click.option(
    "--bad", metavar="REV", default="HEAD", show_default=True, help="A commit that fails."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(gate: str, good: str | None, bad: str, form: str) -> None:
    """The commit at which a gate began to fail, and what it changed, from the metrics that each commit holds.

    Each commit between the good and the bad one, along first parents, is held against the gate as params.yaml has it now; one
    that compares has the good commit for its baseline. Where a gate broke more than once, the last time counts. Commits whose
    metrics are missing, stale or not comparable are skipped; if the culprit may be among them, all of these are named. From
    git alone: no cache, no network, nothing built or checked out.

    Exits 0 if it is found, 1 if the gate passes at the bad commit or no good one is found, 2 if they cannot be compared.

    \b
    Example:
      lmspec bisect release-tweets
      lmspec bisect release-tweets --good v1.0 --bad main --format json
    """
    from lmspec.history.bisection import Nothing
    from lmspec.reports import culprits

    told = _searched(gate, good, bad)
    click.echo(culprits.as_json(told) if form == "json" else culprits.plain(told))
    sys.exit(comparing.FAILED if isinstance(told.found, Nothing) else 0)


def _searched(name: str, good: str | None, bad: str) -> "Told":
    from lmspec.compare import comparison, gates
    from lmspec.history.bisection import Culprit, culprit, gate_named
    from lmspec.history.commits import Files
    from lmspec.reports.culprits import Told

    root = Path.cwd()
    gate = gate_named(name, root)
    with Files(root) as files:
        found = culprit(name, gate, good, bad, files)
        if not isinstance(found, Culprit):
            return Told(name, gate, gates.demand(gate), found, found.reason)
        old, new = (files.revision(held.commit) for held in (found.good, found.fails))
        try:
            return Told(name, gate, gates.demand(gate), found, comparison.compare(old, new, root))
        except LmspecError as error:
            return Told(name, gate, gates.demand(gate), found, f"{error.place}: {error.found}")
