"""weighing: how large the weights of each layer are, how many are 0, and what changed in them."""

from collections.abc import Iterator
from dataclasses import dataclass

from lmspec.errors import LmspecError
from lmspec.methods import layers
from lmspec.methods.network import Classifier


@dataclass
class Weighed:
    """A part of a network: `embeddings`, `layer_0`, ..., `head`.

    norm     root mean square of its weights
    zero     how many are exactly 0, as pruning leaves them
    changed  Euclidean norm of the difference to another network, over that network's; None without
    """

    part: str
    weights: int
    norm: float
    zero: int
    changed: float | None


def weighed(network: Classifier, other: Classifier | None = None) -> Iterator[Weighed]:
    """Each part, from the bottom.

    Raises LmspecError if the other network has other weights than these.
    """
    before = None if other is None else dict(other.named_parameters())
    above = layers.depths(network)
    count = len(layers.stack(network)[1])
    parts: dict[int, list[str]] = {}
    for name in above:
        parts.setdefault(count - above[name], []).append(name)
    own = dict(network.named_parameters())
    for number, names in sorted(parts.items()):
        size, squares, zero, moved, former = 0, 0.0, 0, 0.0, 0.0
        for name in names:
            weight = own[name].detach().double()
            size += weight.numel()
            squares += float(weight.square().sum())
            zero += int((weight == 0).sum())
            if before is not None:
                known = before.get(name)
                if known is None or known.shape != weight.shape:
                    found = f"it has no weights {name} of shape {tuple(weight.shape)}"
                    raise LmspecError("traced.against", found, "name a network of the same shape")
                former += float(known.detach().double().square().sum())
                moved += float((weight - known.detach().double()).square().sum())
        called = {-1: "embeddings", count: "head"}.get(number, f"layer_{number}")
        changed = None if before is None else (moved / former) ** 0.5 if former else 0.0
        yield Weighed(called, size, (squares / size) ** 0.5, zero, changed)
