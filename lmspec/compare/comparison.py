"""comparison: two revisions -> a report: what changed, and what that did to every metric."""

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lmspec.compare import changes, flips, gates, judging, naming, pictures, ratios, seeds, stale
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import NO_PREDICTIONS, Evidence
from lmspec.compare.report import Metric, Report, Side, Verdict
from lmspec.compare.revision import Fault, Revision
from lmspec.errors import some

NOTED = 8  # stale artifacts of a side that have a note


def compare(old: Revision, new: Revision, root: Path, today: datetime.date | None = None) -> Report:
    """All that is to be said of two revisions. root: where the corpus may be at hand; today: for the ends of waivers."""
    before = {name: name for name in new.artifacts if name in old.artifacts} | naming.renamed(
        old.artifacts, new.artifacts
    )
    evidence = Evidence(old, new, before)
    stales = stale.artifacts(new), stale.artifacts(old)
    tested = [
        row for name in _names(old, new, before) for row in Artifact(evidence, name, stales).rows()
    ]
    built = [name for name in before if name not in stales[0] and before[name] not in stales[1]]
    timed = tuple(ratios.ratios(evidence, built))
    metrics = tuple(
        seeds.seeded(
            evidence,
            _of_ratios(judging.judged(tested), {ratio.name: ratio.verdict for ratio in timed}),
        )
    )
    changed = [
        name
        for name in built
        if any(m.name.startswith(f"{name}.") and m.verdict != "same" for m in metrics)
    ]
    found = Report(
        baseline=Side(old.name, old.commit),
        candidate=Side(new.name, new.commit),
        changes=changes.changes(old, new, before),
        metrics=metrics,
        flips=tuple(flips.flips(evidence, changed, root)),
        ratios=timed,
        notes=tuple(_notes(evidence, stales)),
        confusion=tuple(pictures.confusion(evidence, changed)),
        calibration=tuple(pictures.calibration(evidence, changed)),
        curves=tuple(pictures.curves(evidence, changed)),
        front=tuple(pictures.front(evidence)),
        shipped=tuple(
            str(spec["scores"])
            for name, spec in new.artifacts.items()
            if name.startswith("bundle.") and "scores" in spec
        ),
    )
    return replace(
        found, gates=tuple(gates.verdicts(evidence, *stales, today or datetime.date.today()))
    )


def _names(old: Revision, new: Revision, before: Mapping[str, str]) -> list[str]:
    """Artifacts of either side, by the new name where there is one."""
    return [*new.artifacts, *(name for name in old.artifacts if name not in before.values())]


def _of_ratios(metrics: list[Metric], verdicts: Mapping[str, Verdict]) -> Iterator[Metric]:
    """What was measured in rounds is judged as a ratio."""
    for metric in metrics:
        if (
            metric.verdict == "untested"
            and metric.name in verdicts
            and verdicts[metric.name] != "untested"
        ):
            yield replace(
                metric, verdict=verdicts[metric.name], reason=None, method="as a ratio, over rounds"
            )
        else:
            yield metric


def _notes(
    evidence: Evidence, stales: tuple[Mapping[str, str], Mapping[str, str]]
) -> Iterator[str]:
    old, new = evidence.old, evidence.new
    for side, late in zip((old, new), reversed(stales), strict=True):
        if stale.unknown(side):
            yield f"{side.name} has no dvc.lock: whether its metrics are of its spec and code was not checked"
        for name, why in list(stale.first(late).items())[:NOTED]:
            remedy = (
                "`git checkout` it, or run `dvc repro`"
                if why.endswith("the build wrote")
                else "run `dvc repro`"
            )
            yield f"{name} is stale in {side.name}: {why}: {remedy}" + (
                " there, and commit" if side.commit else ""
            )
        for path in side.tree.others:
            yield f"{path} of {side.name} is a submodule: what it holds is in another repository, and was not looked at"
    scored = [
        name
        for name in evidence.before
        if name.startswith("scores.") and not evidence.unchanged(name)
    ]
    for which, side in (("old", old), ("new", new)):
        there = [
            name
            for name in scored
            if not isinstance(side.metrics(evidence.name(which, name)), Fault)
        ]
        lacking = [
            name for name in there if not evidence.predictions(which, evidence.name(which, name))
        ]
        if lacking:
            yield f"{side.name} {NO_PREDICTIONS} of {some(lacking)}: what differs there was not tested on pairs of examples"
    unknown = [
        name
        for name in new.artifacts
        if name.startswith("scores.") and not (new.better(name) or old.better(name))
    ]
    if unknown:
        yield f"no record says which way the metrics of {some(unknown)} are better, so none of them was tested"
