"""data: what is in a corpus and what was left out of it, in a terminal and as a page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.cli import comparing, loading, mistakes
from lmspec.errors import LmspecError
from lmspec.reports import printing
from lmspec.specs.base import references
from lmspec.specs.names import ArtifactName

if TYPE_CHECKING:
    from lmspec.specs.project import Project


@click.command("data")
@click.argument("corpus", required=False)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the page to this file. Default: .lmspec/data/CORPUS.html.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; write no page.")
@click.option(
    "--sides",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write which text of the splits CORPUS is in which split, for `sides` of a later cut.",
)
@mistakes.exit_with(1)
def command(corpus: str | None, output: Path | None, as_json: bool, sides: Path | None) -> None:
    """Describe a built corpus: labels, lengths, scripts, what was left out and why, samples.

    CORPUS is a name such as corpus.reviews, or splits that are cut from it; it may be left out if
    there is one corpus. Prints a summary, and writes an HTML page that needs no network.

    Tokens are counted by the tokenizers of the built models that learn from it, on a sample of
    20,000 texts. Samples are the same every time.

    \b
    Example:
      lmspec data corpus.reviews
      lmspec data corpus.reviews --output reviews.html
      lmspec data splits.reviews --sides sides/reviews.csv
    """
    from lmspec.compare import revision
    from lmspec.git.tree import WORKTREE
    from lmspec.inspection import corpora
    from lmspec.inspection.overview import Inspection
    from lmspec.reports import corpora as forms
    from lmspec.reports import terminal

    if sides is not None:
        _write_sides(loading.valid_project(), corpus, sides)
        return
    name = _corpus(loading.valid_project(), corpus)
    found = corpora.inspect(Inspection(revision.read(WORKTREE, Path.cwd())), name)
    if as_json:
        printing.data(forms.as_json(found))
        return
    path = output or Path(".lmspec/data") / f"{name.name}.html"
    comparing.write(path, forms.page(found), path.parent)
    if printing.is_terminal(sys.stdout):
        printing.drawn(terminal.drawn(forms.sections(found)))
    else:
        printing.text(terminal.lines(forms.sections(found)))
    printing.text(f"wrote {path}")


def _write_sides(project: "Project", given: str | None, path: Path) -> None:
    """Raises LmspecError unless these are splits that are built."""
    from lmspec.formats import documents
    from lmspec.formats import sides as form

    names = loading.artifacts(project, [given] if given else [])
    if len(names) != 1 or names[0].noun != "splits":
        found = f"{given or 'nothing'} is no splits"
        raise LmspecError("data", found, "name them: `lmspec data splits.NAME --sides FILE`")
    folder = Path(names[0].folder)
    if not (folder / "test.parquet").is_file():
        raise LmspecError(str(folder), "it is not here", f"run `dvc repro {names[0].stage}`")
    parts = ((part, documents.read_split(folder, part, ["id"])["id"]) for part in form.SPLITS)
    sides = {name: part for part, ids in parts for name in ids}
    path.parent.mkdir(parents=True, exist_ok=True)
    form.write(sides, path)
    printing.text(f"wrote {path}: {len(sides):,} rows")


def _corpus(project: "Project", given: str | None) -> ArtifactName:
    """Raises LmspecError if it is unknown or, without a name, one of several."""
    if given is None:
        names = [name for name, _ in project.artifacts() if name.startswith("corpus.")]
        if len(names) != 1:
            found = f"there are {len(names)} corpora: {', '.join(names)}"
            raise LmspecError("data", found, "name one: `lmspec data CORPUS`")
        return ArtifactName.parse(names[0])
    (name,) = loading.artifacts(project, [given])
    if name.noun == "splits":
        ((_, cut),) = references(project.find(str(name)))
        return ArtifactName.parse(cut)
    if name.noun != "corpus":
        raise LmspecError("data", f"{name} holds no texts", "name a corpus or its splits")
    return name
