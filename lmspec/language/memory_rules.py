"""memory_rules: what a training holds at least, from headers and configurations alone.

They are rules as those of language/rules.py. `lmspec validate --memory` counts activations, too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.language import on_disk, resolved
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.language.world_rules import DIVIDED, trained
from lmspec.specs.checks.training import copies_of_weights
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

GIB = 2**30
BYTES = 4  # of a weight: fp32
LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
EMBEDDING = re.compile(r"(?:embed_tokens|(?:word_|token_type_|position_)?embeddings?|wte|wpe)\b")
LLAMAS = {"llama", "mistral", "qwen2", "qwen3"}


def training_fits_the_memory(specs: Specs) -> Disagreements:
    """`machine.memory_gib` holds weights, gradients and the optimizer's states, if nothing else."""
    limit, numerics = specs.section("machine").get("memory_gib"), specs.section("numerics")
    world = numerics.get("world")
    divided = world if numerics.get("sharding") and isinstance(world, int) and world > 0 else 1
    if not isinstance(limit, int | float):
        return
    for name, training in trained(specs):
        weights = _numbers(specs, name)
        if not weights:
            continue
        whole, own = sum(weights.values()), sum(_learning(specs, name, weights).values())
        copies = copies_of_weights(training) * own
        # a sharded model is whole on each device before and after
        needed = BYTES * max(whole, (whole + copies) / divided) / GIB
        if needed > limit:
            found = (
                f"a device needs at least {needed:.1f} GiB: {whole / 1e9:.2f} billion weights, and"
                f" {copies_of_weights(training)} numbers more for each of {own / 1e9:.2f} billion"
                f" that are trained, in fp32{f', divided by {divided}' if divided > 1 else ''}"
            )
            remedy = (
                "freeze layers, add an `adapter`, take an optimizer with fewer states, or divide"
                " the weights: `sharding: full` with a larger `world`"
            )
            place = (("machine", "memory_gib"), f"{limit:g} GiB")
            yield Disagreement((*name, "training"), found, remedy, (place,))


def _numbers(specs: Specs, name: ArtifactName) -> Mapping[str, int]:
    """Tensor -> how many weights it has, of a network that is trained; empty if not known yet."""
    for member in specs.line(name) if specs.has_model(name) else ():
        if member.noun == "student":
            teachers = _numbers(specs, ArtifactName.parse(specs[member]["teacher"]))
            stacked = _stacked(teachers)
            kept = {stacked[i] for i in specs[member]["layers"] if i < len(stacked)}
            return {t: n for t, n in teachers.items() if _layer(t) in kept | {None}}
    spec: Values = specs.first(name)[1] if specs.has_model(name) else _as_model(specs, name)
    if spec["architecture"]["kind"] not in DIVIDED:
        return {}
    folder = resolved.weights(specs, spec)
    return numbers(folder) if folder else {}


def _as_model(specs: Specs, name: ArtifactName) -> Values:
    """A `pretrained` as a model of its weights."""
    return {"architecture": {"kind": "transformer", "weights": specs[name]["of"]}}


def _learning(specs: Specs, name: ArtifactName, weights: Mapping[str, int]) -> Mapping[str, int]:
    """Those tensors that are not frozen; with an adapter none, since it is small beside them."""
    spec = specs[name]
    own = spec.get("architecture", spec)
    if spec.get("adapter") or own.get("adapter"):
        return {}
    frozen = own.get("frozen_layers") or 0
    below = _stacked(weights)[:frozen]
    return {
        t: n
        for t, n in weights.items()
        if _layer(t) not in below and not (own.get("frozen_embeddings") and EMBEDDING.search(t))
    }


def _stacked(weights: Mapping[str, int]) -> list[int]:
    """Numbers of the layers, from the bottom."""
    return sorted({number for tensor in weights if (number := _layer(tensor)) is not None})


def _layer(tensor: str) -> int | None:
    found = LAYER.search(tensor)
    return int(found[1]) if found else None


def numbers(folder: Path) -> Mapping[str, int]:
    """Tensor -> how many weights it has, from the headers of a folder's files, else from its
    configuration; empty if neither says."""
    found: dict[str, int] = {}
    for file in sorted(folder.glob("*.safetensors")):
        for tensor, about in on_disk.header(file).items():
            if tensor != "__metadata__":
                found[tensor] = _product(about["shape"])
    return found or _of_a_llama(on_disk.config(folder))


def _product(shape: list[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


def _of_a_llama(config: Mapping[str, Any]) -> dict[str, int]:
    """Source: the modules of transformers' modeling_llama, modeling_mistral, modeling_qwen2, ..."""
    kind = config.get("model_type")
    if kind not in LLAMAS:
        return {}
    try:
        width, inner, vocabulary, layers, heads = (
            int(config[field])
            for field in (
                "hidden_size",
                "intermediate_size",
                "vocab_size",
                "num_hidden_layers",
                "num_attention_heads",
            )
        )
    except (KeyError, TypeError, ValueError):
        return {}
    head = config.get("head_dim") or width // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    attention = 2 * width * queries + 2 * width * keys
    biased = config.get("attention_bias", False)
    if kind == "qwen2" or biased:
        attention += queries + 2 * keys + (width if biased else 0)
    if kind == "qwen3":
        attention += 2 * head  # norms of queries and keys
    layer = attention + 3 * width * inner + 2 * width
    found = {f"model.layers.{number}.all": layer for number in range(layers)}
    found |= {"model.embed_tokens.weight": vocabulary * width, "model.norm.weight": width}
    if not config.get("tie_word_embeddings", False):
        found["lm_head.weight"] = vocabulary * width
    return found


RULES = (training_fits_the_memory,)
