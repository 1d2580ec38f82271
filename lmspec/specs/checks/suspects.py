"""suspects checks: what is judged."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def parts_are_of_splits(suspects: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A corpus is judged whole; of splits, each part once."""
    noun, parts = suspects["of"].partition(".")[0], suspects["parts"]
    others = ((("of",), "what is judged"),)
    if noun == "corpus" and parts is not None:
        yield Disagreement(("parts",), "a corpus has no splits", "write null", others)
    elif noun == "splits" and parts is None:
        remedy = "list train, dev or test, such as [train, dev]"
        yield Disagreement(("parts",), "it does not say which splits are judged", remedy, others)
    for i, first, part in repeated(parts or ()):
        place = ((("parts", first), "the first"),)
        yield Disagreement(("parts", i), f"{part} is listed twice", "remove one", place)
