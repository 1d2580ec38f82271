"""sweeps: what a search found: its trials, the best values, and how far they can be trusted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmspec.compare.revision import Unavailable
from lmspec.errors import LmspecError
from lmspec.inspection.overview import ONE_SIDED, Inspection
from lmspec.inspection.results import Estimate, Problem
from lmspec.run import declaration
from lmspec.specs import blocks
from lmspec.specs.names import ArtifactName
from lmspec.statistics import exact


@dataclass(frozen=True)
class Choice:
    """A field that was searched: its value in params.yaml, and the best one."""

    field: str
    present: Any
    best: Any


@dataclass(frozen=True)
class Found:
    """A sweep as it was built.

    accuracy  of the best trial on the dev split, which is optimistic
    alike     how many other trials that came as far are in its interval
    trials    the best first; cells as the table has them
    problem   why it is not to be relied on, if it is out of date
    """

    sweep: str
    of: str
    metric: str
    choices: tuple[Choice, ...]
    accuracy: Estimate
    dev_examples: int
    alike: int
    epochs: float | None
    epochs_without_halving: float | None
    trials: tuple[dict[str, str], ...]
    problem: Problem | None

    @property
    def best(self) -> dict[str, Any]:
        """Field -> its best value."""
        return {choice.field: choice.best for choice in self.choices}


def found(inspected: Inspection, name: str) -> Found:
    """Raises LmspecError if it is not built."""
    artifact, problem = inspected.artifact(name), inspected.problem(name)
    metrics, trials, best = artifact.metrics, artifact.table("trials"), artifact.table("best")
    stage = ArtifactName.parse(name).stage
    if isinstance(metrics, Unavailable) or not trials or not best:
        raise LmspecError(name, "it is not built", f"run `dvc repro {stage}`")
    spec = inspected.spec(name)
    of, metric = str(spec["of"]), str(spec["metric"])
    rows = tuple(
        dict(zip(trials, cells, strict=True)) for cells in zip(*trials.values(), strict=True)
    )
    examples = int(artifact.number(("dev_examples",)) or 0)
    accuracy = artifact.number(("best", "accuracy")) or 0.0
    low, high = exact.clopper_pearson(accuracy * examples, examples, ONE_SIDED)
    return Found(
        name,
        of,
        metric,
        tuple(
            Choice(field, _present(inspected.revision.params, of, field), json.loads(value))
            for field, value in zip(best["field"], best["value"], strict=True)
        ),
        Estimate(accuracy, (low, high)),
        examples,
        sum(
            row.get("epochs") == rows[0].get("epochs") and low <= float(row["dev_accuracy"])
            for row in rows[1:]
        ),
        artifact.number(("epochs",)),
        artifact.number(("epochs_without_halving",)),
        rows,
        problem,
    )


def _present(params: Mapping[str, Any], of: str, field: str) -> Any:
    return declaration.at(blocks.without(params), f"{of}.{field}")
