"""results: the metrics and tables that a noun declares: which way is better, how DVC plots them."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lmspec.specs.names import MetricPath

PLACEHOLDERS = re.compile(r"^.*\{\w+\}\.(?=[^{])|\{\w+\}$")

Better = Literal["higher", "lower"]
Of = Literal["labels", "tokens", "pairs", "answers", "likelihoods", "choices", "caches", "files"]
Evidence = Literal["predictions", "rounds", "size", "count", "peak"]
EXACT = ("size", "count")


@dataclass(frozen=True)
class Metric:
    """One number, or one for each label, table, ... in the metrics of an artifact.

    path      steps joined by dots; `{label}` stands for each of what language/metric_names.py
              knows by that name
    better    None: a fact, neither good nor bad
    share     it is between 0 and 1
    evidence  what separates a change from noise: `predictions` of each example, `rounds` of timing;
              the `size` of a file and a `count` are exact; a `peak` is measured once, without any
    column    its column in the table of rounds
    see       the metric that is compared in its place
    of        written only of such: `labels` that a model tells apart, `tokens` that one learns to
              write, `pairs` that are looked up, `answers` that are generated, `likelihoods` of
              reference answers, `choices` by likelihood, `caches` of graphs, `files` for other
              programs; of all, if empty
    """

    path: str
    better: Better | None = None
    share: bool = False
    evidence: Evidence | None = None
    column: str | None = None
    see: str | None = None
    of: tuple[Of, ...] = ()

    @functools.cached_property
    def steps(self) -> MetricPath:
        """The path, split."""
        return tuple(self.path.split("."))

    def fits(self, path: MetricPath) -> bool:
        """Whether a path, or a pattern with `*` for any step, is one of this metric's."""
        steps = self.steps
        return len(steps) == len(path) and all(
            own == step or step == "*" or own.startswith("{")
            for own, step in zip(steps, path, strict=True)
        )


@dataclass(frozen=True)
class Table:
    """A small table that git keeps: data/metrics/<noun>-<name>/<table>.csv.

    plot    how DVC plots it: x, y, template, title; without any, all columns over the rows
    curves  title of a further plot -> columns over the x of `plot`
    """

    name: str
    plot: Mapping[str, str] = field(default_factory=dict)
    curves: Mapping[str, Sequence[str]] = field(default_factory=dict)


def directions(metrics: Iterable[Metric]) -> dict[str, Better]:
    """Which way is better, as provenance records it: `{"accuracy": "higher", "f1": "higher"}`.

    Keys are the fixed steps of a path that follow its last `{...}`, or precede it at the end.
    """
    return {
        PLACEHOLDERS.sub("", metric.path).strip("."): metric.better
        for metric in metrics
        if metric.better
    }


# How much of the texts a model reads: methods/coverage.py.
COVERAGE = (
    Metric("cut_texts"),
    Metric("unread_tokens", share=True),
    Metric("unknown_tokens", share=True),  # not of a model of n-grams, which reads no tokens
)
# Which way is better of what `dvc metrics show` has of scores, and of what training watches on dev.
HEADLINES: Mapping[str, Better] = {"accuracy": "higher", "macro_f1": "higher", "log_loss": "lower"}
ESTIMATES = ("mean", "low", "high")  # of a metric over seeds, with its 95 % interval
WATCHED: Mapping[str, Better] = {**HEADLINES, "balanced_accuracy": "higher"}
