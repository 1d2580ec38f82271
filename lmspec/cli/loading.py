"""loading: params.yaml for a command: a valid project, or its problems on standard error."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.errors import LmspecError, some
from lmspec.language import validate
from lmspec.language.suggest import did_you_mean, nearest
from lmspec.language.validate import Validation
from lmspec.reports import printing, problems
from lmspec.specs.names import ArtifactName

if TYPE_CHECKING:
    from lmspec.specs.project import Project

PARAMS = Path("params.yaml")
OF_A_STAGE = ("file-sources-have-their-hash",)  # breaking it stops a stage, not a comparison
COLOURS = {"error": "red", "warning": "yellow", "other": "blue"}


def show(validation: Validation) -> None:
    """The problems on standard error, in colour on a terminal."""
    printing.text(problems.text(validation, _painted), err=True, styled=True)


def _painted(part: str, role: str) -> str:
    return click.style(part, fg=COLOURS.get(role), bold=role == "place" or None)


def valid_project(code: int = 1) -> "Project":
    """The project in the current folder.

    On errors, prints them and exits with the code, unless a stage alone will refuse what they are
    about. `lmspec validate` shows warnings.
    """
    validation = validate.file(PARAMS)
    if validation.errors:
        show(validation)
        if any(p.rule not in OF_A_STAGE for p in validation.problems if not p.warning):
            sys.exit(code)
    from pydantic import ValidationError

    from lmspec.specs.project import Project

    values = (validation.values or {}).items()
    try:
        return Project.model_validate({noun: value for noun, value in values if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        found = f"the specs reject what the schema accepts: {path}: {first['msg']}"
        remedy = (
            "regenerate lmspec/language/params.schema.json with `lmspec schema`, or report this"
        )
        raise LmspecError(str(PARAMS), found, remedy) from None


def compiled_project() -> "Project":
    """The same, for commands that read dvc.yaml. Raises LmspecError if that is out of date."""
    from lmspec.pipeline import compiler

    project = valid_project()
    compiler.require_none(compiler.out_of_date(project, Path.cwd()))
    return project


def remind_of_sync() -> None:
    """Print the next step if params.yaml needs another dvc.yaml than the one that is there."""
    from lmspec.pipeline import compiler

    here = Path.cwd()
    if (here / compiler.DVC_YAML).exists() and compiler.out_of_date(valid_project(), here):
        printing.text("next: `lmspec sync`, since dvc.yaml is out of date")


def artifacts(project: "Project", targets: Iterable[str]) -> list[ArtifactName]:
    """The artifacts given by name or stage. Raises LmspecError if there is no such artifact."""
    names = {name: ArtifactName.parse(name) for name, _ in project.artifacts()}
    spellings = names | {name.stage: name for name in names.values()}
    for target in targets:
        if target not in spellings:
            remedy = did_you_mean(nearest(target, spellings)) or f"there are {some([*names])}"
            command = str(click.get_current_context().info_name)
            raise LmspecError(command, f"there is no artifact '{target}'", remedy)
    return [spellings[target] for target in targets]
