"""gate: do the metrics pass what params.yaml demands of them?"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from lmspec.cli import comparing, loading, mistakes
from lmspec.compare.report import Report
from lmspec.errors import LmspecError
from lmspec.git import tree
from lmspec.language.problems import columns
from lmspec.reports import aligned, words


@click.command("gate")
@click.argument("old", metavar="[A]", required=False)
@click.argument("new", metavar="[B]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
@mistakes.exit_with(comparing.NOT_COMPARED)
def command(old: str | None, new: str | None, form: str) -> None:
    """Hold B (the working tree, if not given) against the gates of its params.yaml; A (HEAD) is what it must not fall behind.

    Before the first commit there is no A, and the gates that compare hold the working tree against itself.

    Exits 1 if one does not pass: a metric that is missing, or of an artifact that is not what the spec would build, fails;
    and one that too little data leaves undecided, unless the gate says otherwise. Exits 2 if the two cannot be compared,
    params.yaml is not valid, or it has no gates. From git alone: no cache, no network.

    \b
    Example:
      lmspec gate
      lmspec gate main...
    """
    if new in (None, tree.WORKTREE) and ".." not in (old or "").removesuffix("..."):
        loading.valid_params(comparing.NOT_COMPARED)
    if old is None:
        old = "HEAD" if tree.has_commit(Path.cwd()) else tree.WORKTREE
        if old == tree.WORKTREE:
            click.echo("there is no commit yet: the working tree is held against itself", err=True)
    found = comparing.report(old, new)
    if not found.gates:
        remedy = "`lmspec explain gates` shows how one is written"
        raise LmspecError("params.yaml", "it has no gates, so nothing was checked", remedy)
    for note in found.notes:
        mistakes.note(f"note: {words.line(note)}")
    click.echo(
        json.dumps([asdict(gate) for gate in found.gates], indent=2)
        if form == "json"
        else _text(found)
    )
    sys.exit(0 if all(gate.passed for gate in found.gates) else comparing.FAILED)


def _text(found: Report) -> str:
    """The two sides, a block for each gate, and how many pass."""
    names = {gate.gate: words.line(gate.gate) for gate in found.gates}
    width, most = (
        max(map(columns, names.values())),
        max(len(gate.verdict) for gate in found.gates),
    )
    lines = [words.revisions(found), ""]
    for gate in found.gates:
        name = aligned.padded(names[gate.gate], width)
        lines.append(
            f"{name}  {gate.verdict:{most}}  {words.line(gate.observed)}; {words.line(gate.demand)}"
        )
        if gate.needed is not None:
            lines.append(
                f"{'':{width}}  about {gate.needed:,} examples would decide, if what was seen stays as it is"
            )
        if gate.why:
            lines.append(f"{'':{width}}  {words.line(gate.why)}")
    return aligned.harmless("\n".join([*lines, "", words.passing(found.gates)]))
