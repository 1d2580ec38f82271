"""validate: every problem of params.yaml, at its place."""

from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.graph import sync


@click.command("validate")
def command() -> None:
    """Check params.yaml: every problem at file:line:column, before any compute.

    Exits 0 if there is none, 1 otherwise.

    \b
    Example:
      lmspec validate
    """
    project = loading.valid_project()
    click.echo(f"params.yaml is valid: {sum(1 for _ in project.artifacts())} artifacts")
    if not sync.is_current(project, Path.cwd()):
        click.echo("dvc.yaml is out of date: run `lmspec sync` before `dvc repro`", err=True)
