"""gate: do the metrics pass what params.yaml demands of them?"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.compare import gates, revision


@click.command("gate")
@click.argument("rev", default=revision.WORKTREE)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print it.")
def command(rev: str, form: str) -> None:
    """Hold the metrics of REV (the working tree, if not given) against the gates of params.yaml.

    Exits 1 if one fails; a metric that is missing fails. Needs git alone: no cache, no network.

    \b
    Example:
      lmspec gate
      lmspec gate main
    """
    project = loading.valid_project()
    verdicts = list(gates.verdicts(project.gates, revision.read(rev, Path.cwd()).metrics))
    failed = sum(not verdict.passed for verdict in verdicts)
    if form == "json":
        click.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
    else:
        width = max((len(verdict.gate) for verdict in verdicts), default=0)
        for verdict in verdicts:
            value = "nothing" if verdict.value is None else f"{verdict.value:.6g}"
            kind = "at least" if project.gates[verdict.gate].kind == "floor" else "at most"
            click.echo(f"{verdict.gate:{width}}  {verdict.verdict:7}  {verdict.metric} is {value}, {kind} {verdict.bound:g}")
        click.echo(f"\n{len(verdicts) - failed} of {len(verdicts)} gates pass")
    sys.exit(1 if failed else 0)
