"""The statistics of `lmspec diff` against SciPy, statsmodels, sacrebleu, published figures and full
enumeration."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sacrebleu import significance
from sacrebleu.metrics.bleu import BLEU
from scipy import special, stats
from statsmodels.stats import contingency_tables, multitest, proportion

from lmspec.compare import bounds
from lmspec.statistics import bootstrap, exact, predictions
from lmspec.statistics import paired as samples

LABELS = ("a", "b", "c")
METRICS = (
    "accuracy",
    "macro_f1",
    "balanced_accuracy",
    "log_loss",
    "expected_calibration_error",
    "f1.b",
)


def side(
    truth: np.ndarray, probability: np.ndarray, group: np.ndarray | None = None
) -> predictions.Predictions:
    names = np.asarray(LABELS)
    chosen, rows = probability.argmax(1), np.arange(len(truth))
    return predictions.Predictions(
        tuple(f"e{i}" for i in rows),
        tuple("first" if i % 3 else "second" for i in rows),
        tuple("" if group is None else f"g{i}" for i in (rows if group is None else group)),
        tuple(names[truth].tolist()),
        tuple(names[chosen].tolist()),
        probability.max(1),
        probability[rows, truth],
    )


def two_models(
    size: int,
    seed: int,
    shared: float = 0.7,
    group: np.ndarray | None = None,
    skills: tuple[float, float] = (1.2, 1.7),
) -> list[predictions.Predictions]:
    """Two models of the same test set, whose errors go together as far as `shared` says."""
    rng = np.random.default_rng(seed)
    truth, both = rng.integers(0, 3, size), rng.normal(size=(size, 3))
    sides = []
    for skill in skills:
        logits = np.sqrt(shared) * both + np.sqrt(1 - shared) * rng.normal(size=(size, 3))
        logits[np.arange(size), truth] += skill
        powers = np.exp(2 * logits)
        sides.append(side(truth, powers / powers.sum(1, keepdims=True), group))
    return sides


def paired(old: predictions.Predictions, new: predictions.Predictions) -> samples.PairedSample:
    return samples.PairedSample(
        predictions.pair(old, new), predictions.Scale(LABELS, 10), same=False
    )


def mean(sums: np.ndarray) -> np.ndarray:
    """Of the first column; the second counts examples."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def sampled(
    values: np.ndarray, groups: np.ndarray | None = None, replicates: int = 9_999
) -> bootstrap.Estimate:
    """The mean of some values."""
    plan = bootstrap.resampling(np.zeros(len(values), np.int64), groups, replicates)
    return bootstrap.estimate(
        bootstrap.draws(np.stack([values, np.ones(len(values))], 1), plan), mean
    )


def bca(found: bootstrap.Estimate) -> tuple[float, float]:
    """Both ends, each one-sided at 97.5 %."""
    return found.bound(0.025), found.bound(0.975)


@pytest.mark.parametrize(
    ("better", "worse"), [(0, 0), (1, 0), (5, 0), (7, 7), (3, 14), (40, 61), (700, 612)]
)
def test_mcnemar_is_the_binomial_test_of_scipy_and_statsmodels(better: int, worse: int) -> None:
    """Both exact."""
    peer = contingency_tables.mcnemar([[5, better], [worse, 9]], exact=True).pvalue
    assert exact.mcnemar(better, worse) == pytest.approx(min(1.0, float(peer)), rel=1e-9)
    if better + worse:
        assert exact.mcnemar(better, worse) == pytest.approx(
            stats.binomtest(better, better + worse).pvalue, rel=1e-9
        )


@pytest.mark.parametrize(
    "sums", [[1, 1, -1, 1], [3, -1, 2, 2, 0, 1], [5, 5, -5, 4, 0, 0, 1, -2, 3, 1], [2, -2], [0, 0]]
)
def test_sign_flip_is_the_full_permutation_test(sums: list[int]) -> None:
    """Of every way to flip the signs, by SciPy and by enumeration."""
    totals = [
        abs(sum(s * v for s, v in zip(signs, sums, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    assert exact.sign_flip(sums) == pytest.approx(np.mean(np.asarray(totals) >= abs(sum(sums))))
    if len(sums) > 2:
        peer = stats.permutation_test(
            (np.asarray(sums),), np.sum, permutation_type="samples", n_resamples=np.inf
        )
        assert exact.sign_flip(sums) == pytest.approx(peer.pvalue)


def test_sign_flip_of_groups_of_one_is_mcnemar() -> None:
    """And is not where the same examples are in groups: there are fewer independent differences."""
    ones = [1] * 14 + [-1] * 3 + [0] * 40
    assert exact.sign_flip(ones) == exact.mcnemar(14, 3)
    assert exact.sign_flip([7, 7, -3]) > exact.mcnemar(14, 3)


@pytest.mark.parametrize(("hits", "size"), [(0, 30), (1, 30), (17, 40), (399, 400), (25, 25)])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.995])
def test_clopper_pearson_is_that_of_scipy_and_statsmodels(
    hits: int, size: int, confidence: float
) -> None:
    """One-sided bounds at c are two-sided ones at 2 c - 1, but where a count is none or all."""
    low, high = exact.clopper_pearson(hits, size, confidence)
    peer = stats.binomtest(hits, size).proportion_ci(2 * confidence - 1, "exact")
    assert (low, high) == pytest.approx((peer.low, peer.high), abs=1e-9)
    assert (low, high) == pytest.approx(
        proportion.proportion_confint(hits, size, 2 * (1 - confidence), "beta"), abs=1e-9
    )
    if 0 < hits < size:
        assert low == pytest.approx(stats.beta.ppf(1 - confidence, hits, size - hits + 1))
    assert (
        exact.clopper_pearson(hits / 2, size / 2, confidence)[1] >= high
    )  # half as many examples tell less


def test_clopper_pearson_of_nothing_is_refused() -> None:
    """A share of no examples is no number."""
    with pytest.raises(ValueError, match="share of nothing"):
        exact.clopper_pearson(0, 0, 0.95)


def test_welch_is_that_of_scipy() -> None:
    """And None where one value, or no spread, tells nothing."""
    old, new = [0.861, 0.872, 0.866, 0.850], [0.858, 0.881, 0.869]
    peer = stats.ttest_ind(new, old, equal_var=False).confidence_interval(0.95)
    assert exact.welch(old, new, 0.95) == pytest.approx((peer.low, peer.high))
    assert exact.welch([0.8], new, 0.95) is None
    assert exact.welch([0.8, 0.8], [0.9, 0.9], 0.95) is None


@pytest.mark.parametrize(
    ("old", "old_size", "new", "new_size"),
    [(320, 400, 255, 300), (0, 2, 2, 2), (4, 10, 9, 10), (7, 7, 7, 7)],
)
def test_two_proportions_is_that_of_scipy_and_statsmodels(
    old: int, old_size: int, new: int, new_size: int
) -> None:
    """Fisher's test; Newcombe's interval, which has a width for two examples too."""
    p, low, high = exact.two_proportions(old / old_size, new / new_size, (old_size, new_size), 0.95)
    assert p == pytest.approx(stats.fisher_exact([[old, old_size - old], [new, new_size - new]])[1])
    peer = proportion.confint_proportions_2indep(
        new, new_size, old, old_size, method="newcomb", compare="diff"
    )
    assert (low, high) == pytest.approx(peer, abs=1e-9) and low < high


def test_holm_is_that_of_statsmodels() -> None:
    """Corrected and in the order given; the smallest is multiplied by all, and none is below its
    own p."""
    rng = np.random.default_rng(3)
    for size in (1, 2, 7, 30):
        levels = (rng.random(size) ** 3).tolist()
        corrected, factors = exact.holm(levels)
        assert corrected == pytest.approx(multitest.multipletests(levels, method="holm")[1])
        assert (
            sorted(factors) == list(range(1, size + 1)) and factors[int(np.argmin(levels))] == size
        )
        assert all(a <= b for a, b in zip(levels, corrected, strict=True))
        assert np.all(np.diff(np.asarray(corrected)[np.argsort(levels)]) >= 0)
    assert exact.holm([]) == ([], [])


@pytest.mark.parametrize(
    ("gained", "lost", "size", "confidence", "published"),
    [(1, 7, 21, 0.95, (-0.517, -0.026)), (28, 25, 618, 0.90, (-0.0148, 0.0247))],
    ids=[
        "Fagerland, Lydersen and Laake 2014, Statistics in Medicine 33",
        "scoreci.mp(25, 28, 618) of R's PropCIs 0.3-0",
    ],
)
def test_tango_is_that_of_others(
    gained: int, lost: int, size: int, confidence: float, published: tuple[float, float]
) -> None:
    """To the digits that they print."""
    assert exact.tango(gained, lost, size, (1 + confidence) / 2) == pytest.approx(
        published, abs=6e-4
    )


@pytest.mark.parametrize(
    ("gained", "lost", "size"), [(0, 0, 50), (3, 0, 50), (4, 9, 60), (40, 20, 160)]
)
def test_tango_is_where_the_score_test_no_longer_rejects(gained: int, lost: int, size: int) -> None:
    """By brute force: a grid of differences, for each the likeliest share of lost pairs, on a grid
    too."""
    shares = np.linspace(1e-6, 0.6, 8_001)
    held = []
    for delta in np.linspace(-0.3, 0.4, 701):
        gaining, neither = shares + delta, 1 - 2 * shares - delta
        with np.errstate(divide="ignore", invalid="ignore"):
            likely = lost * np.log(shares) + (size - gained - lost) * np.log(neither)
            likely = likely + (gained * np.log(gaining) if gained else 0)
        likely = np.where((gaining >= 0) & (neither > 0) & np.isfinite(likely), likely, -np.inf)
        share = shares[likely.argmax()]
        z = (gained - lost - size * delta) / np.sqrt(size * (2 * share + delta * (1 - delta)))
        if abs(z) <= stats.norm.isf(0.025):
            held.append(delta)
    assert exact.tango(gained, lost, size, 0.975) == pytest.approx((min(held), max(held)), abs=2e-3)


def test_effective_size_is_all_of_them_for_examples_without_groups() -> None:
    """In groups whose examples all go together, about as many as there are groups; in groups by
    lot, nearly all."""
    rng = np.random.default_rng(1)
    assert exact.effective_size(rng.random(500) < 0.1, np.arange(500)) == 500
    groups = np.repeat(np.arange(400), 5)
    together = exact.effective_size(np.repeat(rng.random(400) < 0.1, 5), groups)
    assert together == pytest.approx(400, rel=0.1)
    by_lot = exact.effective_size(rng.random(2_000) < 0.1, groups)
    assert 1_500 < by_lot <= 2_000


def test_effective_size_supposes_the_worst_where_hits_tell_nothing() -> None:
    """None at all, or all in one group of a few: no more than the groups are worth."""
    groups = np.repeat(np.arange(40), 5)
    none = np.zeros(200, np.bool_)
    assert exact.effective_size(none, groups) < 41
    assert exact.effective_size(~none, groups) == exact.effective_size(none, groups)
    one = none.copy()
    one[7] = True
    assert exact.effective_size(one, groups) < 80
    assert exact.effective_size(none, np.zeros(200, np.int64)) < 2


@pytest.mark.parametrize("size", [40, bootstrap.MANY], ids=["multinomial", "Poisson"])
def test_examples_are_drawn_as_often_as_the_multinomial_says(size: int) -> None:
    """Mean 1, variance 1 - 1/n, as many in all as there are; Poisson weights once they are brought
    to that."""
    drawn = bootstrap.resampling(np.zeros(size, np.int64), None, 2_000, seed=5).times[0]
    times = drawn * (size / drawn.sum(1, keepdims=True))
    assert times.mean() == pytest.approx(1)
    assert times.var(0).mean() == pytest.approx(1 - 1 / size, rel=0.02)
    assert np.abs(times.mean(0) - 1).max() < 5.5 / np.sqrt(2_000)
    together = np.corrcoef(times[:, : size // 2].sum(1), times[:, size // 2 :].sum(1))[0, 1]
    assert together == pytest.approx(-1)
    assert (drawn >= 3).mean() == pytest.approx(stats.binom.sf(2, size, 1 / size), rel=0.05)


def test_strata_keep_their_sizes_and_groups_stay_together() -> None:
    """Each draw has as many groups of a stratum as there are, and a group comes with all of its
    rows."""
    strata = np.asarray([0] * 30 + [1] * 12)
    groups = np.concatenate([np.arange(30) // 3, 10 + np.arange(12) // 4])
    plan = bootstrap.resampling(strata, groups, 500)
    assert [times.sum(1).tolist() for times in plan.times] == [[10] * 500, [3] * 500]
    parts = np.stack([np.ones(42), strata, np.arange(42.0)], 1)
    drawn = bootstrap.draws(parts, plan)
    assert set(drawn.drawn[:, 0, 0]) == {30.0} and set(drawn.drawn[:, 1, 1]) == {12.0}
    mixed = bootstrap.draws(parts, bootstrap.resampling(np.zeros(42, np.int64), None, 500))
    assert len(set(mixed.drawn[:, 0, 1])) > 1  # without strata, their shares are left to chance
    np.testing.assert_array_equal(drawn.whole.sum(0), parts.sum(0))


def test_the_same_seed_draws_the_same_bytes() -> None:
    """And another seed others."""
    strata = np.zeros(6_000, np.int64)
    one, other = (
        bootstrap.resampling(strata, None, 50, seed=8).times[0].tobytes() for _ in range(2)
    )
    assert one == other
    assert one != bootstrap.resampling(strata, None, 50, seed=9).times[0].tobytes()


@pytest.mark.parametrize("skewed", [False, True])
def test_bca_is_that_of_scipy(skewed: bool) -> None:
    """Up to the replicates' own chance: a twentieth of the width, on paired differences."""
    rng = np.random.default_rng(2)
    old, new = rng.gamma(0.4, size=(2, 300)) if skewed else rng.normal(size=(2, 300))
    peer = stats.bootstrap(
        (old, new),
        lambda a, b, axis: b.mean(axis) - a.mean(axis),
        paired=True,
        n_resamples=9_999,
        method="BCa",
        rng=1,
        vectorized=True,
    )
    found = sampled(new - old)
    low, high = bca(found)
    width = peer.confidence_interval.high - peer.confidence_interval.low
    assert (low, high) == pytest.approx(peer.confidence_interval, abs=width / 20)
    assert found.error == pytest.approx(peer.standard_error, rel=0.04)


def test_bca_of_a_symmetric_statistic_is_the_percentile_interval() -> None:
    """And of a skewed one it is not: both ends move the same way."""
    rng = np.random.default_rng(4)
    half = rng.normal(size=200)
    found = sampled(np.concatenate([half, -half]))
    plain = np.quantile(found.replicates, [0.025, 0.975])
    for ends in (bca(found), found.interval(0.95)):
        assert ends == pytest.approx(plain, abs=0.06 * (plain[1] - plain[0]))
    skewed = sampled(rng.exponential(size=30) ** 2)
    assert all(
        ours > end
        for ours, end in zip(
            bca(skewed), np.quantile(skewed.replicates, [0.025, 0.975]), strict=True
        )
    )


@pytest.mark.parametrize("size", [30, 400])
def test_an_interval_holds_what_its_test_does_not_reject(size: int) -> None:
    """Moved so that 0 is just within an end, a sample has a p just above the level; just without,
    just below."""
    rng = np.random.default_rng(9)
    values = rng.exponential(size=size)
    low, high = sampled(values).interval(0.95)
    assert (low + high) / 2 == pytest.approx(values.mean())
    for end, inwards in ((low, 0.03), (high, -0.03)):
        within, without = (
            sampled(values - end - part * (high - low)) for part in (inwards, -inwards)
        )
        assert bootstrap.corrected_p(without.p, size) < 0.05 < bootstrap.corrected_p(within.p, size)


@pytest.mark.parametrize("units", [8, 20, 100, 5_000])
def test_few_units_are_judged_by_students_distribution(units: int) -> None:
    """By its quantiles and tails, about; of many units it is the normal one."""
    grow, slack = np.sqrt(units / (units - 1)), 0.1 if units < 20 else 0.03
    for p in (0.2, 0.05, 0.01):
        z = stats.norm.isf(p / 2)
        assert bootstrap.student_corrected(z, units) == pytest.approx(
            grow * stats.t.isf(p / 2, units - 1), rel=slack
        )
        assert bootstrap.student_corrected(-z, units) == -bootstrap.student_corrected(z, units)
        assert bootstrap.corrected_p(p, units) == pytest.approx(
            2 * stats.t.sf(z / grow, units - 1), rel=slack
        )
        assert p < bootstrap.corrected_p(p, units) < p * (1 + 40 / units)
    assert bootstrap.corrected_p(1.0, units) == 1


def bleu_of(
    ours: bootstrap.Draws, width: int
) -> tuple[bootstrap.Estimate, Callable[[np.ndarray], np.ndarray]]:
    """(difference of BLEU, BLEU of sums)."""

    def bleu(sums: np.ndarray) -> np.ndarray:
        length, reference, right, of = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:10]
        brevity = np.where(length < reference, np.exp(1 - reference / length), 1.0)
        return np.asarray(100 * brevity * np.exp(np.log(right / of).mean(-1)))

    return bootstrap.estimate(
        ours, lambda sums: bleu(sums[..., width:]) - bleu(sums[..., :width])
    ), bleu


@pytest.fixture(scope="module")
def translations() -> tuple[list[str], list[str], list[str]]:
    """150 references, and two systems that get words of them wrong, the second fewer."""
    rng = np.random.default_rng(6)
    words = [f"w{i}" for i in range(60)]
    references = [[words[i] for i in rng.integers(0, 60, rng.integers(8, 25))] for _ in range(150)]
    systems = [
        [" ".join(w if rng.random() > wrong else "x" for w in line) for line in references]
        for wrong in (0.2, 0.19)
    ]
    return [" ".join(line) for line in references], systems[0], systems[1]


def test_paired_bootstrap_is_that_of_sacrebleu(
    translations: tuple[list[str], list[str], list[str]],
) -> None:
    """BLEU follows from sums over sentences: the same draws of them give the same mean, spread and
    p.

    sacrebleu takes absolute differences before it shifts them, so its p is one-sided, and ours
    two-sided.
    """
    references, old, new = translations
    _, peers = significance.PairedTest(
        [("old", old), ("new", new)], {"BLEU": BLEU()}, [references], "bs", n_samples=1_000
    )()
    peer = peers["BLEU"][1]
    metric = BLEU(references=[references])
    sides = [
        np.asarray(metric._extract_corpus_statistics(system, None), float) for system in (old, new)
    ]
    drawn = np.random.default_rng(12345).choice(
        150, size=(1_000, 150), replace=True
    )  # as sacrebleu draws
    times = np.stack([np.bincount(row, minlength=150) for row in drawn]).astype(np.uint8)
    plan = bootstrap.Resampling((np.arange(150),), (np.arange(150),), (times,))
    sums = bootstrap.draws(np.concatenate(sides, axis=1), plan)
    found, bleu = bleu_of(sums, 10)
    theirs = bleu(sums.drawn[:, 0, 10:])
    assert theirs.mean() == pytest.approx(peer.mean, abs=1e-3)
    assert (np.quantile(theirs, 0.975) - np.quantile(theirs, 0.025)) / 2 == pytest.approx(
        peer.ci, rel=0.03
    )
    assert bleu(sums.whole[0, 10:]) == pytest.approx(peer.score, abs=1e-6)
    assert found.value == pytest.approx(peer.score - peers["BLEU"][0].score, abs=1e-6)
    folded = np.abs(found.replicates)
    one_sided = (int((folded - folded.mean() > abs(found.value)).sum()) + 1) / 1_001
    assert one_sided == peer.p_value
    assert found.p == pytest.approx(2 * peer.p_value, rel=0.35) and found.p > peer.p_value


def test_our_own_draws_agree_with_sacrebleu(
    translations: tuple[list[str], list[str], list[str]],
) -> None:
    """Within what 4,000 replicates leave to chance."""
    references, old, new = translations
    _, peers = significance.PairedTest(
        [("old", old), ("new", new)], {"BLEU": BLEU()}, [references], "bs", n_samples=4_000
    )()
    metric = BLEU(references=[references])
    parts = np.concatenate(
        [metric._extract_corpus_statistics(system, None) for system in (old, new)], axis=1
    ).astype(float)
    sums = bootstrap.draws(parts, bootstrap.resampling(np.zeros(150, np.int64), None, 4_000))
    found, bleu = bleu_of(sums, 10)
    theirs = bleu(sums.drawn[:, 0, 10:])
    assert theirs.mean() == pytest.approx(peers["BLEU"][1].mean, abs=0.15)
    assert (np.quantile(theirs, 0.975) - np.quantile(theirs, 0.025)) / 2 == pytest.approx(
        peers["BLEU"][1].ci, rel=0.06
    )
    assert found.p / 2 == pytest.approx(peers["BLEU"][1].p_value, abs=0.02)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("grouped", [False, True])
def test_metrics_are_those_of_the_examples_whatever_their_order(name: str, grouped: bool) -> None:
    """Another order of the same rows gives the same difference, and the same p and interval but for
    which are drawn."""
    group = np.arange(400) // 4 if grouped else None
    old, new = two_models(400, 10, group=group)
    order = np.random.default_rng(0).permutation(400)
    straight, mixed = paired(old, new), paired(old.rows(order), new.rows(np.arange(400)[order]))
    apart = paired(old, new.rows(order))
    part = samples.SplitMetric(name, None)
    found = [(each, each.difference(part)) for each in (straight, mixed, apart)]
    for other, estimate in found[1:]:
        assert estimate.value == pytest.approx(found[0][1].value, abs=1e-12)
        assert estimate.error == pytest.approx(found[0][1].error, rel=0.05)
        assert other.p(part, estimate)[0] == pytest.approx(
            straight.p(part, found[0][1])[0], abs=0.03
        )
        if name == "accuracy":
            assert other.p(part, estimate) == straight.p(part, found[0][1])


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("table", [None, "first"])
def test_swapped_sides_give_the_same_verdict_with_the_other_sign(
    name: str, table: str | None
) -> None:
    """The difference changes its sign alone, p not at all, whatever the metric."""
    old, new = two_models(300, 11)
    part = samples.SplitMetric(name, table)
    there, back = paired(old, new), paired(new, old)
    one, other = there.difference(part), back.difference(part)
    assert one.value == -other.value != 0
    assert there.p(part, one) == back.p(part, other)
    low, high = one.interval(0.95)
    assert other.interval(0.95) == pytest.approx((-high, -low), abs=1e-9)


def test_without_pairs_a_difference_is_harder_to_see() -> None:
    """With the candidate's answers under the ids of others with the same label, errors no longer go
    together: less power."""
    shown = np.zeros((2, 3), int)
    parts = [samples.SplitMetric(name, None) for name in ("accuracy", "macro_f1", "log_loss")]
    for seed in range(12):
        old, new = two_models(300, seed, shared=0.97, skills=(1.5, 1.62))
        label, order = np.asarray(new.label), np.arange(300)
        for name in LABELS:
            order[label == name] = np.random.default_rng(seed).permutation(
                np.flatnonzero(label == name)
            )
        permuted = new.rows(order)
        apart = replace(
            new,
            predicted=permuted.predicted,
            confidence=permuted.confidence,
            label_probability=permuted.label_probability,
        )
        for i, part in enumerate(parts):
            found = [
                (pairs, pairs.difference(part)) for pairs in (paired(old, new), paired(old, apart))
            ]
            assert found[0][1].value == pytest.approx(found[1][1].value)
            assert found[0][1].error < 0.6 * found[1][1].error
            shown[:, i] += [pairs.p(part, estimate)[0] <= 0.05 for pairs, estimate in found]
    assert (shown[0] >= shown[1] + 3).all()


def test_few_examples_that_differ_never_tell_more_than_their_signs() -> None:
    """Four that the candidate alone has right, of 200, and all else the same: no p below 1/8,
    whatever the metric of labels."""
    old, _ = two_models(200, 13)
    wrong = np.flatnonzero(~old.right)[:4]
    predicted = tuple(
        label if i in wrong else old.predicted[i] for i, label in enumerate(old.label)
    )
    rng = np.random.default_rng(3)
    confidence = np.clip(
        old.confidence + rng.normal(0, 1e-4, 200), 0, 1
    )  # all confidences differ, as in another number format
    new = replace(old, predicted=predicted, confidence=confidence)
    pairs = paired(old, new)
    for name in ("accuracy", "macro_f1"):
        part = samples.SplitMetric(name, None)
        found = pairs.difference(part)
        assert found.value > 0
        assert pairs.p(part, found)[0] >= 0.125
    assert (
        pairs.difference(samples.SplitMetric("macro_f1", None)).p < 0.125
    )  # what the bootstrap alone says


@pytest.mark.parametrize("name", ["accuracy", "macro_f1"])
def test_what_all_examples_do_alike_is_no_noise(name: str) -> None:
    """Twelve of twelve that became right: replicates are all the same, and the signs alone tell.

    One of one tells nothing.
    """
    for size, p in ((12, 2 * 0.5**12), (1, 1.0)):
        wrong, right = np.tile([0.1, 0.9, 0.0], (size, 1)), np.tile([0.9, 0.1, 0.0], (size, 1))
        found = paired(side(np.zeros(size, np.int64), wrong), side(np.zeros(size, np.int64), right))
        part = samples.SplitMetric(name, None)
        estimate = found.difference(part)
        assert (
            estimate.value > 0
            and estimate.error == 0
            and found.p(part, estimate)[0] == pytest.approx(p)
        )
        interval = found.interval(part, estimate, 0.95)
        assert (interval is None) == (size == 1)
        assert interval is None or 0 < interval[0] < estimate.value <= interval[1]


def test_a_difference_of_very_many_examples_is_tested_however_clear_it_is() -> None:
    """Beyond the smallest float of a tail's probability, where no p would be left."""
    old, new = two_models(6_000, 5, skills=(0.0, 6.0))
    found = paired(old, new)
    for name in METRICS:
        part = samples.SplitMetric(name, None)
        assert 0 < found.p(part, found.difference(part))[0] < 1e-12


def test_a_clear_difference_outlasts_the_correction_of_many_metrics() -> None:
    """Where no replicate is as far, the tail tells how far it is, and not how many replicates there
    are."""
    found = sampled(np.random.default_rng(6).normal(1.0, 1.0, 200), replicates=999)
    z = found.value / found.error
    assert found.p == pytest.approx(2 * stats.norm.sf(z)) and found.p < 1e-12
    assert bootstrap.corrected_p(found.p, 200) == pytest.approx(
        2 * stats.t.sf(z * np.sqrt(199 / 200), 199), rel=0.5
    )
    near = sampled(np.random.default_rng(6).normal(0.1, 1.0, 200), replicates=999)
    assert near.p >= 1 / 1000


def test_a_calibration_error_that_changes_its_sign_is_tested() -> None:
    """Too unsure, then too sure: a pair that changes places moves both errors alike, and each pair
    counts all the same."""
    rng = np.random.default_rng(5)
    truth = np.zeros(300, np.int64)
    sides = []
    for sure, share in ((0.7, 0.85), (0.95, 0.6)):
        right = rng.random(300) < share
        sides.append(
            side(
                truth,
                np.column_stack([np.where(right, sure, 1 - sure), np.where(right, 1 - sure, sure)]),
            )
        )
    found = samples.PairedSample(
        predictions.pair(*sides), predictions.Scale(("a", "b"), 10), same=False
    )
    part = samples.SplitMetric("expected_calibration_error", None)
    estimate = found.difference(part)
    assert estimate.value > 0.1 and found.p(part, estimate)[0] < 0.001


@pytest.mark.parametrize("confidence", [0.999, 0.99999])
def test_an_end_beyond_all_replicates_is_as_far_as_the_normal_one(confidence: float) -> None:
    """A thousand replicates do not show where one in a hundred thousand is."""
    found = sampled(np.random.default_rng(7).normal(size=400), replicates=1_000)
    assert found.bound(confidence) >= found.value + 0.99 * stats.norm.ppf(confidence) * found.error
    assert (
        found.bound(1 - confidence) <= found.value - 0.99 * stats.norm.ppf(confidence) * found.error
    )


@pytest.mark.parametrize("overconfident", [0.0, 0.1])
def test_a_calibration_error_is_bounded_though_chance_makes_it_larger(overconfident: float) -> None:
    """Of a calibrated model it is never 0 in a sample: the lower end is 0 all the same.

    Neither end misses often.
    """
    rng = np.random.default_rng(8)
    low, high = 0, 0
    for _ in range(60):
        sure = rng.uniform(0.55, 0.95, 400)
        right = rng.random(400) < sure - overconfident
        truth = np.zeros(400, np.int64)
        probability = np.column_stack(
            [np.where(right, sure, 1 - sure), np.where(right, 1 - sure, sure)]
        )
        alone = samples.Sample(side(truth, probability), predictions.Scale(("a", "b"), 10))
        found = bounds.of_sample(
            alone, samples.SplitMetric("expected_calibration_error", None), 0.95
        )
        low += found.low > overconfident
        high += found.high < overconfident
    assert low <= 8 and high <= 8


def test_groups_make_a_test_more_careful() -> None:
    """Ten differences in two documents are two, and not ten."""
    old, _ = two_models(300, 14)
    wrong = np.flatnonzero(~old.right)[:10]
    predicted = tuple(
        label if i in wrong else old.predicted[i] for i, label in enumerate(old.label)
    )
    document = np.arange(300)
    document[wrong] = np.where(np.arange(10) < 5, 1_000, 1_001)
    alone = replace(old, table=("one",) * 300, group=("",) * 300)
    together = replace(alone, group=tuple(map(str, document)))
    for name in ("accuracy", "macro_f1"):
        part = samples.SplitMetric(name, None)
        ten, two = (paired(side, replace(side, predicted=predicted)) for side in (alone, together))
        assert ten.p(part, ten.difference(part))[0] < 0.05
        p, method = two.p(part, two.difference(part))
        assert p >= 0.5 and "of groups" in method


def test_quantiles_are_those_of_scipys_distributions() -> None:
    """Of Student's t and the beta distribution, for fractional counts up to a hundred thousand."""
    for freedom in (1, 2, 3.3, 10, 100, 10_000):
        assert exact.student(0.975, freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-7)
    for hits, misses in ((0.5, 0.5), (1, 50), (4, 97.5), (39, 1355), (5001, 95000)):
        for confidence in (0.5, 0.95):
            assert exact.clopper_pearson(hits, hits + misses, confidence) == pytest.approx(
                (
                    stats.beta.ppf(1 - confidence, hits, misses + 1),
                    stats.beta.ppf(confidence, hits + 1, misses),
                ),
                rel=1e-7,
            )
        for level in (0.05, 0.5, 0.95):
            quantile = exact.beta_quantile(level, hits, misses)
            assert quantile == pytest.approx(special.betaincinv(hits, misses, level), rel=1e-7)
            assert exact.beta_share(quantile, hits, misses) == pytest.approx(level, abs=1e-9)
