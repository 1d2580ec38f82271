"""label: people label the rows of a queue, or look at suspects, in a terminal or on a page."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lmspec.cli import loading, mistakes
from lmspec.errors import LmspecError
from lmspec.reports import printing

if TYPE_CHECKING:
    from lmspec.annotation.session import Session
    from lmspec.specs.names import ArtifactName
    from lmspec.specs.project import Project


@click.command("label")
@click.argument("name", metavar="LIST")
@click.option("--annotator", help="Who labels.  [user.name of git]")
@click.option("--to", "file", metavar="FILE", help="CSV file to add to.  [labels/NOUN-NAME.csv]")
@click.option("--page", "as_page", is_flag=True, help="Label on a page in a browser.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page.  [any]")
@click.option("--disagreements", is_flag=True, help="Decide where annotators disagree.")
@mistakes.exit_with(1)
def command(
    name: str,
    annotator: str | None,
    file: str | None,
    as_page: bool,
    port: int,
    disagreements: bool,
) -> None:
    """Label the rows of LIST: a queue, such as queue.next, or suspects, such as suspects.reviews.

    Each answer is a line of a CSV file: row, label, who, when, and from which list. A line is on
    disk before the next text is shown, so whatever ends the command loses nothing, and it goes on
    where it ended. `corrections` of a corpus reads such files. Commit them.

    In the terminal a key gives a label; `n` passes over a text, `u` takes the last answer back, `q`
    quits. With --page the same is in a browser, for several people in turn, with the texts on which
    they disagree. The page is for this machine alone, and its address has a token.

    A queue shows its texts alone; suspects show the label that they have and a more probable one.

    Needs, for the page, the extra `serve`: pip install 'lmspec[serve]'.

    \b
    Example:
      lmspec label queue.next
      lmspec label suspects.reviews --page
    """
    from lmspec.annotation import opening

    project = loading.valid_project()
    (of,) = loading.artifacts(project, [name])
    if of.noun not in opening.NOUNS:
        raise LmspecError("label", f"{of} is no list of rows", "name a queue, or suspects")
    place = _inside(file) if file else opening.file_of(of)
    session = opening.opened(Path(), of, place)
    if as_page:
        _on_a_page(session, port)
    else:
        _in_the_terminal(session, annotator or _user(), disagreements)
    _next_steps(project, of, session)


def _inside(file: str) -> str:
    """Relative to the root, as `corrections` names it. Raises LmspecError."""
    path = Path(file)
    if path.is_absolute() or ".." in path.parts:
        raise LmspecError("label", f"{file} is not in the project", "give a path inside of it")
    return path.as_posix()


def _user() -> str:
    from lmspec.git import command as git

    answered = git.run(Path(), "config", "user.name", answers=(0, 1)).stdout
    user = answered.decode("utf-8", "replace").strip()
    if not user:
        raise LmspecError("label", "git has no user.name", "say who labels with --annotator NAME")
    return user


def _on_a_page(session: "Session", port: int) -> None:
    from lmspec.serving import requirements

    requirements.require()
    from lmspec.annotation import running

    def ready(address: str) -> None:
        printing.text(f"label at {address}\nanswers go to {session.file.place}; Ctrl and C ends")

    running.run(session, port, ready)


def _in_the_terminal(session: "Session", annotator: str, disagreements: bool) -> None:
    from lmspec.annotation import terminal

    if terminal.keys_of(session.labels) is None or not printing.is_terminal(sys.stdin):
        read = _line
    else:
        read = _key
    if disagreements:
        terminal.decide(session, annotator, read, printing.text)
    else:
        terminal.run(session, annotator, read, printing.text)


def _key() -> str:
    try:
        return click.getchar()
    except (KeyboardInterrupt, EOFError):
        return ""


def _line() -> str:
    """A line of the input; "" at its end."""
    try:
        given = sys.stdin.readline()
    except KeyboardInterrupt:
        return ""
    return given.rstrip("\n") or ("" if not given else " ")


def _next_steps(project: "Project", of: "ArtifactName", session: "Session") -> None:
    """What was done, and what reads it."""
    if not session.file.read():
        return
    place, labelled = session.file.place, session.labelled()
    printing.text(f"{place}: {labelled:,} of {len(session.rows):,} rows of {of} have a label")
    if apart := len(session.disagreements()):
        printing.text(f"{apart:,} have different labels: `lmspec label {of} --disagreements`")
    specs = (spec for _, spec in project.artifacts())
    if not any(place in (getattr(spec, "corrections", None) or ()) for spec in specs):
        printing.text(f"next: `corrections: [{place}]` in a corpus reads it")
