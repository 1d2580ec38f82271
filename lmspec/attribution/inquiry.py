"""inquiry: why metrics changed between two commits: plans the mixes, builds and measures them."""

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lmspec.attribution import factors, question, worktrees
from lmspec.attribution.design import BASELINE, Design, Mix
from lmspec.attribution.effects import Attribution, Measurement, attribute
from lmspec.attribution.question import MetricPair
from lmspec.attribution.result import AttributionReport, MixBuild
from lmspec.attribution.worktrees import Workshop
from lmspec.compare import revision
from lmspec.compare.report import RevisionId
from lmspec.compare.revision import Revision
from lmspec.errors import LmspecError, some
from lmspec.git.tree import WORKTREE, require_unambiguous
from lmspec.pipeline import plan

Agree = Callable[[AttributionReport], bool]
Note = Callable[[str], None]


def run(
    baseline: str,
    candidate: str,
    metrics: Sequence[str],
    root: Path,
    agree: Agree,
    note: Note,
) -> AttributionReport:
    """Explain metrics; without names, the default ones.

    agree  gets the cost before anything is built, and decides
    note   gets lines of progress

    Raises LmspecError if there is no such commit or metric, or no mix can be built here.
    """
    with _read(baseline, root) as old, _read(candidate, root) as new:
        inquiry = _Inquiry(old, new, metrics)
        report = inquiry.report
        if not report.built:
            with worktrees.workshop(root, old, new) as shop:
                report = inquiry.build(shop, agree, note)
    return replace(report, metrics=tuple(inquiry.attributions())) if report.built else report


@contextlib.contextmanager
def _read(name: str, root: Path) -> Iterator[Revision]:
    if name == WORKTREE:
        require_unambiguous(root, name)
        reason = "it is no commit, and mixes are made of what git has"
        raise LmspecError(name, reason, "commit it first")
    commit = revision.read(name, root)
    try:
        yield commit
    finally:
        commit.tree.close()


class _Inquiry:
    """Two commits, the metrics to explain, and what they are at each mix.

    Raises LmspecError if mixes are needed and the installed toolchain can build none.
    """

    def __init__(self, baseline: Revision, candidate: Revision, names: Sequence[str]) -> None:
        self.baseline, self.candidate = baseline, candidate
        self.measured: dict[MetricPair, dict[Mix, Measurement]] = {
            pair: {} for pair in question.metrics(baseline, candidate, names)
        }
        differing = factors.differing(baseline, candidate)
        free = tuple(f for f, what in differing.items() if what and f != factors.TOOLCHAIN)
        self.design = Design(free, factors.TOOLCHAIN if differing[factors.TOOLCHAIN] else None)
        needed = bool(self.measured and self.design.to_build)
        if needed:
            installed = factors.installed(baseline, candidate)
            self.design = replace(self.design, installed=installed == "candidate")
        self._measure(BASELINE, baseline)
        self._measure(self.design.candidate, candidate)
        self.report = AttributionReport(
            RevisionId(baseline.name, baseline.commit),
            RevisionId(candidate.name, candidate.commit),
            differing,
            built=not needed,
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        design, alone = self.design, factors.data_of_one(self.baseline, self.candidate)
        if alone and design.to_build:
            one = f"only one commit has {some(alone)}"
            yield f"{one}, so that data counts as part of the spec which refers to it"
        if not design.factors:
            yield "they differ in nothing that builds: not in data, spec, code or toolchain"
        elif not self.measured:
            yield "no metric changed; name one to look at it all the same"
        elif not design.to_build:
            yield f"nothing but the {design.factors[0]} differs, so all of it is due to that"
        elif design.pinned:
            here, elsewhere = self.baseline, self.candidate
            if design.installed:
                here, elsewhere = elsewhere, here
            yield (
                "toolchain: not separated: mixes are built with the installed versions, those of "
                f"{here.name}, and its effect is what they leave over; for the other half run "
                f"this where those of {elsewhere.name} are installed"
            )

    def _stages(self, mix: Mix) -> tuple[str, ...]:
        """Stages that have to be built for the metrics."""
        return tuple(dict.fromkeys(pair.artifact(mix).stage for pair in self.measured))

    def _measure(self, mix: Mix, built: Revision) -> None:
        """Read the metrics of a mix; those that it lacks stay unknown."""
        for pair, values in self.measured.items():
            if value := pair.measure(mix, built):
                values[mix] = value

    def build(
        self,
        shop: Workshop,
        agree: Agree,
        note: Note,
    ) -> AttributionReport:
        """Lay out the mixes, forecast their cost, and build them if that is agreed."""
        builds: dict[Mix, MixBuild] = {}
        for mix in self.design.to_build:
            names = tuple(sorted(mix, key=factors.FACTORS.index))
            try:
                builds[mix] = _forecast(names, plan.plan(shop.lay(mix), self._stages(mix)))
            except LmspecError as error:
                builds[mix] = MixBuild(names, error=error.found)
        report = replace(self.report, mixes=tuple(builds.values()))
        costs = any(build.runs or build.may_run for build in builds.values())
        if costs and not agree(report):
            return replace(report, notes=(*report.notes, "nothing was built: `--yes` builds them"))
        for mix, build in builds.items():
            if build.error:
                continue
            name, begun = report.mix_name(build.factors), time.monotonic()
            try:
                for stage in shop.build(mix, self._stages(mix)):
                    note(f"{name}: {stage} runs")
            except LmspecError as error:
                note(f"{name}: {error.found}\n  -> {error.remedy}")
                builds[mix] = replace(build, error=f"{error.found} ({error.remedy})")
            else:
                note(f"{name}: built ({time.monotonic() - begun:.0f} s)")
                self._measure(mix, revision.read(WORKTREE, shop.place(mix)))
            shop.remove(shop.tree(mix))
        return replace(report, mixes=tuple(builds.values()), built=True)

    def attributions(self) -> Iterator[Attribution]:
        """One for each metric."""
        for pair, values in self.measured.items() if self.design.factors else ():
            yield attribute(pair.name, pair.of_split, self.design, values)


def _forecast(names: tuple[str, ...], steps: Sequence[plan.Step]) -> MixBuild:
    counts = Counter(step.verdict for step in steps)
    pending = [step.expected for step in steps if step.verdict in (plan.RUN, plan.MAY)]
    seconds = [expected.seconds for expected in pending if expected]
    return MixBuild(
        names,
        counts[plan.RUN],
        counts[plan.MAY],
        counts[plan.RESTORE] + counts[plan.HIT],
        sum(seconds),
        len(pending) - len(seconds),
    )
