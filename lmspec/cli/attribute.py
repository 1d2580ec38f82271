"""attribute: why a metric moved between two commits: data, spec, code or toolchain."""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from lmspec.attribution import factors as causes
from lmspec.attribution import question, worktrees
from lmspec.attribution.design import OLD, Corner, Design
from lmspec.attribution.effects import Attribution, Seen, attribution
from lmspec.cli import mistakes
from lmspec.compare import revision
from lmspec.compare.report import RevisionId
from lmspec.compare.revision import Revision
from lmspec.errors import LmspecError
from lmspec.git import tree
from lmspec.pipeline import paths, plan
from lmspec.reports import attribution as forms


@click.command("attribute")
@click.argument("old", metavar="A")
@click.argument("new", metavar="B")
@click.argument("metrics", nargs=-1, metavar="[METRIC]...")
@click.option("--yes", is_flag=True, help="Build what is needed without asking.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json"]),
    default="text",
    show_default=True,
    help="How to print it.",
)
def command(old: str, new: str, metrics: tuple[str, ...], yes: bool, form: str) -> None:
    """Why metrics moved from commit A to commit B: how much of it the data, the spec, the code and the toolchain made.

    A METRIC is named as in `lmspec diff`; if none is, they are those that gates are about and that moved, else accuracy and
    macro F1 of all scores. Where several factors differ, mixes of both commits are built, each in a folder of its own, with
    DVC's cache: what is there is not built again. It says first what that costs, and asks. The project's folder stays as it is.

    A mix that cannot be built is named with the reason, and what it would tell is "not known". Without a terminal to ask on,
    and without --yes, it tells the cost alone and builds nothing.

    Exits 0 if it has told what there is to tell, the cost alone included, and 1 if it cannot: no such commit or metric, metrics
    that are not of their spec, another toolchain.

    \b
    Example:
      lmspec attribute v1.0 v1.1
      lmspec attribute main~5 main scores.release.reviews.accuracy --yes
    """
    with _read(old) as one, _read(new) as other:
        inquiry = _Inquiry(one, other, metrics)
        found = inquiry.found
        if not found.built:
            with worktrees.workshop(Path.cwd()) as shop:
                found = _mixed(inquiry, shop, yes)
    if found.built:
        found = replace(found, metrics=tuple(inquiry.attributions()))
    click.echo({"text": forms.text, "md": forms.markdown, "json": forms.as_json}[form](found))


@contextlib.contextmanager
def _read(name: str) -> Iterator[Revision]:
    if name == tree.WORKTREE:
        raise LmspecError(
            name, "it is no commit, and mixes are made of what git has", "commit it first"
        )
    found = revision.read(name, Path.cwd())
    try:
        yield found
    finally:
        found.tree.close()


class _Inquiry:
    """Two commits, the metrics that are asked about, and what is known of them at each corner."""

    def __init__(self, old: Revision, new: Revision, metrics: Sequence[str]) -> None:
        self.old, self.new = old, new
        self.asked = question.asked(old, new, metrics)
        differing = causes.causes(old, new)
        self.design = self._design([name for name, what in differing.items() if what])
        self._raw, self._code = causes.raw_files(old, new), causes.code_files(old, new)
        self._seen: dict[Corner, dict[str, Seen]] = {}
        self.look(OLD, old)
        self.look(self.design.new, new)
        sides = (RevisionId(old.name, old.commit), RevisionId(new.name, new.commit))
        built = not self.asked or not self.design.hybrids
        self.found = forms.Found(*sides, differing, built=built, notes=tuple(self._notes()))

    def _design(self, factors: Sequence[str]) -> Design:
        """Which mixes there are. Raises LmspecError if the installed toolchain can build none."""
        free = tuple(name for name in factors if name != causes.TOOLCHAIN)
        design = Design(free, causes.TOOLCHAIN if causes.TOOLCHAIN in factors else None)
        if not self.asked or not design.hybrids:
            return design
        return replace(design, installed=causes.installed(self.old, self.new) == "new")

    def _notes(self) -> Iterator[str]:
        if not self.design.factors:
            yield "they differ in nothing that builds: neither in data nor in spec, code or toolchain"
        elif not self.asked:
            yield "no metric moved; one that is named is looked at all the same"
        elif not self.design.hybrids:
            yield f"nothing but the {self.design.factors[0]} differs, so all of it is due to that"
        elif self.design.pinned:
            one, other = (self.new, self.old) if self.design.installed else (self.old, self.new)
            yield (
                f"toolchain: not separated: mixes are built with what is installed, the versions of {one.name}, and what they"
                f" leave over is its effect; run this where those of {other.name} are installed for the other half"
            )

    def mix(self, corner: Corner) -> worktrees.Mix:
        """What is to be built for a corner."""
        params = worktrees.params(self.old.params, self.new.params, corner)
        return worktrees.Mix(
            str(self.old.commit), str(self.new.commit), corner, params, self._raw, self._code
        )

    def stages(self, corner: Corner) -> tuple[str, ...]:
        """What has to be built for the metrics."""
        return tuple(dict.fromkeys(paths.stage_name(each.at(corner)) for each in self.asked))

    def look(self, corner: Corner, side: Revision) -> None:
        """Read what the metrics are at a corner. One that it lacks stays unknown there."""
        told = ((each.name, question.seen(side, each, each.at(corner))) for each in self.asked)
        self._seen[corner] = {name: seen for name, seen in told if seen is not None}

    def attributions(self) -> Iterator[Attribution]:
        """One for each metric."""
        for each in self.asked if self.design.factors else ():
            corners = {
                corner: seen[each.name] for corner, seen in self._seen.items() if each.name in seen
            }
            yield attribution(each.name, each.part, self.design, corners)


def _mixed(inquiry: _Inquiry, shop: worktrees.Workshop, yes: bool) -> forms.Found:
    """Lay the hybrids, tell what they cost, and build them if that is wanted."""
    laid: dict[Corner, Path] = {}
    told: dict[Corner, forms.Hybrid] = {}
    for corner in inquiry.design.hybrids:
        try:
            laid[corner] = shop.lay(inquiry.mix(corner))
            told[corner] = _forecast(corner, shop.forecast(laid[corner], inquiry.stages(corner)))
        except LmspecError as error:
            told[corner] = forms.Hybrid(_named(corner), error=error.found)
    found = replace(inquiry.found, hybrids=tuple(told.values()))
    if not _agreed(found, yes):
        mistakes.tell(
            "nothing was built, so no effect is known: `lmspec attribute ... --yes` builds the mixes"
        )
        return replace(found, notes=(*found.notes, "nothing was built: `--yes` builds them"))
    for corner, hybrid in told.items():
        if not hybrid.error:
            failure = _build(
                shop, laid[corner], inquiry.stages(corner), forms.mix(hybrid.factors, found)
            )
            told[corner] = replace(hybrid, error=failure)
            if failure is None:
                inquiry.look(corner, revision.read(tree.WORKTREE, laid[corner]))
            shop.drop(laid[corner])
    return replace(found, hybrids=tuple(told.values()), built=True)


def _named(corner: Corner) -> tuple[str, ...]:
    return tuple(name for name in causes.FACTORS if name in corner)


def _forecast(corner: Corner, steps: list[plan.Step]) -> forms.Hybrid:
    counts = Counter(step.verdict for step in steps)
    pending = [step.expected for step in steps if step.verdict in (plan.RUN, plan.MAY)]
    times = [expected.seconds for expected in pending if expected]
    return forms.Hybrid(
        _named(corner),
        counts[plan.RUN],
        counts[plan.MAY],
        counts[plan.RESTORE] + counts[plan.HIT],
        sum(times),
        len(pending) - len(times),
    )


def _agreed(found: forms.Found, yes: bool) -> bool:
    """Is it to be built? On a terminal the cost is shown and a person asked; elsewhere only `--yes` says so."""
    asks = not yes and mistakes.is_terminal(sys.stdin) and mistakes.is_terminal(sys.stderr)
    if asks:
        click.echo(f"{forms.differing(found)}\n", err=True)
    if yes or asks:
        click.echo(forms.costs(found), err=True)
    if asks and not click.confirm("build them?", err=True):
        click.echo("nothing was built", err=True)
        sys.exit(0)
    return yes or asks


def _build(shop: worktrees.Workshop, place: Path, stages: tuple[str, ...], name: str) -> str | None:
    """Build a hybrid, and tell on standard error how it goes. Why it failed; None if it did not."""
    begun = time.monotonic()
    try:
        for stage in shop.build(place, stages):
            mistakes.note(f"{name}: {stage} runs")
    except LmspecError as error:
        mistakes.note(f"{name}: {error.found}\n  -> {error.remedy}")
        return f"{error.found} ({error.remedy})"
    mistakes.note(f"{name}: built ({time.monotonic() - begun:.0f} s)")
    return None
