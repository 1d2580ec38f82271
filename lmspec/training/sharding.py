"""sharding: weights, gradients and the optimizer's state divided among the processes of a world.

Source: Zhao et al. 2023, arXiv:2304.11277; torch.distributed.fsdp.fully_shard (FSDP2).
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lmspec.methods.network import Classifier


@contextmanager
def sharded(model: Classifier, size: int) -> Iterator[None]:
    """While this lasts, each process has a part of each weight; afterwards each has all again.

    A layer is whole while it computes. It begins and ends with the whole model on the device: that
    is a quarter of what AdamW needs for it in training.
    """
    # its import takes as long as that of transformers
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    plain = _without_weights(model)
    mesh = init_device_mesh(model.device.type, (size,))
    for layers in [m for m in model.modules() if isinstance(m, nn.ModuleList)]:
        for layer in layers:
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    try:
        yield
    finally:
        weights = {name: _whole(p) for name, p in model.named_parameters()}
        model.__class__, model.__dict__ = plain.__class__, plain.__dict__
        for name, weight in weights.items():
            owner, _, own = name.rpartition(".")
            needs = model.get_parameter(name).requires_grad
            setattr(model.get_submodule(owner), own, nn.Parameter(weight, needs))
        getattr(model, "tie_weights", lambda: None)()


def _without_weights(model: Classifier) -> Classifier:
    """A copy with empty weights; the buffers are copies."""
    empty = {
        id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad)
        for p in model.parameters()
    }
    return copy.deepcopy(model, empty)


def _whole(weight: Tensor) -> Tensor:
    """Of a part of it, or of one that is not divided."""
    gathered: Tensor = getattr(weight.detach(), "full_tensor", weight.detach)()
    return gathered
