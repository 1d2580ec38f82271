"""numerics checks: what the processes that train together need."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement

Values = Mapping[str, Any]


def sharding_has_a_world(numerics: Values) -> Iterator[Disagreement]:
    """Weights are divided among several processes; one has them all."""
    if numerics.get("sharding") and (numerics.get("world") or 1) == 1:
        found, remedy = "one process has all weights", "set `numerics.world`, or remove it"
        yield Disagreement(("sharding",), found, remedy)


def batch_suffices(training: Values, world: int) -> Iterator[Disagreement]:
    """Each of the processes that train together has at least one example of a batch."""
    if training["batch_size"] < world:
        found = f"{training['batch_size']} examples are not enough for {world} processes"
        yield Disagreement(("batch_size",), found, "raise it, or lower `numerics.world`")


def private_trains_alone(training: Values, world: int) -> Iterator[Disagreement]:
    """Rows of a private training are drawn and clipped by one process."""
    if training.get("private") is not None and world > 1:
        found = f"{world} processes would each add their own noise"
        yield Disagreement(("private",), found, "remove it, or remove `numerics.world`")


def optimizer_takes_parts(training: Values) -> Iterator[Disagreement]:
    """Adafactor scales a weight by its rows and columns, which torch cannot add up of parts."""
    if training["optimizer"]["kind"] == "adafactor":
        found = "adafactor cannot train weights that are divided"
        remedy = "write `kind: adamw` and its fields, or remove `numerics.sharding`"
        yield Disagreement(("optimizer", "kind"), found, remedy)
