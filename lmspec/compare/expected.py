"""expected: which metrics the spec of a revision asks for: one that B lacks is lost only if it does."""

from lmspec.compare.evidence import Evidence
from lmspec.compare.revision import Revision
from lmspec.language import metric_names
from lmspec.language.resolved import Specs
from lmspec.specs.names import ArtifactName, MetricName

UNSOUND = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    RecursionError,
)  # what the spec of a commit may raise, which need be no sound one


def dropped(evidence: Evidence, artifact: str, path: tuple[str, ...]) -> bool:
    """Did the old spec ask for a metric, and does the new one not: as a test set that is scored no more?

    Not if that cannot be told. artifact: its new name
    """
    before, after = (
        MetricName(ArtifactName.parse(name), path)
        for name in (evidence.name("old", artifact), artifact)
    )
    try:
        return metric_names.computes(_specs(evidence.old), before) and (
            path not in metric_names.paths(_specs(evidence.new), after.artifact)
        )
    except UNSOUND:
        return False


def asked(side: Revision, artifact: str, pattern: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The metrics that a pattern names, of those that the spec of a side asks for; none if that cannot be told.

    Of a corpus and its splits no more is known: a label or a reason to reject that no row has is not among their metrics.
    """
    if artifact.startswith(("corpus.", "splits.")):
        return []
    try:
        return metric_names.matching(
            _specs(side), MetricName(ArtifactName.parse(artifact), pattern)
        )
    except UNSOUND:
        return []


def sides(side: Revision, artifact: str) -> list[tuple[str, ...]]:
    """What flips are counted in, by the spec of a side; none if that cannot be told."""
    try:
        return metric_names.flip_slices(_specs(side), ArtifactName.parse(artifact))
    except UNSOUND:
        return []


def _specs(side: Revision) -> Specs:
    return Specs(
        side.params, tuple(map(ArtifactName.parse, side.artifacts)), (), {}, side.tree.root
    )
