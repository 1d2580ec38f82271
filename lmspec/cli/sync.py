"""sync: compile params.yaml to dvc.yaml."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.pipeline import compiler


@click.command("sync")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if dvc.yaml is out of date.")
def command(check: bool) -> None:
    """Write dvc.yaml: one stage per artifact, with the files of code that it can execute; and toolchain.yaml: the versions of
    Python and of the packages that stages execute, as they are installed here.

    \b
    Example:
      lmspec sync
      lmspec sync --check     # in CI
    """
    project = loading.valid_project()
    outdated = compiler.outdated(project, Path.cwd())
    if not outdated:
        click.echo("dvc.yaml is up to date")
    for change in (
        compiler.upgrades(Path.cwd(), outdated.get(compiler.TOOLCHAIN, ""))
        if compiler.TOOLCHAIN in outdated
        else ()
    ):
        click.echo(f"{compiler.TOOLCHAIN}: {change}")
    if outdated and check:
        click.echo(
            f"{' and '.join(outdated)} out of date\n  -> run `lmspec sync` and commit it", err=True
        )
        sys.exit(1)
    for name, text in outdated.items():
        partial = Path(name).with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(name)
        stages = f": {text.count('    cmd: ')} stages" if name == compiler.DVC_YAML else ""
        click.echo(f"wrote {name}{stages}")
