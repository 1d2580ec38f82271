"""trace: what a stage reads without declaring it."""

import sys
import tempfile
from pathlib import Path

import click

from lmspec.audit import trace
from lmspec.cli import loading
from lmspec.reports import printing


@click.command("trace")
@click.argument("target", metavar="ARTIFACT")
def command(target: str) -> None:
    """List every file that a build reads without declaring it, with the line to add.

    Builds in another folder, in the sandbox, once for each missing file, whichever library opens
    it. The project is not changed.
    Exits 1 if a file is missing.

    \b
    Example:
      lmspec trace model.minilm
    """
    project = loading.compiled_project()
    (name,) = loading.artifacts(project, [target])
    count = 0
    with tempfile.TemporaryDirectory() as scratch:
        for path, remedy in trace.undeclared(name, Path.cwd(), Path(scratch).resolve()):
            count += 1
            printing.text(f"{path}\n  -> {remedy}")
    printing.text(
        f"{name} reads "
        + (f"{count} undeclared files" if count else "nothing that it does not declare")
    )
    sys.exit(1 if count else 0)
