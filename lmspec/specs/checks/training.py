"""training checks: settings of an optimizer that belong together."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def nesterov_has_momentum(sgd: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Nesterov's step looks ahead along the momentum."""
    if sgd["nesterov"] and sgd["momentum"] == 0:
        other = (("momentum",), "the momentum")
        yield Disagreement(
            ("nesterov",), "nesterov needs a momentum above 0", "raise the momentum", (other,)
        )
