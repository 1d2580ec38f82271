"""rollout: how much attention reaches each word through all layers, whatever it does there.

Source: Abnar & Zuidema 2020, arXiv:2005.00928. Attention is recomputed from queries and keys, which
is right for BERT and its kin: their attention has no further terms.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lmspec.errors import LmspecError
from lmspec.methods import firsttoken
from lmspec.methods.attributing import Attribution
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Floats, Ids
from lmspec.specs.explained import AttentionRollout

PROJECTIONS = {"query": "key", "q_lin": "k_lin"}


def made(method: AttentionRollout, network: Classifier, instead: int) -> Attribution:
    """The method as a function of a text. Raises LmspecError of a network of another kind."""
    if type(network).__name__ not in firsttoken.KINDS:
        found = f"a {type(network).__name__} attends otherwise than BERT and its kin"
        raise LmspecError("explained.method", found, "use integrated_gradients or occlusion")
    pairs = _projections(network)

    def attribution(text: Coalitions, label: int, name: str) -> Floats:
        found = np.zeros(len(text.words))
        for ids, place in zip(text.words.ids, text.words.places, strict=True):
            reached = _of_first(network, pairs, ids).double().cpu().numpy()  # (t,)
            np.add.at(found, place[place >= 0], reached[place >= 0])
        return found / len(text.words.ids)

    return attribution


def _projections(network: Classifier) -> list[tuple[nn.Module, nn.Module]]:
    """(of queries, of keys) of each layer, from the bottom."""
    modules = dict(network.named_modules())
    pairs = []
    for name, module in modules.items():
        before, _, last = name.rpartition(".")
        if last in PROJECTIONS:
            pairs.append((module, modules[f"{before}.{PROJECTIONS[last]}"]))
    return pairs


def _of_first(network: Classifier, pairs: list[tuple[nn.Module, nn.Module]], ids: Ids) -> Tensor:
    """(t,) attention of the first token, which the head reads, to each; half stays in each layer.

    The top layer computes the first token alone (methods/firsttoken.py).
    """
    kept: dict[int, Tensor] = {}
    hooks = [
        part.register_forward_hook(_keeping(kept, 2 * layer + is_key))
        for layer, pair in enumerate(pairs)
        for is_key, part in enumerate(pair)
    ]
    try:
        with torch.no_grad():
            given = torch.from_numpy(ids).to(network.device)[None]
            network(input_ids=given, attention_mask=torch.ones_like(given))
    finally:
        for hook in hooks:
            hook.remove()
    heads = network.config.num_attention_heads
    reached = torch.zeros(len(ids), device=given.device)
    reached[0] = 1.0
    for layer in reversed(range(len(pairs))):
        query, key = (_by_head(kept[2 * layer + i][0], heads) for i in (0, 1))
        scores = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
        attention = torch.softmax(scores, -1).mean(0)  # (1 or t, t)
        reached = (reached + reached[: len(attention)] @ attention) / 2
    return reached


def _by_head(states: Tensor, heads: int) -> Tensor:
    """(t, d) -> (heads, t, d / heads)."""
    return states.reshape(len(states), heads, -1).transpose(0, 1)


def _keeping(kept: dict[int, Tensor], place: int) -> Any:
    """A hook that keeps what a module returns."""

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        kept[place] = output.detach()

    return keep
