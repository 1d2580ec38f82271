"""mistakes: how a command that ends in an error says why, and its exit code."""

import contextlib
import sys
from collections.abc import Iterator

import click

from lmspec.errors import LmspecError


def tell(said: object) -> None:
    """On standard error, as lmspec's."""
    note(f"lmspec: {said}")


def note(text: str) -> None:
    """On standard error. Names in it come from files: none may drive a terminal or a CI runner."""
    from lmspec.reports import aligned, words  # what goes well needs neither

    click.echo(aligned.harmless(words.printable(text)), err=True)


@contextlib.contextmanager
def exit_with(code: int) -> Iterator[None]:
    """A user's mistake within is one message, not a traceback, and the command ends with this exit code."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (LmspecError, OSError) as error:
        tell(error)
        sys.exit(code)
