"""metrics: every metric of an artifact in two revisions, each tested on its own."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lmspec.compare import bounds, expected, explanations, graded, untested
from lmspec.compare.artifact import EXAMINED, NO_PREDICTIONS, Artifact, leaves
from lmspec.compare.evidence import NOT_DERIVABLE, ArtifactPair
from lmspec.compare.report import Family, Metric, Verdict
from lmspec.compare.revision import Metrics, Unavailable, at, number
from lmspec.compare.verdicts import CONFIDENCE, Row, of_sizes, towards
from lmspec.language import nouns
from lmspec.specs.names import METRICS, ArtifactName, MetricName, MetricPath
from lmspec.specs.results import EXACT
from lmspec.statistics import exact
from lmspec.statistics.paired import PairedSample, split_metric

MISSING = "missing"
# beside chrF and the log loss they say little that is new: tested with the slices
FURTHER = ("rouge_l", "bits_per_byte")
WRITES = "causal"  # kind of a model whose accuracy is of tokens


def rows(pair: ArtifactPair) -> Iterator[Row]:
    """One for each metric of either revision, in the order of the candidate."""
    baseline, candidate = (_metrics(pair, end) for end in pair)
    if candidate is None and not isinstance(baseline, Mapping):
        return
    reason = None
    for metrics, end in ((baseline, pair.baseline), (candidate, pair.candidate)):
        if isinstance(metrics, Unavailable):
            reason = f"{metrics.reason} in {end.revision.name}"
    before, after = (
        dict(leaves(metrics)) if isinstance(metrics, Mapping) else {}
        for metrics in (baseline, candidate)
    )
    if reason and not before and not after:
        name = f"{pair.name}.*"
        yield Row(Metric(name, MISSING, MISSING, None, None, "missing", reason=reason))
    for path in dict.fromkeys([*after, *before]):
        metric = _untested_metric(pair, path, before.get(path, MISSING), after.get(path, MISSING))
        yield _row(pair, path, metric, reason)


def _metrics(pair: ArtifactPair, end: Artifact) -> Metrics | None:
    """None where the spec has no such artifact, or its noun has no metrics."""
    if not end.exists or (isinstance(end.metrics, Unavailable) and not _has_metrics(pair)):
        return None
    return end.metrics


def _has_metrics(pair: ArtifactPair) -> bool:
    """Does the noun write metrics? Judged by the files of its other artifacts, too."""
    prefix = f"{METRICS}/{pair.noun}-"
    files = (path for end in pair for path in end.revision.tree.ids)
    return bool(nouns.of(pair.noun).metrics) or any(path.startswith(prefix) for path in files)


def _untested_metric(pair: ArtifactPair, path: MetricPath, baseline: Any, candidate: Any) -> Metric:
    values = number(baseline), number(candidate)
    change = values[1] - values[0] if values[0] is not None and values[1] is not None else None
    better = bounds.better(pair, path)
    return Metric(f"{pair.name}.{'.'.join(path)}", baseline, candidate, change, better, "changed")


def _row(pair: ArtifactPair, path: MetricPath, metric: Metric, lost: str | None) -> Row:
    lacking = _lacking(pair, path, metric, lost)
    if lacking and lacking.verdict == "missing" and not lost:
        lacking = _without_example(pair, path, metric) or lacking
    if lacking:
        return Row(lacking)
    for end in (pair.candidate, pair.baseline):
        if end.out_of_date is not None:
            reason = f"out of date in {end.revision.name}: {end.out_of_date}"
            return Row(replace(metric, verdict="not comparable", reason=reason))
    if turned := bounds.turned(pair, path):
        return Row(replace(metric, verdict="not comparable", reason=turned))
    is_exact = nouns.evidence(pair.name, path) in EXACT
    if pair.has_examples and len(path) > 1 and metric.better and not is_exact:
        return scored(pair, path, metric)
    baseline, candidate = metric.baseline, metric.candidate
    if baseline == candidate and type(baseline) is type(candidate):
        return Row(replace(metric, verdict="same"))
    if pair.noun == explanations.NOUN and (row := explanations.tested(pair, path, metric)):
        return row
    return Row(_without_predictions(pair, path, metric))


def _lacking(
    pair: ArtifactPair, path: MetricPath, metric: Metric, lost: str | None
) -> Metric | None:
    """The verdict on a value that is absent, or is not a number.

    One that the baseline's file lacks is new; one that the candidate's lacks is missing, unless
    its spec no longer asks for it.
    """
    if not pair.candidate.exists:
        return replace(metric, verdict="removed")
    readable = not (pair.baseline.exists and isinstance(pair.baseline.metrics, Unavailable))
    if (
        metric.baseline == MISSING != metric.candidate
        and readable
        and not _is_no_number(metric.candidate, metric)
    ):
        return replace(metric, verdict="new")
    if metric.candidate == MISSING and not lost and expected.dropped(pair, path):
        reason = f"the spec of {pair.candidate.revision.name} does not ask for it"
        return replace(metric, verdict="removed", reason=reason)
    for value, end in ((metric.candidate, pair.candidate), (metric.baseline, pair.baseline)):
        if value == MISSING:
            reason = lost or f"{end.revision.name} does not have it"
            return replace(metric, verdict="missing", reason=reason)
        if _is_no_number(value, metric):
            shown = json.dumps(value, ensure_ascii=False)
            reason = f"its value in {end.revision.name} is {shown}, not a number"
            return replace(metric, difference=None, verdict="missing", reason=reason)
    return None


def _without_example(pair: ArtifactPair, path: MetricPath, metric: Metric) -> Metric | None:
    """The metric of a class or table that has no example in a revision; None if it has one."""
    ends = [end for end in (pair.candidate, pair.baseline) if end.no_example(path)]
    if not ends:
        return None
    values = metric.baseline, metric.candidate
    if len(ends) == 2 and values[0] == values[1]:
        return replace(metric, verdict="same", reason=ends[0].no_example(path))
    reason = f"{ends[0].no_example(path)} in {ends[0].revision.name}"
    return replace(metric, difference=None, verdict="not comparable", reason=reason)


def _is_no_number(value: Any, metric: Metric) -> bool:
    """Is it not a number where one is due: by the other revision, or as it has a direction?"""
    if value == MISSING or number(value) is not None:
        return False
    values = (metric.baseline, metric.candidate)
    due = metric.better is not None or any(number(other) is not None for other in values)
    return due or isinstance(value, float)  # NaN, infinity


def scored(pair: ArtifactPair, path: MetricPath, metric: Metric) -> Row:
    """A metric of a test split, tested on the predictions that both revisions have."""
    if metric.difference == 0 and pair.same_predictions:
        return Row(replace(metric, verdict="same"))
    paired = pair.testable(path)
    if paired == NOT_DERIVABLE:
        return Row(_without_predictions(pair, path, metric))
    if isinstance(paired, Unavailable):
        return Row(_unpaired_or_not(pair, path, metric, paired.reason))
    row = tested(paired, path, metric)
    metric, table = row.metric, split_metric(path[1:]).table
    if metric.p is None or not metric.difference or metric.better is None:
        return row
    p = pair.cautious_p(path, metric.difference, metric.p, metric.better)
    if p == metric.p:
        return row
    reason = f"{metric.reason}; for p {pair.lacking_note(path[0], table)}"
    return replace(row, metric=replace(metric, p=p, reason=reason))


def tested(paired: PairedSample, path: MetricPath, metric: Metric) -> Row:
    """A metric with its test; its verdict waits for Holm's correction."""
    name = split_metric(path[1:]).name
    paired, part = graded.of_pairs(paired, split_metric(path[1:]))
    reasons = paired.left_out(part), paired.unscored(part)
    metric = replace(
        metric,
        examples=len(paired.rows(part.table)),
        reason="; ".join(filter(None, reasons)) or None,
    )
    if metric.difference == 0 and paired.unchanged(part):
        return Row(replace(metric, verdict="same"))
    estimate = paired.difference(part)
    p, method = paired.p(part, estimate)
    whole = part.table is None and "." not in name and name not in FURTHER
    family: Family = "test sets" if whole else "slices"
    if MetricName.parse(metric.name).artifact.noun == EXAMINED:
        family = "cases"  # many: with the others they would cost those power
    metric = replace(
        metric,
        verdict="inconclusive",
        difference=estimate.value,
        interval=paired.interval(part, estimate, CONFIDENCE),
        p=p,
        family=family,
        method=method,
    )
    low, high = paired.scale.limits(part.name)
    return Row(metric, estimate, high - low)


def _unpaired_or_not(pair: ArtifactPair, path: MetricPath, metric: Metric, reason: str) -> Metric:
    """Without predictions two accuracies can still be compared, as if of different examples."""
    if NO_PREDICTIONS not in reason:
        return replace(metric, verdict="not comparable", reason=reason)
    sizes = [at(end.metrics, (*path[:-1], "examples")) for end in pair]
    size = sizes[0] if isinstance(sizes[0], int) and sizes[0] == sizes[1] else 0
    if path[-1] == "accuracy" and size > 0 and _are_shares(metric):
        return _unpaired(metric, size, reason, "slices" if path[1] == "table" else "test sets")
    same = metric.baseline == metric.candidate
    return replace(metric, verdict="same" if same else "untested", reason=reason)


def _without_predictions(pair: ArtifactPair, path: MetricPath, metric: Metric) -> Metric:
    """A number of which git keeps no predictions."""
    if metric.difference == 0:
        return replace(metric, verdict="same")
    if metric.better is None or metric.difference is None:
        return replace(metric, verdict="changed")
    if nouns.evidence(pair.name, path) in EXACT:
        return replace(metric, verdict=_exactly(pair, path, metric), method="exact")
    dataset = nouns.of(pair.noun).dev_field
    is_of_documents = path == ("dev", "accuracy") and pair.candidate.kind != WRITES
    if dataset and is_of_documents and _are_shares(metric):
        baseline, candidate = (_dev_split(end, dataset) for end in pair)
        if baseline != candidate:
            return replace(metric, verdict="not comparable", reason="another dev set")
        if baseline[0]:
            return _unpaired(
                metric, baseline[0], "git keeps no predictions of dev splits", "test sets"
            )
    return replace(metric, verdict="untested", reason=untested.reason(pair.name, path))


def _exactly(pair: ArtifactPair, path: MetricPath, metric: Metric) -> Verdict:
    """The verdict on a size or a count that differs."""
    difference = metric.difference or 0.0
    if nouns.evidence(pair.name, path) == "size":
        return of_sizes(difference, metric.baseline, metric.better)
    return towards(difference, metric.better)


def _dev_split(artifact: Artifact, field: str) -> tuple[int, str | None]:
    """(documents of its dev split, MD5 of the splits that it belongs to)."""
    splits = Artifact(artifact.revision, str(artifact.spec.get(field)))
    documents = at(splits.metrics, ("dev", "documents"))
    md5 = splits.revision.run(splits.name).outs.get(ArtifactName.parse(splits.name).folder)
    return documents if isinstance(documents, int) and documents > 0 else 0, md5


def _are_shares(metric: Metric) -> bool:
    """Is it in 0..1, not percent or whatever else a user's stage calls accuracy?"""
    values = (metric.baseline, metric.candidate)
    return all(isinstance(value, int | float) and 0 <= value <= 1 for value in values)


def _unpaired(metric: Metric, size: int, reason: str, family: Family) -> Metric:
    if metric.baseline == metric.candidate:
        return replace(metric, verdict="same")
    baseline, candidate = float(metric.baseline), float(metric.candidate)
    p, low, high = exact.two_proportions(baseline, candidate, (size, size), CONFIDENCE)
    if p > 1 - CONFIDENCE:  # Fisher's test rejects less often than Newcombe's interval excludes 0
        low, high = min(low, 0.0), max(high, 0.0)
    return replace(
        metric,
        verdict="inconclusive",
        p=p,
        interval=(low, high),
        family=family,
        method="Fisher's exact test, unpaired: less powerful than a paired one",
        examples=size,
        reason=reason,
    )
