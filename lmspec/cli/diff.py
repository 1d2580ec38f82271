"""diff: what a commit did to parameters and metrics."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from lmspec.cli import loading
from lmspec.compare import difference, revision
from lmspec.compare.difference import MISSING, Row
from lmspec.errors import LmspecError

WIDEST = 40


@click.command("diff")
@click.argument("old", default="HEAD")
@click.argument("new", default=revision.WORKTREE)
@click.option("--all", "everything", is_flag=True, help="Show what did not change, too.")
@click.option("--format", "form", type=click.Choice(["table", "md", "json"]), default="table", help="How to print it.")
def command(old: str, new: str, everything: bool, form: str) -> None:
    """Parameters and metrics of two commits, side by side. OLD is HEAD, NEW the working tree, if not given.

    A metric that one side lacks is shown as missing. Needs git alone: no cache, no network.

    \b
    Example:
      lmspec diff                    # HEAD against the working tree
      lmspec diff main HEAD --format md
    """
    if not loading.PARAMS.exists():
        raise LmspecError(str(loading.PARAMS), "there is no such file here", "run lmspec in the folder that holds params.yaml")
    sides = [revision.read(name, Path.cwd()) for name in (old, new)]
    parts = {
        title: [row for row in difference.rows(*values) if everything or row.differs]
        for title, values in {
            "parameters": (sides[0].params, sides[1].params),
            "metrics": (sides[0].metrics, sides[1].metrics),
        }.items()
    }
    if form == "json":
        click.echo(json.dumps({"old": old, "new": new} | {t: [_plain(r) for r in rows] for t, rows in parts.items()}, indent=2))
        return
    for title, rows in parts.items():
        if form == "md":
            click.echo(_markdown(title, rows, (old, new)))
        else:
            _table(title, rows, (old, new))


def _plain(row: Row) -> dict[str, Any]:
    """A side that lacks the leaf has no `old`, or no `new`."""
    values = {"old": row.old, "new": row.new, "change": row.change}
    return {"name": row.name} | {k: v for k, v in values.items() if v is not MISSING and not (k == "change" and v is None)}


def _cells(row: Row) -> tuple[str, str, str, str]:
    change = "" if row.change is None else f"{row.change:+d}" if isinstance(row.change, int) else f"{row.change:+.4g}"
    return row.name, _value(row.old), _value(row.new), change


def _clipped(row: Row) -> tuple[str, ...]:
    """For a table on a screen: one long value would push all others out of sight."""
    return tuple(cell if i == 0 or len(cell) <= WIDEST else cell[: WIDEST - 1] + "…" for i, cell in enumerate(_cells(row)))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "null" if value is None else str(value).replace("\n", " ")


def _markdown(title: str, rows: list[Row], names: tuple[str, str]) -> str:
    if not rows:
        return f"**{title}**: no difference\n"
    lines = [f"**{title}**\n", f"| | {names[0]} | {names[1]} | change |", "| --- | ---: | ---: | ---: |"]
    return "\n".join([*lines, *("| " + " | ".join(c.replace("|", "\\|") for c in _cells(row)) + " |" for row in rows), ""])


def _table(title: str, rows: list[Row], names: tuple[str, str]) -> None:
    if not rows:
        click.echo(f"{title}: no difference")
        return
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(title, *(f"{side}: {name}" for side, name in zip(("old", "new"), names, strict=True)), "change", box=None)
        for row in rows:
            table.add_row(*_clipped(row))
        Console().print(table)
        return
    cells = [(title, *names, "change"), *(_clipped(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(4)]
    for line in cells:
        click.echo(
            "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]).rstrip()
        )
    click.echo("")
