"""causal: a pretrained language model that writes: each token is guessed from those before it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer
from transformers import AutoModelForCausalLM, GenerationConfig, PretrainedConfig, PreTrainedModel

from lmspec.errors import LmspecError, some
from lmspec.methods import configuring, pretrained
from lmspec.methods import layers as parts
from lmspec.specs.architecture import Causal
from lmspec.writing.prompting import Ids

FILES = ("config.json", "tokenizer.json")
SAME = 1e-4  # of the largest logit


def create(spec: Causal, weights: Path) -> tuple[PreTrainedModel, Tokenizer, int, str]:
    """The model of a source with its head, its tokenizer, the id of the padding, and its own end.

    The last is the token that ends a text in its config; "" if it names none.
    Raises LmspecError if it is none, or lacks what the spec wants of it.
    """
    for name in FILES:
        if not (weights / name).is_file():
            remedy = "take a source that holds a model with its tokenizer"
            raise LmspecError(str(spec.weights), f"it has no {name}", remedy)
    config = configuring.read(weights / "config.json")
    configuring.set_dropout(config, spec.dropout, 0.0)
    remedy = pretrained.REMEDY
    model = pretrained.load(AutoModelForCausalLM, weights, remedy=remedy, config=config)
    _require_causal(model, str(spec.weights))
    positions = int(getattr(config, "max_position_embeddings", sys.maxsize))
    if spec.max_length > positions:
        found = f"{spec.max_length} is more than the {positions} positions of {spec.weights}"
        raise LmspecError("architecture.max_length", found, "lower max_length")
    tokenizer = pretrained.tokenizer(weights)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    pad_id, rows = _padding(config), model.get_input_embeddings().num_embeddings
    own = config.pad_token_id if pad_id == config.pad_token_id else None
    pretrained.require_own_tokenizer(tokenizer, rows, own, weights / "tokenizer.json")
    add(model, tokenizer, spec.added_tokens or (), _template(spec))
    freeze(model, spec.frozen_embeddings, spec.frozen_layers)
    # what a source sets for its own texts, such as a temperature, is not that of this model
    model.generation_config = GenerationConfig(pad_token_id=pad_id)
    return model, tokenizer, pad_id, _end(config, weights, tokenizer)


def add(model: PreTrainedModel, tokenizer: Tokenizer, tokens: Sequence[str], template: str) -> None:
    """Add tokens, whose rows begin as the mean of all others, in the head, too.

    template  a token in it is special; any other is read in prompts and answers
    Raises LmspecError if the tokenizer has one already.
    """
    if present := [token for token in tokens if tokenizer.token_to_id(token) is not None]:
        found = f"the tokenizer has {some(present)} already"
        raise LmspecError("architecture.added_tokens", found, "remove it there")
    if not tokens:
        return
    before = sorted(tokenizer.get_vocab(with_added_tokens=True).values())
    tokenizer.add_tokens([AddedToken(t, special=t in template, normalized=False) for t in tokens])
    known = tokenizer.get_vocab(with_added_tokens=True)
    added = [known[token] for token in tokens]
    # a vocabulary can have spare rows, and is never made smaller
    rows = max(model.get_input_embeddings().num_embeddings, max(added) + 1)
    if rows > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(rows, mean_resizing=False)
    with torch.no_grad():
        tables = (model.get_input_embeddings(), model.get_output_embeddings())
        for weight in {id(table.weight): table.weight for table in tables}.values():
            weight[added] = weight[before].mean(0)
        bias = getattr(tables[1], "bias", None)
        if bias is not None:
            bias[added] = bias[before].mean()


def load(folder: Path) -> PreTrainedModel:
    """The model that `save_pretrained` wrote."""
    return pretrained.load(AutoModelForCausalLM, folder)


def freeze(model: PreTrainedModel, embeddings: bool, layers: int) -> None:
    """Do not train the embeddings, with a head that is tied to them, or the bottom layers."""
    _, stack = parts.stack(model)
    if layers > len(stack):
        found = f"{layers} is more than the model's {len(stack)} layers"
        raise LmspecError("frozen_layers", found, "lower it")
    if embeddings:
        model.get_input_embeddings().requires_grad_(False)
    for layer in list(stack)[:layers]:
        layer.requires_grad_(False)


def shrink(teacher: PreTrainedModel, layers: Sequence[int], dropout: float) -> PreTrainedModel:
    """A copy of the teacher with only those layers."""
    return configuring.shrunk(teacher, layers, dropout, 0.0)


def greedy(
    model: PreTrainedModel, prompts: Sequence[Ids], end_id: int, new_tokens: int
) -> list[list[int]]:
    """The most probable tokens after each prompt, one after the other, up to the end."""
    model.eval()
    written: list[list[int]] = []
    for prompt in prompts:
        ids, past = torch.from_numpy(prompt).to(model.device)[None], None
        own: list[int] = []
        with torch.inference_mode():
            while len(own) < new_tokens and end_id not in own:
                out = model(input_ids=ids, past_key_values=past, use_cache=True)
                ids, past = out.logits[:, -1:].argmax(-1), out.past_key_values
                own.append(int(ids))
        written.append(own)
    return written


def _template(spec: Causal) -> str:
    """All text that is around prompts and answers."""
    fields = spec.prompt.model_dump().values() if spec.prompt else ()
    return "\n".join(value for value in fields if value)


def _require_causal(model: PreTrainedModel, source: str) -> None:
    """Raise LmspecError if a token changes what is guessed from those before it alone."""
    ids = torch.arange(4, device=model.device).remainder(
        model.get_input_embeddings().num_embeddings
    )
    other = ids.clone()
    other[-1] = 0
    model.eval()
    with torch.inference_mode():
        one, two = (model(input_ids=each[None]).logits[0, :-1] for each in (ids, other))
    if not (one - two).abs().max() <= SAME * one.abs().max():
        found = f"it is a {model.config.model_type} that reads in both directions"
        raise LmspecError(source, found, "take a model that was trained to write (a decoder)")


def _padding(config: PretrainedConfig) -> int:
    """Its own, else its end, else token 0: none is read where it pads."""
    end = config.eos_token_id
    candidates = (config.pad_token_id, end[0] if isinstance(end, list) else end)
    return next((i for i in candidates if i is not None and i >= 0), 0)


def _end(config: PretrainedConfig, weights: Path, tokenizer: Tokenizer) -> str:
    """The token that ends a text: that of tokenizer_config.json, else that of config.json."""
    try:
        text = (weights / "tokenizer_config.json").read_text(encoding="utf-8")
        token = json.loads(text).get("eos_token")
    except (OSError, ValueError):
        token = None
    token = token.get("content") if isinstance(token, dict) else token
    if isinstance(token, str) and tokenizer.token_to_id(token) is not None:
        return token
    end = config.eos_token_id
    number = end[0] if isinstance(end, list) else end
    return "" if number is None else tokenizer.id_to_token(number) or ""
