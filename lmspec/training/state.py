"""state: what a training holds, taken and given back: nested values, and a file of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from lmspec.methods import folders, resume
from lmspec.methods.network import Classifier

State = dict[str, Any]  # of dicts with str keys, lists, tuples, tensors and JSON's values
TENSOR, TUPLE = "tensor", "tuple"  # the only keys of dicts that stand for these


class Stateful(Protocol):
    """A part of a training that changes from step to step."""

    def state(self) -> State:
        """All of it that is no function of the inputs and the step."""

    def restore(self, state: State) -> None:
        """Be as the part was of which this is the state."""


class Weights:
    """Weights of a model that are trained, and its buffers; the frozen ones do not change."""

    def __init__(self, model: Classifier) -> None:
        self.model = model

    def state(self) -> State:
        """By name, without copies."""
        own = dict(self.model.named_parameters())
        left = {name for name, p in own.items() if not p.requires_grad}
        # a weight that two modules share, such as a tied head: under its first name alone
        left |= {name for name, _ in self.model.named_parameters(remove_duplicate=False)} - {*own}
        return {n: value for n, value in self.model.state_dict().items() if n not in left}

    def restore(self, state: State) -> None:
        """Copied into the tensors that the model has."""
        self.model.load_state_dict(state, strict=False)


def size(value: Any) -> int:
    """Bytes of the tensors in it."""
    if isinstance(value, Tensor):
        return value.nbytes
    items = value.values() if isinstance(value, Mapping) else value
    return sum(map(size, items)) if isinstance(value, Mapping | list | tuple) else 0


def write(state: State, file: Path) -> str:
    """Write it and wait for the disk; returns its SHA-256. Raises OSError."""
    tensors: dict[str, Tensor] = {}
    tree = _packed(state, "", tensors, {})
    save_file(tensors, file, {"tree": json.dumps(tree)})
    resume.sync(file)
    return folders.of_file(file)


def read(file: Path, sha256: str) -> State:
    """Raises ValueError or OSError if it is not the file of that digest."""
    if folders.of_file(file) != sha256:
        raise ValueError(f"{file.name} is not what was written")
    with safe_open(file, "pt") as opened:
        tree = json.loads(opened.metadata()["tree"])
    found: State = _unpacked(tree, load_file(file))
    return found


def _packed(value: Any, path: str, tensors: dict[str, Tensor], known: dict[Any, str]) -> Any:
    """The value with names in place of its tensors, which are collected; shared ones once."""
    if isinstance(value, Tensor):
        value = value.detach()
        same = (value.data_ptr(), value.dtype, value.shape, value.stride(), value.device)
        name = known.setdefault(same, path) if value.numel() else path
        if name == path:
            tensors[path] = value.contiguous().cpu()
        return {TENSOR: name}
    if isinstance(value, Mapping):
        if {type(key) for key in value} - {str} or value.keys() in ({TENSOR}, {TUPLE}):
            raise TypeError(f"{path}: keys {list(value)} cannot be kept")
        return {key: _packed(each, f"{path}/{key}", tensors, known) for key, each in value.items()}
    if isinstance(value, list | tuple):
        each = [_packed(item, f"{path}/{i}", tensors, known) for i, item in enumerate(value)]
        return each if isinstance(value, list) else {TUPLE: each}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{path}: a {type(value).__name__} cannot be kept")


def _unpacked(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, list):
        return [_unpacked(each, tensors) for each in tree]
    if isinstance(tree, dict) and tree.keys() == {TENSOR}:
        return tensors[tree[TENSOR]].clone()
    if isinstance(tree, dict) and tree.keys() == {TUPLE}:
        return tuple(_unpacked(tree[TUPLE], tensors))
    if isinstance(tree, dict):
        return {key: _unpacked(each, tensors) for key, each in tree.items()}
    return tree
