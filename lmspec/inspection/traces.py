"""traces: a traced network for people: where it decides, what its layers know, its weights."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from lmspec.compare.artifact import Artifact
from lmspec.compare.revision import Table, at
from lmspec.errors import LmspecError
from lmspec.inspection.overview import Inspection
from lmspec.inspection.results import (
    Estimate,
    Known,
    TracedLayer,
    TracedPair,
    TracedPart,
    Traces,
)
from lmspec.specs.contrasts import POSITIONS
from lmspec.specs.names import ArtifactName

ESTIMATED = ("probe", "erased", "accuracy", "accuracy_without", "lost")


def inspect(inspected: Inspection, name: ArtifactName) -> Traces:
    """With its pairs. Raises LmspecError if they are not here."""
    from lmspec.formats import traces  # here: polars takes 0.1 s, and texts alone need it

    folder = inspected.revision.tree.root / name.folder
    if not (folder / traces.FILE).is_file():
        built = name.stage in inspected.revision.lock
        remedy = f"run `dvc pull {name.stage}`, or " if built else "run "
        raise LmspecError(name.folder, "it is not here", f"{remedy}`dvc repro {name.stage}`")
    pairs = [TracedPair(**row) for row in traces.read(folder).rows(named=True)]
    found = of_artifact(inspected, inspected.artifact(str(name)))
    return replace(found, pairs=pairs)


def of_artifact(inspected: Inspection, artifact: Artifact) -> Traces:
    """What git holds."""
    problem = inspected.problem(artifact.name)
    spec, against = artifact.spec, artifact.spec.get("against")
    difference = [artifact.number(("log_odds", end)) for end in ("mean", "low", "high")]
    return Traces(
        artifact.name,
        str(spec.get("of")),
        str(at(spec, ("on",))),
        problem.found if problem else None,
        None if against is None else str(against),
        int(artifact.number(("pairs",)) or 0),
        int(artifact.number(("pairs_left_out",)) or 0),
        None if None in difference else _estimate(*(value or 0.0 for value in difference)),
        list(_layers(artifact.table("restored"))),
        list(_known(artifact.table("concepts"))),
        list(_parts(artifact.table("weights"))),
    )


def _estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, (low, high))


def _layers(table: Table | None) -> Iterator[TracedLayer]:
    columns = ("layer", "position", "mean", "low", "high")
    found: dict[str, dict[str, Estimate]] = {}
    for layer, position, *values in _rows(table, columns):
        mean, low, high = map(_number, values)
        found.setdefault(layer, {})[position] = _estimate(mean, low, high)
    for layer, shares in found.items():
        if shares.keys() == {*POSITIONS}:
            yield TracedLayer(layer, {position: shares[position] for position in POSITIONS})


def _known(table: Table | None) -> Iterator[Known]:
    ends = [f"{name}{end}" for name in ESTIMATED for end in ("", "_low", "_high")]
    for row in _rows(table, ("concept", "layer", "texts", "majority", *ends)):
        texts, majority, *values = map(_number, row[2:])
        probe, erased, accuracy, without, lost = (
            _estimate(*values[i : i + 3]) for i in range(0, len(values), 3)
        )
        yield Known(row[0], row[1], int(texts), majority, probe, erased, accuracy, without, lost)


def _parts(table: Table | None) -> Iterator[TracedPart]:
    columns = ("part", "weights", "norm", "zero", "changed", "state_norm", "units", "dead")
    for name, weights, norm, zero, *others in _rows(table, columns):
        changed, state_norm, units, dead = (None if o == "" else _number(o) for o in others)
        yield TracedPart(
            name,
            int(_number(weights)),
            _number(norm),
            int(_number(zero)),
            changed,
            state_norm,
            None if units is None else int(units),
            None if dead is None else int(dead),
        )


def _rows(table: Table | None, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Rows of a committed table; none if it lacks a column."""
    if table and {*columns} <= table.keys():
        yield from zip(*(table[name] for name in columns), strict=True)


def _number(text: str) -> float:
    """NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
