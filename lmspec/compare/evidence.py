"""evidence: what two revisions know of the predictions of a test split, and why they cannot be compared."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lmspec.compare.revision import Fault, Revision, at, number
from lmspec.statistics import predictions
from lmspec.statistics.paired import Alone, Paired, Slice, part_of
from lmspec.statistics.predictions import SMALLEST, Predictions, Scale

NO_PREDICTIONS = "keeps no predictions"
UNSCORED = Fault("it does not follow from the predictions")


@dataclass(frozen=True)
class _Twice:
    """A metric as the metrics say it, and as the predictions give it.

    slack  how far they may be apart; rounding: of a log loss, without what may hide in probabilities of 0
    """

    said: float
    counted: float
    slack: float
    rounding: float


class Evidence:
    """What two revisions know of the predictions of scores artifacts. Read and paired when it is asked for, and once."""

    def __init__(self, old: Revision, new: Revision, before: Mapping[str, str]) -> None:
        """before: new name of an artifact -> its old name."""
        self.old, self.new, self.before = old, new, before

    @functools.cache  # noqa: B019 - it lives as long as its command
    def predictions(self, side: str, artifact: str) -> dict[str, Predictions] | None:
        """Test side -> predictions, of the `old` or the `new` revision; None if git has none."""
        revision = self.old if side == "old" else self.new
        return predictions.read(revision.table(artifact, "predictions"))

    def name(self, side: str, artifact: str) -> str:
        """What the artifact is called on that side."""
        return self.before.get(artifact, artifact) if side == "old" else artifact

    def unchanged(self, artifact: str) -> bool:
        """Does git have the same predictions of both sides? Then there is nothing to read."""
        tables = [
            r.tree.ids.get(r.table_path(n, "predictions"))
            for r, n in (self.side(s, artifact) for s in ("old", "new"))
        ]
        return tables[0] is not None and tables[0] == tables[1]

    @functools.cache  # noqa: B019
    def alone(self, side: str, artifact: str, dataset: str) -> Alone | Fault:
        """One revision's predictions, or why they cannot be had. artifact: its new name."""
        revision, name = self.side(side, artifact)
        found = (self.predictions(side, name) or {}).get(dataset)
        if found is None or not found.id:
            return Fault(f"{revision.name} {NO_PREDICTIONS} of {dataset}")
        counted = number(at(revision.metrics(name), (dataset, "examples")))
        if counted is not None and counted != len(found.id):
            return Fault(
                f"the predictions of {revision.name} have {len(found.id):,} examples of {dataset}, its metrics {counted:,.0f}"
            )
        if len(set(found.id)) < len(found.id):
            return Fault(f"the predictions of {revision.name} have an example of {dataset} twice")
        scale = self._scale(revision, name, dataset, found)
        return scale if isinstance(scale, Fault) else Alone(found, scale)

    @functools.cache  # noqa: B019
    def paired(self, artifact: str, dataset: str) -> Paired | Fault:
        """Both sides' predictions, or why they cannot be compared."""
        sides = [self.alone(side, artifact, dataset) for side in ("old", "new")]
        for side in sides:
            if isinstance(side, Fault):
                return side
        old, new = (side for side in sides if isinstance(side, Alone))
        if set(old.scale.labels) != set(new.scale.labels):
            return Fault(
                f"other labels: {', '.join(old.scale.labels)}, and {', '.join(new.scale.labels)}"
            )
        pairs = predictions.pair(old.side, new.side)
        if not pairs.old.id:
            if pairs.relabelled:
                return Fault(
                    f"another test set: all {pairs.relabelled:,} examples that both have were relabelled"
                )
            return Fault(
                f"another test set: no example in common, of {len(old.side.id):,} and {len(new.side.id):,}"
            )
        found = Paired(pairs, old.scale, self.unchanged(artifact))
        # line ends, quotes and the order of rows may differ, and nothing else
        found.same = found.same or not (
            pairs.left_out or pairs.relabelled or pairs.moved or found.moved.any()
        )
        return found

    def scored(self, artifact: str, path: tuple[str, ...]) -> Paired | Fault:
        """What a metric of a test split follows from on both sides, or why there is nothing. path: in its metrics."""
        dataset, part = path[0], part_of(path[1:])
        paired = self.paired(artifact, dataset)
        if isinstance(paired, Fault):
            return paired
        if part.table is not None and part.table not in paired.pairs.tables:
            return Fault(f"another test set: no example of {part.table} in common")
        if not paired.scale.computes(part.name):
            return UNSCORED
        differ = self._scorers_differ(artifact, dataset, part)
        return Fault(differ) if differ else paired

    def _scorers_differ(self, artifact: str, dataset: str, part: Slice) -> str | None:
        """Why the two values of a metric were not computed alike; None if they were."""
        bins = [self._bins(side, artifact) for side in ("old", "new")]
        if part.name == "expected_calibration_error" and bins[0] != bins[1]:
            return f"another scorer: {bins[0]} and {bins[1]} bins"
        other = self.disagrees("old", artifact, dataset, part) or self.disagrees(
            "new", artifact, dataset, part
        )
        return other or self._hidden(artifact, dataset, part)

    def disagrees(self, side: str, artifact: str, dataset: str, part: Slice) -> str | None:
        """What the metrics of one side say, and its predictions do not; None if they agree, or there is nothing to tell by."""
        found = self._said_and_counted(side, artifact, dataset, part)
        if found is None or abs(found.said - found.counted) <= found.slack:
            return None
        name = self.side(side, artifact)[0].name
        return f"another scorer: the predictions of {name} give {found.counted:.6g}, and its metrics say {found.said:.6g}"

    def _hidden(self, artifact: str, dataset: str, part: Slice) -> str | None:
        """What of a difference lies in probabilities that the predictions write as 0; None if it is nothing."""
        if part.name != "log_loss":
            return None
        old, new = (
            self._said_and_counted(side, artifact, dataset, part) for side in ("old", "new")
        )
        if old is None or new is None:
            return None
        hidden = (new.said - new.counted) - (old.said - old.counted)
        if abs(hidden) <= old.rounding + new.rounding:
            return None
        return f"{hidden:+.4g} of it lies in probabilities below {SMALLEST:g}, which the predictions write as 0"

    def _said_and_counted(
        self, side: str, artifact: str, dataset: str, part: Slice
    ) -> _Twice | None:
        alone = self.alone(side, artifact, dataset)
        if isinstance(alone, Fault) or (
            part.table is not None and part.table not in alone.side.table
        ):
            return None
        revision, name = self.side(side, artifact)
        steps = (dataset, *(("table", part.table) if part.table else ()), *_steps(part.name))
        said = number(at(revision.metrics(name), steps))
        rounding = alone.rounding(part) if part.name == "log_loss" else 0.0
        return (
            None
            if said is None
            else _Twice(said, alone.plain(part)[0], alone.slack(part), rounding)
        )

    def side(self, side: str, artifact: str) -> tuple[Revision, str]:
        """The `old` or the `new` revision, and what the artifact is called there."""
        return (self.old if side == "old" else self.new), self.name(side, artifact)

    def _bins(self, side: str, artifact: str) -> int:
        revision, name = self.side(side, artifact)
        bins = revision.artifacts.get(name, {}).get("calibration_bins")
        return bins if isinstance(bins, int) and bins > 0 else 15

    def _scale(
        self, revision: Revision, name: str, dataset: str, found: Predictions
    ) -> Scale | Fault:
        classes = at(revision.metrics(name), (dataset, "f1"))
        labels = (
            tuple(classes)
            if isinstance(classes, dict)
            else tuple(sorted({*found.label, *found.predicted}))
        )
        unknown = ({*found.label, *found.predicted}) - set(labels)
        if unknown:
            return Fault(
                f"the predictions of {revision.name} hold the label {min(unknown)!r}, and its metrics do not"
            )
        side = "old" if revision is self.old else "new"
        return Scale(labels, self._bins(side, name if side == "new" else self._newer(name)))

    def _newer(self, name: str) -> str:
        return next((new for new, old in self.before.items() if old == name), name)


def leaves(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of everything that is no section; an empty section is nothing."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from leaves(value, (*path, str(name)))
    else:
        yield path, values


def _steps(name: str) -> tuple[str, ...]:
    return ("f1", name[3:]) if name.startswith("f1.") else (name,)
