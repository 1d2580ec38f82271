"""validate: every problem of params.yaml, at its place."""

import sys
from pathlib import Path

import click

from lmspec.cli import loading, options
from lmspec.language import schema, validate
from lmspec.pipeline import subprocesses
from lmspec.reports import printing, problems

DATA = {"github": "commands"}  # other formats are JSON


@click.command("validate")
@click.argument("path", default=str(loading.PARAMS), type=click.Path(path_type=Path))
@options.form("text", *problems.FORMATS)
@click.option(
    "--memory", is_flag=True, help="Then show the memory that each training needs of a device."
)
def command(path: Path, form: str, memory: bool) -> None:
    """Check params.yaml, or PATH: every problem at file:line:column, before any compute.

    Exit code: 0 without problems (warnings do not count), 1 with problems, 2 for a wrong
    command. Text goes to standard error, the other formats to standard output.

    \b
    Example:
      lmspec validate
      lmspec validate --memory            # 5 s: a step of each network, without weights
      lmspec validate --format github     # annotations, in CI
    """
    if memory and (form != "text" or path != loading.PARAMS):
        raise click.UsageError("--memory is of the params.yaml in this folder, as text")
    validation = validate.file(path)
    if form != "text":
        printing.data(problems.FORMATS[form](validation), DATA.get(form, "json"))
    elif validation.problems:
        loading.show(validation)
    if form == "text" and not validation.errors:
        values = validation.values or {}
        count = sum(len(values.get(noun) or ()) for noun in schema.nouns())
        printing.text(f"{path} is valid: {count} artifacts")
        if note := subprocesses.no_python(path.absolute().parent):
            printing.text(f"note: {note}", err=True)
    if memory and not validation.errors:
        _show_memory()
    sys.exit(1 if validation.errors else 0)


def _show_memory() -> None:
    """Raises LmspecError if a training needs more than `machine.memory_gib`."""
    from lmspec.inspection import footprints
    from lmspec.reports import footprints as words

    project = loading.valid_project()
    needed, unknown = footprints.of(project, Path())
    for line in words.lines(needed, unknown):
        printing.text(line)
    footprints.require(needed, project.machine.memory_gib)
