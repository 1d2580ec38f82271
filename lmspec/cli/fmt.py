"""fmt: params.yaml in one form, with every value and comment as it was."""

import difflib
import shutil
import sys
from pathlib import Path

import click

from lmspec.cli import loading, reporting
from lmspec.graph import document as documents
from lmspec.graph import layout
from lmspec.graph.problems import ProblemsFound


@click.command("fmt")
@click.argument("path", default=str(loading.PARAMS), type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if the file would change.")
@click.option("--diff", is_flag=True, help="Write nothing; print what would change.")
def command(path: Path, check: bool, diff: bool) -> None:
    """Put params.yaml, or PATH, into one form: sections in the order of the flow, two blanks a level.

    Every value and every comment stays. A comment directly above a section moves with it; the header of the file, with an
    empty line below it, stays on top, and comments below the last section stay at the end.

    \b
    Example:
      lmspec fmt
      lmspec fmt --check --diff     # in CI
    """
    try:
        documents.read(path)
    except ProblemsFound as error:
        report = reporting.Report(path, error.lines, tuple(error.problems), None)
        click.echo(reporting.text(report, reporting.is_terminal(sys.stderr)), err=True)
        sys.exit(1)
    old = path.read_bytes().decode("utf-8")
    new = layout.formatted(old.removeprefix("\ufeff"), path)
    if diff:
        click.echo(_difference(old, new, path), nl=False)
    if check and old != new:
        click.echo(f"{path} is not in the form of `lmspec fmt`\n  -> run `lmspec fmt` and commit it", err=True)
        sys.exit(1)
    if old == new:
        click.echo(f"{path} is in form", err=diff)
    elif not diff:
        _write(new, path.resolve())
        click.echo(f"wrote {path}")


def _difference(old: str, new: str, path: Path) -> str:
    """A unified diff, that `patch` takes."""
    lines = difflib.unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), str(path), str(path))
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _write(text: str, path: Path) -> None:
    """The file is there whole or as it was."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(text.encode("utf-8"))
    shutil.copymode(path, partial)
    partial.replace(path)
