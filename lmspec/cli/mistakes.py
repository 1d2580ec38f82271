"""mistakes: how a command reports an error, and with which exit code it ends."""

import contextlib
import sys
from collections.abc import Iterator
from typing import TextIO

import click

from lmspec.errors import LmspecError


def tell(message: object) -> None:
    """On standard error, prefixed with the name of the program."""
    note(f"lmspec: {message}")


def note(text: str) -> None:
    """On standard error. Names come from files: none may control a terminal or a CI runner."""
    from lmspec.reports import aligned, words  # a command that succeeds needs neither

    click.echo(aligned.harmless(words.printable(text)), err=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person reads a standard stream, which is None if it was closed."""
    return stream is not None and stream.isatty()


@contextlib.contextmanager
def exit_with(code: int) -> Iterator[None]:
    """Turn a user's mistake into one message without a traceback, and this exit code."""
    try:
        yield
    except BrokenPipeError:
        raise
    except (LmspecError, OSError) as error:
        tell(error)
        sys.exit(code)
