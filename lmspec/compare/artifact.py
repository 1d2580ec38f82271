"""artifact: one artifact in one revision: its spec, metrics, and the answers behind them."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lmspec.compare import answers, cases
from lmspec.compare.caching import cached
from lmspec.compare.revision import Metrics, Revision, Table, Unavailable, at
from lmspec.language import nouns
from lmspec.specs.names import ArtifactName, MetricPath
from lmspec.statistics import predictions
from lmspec.statistics.answers import Answers, TextScale
from lmspec.statistics.paired import Sample, SplitMetric, split_metric
from lmspec.statistics.predictions import Scale
from lmspec.statistics.sides import Side

NO_PREDICTIONS = "keeps no predictions"
BINS = 15  # of the calibration error, where the spec names no number
EXAMINED = "examined"
FOLDS = "folds"
# What a row of folds counts for, beside one of a test split: models of the folds have learned from
# each other's rows, so their mean accuracy varies more. Measured: bench/folds.py.
WORTH_OF_FOLDS = 0.8
WITH_EXAMPLES = ("scores", EXAMINED)  # nouns of which git has a row for each example


@dataclass(frozen=True)
class Recount:
    """A metric as its file states it, and as the committed predictions give it.

    slack     largest gap that rounding of the predictions explains
    rounding  the same for a log loss, without what may hide in probabilities written as 0
    """

    stated: float
    counted: float
    slack: float
    rounding: float


class Artifact:
    """An artifact by the name it has in a revision. Tables and samples are read once.

    out_of_date  why its metrics are not what the revision's own spec would build; None if they are
    called       what messages call this end of a comparison: the revision, unless given
    """

    def __init__(
        self,
        revision: Revision,
        name: str,
        out_of_date: str | None = None,
        called: str | None = None,
    ) -> None:
        self.revision, self.name, self.out_of_date = revision, name, out_of_date
        self.called = called or revision.name
        self.noun = ArtifactName.parse(name).noun

    @property
    def exists(self) -> bool:
        """Does the revision's spec declare it?"""
        return self.name in self.revision.artifacts

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its section of params.yaml; empty if it is not declared."""
        return self.revision.artifacts.get(self.name, {})

    @property
    def metrics(self) -> Metrics:
        """Its metrics file, nested, or why it cannot be read."""
        return self.revision.metrics(self.name)

    @property
    def has_examples(self) -> bool:
        """Do its metrics follow from a table with a row for each example, or case?"""
        return self.noun in WITH_EXAMPLES

    def number(self, path: MetricPath) -> float | None:
        """A metric; None if it is not a finite number."""
        return self.revision.number(self.name, path)

    @cached
    def table(self, report: str) -> Table | None:
        """One of its committed tables, by column."""
        return self.revision.table(self.name, report)

    def table_id(self, report: str) -> str | None:
        """git's object id of that table."""
        return self.revision.table_id(self.name, report)

    @property
    def worth(self) -> float:
        """Independent examples that one of its examples counts for."""
        is_folded = str(self.spec.get("of")).partition(".")[0] == FOLDS
        return WORTH_OF_FOLDS if is_folded and self.noun == "scores" else 1.0

    @functools.cached_property
    def kind(self) -> str | None:
        """Of the architecture that it has, or that what it was made from has; None if unknown."""
        artifacts, name = self.revision.artifacts, self.name
        for _ in artifacts:  # no line is longer, whatever an invalid spec refers to
            field = nouns.of(name.partition(".")[0]).origin
            if field is None or name not in artifacts:
                break
            name = str(artifacts[name].get(field))
        architecture = artifacts.get(name, {}).get("architecture")
        found = architecture.get("kind") if isinstance(architecture, Mapping) else None
        return None if found is None else str(found)

    @property
    def examples_table(self) -> str:
        """The table that has a row for each example, by what its spec says is scored."""
        if self.noun == EXAMINED:
            return cases.TABLE
        ways = {"generation": "answers", "choices": "choices"}
        return next((ways[way] for way in ways if self.spec.get(way) is not None), "predictions")

    @functools.cached_property
    def predictions(self) -> Mapping[str, Side]:
        """Dataset -> labels predicted on its test split, or texts; of a suite what passes.

        Empty if git has none.
        """
        if self.noun == EXAMINED:
            return {suite: side for suite, (side, _) in self._cases.items()}
        if self.examples_table != "predictions":
            return self._answers[0]
        return predictions.read(self.table("predictions")) or {}

    @functools.cached_property
    def _cases(self) -> Mapping[str, tuple[Answers, TextScale]]:
        return cases.read(self.table(cases.TABLE))

    @functools.cached_property
    def _answers(self) -> tuple[Mapping[str, Answers], TextScale]:
        ways = self.revision.directions(self.name)
        lower = [name for name, way in ways.items() if way == "lower"]
        return answers.read(self.table(self.examples_table), lower) or ({}, TextScale({}))

    @cached
    def sample(self, dataset: str) -> Sample | Unavailable:
        """Its predictions on one test split, or why they cannot be used."""
        side, revision = self.predictions.get(dataset), self.called
        if side is None or not side.id:
            return Unavailable(f"{revision} {NO_PREDICTIONS} of {dataset}")
        stated = self.number((dataset, "examples"))
        if stated is not None and stated != len(side.id):
            return Unavailable(
                f"the predictions of {revision} have {len(side.id):,} examples of {dataset}, "
                f"its metrics {stated:,.0f}"
            )
        if len(set(side.id)) < len(side.id):
            return Unavailable(f"the predictions of {revision} repeat an example of {dataset}")
        if isinstance(side, Answers):
            own = self._cases[dataset] if self.noun == EXAMINED else self._answers
            return Sample(side, own[1])
        classes, used = at(self.metrics, (dataset, "f1")), {*side.label, *side.predicted}
        labels = tuple(classes if isinstance(classes, dict) else sorted(used))
        if unknown := used - set(labels):
            return Unavailable(
                f"the predictions of {revision} hold the label {min(unknown)!r}, "
                "and its metrics do not"
            )
        return Sample(side, Scale(labels, self.calibration_bins), worth=self.worth)

    def no_example(self, path: MetricPath) -> str | None:
        """`no example of 'rare'` if the metric's class or table has none in its test split.

        None if it has one, or if that is unknown.
        """
        sample = self.sample(path[0]) if self.has_examples and len(path) > 1 else None
        if not isinstance(sample, Sample):
            return None
        metric, tables = split_metric(path[1:]), sample.predictions.strata.tables
        if reason := sample.no_example(metric):
            return reason
        if metric.table is not None and len(tables) == 1:
            return f"no metrics by table: every example is of {metric.table!r}"
        return None

    @property
    def calibration_bins(self) -> int:
        """Bins of the calibration error, by its spec."""
        bins = self.spec.get("calibration_bins")
        return bins if isinstance(bins, int) and bins > 0 else BINS

    def recount(self, dataset: str, metric: SplitMetric) -> Recount | None:
        """A metric beside its value by the predictions; None if either is lacking."""
        sample = self.sample(dataset)
        if isinstance(sample, Unavailable) or not sample.rows(metric.table).size:
            return None
        stated = self.number((dataset, *metric.path))
        if stated is None:
            return None
        counted, _ = sample.plain(metric)
        return Recount(stated, counted, sample.slack(metric), sample.rounding(metric))

    def disagreement(self, dataset: str, metric: SplitMetric) -> str | None:
        """How the stated metric contradicts the predictions: another scorer wrote it; else None."""
        recount = self.recount(dataset, metric)
        if recount is None or abs(recount.stated - recount.counted) <= recount.slack:
            return None
        return (
            f"another scorer: the predictions of {self.called} give "
            f"{recount.counted:.6g}, and its metrics say {recount.stated:.6g}"
        )


def leaves(values: Any, path: MetricPath = ()) -> Iterator[tuple[MetricPath, Any]]:
    """(path, value) of every leaf of nested metrics; an empty section has none."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from leaves(value, (*path, str(name)))
    else:
        yield path, values
