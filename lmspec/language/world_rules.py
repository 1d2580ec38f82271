"""world_rules: what the processes that train together need.

They are rules as those of language/rules.py.
"""

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement


def batch_suffices_for_the_world(specs: Specs) -> Disagreements:
    """Each of the processes that train together has at least one example of a batch."""
    world = (specs.values.get("numerics") or {}).get("world")
    for name in specs.names if isinstance(world, int) else ():
        training = specs[name].get("training") or {}
        if training.get("kind") == "gradient_descent" and training["batch_size"] < world:
            yield Disagreement(
                (*name, "training", "batch_size"),
                f"{training['batch_size']} examples are not enough for {world} processes",
                "raise it, or lower `numerics.world`",
                ((("numerics", "world"), "processes that train together"),),
            )


def sharding_has_a_world(specs: Specs) -> Disagreements:
    """Weights are divided among several processes; one has them all."""
    numerics = specs.values.get("numerics") or {}
    if numerics.get("sharding") and (numerics.get("world") or 1) == 1:
        found, remedy = "one process has all weights", "set `numerics.world`, or remove it"
        yield Disagreement(("numerics", "sharding"), found, remedy)


def sharding_suits_the_optimizer(specs: Specs) -> Disagreements:
    """Adafactor scales a weight by its rows and columns, which torch cannot add up of parts."""
    sharding = (specs.values.get("numerics") or {}).get("sharding")
    for name in specs.names if sharding else ():
        optimizer = (specs[name].get("training") or {}).get("optimizer") or {}
        if (
            optimizer.get("kind") == "adafactor"
            and specs.first(name)[1]["architecture"]["kind"] == "transformer"
        ):
            yield Disagreement(
                (*name, "training", "optimizer", "kind"),
                "adafactor cannot train weights that are divided",
                "write `kind: adamw` and its fields, or remove `numerics.sharding`",
                ((("numerics", "sharding"), "divides the weights"),),
            )
