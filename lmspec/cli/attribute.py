"""attribute: explain why metrics changed between two commits: data, spec, code or toolchain."""

import sys
from pathlib import Path

import click

from lmspec.attribution import inquiry
from lmspec.attribution.result import AttributionReport
from lmspec.cli import mistakes, options
from lmspec.reports import attribution as forms
from lmspec.reports import printing


@click.command("attribute")
@click.argument("baseline", metavar="A")
@click.argument("candidate", metavar="B")
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option("--yes", is_flag=True, help="Build the mixes without asking.")
@options.form("text", "md", "json")
def command(baseline: str, candidate: str, metrics: tuple[str, ...], yes: bool, form: str) -> None:
    """Explain why metrics changed from commit A to commit B: data, spec, code or toolchain.

    METRIC is a name as in `lmspec diff`. Default: gated metrics that changed, otherwise accuracy
    and macro F1 of every `scores` artifact. If several factors differ, mixes of the two commits
    are built, each in a temporary folder and with DVC's cache, so only stages new to the cache
    run. The cost is shown first, and you are asked. The project's folder is not touched.

    A mix that cannot be built is listed with the reason, and the effects that need it are "not
    known". Without --yes and without a terminal to ask on, only the cost is shown, unless all is in
    the cache.

    Exits 0 on success, also if only the cost is shown; 1 if there is no such commit or metric, a
    metric is out of date, or neither commit's toolchain is installed.

    \b
    Example:
      lmspec attribute v1.0 v1.1
      lmspec attribute main~5 main scores.release.reviews.accuracy --yes
    """

    def agree(report: AttributionReport) -> bool:
        """On a terminal, show the cost and ask; elsewhere only --yes agrees."""
        asks = not yes and printing.is_terminal(sys.stdin) and printing.is_terminal(sys.stderr)
        if asks:
            printing.text(f"{forms.differing(report)}\n", err=True)
        if yes or asks:
            printing.text(forms.costs(report), err=True)
        if asks and not click.confirm("build them?", err=True):
            printing.text("nothing was built", err=True)
            sys.exit(0)
        if not (yes or asks):
            mistakes.tell(
                "nothing was built, so no effect is known: "
                "`lmspec attribute ... --yes` builds the mixes"
            )
        return yes or asks

    report = inquiry.run(baseline, candidate, metrics, Path.cwd(), agree, mistakes.note)
    if form == "json":
        printing.data(forms.as_json(report))
    else:
        printing.text({"text": forms.text, "md": forms.markdown}[form](report))
