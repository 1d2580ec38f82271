"""keep: keep outputs over an edit that changed no parsed code."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.errors import LmspecError
from lmspec.pipeline import compiler, dvc, keep


@click.command("keep")
@click.option("--dry-run", is_flag=True, help="Say what would be kept, and keep nothing.")
def command(dry_run: bool) -> None:
    """After an edit of comments or layout, keep the outputs of the stages whose code is parsed as before.

    A comment costs no training then. The text of each file at the last run is taken from git; a stage that anything else
    changed for is left to `dvc repro`. Exits 1 if a stage is left. What is kept is recorded in dvc.lock: commit it.

    \b
    Example:
      lmspec keep --dry-run
      lmspec keep && git commit -am "comments"
    """
    project = loading.valid_project()
    root = Path.cwd()
    if compiler.outdated(project, root):
        raise LmspecError(
            "dvc.yaml", "it is not what params.yaml and the code say", "run `lmspec sync` first"
        )
    files, found = keep.verdicts(root)
    for path, said in files.items():
        click.echo(f"{path}: {said}")
    kept = [verdict.stage for verdict in found if not verdict.reasons]
    if kept and not dry_run:
        dvc.commit(root, kept)
        for path, said in files.items():
            if said == keep.LAYOUT:
                keep.remember(root, path)
    if kept:
        click.echo(f"{'would keep' if dry_run else 'kept'} {', '.join(kept)}")
    left = [verdict for verdict in found if verdict.reasons]
    for verdict in left:
        more = f", and {len(verdict.reasons) - 1} more" if len(verdict.reasons) > 1 else ""
        click.echo(f"left {verdict.stage}: {verdict.reasons[0]}{more}")
    if not found:
        click.echo("everything is up to date")
    sys.exit(1 if left else 0)
