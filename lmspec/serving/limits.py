"""limits: what a service takes, how long it waits, and when it refuses.

A bundle's own are in its manifest, from `bundle.<name>.serving`; those here are for the others.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

EMPTY_TEXTS = ("no_answer", "refused")


@dataclasses.dataclass(frozen=True)
class Limits:
    """The fields of `lmspec.specs.serving.Serving`, which are described there."""

    max_text_bytes: int = 32_768
    max_texts: int = 64
    max_body_bytes: int = 1_048_576
    queue: int = 512
    timeout_ms: int = 10_000
    drain_seconds: int = 30
    empty_text: str = "no_answer"

    def values(self) -> dict[str, int | str]:
        """Name -> value."""
        return dataclasses.asdict(self)


WRITING = Limits(queue=64, timeout_ms=120_000, drain_seconds=120)  # a text takes seconds


def limits(serving: Mapping[str, Any] | None, writes: bool = False) -> Limits:
    """Those of a manifest, else those of its kind. Raises ValueError for what no spec would allow.

    writes  is it a bundle of a model that writes?
    """
    if serving is None:
        return WRITING if writes else Limits()
    names = {field.name for field in dataclasses.fields(Limits)}
    if serving.keys() != names:
        raise ValueError(f"`serving` has other limits than {', '.join(sorted(names))}")
    for name, value in serving.items():
        words = name == "empty_text" and value in EMPTY_TEXTS
        if not words and (name == "empty_text" or type(value) is not int or value < 1):
            raise ValueError(f"`serving.{name}` is {value!r}")
    return Limits(**serving)
