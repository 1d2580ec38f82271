"""training checks: settings that depend on each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def nesterov_has_momentum(sgd: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Nesterov's step looks ahead along the momentum."""
    if sgd["nesterov"] and sgd["momentum"] == 0:
        found, others = "nesterov needs a momentum above 0", ((("momentum",), "the momentum"),)
        yield Disagreement(("nesterov",), found, "raise the momentum", others)


def weights_are_trained_further(artifact: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A student or an update starts from given weights: gradient descent trains them further."""
    kind = artifact["training"]["kind"]
    if kind != "gradient_descent":
        found = f"{kind} fits a new layer, and trains no given weights further"
        remedy = "write `kind: gradient_descent` and its fields"
        yield Disagreement(("training", "kind"), found, remedy)
