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
    if sync.is_current(project, Path.cwd()):
        click.echo("dvc.yaml is up to date")
    elif check:
        click.echo("dvc.yaml is out of date\n  -> run `lmspec sync` and commit dvc.yaml", err=True)
        sys.exit(1)
    else:
        text = sync.compile_dvc_yaml(project, Path.cwd())
        partial = Path(sync.DVC_YAML).with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(sync.DVC_YAML)
        click.echo(f"wrote dvc.yaml: {text.count('    cmd: ')} stages")
