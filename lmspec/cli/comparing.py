"""comparing: two revisions for a command: their report, its exit codes, and its output forms."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lmspec.cli import mistakes
from lmspec.errors import LmspecError
from lmspec.git import command as git

if TYPE_CHECKING:
    from lmspec.compare.report import Report

FAILED, NOT_COMPARED = 1, 2
WRITTEN = {
    "md": "report.md",
    "json": "report.json",
    "html": "report.html",
    "junit": "junit.xml",
    "github": "annotations.txt",
}


def report(baseline: str, candidate: str | None) -> "Report":
    """Compare two revisions, named as on the command line.

    Raises LmspecError if they cannot be compared.
    """
    from lmspec.compare import comparison, gate_lines, revision
    from lmspec.git import tree

    root = Path.cwd()
    with contextlib.ExitStack() as stack:
        revisions = []
        for name in tree.baseline_and_candidate(baseline, candidate, root):
            revisions.append(revision.read(name, root))
            stack.callback(revisions[-1].tree.close)
        result = comparison.compare(revisions[0], revisions[1], root)
        return gate_lines.located(result, revisions[1])


def shown(found: "Report", form: str, everything: bool = False) -> str:
    """A report in one of its forms."""
    return _render(form, everything)(found)


def _render(form: str, everything: bool) -> Callable[[Any], str]:
    """Only what one form needs is imported: plots take a second."""
    if form == "json":
        from lmspec.reports import values

        return values.as_json
    if form == "md":
        from lmspec.reports import markdown

        return markdown.render
    if form == "html":
        from lmspec.reports import html

        return html.render
    if form == "github":
        from lmspec.reports import github

        return lambda found: github.annotations(found, git.prefix(Path.cwd()))
    if form == "junit":
        from lmspec.reports import junit

        return junit.render
    from lmspec.reports import terminal

    return lambda found: terminal.plain(found, everything)


def show(found: "Report", everything: bool) -> None:
    """On a terminal with rich; plain where the output is piped."""
    if not mistakes.is_terminal(sys.stdout):
        click.echo(shown(found, "text", everything), nl=False)
        return
    from rich.console import Console

    from lmspec.reports import terminal

    console = Console()
    console.print(terminal.render(found, everything, console.width))


def write_all(found: "Report", folder: Path) -> None:
    """Every form that is a file, into a folder."""
    for form, name in WRITTEN.items():
        write(folder / name, shown(found, form), folder)


def write(path: Path, text: str, made: Path | None = None) -> None:
    """A file. made: a folder that is made if it is not there. Raises LmspecError if it cannot be written."""
    try:
        if made is not None:
            made.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        remedy = "name a file in a folder that is there and that you may write to"
        raise LmspecError(str(path), f"it cannot be written: {error.strerror}", remedy) from None
