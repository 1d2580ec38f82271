"""mistakes: how a command reports an error, and with which exit code it ends."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from lmspec.errors import LmspecError
from lmspec.reports import printing
from lmspec.run import faults  # imported now: when it is needed, no more files can be opened


def tell(message: object) -> None:
    """On standard error, prefixed with the name of the program."""
    note(f"lmspec: {message}")


def note(text: str) -> None:
    """On standard error. Names come from files: none may control a terminal or a CI runner."""
    printing.text(text, err=True)


@contextlib.contextmanager
def exit_with(code: int) -> Iterator[None]:
    """Turn a user's mistake into one message without a traceback, and this exit code."""
    try:
        yield
    except (BrokenPipeError, click.ClickException, click.Abort, click.exceptions.Exit):
        raise
    except Exception as error:
        explained = faults.explained(error, (Path.cwd(),), "the command again")
        if explained is None and not isinstance(error, LmspecError | OSError):
            raise
        tell(explained or error)
        sys.exit(code)
