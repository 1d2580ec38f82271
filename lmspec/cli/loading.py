"""loading: params.yaml for a command: a valid project, or its problems on standard error."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmspec.cli import mistakes
from lmspec.errors import LmspecError, some
from lmspec.language import validate
from lmspec.language.problems import plain
from lmspec.language.suggest import did_you_mean, nearest
from lmspec.language.validate import Validation
from lmspec.reports import problems
from lmspec.specs.names import ArtifactName

if TYPE_CHECKING:
    from lmspec.specs.project import Project

PARAMS = Path("params.yaml")
LOOKS: dict[str, dict[str, Any]] = {
    "place": {"bold": True},
    "error": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "other": {"fg": "blue"},
}


def show(validation: Validation) -> None:
    """The problems on standard error, in colour on a terminal."""
    colour = mistakes.is_terminal(sys.stderr)
    paint = (lambda part, role: click.style(part, **LOOKS[role])) if colour else plain
    click.echo(problems.text(validation, paint), err=True)


def valid_params(code: int = 1) -> tuple["Project", dict[str, Any]]:
    """The project in the current folder, and the plain values of its params.yaml.

    On errors, prints them and exits with the code. `lmspec validate` shows warnings.
    """
    validation = validate.file(PARAMS)
    if validation.errors:
        show(validation)
        sys.exit(code)
    values = validation.values or {}
    return _project(values), values


def valid_project() -> "Project":
    """The project in the current folder. Exits as `valid_params` does."""
    return valid_params()[0]


def compiled_project() -> "Project":
    """The same, for commands that read dvc.yaml. Raises LmspecError if that is out of date."""
    from lmspec.pipeline import compiler

    project = valid_project()
    compiler.require_up_to_date(project, Path.cwd())
    return project


def artifact_named(project: "Project", target: str, command: str) -> str:
    """The name of an artifact given by name or stage. Raises LmspecError if there is none."""
    names = [name for name, _ in project.artifacts()]
    spellings = {ArtifactName.parse(name).stage: name for name in names} | {n: n for n in names}
    if target in spellings:
        return spellings[target]
    remedy = did_you_mean(nearest(target, spellings)) or f"there are {some(names)}"
    raise LmspecError(command, f"there is no artifact '{target}'", remedy)


def _project(values: dict[str, Any]) -> "Project":
    from pydantic import ValidationError

    from lmspec.specs.project import Project

    try:
        return Project.model_validate(
            {section: value for section, value in values.items() if value is not None}
        )
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, first["loc"]))
        found = f"the specs reject what the schema accepts: {path}: {first['msg']}"
        remedy = (
            "regenerate lmspec/language/params.schema.json with `lmspec schema`, or report this"
        )
        raise LmspecError(str(PARAMS), found, remedy) from None
