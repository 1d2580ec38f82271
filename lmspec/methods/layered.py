"""layered: a network whose hidden states can be read and exchanged, layer by layer."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lmspec.methods import layers
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Ids

EMBEDDINGS = -1  # what the lowest layer, 0, is given


class Layered:
    """A classifier or a language model of stacked layers. Raises LmspecError of another network.

    The top layer of many encoders computes the first token alone (methods/firsttoken.py).
    """

    def __init__(self, network: Classifier) -> None:
        self.network = network.requires_grad_(False)
        self.name, self.layers = layers.stack(network)

    def logits(self, ids: Ids, mask: Ids | None = None) -> Tensor:
        """(b, k), or of a language model (b, t, V), of tokens (b, t)."""
        given = torch.from_numpy(ids).to(self.network.device)
        seen = torch.ones_like(given) if mask is None else torch.from_numpy(mask).to(given)
        with torch.no_grad():
            found: Tensor = self.network(input_ids=given, attention_mask=seen).logits
        return found

    def states(self, ids: Ids, mask: Ids | None = None) -> tuple[Tensor, list[Tensor]]:
        """(logits, hidden states (b, t or 1, d) from the embeddings to the top layer)."""
        kept: list[Tensor] = []

        def before(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
            kept.append(args[0] if args else kwargs["hidden_states"])

        def after(module: nn.Module, args: Any, output: Any) -> None:
            kept.append(_first(output))

        hooks = [self.layers[0].register_forward_pre_hook(before, with_kwargs=True)]
        hooks += [layer.register_forward_hook(after) for layer in self.layers]
        try:
            return self.logits(ids, mask), kept
        finally:
            for hook in hooks:
                hook.remove()

    def onward(self, layer: int, states: Tensor, ids: Ids, mask: Ids | None = None) -> Tensor:
        """Logits if a layer, or EMBEDDINGS, gives these states (b, t or 1, d) to what follows.

        ids, mask  (b, t), of which nothing but the shape and the padding matters
        """
        with contextlib.ExitStack() as stack:
            if layer == EMBEDDINGS:
                stack.enter_context(_given(self.layers[0], states))
            for lower in self.layers[: layer + 1]:  # what these would compute, nothing reads
                stack.enter_context(_returning(lower, states))
            return self.logits(ids, mask)


def _first(output: Any) -> Tensor:
    """The states among what a layer returns: alone, or first of several values."""
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


@contextlib.contextmanager
def _given(module: nn.Module, states: Tensor) -> Iterator[None]:
    """Let a layer be given these states."""

    def hook(module: nn.Module, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        return ((states, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": states})

    handle = module.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _returning(module: nn.Module, states: Tensor) -> Iterator[None]:
    """Let a layer return these states without computing any."""
    assert "forward" not in vars(module)
    returned: Callable[..., Tensor] = lambda *_, **__: states  # noqa: E731
    module.forward = returned
    try:
        yield
    finally:
        del module.forward
