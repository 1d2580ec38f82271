"""sampling: what is drawn, how often, and that nothing but the request decides it."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from lmspec.writing.sampling import (
    Doubles,
    Sampling,
    adjusted,
    chosen,
    draw,
    log_probability,
)

RANDOM = np.random.default_rng(11)
FILTERS = {
    "plain": {},
    "temperature": {"temperature": 0.6},
    "top_k": {"top_k": 7},
    "top_p": {"top_p": 0.8},
    "top_p of nearly all": {"top_p": 0.9999},
    "min_p": {"min_p": 0.05},
    "all": {"temperature": 1.7, "top_k": 400, "top_p": 0.9, "min_p": 0.01},
}


def theirs(logits: Doubles, sampling: Sampling) -> Doubles:
    """(V,) probabilities by the processors of transformers, in the order of its `generate`."""
    import torch
    from transformers import (
        LogitsProcessorList,
        MinPLogitsWarper,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    processors = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k:
        processors.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p:
        processors.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        processors.append(MinPLogitsWarper(sampling.min_p))
    scores = processors(torch.zeros((1, 1), dtype=torch.long), torch.tensor(logits)[None])
    return scores[0].softmax(-1).numpy()


def disagreements(logits: Doubles, sampling: Sampling, expected: Doubles) -> list[int]:
    """Tokens that are not chosen in the middle of their share of [0, 1), in the order of ids."""
    middles = np.cumsum(expected) - expected / 2
    tokens = [i for i, p in enumerate(expected) if p > 1e-9]
    return [i for i in tokens if chosen(logits, sampling, middles[i]) != i]


@pytest.mark.parametrize("name", FILTERS)
def test_each_token_has_the_share_that_transformers_gives_it(name: str) -> None:
    """And no other token has any: the shares add up to 1."""
    sampling = Sampling(**FILTERS[name])
    for size in (50, 3000):
        logits = RANDOM.normal(size=size) * 3
        assert disagreements(logits, sampling, theirs(logits, sampling)) == []


@pytest.mark.parametrize("name", [name for name in FILTERS if name != "plain"])
def test_a_filter_that_does_nothing_is_found(name: str) -> None:
    """The negative control."""
    logits = RANDOM.normal(size=3000) * 3
    expected = theirs(logits, Sampling(**FILTERS[name]))
    assert disagreements(logits, Sampling(), expected)


def test_the_penalty_is_that_of_transformers() -> None:
    """Of positive and of negative logits, once for each token, however often it was seen."""
    import torch
    from transformers import RepetitionPenaltyLogitsProcessor

    logits, ids = RANDOM.normal(size=40) * 3, [3, 3, 17, 20]
    seen = np.isin(np.arange(40), ids)
    expected = RepetitionPenaltyLogitsProcessor(1.3)(
        torch.tensor([ids]), torch.tensor(logits)[None]
    )
    np.testing.assert_allclose(adjusted(logits, seen, 1.3, None), expected[0].numpy(), rtol=1e-14)
    assert (adjusted(logits, seen, None, None) != expected[0].numpy()).sum() == 3


def goodness(sampling: Sampling, expected: Doubles, logits: Doubles, count: int = 6000) -> float:
    """p-value of a chi-square test of what is drawn for as many positions of one text."""
    drawn = Counter(
        chosen(logits, sampling, draw(sampling.seed, 77, position)) for position in range(count)
    )
    assert set(drawn) <= set(np.flatnonzero(expected))
    kept = np.flatnonzero(expected * count >= 5)
    observed = np.array([drawn[i] for i in kept] + [count - sum(drawn[i] for i in kept)])
    wanted = np.append(expected[kept], 1 - expected[kept].sum()) * count
    if wanted[-1] < 5:
        observed, wanted = observed[:-1], wanted[:-1] * observed[:-1].sum() / wanted[:-1].sum()
    return float(stats.chisquare(observed, wanted).pvalue)


@pytest.mark.parametrize("name", ["plain", "all"])
def test_tokens_are_drawn_as_often_as_they_should_be(name: str) -> None:
    """Nor would another temperature do."""
    sampling = Sampling(**FILTERS[name], seed=3)
    logits = RANDOM.normal(size=60) * 2
    assert goodness(sampling, theirs(logits, sampling), logits) > 0.001
    warmer = Sampling(temperature=1.15 * sampling.temperature)
    assert goodness(sampling, theirs(logits, warmer), logits) < 0.001


def test_draws_are_even_and_independent() -> None:
    """Over positions, keys and seeds; each neighbour has another number."""
    for which in range(3):
        places = [[i if place == which else place for place in range(3)] for i in range(4000)]
        numbers = [draw(*arguments) for arguments in places]
        assert stats.kstest(numbers, "uniform").pvalue > 0.001
        assert abs(stats.pearsonr(numbers[:-1], numbers[1:]).statistic) < 0.06
        assert len(set(numbers)) == 4000 and min(numbers) >= 0 and max(numbers) < 1


def philox(counter: int, seed: int, key: int) -> int:
    """The first word of Philox4x64-10, after Salmon et al. 2011."""
    words, keys, mask = [counter, 0, 0, 0], [seed, key], 2**64 - 1
    for _ in range(10):
        first, third = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [
            (third >> 64) ^ words[1] ^ keys[0],
            third & mask,
            (first >> 64) ^ words[3] ^ keys[1],
            first & mask,
        ]
        keys = [(keys[0] + 0x9E3779B97F4A7C15) & mask, (keys[1] + 0xBB67AE8584CAA73B) & mask]
    return words[0]


def test_draws_are_those_of_philox() -> None:
    """So that what was drawn can be drawn again, by whatever version of numpy. It counts from 1."""
    for seed, key, position in ((0, 0, 0), (7, 2**64 - 1, 5), (7, 2**64 - 1, 6)):
        word = philox(position + 1, seed, key)
        assert draw(seed, key, position) == (word >> 11) / 2**53


def test_what_is_impossible_is_never_drawn() -> None:
    """At either end of [0, 1), beside a logit that leaves nothing for the others."""
    scores = np.array([-np.inf, 0.0, -2000.0, -np.inf])
    for sampling in (None, Sampling(), Sampling(top_p=0.5), Sampling(temperature=50.0)):
        assert {chosen(scores, sampling, x) for x in (0.0, 0.5, 1 - 2**-53)} == {1}


def test_of_equal_tokens_the_lower_id_comes_first() -> None:
    """Greedy, and where a filter cuts through them, in the first 256 and beyond."""
    scores = np.zeros(600)
    assert chosen(scores, None, 0.9) == 0
    assert chosen(scores, Sampling(top_k=3), 0.999) == 2
    assert chosen(scores, Sampling(top_p=0.01), 0.999) == 5
    assert chosen(scores, Sampling(top_p=0.9), 0.999) in (538, 539)


def test_a_little_noise_of_logits_changes_few_draws() -> None:
    """Nearly equal tokens do not change places, as they would in the order of probability."""
    scores = RANDOM.normal(size=2000) * 0.001
    noisy = scores + RANDOM.normal(size=2000) * 1e-4
    numbers = [draw(0, 0, i) for i in range(300)]
    same = [chosen(scores, Sampling(), x) == chosen(noisy, Sampling(), x) for x in numbers]
    assert np.mean(same) > 0.9


def test_log_probabilities_are_those_of_a_softmax() -> None:
    """Also of large logits."""
    logits = RANDOM.normal(size=30) * 300
    shares = np.exp(logits - logits.max())
    for token in np.argsort(-logits)[:3]:
        expected = np.log(shares[token] / shares.sum())
        assert log_probability(logits, int(token)) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match="no numbers"):
        log_probability(np.array([0.0, np.nan]), 0)


@pytest.mark.parametrize(
    "values", [{"temperature": 0.0}, {"top_k": 0}, {"top_p": 0.0}, {"min_p": 1.5}, {"seed": -1}]
)
def test_settings_out_of_bounds_are_refused(values: dict[str, float]) -> None:
    """Each says which one, and its bounds."""
    with pytest.raises(ValueError, match=next(iter(values))):
        Sampling(**values)
