"""question: which metrics to explain, under their names in either commit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lmspec.attribution import factors
from lmspec.attribution.design import Mix
from lmspec.attribution.effects import Measurement
from lmspec.compare import out_of_date
from lmspec.compare.artifact import Artifact, leaves
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.revision import Revision, Unavailable
from lmspec.compare.untested import is_measured
from lmspec.errors import LmspecError
from lmspec.history import metric_lookup
from lmspec.language import metric_names, suggest
from lmspec.specs.names import ArtifactName, MetricPath

BY_DEFAULT = ("accuracy", "macro_f1")


@dataclass(frozen=True)
class MetricPair:
    """A metric in both commits. path: within the metrics of its artifact."""

    artifacts: ArtifactPair
    path: MetricPath

    @property
    def name(self) -> str:
        """As `lmspec diff` has it."""
        return f"{self.artifacts.name}.{'.'.join(self.path)}"

    def artifact(self, mix: Mix) -> str:
        """What its artifact is called in a mix, whose data or spec declares it."""
        baseline, candidate = self.artifacts
        return (candidate if factors.of_section(candidate.noun) in mix else baseline).name

    def measure(self, mix: Mix, revision: Revision) -> Measurement | None:
        """The metric of a built mix; None if it has none.

        Everything needed is read now: the files of a mix are deleted afterwards.
        """
        artifact = Artifact(revision, self.artifact(mix))
        value = artifact.number(self.path)
        if value is None:
            return None
        if artifact.noun == "scores" and len(self.path) > 1:
            return Measurement(value, artifact.sample(self.path[0]))
        return Measurement(value, Unavailable("git keeps nothing that tells its spread"))


def metrics(baseline: Revision, candidate: Revision, names: Sequence[str]) -> list[MetricPair]:
    """The metrics of those names, or the default ones that changed.

    Raises LmspecError for a metric that a commit lacks, that is measured, or that is out of date;
    and if the commits have none in common.
    """
    reasons = out_of_date.artifacts(baseline), out_of_date.artifacts(candidate)
    common = {
        metric.name: metric for metric in _common(Evidence(baseline, candidate, reasons).in_both)
    }
    if not common:
        raise LmspecError(
            f"{baseline.name}, {candidate.name}",
            "they have no metric in common",
            "name commits that hold the results of `dvc repro`",
        )
    for name in names:
        _require(name, common, baseline, candidate)
    chosen = [common[name] for name in dict.fromkeys(names)]
    if not names:
        changed = [
            metric
            for metric in common.values()
            if len({end.number(metric.path) for end in metric.artifacts}) > 1
        ]
        chosen = _gated(candidate, changed) or _scored(changed)
    for end in (end for metric in chosen for end in metric.artifacts):
        if end.out_of_date is not None:
            raise LmspecError(
                f"{end.revision.name}: {end.name}",
                f"it is out of date: {end.out_of_date}",
                "check that commit out, `dvc repro`, and commit the results",
            )
    return chosen


def _common(pairs: Sequence[ArtifactPair]) -> Iterator[MetricPair]:
    """Every metric that is a number in both commits."""
    for pair in pairs:
        for path, _ in leaves(pair.candidate.metrics):
            if all(end.number(path) is not None for end in pair):
                yield MetricPair(pair, path)


def _require(
    name: str, common: Mapping[str, MetricPair], baseline: Revision, candidate: Revision
) -> None:
    if is_measured(name):
        reason = "it is measured, and differs from one measurement to the next"
        raise LmspecError(name, reason, "name a metric that is computed")
    if name not in common:
        near = suggest.nearest(name, common)
        remedy = f"did you mean '{near}'?" if near else "`lmspec diff --all` lists the metrics"
        reason = f"{baseline.name} and {candidate.name} do not both have such a number"
        raise LmspecError(name, reason, remedy)


def _gated(candidate: Revision, changed: Sequence[MetricPair]) -> list[MetricPair]:
    """Those that gates are about, in the order of the gates; an invalid gate is skipped."""
    section = candidate.params.get("gates")
    gates = section.values() if isinstance(section, dict) else ()
    patterns = [
        metric_lookup.pattern(str(gate.get("kind")), str(gate.get("metric")))
        for gate in gates
        if isinstance(gate, dict)
    ]
    return list(
        dict.fromkeys(
            metric
            for pattern in patterns
            for metric in changed
            if not is_measured(metric.name)
            and metric_names.matches(
                pattern, (*ArtifactName.parse(metric.artifacts.name), *metric.path)
            )
        )
    )


def _scored(changed: Sequence[MetricPair]) -> list[MetricPair]:
    return [
        metric
        for metric in changed
        if metric.artifacts.noun == "scores"
        and len(metric.path) == 2
        and metric.path[1] in BY_DEFAULT
    ]
