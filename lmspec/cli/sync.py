"""sync: compile params.yaml to dvc.yaml."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.graph import sync


@click.command("sync")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if dvc.yaml is out of date.")
def command(check: bool) -> None:
    """Write dvc.yaml: one stage per artifact, with the files of code that it can execute.

    \b
    Example:
      lmspec sync
      lmspec sync --check     # in CI
    """
    project = loading.valid_project()
    outdated = sync.outdated(project, Path.cwd())
    if not outdated:
        click.echo("dvc.yaml is up to date")
    elif check:
        click.echo(f"{' and '.join(outdated)} out of date\n  -> run `lmspec sync` and commit it", err=True)
        sys.exit(1)
    for name, text in outdated.items():
        partial = Path(name).with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(name)
        stages = f": {text.count('    cmd: ')} stages" if name == sync.DVC_YAML else ""
        click.echo(f"wrote {name}{stages}")
