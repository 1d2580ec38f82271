"""ratios: how much faster, larger or heavier an artifact is now: new / old, with an interval where it was measured in rounds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec.compare.evidence import Evidence, leaves
from lmspec.compare.report import Ratio, Verdict
from lmspec.compare.revision import Revision, number
from lmspec.errors import some
from lmspec.language import nouns
from lmspec.pipeline import paths
from lmspec.specs.results import Metric
from lmspec.statistics import exact
from lmspec.statistics.bootstrap import SEED

Floats = NDArray[np.float64]
LEVEL, CONFIDENCE = 0.05, 0.95
REPLICATES = 10_000
IN_ROUNDS = "in turn with {against}, whose own change is taken out; two runs"
APART = "in two runs, with nothing that tells the speed of the machine in each"
OTHERWISE = "in two runs, with other versions of what may have changed {against} too: {packages}"


@dataclass(frozen=True)
class Rounds:
    """log(new / old) of what was measured in rounds: of the medians, and in replicates.

    least  the smallest share of cases that so few rounds can tell from chance
    """

    value: float
    replicates: Floats
    p: float
    least: float

    def bound(self, level: float) -> float:
        """Of new / old: below it lies that share of the replicates; 0 or infinity where the rounds are too few to tell."""
        if min(level, 1 - level) < self.least:
            return 0.0 if level < 0.5 else math.inf
        return float(np.exp(np.quantile(self.replicates, level)))


def ratios(evidence: Evidence, artifacts: Sequence[str]) -> Iterator[Ratio]:
    """Of those artifacts, which both sides have, whose numbers differ."""
    found = [ratio for name in artifacts for ratio in _of(evidence, name)]
    tested = [i for i, ratio in enumerate(found) if ratio.p is not None]
    corrected, _ = exact.holm([found[i].p or 0.0 for i in tested])
    for i, p in zip(tested, corrected, strict=True):
        found[i] = replace(found[i], p=p, verdict=_verdict(found[i], p <= LEVEL))
    yield from found


def _of(evidence: Evidence, name: str) -> Iterator[Ratio]:
    old, new = (
        dict(leaves(r.metrics(evidence.name(s, name))))
        for s, r in (("old", evidence.old), ("new", evidence.new))
    )
    for path, after in new.items():
        values = number(old.get(path)), number(after)
        label = ".".join(path)
        if (
            values[0] is None
            or values[1] is None
            or values[0] <= 0
            or values[1] <= 0
            or values[0] == values[1]
        ):
            continue
        plain = Ratio(
            f"{name}.{label}", values[0], values[1], values[1] / values[0], "lower", "untested"
        )
        metric = nouns.metric(name, path)
        if metric is None or metric.see:  # another metric is compared in its place
            continue
        if metric.evidence == "size":
            yield replace(plain, verdict=_verdict(plain, True), method="exact")
        elif metric.evidence == "peak":
            yield replace(plain, method="measured once in each commit")
        elif metric.column:
            yield _timed(evidence, name, metric, plain)


def _timed(evidence: Evidence, name: str, metric: Metric, plain: Ratio) -> Ratio:
    plain = replace(plain, better=metric.better or "lower")
    found = rounds(evidence, name, metric.column)
    if isinstance(found, str):
        return replace(plain, method=found)
    against = evidence.new.artifacts[name].get("against")
    return replace(
        plain,
        ratio=float(np.exp(found.value)),
        interval=(found.bound((1 - CONFIDENCE) / 2), found.bound((1 + CONFIDENCE) / 2)),
        p=found.p,
        method=IN_ROUNDS.format(against=against),
    )


def rounds(evidence: Evidence, name: str, column: str | None) -> Rounds | str:
    """What both sides' rounds tell of a latency or throughput.

    Or why they tell nothing: a side has none, or they were run against another model, or otherwise, or with other versions.
    """
    sides = [(evidence.old, evidence.name("old", name)), (evidence.new, name)]
    settings = [_setting(*side) for side in sides]
    if column is None or settings[0] is None or settings[0] != settings[1]:
        return APART
    versions = [_versions(*side) for side in sides]
    others = [
        package
        for package, version in versions[0].items()
        if versions[1].get(package, version) != version
    ]
    if others:
        return OTHERWISE.format(
            against=evidence.new.artifacts[name].get("against"), packages=some(others)
        )
    old, new = (_logs(revision.table(artifact, "rounds"), column) for revision, artifact in sides)
    if old is None or new is None:
        return APART
    rng = np.random.default_rng([SEED, len(old), len(new)])
    value = float(np.median(new) - np.median(old))
    drawn = [
        np.median(side[rng.integers(0, len(side), (REPLICATES, len(side)))], axis=1)
        for side in (old, new)
    ]
    both = np.concatenate([old, new])
    shuffled = both[np.argsort(rng.random((REPLICATES, len(both))), axis=1)]
    apart = np.median(shuffled[:, len(old) :], axis=1) - np.median(shuffled[:, : len(old)], axis=1)
    p = (int((np.abs(apart) >= abs(value) * (1 - 1e-12)).sum()) + 1) / (REPLICATES + 1)
    return Rounds(value, drawn[1] - drawn[0], p, 1 / math.comb(len(both), len(old)))


def _logs(table: Mapping[str, Sequence[str]] | None, column: str) -> Floats | None:
    """(rounds,) logarithm of what was measured, relative to the other contestant in the same round."""
    try:
        sides = [
            np.array((table or {})[f"{side}_{column}"], np.float64) for side in ("of", "against")
        ]
    except (KeyError, ValueError):
        return None
    if len(sides[0]) < 2 or not all((side > 0).all() and np.isfinite(side).all() for side in sides):
        return None
    found: Floats = np.log(sides[0]) - np.log(sides[1])
    return found


def _setting(revision: Revision, name: str) -> tuple[object, ...] | None:
    """What two runs must have in common: texts, and all that was measured with, by its content, but for the artifact itself.

    None if no record says what that was.
    """
    spec = revision.artifacts.get(name, {})
    entries = _entries(revision, name)
    folders = {
        str(entry.get("name")): str(entry.get("digest"))
        for entry in entries
        if str(entry.get("name")).startswith("data/")
    }
    if paths.folder(str(spec.get("against"))) not in folders:
        return None
    folders.pop(paths.folder(str(spec.get("of"))), None)
    return *(spec.get(field) for field in ("texts", "batch_size")), *sorted(folders.items())


def _versions(revision: Revision, name: str) -> dict[str, str]:
    """Package -> its version, of those that the stage executes."""
    found = {}
    for entry in _entries(revision, name):
        notes = entry.get("annotations")
        if not (isinstance(notes, Mapping) and notes.get("declared") is False):
            package, _, version = str(entry.get("uri", "")).removeprefix("pkg:pypi/").partition("@")
            found[package] = version
    return found


def _entries(revision: Revision, name: str) -> Sequence[Mapping[str, Any]]:
    """What its build was made from, by its record."""
    statement = revision.provenance(name) or {}
    found: Sequence[Mapping[str, Any]] = (
        statement.get("predicate", {}).get("buildDefinition", {}).get("resolvedDependencies", ())
    )
    return found


def _verdict(ratio: Ratio, tells: bool) -> Verdict:
    if not tells:
        return "~"
    return "better" if (ratio.ratio > 1) == (ratio.better == "higher") else "worse"
