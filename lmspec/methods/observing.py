"""observing: hidden states and units of a network while it reads texts."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lmspec.methods.layered import Layered
from lmspec.methods.reading import Floats, Ids, collate, length_order, lengths

IDLE = 1e-3  # a unit that never exceeds this, in absolute value, is dead


@dataclass(frozen=True)
class Observed:
    """What is seen of w windows.

    means  (depths, w, d) mean over the tokens of each window, of what each layer computes; the
           embeddings first
    norms  (depths,) mean Euclidean norm of the state of a token
    peaks  of each layer: (units,) largest absolute value; None of a layer without a wide middle
    """

    means: NDArray[np.float32]
    norms: Floats
    peaks: Sequence[NDArray[np.float32] | None]


def observed(network: Layered, ids: Sequence[Ids], pad_id: int, batch_size: int) -> Observed:
    """Read windows of ids, those of similar length together."""
    units = _Units(network)
    means: NDArray[np.float32] | None = None
    norms, tokens = np.zeros(len(network.layers) + 1), np.zeros(len(network.layers) + 1)
    with units.watched():
        for rows in length_order(lengths(ids), batch_size):
            batch = collate(ids, rows, pad_id)
            units.mask = torch.from_numpy(batch.attention_mask).to(network.network.device)
            _, states = network.states(batch.input_ids, batch.attention_mask)
            if means is None:
                means = np.empty((len(states), len(ids), states[0].shape[-1]), np.float32)
            for depth, state in enumerate(states):
                seen = units.mask[:, : state.shape[1], None].to(state)
                means[depth, rows] = ((state * seen).sum(1) / seen.sum(1)).float().cpu().numpy()
                norms[depth] += float((state.norm(dim=-1) * seen[..., 0]).double().sum())
                tokens[depth] += float(seen.sum())
    if means is None:
        raise ValueError("there is no text to observe")
    return Observed(means, norms / tokens, units.peaks())


class _Units:
    """The units of a layer: what its widest projection back to the width of the states reads."""

    def __init__(self, network: Layered) -> None:
        self.mask = torch.ones(1, 1)
        self._middles = [_middle(layer) for layer in network.layers]
        self._peaks: list[Tensor | None] = [None] * len(self._middles)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Keep the peaks of what is read meanwhile."""
        hooks = [
            module.register_forward_pre_hook(self._watching(number))
            for number, module in enumerate(self._middles)
            if module is not None
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _watching(self, number: int) -> Any:
        def watch(module: nn.Module, args: Sequence[Tensor]) -> None:
            (values,) = args  # (b, t or 1, units)
            seen = self.mask[:, : values.shape[1], None].to(values)
            peak = (values.abs() * seen).amax((0, 1))
            before = self._peaks[number]
            self._peaks[number] = peak if before is None else torch.maximum(before, peak)

        return watch

    def peaks(self) -> list[NDArray[np.float32] | None]:
        """Of each layer."""
        return [None if peak is None else peak.float().cpu().numpy() for peak in self._peaks]


def _middle(layer: nn.Module) -> nn.Module | None:
    """The last matrix of a layer that has more inputs than outputs, as a feed-forward part ends."""
    found = None
    for module in layer.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and weight.ndim == 2:
            rows, columns = weight.shape
            if type(module).__name__ == "Conv1D":  # of GPT-2: (inputs, outputs)
                rows, columns = columns, rows
            if columns > rows:
                found = module
    return found
