"""publishing: the report folder of `lmspec ci`, and GitHub's annotations and job summary."""

import json
import os
import textwrap
from pathlib import Path

from lmspec.compare.report import Gate
from lmspec.errors import LmspecError
from lmspec.methods import folders
from lmspec.reports import printing
from lmspec.reports.github import workflow_command
from lmspec.reports.markdown import MARKER
from lmspec.reports.words import printable

MARKDOWN, ANNOTATIONS, DATA = "report.md", "annotations.txt", "report.json"
WHOLE = (MARKDOWN, DATA, "report.html", "junit.xml")


def on_github() -> bool:
    """Does a GitHub workflow run this?"""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def clear(folder: Path) -> None:
    """Remove the files of an earlier run, so that they cannot be taken for this one's."""
    for name in (*WHOLE, ANNOTATIONS):
        (folder / name).unlink(missing_ok=True)


def is_whole(folder: Path) -> bool:
    """Did `lmspec diff --write` write every file?"""
    return all((folder / name).exists() for name in WHOLE)


def gates(folder: Path) -> list[Gate]:
    """The gates of the report in the folder."""
    rows = json.loads((folder / DATA).read_text(encoding="utf-8"))["gates"]
    return [Gate(**row) for row in rows]


def report(folder: Path) -> None:
    """Append the report to the job summary (its Markdown is short enough), and annotate."""
    _append_to_summary((folder / MARKDOWN).read_text(encoding="utf-8"))
    annotations = folder / ANNOTATIONS
    if on_github() and annotations.exists():
        printing.data(annotations.read_text(encoding="utf-8").rstrip("\n"), "commands")


def failure(step: str, error: LmspecError, folder: Path) -> None:
    """Annotate why `lmspec ci` stopped; if there is no report, write that in its place."""
    annotate("error", f"stopped at {step}: {error}")
    if is_whole(folder):
        return
    clear(folder)
    folder.mkdir(parents=True, exist_ok=True)
    quoted = textwrap.indent(printable(error), "    ")
    text = (
        f"{MARKER}\n**`lmspec ci` stopped at {step}**: there is nothing to compare.\n\n{quoted}\n"
    )
    folders.write(folder / MARKDOWN, text)
    _append_to_summary(text)


def annotate(level: str, text: str) -> None:
    """On GitHub, show it on the page of the run."""
    if on_github():
        printing.data(workflow_command(level, printable(text), title="lmspec ci"), "commands")


def _append_to_summary(text: str) -> None:
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")
