"""feeding: the frozen layers at the bottom of a network, which can be fed what they would give."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from lmspec.methods import layers
from lmspec.methods.network import Classifier
from lmspec.methods.reading import Batch

EQUAL = 1e-4  # of the largest logit


class Lower:
    """The layers that no trained weight acts on.

    count  how many there are
    width  of their output
    draws  does dropout act in them or before them, in training?
    """

    def __init__(self, model: Classifier, stack: nn.ModuleList, seen: "_Seen") -> None:
        self.model, self.stack = model, stack
        self.count, self.draws = seen.frozen, seen.draws[seen.frozen - 1]
        output = seen.outputs[self.count - 1]
        self.width = _states(output).shape[-1]
        self.is_tuple = isinstance(output, tuple)
        self.fed: Tensor | None = None  # (b, t, d) in place of what the last one gives
        self.got: Tensor | None = None  # what it gave, while they compute alone
        self.is_alone = False
        self.before = [vars(layer).get("forward") for layer in stack]
        for number, layer in enumerate(stack):
            layer.forward = self._forward(number, layer.forward)

    @classmethod
    def found(cls, model: Classifier, batch: Batch) -> "Lower | None":
        """Those of a model of `transformers`; None if it has none, or another use of their output.

        batch  two windows of different lengths, on which it is tried
        """
        _, stack = layers.stack(model)
        seen = _Seen(model, stack)
        seen.run(_inputs(batch, model.device))
        if not seen.frozen:
            return None
        lower = cls(model, stack, seen)
        if lower._can_be_fed(batch):
            return lower
        lower.end()
        return None

    def end(self) -> None:
        """The model is as it was."""
        for layer, forward in zip(self.stack, self.before, strict=True):
            del layer.forward
            if forward is not None:
                layer.forward = forward

    def compute(self, batch: Batch) -> Tensor:
        """(b, t, d) what the last of them gives, without dropout and on the processor."""
        self.model.eval()
        self.is_alone = True
        try:
            with torch.no_grad():
                self.model(**_inputs(batch, self.model.device))
        finally:
            self.is_alone = False
        assert self.got is not None
        return self.got.cpu()

    @contextmanager
    def feeding(self, states: Tensor | None = None) -> Iterator[None]:
        """While this lasts they do not compute: they give these, or what `feed` is given."""
        try:
            self.feed(states)
            yield
        finally:
            self.fed = None

    def feed(self, states: Tensor | None) -> None:
        """(b, t, d) for the next pass; None: they compute."""
        self.fed = None if states is None else states.to(self.model.device)

    def _can_be_fed(self, batch: Batch) -> bool:
        """Does the model give the same, with 0 at what pads a window?"""
        states = self.compute(batch) * torch.from_numpy(batch.attention_mask)[:, :, None]
        inputs = _inputs(batch, self.model.device)
        with torch.no_grad():
            own = self.model(**inputs).logits
            with self.feeding(states):
                fed = self.model(**inputs).logits
        return bool((own - fed).abs().max() <= EQUAL * own.abs().max())

    def _forward(self, number: int, own: Callable[..., Any]) -> Callable[..., Any]:
        """What a layer does from now on: its own, or it lets pass what it gets."""
        is_below, is_last = number < self.count, number == self.count - 1

        def forward(*args: Any, **given: Any) -> Any:
            if self.fed is not None and is_last:
                return self._output(self.fed)
            if (self.fed is not None and is_below) or (self.is_alone and not is_below):
                return self._output(args[0] if args else given["hidden_states"])
            output = own(*args, **given)
            if self.is_alone and is_last:
                self.got = _states(output)
            return output

        return forward

    def _output(self, states: Tensor) -> Any:
        return (states,) if self.is_tuple else states


class _Seen:
    """What the layers of a stack do in a pass of training.

    outputs  of each, in order
    draws    had a random number been drawn, after each?
    """

    def __init__(self, model: Classifier, stack: nn.ModuleList) -> None:
        self.model, self.stack = model, stack
        self.outputs: list[Any] = []
        self.draws: list[bool] = []

    def run(self, inputs: dict[str, Tensor]) -> None:
        """Pass once."""
        before = self._generator()

        def note(_: nn.Module, __: Any, output: Any) -> None:
            self.outputs.append(output)
            self.draws.append(not torch.equal(before, self._generator()))

        hooks = [layer.register_forward_hook(note) for layer in self.stack]
        self.model.train()
        try:
            self.model(**inputs)
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def frozen(self) -> int:
        """How many at the bottom depend on no weight that is trained; 0 if they give more than
        states."""
        if len(self.outputs) != len(self.stack) or not all(map(_is_plain, self.outputs)):
            return 0
        trained = [_states(output).requires_grad for output in self.outputs]
        return [*trained, True].index(True)

    def _generator(self) -> Tensor:
        device = self.model.device
        return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _inputs(batch: Batch, device: torch.device) -> dict[str, Tensor]:
    return {
        "input_ids": torch.from_numpy(batch.input_ids).to(device),
        "attention_mask": torch.from_numpy(batch.attention_mask).to(device),
    }


def _states(output: Any) -> Tensor:
    """(b, t, d) of what a layer gives."""
    result: Tensor = output[0] if isinstance(output, tuple) else output
    return result


def _is_plain(output: Any) -> bool:
    """Does a layer give states and nothing else?"""
    alone = not isinstance(output, tuple) or all(each is None for each in output[1:])
    return alone and isinstance(_states(output), Tensor) and _states(output).ndim == 3
