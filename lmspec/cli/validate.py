"""validate: every problem of params.yaml, at its place."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading, reporting
from lmspec.language import schema


@click.command("validate")
@click.argument("path", default=str(loading.PARAMS), type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", *reporting.FORMATS]),
    default="text",
    help="How to print it.",
)
def command(path: Path, form: str) -> None:
    """Check params.yaml, or PATH: every problem at file:line:column, before any compute.

    Exits 0 if there is none (warnings are none), 1 if there are, 2 if the command is wrong. Text goes to standard error,
    the other formats to standard output.

    \b
    Example:
      lmspec validate
      lmspec validate --format github     # annotations, in CI
    """
    report = loading.report(path)
    if form != "text":
        click.echo(reporting.FORMATS[form](report))
    elif report.problems:
        click.echo(reporting.text(report, reporting.is_terminal(sys.stderr)), err=True)
    if form == "text" and not report.errors:
        values = report.values or {}
        count = sum(len(values.get(noun) or ()) for noun in schema.nouns())
        click.echo(f"{path} is valid: {count} artifacts")
    sys.exit(1 if report.errors else 0)
