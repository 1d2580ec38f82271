"""gate: do the metrics pass what params.yaml demands of them?"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmspec.cli import comparing, loading
from lmspec.compare import repository, revision
from lmspec.errors import LmspecError


@click.command("gate")
@click.argument("old", metavar="[A]", required=False)
@click.argument("new", metavar="[B]", required=False)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it.")
def command(old: str | None, new: str | None, form: str) -> None:
    """Hold B (the working tree, if not given) against the gates of its params.yaml; A (HEAD) is what it must not fall behind.

    Before the first commit there is no A, and the gates that compare hold the working tree against itself.

    Exits 1 if one does not pass: a metric that is missing, or of an artifact that is not what the spec would build, fails;
    and one that too little data leaves undecided, unless the gate says otherwise. Exits 2 if the two cannot be compared.
    From git alone: no cache, no network.

    \b
    Example:
      lmspec gate
      lmspec gate main...
    """
    if new in (None, revision.WORKTREE) and ".." not in (old or "").removesuffix("..."):
        loading.valid_params()
    if old is None:
        old = "HEAD" if repository.has_commit(Path.cwd()) else revision.WORKTREE
        if old == revision.WORKTREE:
            click.echo("there is no commit yet to compare with: gates that compare were not tried", err=True)
    found = comparing.report(old, new)
    if not found.gates:
        remedy = "`lmspec explain gates` shows how one is written"
        raise LmspecError("params.yaml", "it has no gates, so nothing was checked", remedy)
    if form == "json":
        click.echo(json.dumps([asdict(gate) for gate in found.gates], indent=2))
    else:
        width = max(len(gate.gate) for gate in found.gates)
        for gate in found.gates:
            click.echo(f"{gate.gate:{width}}  {gate.verdict:10}  {gate.found}; {gate.demand}")
            if gate.needed is not None:
                click.echo(f"{'':{width}}  about {gate.needed:,} examples would decide, if what was seen stays as it is")
            if gate.why:
                click.echo(f"{'':{width}}  {gate.why}")
        passed = sum(gate.passed for gate in found.gates)
        click.echo(f"\n{passed} of {len(found.gates)} gates pass")
    sys.exit(0 if all(gate.passed for gate in found.gates) else comparing.FAILED)
