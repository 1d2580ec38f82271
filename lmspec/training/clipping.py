"""clipping: a gradient that is the sum of each row's own, none of which is longer than a limit.

The gradients of single rows are never formed. Their norms follow from what goes into a layer and
the gradient of what it gives; so does their sum, once each row has its factor. One forward
and one backward pass, as in any training.
Sources: Goodfellow 2015, arXiv:1510.01799; Li et al. 2021, arXiv:2110.05679; Bu et al. 2022,
arXiv:2210.00038 (one backward pass).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from lmspec.errors import LmspecError

EPSILON = 1e-6  # added to a norm before the limit is divided by it, as torch's clipping does
Gradients = dict[nn.Parameter, Tensor]


class Clipped(NamedTuple):
    """loss: mean over the rows; norms: (n,) of each row's gradient, as it was."""

    gradients: Gradients
    loss: Tensor
    norms: Tensor


@dataclass(frozen=True)
class Pass:
    """What a layer was given, and the gradient of what it gave; the rows of both come first."""

    given: Tensor
    gradient: Tensor


class Rows:
    """Layers of a model, of whose rows' gradients norms and sums are known.

    Raises LmspecError if a trained weight is in a layer of another kind, or a layer computes each
    row from its batch.
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = {name: m for name, m in model.named_modules() if _trained(m)}
        self.trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
        owners = [p for layer in self.layers.values() for p in _trained(layer)]
        others = [n for n, layer in self.layers.items() if _kind(layer) is None]
        others += [n for n, m in model.named_modules() if isinstance(m, _BatchNorm)]
        # a tied weight has two layers, whose gradients would be clipped apart
        if others or len(owners) != len(set(owners)):
            found = f"no row's gradient is known of {', '.join(others) or 'a weight of two layers'}"
            remedy = "freeze it, or train without `private`"
            raise LmspecError("training.private", found, remedy)
        self.count = 0  # rows of the pass that is recorded
        self.seen: list[tuple[nn.Module, Tensor, Tensor]] = []

    def clipped(self, loss: Callable[[], Tensor], rows: int, limit: float) -> Clipped:
        """Sum of the rows' gradients, each scaled down to the limit.

        loss  computes the mean loss of so many rows
        """
        with self._recorded(rows):
            mean = loss()
        outputs = [output for *_, output in self.seen]
        found = torch.autograd.grad(mean * rows, outputs, allow_unused=True)
        passes: dict[nn.Module, Pass] = {}
        for (layer, given, _), gradient in zip(self.seen, found, strict=True):
            if gradient is not None:
                passes[layer] = _joined(passes.get(layer), Pass(given, gradient.float()))
        squares = torch.zeros(rows, device=mean.device)
        for layer, each in passes.items():
            squares += _kind_of(layer).squared_norms(layer, each)
        norms = squares.sqrt()
        factors = (limit / (norms + EPSILON)).clamp(max=1.0)  # (n,)
        gradients: Gradients = {}
        for layer, each in passes.items():
            scaled = factors.view(-1, *(1,) * (each.gradient.ndim - 1)) * each.gradient
            gradients |= _kind_of(layer).summed(layer, Pass(each.given, scaled))
        self.seen.clear()
        return Clipped(gradients, mean.detach(), norms)

    @contextmanager
    def _recorded(self, rows: int) -> Iterator[None]:
        self.count = rows
        hooks: list[Any] = []
        for layer in self.layers.values():
            if isinstance(layer, nn.Embedding):
                hooks.append(layer.register_forward_pre_hook(self._for_each_row))
            hooks.append(layer.register_forward_hook(self._record))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _for_each_row(self, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Positions are given once for all rows."""
        ids = inputs[0]
        once = ids.ndim == 2 and len(ids) == 1
        return (ids.expand(self.count, -1) if once else ids, *inputs[1:])

    def _record(self, layer: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        if len(output) != self.count:
            found = f"a {type(layer).__name__} computes {len(output)} rows of {self.count} texts"
            raise LmspecError("training.private", found, "train this model without `private`")
        self.seen.append((layer, inputs[0].detach(), output))


class _Linear:
    """given (n, *, d), gradient (n, *, p)."""

    @staticmethod
    def squared_norms(layer: nn.Module, each: Pass) -> Tensor:
        """(n,) of both weights."""
        a, b = _by_token(each)  # (n, t, d), (n, t, p)
        tokens, within, without = a.shape[1], a.shape[2], b.shape[2]
        found = a.new_zeros(len(a))
        if layer.weight.requires_grad:
            if 2 * tokens**2 < within * without:  # fewer numbers than the gradients have
                found = ((a @ a.mT) * (b @ b.mT)).sum((1, 2))
            else:
                found = (b.mT @ a).square().sum((1, 2))
        return found + _bias_norms(layer, b)

    @staticmethod
    def summed(layer: nn.Module, each: Pass) -> Gradients:
        """Of both weights."""
        a, b = (part.flatten(0, 1) for part in _by_token(each))
        return _held(layer, lambda: b.mT @ a, lambda: b.sum(0))


class _Embedding:
    """given (n, t) ids, gradient (n, t, d)."""

    @staticmethod
    def squared_norms(layer: nn.Module, each: Pass) -> Tensor:
        """(n,); tokens that a row has twice add up."""
        b = _unpadded(layer, each)
        same = each.given[:, :, None] == each.given[:, None, :]  # (n, t, t)
        return ((b @ b.mT) * same).sum((1, 2))

    @staticmethod
    def summed(layer: nn.Module, each: Pass) -> Gradients:
        """Of the table."""
        b = _unpadded(layer, each).flatten(0, 1)
        weight: Any = layer.weight
        table = torch.zeros_like(weight, dtype=b.dtype).index_add_(0, each.given.flatten(), b)
        return {weight: table}


class _LayerNorm:
    """given, gradient (n, *, d)."""

    @staticmethod
    def squared_norms(layer: nn.Module, each: Pass) -> Tensor:
        """(n,) of both weights."""
        a, b = _by_token(_normalised(layer, each))
        found = a.new_zeros(len(a))
        if layer.weight.requires_grad:
            found = (a * b).sum(1).square().sum(1)
        return found + _bias_norms(layer, b)

    @staticmethod
    def summed(layer: nn.Module, each: Pass) -> Gradients:
        """Of both weights."""
        a, b = (part.flatten(0, 1) for part in _by_token(_normalised(layer, each)))
        return _held(layer, lambda: (a * b).sum(0), lambda: b.sum(0))


KINDS: dict[type[nn.Module], Any] = {
    nn.Linear: _Linear,
    nn.Embedding: _Embedding,
    nn.LayerNorm: _LayerNorm,
}


def _kind(layer: nn.Module) -> Any:
    """None of a layer whose rows' gradients are not known, such as one that scales by frequency."""
    kind = next((kind for base, kind in KINDS.items() if isinstance(layer, base)), None)
    rare = getattr(layer, "scale_grad_by_freq", False) or getattr(layer, "sparse", False)
    wide = len(getattr(layer, "normalized_shape", (1,))) > 1
    return None if rare or wide else kind


def _kind_of(layer: nn.Module) -> Any:
    kind = _kind(layer)
    assert kind is not None  # as Rows has made sure
    return kind


def _trained(layer: nn.Module) -> list[nn.Parameter]:
    """Of its own weights."""
    return [p for p in layer.parameters(recurse=False) if p.requires_grad]


def _by_token(each: Pass) -> tuple[Tensor, Tensor]:
    """(n, t, d) and (n, t, p); t is 1 of what has no tokens."""
    parts = (each.given.float(), each.gradient)
    a, b = (part.reshape(len(part), -1, part.shape[-1]) for part in parts)
    return a, b


def _joined(before: Pass | None, after: Pass) -> Pass:
    """A layer that is used twice has the tokens of both uses."""
    if before is None:
        return after
    if after.given.is_floating_point():
        before, after = (Pass(*_by_token(each)) for each in (before, after))
    parts = ((before.given, after.given), (before.gradient, after.gradient))
    given, gradient = (torch.cat(part, 1) for part in parts)
    return Pass(given, gradient)


def _bias_norms(layer: nn.Module, b: Tensor) -> Tensor:
    bias: Any = layer.bias
    if bias is None or not bias.requires_grad:
        return b.new_zeros(len(b))
    return b.sum(1).square().sum(1)


def _unpadded(layer: nn.Module, each: Pass) -> Tensor:
    """The gradient, without that of the padding, which is not trained."""
    padding: Any = layer.padding_idx
    if padding is None:
        return each.gradient
    kept: Tensor = each.given != padding
    return each.gradient * kept.unsqueeze(-1)


def _normalised(layer: nn.Module, each: Pass) -> Pass:
    """As if its weights were 1 and 0."""
    shape: Any = layer.normalized_shape
    eps: Any = layer.eps
    return Pass(functional.layer_norm(each.given.float(), shape, eps=eps), each.gradient)


def _held(layer: nn.Module, weight: Callable[[], Tensor], bias: Callable[[], Tensor]) -> Gradients:
    """Gradients of those weights that are trained."""
    found = {}
    for name, compute in (("weight", weight), ("bias", bias)):
        parameter = getattr(layer, name, None)
        if parameter is not None and parameter.requires_grad:
            found[parameter] = compute()
    return found
