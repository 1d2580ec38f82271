"""The top layer computes the first token alone: same logits and gradients as transformers'."""

import copy
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from lmspec.architectures import transformer
from lmspec.methods import exporting, firsttoken, layers, torchrun

SMALL = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
    "num_labels": 3,
    "pad_token_id": 0,
}
DISTIL = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24}
KINDS = ["bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"]


def made(kind: str) -> PreTrainedModel:
    """A tiny one with random weights."""
    torch.manual_seed(3)
    config = AutoConfig.for_model(kind, **SMALL | (DISTIL if kind == "distilbert" else {}))
    model: PreTrainedModel = AutoModelForSequenceClassification.from_config(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def alone(model: PreTrainedModel) -> PreTrainedModel:
    """A copy whose top layer computes the first token alone."""
    other = copy.deepcopy(model)
    firsttoken.only(other, layers.stack(other)[1])
    return other


def outputs(model: PreTrainedModel, mask: str) -> Any:
    """Of a batch of texts that are padded so."""
    ids, attention = (torch.from_numpy(part) for part in exporting.batch(3, 9, mask, 50))
    return model(input_ids=ids, attention_mask=attention, output_hidden_states=True)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_gradients_are_those_of_all_tokens(kind: str, attention: str) -> None:
    """With every mask, for each weight; and the hidden states of the first token."""
    whole = made(kind)
    whole.set_attn_implementation(attention)
    part = alone(whole)
    for mask in transformer.MASKS:
        one, other = outputs(whole, mask), outputs(part, mask)
        assert other.hidden_states[-1].shape == (3, 1, 16)
        torch.testing.assert_close(one.logits, other.logits, rtol=0, atol=2e-6)
        for states, first in zip(one.hidden_states, other.hidden_states, strict=True):
            torch.testing.assert_close(states[:, 0], first[:, 0], rtol=0, atol=2e-6)
        for model, out in ((whole, one), (part, other)):
            model.zero_grad()
            out.logits.square().sum().backward()
        for (name, weight), twin in zip(whole.named_parameters(), part.parameters(), strict=True):
            if weight.grad is not None and twin.grad is not None:
                torch.testing.assert_close(weight.grad, twin.grad, rtol=1e-4, atol=1e-4, msg=name)
            assert (weight.grad is None) == (twin.grad is None), name


@pytest.mark.parametrize("kind", ["bert", "distilbert"])
def test_a_graph_of_it_gives_its_logits(kind: str) -> None:
    """Exported as a stage does; it has no product of the top layer over all tokens."""
    import onnxruntime

    model = alone(made(kind))
    graph = exporting.export(transformer.exportable(copy.deepcopy(model)), 16, 18)
    session = onnxruntime.InferenceSession(graph.SerializeToString())

    def run(ids: Any, mask: Any) -> Any:
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    worst, _ = exporting.largest_difference(torchrun.forward(model), run, 16, transformer.MASKS, 50)
    assert worst < 1e-5


def test_others_and_what_reads_all_tokens_stay() -> None:
    """A decoder, an architecture that is not known, a body alone."""
    model = made("bert")
    model.config.is_decoder = True
    firsttoken.only(model, layers.stack(model)[1])
    assert type(layers.stack(model)[1][-1]).__name__ == "BertLayer"
    modern = AutoModelForSequenceClassification.from_config(
        AutoConfig.for_model("modernbert", **SMALL)
    )
    firsttoken.only(modern, layers.stack(modern)[1])
    assert outputs(modern, "right").hidden_states[-1].shape == (3, 9, 16)


def test_a_copy_and_its_weights_are_plain() -> None:
    """The names of the weights are those of transformers; a copy computes with its own weights."""
    whole = made("roberta")
    part = alone(whole)
    assert list(part.state_dict()) == list(whole.state_dict())
    twin = copy.deepcopy(part)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    assert outputs(twin, "full").logits.abs().max() == 0
    assert outputs(part, "full").logits.abs().max() > 0
