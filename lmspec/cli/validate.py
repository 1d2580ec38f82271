"""validate: every problem of params.yaml, at its place."""

import click

from lmspec.cli import loading


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
