"""world_rules: what the processes that train together need.

They are rules as those of language/rules.py.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.checks import numerics as checks
from lmspec.specs.checks.training import descends
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

DIVIDED = "transformer", "causal"  # whose weights `sharding` divides


def batch_suffices_for_the_world(specs: Specs) -> Disagreements:
    """Each of the processes that train together has at least one example of a batch."""
    world = specs.section("numerics").get("world")
    if not isinstance(world, int):
        return
    for name, training in trained(specs):
        for found in checks.batch_suffices(training, world):
            yield _of(name, found, "world", "processes that train together")


def private_models_train_alone(specs: Specs) -> Disagreements:
    """Rows of a private training are drawn and clipped by one process."""
    world = specs.section("numerics").get("world")
    if not isinstance(world, int):
        return
    for name, training in trained(specs):
        for found in checks.private_trains_alone(training, world):
            yield _of(name, found, "world", "processes that train together")


def sharding_suits_the_optimizer(specs: Specs) -> Disagreements:
    """Adafactor scales a weight by its rows and columns, which torch cannot add up of parts."""
    sharding = specs.section("numerics").get("sharding")
    for name, training in trained(specs) if sharding else ():
        _, model = specs.first(name)
        # one that is pretrained has no architecture of its own, and is a transformer
        if model.get("architecture", {"kind": "transformer"})["kind"] in DIVIDED:
            for found in checks.optimizer_takes_parts(training):
                yield _of(name, found, "sharding", "divides the weights")


def trained(specs: Specs) -> Iterator[tuple[ArtifactName, Mapping[str, Any]]]:
    """(name, training) of what gradient descent trains."""
    for name in specs.names:
        if descends(specs[name]):
            yield name, specs[name]["training"]


def _of(name: ArtifactName, found: Disagreement, field: str, what: str) -> Disagreement:
    steps = (*name, "training", *found.steps)
    return Disagreement(steps, found.found, found.remedy, ((("numerics", field), what),))
