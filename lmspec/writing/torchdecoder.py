"""torchdecoder: a causal model of transformers decodes, in eager torch.

The bits of a row do not depend on its company. A matrix product may sum in another order when it
has another number of rows, so that there are always ROWS of them in a step; attention is computed
row by row, each with its own length. Prompts and rows of a loss are read one at a time.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
ROWS = 8
APART = "lmspec_rows_apart"  # name of the attention, as transformers knows it


class TorchDecoder:
    """A `Decoder` of generating.py. The past of a request is its cache of keys and values.

    model  on any device, of any precision; no other thread uses it
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config.get_text_config()
        self.vocabulary: int = config.vocab_size
        # absent of models whose positions need no table, as ALiBi
        self.positions: int = getattr(config, "max_position_embeddings", sys.maxsize)
        self._model = model.eval()
        kinds = {type(layer) for layer in self._empty().layers}
        self._is_together = (
            model.config._attn_implementation == "sdpa"
            and model._supports_attention_backend
            and kinds <= {DynamicLayer, DynamicSlidingWindowLayer}  # and no recurrent state
        )

    @torch.inference_mode()
    def prefill(self, ids: Ids) -> tuple[Cache, Floats]:
        """(t,) tokens of one request -> its past, and the logits (V,) after the last of them."""
        past = self._empty()
        return past, self._read(ids, past)[0]

    @torch.inference_mode()
    def step(self, pasts: Sequence[Cache], tokens: Ids) -> tuple[list[Cache], Floats]:
        """One more token (b,) of each of b requests -> their pasts, and the logits (b, V)."""
        if self._is_together:
            starts = range(0, len(pasts), ROWS)
            parts = [self._together(pasts[i : i + ROWS], tokens[i : i + ROWS]) for i in starts]
        else:
            pairs = zip(tokens[:, None], pasts, strict=True)
            parts = [self._read(token, past) for token, past in pairs]
        return list(pasts), np.concatenate(parts)

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """(t, V) of each row in order, after each of its t tokens."""
        for ids in rows:
            with torch.inference_mode():
                yield self._read(ids, None, last=0)

    def _empty(self) -> DynamicCache:
        return DynamicCache(config=self._model.config)

    def _read(self, ids: Ids, past: Cache | None, last: int = 1) -> Floats:
        """Tokens (t,) that follow a past, which grows by them -> logits after the `last` of them,
        (last, V); 0: all of them."""
        got = self._model(
            input_ids=self._tensor(ids[None]),
            past_key_values=past,
            use_cache=past is not None,
            logits_to_keep=last,
        )
        return _array(got.logits[0])

    def _together(self, pasts: Sequence[Cache], tokens: Ids) -> Floats:
        """At most ROWS rows, and as many idle ones as make up ROWS -> logits (b, V)."""
        ids, places = np.zeros((2, ROWS, 1), np.int64)
        ids[: len(tokens), 0] = tokens
        places[: len(tokens), 0] = [past.get_seq_length() for past in pasts]
        config = self._model.config
        attention, config._attn_implementation = config._attn_implementation, APART
        try:
            got = self._model(
                input_ids=self._tensor(ids),
                position_ids=self._tensor(places),
                attention_mask=self._tensor(np.ones((1, 1, 1, 1), np.int64)),  # 4D: left as it is
                past_key_values=_Apart(pasts),
                use_cache=True,
            )
        finally:
            config._attn_implementation = attention
        return _array(got.logits[: len(tokens), -1])

    def _tensor(self, values: Ids) -> torch.Tensor:
        return torch.from_numpy(values).to(self._model.device)


class _Apart(Cache):
    """Caches of several rows: each keeps its own length, where one for all would pad them."""

    def __init__(self, pasts: Sequence[Cache]) -> None:
        super().__init__(layers=[])
        self._pasts = pasts

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """One more key and value (ROWS, heads, 1, d) -> all of each row; idle ones have none."""
        rows = range(len(self._pasts))
        keys, values = key_states[:, None], value_states[:, None]  # (ROWS, 1, heads, 1, d)
        grown = [self._pasts[i].update(keys[i], values[i], layer_idx) for i in rows]
        return [key for key, _ in grown], [value for _, value in grown]


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: list[torch.Tensor],
    value: list[torch.Tensor],
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Of the one token of each row to all of its own past; idle rows get zeros."""
    rows = [
        sdpa_attention_forward(module, row[None], keys, values, None, **kwargs)[0]
        for row, keys, values in zip(query, key, value, strict=False)
    ]
    idle = len(query) - len(rows)
    return torch.cat([*rows, *[torch.zeros_like(rows[0])] * idle]), None


AttentionInterface.register(APART, _attention)


def _array(logits: torch.Tensor) -> Floats:
    result: Floats = logits.float().cpu().numpy()
    return result
