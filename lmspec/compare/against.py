"""against: what a metric is held against in its own commit: a constant answer, or other scores."""

import functools
from collections.abc import Mapping

import numpy as np

from lmspec.compare.artifact import Artifact, Recount
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.revision import Unavailable
from lmspec.methods import majority
from lmspec.specs import gates as specs
from lmspec.specs.names import MetricPath
from lmspec.statistics import predictions
from lmspec.statistics.paired import Sample, SplitMetric
from lmspec.statistics.predictions import Predictions

BASELINE, MAJORITY = specs.BASELINE, specs.MAJORITY
NO_PROBABILITIES = "the constant answer has no probabilities"
NO_LABELS = "answers in words have no majority label"


def of(gate: specs.Gate) -> str | None:
    """What a gate holds its metric against; None for a kind that looks at the candidate alone."""
    return gate.against if isinstance(gate, specs.Comparing) else None


def is_within(gate: specs.Gate) -> bool:
    """Does it hold an artifact against something of the same commit, without any baseline?"""
    return of(gate) not in (None, BASELINE)


class Majority(Artifact):
    """The constant answer to a test split, on the examples and by the metrics of some scores.

    It is the most frequent label of the test split, of several the first in the alphabet.
    """

    def __init__(self, scores: Artifact) -> None:
        super().__init__(scores.revision, scores.name, scores.out_of_date, "the majority label")
        self.scores = scores

    @functools.cached_property
    def predictions(self) -> Mapping[str, Predictions]:
        """Dataset -> the constant answer to each of its test examples; none to those in words."""
        return {
            name: _constant(answers)
            for name, answers in self.scores.predictions.items()
            if isinstance(answers, Predictions)
        }

    def sample(self, dataset: str) -> Sample | Unavailable:
        """The constant answer to a test split, or why there is none."""
        reason = self.lacks(dataset)
        return super().sample(dataset) if reason is None else Unavailable(reason)

    def lacks(self, dataset: str, metric: SplitMetric | None = None) -> str | None:
        """Why there is no constant answer, or no such metric of it; None if there is."""
        if not isinstance(self.scores.predictions.get(dataset), Predictions | None):
            return NO_LABELS
        return NO_PROBABILITIES if metric is not None and not metric.of_answers else None

    def answer(self, dataset: str) -> str | None:
        """The constant answer to a test split; None if git has no predictions of it."""
        answers = self.predictions.get(dataset)
        return answers.predicted[0] if answers and answers.predicted else None

    def table_id(self, report: str) -> str | None:
        """None: it is in no file."""
        return None

    def recount(self, dataset: str, metric: SplitMetric) -> Recount | None:
        """None: no file states its metrics."""
        return None


def _constant(answers: Predictions) -> Predictions:
    size = len(answers.id)
    label, _ = majority.most_frequent(answers.label) if size else ("", 0)
    right = np.array([own == label for own in answers.label], np.float64)
    columns = answers.id, answers.table, answers.group, answers.label, (label,) * size
    return predictions.of_columns(columns, np.ones(size), right)


def pair(
    compared: ArtifactPair, against: str | None, out_of_date: Mapping[str, str]
) -> ArtifactPair:
    """The candidate beside what it is held against.

    compared     the artifact in both commits
    out_of_date  artifact of the candidate's commit -> why it is
    """
    candidate = compared.candidate
    if against in (None, BASELINE):
        return compared
    if against == MAJORITY:
        return ArtifactPair(Majority(candidate), candidate)
    other = Artifact(candidate.revision, against, out_of_date.get(against), against)
    return ArtifactPair(other, candidate)


def in_words(against: str) -> str:
    """As a demand names it."""
    return {BASELINE: "the baseline", MAJORITY: "the majority label"}.get(against, against)


def observed(reference: Artifact, path: MetricPath) -> str:
    """The same beside a value: with the label that is always answered."""
    label = reference.answer(path[0]) if isinstance(reference, Majority) else None
    return reference.called if label is None else f"always {label!r}"
