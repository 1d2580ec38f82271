"""What few groups, or a test set that lost examples, cannot show, and that no gate passes on it."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmspec.compare import bounds, metrics
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import Metric
from lmspec.compare.revision import Revision
from lmspec.compare.verdicts import judged
from lmspec.statistics import bootstrap, exact, predictions
from lmspec.statistics.bootstrap import Estimate
from lmspec.statistics.paired import SplitMetric
from tests.history import REVIEWS, Example, Project, flipped, make
from tests.test_gate import (
    PARAMS_YAML,
    held,
    level,
    margin,
    negative_flip_rate,
    scored,
    written,
)
from tests.test_statistics import paired, side

OTHER = {"bad": "good", "good": "bad"}
RIGHT = [i for i, row in enumerate(REVIEWS) if row.right]


def totals(values: np.ndarray, sizes: np.ndarray) -> Estimate:
    """Mean over examples in groups of those sizes. values: (groups,) sum of each."""
    parts = np.stack([np.repeat(values / sizes, sizes), np.ones(sizes.sum())], 1)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    plan = bootstrap.resampling(np.zeros(len(groups), np.int64), groups, 200)
    return bootstrap.estimate(
        bootstrap.draws(parts, plan), lambda sums: np.asarray(sums[..., 0] / sums[..., 1])
    )


SIZES = {
    "equal": lambda d: np.full(d, 6),
    "skewed": lambda d: np.maximum(1, np.round(40 * 0.6 ** np.arange(d))).astype(int),
    "one holds 90 %": lambda d: np.asarray([*np.full(d - 1, 2), 18 * (d - 1)]),
}


# Few groups


def test_typical_bounds_invert_the_sign_flip_test() -> None:
    """They are where the exact test of every other difference begins to reject it."""
    sizes, values = np.asarray([3, 9, 1, 4, 6, 2, 5]), np.asarray([2, 3, 0, -1, 4, 1, 2])
    found = totals(values.astype(np.float64), sizes)
    low, high = found.typical(0.025), found.typical(0.975)
    steps = 40  # the sums of x - delta n are whole for these differences, as the test wants them
    held = [
        delta / steps
        for delta in range(-steps, steps + 1)
        if exact.sign_flip(values * steps - delta * sizes) > 0.05
    ]
    assert (min(held), max(held)) == pytest.approx((low, high), abs=1 / steps)
    assert found.typical_p == pytest.approx(exact.sign_flip(values))


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("d", range(2, 11))
def test_bounds_of_few_groups_hold_the_truth_as_often_as_they_say(kind: str, d: int) -> None:
    """All ways to flip the signs of d deviations are equally likely samples: full enumeration."""
    rng = np.random.default_rng([d, len(kind)])
    sizes, shares, beyond = SIZES[kind](d), rng.normal(size=d), np.zeros(2)
    for rest in itertools.product((1, -1), repeat=d - 1):  # the other half is their opposite
        found = totals(np.asarray([1, *rest]) * shares * sizes, sizes)
        low, high = found.bound(0.05), found.bound(0.95)
        ends = found.interval(0.95)
        beyond += [low > 1e-12 or high < -1e-12, not ends[0] - 1e-12 <= 0 <= ends[1] + 1e-12]
    assert beyond[0] / 2**d <= 0.05 and beyond[1] / 2 ** (d - 1) <= 0.05
    assert (d < 5) == math.isinf(found.bound(0.95)) and (d < 6) == math.isinf(ends[1])


def test_without_the_subsets_few_groups_would_show_too_much() -> None:
    """Control: replicates of four documents that all got better exclude 0, and all else."""
    found = totals(np.asarray([8.0, 8.0, 8.1, 7.9]), np.full(4, 20))
    blind = replace(found, subsets=np.empty(0))
    assert blind.interval(0.95)[0] > 0.39 and blind.bound(0.05) > 0.39
    assert found.interval(0.95) == (-math.inf, math.inf) == (found.bound(0.05), found.bound(0.95))


def documents(count: int, gained: int = 20) -> tuple[list[Example], list[Example]]:
    """Answers in so many documents, of each of which some became right."""
    size = 200 // count
    rows = [
        replace(r, table="movies", group=f"d{i // size}", predicted=r.label)
        for i, r in enumerate(REVIEWS[: size * count])
    ]
    worse = [
        replace(r, predicted=OTHER[r.label]) if i % size < gained else r for i, r in enumerate(rows)
    ]
    return worse, rows


@pytest.mark.parametrize(("count", "shown"), [(4, False), (5, False), (6, False), (10, True)])
def test_a_report_of_few_documents_says_that_nothing_can_be_shown(
    tmp_path: Path, count: int, shown: bool
) -> None:
    """p is at least 2^(1-d), times Holm's factor: with six it is too large, and with ten not."""
    project = make(tmp_path / "p")
    old, new = documents(count, 10)
    for rows in (old, new):
        project.score("scores.cnn", {"reviews": rows})
        project.lock()
        project.commit()
    verdicts = {row["name"]: row for row in project.report("HEAD~1", "HEAD")["metrics"]}
    for name in ("accuracy", "macro_f1"):
        metric = verdicts[f"scores.cnn.reviews.{name}"]
        assert metric["verdict"] == ("better" if shown else "inconclusive")
        assert (metric["interval"] is None) == (count < 6)
        assert metric["mde"] is None
        if not shown:
            assert metric["reason"] == f"{count} groups: no effect can be shown"


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("grouped", [False, True])
def test_no_gate_is_decided_by_fewer_than_five(tmp_path: Path, count: int, grouped: bool) -> None:
    """Of documents or of examples: at 95 % not one kind passes, nor fails."""
    worse, better = documents(max(count, 2), 10) if grouped else (None, None)
    if worse is None or better is None:
        better = [replace(r, predicted=r.label) for r in REVIEWS[:count]]
        worse = [replace(r, predicted=OTHER[r.label]) for r in better]
    elif count == 1:
        worse, better = ([replace(r, group="d") for r in rows] for rows in (worse, better))
    low, high = scored(tmp_path / "low", worse, "low"), scored(tmp_path / "high", better, "high")
    for metric in ("accuracy", "macro_f1", "log_loss"):
        name = f"scores.a.test.{metric}"
        kinds = [margin("improvement", 0.0, name), margin("non_inferiority", 0.01, name)]
        for gate in (*kinds, level("floor", 0.3, name, 0.95), level("ceiling", 0.3, name, 0.95)):
            for old, new in ((low, high), (high, low)):
                found = held(old, new, **gate)
                assert (found.verdict, found.passed) == ("undecided", False), (gate, found)
                assert found.needed is None and "nothing can be shown" in found.observed


def test_an_interval_holds_0_unless_its_test_rejects() -> None:
    """Five of two hundred answers that became right: McNemar's p is 1/16, and Tango's score is
    beyond its limit."""
    truth = np.zeros(200, np.int64)
    right = np.column_stack([np.full(200, 0.9), np.full(200, 0.1), np.zeros(200)])
    wrong = right.copy()
    wrong[:5] = wrong[:5, [1, 0, 2]]
    found, part = paired(side(truth, wrong), side(truth, right)), SplitMetric("accuracy", None)
    estimate = found.difference(part)
    assert exact.tango(5, 0, 200, 0.975)[0] > 0
    low, high = found.interval(part, estimate, 0.95) or (1.0, 1.0)
    assert low == 0 < high
    assert bounds.of_pairs(found, part, 0.99).low <= 0 < bounds.of_pairs(found, part, 0.9).low


def test_three_examples_of_a_class_show_nothing() -> None:
    """Replicates of them are all alike, and no interval of their F1 is known."""
    truth = np.asarray([2] * 3 + [0] * 300)
    right = np.eye(3)[truth] * 0.8 + 0.06
    wrong = right.copy()
    wrong[:3] = right[-1]
    found = paired(side(truth, wrong), side(truth, right))
    part = SplitMetric("f1.c", None)
    estimate = found.difference(part)
    assert estimate.value == 1
    assert found.interval(part, estimate, 0.95) is None
    assert found.p(part, estimate)[0] == 0.25
    metric = Metric("scores.a.test.f1.c", 0.0, 1.0, 1.0, "higher", "changed")
    (metric,) = judged([metrics.tested(found, ("test", "f1", "c"), metric)])
    assert metric.reason == "3 examples: no effect can be shown" and metric.mde is None


# Groups that one revision's spec drops


def grouped(rows: Sequence[Example], size: int = 20) -> list[Example]:
    return [replace(row, group=f"d{i // size}") for i, row in enumerate(rows)]


@pytest.mark.parametrize("dropped", [0, 1], ids=["baseline", "candidate"])
def test_groups_of_either_revision_count(tmp_path: Path, dropped: int) -> None:
    """A spec without its groups changes no bound; without any groups all of these gates pass."""
    old, new = grouped(REVIEWS), grouped([*REVIEWS[:180], *flipped(REVIEWS[180:], range(1, 9))])
    plain = [[replace(row, group="") for row in rows] for rows in (old, new)]
    ends = [(old, new), (plain[0], new) if dropped == 0 else (old, plain[1]), plain]
    pairs = [
        (scored(tmp_path / f"a{i}", before, "old"), scored(tmp_path / f"b{i}", after))
        for i, (before, after) in enumerate(ends)
    ]
    for gate in (
        negative_flip_rate(0.08),
        margin("non_inferiority", 0.08),
        level("floor", 0.79, confidence=0.95),
    ):
        whole, part, none = (held(*pair, **gate) for pair in pairs)
        assert whole.verdict == part.verdict == "undecided" and none.verdict == "pass", gate
        assert whole.observed == part.observed


def test_groups_are_joined_along_chains() -> None:
    """An example's group is all that common groups of either revision lead to."""
    one, other = np.asarray([0, 0, 1, 1, 2, 3]), np.asarray([5, 1, 1, 2, 3, 3])
    assert predictions.joined(one, other).tolist() == [0, 0, 0, 0, 1, 1]  # type: ignore[union-attr]
    assert predictions.joined(None, other) is other and predictions.joined(None, None) is None
    chain = np.arange(50_000)
    assert not predictions.joined(chain // 2, (chain + 1) // 2).any()  # type: ignore[union-attr]


# Test examples that are gone


def lost(count: int, how: str) -> list[Example]:
    """A candidate that gets some answers wrong, and whose test set hides them."""
    broken = set(RIGHT[:count])
    rows = flipped(REVIEWS, broken)
    if how == "gone":
        return [row for i, row in enumerate(rows) if i not in broken]
    return [replace(r, label=r.predicted) if i in broken else r for i, r in enumerate(rows)]


GATES = [
    margin("non_inferiority", 0.05),
    margin("non_inferiority", 0.05, "scores.a.test.macro_f1"),
    negative_flip_rate(0.1),
    level("floor", 0.8),
    level("floor", 0.8, "scores.a.test.macro_f1"),
    level("floor", 0.76, confidence=0.95),
    level("ceiling", 0.6, "scores.a.test.log_loss"),
]


@pytest.mark.parametrize("how", ["gone", "relabelled"])
def test_what_the_test_set_lost_counts_as_wrong(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sixty examples that the candidate breaks are gone, or labelled as it answers them; the
    check taken out, all gates pass."""
    old, new = scored(tmp_path / "old", REVIEWS, "old"), scored(tmp_path / "new", lost(60, how))
    word = "60 of the baseline's 200 test examples are gone" if how == "gone" else "60 relabelled"
    for gate in GATES:
        found = held(old, new, **gate)
        assert (found.verdict, found.passed) == ("undecided", False), gate
        assert word in found.observed
    monkeypatch.setattr(ArtifactPair, "lacking", lambda self, dataset: None)
    for gate in GATES:
        assert held(old, new, **gate).verdict == "pass", gate


def test_a_few_that_are_gone_do_not_decide(tmp_path: Path) -> None:
    """Where the gate would hold even if they were wrong it passes; new examples do not matter."""
    more = [replace(row, id=f"n{row.id}") for row in REVIEWS[:40]]
    old = scored(tmp_path / "old", REVIEWS, "old")
    for i, rows in enumerate(([*lost(1, "gone"), *more], [*REVIEWS, *more])):
        new = scored(tmp_path / f"new{i}", rows)
        for gate in GATES[:-1]:
            assert held(old, new, **gate).verdict == "pass"
    found = held(old, scored(tmp_path / "lost", lost(60, "gone")), **level("floor", 0.95))
    assert found.verdict == "fail"


def test_a_floor_needs_the_predictions_that_the_baseline_has(tmp_path: Path) -> None:
    """Without them all of its test examples could be gone; an old baseline without any is none."""
    old, new = scored(tmp_path / "old", REVIEWS, "old"), Project(tmp_path / "new")
    scored(new.root, REVIEWS)
    new.remove("data/metrics/scores-a/predictions.csv")
    lost = written(new.root)
    found = held(old, lost, **level("floor", 0.8))
    assert found.verdict == "not comparable" and "keeps no predictions" in found.observed
    assert held(lost, lost, **level("floor", 0.8)).verdict == "pass"


def test_no_better_verdict_rests_on_what_is_gone(tmp_path: Path) -> None:
    """Better on the common examples, and not if those that are gone were wrong."""
    project = make(tmp_path / "p")
    rows = [replace(row, predicted=row.label) for row in REVIEWS if row.id not in GONE]
    project.score("scores.cnn", {"reviews": rows})
    project.lock()
    verdicts = {row["name"]: row for row in project.report()["metrics"]}
    found = verdicts["scores.cnn.reviews.accuracy"]
    assert found["difference"] > 0.1 and found["verdict"] == "inconclusive"
    assert "40 of the baseline's 200 test examples are gone" in found["reason"]


GONE = {REVIEWS[i].id for i in RIGHT[:40]}


# Classes and tables without an example


LABELS = ("bad", "good", "rare")
RARE = [replace(row, label="rare", predicted="rare", id=f"r{row.id}") for row in REVIEWS[:40]]


def labelled(root: Path, rows: Sequence[Example], name: str = "new") -> Revision:
    """A revision whose labels are three."""
    project = Project(root)
    project.write("params.yaml", PARAMS_YAML)
    project.score("scores.a", {"test": rows}, LABELS)
    return written(root, name)


GAP = {"kind": "gap", "metric": "scores.a.test.f1.*", "at_most": 0.2, "confidence": 0.95}


def test_a_gate_on_a_class_without_an_example_is_undecided(tmp_path: Path) -> None:
    """Neither 0 nor missing; macro F1 and gap are over the others, and say so."""
    one = labelled(tmp_path / "one", REVIEWS)
    for kind in ("floor", "ceiling"):
        for metric in ("f1.rare", "f1.*"):
            for confidence in (None, 0.95):
                gate = level(kind, 0.5, f"scores.a.test.{metric}", confidence)
                found = held(one, one, **(gate if kind == "floor" else gate | {"at_most": 1.0}))
                assert (found.verdict, found.passed) == ("undecided", False)
                assert "f1.rare: no example of 'rare'" in found.observed
    found = held(one, one, **margin("non_inferiority", 0.1, "scores.a.test.f1.rare"))
    assert found.verdict == "undecided" and "no example of 'rare'" in found.observed
    for gate in (level("floor", 0.88, "scores.a.test.macro_f1"), GAP):
        found = held(one, one, **gate)
        assert found.verdict == "pass" and "no example" in found.observed
    alone = labelled(tmp_path / "alone", [row for row in REVIEWS if row.label == "bad"])
    found = held(alone, alone, **GAP)
    assert found.verdict == "undecided" and "no example of 'good'" in found.observed


def test_a_class_that_one_revision_lacks_is_not_compared(tmp_path: Path) -> None:
    """Of the baseline's forty that are gone the floor on the rest knows, too."""
    old, new = labelled(tmp_path / "old", [*REVIEWS, *RARE], "old"), labelled(tmp_path, REVIEWS)
    for there, back in ((old, new), (new, old)):
        found = held(there, back, **margin("non_inferiority", 0.1, "scores.a.test.f1.rare"))
        assert found.verdict == "undecided" and "no example of 'rare'" in found.observed
    assert held(old, new, **level("floor", 0.8)).verdict == "undecided"
    assert held(new, old, **level("floor", 0.8)).verdict == "pass"


def test_a_report_tells_a_class_without_an_example_from_a_lost_metric(tmp_path: Path) -> None:
    """It is no failure, as a metric that is missing would be; null of a class with examples is."""
    project = make(tmp_path / "p")
    spec = project.text("params.yaml").replace("labels: [bad, good]", "labels: [bad, good, rare]")
    project.write("params.yaml", spec)
    for rows in ([*REVIEWS, *RARE], REVIEWS, flipped(REVIEWS, RIGHT[:30], LABELS[:2])):
        project.score("scores.cnn", {"reviews": rows}, LABELS)
        project.lock()
        project.commit()
    name = "scores.cnn.reviews.f1.rare"
    lost, none = (
        {metric["name"]: metric for metric in project.report(*pair)["metrics"]}
        for pair in (("HEAD~2", "HEAD~1"), ("HEAD~1", "HEAD"))
    )
    assert lost[name]["verdict"] == "not comparable"
    assert lost[name]["reason"] == "no example of 'rare' in HEAD~1"
    assert (none[name]["verdict"], none[name]["reason"]) == ("same", "no example of 'rare'")
    assert "without 'rare': no example" in none["scores.cnn.reviews.macro_f1"]["reason"]
    values = project.metrics("scores.cnn")
    values["reviews"]["f1"]["bad"] = None
    project.measure("scores.cnn", values)
    project.lock()
    worst = {metric["name"]: metric for metric in project.report()["metrics"]}
    assert worst["scores.cnn.reviews.f1.bad"]["verdict"] == "missing"


# The same answers


def test_what_follows_from_the_same_answers_is_the_same(tmp_path: Path) -> None:
    """Other probabilities move log loss and calibration alone, however few examples there are."""
    project = make(tmp_path / "p")
    sure = [replace(row, confidence=round(row.confidence - 0.01, 6)) for row in REVIEWS[:50]]
    for rows in (REVIEWS[:50], sure):
        project.score("scores.cnn", {"reviews": rows})
        project.lock()
        project.commit()
    found = project.report("HEAD~1", "HEAD")["metrics"]
    verdicts = {m["name"].removeprefix("scores.cnn.reviews."): m["verdict"] for m in found}
    for name in ("accuracy", "macro_f1", "f1.bad", "table.movies.accuracy"):
        assert verdicts[name] == "same", name
    for name in ("log_loss", "expected_calibration_error"):
        assert verdicts[name] != "same", name
