"""set: values of params.yaml changed in place."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lmspec.cli import loading
from lmspec.errors import some
from lmspec.reports import printing

if TYPE_CHECKING:
    from lmspec.language.setting import Setting
    from lmspec.language.validate import Validation


@click.command("set")
@click.argument("settings", metavar="PATH=VALUE...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Show what would change, and write nothing.")
def command(settings: tuple[str, ...], dry_run: bool) -> None:
    """Change values of params.yaml in place. Its comments, order and layout stay.

    PATH is that of a message: noun.name.field, or blocks.name.field. VALUE is YAML: a number, a
    text, null, a list or a mapping. The result is checked as `lmspec validate` does; if it is not
    valid, nothing is written and the exit code is 1.

    \b
    Example:
      lmspec set model.cnn.training.epochs=3
      lmspec set model.cnn.architecture.widths='[2, 3, 4]' splits.reviews.seed=2
      lmspec set --dry-run blocks.adamw.peak_learning_rate=1.0e-4
    """
    from lmspec.language import setting, validate

    present = validate.file(loading.PARAMS)
    if present.values is None:
        loading.show(present)
        sys.exit(1)
    text, made, validation = setting.applied(loading.PARAMS, settings)
    written(text, made, validation, dry_run)


def written(
    text: str, made: "Sequence[Setting]", validation: "Validation", dry_run: bool = False
) -> None:
    """Print the changes of params.yaml, and make them; exits if the result is not valid."""
    from lmspec.language import setting

    for change in made:
        users = f", used by {some(change.used_by)}" if change.used_by else ""
        place = f"{loading.PARAMS}:{change.line}: {change.path}"
        printing.text(f"{place}: {change.before} -> {change.after}{users}")
    if validation.errors:
        loading.show(validation)
        printing.text("nothing was written", err=True)
        sys.exit(1)
    if not dry_run:
        setting.write(loading.PARAMS, text)
        loading.remind_of_sync()
