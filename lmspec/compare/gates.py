"""gates: does the new side do what its params.yaml demands? Pass, fail, or undecided: nothing passes for want of data."""

import datetime
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import TypeAdapter, ValidationError

from lmspec.compare import bounds, expected, flips
from lmspec.compare.bounds import Bounds
from lmspec.compare.evidence import NO_PREDICTIONS, Evidence, leaves
from lmspec.compare.report import Gate, GateVerdict
from lmspec.compare.revision import PARAMS, WORKTREE, Fault, at, number
from lmspec.compare.stale import unknown
from lmspec.errors import LmspecError
from lmspec.language.metric_names import matches as matches
from lmspec.language.problems import dotted
from lmspec.specs import gates as specs
from lmspec.statistics.paired import Alone, Paired, Slice, part_of
from lmspec.statistics.predictions import Ints

WORST_FIRST: tuple[GateVerdict, ...] = (
    "missing",
    "stale",
    "not comparable",
    "fail",
    "undecided",
    "pass",
)
Path = tuple[str, ...]
Stale = Mapping[str, str]
NOTHING: Stale = {}


@dataclass(frozen=True)
class Finding:
    """What was found of one metric.

    found   in words
    slack   how far it lies on the right side of what is demanded; below 0: on the wrong one
    needed  about how many examples would decide
    """

    verdict: GateVerdict
    found: str
    slack: float = math.inf
    needed: int | None = None


def demanded(evidence: Evidence) -> dict[str, specs.Gate]:
    """The gates of the new side. Raises LmspecError if they are none."""
    try:
        return TypeAdapter(dict[str, specs.Gate]).validate_python(
            evidence.new.params.get("gates") or {}
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = PARAMS if evidence.new.name == WORKTREE else f"{evidence.new.name}:{PARAMS}"
        name, steps = (
            first["loc"][:1],
            first["loc"][2:],
        )  # between them stands the kind, which is no field
        where, found = (
            dotted(("gates", *name, *steps)),
            str(first["msg"]).removeprefix("Value error, "),
        )
        raise LmspecError(
            f"{place}: {where}", found, "`lmspec validate` shows it at its place"
        ) from None


def verdicts(
    evidence: Evidence, stale: Stale, old_stale: Stale, today: datetime.date
) -> Iterator[Gate]:
    """One for each gate. stale, old_stale: artifact, by the name of that side -> why it is not what its spec would build."""
    if unknown(evidence.new):
        stale = dict.fromkeys(
            evidence.new.artifacts,
            f"{evidence.new.name} has no dvc.lock that says what it was built from",
        )
    for name, gate in demanded(evidence).items():
        yield held(evidence, name, gate, stale, today, old_stale)


def held(
    evidence: Evidence,
    name: str,
    gate: specs.Gate,
    stale: Stale,
    today: datetime.date,
    old_stale: Stale = NOTHING,
) -> Gate:
    """What one gate says of the evidence, wherever the gate comes from."""
    findings = list(_Held(evidence, gate, stale, old_stale).findings())
    worst = min(findings, key=lambda finding: (WORST_FIRST.index(finding.verdict), finding.slack))
    passed = worst.verdict == "pass" or (worst.verdict == "undecided" and gate.undecided == "pass")
    said = worst.found + (f" (the worst of {len(findings)})" if len(findings) > 1 else "")
    found = Gate(
        name,
        gate.kind,
        gate.metric,
        demand(gate),
        worst.verdict,
        passed,
        said,
        _needed(worst, findings),
        margin=gate.margin if isinstance(gate, specs.NonInferiority) else None,
    )
    return found if passed else _waived(found, gate.waiver, today)


def _needed(worst: Finding, findings: Sequence[Finding]) -> int | None:
    """Examples that would decide all of them."""
    if worst.verdict != "undecided":
        return None
    every = [finding.needed for finding in findings if finding.verdict == "undecided"]
    return None if None in every else max(needed or 0 for needed in every)


def _waived(found: Gate, waiver: specs.Waiver | None, today: datetime.date) -> Gate:
    """What was looked at can be signed off; what nobody could look at cannot."""
    if waiver is None or found.verdict in ("missing", "stale"):
        return found
    if datetime.date.fromisoformat(waiver.until) < today:
        return replace(
            found,
            why=f"its waiver ended on {waiver.until}: mend it, or have it signed off again",
        )
    why = f"{waiver.reason} (signed off by {waiver.signed_off_by} until {waiver.until}; without: {found.verdict})"
    return replace(found, verdict="waived", passed=True, why=why)


def demand(gate: specs.Gate) -> str:
    """What a gate asks for, in words."""
    sure = f", at {100 * gate.confidence:.6g} %" if gate.confidence is not None else ""
    words = {
        specs.Floor: lambda g: f"at least {g.at_least:g}",
        specs.Ceiling: lambda g: f"at most {g.at_most:g}",
        specs.NonInferiority: lambda g: f"not worse by more than {g.margin:g}",
        specs.Improvement: lambda g: f"better by more than {g.by:g}",
        specs.NegativeFlipRate: lambda g: f"at most {g.at_most:.4g} of the examples broken",
        specs.Ratio: lambda g: f"not worse by more than {g.tolerance:.4g} times the old",
        specs.Gap: lambda g: f"best and worst at most {g.at_most:g} apart",
    }
    return str(words[type(gate)](gate)) + sure


@dataclass
class _Held:
    """One gate against what is known."""

    evidence: Evidence
    gate: specs.Gate
    stale: Stale
    old_stale: Stale

    def findings(self) -> Iterator[Finding]:
        """One for each metric that its pattern names; at least one."""
        noun, key, *rest = self.gate.metric.split(".")
        self.artifact, pattern = f"{noun}.{key}", tuple(rest)
        if self.artifact not in self.evidence.new.artifacts:
            yield Finding(
                "missing", f"there is no {self.artifact} in the spec of {self.evidence.new.name}"
            )
            return
        if self.artifact in self.stale:
            yield Finding("stale", f"{self.stale[self.artifact]}: run `dvc repro`")
            return
        values = self.evidence.new.metrics(self.artifact)
        if isinstance(values, Fault):
            yield Finding("missing", f"{values.reason}: run `dvc repro`")
            return
        self.values = values
        if isinstance(self.gate, specs.NegativeFlipRate):
            yield from self._flips(pattern)
            return
        paths = [path for path, _ in leaves(values) if matches(pattern, path)]
        lost = [
            path
            for path in expected.asked(self.evidence.new, self.artifact, pattern)
            if at(values, path) is None
        ]
        if not paths and not lost:
            yield Finding("missing", f"{self.artifact} has no such metric: run `dvc repro`")
        yield from map(self._lost, lost)
        if not paths:
            return
        if isinstance(self.gate, specs.Gap):
            yield self._gap(paths)
        else:
            yield from (self._one(path) for path in paths)

    def _lost(self, path: Path) -> Finding:
        advice = (
            "`dvc repro`, unless it, or any other one, has no example"
            if "table" in path
            else "run `dvc repro`"
        )
        return Finding("missing", f"{self._name(path)} is asked for, and not there: {advice}")

    def _one(self, path: Path) -> Finding:
        value = number(at(self.values, path))
        if value is None:
            return Finding("missing", f"{self._name(path)} is {at(self.values, path)!r}, no number")
        if isinstance(self.gate, specs.Floor | specs.Ceiling):
            return self._level(path, value, self.gate)
        if (why := self._no_baseline()) is not None:
            return Finding("not comparable", f"{self._name(path)} is {value:.6g}, and {why}")
        if isinstance(self.gate, specs.Ratio):
            return self._ratio(path, self.gate)
        if isinstance(self.gate, specs.NonInferiority):
            return self._change(path, -self.gate.margin, self.gate.confidence)
        if isinstance(self.gate, specs.Improvement):
            return self._change(path, self.gate.by, self.gate.confidence)
        raise TypeError(f"nothing is known of a gate of kind {self.gate.kind}")

    def _no_baseline(self) -> str | None:
        """Why there is nothing to compare with."""
        if self.artifact not in self.evidence.before:
            return f"{self.evidence.old.name} has no {self.artifact}"
        why = self.old_stale.get(self.evidence.before[self.artifact])
        return None if why is None else f"that of {self.evidence.old.name} is stale: {why}"

    def _level(self, path: Path, value: float, gate: specs.Floor | specs.Ceiling) -> Finding:
        sign, limit = (1, gate.at_least) if isinstance(gate, specs.Floor) else (-1, gate.at_most)
        said = f"{self._name(path)} is {value:.6g}"
        if gate.confidence is None:
            other = self._another_scorer(path)
            if other is not None:
                return Finding("not comparable", f"{said}: {other}")
            slack = sign * (value - limit)
            return Finding("pass" if slack >= 0 else "fail", said, slack)
        found = bounds.of_value(self.evidence, self.artifact, path, gate.confidence)
        if isinstance(found, str):
            return Finding("not comparable", f"{said}, and has no interval: {found}")
        return _judged(found, sign, limit, said)

    def _another_scorer(self, path: Path) -> str | None:
        """What the predictions say and the metric does not, where both are in git."""
        part = part_of(path[1:])
        if not self.artifact.startswith("scores."):
            return None
        alone = self.evidence.alone("new", self.artifact, path[0])
        if isinstance(alone, Fault):
            return None if NO_PREDICTIONS in alone.reason else alone.reason
        return (
            self.evidence.disagrees("new", self.artifact, path[0], part)
            if alone.scale.computes(part.name)
            else None
        )

    def _change(self, path: Path, limit: float, confidence: float) -> Finding:
        """limit: what new - old must lie above, counted in the direction of progress."""
        way = bounds.better(self.evidence, self.artifact, path)
        if way is None:
            return Finding(
                "not comparable", f"{self._name(path)} has no direction: its stage declares none"
            )
        sign = 1 if way == "higher" else -1
        found = bounds.of_difference(self.evidence, self.artifact, path, confidence)
        if isinstance(found, str):
            return Finding("not comparable", f"{self._name(path)}: {found}")
        finding = _judged(
            found,
            sign,
            sign * limit,
            f"{self._name(path)} changed by {found.value:+.4g}",
            strict=True,
        )
        return self._with_left_out(finding, path[0], part_of(path[1:]))

    def _slices(self, paired: Paired, pattern: Path) -> Iterator[tuple[Path, Ints]]:
        """(name, places of its pairs) of what a pattern names: of the tables of the spec, and the labels of any example."""
        dataset, *rest = pattern
        if not rest:
            yield (), np.arange(len(paired.pairs.new.id))
            return
        alone = [self.evidence.alone(side, self.artifact, dataset) for side in ("old", "new")]
        predictions = [side.side for side in alone if isinstance(side, Alone)]
        seen = {("class", name) for side in predictions for name in side.label}
        known = {
            tuple(path[1:])
            for path in expected.sides(self.evidence.new, self.artifact)
            if path[0] == dataset
        }
        tables = {name for name in known if name[:1] == ("table",)} or {
            ("table", name) for name in predictions[-1].table
        }
        for kind, name in sorted(seen | tables):
            if kind == rest[0] and ".".join(rest[1:]) in ("*", name):
                yield (kind, name), paired.labelled(name) if kind == "class" else paired.rows(name)

    def _with_left_out(self, finding: Finding, dataset: str, part: Slice) -> Finding:
        """Says on which examples it was not compared."""
        paired = (
            self.evidence.paired(self.artifact, dataset)
            if self.artifact.startswith("scores.")
            else None
        )
        left_out = paired.left_out(part) if isinstance(paired, Paired) else None
        return replace(finding, found=f"{finding.found}; {left_out}") if left_out else finding

    def _ratio(self, path: Path, gate: specs.Ratio) -> Finding:
        found = bounds.of_ratio(self.evidence, self.artifact, path, gate.confidence)
        if isinstance(found, str):
            return Finding("not comparable", f"{self._name(path)}: {found}")
        higher = (
            path[-1] == "texts_per_second"
            or bounds.better(self.evidence, self.artifact, path) == "higher"
        )
        sign, limit = (1, 1 / (1 + gate.tolerance)) if higher else (-1, 1 + gate.tolerance)
        return _judged(found, sign, limit, f"{self._name(path)} is {found.value:.4g} times the old")

    def _gap(self, paths: list[Path]) -> Finding:
        gate = self.gate
        if not isinstance(gate, specs.Gap) or len(paths) < 2:
            return Finding(
                "not comparable", f"{gate.metric} names one value, and a gap lies between several"
            )
        values: dict[Path, float] = {}
        for path in paths:
            value = number(at(self.values, path))
            if value is None:
                return Finding(
                    "missing", f"{self._name(path)} is {at(self.values, path)!r}, no number"
                )
            values[path] = value
        found = bounds.of_gap(self.evidence, self.artifact, paths, gate.confidence)
        if isinstance(found, str):
            return Finding("not comparable", found)
        worst, best = (
            min(paths, key=lambda p: values[p]),
            max(reversed(paths), key=lambda p: values[p]),
        )
        said = f"{self._name(best)} is {values[best]:.4g}, {self._name(worst)} {values[worst]:.4g}: {found.value:.4g} apart"
        return _judged(found, -1, gate.at_most, said)

    def _flips(self, pattern: Path) -> Iterator[Finding]:
        """Of a test split, or of its classes or tables: `test`, `test.class.*`, `test.table.movies`."""
        gate = self.gate
        if not isinstance(gate, specs.NegativeFlipRate):
            return
        dataset, *rest = pattern
        why = self._no_baseline()
        paired = self.evidence.paired(self.artifact, dataset) if why is None else Fault(why)
        if isinstance(paired, Fault):
            yield Finding("not comparable", f"{gate.metric}: {paired.reason}")
            return
        slices = list(self._slices(paired, pattern))
        if not slices:
            yield Finding("missing", f"{dataset} has no {'.'.join(rest)}")
        for name, rows in slices:
            if not len(rows):
                yield Finding(
                    "not comparable", f"{'.'.join((dataset, *name))}: no example in common"
                )
                continue
            found = flips.count(paired, rows)
            said = f"{'.'.join((dataset, *name))}: {found.negative_flips} of {found.examples:,} broken ({found.rate:.4f})"
            low, high = (found.rate, found.rate) if paired.same else found.bounds(gate.confidence)
            finding = _judged(Bounds(found.rate, low, high), -1, gate.at_most, said)
            if finding.verdict == "undecided":
                needed = bounds.needed_for_rate(found.rate, gate.at_most, gate.confidence)
                worth = found.examples / found.size  # of a document's several texts each tells less
                finding = replace(
                    finding, needed=None if needed is None else math.ceil(needed * worth)
                )
            yield self._with_left_out(
                finding, dataset, Slice("accuracy", name[1] if name[:1] == ("table",) else None)
            )

    def _name(self, path: Path) -> str:
        return ".".join(path)


def _judged(found: Bounds, sign: int, limit: float, said: str, strict: bool = False) -> Finding:
    """sign 1: the value must not be below the limit, -1: not above. strict: nor at it."""
    low, high = (found.low, found.high) if sign > 0 else (-found.high, -found.low)
    slack = low - sign * limit
    said += f" [{found.low:.4g}, {found.high:.4g}]" if found.low != found.high else ""
    if low > sign * limit or (low == sign * limit and not strict):
        return Finding("pass", said, slack)
    if high < sign * limit or (high == sign * limit and strict):
        return Finding("fail", said, slack)
    return Finding("undecided", said, slack, found.needed_at(limit))
