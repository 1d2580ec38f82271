"""updated checks: new and old data are different."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, Steps, repeated

FITTED_ONCE = (
    "its one layer is fitted to the end on fixed features: there is nothing to train further",
    "fit a new model to both corpora, or update a transformer, rnn or cnn",
)


def new_and_old_are_apart(updated: Mapping[str, Any]) -> Iterator[Disagreement]:
    """New rows are not replayed as old ones, and no rows are replayed twice."""
    named = [updated["on"], *(replay["of"] for replay in updated["replay"])]
    for i, first, name in repeated(named):
        place: Steps = ("replay", first - 1, "of") if first else ("on",)
        remedy = "remove one" if first else "replay what the earlier model was trained on"
        found = f"{name} is named twice in `on` and `replay`"
        yield Disagreement(("replay", i - 1, "of"), found, remedy, ((place, "the first"),))
