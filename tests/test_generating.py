"""generating: a request's text is its own, whatever else is written, and what streams is exact."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from lmspec.writing import growing
from lmspec.writing.generating import (
    Batch,
    Decoder,
    Failed,
    Request,
    Text,
    Token,
    Written,
    generate,
    key_of,
    texts,
)
from lmspec.writing.growing import GrowingText
from lmspec.writing.sampling import Sampling, log_probability
from tests.decoders import END, Scripted, Toy, byte_level, sentencepiece

TOKENIZER = byte_level()
SAMPLINGS = (
    None,
    Sampling(seed=4),
    Sampling(temperature=1.5, top_p=0.95, seed=9),
    Sampling(temperature=0.7, top_k=20, min_p=0.02),
)


def requests(number: int = 17) -> list[Request]:
    """Of every kind; some end soon, so that others take their places."""
    random = np.random.default_rng(2)
    made = []
    for i in range(number):
        ids = random.integers(2, 260, size=random.integers(1, 9))
        sampling, penalty = SAMPLINGS[i % 4], (None, 1.3)[i % 3 == 2]
        made.append(
            Request(ids, int(random.integers(1, 40)), sampling, ("e",), key_of(ids), penalty)
        )
    return made


def written(
    decoder: Decoder, asked: Sequence[Request], slots: int
) -> list[tuple[str, str, list[int]]]:
    """Text, why it ends, and tokens of each."""
    got = texts(decoder, asked, TOKENIZER, [1], slots)
    return [(one.text, one.stopped, one.ids.tolist()) for one in got]


def alone(decoder: Decoder, asked: Sequence[Request]) -> list[tuple[str, str, list[int]]]:
    """Each request answered by itself."""
    return [one for request in asked for one in written(decoder, [request], 1)]


@pytest.mark.parametrize("slots", [1, 2, 5, 16, 40])
def test_a_text_does_not_depend_on_its_company(slots: int) -> None:
    """Greedy or drawn, with a penalty or without, in whatever order requests come."""
    asked = requests()
    expected = alone(Toy(), asked)
    assert len({text for text, _, _ in expected}) > 10
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(asked))
        got = written(Toy(), [asked[i] for i in order], slots)
        assert got == [expected[i] for i in order]


def test_a_decoder_whose_rows_affect_each_other_is_found() -> None:
    """The negative control of the decoder."""
    asked = requests()
    crowded = Toy(crowded=0.05)
    assert written(crowded, asked, 8) != alone(crowded, asked)


def test_draws_that_depend_on_earlier_ones_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the draws: one generator for all."""
    generator = np.random.default_rng(0)
    monkeypatch.setattr(
        "lmspec.writing.generating.draw", lambda seed, key, position: generator.random()
    )
    asked = requests()
    assert written(Toy(), asked, 8) != alone(Toy(), asked)


def test_several_texts_of_one_prompt_differ() -> None:
    """By their keys, or their seeds; the same key and seed write the same text."""
    ids = np.array([5, 6, 7])
    keys = [key_of(ids, number) for number in range(20)]
    asked = [Request(ids, 12, Sampling(), key=key) for key in keys]
    asked += [Request(ids, 12, Sampling(seed=seed), key=keys[0]) for seed in range(1, 20)]
    got = written(Toy(), [*asked, asked[0]], 4)
    assert len({text for text, _, _ in got}) == 39
    assert got[0] == got[-1]
    assert len({key_of(np.array(ids)) for ids in itertools.product(range(3), repeat=4)}) == 81


def test_a_free_slot_is_taken_at_once() -> None:
    """Steps are full until the last requests, and never fuller than there are slots."""
    decoder = Toy()
    asked = [Request(np.array([i + 2]), 3 + 4 * (i % 3)) for i in range(12)]
    tokens = list(generate(decoder, asked, TOKENIZER, [], 4))
    assert max(decoder.companies) == 4
    assert sum(decoder.companies) == len(tokens) - len(asked)
    full = [company == 4 for company in decoder.companies]
    assert full == sorted(full, reverse=True)
    assert len(full) < sum(request.new_tokens for request in asked) / 3


def test_requests_are_taken_as_they_are_needed() -> None:
    """None is asked for while every slot is taken, so that they may come without end."""
    taken = []

    def endless() -> "itertools.chain[Request]":
        for i in itertools.count():
            taken.append(i)
            yield Request(np.array([i % 200 + 2]), 5)

    tokens = generate(Toy(), endless(), TOKENIZER, [], 3)
    for token in itertools.islice(tokens, 100):
        assert taken[-1] <= token.request + 3


@pytest.mark.parametrize("seed", range(4))
def test_texts_come_and_go_between_steps(seed: int) -> None:
    """What each says is what it says alone; one that leaves early says the beginning of it."""
    asked, random = requests(), np.random.default_rng(seed)
    decoder, batch = Toy(), Batch(Toy())
    got: dict[int, list[Token]] = {number: [] for number in range(len(asked))}
    waiting, left = list(random.permutation(len(asked))), set()
    while waiting or len(batch):
        for number in waiting[: random.integers(0, 3)]:
            waiting.remove(number)
            text = Text(int(number), asked[number], decoder, TOKENIZER, frozenset([1]))
            got[number].append(text.first(decoder))
            batch.join(text)
        if random.random() < 0.1:
            left.add(number := int(random.integers(len(asked))))
            batch.leave(number)
        for token in batch.step() if len(batch) else ():
            assert isinstance(token, Token)
            got[token.request].append(token)
    for number, (text, _, ids) in enumerate(alone(Toy(), asked)):
        whole = "".join(token.text for token in got[number])
        assert text == whole or (number in left and text.startswith(whole))
        assert [token.id for token in got[number]] == ids[: len(got[number])]


def test_a_text_that_fails_leaves_alone() -> None:
    """One without a number among its logits: the others go on."""

    class Broken(Toy):
        def step(self, pasts: Sequence[Any], tokens: Any) -> Any:
            new, logits = super().step(pasts, tokens)
            if len(self.companies) == 3:
                logits[1] = np.nan
            return new, logits

    decoder = Broken()
    batch = Batch(decoder)
    for number in range(3):
        text = Text(number, Request(np.array([number + 5]), 9), decoder, TOKENIZER, frozenset())
        text.first(decoder)
        batch.join(text)
    steps = [batch.step() for _ in range(4)]
    assert [len(step) for step in steps] == [3, 3, 3, 2]
    failed = steps[2][1]
    assert isinstance(failed, Failed) and failed.request == 1
    assert "no numbers" in str(failed.error)


def test_why_a_text_ends() -> None:
    """The end token, which it does not show; a stop string; a limit of tokens, or of positions."""
    ids = TOKENIZER.encode("abc def").ids
    decoder = Scripted([ids, ids])
    prompt = np.array([0])

    def one(request: Request) -> Written:
        return texts(decoder, [request], TOKENIZER, [1], 1)[0]

    end = one(Request(prompt, 50))
    assert (end.text, end.stopped, end.ids.tolist()) == ("abc def", "end", [*ids, 1])
    stop = one(Request(prompt, 50, stop=(" d", "zz")))
    assert (stop.text, stop.stopped) == ("abc", "stop")
    limit = one(Request(prompt, 2))
    assert (limit.text, limit.stopped) == (TOKENIZER.decode(ids[:2]), "limit")
    decoder.positions = 4
    full = one(Request(prompt, 50))
    assert (full.stopped, len(full.ids)) == ("positions", 3)
    none = one(Request(np.array([0, 1, 2, 3]), 50))
    assert (none.text, none.stopped, len(none.ids)) == ("", "positions", 0)


def test_an_end_token_in_a_prompt_ends_nothing() -> None:
    """As where padding is the end token, or a conversation has one after each turn."""
    decoder = Toy()
    decoder.outward[:, 1] = 0  # never the most probable
    open_ended = texts(decoder, [Request(np.array([1, 1, 7, 1]), 9)], TOKENIZER, [1], 1)[0]
    assert (open_ended.stopped, len(open_ended.ids)) == ("limit", 9)


def test_log_probabilities_are_those_of_the_model() -> None:
    """Of the tokens as the model saw them: without temperature, filters and penalty."""
    decoder, ids = Toy(), np.array([9, 8])
    request = Request(ids, 15, Sampling(temperature=2.0, top_k=30), penalty=1.5)
    (got,) = texts(decoder, [request], TOKENIZER, [], 1)
    (rows,) = decoder.logits([np.concatenate([ids, got.ids])])
    expected = sum(log_probability(rows[1 + i], token) for i, token in enumerate(got.ids))
    assert got.log_probability == pytest.approx(expected, rel=1e-6)


def test_a_penalty_counts_the_prompt_and_the_text() -> None:
    """One that is prohibitive leaves no token twice."""
    decoder = Toy()
    decoder.outward = np.abs(decoder.outward)

    def rows(penalty: float | None) -> list[int]:
        request = Request(np.array([4, 5, 6]), 60, penalty=penalty)
        return texts(decoder, [request], TOKENIZER, [], 1)[0].ids.tolist()

    def positive(state: np.ndarray) -> np.ndarray:
        return (np.abs(state) @ decoder.outward).astype(np.float32)

    decoder._out = positive  # type: ignore[method-assign]
    assert len({*rows(1e9), 4, 5, 6}) == 63
    assert len({*rows(None), 4, 5, 6}) < 63


def test_a_penalty_of_the_end_is_a_reward_of_every_other_token() -> None:
    """Texts are those of a model whose end is less likely, greedy or drawn; with a prohibitive one
    none ends by itself."""

    class Ending(Toy):
        """Its end is likely; less so by `lowered`."""

        lowered = 0.0

        def _out(self, state: np.ndarray) -> np.ndarray:
            logits = super()._out(state)
            logits[..., 1] += 6 - self.lowered
            return logits

    asked = [dataclasses.replace(one, stop=()) for one in requests(40)]
    free = written(Ending(), asked, 8)
    lowered = Ending()
    lowered.lowered = 1.5
    penalized = [dataclasses.replace(one, end_penalty=1.5) for one in asked]
    assert written(Ending(), penalized, 8) == written(lowered, asked, 8) != free
    never = [dataclasses.replace(one, end_penalty=1e9) for one in asked]
    ends = [[why for _, why, _ in each] for each in (free, written(Ending(), never, 8))]
    assert ends[0].count("end") > 10 and ends[1].count("end") == 0


def streamed(
    ids: Sequence[int], stop: tuple[str, ...], tokenizer: Tokenizer = TOKENIZER
) -> list[Token]:
    """What a model yields that writes these tokens."""
    decoder = Scripted([ids], tokenizer.get_vocab_size())
    return list(generate(decoder, [Request(np.array([0]), 5000, stop=stop)], tokenizer, [1], 1))


def test_a_stop_string_is_found_across_tokens() -> None:
    """Wherever it begins or ends in tokens, the text ends before the first one, and nothing of it
    is shown before it is known."""
    random = np.random.default_rng(8)
    stops = ("\n\n", "aba", "bab!", "the end")
    found = 0
    for _ in range(150):
        letters = random.choice(list("ab\n! "), size=30)
        text = "".join(letters) + str(random.choice(["", "the end", "the en"]))
        cut = min((at for stop in stops if (at := text.find(stop)) >= 0), default=len(text))
        tokens = streamed(TOKENIZER.encode(text).ids, stops)
        assert "".join(token.text for token in tokens) == text[:cut]
        assert (tokens[-1].stopped == "stop") == (cut < len(text))
        found += cut < len(text)
    assert 30 < found < 150


def test_a_stop_string_that_begins_is_held_back_and_given_out_if_it_does_not_go_on() -> None:
    """By single characters."""
    ids = [TOKENIZER.token_to_id(c) for c in "xENxEND"]
    shown = [token.text for token in streamed(ids, ("END",))]
    assert shown == ["x", "", "", "ENx", "", "", ""]
    assert [token.text for token in streamed(ids[:3], ("END",))] == ["x", "", "", "EN"]


def test_a_stop_string_that_is_not_held_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(GrowingText, "_begun", lambda self, text: 0)
    with pytest.raises(AssertionError):
        test_a_stop_string_is_found_across_tokens()


def whole_when_streamed(tokenizer: Tokenizer, ids: Sequence[int]) -> bool:
    """Is what streams what decoding all tokens at once gives?"""
    return "".join(token.text for token in streamed(ids, (), tokenizer)) == tokenizer.decode(ids)


def of_bytes(tokenizer: Tokenizer, text: str) -> list[int]:
    """One token for each byte, by either kind of tokenizer."""
    if tokenizer.token_to_id("<0x00>") is not None:
        return [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in text.encode()]
    pieces = tokenizer.pre_tokenizer.pre_tokenize_str(text)
    return [tokenizer.token_to_id(letter) for piece, _ in pieces for letter in piece]


@pytest.mark.parametrize("make", [byte_level, sentencepiece])
def test_characters_are_shown_when_they_are_complete(make: Callable[[], Tokenizer]) -> None:
    """Also if each of their bytes is a token; one that never is ends as U+FFFD."""
    tokenizer = make()
    text = "a€🙂ü🙂"
    ids = of_bytes(tokenizer, text)
    assert len(ids) == len(text.encode())
    shown = [token.text for token in streamed(ids, (), tokenizer)]
    assert [part for part in shown if part] == list(text)
    *complete, last = (token.text for token in streamed(ids[:-1], (), tokenizer))
    assert "".join(complete) == text[:-1]
    assert set(last) == {"\ufffd"}


@pytest.mark.parametrize("make", [byte_level, sentencepiece])
def test_a_long_text_streams_as_it_is_decoded_at_once(make: Callable[[], Tokenizer]) -> None:
    """Of words, or of any tokens, special ones and wrong bytes among them; spaces stay."""
    tokenizer = make()
    size = tokenizer.get_vocab_size()
    random = np.random.default_rng(3)
    for _ in range(4):
        ids = random.choice([0, *range(258, size)], size=1000)
        assert whole_when_streamed(tokenizer, ids.tolist())
    if tokenizer.token_to_id("<0x00>") is None:
        anything = np.delete(np.arange(size), 1)
        assert whole_when_streamed(tokenizer, random.choice(anything, size=1000).tolist())


def test_a_window_that_changes_the_text_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without the check, a text that goes on loses spaces."""

    class Forgetful(GrowingText):
        def _forget(self, text: str) -> None:
            self._ids, self._given = [], 0

    monkeypatch.setattr("lmspec.writing.generating.GrowingText", Forgetful)
    tokenizer = sentencepiece()
    assert not whole_when_streamed(tokenizer, [tokenizer.token_to_id("▁cat")] * 300)


def test_the_time_of_a_text_grows_with_its_length() -> None:
    """Not with the square of it: few tokens are decoded again."""
    decoded = []

    class Counting:
        def decode(self, ids: Sequence[int]) -> str:
            decoded.append(len(ids))
            return TOKENIZER.decode(ids)

    text = GrowingText(Counting(), ())
    for token in TOKENIZER.encode("a list of cats 🙂 " * 200).ids:
        text.add(token)
    assert len(decoded) > 1000
    assert max(decoded) < 3 * growing.WINDOW


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ids": np.array([], np.int64)}, "prompt"),
        ({"new_tokens": 0}, "new_tokens"),
        ({"stop": ("a", "")}, "stop"),
        ({"penalty": 0.0}, "penalty"),
        ({"end_penalty": -0.5}, "end penalty"),
    ],
)
def test_a_request_that_means_nothing_is_refused(change: dict[str, object], words: str) -> None:
    """When it is made."""
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(Request(np.array([3]), 5), **change)


def test_logits_that_are_no_numbers_are_refused() -> None:
    """Nothing is written with them."""
    decoder = Toy()
    decoder.outward[:] = np.nan
    for sampling in (None, Sampling()):
        with pytest.raises(ValueError, match="no numbers"):
            texts(decoder, [Request(np.array([3]), 5, sampling)], TOKENIZER, [1], 1)
    with pytest.raises(ValueError, match="slots"):
        texts(decoder, [], TOKENIZER, [1], 0)


def test_special_tokens_have_no_text() -> None:
    """Also one that the model should not have written."""
    ids = [TOKENIZER.token_to_id("a"), TOKENIZER.token_to_id(END), TOKENIZER.token_to_id("b")]
    decoder = Scripted([ids])
    assert texts(decoder, [Request(np.array([0]), 3)], TOKENIZER, [], 1)[0].text == "ab"
