"""updated checks: new and old data are different."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def new_and_old_are_apart(updated: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Rows that are new are not replayed as old ones, and no rows are replayed twice."""
    first: dict[str, tuple[str | int, ...]] = {updated["on"]: ("on",)}
    for i, replay in enumerate(updated["replay"]):
        steps = ("replay", i, "of")
        if first.setdefault(replay["of"], steps) != steps:
            there = first[replay["of"]]
            remedy = (
                "new rows are not old ones: replay what the earlier model was trained on"
                if there == ("on",)
                else "remove one"
            )
            found = f"{replay['of']} is named twice among `on` and `replay`"
            yield Disagreement(steps, found, remedy, ((there, "the first"),))
