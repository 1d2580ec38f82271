"""show: the results of a build for people: how good each model is, and where it fails."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.cli import comparing, loading, mistakes
from lmspec.errors import LmspecError
from lmspec.reports import printing
from lmspec.specs.names import ArtifactName

if TYPE_CHECKING:
    from lmspec.inspection.overview import Inspection


@click.command("show")
@click.argument("artifact", required=False)
@click.option("--all", "everything", is_flag=True, help="Show every class, gate and metric.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Of explanations and of a traced network: write a page.",
)
@click.option("--against", metavar="REVISION", help="On that page: what it looked at there.")
@mistakes.exit_with(1)
def command(
    artifact: str | None, everything: bool, as_json: bool, page: Path | None, against: str | None
) -> None:
    """Show the results of the working tree: scores with intervals, gates, mistakes.

    Without ARTIFACT: every model and graph with scores, its macro F1 against the constant answer
    and against the linear baseline, the chrF of generated answers against those of the nearest
    training prompts, its size and latency, which one is shipped, the gates, and what is not built
    or out of date, with the command to run.

    With ARTIFACT, such as scores.release or model.cnn: scores by class, what is confused with
    what, calibration, the most confident mistakes, the training curve, the heaviest n-grams; of
    generated answers why they ended, and those with the least in common with their references.

    Reads what git holds: metrics, predictions, provenance. Texts of mistakes come from data/ if
    they are there; the page of explanations needs them.

    \b
    Example:
      lmspec show
      lmspec show scores.release
      lmspec show model.cnn --json
      lmspec show explained.release --html explained.html --against main
    """
    from lmspec.compare import revision
    from lmspec.git.tree import WORKTREE
    from lmspec.inspection import details
    from lmspec.inspection.overview import Inspection
    from lmspec.reports import results, terminal

    project = loading.valid_project()
    (name,) = loading.artifacts(project, [artifact]) if artifact else (None,)
    if page or against:
        _write_page(name, page, against)
        return
    opened = revision.read(WORKTREE, Path.cwd())
    inspected = Inspection(opened)
    if name is None:
        overview = inspected.overview()
        text = results.as_json(overview) if as_json else ""
        sections = results.overview(overview, everything)
    else:
        detail = details.detail(inspected, str(name), everything)
        text = results.as_json(detail) if as_json else ""
        sections = results.detail(detail, everything)
    if as_json:
        printing.data(text)
    elif printing.is_terminal(sys.stdout):
        printing.drawn(terminal.drawn(sections))
    else:
        printing.text(terminal.lines(sections).removesuffix("\n"))


def _write_page(name: ArtifactName | None, page: Path | None, against: str | None) -> None:
    """Write the page of explanations, or of a traced network. Raises LmspecError of another."""
    from lmspec.compare import revision
    from lmspec.git.tree import WORKTREE
    from lmspec.inspection.overview import Inspection

    if page is None:
        raise LmspecError("show", "--against is of a page", "name its file: `--html FILE`")
    if name is None or name.noun not in ("explained", "traced"):
        found = f"{name} explains no text" if name else "no artifact is named"
        raise LmspecError("show", found, "name explanations: `lmspec show explained.NAME --html`")
    if against and name.noun != "explained":
        found = f"a page of {name} is of one revision"
        raise LmspecError("show", found, "`lmspec diff` compares two")
    inspected = Inspection(revision.read(WORKTREE, Path.cwd()))
    text = (_explained if name.noun == "explained" else _traced)(inspected, name, against)
    comparing.write(page, text, page.parent)
    printing.text(f"wrote {page}")


def _explained(inspected: "Inspection", name: ArtifactName, against: str | None) -> str:
    from lmspec.compare import revision
    from lmspec.inspection import explanations
    from lmspec.reports import explanations as forms

    with contextlib.ExitStack() as stack:
        baseline = None
        if against:
            baseline = revision.read(against, Path.cwd())
            stack.callback(baseline.tree.close)
        return forms.page(explanations.inspect(inspected, name, baseline))


def _traced(inspected: "Inspection", name: ArtifactName, against: str | None) -> str:
    from lmspec.inspection import traces
    from lmspec.reports import traces as forms

    return forms.page(traces.inspect(inspected, name))
