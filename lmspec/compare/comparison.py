"""comparison: two revisions -> a report: what changed, and what that did to every metric."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lmspec.compare import (
    changes,
    explanations,
    flips,
    gates,
    leaks,
    metrics,
    out_of_date,
    pictures,
    ratios,
    seeds,
    standing,
    untested,
    verdicts,
)
from lmspec.compare.artifact import NO_PREDICTIONS, Artifact
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.report import Metric, Ratio, Report, RevisionId, Verdict
from lmspec.compare.revision import Revision, Unavailable
from lmspec.errors import some
from lmspec.specs.names import ArtifactName, MetricName

NOTED = 8  # artifacts out of date that have a note, per revision


def compare(
    baseline: Revision, candidate: Revision, root: Path, today: datetime.date | None = None
) -> Report:
    """root: where the texts may be at hand; today: decides whether a waiver has expired."""
    reasons = out_of_date.artifacts(baseline), out_of_date.artifacts(candidate)
    evidence = Evidence(baseline, candidate, reasons)
    rows = [row for pair in evidence.pairs.values() for row in metrics.rows(pair)]
    current = [pair for pair in evidence.in_both if all(end.out_of_date is None for end in pair)]
    timed = ratios.ratios(current)
    judged = _with_ratios(verdicts.judged(rows), {ratio.name: ratio.verdict for ratio in timed})
    tested = [seeds.with_seeds(evidence, metric) for metric in judged]
    differing = {_artifact(metric) for metric in tested if metric.verdict != "same"}
    changed = [pair for pair in current if pair.name in differing]
    return Report(
        baseline=RevisionId(baseline.name, baseline.commit),
        candidate=RevisionId(candidate.name, candidate.commit),
        changes=changes.changes(evidence),
        metrics=tuple(tested),
        flips=tuple(flips.flips(changed, root)),
        ratios=tuple(timed),
        gates=tuple(gates.verdicts(evidence, today or datetime.date.today())),
        remeasured=tuple(pair.name for pair in current if _is_remeasured(pair, timed)),
        standings=tuple(standing.standings(evidence.pairs, candidate)),
        notes=tuple(_notes(evidence)),
        confusion=tuple(pictures.confusion(changed)),
        calibration=tuple(pictures.calibration(changed)),
        curves=tuple(pictures.curves(changed)),
        front=tuple(pictures.front(evidence)),
        drifts=tuple(explanations.drifts(current, root)),
        shipped=tuple(
            str(spec["scores"])
            for name, spec in candidate.artifacts.items()
            if name.startswith("bundle.") and "scores" in spec
        ),
    )


def _is_remeasured(pair: ArtifactPair, timed: Sequence[Ratio]) -> bool:
    """Was it timed again, without a difference, while all that it times has the same output?"""
    if not untested.is_measured(pair.name) or pair.baseline.metrics == pair.candidate.metrics:
        return False
    own = [ratio for ratio in timed if str(MetricName.parse(ratio.name).artifact) == pair.name]
    if any(ratio.verdict != "inconclusive" and ratio.method != ratios.ONCE for ratio in own):
        return False
    outputs = [[_output(end, field) for field in ("of", "against")] for end in pair]
    return None not in outputs[0] and outputs[0] == outputs[1]


def _output(timed: Artifact, field: str) -> str | None:
    """MD5 of the folder of what a measured artifact refers to, by dvc.lock."""
    name = str(timed.spec.get(field))
    return timed.revision.run(name).outs.get(ArtifactName.parse(name).folder)


def _artifact(metric: Metric) -> str:
    return str(MetricName.parse(metric.name).artifact)


def _with_ratios(metrics: list[Metric], ratios: Mapping[str, Verdict]) -> Iterator[Metric]:
    """What was measured in rounds has the verdict of its ratio."""
    for metric in metrics:
        verdict = ratios.get(metric.name, "untested")
        if metric.verdict == "untested" != verdict:
            method = "as a ratio, over rounds"
            metric = replace(metric, verdict=verdict, reason=None, method=method)
        yield metric


def _notes(evidence: Evidence) -> Iterator[str]:
    """What could not be checked, and why."""
    for revision, reasons in zip(
        (evidence.baseline, evidence.candidate), evidence.out_of_date, strict=True
    ):
        yield from _of_revision(revision, reasons)
    yield from leaks.notes(evidence.candidate)
    scores = [pair for pair in evidence.in_both if pair.noun == "scores"]
    for i, revision in enumerate((evidence.baseline, evidence.candidate)):
        ends = [list(pair)[i] for pair in scores if not pair.same_predictions]
        lacking = [
            end.name
            for end in ends
            if not isinstance(end.metrics, Unavailable) and not end.predictions
        ]
        if lacking:
            yield (
                f"{revision.name} {NO_PREDICTIONS} of {some(lacking)}: "
                "their differences were not tested on pairs of examples"
            )
    undirected = [
        pair.candidate.name
        for pair in evidence.pairs.values()
        if pair.noun == "scores"
        and pair.candidate.exists
        and not any(end.revision.directions(end.name) for end in reversed(list(pair)))
    ]
    if undirected:
        yield (
            f"no provenance says which way the metrics of {some(undirected)} are better, "
            "so none of them was tested"
        )


def _of_revision(revision: Revision, reasons: Mapping[str, str]) -> Iterator[str]:
    if out_of_date.unknown(revision):
        yield (
            f"{revision.name} has no dvc.lock: whether its metrics match its spec and code "
            "was not checked"
        )
    for name, why in list(out_of_date.roots(reasons).items())[:NOTED]:
        there = " there, and commit" if revision.commit else ""
        todo = f"{out_of_date.remedy(why)}{there}"
        yield f"{name} is out of date in {revision.name}: {why}: {todo}"
    if others := out_of_date.by_another_lmspec(revision, reasons):
        yield (
            f"another lmspec wrote dvc.yaml of {revision.name}: {some(others)} "
            f"{'was' if len(others) == 1 else 'were'} compared with that dvc.yaml, not with what "
            "this lmspec would write"
        )
    for path in revision.tree.submodules:
        yield (
            f"{path} of {revision.name} is a submodule: its content is in another repository, "
            "and was not looked at"
        )
