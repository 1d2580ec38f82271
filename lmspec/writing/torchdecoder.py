"""torchdecoder: a causal model of transformers decodes, in eager torch.

The bits of a row do not depend on its company. A matrix product may sum in another order when it
has another number of rows, so that a line of tokens has always the same length, be they those of a
step or of rows of a loss; attention is computed for each row alone. Prompts are read one at a time.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AttentionInterface, PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
ROWS = 16  # of a step: 16 take an eighth longer than 1, which takes half as long again as unpadded
LINE = 256  # tokens of rows whose loss is computed, twice as fast as one row of 36 after the other
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
        layers = {type(layer) for layer in self._empty().layers}
        is_ours = model.config._attn_implementation == "sdpa" and model._supports_attention_backend
        self._are_lines_read = is_ours and layers <= {DynamicLayer}
        # a window limits what one more token sees, as its past does; not what each of a row sees
        self._are_steps_joint = is_ours and layers <= {DynamicLayer, DynamicSlidingWindowLayer}

    @torch.inference_mode()
    def prefill(self, ids: Ids) -> tuple[Cache, Floats]:
        """(t,) tokens of one request -> its past, and the logits (V,) after the last of them."""
        past = self._empty()
        return past, self._read(ids, past)[0]

    @torch.inference_mode()
    def step(self, pasts: Sequence[Cache], tokens: Ids) -> tuple[list[Cache], Floats]:
        """One more token (b,) of each of b requests -> their pasts, and the logits (b, V)."""
        parts = []
        if self._are_steps_joint:
            for i in range(0, len(pasts), ROWS):
                some = pasts[i : i + ROWS]
                places = np.array([past.get_seq_length() for past in some])
                apart = _Apart([1] * len(some), some)
                parts.append(self._line(tokens[i : i + ROWS], places, apart, ROWS))
        else:
            for token, past in zip(tokens, pasts, strict=True):
                parts.append(self._read(np.array([token]), past))
        return list(pasts), np.concatenate(parts)

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """(t, V) of each row in order, after each of its t tokens."""
        for some in self._lines(rows):
            lengths = [len(row) for row in some]
            with torch.inference_mode():
                if lengths[0] > LINE or not self._are_lines_read:
                    yield self._read(some[0], None, last=0)
                    continue
                places = np.concatenate([np.arange(length) for length in lengths])
                got = self._line(np.concatenate(some), places, _Apart(lengths), LINE)
            yield from np.split(got, np.cumsum(lengths)[:-1])

    def _lines(self, rows: Sequence[Ids]) -> Iterator[list[Ids]]:
        """As many rows as fit in one line; one that fits in none is alone."""
        some: list[Ids] = []
        for row in rows:
            full = not self._are_lines_read or sum(map(len, some)) + len(row) > LINE
            if some and full:
                yield some
                some = []
            some.append(row)
        if some:
            yield some

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

    def _line(self, tokens: Ids, places: Ids, apart: "_Apart", length: int) -> Floats:
        """Tokens (t,) at their positions, and as many idle ones as make up a length -> (t, V)."""
        line = np.zeros((2, 1, length), np.int64)
        line[:, 0, : len(tokens)] = tokens, places
        config = self._model.config
        attention, config._attn_implementation = config._attn_implementation, APART
        try:
            got = self._model(
                input_ids=self._tensor(line[0]),
                position_ids=self._tensor(line[1]),
                attention_mask=self._tensor(np.ones((1, 1, 1, 1), np.int64)),  # 4D: left as it is
                past_key_values=apart,
                use_cache=True,
            )
        finally:
            config._attn_implementation = attention
        return _array(got.logits[0, : len(tokens)])

    def _tensor(self, values: Ids) -> torch.Tensor:
        return torch.from_numpy(values).to(self._model.device)


class _Rows(NamedTuple):
    """Keys, or values, of each row (1, heads, t, d); of them, `lengths` are new."""

    states: list[torch.Tensor]
    lengths: list[int]


class _Apart(Cache):
    """Says which tokens of a line belong together, and keeps them in the past of their row."""

    def __init__(self, lengths: list[int], pasts: Sequence[Cache] = ()) -> None:
        super().__init__(layers=[])
        self._lengths, self._pasts = lengths, pasts

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[_Rows, _Rows]:
        """Keys and values of a line (1, heads, length, d) -> those of each row, with its past."""
        keys, values = (_split(states, self._lengths) for states in (key_states, value_states))
        for i, past in enumerate(self._pasts):
            keys[i], values[i] = past.update(keys[i], values[i], layer_idx)
        return _Rows(keys, self._lengths), _Rows(values, self._lengths)


def _split(states: torch.Tensor, lengths: list[int]) -> list[torch.Tensor]:
    """(1, heads, length, d) -> the part of each row; idle tokens are in none."""
    return list(torch.split(states[:, :, : sum(lengths)], lengths, dim=2))


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: _Rows,
    value: _Rows,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Of the new tokens of each row to those before them in it; idle ones get zeros."""
    queries = _split(query, key.lengths)
    rows = [
        sdpa_attention_forward(module, *parts, None, **kwargs)[0]
        for parts in zip(queries, key.states, value.states, strict=True)
    ]
    idle = rows[0].new_zeros(1, query.shape[2] - sum(key.lengths), *rows[0].shape[2:])
    return torch.cat([*rows, idle], dim=1), None


AttentionInterface.register(APART, _attention)


def _array(logits: torch.Tensor) -> Floats:
    result: Floats = logits.float().cpu().numpy()
    return result
