"""gate: do the metrics pass what params.yaml demands of them?"""

import json
import sys
from pathlib import Path

import click

from lmspec.cli import comparing, loading, mistakes, options
from lmspec.errors import LmspecError
from lmspec.git import tree
from lmspec.reports import gates, printing, words


@click.command("gate")
@click.argument("baseline", metavar="[A]", required=False)
@click.argument("candidate", metavar="[B]", required=False)
@options.form("text", "json")
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(baseline: str | None, candidate: str | None, form: str) -> None:
    """Check B against the gates of its params.yaml, with A as the baseline.

    A is HEAD and B the working tree, unless given. Before the first commit the working tree is its
    own baseline.

    Exits 1 if a gate does not pass: its metric is too low, missing or out of date, or too few
    examples leave it undecided, unless the gate says otherwise. Exits 2 if the two cannot be
    compared, params.yaml is invalid, or it has no gates. Reads git only: no cache, no network.

    \b
    Example:
      lmspec gate
      lmspec gate main...
    """
    if candidate in (None, tree.WORKTREE) and ".." not in (baseline or "").removesuffix("..."):
        loading.valid_project(comparing.NOT_COMPARED)
    if baseline is None and not tree.has_commit(Path.cwd()):
        baseline = tree.WORKTREE
        printing.text("there is no commit yet: the working tree is its own baseline", err=True)
    report = comparing.report(baseline or "HEAD", candidate)
    if not report.gates:
        remedy = "`lmspec explain gates` shows how one is written"
        raise LmspecError("params.yaml", "it has no gates, so nothing was checked", remedy)
    for note in report.notes:
        mistakes.note(f"note: {words.line(note)}")
    if form == "json":
        printing.data(json.dumps(report.gates, indent=2, default=vars))
    else:
        printing.text(gates.plain(report))
    sys.exit(comparing.FAILED if report.blocking else 0)
