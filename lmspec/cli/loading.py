"""loading: params.yaml for a command: a valid project, or its problems on standard error."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmspec.cli import reporting
from lmspec.errors import LmspecError, some
from lmspec.language import document as documents
from lmspec.language import validate
from lmspec.language.problems import ProblemsFound
from lmspec.specs.names import ArtifactName

if TYPE_CHECKING:
    from lmspec.specs.project import Project

PARAMS = Path("params.yaml")


def report(path: Path = PARAMS) -> reporting.Report:
    """Everything that is to be said about a params.yaml."""
    try:
        document = documents.read(path)
    except ProblemsFound as error:
        return reporting.Report(path, error.lines, tuple(error.problems), None)
    return reporting.Report(path, document.lines, tuple(validate.check(document)), document.values)


def valid_params(code: int = 1) -> tuple["Project", dict[str, Any]]:
    """The project in the current folder, and the values of params.yaml as they stand.

    Prints every problem and exits with the code if there are errors; warnings are `lmspec validate`'s to show.
    """
    found = report()
    if found.errors:
        click.echo(reporting.text(found, reporting.is_terminal(sys.stderr)), err=True)
        sys.exit(code)
    return _project(found.values or {}), found.values or {}


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
    from lmspec.language.suggest import nearest

    names = [name for name, _ in project.artifacts()]
    spellings = {ArtifactName.parse(name).stage: name for name in names} | {n: n for n in names}
    if target in spellings:
        return spellings[target]
    near = nearest(target, spellings)
    remedy = f"did you mean '{near}'?" if near else f"there are {some(names)}"
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
        found = f"the specs refuse what the schema takes: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        remedy = "write lmspec/language/params.schema.json anew with `lmspec schema`; elsewhere, report this"
        raise LmspecError(str(PARAMS), found, remedy) from None
