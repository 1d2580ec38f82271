"""ratios: candidate / baseline of latency, throughput, size and memory, tested over rounds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lmspec.compare.artifact import Artifact, leaves
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Ratio
from lmspec.compare.revision import number
from lmspec.compare.verdicts import CONFIDENCE, LEVEL, of_sizes, towards
from lmspec.errors import some
from lmspec.language import nouns
from lmspec.specs.checks.speed import company
from lmspec.specs.names import ArtifactName
from lmspec.specs.results import Metric
from lmspec.statistics import exact
from lmspec.statistics.arrays import Floats
from lmspec.statistics.bootstrap import SEED

REPLICATES = 10_000
IN_ROUNDS = "relative to {against}, measured in turn with it; two runs"
ONCE = "measured once in each commit"
APART = "in two runs, without a common reference for the speed of the machine"
OTHERWISE = "in two runs, and other versions of {packages} may have changed {against} too"


@dataclass(frozen=True)
class Rounds:
    """log(candidate / baseline) of the medians over rounds, and its replicates.

    least  the smallest p that so few rounds can give
    """

    value: float
    replicates: Floats
    p: float
    least: float

    def bound(self, level: float) -> float:
        """Bound of the ratio: that share of the replicates is below.

        0 or infinity where the rounds are too few for the level: of five against five, 99.6 %.
        """
        if min(level, 1 - level) < self.least:
            return 0.0 if level < 0.5 else math.inf
        return float(np.exp(np.quantile(self.replicates, level)))


def ratios(pairs: Sequence[ArtifactPair]) -> list[Ratio]:
    """Of all numbers that differ and can be compared so; p corrected after Holm."""
    measured = [ratio for pair in pairs for ratio in _of(pair)]
    tested = [i for i, ratio in enumerate(measured) if ratio.p is not None]
    corrected, _ = exact.holm([measured[i].p or 0.0 for i in tested])
    for i, p in zip(tested, corrected, strict=True):
        ratio = measured[i]
        verdict = towards(ratio.ratio - 1, ratio.better) if p <= LEVEL else "inconclusive"
        measured[i] = replace(ratio, p=p, verdict=verdict)
    return measured


def _of(pair: ArtifactPair) -> Iterator[Ratio]:
    before, after = (dict(leaves(end.metrics)) for end in pair)
    for path, value in after.items():
        baseline, candidate = number(before.get(path)), number(value)
        if not baseline or not candidate or min(baseline, candidate) < 0 or baseline == candidate:
            continue
        ratio = Ratio(
            f"{pair.name}.{'.'.join(path)}",
            baseline,
            candidate,
            candidate / baseline,
            "lower",
            "untested",
        )
        metric = nouns.metric(pair.name, path)
        if metric is None or metric.see:  # another metric is compared in its place
            continue
        if metric.evidence == "size":
            verdict = of_sizes(candidate - baseline, baseline, ratio.better)
            if verdict != "same":
                yield replace(ratio, verdict=verdict, method="exact")
        elif metric.evidence == "peak":
            yield replace(ratio, method=ONCE)
        elif metric.column:
            yield _timed(pair, metric, ratio)


def _timed(pair: ArtifactPair, metric: Metric, ratio: Ratio) -> Ratio:
    ratio = replace(ratio, better=metric.better or "lower")
    timing = rounds(pair, metric.column)
    if isinstance(timing, str):
        return replace(ratio, method=timing)
    low, high = (timing.bound((1 + sign * CONFIDENCE) / 2) for sign in (-1, 1))
    return replace(
        ratio,
        ratio=float(np.exp(timing.value)),
        interval=(low, high) if math.isfinite(high) else None,  # of too few rounds
        p=timing.p,
        method=IN_ROUNDS.format(against=pair.candidate.spec.get("against")) + _company(pair),
    )


def _company(pair: ArtifactPair) -> str:
    """Which of the two runs was not alone on its machine, in words."""
    ends = dict.fromkeys((pair.baseline, pair.candidate))
    found = ((end, company(end.number(("others_share",)))) for end in ends)
    return "".join(f"; {end.revision.name} was {what}" for end, what in found if what)


def rounds(pair: ArtifactPair, column: str | None) -> Rounds | str:
    """The ratio of a latency or throughput over the rounds of both runs, or why there is none.

    Each run measures the artifact in turn with a reference model; the quotient of the two takes
    out the speed of the machine. So both runs need the same reference, texts and versions.
    """
    settings = [_setting(end) for end in pair]
    if column is None or settings[0] is None or settings[0] != settings[1]:
        return APART
    before, after = (_versions(end) for end in pair)
    others = [name for name, version in before.items() if after.get(name, version) != version]
    if others:
        against = pair.candidate.spec.get("against")
        return OTHERWISE.format(against=against, packages=some(others))
    baseline, candidate = (_logs(end.table("rounds"), column) for end in pair)
    if baseline is None or candidate is None:
        return APART
    return _compared(baseline, candidate)


def _compared(baseline: Floats, candidate: Floats) -> Rounds:
    """Bootstrap of the difference of the medians, and its permutation test."""
    rng = np.random.default_rng([SEED, len(baseline), len(candidate)])
    value = float(np.median(candidate) - np.median(baseline))
    drawn_old, drawn_new = (
        np.median(logs[rng.integers(0, len(logs), (REPLICATES, len(logs)))], axis=1)
        for logs in (baseline, candidate)
    )  # (replicates,) each
    pooled = np.concatenate([baseline, candidate])
    shuffled = pooled[np.argsort(rng.random((REPLICATES, len(pooled))), axis=1)]
    permuted = np.median(shuffled[:, len(baseline) :], axis=1) - np.median(
        shuffled[:, : len(baseline)], axis=1
    )
    far = int((np.abs(permuted) >= abs(value) * (1 - 1e-12)).sum())
    least = 1 / math.comb(len(pooled), len(baseline))
    return Rounds(value, drawn_new - drawn_old, (far + 1) / (REPLICATES + 1), least)


def _logs(table: Mapping[str, Sequence[str]] | None, column: str) -> Floats | None:
    """(rounds,) logarithm of the measurement relative to the reference in the same round."""
    try:
        own, reference = (
            np.array((table or {})[f"{contestant}_{column}"], np.float64)
            for contestant in ("of", "against")
        )
    except (KeyError, ValueError):
        return None
    if len(own) < 2 or not all((x > 0).all() and np.isfinite(x).all() for x in (own, reference)):
        return None
    return np.asarray(np.log(own) - np.log(reference))


def _setting(artifact: Artifact) -> tuple[object, ...] | None:
    """What two runs must share: texts, and the content of all inputs but the artifact timed.

    None if the provenance does not tell.
    """
    spec, provenance = artifact.spec, artifact.revision.provenance(artifact.name)
    if provenance is None:
        return None
    folders = {
        name: str(entry.get("digest"))
        for name, entry in provenance.inputs.items()
        if name.startswith("data/")
    }
    if ArtifactName.parse(str(spec.get("against"))).folder not in folders:
        return None
    folders.pop(ArtifactName.parse(str(spec.get("of"))).folder, None)
    settings = (spec.get(field) for field in ("texts", "batch_size", "generation"))
    return *settings, *sorted(folders.items())


def _versions(artifact: Artifact) -> Mapping[str, str]:
    """Package -> version, of those that the stage executes."""
    provenance = artifact.revision.provenance(artifact.name)
    return provenance.packages if provenance else {}
