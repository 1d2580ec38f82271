"""sync: compile params.yaml to dvc.yaml."""

from pathlib import Path

import click

from lmspec.cli import loading
from lmspec.methods import folders
from lmspec.pipeline import compiler
from lmspec.reports import printing


@click.command("sync")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file is out of date.")
def command(check: bool) -> None:
    """Compile params.yaml to dvc.yaml: one stage per artifact, with every code file it can import.
    Also writes toolchain.yaml: the installed versions of Python and of packages that stages use.

    \b
    Example:
      lmspec sync
      lmspec sync --check     # in CI
    """
    project = loading.valid_project()
    texts = compiler.out_of_date(project, Path.cwd())
    if not texts:
        printing.text("dvc.yaml is up to date")
    if compiler.TOOLCHAIN in texts:
        for change in compiler.upgrades(Path.cwd(), texts[compiler.TOOLCHAIN]):
            printing.text(f"{compiler.TOOLCHAIN}: {change}")
    if check:
        compiler.require_none(texts)
    for name, text in texts.items():
        folders.write(Path(name), text)
        stages = f": {text.count('    cmd: ')} stages" if name == compiler.DVC_YAML else ""
        printing.text(f"wrote {name}{stages}")
