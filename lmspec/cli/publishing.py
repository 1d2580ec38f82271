"""publishing: where the report of `lmspec ci` goes: its folder, from which a workflow takes its comment, and GitHub's summary."""

import json
import os
from pathlib import Path

import click

from lmspec.cli import mistakes
from lmspec.compare.report import Gate
from lmspec.errors import LmspecError
from lmspec.reports.github import workflow_command
from lmspec.reports.markdown import MARKER
from lmspec.reports.words import printable

MARKDOWN, ANNOTATIONS, DATA = "report.md", "annotations.txt", "report.json"
WHOLE = (MARKDOWN, DATA, "report.html", "junit.xml")


def on_github() -> bool:
    """Does a workflow of GitHub run this?"""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def clear(folder: Path) -> None:
    """Remove what a run before has left: nothing may take it for this one's."""
    for name in (*WHOLE, ANNOTATIONS):
        (folder / name).unlink(missing_ok=True)


def is_whole(folder: Path) -> bool:
    """Did `lmspec diff --write` write all that it writes?"""
    return all((folder / name).exists() for name in WHOLE)


def gates(folder: Path) -> list[Gate]:
    """Those of the report in the folder."""
    found = json.loads((folder / DATA).read_text(encoding="utf-8"))["gates"]
    return [Gate(**gate) for gate in found]


def report(folder: Path) -> None:
    """Publish what `lmspec diff --write` wrote into the folder. Its Markdown is short enough for a comment, so for a summary."""
    _append_to_summary((folder / MARKDOWN).read_text(encoding="utf-8"))
    annotations = folder / ANNOTATIONS
    if on_github() and annotations.exists():
        click.echo(annotations.read_text(encoding="utf-8").rstrip("\n"))


def failure(step: str, error: LmspecError, folder: Path) -> None:
    """Say why it stopped; if there is no report, in its place, where one on an earlier state would be taken for one on this."""
    annotate("error", f"stopped at {step}: {error}")
    if is_whole(folder):
        return
    clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    quoted = "\n".join(f"    {line}" for line in printable(error).splitlines())
    text = (
        f"{MARKER}\n**`lmspec ci` stopped at {step}**: there is nothing to compare.\n\n{quoted}\n"
    )
    (folder / MARKDOWN).write_text(text, encoding="utf-8")
    _append_to_summary(text)


def warn(text: str) -> None:
    """Say what is no failure."""
    mistakes.note(f"warning: {text}")
    annotate("warning", text)


def annotate(level: str, text: str) -> None:
    """On GitHub, show it on the page of the run."""
    if on_github():
        click.echo(workflow_command(level, printable(text), title="lmspec ci"))


def _append_to_summary(text: str) -> None:
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")
