"""gates: does the candidate meet the demands of its params.yaml? Nothing passes for lack of data.

A gate is a question asked beforehand: it has its own confidence, and no correction for their
number, since a change must pass all of them.
"""

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lmspec.compare import bounds, expected, flips, leaks, out_of_date
from lmspec.compare.artifact import NO_PREDICTIONS, Artifact, leaves
from lmspec.compare.bounds import Bounds
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.report import Gate, GateVerdict
from lmspec.compare.revision import PARAMS, Revision, Unavailable, at, number
from lmspec.errors import LmspecError
from lmspec.git.tree import WORKTREE
from lmspec.language.metric_names import matches
from lmspec.language.problems import dotted
from lmspec.specs import gates as specs
from lmspec.specs.names import MetricName, MetricPath
from lmspec.statistics.arrays import Ints
from lmspec.statistics.paired import PairedSample, SplitMetric, split_metric

WORST_FIRST: tuple[GateVerdict, ...] = (
    "missing",
    "out of date",
    "not comparable",
    "fail",
    "undecided",
    "pass",
)


@dataclass(frozen=True)
class Finding:
    """What a gate says of one metric.

    observed  the value and its bounds, in words
    slack     distance to the limit on the passing side; below 0 on the other
    needed    about how many examples would decide
    """

    verdict: GateVerdict
    observed: str
    slack: float = math.inf
    needed: int | None = None


def demanded(revision: Revision) -> dict[str, specs.Gate]:
    """The gates of a revision's params.yaml. Raises LmspecError if one is invalid."""
    try:
        return TypeAdapter(dict[str, specs.Gate]).validate_python(
            revision.params.get("gates") or {}
        )
    except ValidationError as error:
        first = error.errors()[0]
        file = PARAMS if revision.name == WORKTREE else f"{revision.name}:{PARAMS}"
        # between name and field pydantic puts the kind, which params.yaml does not nest
        place = dotted(("gates", *first["loc"][:1], *first["loc"][2:]))
        problem = str(first["msg"]).removeprefix("Value error, ")
        remedy = "`lmspec validate` shows it at its place"
        raise LmspecError(f"{file}: {place}", problem, remedy) from None


def verdicts(evidence: Evidence, today: datetime.date) -> Iterator[Gate]:
    """One for each gate of the candidate."""
    lockless = out_of_date.unknown(evidence.candidate)
    reason = f"{evidence.candidate.name} has no dvc.lock that says what it was built from"
    for name, gate in demanded(evidence.candidate).items():
        pair = evidence.pair(str(MetricName.parse(gate.metric).artifact))
        if lockless or leaks.is_unknown(evidence.candidate, pair.candidate.name):
            why = reason if lockless else leaks.UNKNOWN
            unknown = Artifact(evidence.candidate, pair.candidate.name, why)
            pair = ArtifactPair(pair.baseline, unknown)
        yield evaluated(pair, name, gate, today)


def evaluated(pair: ArtifactPair, name: str, gate: specs.Gate, today: datetime.date) -> Gate:
    """What one gate says of the artifact that it is about."""
    findings = list(_Evaluation(pair, gate).findings())
    worst = min(findings, key=lambda finding: (WORST_FIRST.index(finding.verdict), finding.slack))
    passed = worst.verdict == "pass" or (worst.verdict == "undecided" and gate.undecided == "pass")
    result = Gate(
        name,
        gate.kind,
        gate.metric,
        demand(gate),
        worst.verdict,
        passed,
        worst.observed + (f" (the worst of {len(findings)})" if len(findings) > 1 else ""),
        _needed(worst, findings),
        margin=gate.margin if isinstance(gate, specs.NonInferiority) else None,
    )
    return result if passed else _waived(result, gate.waiver, today)


def _needed(worst: Finding, findings: Sequence[Finding]) -> int | None:
    """Examples that would decide all undecided findings."""
    if worst.verdict != "undecided":
        return None
    needed = [finding.needed for finding in findings if finding.verdict == "undecided"]
    return None if None in needed else max(count or 0 for count in needed)


def _waived(gate: Gate, waiver: specs.Waiver | None, today: datetime.date) -> Gate:
    """A waiver covers a result that was seen, not metrics that are missing or out of date."""
    if waiver is None or gate.verdict in ("missing", "out of date"):
        return gate
    if datetime.date.fromisoformat(waiver.until) < today:
        why = f"its waiver expired on {waiver.until}: fix the failure, or renew the waiver"
        return replace(gate, why=why)
    why = (
        f"{waiver.reason} (signed off by {waiver.signed_off_by} until {waiver.until}; "
        f"without the waiver: {gate.verdict})"
    )
    return replace(gate, verdict="waived", passed=True, why=why)


DEMANDS = {
    "floor": "at least {.at_least:g}",
    "ceiling": "at most {.at_most:g}",
    "non_inferiority": "not worse by more than {.margin:g}",
    "improvement": "better by more than {.by:g}",
    "negative_flip_rate": "negative flip rate at most {.at_most:.4g}",
    "ratio": "not worse by more than {.tolerance:.4g} times the baseline",
    "gap": "best and worst at most {.at_most:g} apart",
}


def demand(gate: specs.Gate) -> str:
    """What a gate requires, in words."""
    at_confidence = f", at {100 * gate.confidence:.6g} %" if gate.confidence is not None else ""
    return DEMANDS[gate.kind].format(gate) + at_confidence


class _Evaluation:
    """One gate against the evidence of its artifact."""

    def __init__(self, pair: ArtifactPair, gate: specs.Gate) -> None:
        self.pair, self.gate = pair, gate
        self.pattern = tuple(gate.metric.split(".")[2:])

    def findings(self) -> Iterator[Finding]:
        """One for each metric that the pattern names; at least one."""
        artifact = self.pair.candidate
        if not artifact.exists:
            where = f"the spec of {artifact.revision.name}"
            yield Finding("missing", f"there is no {artifact.name} in {where}")
        elif artifact.out_of_date is not None:
            why = artifact.out_of_date
            yield Finding("out of date", f"{why}: {out_of_date.remedy(why)}")
        elif isinstance(artifact.metrics, Unavailable):
            yield Finding("missing", f"{artifact.metrics.reason}: run `dvc repro`")
        elif isinstance(self.gate, specs.NegativeFlipRate):
            yield from self._flips(self.gate)
        else:
            yield from self._of_metrics(artifact.metrics)

    def _of_metrics(self, metrics: Mapping[str, Any]) -> Iterator[Finding]:
        paths = [path for path, _ in leaves(metrics) if matches(self.pattern, path)]
        wanted = expected.wanted(self.pair.candidate, self.pattern)
        lost = [path for path in wanted if at(metrics, path) is None]
        if not paths and not lost:
            artifact = self.pair.candidate.name
            yield Finding("missing", f"{artifact} has no such metric: run `dvc repro`")
        for path in lost:
            # a table without a test example has no metrics, however often it is built
            advice = "run `dvc repro`" + (
                "; a table needs at least one test example" if "table" in path else ""
            )
            yield Finding("missing", f"{_name(path)} is expected but missing: {advice}")
        numbers = {path: number(at(metrics, path)) for path in paths}
        for path, value in numbers.items():
            if value is None:
                problem = f"{_name(path)} is {at(metrics, path)!r}, not a number"
                yield Finding("missing", problem)
        values = {path: value for path, value in numbers.items() if value is not None}
        if not isinstance(self.gate, specs.Gap):
            yield from (self._of_value(path, value) for path, value in values.items())
        elif paths and len(values) == len(paths):
            yield self._gap(self.gate, values)

    def _of_value(self, path: MetricPath, value: float) -> Finding:
        gate = self.gate
        if isinstance(gate, specs.Floor):
            return self._level(path, value, 1, gate.at_least)
        if isinstance(gate, specs.Ceiling):
            return self._level(path, value, -1, gate.at_most)
        if (reason := self._no_baseline()) is not None:
            return Finding("not comparable", f"{_name(path)} is {value:.6g}, and {reason}")
        if isinstance(gate, specs.Ratio):
            return self._ratio(path, gate)
        if isinstance(gate, specs.NonInferiority):
            return self._change(path, -gate.margin, gate.confidence)
        assert isinstance(gate, specs.Improvement)
        return self._change(path, gate.by, gate.confidence)

    def _no_baseline(self) -> str | None:
        """Why there is nothing to compare with; None if there is."""
        baseline = self.pair.baseline
        if not baseline.exists:
            return f"{baseline.revision.name} has no {self.pair.name}"
        if baseline.out_of_date is not None:
            return f"that of {baseline.revision.name} is out of date: {baseline.out_of_date}"
        return None

    def _level(self, path: MetricPath, value: float, sign: int, limit: float) -> Finding:
        """sign: 1 for a lower limit, -1 for an upper one."""
        observed = f"{_name(path)} is {value:.6g}"
        if self.gate.confidence is None:
            if (reason := self._another_scorer(path)) is not None:
                return Finding("not comparable", f"{observed}: {reason}")
            slack = sign * (value - limit)
            return Finding("pass" if slack >= 0 else "fail", observed, slack)
        interval = bounds.of_value(self.pair.candidate, path, self.gate.confidence)
        if isinstance(interval, str):
            return Finding("not comparable", f"{observed}, and has no interval: {interval}")
        return _judged(interval, sign, limit, observed)

    def _another_scorer(self, path: MetricPath) -> str | None:
        """How the metric contradicts the predictions, where git has both."""
        artifact, metric = self.pair.candidate, split_metric(path[1:])
        if artifact.noun != "scores":
            return None
        sample = artifact.sample(path[0])
        if isinstance(sample, Unavailable):
            return None if NO_PREDICTIONS in sample.reason else sample.reason
        computes = sample.scale.computes(metric.name)
        return artifact.disagreement(path[0], metric) if computes else None

    def _change(self, path: MetricPath, limit: float, confidence: float) -> Finding:
        """limit: what the difference must exceed, counted in the direction of progress."""
        way = bounds.better(self.pair, path)
        if way is None:
            problem = f"{_name(path)} has no direction: its stage declares none"
            return Finding("not comparable", problem)
        sign = 1 if way == "higher" else -1
        interval = bounds.of_difference(self.pair, path, confidence)
        if isinstance(interval, str):
            return Finding("not comparable", f"{_name(path)}: {interval}")
        observed = f"{_name(path)} changed by {interval.value:+.4g}"
        finding = _judged(interval, sign, sign * limit, observed, strict=True)
        return self._with_left_out(finding, path[0], split_metric(path[1:]))

    def _with_left_out(self, finding: Finding, dataset: str, metric: SplitMetric) -> Finding:
        """Adds which examples were left out of the comparison."""
        paired = self.pair.sample(dataset) if self.pair.noun == "scores" else None
        left_out = paired.left_out(metric) if isinstance(paired, PairedSample) else None
        observed = f"{finding.observed}; {left_out}"
        return replace(finding, observed=observed) if left_out else finding

    def _ratio(self, path: MetricPath, gate: specs.Ratio) -> Finding:
        interval = bounds.of_ratio(self.pair, path, gate.confidence)
        if isinstance(interval, str):
            return Finding("not comparable", f"{_name(path)}: {interval}")
        higher = path[-1] == "texts_per_second" or bounds.better(self.pair, path) == "higher"
        sign, limit = (1, 1 / (1 + gate.tolerance)) if higher else (-1, 1 + gate.tolerance)
        observed = f"{_name(path)} is {interval.value:.4g} times the baseline's"
        return _judged(interval, sign, limit, observed)

    def _gap(self, gate: specs.Gap, values: Mapping[MetricPath, float]) -> Finding:
        if len(values) < 2:
            problem = f"{gate.metric} names one value, and a gap needs several"
            return Finding("not comparable", problem)
        interval = bounds.of_gap(self.pair.candidate, list(values), gate.confidence)
        if isinstance(interval, str):
            return Finding("not comparable", interval)
        worst = min(values, key=values.__getitem__)
        best = max(reversed(list(values)), key=values.__getitem__)  # another one, if all are equal
        observed = (
            f"{_name(best)} is {values[best]:.4g}, {_name(worst)} {values[worst]:.4g}: "
            f"{interval.value:.4g} apart"
        )
        return _judged(interval, -1, gate.at_most, observed)

    def _flips(self, gate: specs.NegativeFlipRate) -> Iterator[Finding]:
        """Of a test split, or of its classes or tables: `test`, `test.class.*`."""
        dataset, *rest = self.pattern
        reason = self._no_baseline()
        paired = self.pair.sample(dataset) if reason is None else Unavailable(reason)
        if isinstance(paired, Unavailable):
            yield Finding("not comparable", f"{gate.metric}: {paired.reason}")
            return
        slices = list(self._slices(paired, dataset, rest))
        if not slices:
            yield Finding("missing", f"{dataset} has no {'.'.join(rest)}")
        for names, rows in slices:
            name = _name((dataset, *names))
            if len(rows):
                finding = _negative_flip_rate(gate, paired, rows, name)
                table = names[1] if names[:1] == ("table",) else None
                yield self._with_left_out(finding, dataset, SplitMetric("accuracy", table))
            else:
                yield Finding("not comparable", f"{name}: no example in common")

    def _slices(
        self, paired: PairedSample, dataset: str, rest: Sequence[str]
    ) -> Iterator[tuple[MetricPath, Ints]]:
        """(names, indices of pairs) that the pattern names.

        Among the tables of the candidate's spec and the labels of any example: a slice without a
        pair must be reported, not skipped.
        """
        if not rest:
            yield (), paired.rows(None)
            return
        answers = [end.predictions[dataset] for end in self.pair]
        known = {("class", label) for side in answers for label in side.label}
        tables = {
            ("table", path[2])
            for path in expected.slices(self.pair.candidate)
            if path[:2] == (dataset, "table")
        }
        known |= tables or {("table", name) for name in answers[-1].table}
        for kind, name in sorted(known):
            if kind == rest[0] and ".".join(rest[1:]) in ("*", name):
                yield (kind, name), paired.labelled(name) if kind == "class" else paired.rows(name)


def _negative_flip_rate(
    gate: specs.NegativeFlipRate, paired: PairedSample, rows: Ints, name: str
) -> Finding:
    counts = flips.count(paired, rows)
    observed = (
        f"{name}: {counts.negative_flips} negative flips in {counts.examples:,} examples "
        f"({counts.rate:.4f})"
    )
    low, high = (counts.rate, counts.rate) if paired.same else counts.bounds(gate.confidence)
    finding = _judged(Bounds(counts.rate, low, high), -1, gate.at_most, observed)
    if finding.verdict != "undecided":
        return finding
    needed = bounds.needed_for_rate(counts.rate, gate.at_most, gate.confidence)
    if needed is not None:  # the examples of a group are worth less than as many independent ones
        needed = math.ceil(needed * counts.examples / counts.size)
    return replace(finding, needed=needed)


def _judged(
    interval: Bounds, sign: int, limit: float, observed: str, strict: bool = False
) -> Finding:
    """sign 1: the value must not be below the limit, -1: not above. strict: nor equal to it."""
    low, high, bar = sign * interval.low, sign * interval.high, sign * limit
    if sign < 0:
        low, high = high, low
    if interval.low != interval.high:
        observed += f" [{interval.low:.4g}, {interval.high:.4g}]"
    passes, fails = (low > bar, high <= bar) if strict else (low >= bar, high < bar)
    if passes or fails:
        return Finding("pass" if passes else "fail", observed, low - bar)
    return Finding("undecided", observed, low - bar, interval.needed_at(limit))


def _name(path: MetricPath) -> str:
    return ".".join(path)
