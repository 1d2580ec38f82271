"""sweep: what a search found, and its best values written into params.yaml."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.cli import loading, mistakes
from lmspec.errors import LmspecError
from lmspec.reports import printing

if TYPE_CHECKING:
    from lmspec.inspection.sweeps import Found


@click.command("sweep")
@click.argument("name")
@click.option("--apply", "write", is_flag=True, help="Write the best values into params.yaml.")
@click.option("--all", "everything", is_flag=True, help="Show every trial.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@mistakes.exit_with(1)
def command(name: str, write: bool, everything: bool, as_json: bool) -> None:
    """Show the trials of a sweep and its best values; with --apply, write these into params.yaml.

    NAME is that of the sweep, with or without the noun. `dvc repro sweep-NAME` builds it; what its
    trials reached is kept in .lmspec/sweep, so that a killed or widened sweep goes on.

    --apply changes the values of the model in place; comments and layout stay. Where a value is in
    a block that another field names too, the block is written out, so that only this model changes.
    The result is checked as `lmspec validate` does. Nothing is written if the sweep is out of date.

    \b
    Example:
      dvc repro sweep-textcnn
      lmspec sweep textcnn
      lmspec sweep textcnn --apply
    """
    from lmspec.compare import revision
    from lmspec.git.tree import WORKTREE
    from lmspec.inspection import sweeps
    from lmspec.inspection.overview import Inspection
    from lmspec.reports import results, terminal
    from lmspec.reports import sweeps as shown

    project = loading.valid_project()
    (sweep,) = loading.artifacts(project, [name if "." in name else f"sweep.{name}"])
    if sweep.noun != "sweep":
        raise LmspecError("sweep", f"{sweep} is no sweep", "name one of the section `sweep`")
    found = sweeps.found(Inspection(revision.read(WORKTREE, Path.cwd())), str(sweep))
    if write:
        _apply(found)
    elif as_json:
        printing.data(results.as_json(found))
    elif printing.is_terminal(sys.stdout):
        printing.drawn(terminal.drawn(shown.sections(found, everything)))
    else:
        printing.text(terminal.lines(shown.sections(found, everything)).removesuffix("\n"))


def _apply(found: "Found") -> None:
    from lmspec.cli import set as settings
    from lmspec.language import applying

    text, made, validation = applying.applied(loading.PARAMS, found.of, found.best)
    if not made:
        printing.text("params.yaml has these values already: nothing was written")
        return
    if found.problem is not None:
        remedy = f"{found.problem.remedy}; then apply its values"
        raise LmspecError(found.sweep, found.problem.found, remedy)
    settings.written(text, made, validation)
    stage = found.sweep.replace(".", "-", 1)
    printing.text(f"next: `dvc repro {stage}`: from what is kept, it takes seconds")
