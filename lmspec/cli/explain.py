"""explain: what a section or field of params.yaml is."""

import click

from lmspec.cli import loading
from lmspec.language import document as documents
from lmspec.language.problems import ProblemsFound
from lmspec.reports import explanation, printing


@click.command("explain")
@click.argument("path", required=False)
def command(path: str | None) -> None:
    """Describe a section or field of params.yaml: rule, kinds, checks, an example, its users.

    PATH is `noun.field.field`; without it, the sections are listed. The path of a message works
    too, such as `model.minilm.training.epochs`.

    \b
    Example:
      lmspec explain
      lmspec explain student
      lmspec explain model.architecture.rnn.cell
    """
    try:
        params = documents.read(loading.PARAMS)
    except ProblemsFound:  # of another folder, or `lmspec validate` reports it
        params = None
    shown = explanation.text(path, params) if path is not None else explanation.sections()
    printing.text(shown, styled=True)
