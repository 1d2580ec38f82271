"""diff: what a commit changed, what that did to the models, and whether it is noise."""

import sys
from pathlib import Path

import click

from lmspec.cli import comparing, mistakes


@click.command("diff")
@click.argument("old", metavar="[A]", default="HEAD")
@click.argument("new", metavar="[B]", required=False)
@click.option("--all", "everything", is_flag=True, help="Show metrics that are the same, too.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json", "html", "github", "junit"]),
    default="text",
    show_default=True,
    help="How to print it. md: for a pull request; github: annotations.",
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it to a file instead."
)
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write every form into a folder, too.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --format json, and stop.")
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(
    old: str,
    new: str | None,
    everything: bool,
    form: str,
    output: Path | None,
    folder: Path | None,
    schema: bool,
) -> None:
    """What differs between two commits, what that did to every metric, and whether the gates pass.

    A is HEAD and B the working tree, if not given. `main...` is the commit at which this branch left main. Differences of
    metrics are tested on the examples that both sides scored, in pairs. From git alone: no cache, no network.

    Exits 1 if a gate does not pass or a metric is missing, 2 if the two cannot be compared, or the report cannot be written.

    \b
    Example:
      lmspec diff                              # HEAD against the working tree
      lmspec diff main...                      # what this branch did
      lmspec diff v1.0 v1.1 --format html --output v1.1.html
    """
    if schema:
        from lmspec.reports import values

        click.echo(values.schema_text(), nl=False)
        return
    found = comparing.report(old, new)
    if folder:
        comparing.write_all(found, folder)
    if output:
        comparing.write(output, comparing.shown(found, form, everything))
    elif form == "text":
        comparing.show(found, everything)
    else:
        click.echo(comparing.shown(found, form, everything), nl=form == "html")
    sys.exit(comparing.FAILED if found.failures else 0)
