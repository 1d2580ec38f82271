"""gate: do the metrics pass what params.yaml demands of them?"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmspec.cli import loading
from lmspec.compare import gates, revision
from lmspec.errors import LmspecError
from lmspec.graph import headers, sync

if TYPE_CHECKING:
    from lmspec.specs.project import Project


@click.command("gate")
@click.argument("rev", default=revision.WORKTREE)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print it.")
def command(rev: str, form: str) -> None:
    """Hold the metrics of REV (the working tree, if not given) against the gates of params.yaml.

    Exits 1 if one fails. A metric that is missing fails, and one of an artifact that params.yaml no longer describes.
    Needs git alone: no cache, no network.

    \b
    Example:
      lmspec gate
      lmspec gate main
    """
    project, values = loading.valid_params()
    if not project.gates:
        raise LmspecError(
            "params.yaml", "it has no gates, so nothing was checked", "`lmspec explain gates` shows how one is written"
        )
    root = Path.cwd()
    stale = stale_artifacts(project, values, root) if rev == revision.WORKTREE else set()
    verdicts = list(gates.verdicts(project.gates, revision.read(rev, root).metrics, stale))
    failed = sum(not verdict.passed for verdict in verdicts)
    if form == "json":
        click.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=2))
    else:
        width = max(len(verdict.gate) for verdict in verdicts)
        for verdict in verdicts:
            click.echo(f"{verdict.gate:{width}}  {verdict.verdict:7}  {verdict.metric} {_said(verdict, project)}")
        click.echo(f"\n{len(verdicts) - failed} of {len(verdicts)} gates pass")
    sys.exit(1 if failed else 0)


def _said(verdict: gates.Verdict, project: "Project") -> str:
    kind = "at least" if project.gates[verdict.gate].kind == "floor" else "at most"
    if verdict.verdict == gates.STALE:
        return "is of what params.yaml said before: run `dvc repro`"
    if verdict.value is None:
        return f"is not there: run `dvc repro`; {kind} {verdict.bound:g}"
    return f"is {verdict.value:.6g}, {kind} {verdict.bound:g}"


def stale_artifacts(project: "Project", values: Mapping[str, Any], root: Path) -> set[str]:
    """Names of the artifacts that, or whose makings, params.yaml describes otherwise than when they were last built."""
    stale: set[str] = set()
    for name, spec in project.artifacts():
        noun, _, key = name.partition(".")
        built = headers.recorded(root, sync.stage_name(name))
        same = built.get(name) == values[noun][key] and built.get("numerics", values["numerics"]) == values["numerics"]
        if built and (not same or stale & set(sync.needs_of(project, spec))):
            stale.add(name)
    return stale
