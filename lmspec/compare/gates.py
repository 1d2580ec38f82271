"""gates: does the candidate meet the demands of its params.yaml? Nothing passes for lack of data.

A gate is a question asked beforehand: it has its own confidence, and no correction for their
number, since a change must pass all of them.
"""

import datetime
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from lmspec.compare import against, bounds, expected, flips, leaks, out_of_date
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

COMPARING = ("non_inferiority", "improvement", "negative_flip_rate", "ratio")
PAIRED = (specs.NonInferiority, specs.Improvement)
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
    written = revision.params.get("gates") or {}
    if revision.commit is not None and isinstance(written, dict):
        # before gates had the field `against`, they knew the baseline only
        written = {name: _with_baseline(gate) for name, gate in written.items()}
    try:
        return TypeAdapter(dict[str, specs.Gate]).validate_python(written)
    except ValidationError as error:
        first = error.errors()[0]
        file = PARAMS if revision.name == WORKTREE else f"{revision.name}:{PARAMS}"
        # between name and field pydantic puts the kind, which params.yaml does not nest
        place = dotted(("gates", *first["loc"][:1], *first["loc"][2:]))
        problem = str(first["msg"]).removeprefix("Value error, ")
        remedy = "`lmspec validate` shows it at its place"
        raise LmspecError(f"{file}: {place}", problem, remedy) from None


def _with_baseline(gate: Any) -> Any:
    if isinstance(gate, dict) and gate.get("kind") in COMPARING:
        return {"against": against.BASELINE, **gate}
    return gate


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
        yield evaluated(pair, name, gate, today, evidence.out_of_date[1])


def evaluated(
    pair: ArtifactPair,
    name: str,
    gate: specs.Gate,
    today: datetime.date,
    reasons: Mapping[str, str],
) -> Gate:
    """What one gate says of the artifact that it is about.

    pair     the artifact in both commits
    reasons  artifact of the candidate's commit -> why it is out of date
    """
    held = against.of(gate)
    findings = list(_Evaluation(against.pair(pair, held, reasons), gate).findings())
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
        margin=gate.margin
        if isinstance(gate, specs.NonInferiority) and not against.is_within(gate)
        else None,
        against=held,
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
    "floor": "at least {0.at_least:g}",
    "ceiling": "at most {0.at_most:g}",
    "non_inferiority": "not worse than {1} by more than {0.margin:g}",
    "improvement": "better than {1} by more than {0.by:g}",
    "negative_flip_rate": "negative flip rate against {1} at most {0.at_most:.4g}",
    "ratio": "not worse than {1} by more than {0.tolerance:.4g} times",
    "gap": "best and worst at most {0.at_most:g} apart",
}


def demand(gate: specs.Gate) -> str:
    """What a gate requires, in words."""
    at_confidence = f", at {100 * gate.confidence:.6g} %" if gate.confidence is not None else ""
    other = against.in_words(against.of(gate) or against.BASELINE)
    return DEMANDS[gate.kind].format(gate, other) + at_confidence


class _Evaluation:
    """One gate against the evidence of its artifact."""

    def __init__(self, pair: ArtifactPair, gate: specs.Gate) -> None:
        self.pair, self.gate = pair, gate
        self.pattern = tuple(gate.metric.split(".")[2:])
        self.within = against.is_within(gate)

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
        elif self.within and (problem := self._no_other(self.pair.baseline)):
            yield problem
        elif isinstance(self.gate, specs.NegativeFlipRate):
            yield from self._flips(self.gate)
        else:
            yield from self._of_metrics(artifact.metrics)

    def _no_other(self, other: Artifact) -> Finding | None:
        """Why the same commit has nothing to hold the artifact against; None if it has."""
        if not other.exists:
            return Finding("missing", f"there is no {other.name} in {other.revision.name}")
        if other.out_of_date is not None:
            why = f"{other.name}: {other.out_of_date}: {out_of_date.remedy(other.out_of_date)}"
            return Finding("out of date", why)
        if isinstance(other.metrics, Unavailable):
            return Finding("missing", f"{other.metrics.reason}: run `dvc repro`")
        return None

    def _of_metrics(self, metrics: Mapping[str, Any]) -> Iterator[Finding]:
        paths = [path for path, _ in leaves(metrics) if matches(self.pattern, path)]
        wanted = expected.wanted(self.pair.candidate, self.pattern)
        lost = [path for path in wanted if at(metrics, path) is None]
        if not paths and not lost:
            artifact = self.pair.candidate.name
            yield Finding("missing", f"{artifact} has no such metric: run `dvc repro`")
        yield from self._former({*paths, *lost})
        # a class or table without an example has no metric, however often it is built
        empty = {path: self._no_example(path) for path in dict.fromkeys([*paths, *lost])}
        if not isinstance(self.gate, specs.Gap):
            yield from (
                Finding("undecided", f"{_name(p)}: {why}") for p, why in empty.items() if why
            )
        for path in lost:
            if not empty[path]:
                problem = f"{_name(path)} is expected but missing: run `dvc repro`"
                yield Finding("missing", problem)
        paths = [path for path in paths if not empty[path]]
        numbers = {path: number(at(metrics, path)) for path in paths}
        for path, value in numbers.items():
            if value is None:
                problem = f"{_name(path)} is {at(metrics, path)!r}, not a number"
                yield Finding("missing", problem)
        values = {path: value for path, value in numbers.items() if value is not None}
        if not isinstance(self.gate, specs.Gap):
            yield from (self._of_value(path, value) for path, value in values.items())
        elif len(values) == len(paths) and (paths or any(empty.values())):
            without = [f"{_name(path)}: {why}" for path, why in empty.items() if why]
            yield self._gap(self.gate, values, without)

    def _former(self, known: Collection[MetricPath]) -> Iterator[Finding]:
        """What `*` names in the baseline alone: its test examples are gone or have moved.

        known  what it names in the candidate
        """
        baseline, candidate = self.pair
        if self.within or not self.pair.has_examples or "*" not in self.gate.metric:
            return
        if not baseline.exists:
            return
        metrics = baseline.metrics if isinstance(baseline.metrics, Mapping) else {}
        for path, value in leaves(metrics):
            if path in known or not matches(self.pattern, path) or number(value) is None:
                continue
            if not isinstance(baseline.sample(path[0]), Unavailable):
                names = f"{candidate.revision.name} has no such metric"
                yield Finding(
                    "undecided",
                    f"{_name(path)} is {value:.6g} in {baseline.revision.name}, and {names}",
                )

    def _no_example(self, path: MetricPath) -> str | None:
        """Why a metric of a class or table has no value in a revision that the gate needs."""
        if reason := self.pair.candidate.no_example(path):
            return reason
        around = at(self.pair.candidate.metrics, path[:-1])
        if isinstance(around, Mapping) and around.get("share", 0) is None:
            return "no text is of it"  # a rate of a group without texts
        if not self.pair.has_examples or not isinstance(self.gate, PAIRED) or len(path) < 2:
            return None
        baseline = self.pair.baseline
        if reason := baseline.no_example(path):
            return f"{reason} in {baseline.called}"
        paired = self.pair.sample(path[0])
        reason = (
            paired.no_example(split_metric(path[1:])) if isinstance(paired, PairedSample) else None
        )
        return f"{reason} in common" if reason else None

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
            interval = bounds.exactly(value)
            if (counted := self._with_lacking(path)) is not None:
                interval = interval.hull(bounds.exactly(counted))
        else:
            level = bounds.of_level(self.pair, path, self.gate.confidence)
            if isinstance(level, str):
                return Finding("not comparable", f"{observed}, and has no interval: {level}")
            interval = level
        return self._noted(_judged(interval, sign, limit, observed), path)

    def _with_lacking(self, path: MetricPath) -> float | None:
        """The value with lacking test examples counted as wrong; None if none are lacking."""
        metric = split_metric(path[1:])
        if not self.pair.has_examples or self.pair.lacking_note(path[0], metric.table) is None:
            return None
        *_, every = self.pair.levels(path[0])
        counts = every.scale.computes(metric.name) and every.rows(metric.table).size
        return every.plain(metric)[0] if counts else None

    def _noted(self, finding: Finding, path: MetricPath) -> Finding:
        """Adds which labels the value leaves out, and which examples count as wrong."""
        if not self.pair.has_examples or len(path) < 2:
            return finding
        metric, sample = split_metric(path[1:]), self.pair.candidate.sample(path[0])
        if isinstance(sample, Unavailable) or not sample.scale.computes(metric.name):
            return finding
        notes = sample.unscored(metric), self.pair.lacking_note(path[0], metric.table)
        return replace(finding, observed="; ".join(filter(None, (finding.observed, *notes))))

    def _another_scorer(self, path: MetricPath) -> str | None:
        """How the metric contradicts the predictions, or that they are missing; None if neither."""
        artifact, metric = self.pair.candidate, split_metric(path[1:])
        if not artifact.has_examples:
            return None
        sample = artifact.sample(path[0])
        if isinstance(sample, Unavailable):
            known = not isinstance(self.pair.baseline.sample(path[0]), Unavailable)
            return sample.reason if known or NO_PREDICTIONS not in sample.reason else None
        computes = sample.scale.computes(metric.name)
        return artifact.disagreement(path[0], metric) if computes else None

    def _change(self, path: MetricPath, limit: float, confidence: float) -> Finding:
        """limit: what the difference must exceed, counted in the direction of progress."""
        if reason := bounds.turned(self.pair, path):
            return Finding("not comparable", f"{_name(path)}: {reason}")
        way = bounds.better(self.pair, path)
        constant = self.pair.baseline
        if isinstance(constant, against.Majority) and (
            reason := constant.lacks(path[0], split_metric(path[1:]))
        ):
            return Finding("not comparable", f"{_name(path)}: {reason}")
        if way is None:
            problem = f"{_name(path)} has no direction: its stage declares none"
            return Finding("not comparable", problem)
        sign = 1 if way == "higher" else -1
        interval = bounds.of_difference(self.pair, path, confidence)
        if isinstance(interval, str):
            return Finding("not comparable", f"{_name(path)}: {interval}")
        observed = f"{_name(path)} {self._changed(path, interval.value)}"
        finding = _judged(interval, sign, sign * limit, observed, strict=True)
        return self._with_left_out(finding, path[0], split_metric(path[1:]))

    def _changed(self, path: MetricPath, difference: float) -> str:
        """A difference in words; beside the value where it is no change of it."""
        if not self.within:
            return f"changed by {difference:+.4g}"
        value, other = self.pair.candidate.number(path), against.observed(self.pair.baseline, path)
        return f"is {value:.4g}, {difference:+.4g} against {other}"

    def _with_left_out(self, finding: Finding, dataset: str, metric: SplitMetric) -> Finding:
        """Adds which examples were left out of the comparison, and which count as wrong."""
        paired = self.pair.sample(dataset) if self.pair.has_examples else None
        if not isinstance(paired, PairedSample):
            return finding
        notes = (
            paired.left_out(metric),
            paired.unscored(metric),
            self.pair.lacking_note(dataset, metric.table),
        )
        return replace(finding, observed="; ".join(filter(None, (finding.observed, *notes))))

    def _ratio(self, path: MetricPath, gate: specs.Ratio) -> Finding:
        if reason := bounds.turned(self.pair, path):
            return Finding("not comparable", f"{_name(path)}: {reason}")
        interval = bounds.of_ratio(self.pair, path, gate.confidence)
        if isinstance(interval, str):
            return Finding("not comparable", f"{_name(path)}: {interval}")
        higher = path[-1] == "texts_per_second" or bounds.better(self.pair, path) == "higher"
        sign, limit = (1, 1 / (1 + gate.tolerance)) if higher else (-1, 1 + gate.tolerance)
        other = f"that of {self.pair.baseline.name}" if self.within else "the baseline's"
        observed = f"{_name(path)} is {interval.value:.4g} times {other}"
        return _judged(interval, sign, limit, observed)

    def _gap(
        self, gate: specs.Gap, values: Mapping[MetricPath, float], without: Sequence[str]
    ) -> Finding:
        """without: classes and tables that have no example, in words."""
        if len(values) < 2 and without:
            return Finding("undecided", f"a gap needs several values; {'; '.join(without)}")
        if len(values) < 2:
            problem = f"{gate.metric} names one value, and a gap needs several"
            return Finding("not comparable", problem)
        interval = bounds.of_gap(self.pair, list(values), gate.confidence)
        if isinstance(interval, str):
            return Finding("not comparable", interval)
        worst = min(values, key=values.__getitem__)
        best = max(reversed(list(values)), key=values.__getitem__)  # another one, if all are equal
        observed = (
            f"{_name(best)} is {values[best]:.4g}, {_name(worst)} {values[worst]:.4g}: "
            f"{interval.value:.4g} apart"
        )
        finding = _judged(interval, -1, gate.at_most, observed)
        notes = (*without, self.pair.lacking_note(best[0], None))
        return replace(finding, observed="; ".join(filter(None, (finding.observed, *notes))))

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
            if self.within:
                name += f", against {against.observed(self.pair.baseline, (dataset,))}"
            if len(rows):
                finding = self._negative_flip_rate(gate, paired, names, name)
                table = names[1] if names[:1] == ("table",) else None
                yield self._with_left_out(finding, dataset, SplitMetric("accuracy", table))
            else:
                yield Finding("undecided", f"{name}: no example in common")

    def _slices(
        self, paired: PairedSample, dataset: str, rest: Sequence[str]
    ) -> Iterator[tuple[MetricPath, Ints]]:
        """(names, indices of pairs) that the pattern names.

        Among the classes and tables of the candidate's spec and the labels of any example: a slice
        without a pair must be reported, not skipped.
        """
        if not rest:
            yield (), paired.rows(None)
            return
        answers = [end.predictions[dataset] for end in self.pair]
        known = {("class", label) for side in answers for label in side.label}
        slices = expected.slices(self.pair.candidate)
        promised = {(path[1], path[2]) for path in slices if path[0] == dataset and path[1:]}
        tables = {(kind, name) for kind, name in promised if kind == "table"}
        known |= promised | (set() if tables else {("table", name) for name in answers[-1].table})
        if rest[1:] == ["*"]:  # the examples of a table of the baseline alone are gone or moved
            known |= {("table", name) for name in answers[0].table}
        for kind, name in sorted(known):
            if kind == rest[0] and ".".join(rest[1:]) in ("*", name):
                yield (kind, name), _of_slice(paired, (kind, name))

    def _negative_flip_rate(
        self, gate: specs.NegativeFlipRate, paired: PairedSample, names: MetricPath, name: str
    ) -> Finding:
        """On a test split or slice. A lacking example counts as a flip if it was right."""
        finding = _negative_flip_rate(gate, paired, _of_slice(paired, names), name)
        dataset = self.pattern[0]
        whole = self.pair.whole(dataset)
        table = names[1] if names[:1] == ("table",) else None
        if finding.verdict != "pass" or whole is None:
            return finding
        if self.pair.lacking_note(dataset, table) is None:
            return finding
        counted = _negative_flip_rate(gate, whole, _of_slice(whole, names), name)
        return finding if counted.verdict == "pass" else replace(finding, verdict="undecided")


def _of_slice(paired: PairedSample, names: MetricPath) -> Ints:
    """Indices of the pairs of a class, a table, or all: `("class", "bad")`, `()`."""
    if names[:1] == ("class",):
        return paired.labelled(names[1])
    return paired.rows(names[1] if names else None)


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
    if interval.few:
        observed += f"; {interval.few}"
    passes, fails = (low > bar, high <= bar) if strict else (low >= bar, high < bar)
    if passes or fails:
        return Finding("pass" if passes else "fail", observed, low - bar)
    return Finding("undecided", observed, low - bar, interval.needed_at(limit))


def _name(path: MetricPath) -> str:
    return ".".join(path)
