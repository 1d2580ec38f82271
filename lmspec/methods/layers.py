"""layers: the stack of layers in a network, and how far below the head each weight is."""

from torch import nn

from lmspec.errors import LmspecError
from lmspec.methods.network import Classifier


def stack(model: Classifier) -> tuple[str, nn.ModuleList]:
    """Name and content of the stack of layers: the ModuleList of the configured depth.

    Raises LmspecError if there is none.
    """
    depth = getattr(model.config, "num_hidden_layers", None)
    stacks = [
        (n, m)
        for n, m in model.named_modules()
        if isinstance(m, nn.ModuleList) and len(m) == depth and "." in n
    ]
    if not stacks:
        raise LmspecError(
            type(model).__name__,
            f"it has no stack of {depth} layers" if depth else "it has no stack of layers",
            "this architecture is not supported",
        )
    return stacks[0]


def depths(model: Classifier) -> dict[str, int]:
    """Name of each weight -> layers above it: 0 of the head, 1 of the top layer, then downwards.

    What precedes the stack, such as embeddings, is below the lowest layer; what follows it, such as
    a pooler, belongs to the head. Raises LmspecError if there is no stack.
    """
    name, layers = stack(model)
    found, below = {}, True
    for weight, _ in model.named_parameters():
        inside = weight.startswith(f"{name}.")
        if inside:
            below = False
            number = int(weight.removeprefix(f"{name}.").partition(".")[0])
            found[weight] = len(layers) - number
        else:
            found[weight] = len(layers) + 1 if below else 0
    return found


def hidden_matrices(model: Classifier) -> set[str]:
    """Names of the weights of two dimensions inside of the first list of layers; may be empty."""
    lists = [n for n, m in model.named_modules() if isinstance(m, nn.ModuleList)]
    first = stack(model)[0] if hasattr(model.config, "num_hidden_layers") else (lists or [""])[0]
    return {n for n, p in model.named_parameters() if p.ndim == 2 and n.startswith(f"{first}.")}
