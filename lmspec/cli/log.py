"""log: show a metric over the commits of a branch, with a verdict at each change."""

import pkgutil
import sys
from pathlib import Path

import click

from lmspec.cli import comparing, mistakes, options
from lmspec.reports import printing

FORMS = {
    "text": "trends:plain",
    "json": "trends:as_json",
    "svg": "trendplot:svg",
    "md": "trends:as_markdown",
}

DATA = {"json": "json", "svg": "xml"}  # for programs


@click.command("log")
@click.argument("metric", required=False)
@click.option(
    "--branch",
    metavar="REV",
    default="HEAD",
    show_default=True,
    help="Branch, tag or commit to start from.",
)
@click.option(
    "--max-count",
    "most",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    help="Number of commits per metric.",
)
@click.option(
    "--all",
    "unchanged",
    is_flag=True,
    help="Include commits that did not change the metric.",
)
@options.form(*FORMS, help="Output format; svg is a plot with intervals.")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to this file."
)
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(
    metric: str | None, branch: str, most: int, unchanged: bool, form: str, output: Path | None
) -> None:
    """Show a metric at each first-parent commit that changed it, newest first.

    METRIC may be a suffix or contain `*`, as long as it is unambiguous. Default: the metrics of
    the gates. Each value has a 95 % interval from the predictions of its commit, and a verdict
    against the previous commit that has the metric, from a paired test on their common examples.
    Reads git alone: no cache, no network, nothing checked out.

    Each verdict is at p <= 0.05 for that commit and metric alone, without correction for multiple
    tests: where nothing changed, up to one in twenty says better or worse.

    Exits 0 on success, 2 if there is no such metric or commit, or the file cannot be written.

    \b
    Example:
      lmspec log
      lmspec log tweets.accuracy --branch main
      lmspec log 'scores.release.*.movies.accuracy' --format svg --output movies.svg
    """
    from lmspec.history import trend

    trends = trend.trends(metric, branch, Path.cwd(), most, unchanged)
    if not output and form == "text" and printing.is_terminal(sys.stdout):
        from lmspec.reports import trends as forms

        printing.drawn(forms.render(trends))
        return
    # imports only what the form needs: matplotlib takes a second
    text = pkgutil.resolve_name(f"lmspec.reports.{FORMS[form]}")(trends).rstrip("\n")
    if output:
        comparing.write(output, f"{text}\n")
    elif form in DATA:
        printing.data(text, DATA[form])
    else:
        printing.text(text)
