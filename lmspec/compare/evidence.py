"""evidence: the artifacts of two revisions in pairs, with the predictions that tests need."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lmspec.compare import graded, naming
from lmspec.compare.artifact import Artifact
from lmspec.compare.caching import cached
from lmspec.compare.report import Better
from lmspec.compare.revision import Revision, Unavailable
from lmspec.specs.names import MetricPath
from lmspec.statistics import predictions
from lmspec.statistics.answers import TextScale
from lmspec.statistics.lacking import Lacking, lacking
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric, split_metric
from lmspec.statistics.predictions import SMALLEST, Scale
from lmspec.statistics.sides import Measure, Side

NOT_DERIVABLE = Unavailable("it does not follow from the predictions")


class ArtifactPair:
    """One artifact in the baseline and in the candidate, under the name it has in each.

    An end whose spec does not declare the artifact has `exists` false. Predictions are paired once.
    """

    def __init__(self, baseline: Artifact, candidate: Artifact) -> None:
        self.baseline, self.candidate = baseline, candidate
        self.name = candidate.name if candidate.exists else baseline.name
        self.noun = candidate.noun

    def __iter__(self) -> Iterator[Artifact]:
        yield self.baseline
        yield self.candidate

    @property
    def in_both(self) -> bool:
        """Do both specs declare it?"""
        return self.baseline.exists and self.candidate.exists

    @property
    def has_examples(self) -> bool:
        """Do its metrics follow from a table with a row for each example, or case?"""
        return self.candidate.has_examples

    @property
    def worth(self) -> float:
        """Independent examples that a pair of them counts for."""
        return min(end.worth for end in self)

    @property
    def same_predictions(self) -> bool:
        """Is the committed table of predictions the same file in both? Then none needs reading."""
        ids = [end.table_id(end.examples_table) for end in self]
        return ids[0] is not None and ids[0] == ids[1]

    @cached
    def sample(self, dataset: str) -> PairedSample | Unavailable:
        """The predictions of both on one test split, or why they cannot be paired."""
        baseline, candidate = (end.sample(dataset) for end in self)
        if isinstance(baseline, Unavailable):
            return baseline
        if isinstance(candidate, Unavailable):
            return candidate
        if baseline.predictions.form != candidate.predictions.form:
            forms = f"{baseline.predictions.form}, and {candidate.predictions.form}"
            return Unavailable(f"other answers: {forms}")
        labels = baseline.scale.labels, candidate.scale.labels
        if set(labels[0]) != set(labels[1]):
            return Unavailable(f"other labels: {', '.join(labels[0])}, and {', '.join(labels[1])}")
        pairs = predictions.pair(baseline.predictions, candidate.predictions)
        if not pairs.baseline.id:
            if pairs.relabelled:
                return Unavailable(
                    f"another test set: all {pairs.relabelled:,} common examples were relabelled"
                )
            sizes = [len(sample.predictions.id) for sample in (baseline, candidate)]
            return Unavailable(
                f"another test set: no example in common, of {sizes[0]:,} and {sizes[1]:,}"
            )
        scale = baseline.scale
        if isinstance(scale, TextScale) and isinstance(candidate.scale, TextScale):
            scale = scale.common(candidate.scale)
        paired = PairedSample(pairs, scale, self.same_predictions, self.worth)
        # two files may differ in line ends, quotes and the order of rows alone
        paired.same = paired.same or not (
            pairs.left_out or pairs.relabelled or pairs.moved or paired.differing.any()
        )
        return paired

    @cached
    def lacking(self, dataset: str) -> Lacking | None:
        """Test examples of the baseline that the candidate lacks; None if none, or if unknown."""
        baseline, candidate = (end.sample(dataset) for end in self)
        if isinstance(baseline, Unavailable) or isinstance(candidate, Unavailable):
            return None
        if self.same_predictions or baseline.predictions.form != candidate.predictions.form:
            return None
        return lacking(baseline.predictions, candidate.predictions)

    def lacking_note(self, dataset: str, table: str | None) -> str | None:
        """What counts as wrong in a metric of a table (None: of all), in words; None if nothing."""
        lacks = self.lacking(dataset)
        return None if lacks is None else lacks.note(table)

    def cautious_p(self, path: MetricPath, difference: float, p: float, better: Better) -> float:
        """p of a difference. For a gain, at least the p with lacking examples counted as wrong."""
        metric, whole = split_metric(path[1:]), self.whole(path[0])
        if (
            whole is None
            or self.lacking_note(path[0], metric.table) is None
            or (difference > 0) != (better == "higher")
        ):
            return p
        whole, metric = graded.of_pairs(whole, metric)
        estimate = whole.difference(metric)
        return max(p, whole.p(metric, estimate)[0]) if estimate.value * difference > 0 else 1.0

    @cached
    def whole(self, dataset: str) -> PairedSample | None:
        """All test examples of the baseline, if the candidate lacks some; those count as wrong."""
        lacks = self.lacking(dataset)
        if lacks is None:
            return None
        scale = self._scale(dataset, lacks.pairs.candidate)
        return PairedSample(lacks.pairs, scale, same=False, worth=self.worth)

    @cached
    def levels(self, dataset: str) -> list[Sample]:
        """The candidate's answers, in the groups of either revision; empty if it has none.

        If its test set lacks examples of the baseline, a second sample counts those as wrong.
        """
        baseline, candidate = (end.sample(dataset) for end in self)
        if isinstance(candidate, Unavailable):
            return []
        if isinstance(baseline, Unavailable) or self.same_predictions:
            return [candidate]
        old, new = baseline.predictions, candidate.predictions
        if old.form != new.form:
            return [candidate]
        if old.id != new.id or old.group != new.group:
            candidate = replace(candidate, joined=predictions.groups_of_either(old, new))
        lacks = self.lacking(dataset)
        if lacks is None:
            return [candidate]
        joined = predictions.groups_of_either(old, lacks.every)
        scale, worth = self._scale(dataset, lacks.every), candidate.worth
        return [candidate, Sample(lacks.every, scale, joined, worth)]

    def _scale(self, dataset: str, answers: Side) -> Measure:
        """A scale with the labels of both revisions and the answers, and the candidate's bins."""
        candidate, baseline = (end.sample(dataset).scale for end in reversed([*self]))
        if isinstance(candidate, TextScale) and isinstance(baseline, TextScale):
            return candidate.common(baseline)
        assert isinstance(candidate, Scale)  # `lacking` compares like with like
        labels = (*candidate.labels, *baseline.labels, *answers.predicted)
        return Scale(tuple(dict.fromkeys(labels)), candidate.bins)

    def testable(self, path: MetricPath) -> PairedSample | Unavailable:
        """The predictions that a metric of a test split follows from in both, or why none do."""
        dataset, metric = path[0], split_metric(path[1:])
        paired = self.sample(dataset)
        if isinstance(paired, Unavailable):
            return paired
        if metric.table is not None and metric.table not in paired.pairs.strata.tables:
            return Unavailable(f"another test set: no example of {metric.table} in common")
        if not paired.scale.computes(metric.name):
            return NOT_DERIVABLE
        if reason := paired.no_example(metric):
            return Unavailable(f"{reason} in common")
        reason = self._scorers_differ(dataset, metric) or self._hidden(dataset, metric)
        return Unavailable(reason) if reason else paired

    def _scorers_differ(self, dataset: str, metric: SplitMetric) -> str | None:
        """Why the two values were not computed alike; None if they were."""
        bins = [end.calibration_bins for end in self]
        if metric.name == "expected_calibration_error" and bins[0] != bins[1]:
            return f"another scorer: {bins[0]} and {bins[1]} bins"
        return next(filter(None, (end.disagreement(dataset, metric) for end in self)), None)

    def _hidden(self, dataset: str, metric: SplitMetric) -> str | None:
        """How much of a log loss' difference is due to probabilities written as 0; None if none."""
        if metric.name != "log_loss":
            return None
        baseline, candidate = (end.recount(dataset, metric) for end in self)
        if baseline is None or candidate is None:
            return None
        hidden = (candidate.stated - candidate.counted) - (baseline.stated - baseline.counted)
        if abs(hidden) <= baseline.rounding + candidate.rounding:
            return None
        return (
            f"{hidden:+.4g} of it is due to probabilities below {SMALLEST:g}, "
            "which the predictions write as 0"
        )


class Evidence:
    """All artifacts of two revisions; renames are resolved here, once.

    pairs        by the candidate's name in its order, then what only the baseline has
    out_of_date  per revision: artifact -> why its metrics are not what the spec would build
    """

    def __init__(
        self,
        baseline: Revision,
        candidate: Revision,
        out_of_date: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    ) -> None:
        self.baseline, self.candidate, self.out_of_date = baseline, candidate, out_of_date
        former = {name: name for name in candidate.artifacts if name in baseline.artifacts}
        former |= naming.renamed(baseline.artifacts, candidate.artifacts)
        removed = [name for name in baseline.artifacts if name not in former.values()]
        self.pairs = {
            name: ArtifactPair(
                _at(baseline, former.get(name, name), out_of_date[0]),
                _at(candidate, name, out_of_date[1]),
            )
            for name in (*candidate.artifacts, *removed)
        }

    def pair(self, name: str) -> ArtifactPair:
        """An artifact by the candidate's name; by the baseline's if the candidate has no such."""
        if name not in self.pairs:
            return ArtifactPair(Artifact(self.baseline, name), Artifact(self.candidate, name))
        return self.pairs[name]

    @property
    def in_both(self) -> list[ArtifactPair]:
        """Pairs that both specs declare."""
        return [pair for pair in self.pairs.values() if pair.in_both]


def _at(revision: Revision, name: str, out_of_date: Mapping[str, str]) -> Artifact:
    return Artifact(revision, name, out_of_date.get(name))
