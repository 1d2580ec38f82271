"""tracing: what `traced` needs of a network: texts with two answers, and what it reads of texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmspec.methods.interchange import Asked
from lmspec.methods.layered import Layered
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Windows
from lmspec.specs.contrasts import Pair


@dataclass(frozen=True)
class Traceable:
    """A network that is looked into.

    asked    a text of a pair -> it with its two answers
    token    id -> text
    splits   whose texts are read
    windows  rows of documents -> what is read of them
    labels   that it tells apart; none of one that writes
    against  the network with which its weights are compared
    """

    network: Layered
    pad_id: int
    asked: Callable[[str, Pair], Asked]
    token: Callable[[int], str]
    splits: Sequence[str]
    windows: Callable[[Sequence[Mapping[str, Any]]], Windows]
    labels: Sequence[str] = ()
    against: Classifier | None = None
