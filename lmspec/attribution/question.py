"""question: which metrics to explain, under their names in either commit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lmspec.attribution import factors
from lmspec.attribution.design import Mix
from lmspec.attribution.effects import Measurement
from lmspec.compare import out_of_date
from lmspec.compare.artifact import Artifact, leaves
from lmspec.compare.evidence import Evidence
from lmspec.compare.revision import Revision, Unavailable
from lmspec.compare.untested import is_measured
from lmspec.errors import LmspecError
from lmspec.history import metric_lookup
from lmspec.language import suggest
from lmspec.specs.names import ArtifactName, MetricName, MetricPath
from lmspec.statistics.paired import SplitMetric, split_metric

BY_DEFAULT = ("accuracy", "macro_f1", "exact_match", "chrf")


@dataclass(frozen=True)
class MetricPair:
    """baseline, candidate: its artifact's name in each commit; path: within the metrics."""

    baseline: ArtifactName
    candidate: ArtifactName
    path: MetricPath

    @property
    def name(self) -> str:
        """As `lmspec diff` has it."""
        return str(MetricName(self.candidate, self.path))

    def artifact(self, mix: Mix) -> ArtifactName:
        """Its name in a mix, whose data or spec declares it."""
        return self.candidate if factors.of_section(self.candidate.noun) in mix else self.baseline

    @property
    def of_split(self) -> SplitMetric:
        """What it is of the predictions on a test split."""
        return split_metric(self.path[1:])

    def measure(self, mix: Mix, revision: Revision) -> Measurement | None:
        """The metric of a built mix; None if it has none.

        Everything needed is read now: the files of a mix are deleted afterwards.
        """
        artifact = Artifact(revision, str(self.artifact(mix)))
        value = artifact.number(self.path)
        if value is None:
            return None
        if artifact.has_examples and len(self.path) > 1:
            return Measurement(value, artifact.sample(self.path[0]))
        return Measurement(value, Unavailable("git keeps nothing that tells its spread"))


def metrics(baseline: Revision, candidate: Revision, names: Sequence[str]) -> list[MetricPair]:
    """The metrics of those names, or the default ones that changed.

    Raises LmspecError for a metric that a commit lacks, that is measured, or that is out of date;
    and if the commits have none in common.
    """
    common = {pair.name: pair for pair in _common(baseline, candidate)}
    if not common:
        raise LmspecError(
            f"{baseline.name}, {candidate.name}",
            "they have no metric in common",
            "name commits that hold the results of `dvc repro`",
        )
    for name in names:
        _require(name, common, baseline, candidate)
    pairs = [common[name] for name in dict.fromkeys(names)]
    if not names:
        changed = [
            pair
            for pair in common.values()
            if baseline.number(str(pair.baseline), pair.path)
            != candidate.number(str(pair.candidate), pair.path)
        ]
        pairs = list(dict.fromkeys(_gated(candidate, changed))) or _scored(changed)
    for revision, artifacts in (
        (baseline, {str(pair.baseline) for pair in pairs}),
        (candidate, {str(pair.candidate) for pair in pairs}),
    ):
        for artifact, reason in out_of_date.artifacts(revision).items():
            if artifact in artifacts:
                raise LmspecError(
                    f"{revision.name}: {artifact}",
                    f"it is out of date: {reason}",
                    "check that commit out, `dvc repro`, and commit the results",
                )
    return pairs


def _common(baseline: Revision, candidate: Revision) -> Iterator[MetricPair]:
    """Every metric that is a number in both commits."""
    for pair in Evidence(baseline, candidate).in_both:
        old, new = (ArtifactName.parse(end.name) for end in pair)
        for path, _ in leaves(pair.candidate.metrics):
            if all(end.number(path) is not None for end in pair):
                yield MetricPair(old, new, path)


def _require(
    name: str, common: Mapping[str, MetricPair], baseline: Revision, candidate: Revision
) -> None:
    if is_measured(name):
        reason = "it is measured, and differs from one measurement to the next"
        raise LmspecError(name, reason, "name a metric that is computed")
    if name not in common:
        near = suggest.did_you_mean(suggest.nearest(name, common))
        reason = f"{baseline.name} and {candidate.name} do not both have such a number"
        raise LmspecError(name, reason, near or "`lmspec diff --all` lists the metrics")


def _gated(candidate: Revision, changed: Sequence[MetricPair]) -> Iterator[MetricPair]:
    """Those that gates are about, in the order of the gates; an invalid gate is skipped."""
    section = candidate.params.get("gates")
    for gate in section.values() if isinstance(section, dict) else ():
        if isinstance(gate, dict):
            wanted = metric_lookup.patterns(str(gate.get("kind")), str(gate.get("metric")))
            for pair in changed:
                path = (*pair.candidate, *pair.path)
                if not is_measured(pair.candidate.noun) and metric_lookup.is_about(wanted, path):
                    yield pair


def _scored(changed: Sequence[MetricPair]) -> list[MetricPair]:
    return [
        pair
        for pair in changed
        if pair.candidate.noun == "scores" and len(pair.path) == 2 and pair.path[1] in BY_DEFAULT
    ]
