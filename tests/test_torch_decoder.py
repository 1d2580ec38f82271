"""torchdecoder: what a model of transformers writes is what its own `generate` writes, and the bits
of each row are its own."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma2Config,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedModel,
)

from lmspec.writing import torchdecoder
from lmspec.writing.generating import Floats, Ids, Request, key_of, texts
from lmspec.writing.sampling import Sampling
from lmspec.writing.torchdecoder import TorchDecoder
from tests.decoders import byte_level

TOKENIZER = byte_level()
END = 1  # and padding
SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 96,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,  # else each text is one token again and again
}
FAMILIES = {
    "llama": lambda: LlamaConfig(**SHAPE),
    "sliding window": lambda: MistralConfig(**SHAPE, sliding_window=6),
    "soft caps": lambda: Gemma2Config(**SHAPE, query_pre_attn_scalar=16, sliding_window=6),
    "learned positions": lambda: GPT2Config(
        vocab_size=300, n_embd=64, n_layer=2, n_head=4, n_positions=128, initializer_range=0.3
    ),
}


@pytest.fixture(params=FAMILIES)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """Small, with random weights."""
    return made(request.param)


def made(family: str) -> PreTrainedModel:
    """The same weights each time."""
    torch.manual_seed(0)
    config = FAMILIES[family]()
    config.pad_token_id = config.eos_token_id = END
    config.bos_token_id = None
    implementation = "eager" if family == "soft caps" else "sdpa"
    return AutoModelForCausalLM.from_config(config, attn_implementation=implementation).eval()


def prompts(number: int = 17) -> list[Ids]:
    """Of 1 to 30 tokens, ends among them."""
    random = np.random.default_rng(1)
    return [random.integers(0, 272, size=random.integers(1, 31)) for _ in range(number)]


def read(decoder: TorchDecoder, ids: Sequence[Ids]) -> list[object]:
    """The past of each prompt."""
    return [decoder.prefill(one)[0] for one in ids]


def test_greedy_texts_are_those_of_transformers(model: PreTrainedModel) -> None:
    """Whatever the attention and the positions; they end where the end token comes, also if it is
    the padding, and at the limit."""
    asked, decoder = [Request(ids, 24) for ids in prompts()], TorchDecoder(model)
    end = int(texts(decoder, asked, TOKENIZER, [], 5)[0].ids[4])  # one that is written
    got = texts(decoder, asked, TOKENIZER, [end], 5)
    for request, one in zip(asked, got, strict=True):
        ids = torch.from_numpy(request.ids)[None]
        theirs = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=24,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=end,
        )
        assert one.ids.tolist() == theirs[0, len(request.ids) :].tolist()
    assert {one.stopped for one in got} == {"end", "limit"}
    assert len({tuple(one.ids) for one in got}) > 10


def test_the_bits_of_a_row_are_its_own(model: PreTrainedModel) -> None:
    """Among 1 to 16 others, in any order, of any lengths."""
    decoder, ids = TorchDecoder(model), prompts()
    tokens = np.arange(len(ids)) + 20
    alone = [decoder.step(read(decoder, [ids[i]]), tokens[[i]])[1][0] for i in range(len(ids))]
    random = np.random.default_rng(3)
    for size in (2, 3, 8, 9, 17):
        chosen = random.permutation(len(ids))[:size]
        _, logits = decoder.step(read(decoder, [ids[i] for i in chosen]), tokens[chosen])
        for place, i in enumerate(chosen):
            np.testing.assert_array_equal(logits[place], alone[i])


class Padded(TorchDecoder):
    """The usual way: rows of a step share a batch, padded on the left to the longest."""

    def step(self, pasts: Sequence[Ids], tokens: Ids) -> tuple[list[Ids], Floats]:
        """Without caches, since only the logits are of interest."""
        rows = [np.append(past, token) for past, token in zip(pasts, tokens, strict=True)]
        ids, mask = np.ones((2, len(rows), max(map(len, rows))), np.int64)
        for place, row in enumerate(rows):
            ids[place, -len(row) :], mask[place, : -len(row)] = row, 0
        places = np.maximum(mask.cumsum(1) - 1, 0)
        with torch.inference_mode():
            got = self._model(
                torch.from_numpy(ids),
                attention_mask=torch.from_numpy(mask),
                position_ids=torch.from_numpy(places),
            )
        return rows, got.logits[:, -1].numpy()


def test_bits_that_depend_on_others_are_found() -> None:
    """The negative control."""
    decoder, ids = Padded(made("llama")), prompts()
    tokens = np.arange(len(ids)) + 20
    together = decoder.step(ids, tokens)[1]
    alone = np.array([decoder.step([one], tokens[[i]])[1][0] for i, one in enumerate(ids)])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert (together != alone).any()


def test_steps_give_the_logits_of_the_whole(model: PreTrainedModel) -> None:
    """Token by token beside others, as read at once alone; each of its rows is its own."""
    decoder, ids = TorchDecoder(model), [row for row in prompts() if len(row) > 12][:5]
    wholes = list(decoder.logits(ids))
    assert [whole.shape for whole in wholes] == [(len(row), 300) for row in ids]
    pasts = read(decoder, [row[:10] for row in ids])
    for place in (10, 11):
        pasts, logits = decoder.step(pasts, np.array([row[place] for row in ids]))
        for row, whole in zip(logits, wholes, strict=True):
            np.testing.assert_allclose(row, whole[place], atol=2e-4)
    for row, whole in zip(ids, wholes, strict=True):
        np.testing.assert_allclose(decoder.prefill(row)[1], whole[-1], atol=2e-4)


def test_the_bits_of_a_loss_are_those_of_its_row(model: PreTrainedModel) -> None:
    """Among others, in any order; also if they fill several lines, or one of them is longer."""
    decoder = TorchDecoder(model)
    rows = [*prompts(), np.arange(100) + 3]
    alone = [next(decoder.logits([row])) for row in rows]
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(rows))
        got = list(decoder.logits([rows[i] for i in order]))
        assert len(got) == len(rows)
        for i, logits in zip(order, got, strict=True):
            np.testing.assert_array_equal(logits, alone[i])
    with torch.inference_mode():
        for row, logits in zip(rows, alone, strict=True):
            whole = model(torch.from_numpy(row)[None], use_cache=False).logits[0].numpy()
            np.testing.assert_allclose(logits, whole, atol=2e-4)


def test_rows_of_a_loss_are_read_in_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit; one that fits in none is read alone, as long as it is."""
    model, passes = made("llama"), []
    monkeypatch.setattr(torchdecoder, "LINE", 32)
    model.register_forward_pre_hook(
        lambda _, __, given: passes.append(given["input_ids"].numel()), with_kwargs=True
    )
    rows = [np.arange(length) + 3 for length in (10, 20, 3, 40, 31, 1, 1)]
    lengths = [len(logits) for logits in TorchDecoder(model).logits(rows)]
    assert lengths == [10, 20, 3, 40, 31, 1, 1]
    assert passes == [32, 32, 40, 32, 32]
    assert list(TorchDecoder(model).logits([])) == []


def test_sampled_texts_do_not_depend_on_their_company() -> None:
    """In any order of arrival, in any number of slots."""
    model = made("llama")
    asked = [
        Request(
            ids,
            16,
            Sampling(1.2, top_p=0.95, seed=i % 2),
            key=key_of(ids),
            penalty=(None, 1.2)[i % 2],
        )
        for i, ids in enumerate(prompts(9))
    ]
    alone = [
        texts(TorchDecoder(model), [one], TOKENIZER, [END], 1)[0].ids.tolist() for one in asked
    ]
    for seed, slots in ((0, 3), (1, 16)):
        order = np.random.default_rng(seed).permutation(len(asked))
        got = texts(TorchDecoder(model), [asked[i] for i in order], TOKENIZER, [END], slots)
        assert [one.ids.tolist() for one in got] == [alone[i] for i in order]


def test_rows_of_one_family_are_computed_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass for up to ROWS of them, unless the attention is of the model's own."""
    passes: list[int] = []
    monkeypatch.setattr(torchdecoder, "ROWS", 8)
    for family, expected in (("llama", [8, 8]), ("sliding window", [8, 8]), ("soft caps", [1] * 9)):
        model = made(family)
        decoder = TorchDecoder(model)
        pasts = read(decoder, prompts(9))
        passes.clear()
        handle = model.register_forward_pre_hook(
            lambda _, __, given: passes.append(given["input_ids"].numel()), with_kwargs=True
        )
        decoder.step(pasts, np.arange(9))
        handle.remove()
        assert passes == expected
        assert model.config._attn_implementation != torchdecoder.APART


def test_a_model_says_how_much_it_reads() -> None:
    """Its texts end there."""
    decoder = TorchDecoder(made("llama"))
    assert (decoder.vocabulary, decoder.positions) == (300, 128)
    request = Request(np.arange(2, 122), 50)
    (one,) = texts(decoder, [request], TOKENIZER, [], 1)
    assert (one.stopped, len(one.ids)) == ("positions", 8)
