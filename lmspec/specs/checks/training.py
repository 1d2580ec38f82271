"""training checks: settings of an optimizer that depend on each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def nesterov_has_momentum(sgd: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Nesterov's step looks ahead along the momentum."""
    if sgd["nesterov"] and sgd["momentum"] == 0:
        found, others = "nesterov needs a momentum above 0", ((("momentum",), "the momentum"),)
        yield Disagreement(("nesterov",), found, "raise the momentum", others)
