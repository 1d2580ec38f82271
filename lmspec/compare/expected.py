"""expected: the metrics that a revision's spec promises: one that is absent is lost only if so."""

from lmspec.compare.artifact import EXAMINED, Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.revision import Revision
from lmspec.language import metric_names
from lmspec.language.resolved import Specs
from lmspec.specs.names import ArtifactName, MetricName, MetricPath

# what an invalid spec may raise here: that of an earlier commit need not be valid
UNSOUND = (KeyError, TypeError, AttributeError, ValueError, RecursionError)


def dropped(pair: ArtifactPair, path: MetricPath) -> bool:
    """Did the baseline's spec promise a metric that the candidate's does not, as a test set less?

    False if that is unknown. What was examined and is not out of date has all suites of its file.
    """
    baseline, candidate = pair
    if pair.noun == EXAMINED:
        return candidate.out_of_date is None
    try:
        promised = metric_names.computes(_specs(baseline.revision), _metric(baseline, path))
        return promised and path not in metric_names.paths(
            _specs(candidate.revision), ArtifactName.parse(candidate.name)
        )
    except UNSOUND:
        return False


def wanted(artifact: Artifact, pattern: MetricPath) -> list[MetricPath]:
    """The promised metrics that a pattern names; none if unknown.

    Of a corpus and its splits no more is known: a label or a reason to reject that no row has is
    not among their metrics. What is examined writes all suites of its file: one that is not there
    was not in the file.
    """
    if artifact.noun in ("corpus", "splits", EXAMINED):
        return []
    try:
        return metric_names.matching(_specs(artifact.revision), _metric(artifact, pattern))
    except UNSOUND:
        return []


def slices(artifact: Artifact) -> list[MetricPath]:
    """The test splits, classes and tables that flips are counted in; none if unknown."""
    try:
        return metric_names.flip_slices(
            _specs(artifact.revision), ArtifactName.parse(artifact.name)
        )
    except UNSOUND:
        return []


def _metric(artifact: Artifact, path: MetricPath) -> MetricName:
    return MetricName(ArtifactName.parse(artifact.name), path)


def _specs(revision: Revision) -> Specs:
    names = tuple(map(ArtifactName.parse, revision.artifacts))
    return Specs(revision.resolved, revision.params, names, (), {}, revision.tree.root)
