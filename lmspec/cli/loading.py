"""loading: params.yaml for a command: a valid project, or its problems on standard error."""

import sys
from pathlib import Path
from typing import Any

import click

from lmspec.graph import document as documents
from lmspec.graph import validate
from lmspec.specs.project import Project

PARAMS = Path("params.yaml")


def valid_project() -> Project:
    """The project in the current folder. Prints every problem and exits 1 if there are any."""
    return valid_params()[0]


def valid_params() -> tuple[Project, dict[str, Any]]:
    """The project in the current folder, and the values of params.yaml as they stand. Exits as `valid_project` does."""
    try:
        document = documents.read(PARAMS)
    except documents.ProblemsFound as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    project, problems = validate.check(document)
    for problem in problems:
        click.echo(document.show(problem), err=True)
    if project is None:
        click.echo(f"{len(problems)} problem{'s' if len(problems) != 1 else ''} in {PARAMS}", err=True)
        sys.exit(1)
    return project, document.values
