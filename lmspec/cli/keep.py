"""keep: mark stages up to date whose code changed only in comments or layout."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.pipeline import keep


@click.command("keep")
@click.option("--dry-run", is_flag=True, help="Show what would be kept, and change nothing.")
def command(dry_run: bool) -> None:
    """Mark stages up to date whose code changed only in comments or layout (the ASTs are equal).

    The code of the last run is taken from git. Stages that changed in any other way are left to
    `dvc repro`; the exit code is 1 if there are any. Commit dvc.lock afterwards.

    \b
    Example:
      lmspec keep --dry-run
      lmspec keep && git commit -am "comments"
    """
    loading.compiled_project()
    edits, verdicts = keep.verdicts(Path.cwd())
    for path, change in edits.items():
        click.echo(f"{path}: {change}")
    kept = [verdict.stage for verdict in verdicts if not verdict.reasons]
    if kept and not dry_run:
        keep.keep(Path.cwd(), kept, edits)
    if kept:
        click.echo(f"{'would keep' if dry_run else 'kept'} {', '.join(kept)}")
    left = [verdict for verdict in verdicts if verdict.reasons]
    for verdict in left:
        more = f", and {len(verdict.reasons) - 1} more" if len(verdict.reasons) > 1 else ""
        click.echo(f"left {verdict.stage}: {verdict.reasons[0]}{more}")
    if not verdicts:
        click.echo("everything is up to date")
    sys.exit(1 if left else 0)
