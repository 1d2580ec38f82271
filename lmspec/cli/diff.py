"""diff: what a change did to every metric, and whether it is noise."""

import sys
from pathlib import Path

import click

from lmspec.cli import comparing, mistakes, options
from lmspec.reports import printing


@click.command("diff")
@click.argument("baseline", metavar="[A]", default="HEAD")
@click.argument("candidate", metavar="[B]", required=False)
@click.option("--all", "everything", is_flag=True, help="Show unchanged metrics, too.")
@options.form(
    *comparing.FORMS,
    help="html: a page for a browser; md: for a pull request; github: annotations.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report to a file.",
)
@click.option(
    "--write",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also write every form into a folder.",
)
@click.option("--schema", is_flag=True, help="Print the JSON Schema of --format json and exit.")
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(
    baseline: str,
    candidate: str | None,
    everything: bool,
    form: str,
    output: Path | None,
    folder: Path | None,
    schema: bool,
) -> None:
    """Compare two revisions: what changed, what that did to every metric, do the gates pass?

    A is the baseline (default: HEAD), B the candidate (default: the working tree). `main...` is
    the commit at which this branch left main. Metrics are tested on pairs of predictions for the
    same examples. Everything comes from git: no cache, no network.

    Exits with 1 if a gate does not pass or a metric is missing, and with 2 if the revisions cannot
    be compared or the report cannot be written.

    \b
    Example:
      lmspec diff                              # HEAD against the working tree
      lmspec diff main...                      # what this branch did
      lmspec diff v1.0 v1.1 --format html --output v1.1.html
    """
    if schema:
        from lmspec.reports import values

        printing.data(values.schema_text().removesuffix("\n"))
        return
    report = comparing.report(baseline, candidate)
    if folder:
        comparing.write_all(report, folder)
    if output:
        comparing.write(output, comparing.shown(report, form, everything))
    else:
        comparing.show(report, form, everything)
    sys.exit(comparing.FAILED if report.failures else 0)
