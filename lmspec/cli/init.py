"""init: a new project for your own texts and labels."""

import shlex
import shutil
from pathlib import Path

import click

from lmspec.reports import printing

CLONES = "run `lmspec init --merge-driver` once in each other clone"


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="CSV, TSV, JSONL or Parquet file with one text per row.",
)
@click.option("--text", help="Name of the text column.")
@click.option("--label", help="Name of the label column.")
@click.option(
    "--merge-driver",
    is_flag=True,
    help="In an existing project: make git merge dvc.lock stage by stage.",
)
def command(
    folder: Path, data: Path | None, text: str | None, label: str | None, merge_driver: bool
) -> None:
    """Write a new project into FOLDER (default: the current one), which must be empty.

    Copies the data to raw/ and writes a params.yaml that is valid and builds: corpus, splits, a
    model, its int8 graph, scores and a bundle. Without --text and --label it lists the columns.

    --merge-driver (instead of --data) configures git to merge dvc.lock, metrics and provenance.
    Git does not clone its configuration, so run it once in each clone; in a new project it is done.

    \b
    Example:
      lmspec init sentiment --data reviews.csv --text review --label rating
      cd sentiment && dvc repro
      lmspec init --merge-driver      # once in each other clone
    """
    if merge_driver:
        from lmspec.scaffold import project

        uncommitted = project.install_merge_driver(folder)
        printing.text(f"git merges dvc.lock stage by stage in this clone; {CLONES}")
        if uncommitted:
            printing.text("next: commit .gitattributes")
    if data is not None:
        _create(folder, data, text, label)
    elif not merge_driver:
        raise click.UsageError(
            "Missing option '--data': a new project begins with a table of texts and labels."
        )


def _create(folder: Path, data: Path, text: str | None, label: str | None) -> None:
    from lmspec.scaffold import project, table  # polars takes half a second to import

    project.require_empty(folder)
    labelled = table.read(data, text, label)
    top = project.create(folder, labelled)
    counts = ", ".join(f"{name} {rows}" for name, rows in labelled.labels.items())
    printing.text(f"{len(labelled.lengths)} texts with a label: {counts}")
    for note in labelled.notes:
        printing.text(f"  {note}")
    ci = "workflows for CI" if top else "no CI workflow, as it is not the top of a repository"
    printing.text(
        f"wrote {folder}: params.yaml, dvc.yaml, stages/, raw/{data.name}, Makefile, "
        f"requirements.txt, {ci}"
    )
    if shutil.which("git"):
        printing.text(f"git merges dvc.lock stage by stage here; {CLONES}")
    where = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    printing.text(f"next: read params.yaml; then `{where}dvc repro`, `lmspec gate`, and commit")
