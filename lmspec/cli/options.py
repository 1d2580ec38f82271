"""options: arguments and options that several commands have."""

from collections.abc import Callable

import click
from click.decorators import FC


def form(*names: str, help: str = "Output format.") -> Callable[[FC], FC]:
    """`--format`, with text as its default."""
    choice = click.Choice(names)
    return click.option(
        "--format", "form", type=choice, default="text", show_default=True, help=help
    )


def targets() -> Callable[[FC], FC]:
    """Any number of artifacts."""
    return click.argument("targets", nargs=-1, metavar="[ARTIFACT|STAGE]...")
