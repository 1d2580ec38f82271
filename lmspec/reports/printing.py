"""printing: the only way to a terminal, a pipe or the log of a CI runner; printed text cannot act.

Names, values and messages come from files, data and other people's commits. They are shown, but
cannot move a cursor or command a runner.
"""

import os
import re
import sys
from typing import TYPE_CHECKING, TextIO

import click

from lmspec.errors import COMMANDS, UNPRINTABLE, harmless

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLE = re.compile("(\x1b\\[(?:[01]|3[1-6])m)")  # what `click.style` writes for our colours


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal; it is None if it was closed."""
    return stream is not None and stream.isatty()


def text(content: object, *, err: bool = False, styled: bool = False) -> None:
    """Print a text for people.

    styled  its colours are ours, not those of a name or a value in it
    """
    pieces = STYLE.split(str(content)) if styled else [str(content)]
    shown = [part if STYLE.fullmatch(part) else harmless(part) for part in pieces]
    if COMMANDS.search("".join(shown[::2])):  # a command appears once the colours are removed
        shown = [harmless("".join(pieces[::2]))]
    _write("".join(shown), err)


def data(content: str, form: str = "json") -> None:
    """Print a text for programs: its meaning stays, and what would act is escaped.

    form  `json`, `xml` (also SVG and HTML), or `commands`, which are for a CI runner
    """
    if form == "json":
        content = UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", content)
        content = re.sub(r"##(?=\w*\[)", r"#\\u0023", content)
    elif form == "xml":
        content = COMMANDS.sub(lambda found: f"{found[0][:-1]}&#{ord(found[0][-1])};", content)
        content = UNPRINTABLE.sub("\ufffd", content)
    else:
        content = UNPRINTABLE.sub("\ufffd", content)
    _write(content, err=False)


def record(lines: str) -> None:
    """Print lines of a log, which are JSON in ASCII, on standard error, at once."""
    if "##" in lines:  # of a command to a CI runner
        lines = re.sub(r"##(?=\w*\[)", r"#\\u0023", lines)
    if sys.stderr is not None:
        sys.stderr.write(f"{lines}\n")
        sys.stderr.flush()


def drawn(content: "RenderableType") -> None:
    """Print what rich lays out, on a terminal."""
    from rich.console import Console
    from rich.segment import Segment, Segments

    console = Console()
    parts = (
        part if part.control else Segment(UNPRINTABLE.sub("\ufffd", part.text), part.style)
        for part in console.render(content)
    )
    console.print(Segments(parts), end="")


def _write(shown: str, err: bool) -> None:
    """Write, with escapes such as `\\u2192` for what the stream's encoding lacks."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    shown = shown.encode(encoding, "backslashreplace").decode(encoding)
    click.echo(shown, err=err, color=False if plain else None)
