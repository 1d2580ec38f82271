"""keep: mark stages up to date whose code or spec changed only in how it is written."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.pipeline import keep
from lmspec.reports import printing


@click.command("keep")
@click.option("--dry-run", is_flag=True, help="Show what would be kept, and change nothing.")
def command(dry_run: bool) -> None:
    """Mark stages up to date whose code changed only in comments or layout (the ASTs are equal), or
    whose values moved into a block of params.yaml or out of one.

    The code of the last run is taken from git. Stages that changed in any other way are left to
    `dvc repro`; the exit code is 1 if there are any. Commit dvc.lock afterwards.

    \b
    Example:
      lmspec keep --dry-run
      lmspec keep && git commit -am "comments"
    """
    loading.compiled_project()
    edits, stages = keep.check(Path.cwd())
    for path, change in edits.items():
        printing.text(f"{path}: {change}")
    kept = [stage for stage, reasons in stages.items() if not reasons]
    if kept:
        if not dry_run:
            keep.keep(Path.cwd(), kept, edits)
        printing.text(f"{'would keep' if dry_run else 'kept'} {', '.join(kept)}")
    for stage, reasons in stages.items():
        if reasons:
            more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
            printing.text(f"left {stage}: {reasons[0]}{more}")
    if not stages:
        printing.text("everything is up to date")
    sys.exit(1 if any(stages.values()) else 0)
