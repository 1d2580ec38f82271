"""firsttoken: the top layer of an encoder computes the first token alone, where its head reads no
other.

The same logits from less work: of the top layer's products only keys and values need all tokens,
which are 2 of 12. Of MiniLM's six layers that is 14 % of the forward and the backward pass, of a
student's three 28 %; graphs that are exported from the model have it, too.
"""

import sys
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def attended(
    attention: Any, projections: tuple[str, str, str], hidden: Tensor, mask: Tensor | None
) -> Tensor:
    """(b, 1, d) what the first token attends to, before its projection.

    projections  names of those of queries, keys and values
    hidden       (b, t, d)
    mask         of attention, (b, 1, t or 1, t)
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    inputs = (hidden[:, :1], hidden, hidden)
    query, key, value = (  # (b, h, 1 or t, d/h)
        getattr(attention, name)(part)
        .unflatten(-1, (-1, attention.attention_head_size))
        .transpose(1, 2)
        for name, part in zip(projections, inputs, strict=True)
    )
    kernel = ALL_ATTENTION_FUNCTIONS.get_interface(
        attention.config._attn_implementation,
        sys.modules[type(attention).__module__].eager_attention_forward,
    )
    if mask is not None and mask.ndim == 4:
        mask = mask[:, :, :1]
    dropout = attention.dropout.p if attention.training else 0.0
    out, _ = kernel(attention, query, key, value, mask, dropout=dropout, scaling=attention.scaling)
    return out.flatten(2)  # type: ignore[no-any-return]


class _Bert:
    """Top layer of BERT and its kin."""

    attention: Any
    output: Any
    feed_forward_chunk: Any

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, *_: Any, **__: Any
    ) -> Tensor:
        """(b, t, d) -> (b, 1, d)."""
        names = ("query", "key", "value")
        found = attended(self.attention.self, names, hidden_states, attention_mask)
        out: Tensor = self.feed_forward_chunk(self.attention.output(found, hidden_states[:, :1]))
        return out


class _DistilBert:
    """Top layer of DistilBERT."""

    attention: Any
    ffn: Any
    sa_layer_norm: Any
    output_layer_norm: Any

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any
    ) -> Tensor:
        """(b, t, d) -> (b, 1, d)."""
        names = ("q_lin", "k_lin", "v_lin")
        found = attended(self.attention, names, hidden_states, attention_mask)
        middle = self.sa_layer_norm(self.attention.out_lin(found) + hidden_states[:, :1])
        out: Tensor = self.output_layer_norm(self.ffn(middle) + middle)
        return out


# Classes of transformers whose head reads the first token, and nothing else
KINDS: dict[str, type] = {
    "BertForSequenceClassification": _Bert,
    "RobertaForSequenceClassification": _Bert,
    "XLMRobertaForSequenceClassification": _Bert,
    "CamembertForSequenceClassification": _Bert,
    "ElectraForSequenceClassification": _Bert,
    "DistilBertForSequenceClassification": _DistilBert,
}


def only(model: "PreTrainedModel", layers: nn.ModuleList) -> None:
    """Make the top one of the layers compute what the head reads, if that is the first token.

    The last of `hidden_states` is then (b, 1, d). Decoders and other architectures stay.
    """
    kind = KINDS.get(type(model).__name__)
    top = layers[-1]
    if kind is not None and not getattr(model.config, "is_decoder", False):
        top.__class__ = type(f"FirstTokenOf{type(top).__name__}", (kind, type(top)), {})
