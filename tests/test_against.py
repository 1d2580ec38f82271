"""Within one commit: gates against the majority label or other scores, and what scores are worth
beside a constant answer and the linear baseline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lmspec.compare import bounds, gates, standing
from lmspec.compare.evidence import Evidence
from lmspec.compare.report import Gate, Standing
from lmspec.compare.revision import Revision
from lmspec.methods import majority
from lmspec.statistics import predictions
from lmspec.statistics.paired import PairedSample, SplitMetric
from tests.history import SPEC, Example, Project, examples, flipped, make
from tests.test_gate import PARSED, TODAY, both, margin, negative_flip_rate, written

CNN = "  cnn: {of: model.cnn, on: [splits.reviews], batch_size: 16, calibration_bins: 5, accepted_overlap: []}\n"  # noqa: E501
BESIDE = SPEC.replace(CNN, CNN + CNN.replace("cnn: {of: model.cnn", "other: {of: exported.cnn"))
REVIEWS = examples(200, wrong=range(0, 200, 9))  # 177 of 200 are right
SIDES = "scores:\n  a: {of: model.a, on: [splits.test]}\n  b: {of: model.b, on: [splits.test]}\n"


def two(root: Path, a: Sequence[Example], b: Sequence[Example], **labels: Any) -> Revision:
    """One revision with the answers of two models to one test split."""
    project = Project(root)
    project.write("params.yaml", SIDES)
    project.score("scores.a", {"test": a}, **labels)
    project.score("scores.b", {"test": b}, **labels)
    return written(root)


def held(revision: Revision, reasons: Mapping[str, str] | None = None, **gate: Any) -> Gate:
    """What a gate says where there is no other revision to compare with."""
    spec = PARSED.validate_python({"undecided": "fail", "waiver": None, **gate})
    nothing = Revision(replace(revision.tree, name="nothing", ids={}))
    pair = Evidence(nothing, revision).pair(".".join(spec.metric.split(".")[:2]))
    return gates.evaluated(pair, "g", spec, TODAY, reasons or {})


def constant(rows: Sequence[Example], label: str = "good") -> list[Example]:
    """The same answer to all."""
    return [replace(row, predicted=label) for row in rows]


# Gates


def test_a_gate_needs_no_baseline_commit(tmp_path: Path) -> None:
    """Its verdicts are those of a gate between two commits with the same answers; words differ."""
    better = flipped(REVIEWS, range(0, 90, 9))
    within = two(tmp_path / "p", better, REVIEWS)
    seen = set()
    for gate in (
        margin("improvement", 0.0),
        margin("improvement", 0.2),
        margin("improvement", 0.05),
        negative_flip_rate(0.05),
        margin("improvement", 0.0, "scores.a.test.log_loss"),
        margin("non_inferiority", 0.05, "scores.a.test.f1.*"),
        margin("improvement", 0.0, "scores.a.test.table.*.balanced_accuracy"),
    ):
        found = held(within, **{**gate, "against": "scores.b"})
        assert found.verdict == both(tmp_path / "two", REVIEWS, better, **gate).verdict
        assert "scores.b" in found.observed and "scores.b" in found.demand, found
        assert "changed" not in found.observed and "baseline" not in found.demand + found.observed
        seen.add(found.verdict)
    assert seen == {"pass", "fail", "undecided"}
    backward = held(within, **{**margin("non_inferiority", 0.01, "scores.b.test.accuracy"),
                               "against": "scores.a"})  # fmt: skip
    assert backward.verdict == "fail"


def test_the_majority_label_is_the_most_frequent_one_of_the_test_split(tmp_path: Path) -> None:
    """A model is held against it on its own examples; of labels that tie the first counts."""
    rows = [*REVIEWS, *(replace(row, id=f"x{row.id}") for row in REVIEWS if row.label == "good")]
    revision = two(tmp_path / "p", rows, constant(rows, "bad"))
    gate = {**margin("improvement", 0.0, "scores.a.test.balanced_accuracy"), "against": "majority"}
    found = held(revision, **gate)
    assert found.verdict == "pass" and "against always 'good'" in found.observed
    assert found.demand == "better than the majority label by more than 0, at 95 %"
    flips = {**negative_flip_rate(0.1), "against": "majority"}
    assert held(revision, **flips).verdict == "undecided"
    gate["metric"] = "scores.b.test.balanced_accuracy"
    found = held(revision, **gate)
    assert not found.passed and "is 0.5, +0 against always 'good'" in found.observed
    assert majority.most_frequent(["b", "a", "a", "b"]) == ("a", 2)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_a_constant_classifier_never_passes(tmp_path: Path, metric: str) -> None:
    """Whichever label it answers, in any metric of answers, whatever counts as undecided."""
    for label in ("bad", "good"):
        one = constant(examples(60), label)
        gate = margin("improvement", 0.0, f"scores.a.test.{metric}")
        found = held(two(tmp_path / label, one, one), **{**gate, "against": "majority"})
        assert found.verdict in ("fail", "undecided") and not found.passed, found


def test_what_is_held_against_must_be_there_and_current(tmp_path: Path) -> None:
    """Missing, out of date or unreadable scores settle nothing, and say whose they are."""
    gate = {**margin("non_inferiority", 0.5), "against": "scores.b"}
    revision = two(tmp_path / "p", REVIEWS, REVIEWS)
    assert held(revision, **gate).verdict == "pass"
    found = held(revision, {"scores.b": "its code changed"}, **gate)
    assert found.verdict == "out of date" and found.observed.startswith("scores.b: its code")
    found = held(revision, **{**gate, "against": "scores.c"})
    assert (found.verdict, found.passed) == ("missing", False) and "scores.c" in found.observed
    (tmp_path / "p/data/metrics/scores-b/predictions.csv").write_text("")
    found = held(written(tmp_path / "p"), **gate)
    assert found.verdict == "not comparable"
    assert "scores.b keeps no predictions of test" in found.observed
    (tmp_path / "p/data/metrics/scores-b.json").unlink()
    assert held(written(tmp_path / "p"), **gate).verdict == "missing"


def test_a_constant_answer_has_no_probabilities(tmp_path: Path) -> None:
    """Where `validate` was not asked, the gate says so."""
    revision = two(tmp_path / "p", REVIEWS, REVIEWS)
    for name in ("log_loss", "expected_calibration_error"):
        gate = margin("non_inferiority", 0.9, f"scores.a.test.{name}")
        found = held(revision, **{**gate, "against": "majority"})
        assert found.verdict == "not comparable" and "no probabilities" in found.observed


def test_an_empty_class_leaves_its_gates_undecided(tmp_path: Path) -> None:
    """Against other scores and the majority alike, with the reason."""
    labels = {"labels": ("bad", "good", "rare")}
    revision = two(tmp_path / "p", REVIEWS, REVIEWS, **labels)
    for against in ("scores.b", "majority"):
        gate = margin("non_inferiority", 0.5, "scores.a.test.f1.rare")
        found = held(revision, **{**gate, "against": against})
        assert found.verdict == "undecided" and "no example of 'rare'" in found.observed


def test_false_verdicts_are_as_rare_as_the_confidence_says() -> None:
    """Of models that guess by the shares of the labels, few pass a gate against the majority: their
    true balanced accuracy is that of a constant. The control: by the value alone, half of them
    would."""
    rng = np.random.default_rng(4)
    metric, passed, above, draws = SplitMetric("balanced_accuracy", None), 0, 0, 150
    for _ in range(draws):
        truth, guess = (rng.choice(["a", "b", "c"], 60, p=[0.6, 0.3, 0.1]) for _ in range(2))
        side = answered(truth, guess)
        most, _ = majority.most_frequent(side.label)
        pairs = predictions.pair(answered(truth, [most] * 60), side)
        sample = PairedSample(
            pairs, predictions.Scale(tuple(sorted(set(truth) | {*guess})), 5), False
        )
        bound = bounds.of_pairs(sample, metric, 0.95)
        passed += bound.low > 0
        above += bound.value > 0
    assert above > draws / 3 and passed <= 0.08 * draws, (passed, above)


def answered(truth: Sequence[str], guess: Sequence[str]) -> predictions.Predictions:
    """Predictions of one table."""
    size = len(truth)
    ids = tuple(f"e{i}" for i in range(size))
    right = (np.asarray(truth) == np.asarray(guess)).astype(float)
    empty = ("",) * size
    return predictions.Predictions(
        ids,
        ("t",) * size,
        empty,
        tuple(map(str, truth)),
        tuple(map(str, guess)),
        np.ones(size),
        right,
    )


# What scores are worth


def remarks(truth: str, predicted: str, labels: str = "abc") -> list[str]:
    """Of answers of one letter each."""
    return list(majority.remarks(("model.m", "x"), [*labels], [*truth], [*predicted]))


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        ("aabbcc", "aabbcc", []),
        ("aaaaab", "aaaaab", ["x has no test text of 'c': how well any is found is not known"]),
        ("a" * 99 + "bc", "a" * 99 + "bc", []),  # skewed data are no constant classifier
        (
            "aabbcc",
            "aaaaaa",
            [
                "model.m on x answers 'a' to 100 % of the test texts",
                "model.m on x is right on 0.333 of the test texts, and always answering 'a' would "
                "be on 0.333",
            ],
        ),
        (
            "a" * 60 + "b" * 30 + "c" * 10,
            "a" * 99 + "c",
            ["model.m on x answers 'a' to 99 % of the test texts"],
        ),
        (
            "aabbcc",
            "aabbaa",
            ["model.m on x never answers 'c', the label of 2 of the 6 test texts"],
        ),
        (
            "aaab",
            "aabb",
            [
                "x has no test text of 'c': how well any is found is not known",
                "model.m on x is right on 0.750 of the test texts, and always answering 'a' would "
                "be on 0.750",
            ],
        ),
    ],
)
def test_scores_that_say_little_have_remarks(
    truth: str, predicted: str, expected: list[str]
) -> None:
    """Constant answers, labels that are never answered, accuracy that a constant has."""
    assert remarks(truth, predicted) == expected


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A model and its graph, scored apart."""
    project = make(tmp_path / "p", spec=BESIDE)
    project.score("scores.other", {"reviews": REVIEWS})
    project.lock()
    project.commit("both are scored")
    return project


def test_every_form_says_what_a_gate_holds_against(project: Project) -> None:
    """Whether it fails or passes."""
    of = "metric: scores.cnn.reviews.accuracy, confidence: 0.95"
    project.gate("beside", f"{{kind: non_inferiority, {of}, against: scores.other, margin: 0.01}}")
    project.gate(
        "guess",
        "{kind: improvement, metric: scores.cnn.reviews.balanced_accuracy, against: majority, "
        "by: 0.2, confidence: 0.95}",
    )
    project.score("scores.cnn", {"reviews": flipped(REVIEWS, range(1, 60, 9))})
    project.lock()
    found = project.report()
    assert [(gate["against"], gate["verdict"]) for gate in found["gates"]] == [
        ("scores.other", "fail"),
        ("majority", "pass"),
    ]
    for form in ("text", "md", "html", "junit"):
        shown = project.run("diff", "--format", form).stdout
        for words in ("scores.other", "majority label", "always"):
            assert words in shown, (form, words)
    assert "not worse than scores.other" in project.run("diff", "--format", "github").stdout
    gate = project.run("gate")
    assert gate.exit_code == 1 and "1 of 2 gates pass" in gate.stdout
    assert "-0.035 against scores.other" in gate.stdout


def test_a_gate_within_a_commit_works_before_the_first_commit(project: Project) -> None:
    """The other commit is not looked at: there may be none, or it has no such scores."""
    gate = "{kind: improvement, metric: scores.cnn.reviews.accuracy, against: scores.other, by: 0.0, confidence: 0.95}"  # noqa: E501
    project.gate("better", gate)
    project.score("scores.other", {"reviews": flipped(REVIEWS, range(1, 60, 3))})
    project.lock()
    assert "pass" in project.run("gate").stdout
    project.remove(".git")
    project.git("init", "-q", "-b", "main")
    found = project.run("gate")
    assert found.exit_code == 0 and "1 of 1 gates pass" in found.stdout, found.stdout


def test_bisect_looks_at_both_scores(project: Project) -> None:
    """The first bad commit is the one at which the other became better; no good commit is named."""
    gate = "{kind: non_inferiority, metric: scores.cnn.reviews.accuracy, against: scores.other, margin: 0.02, confidence: 0.95}"  # noqa: E501
    project.gate("kept", gate)
    project.lock()
    project.commit("a gate")
    project.commit("nothing")
    project.score("scores.other", {"reviews": examples(200)})
    project.lock()
    bad = project.commit("the other is better")
    project.commit("nothing else")
    found = project.run("bisect", "kept")
    assert bad[:7] in found.stdout and "the other is better" in found.stdout, found.output


def test_a_constant_classifier_is_reported_first_and_as_long_as_it_is_there(
    project: Project,
) -> None:
    """In every form; the control: the good model has no warning."""
    assert project.report("HEAD~1", "HEAD")["standings"][0]["warnings"] == []
    project.score("scores.cnn", {"reviews": constant(REVIEWS)})
    project.lock()
    message = "scores.cnn on reviews answers 'good' to 100 % of the test texts"
    text = project.run("diff").stdout
    assert message in text and text.index(message) < text.index("metrics: ")
    for form in ("md", "html"):
        assert "answers" in project.run("diff", "--format", form).stdout
    annotations = project.run("diff", "--format", "github").stdout
    assert f"::warning title=scores::{message}".replace(" %", " %25") in annotations
    project.commit("constant")
    assert message in project.run("diff", "HEAD", "HEAD").stdout


# The linear baseline

BASELINE = {
    "model": {
        "tfidf": {"architecture": {"kind": "linear"}},
        "net": {"architecture": {"kind": "cnn"}},
    },
    "exported": {"tfidf": {"of": "model.tfidf"}, "net": {"of": "model.net"}},
    "quantized": {"net": {"of": "exported.net"}},
    "scores": {
        "net": {"of": "quantized.net"},
        "tfidf": {"of": "exported.tfidf"},
        "lost": {"of": "exported.gone"},
    },
}


def beside_linear(root: Path, net: Sequence[Example], linear: Sequence[Example]) -> list[Standing]:
    """Of a network and the linear baseline, both new."""
    project = Project(root)
    project.write("params.yaml", json.dumps(BASELINE))
    project.score("scores.net", {"test": net})
    project.score("scores.tfidf", {"test": linear})
    revision = written(root)
    assert standing.baselines(revision) == ["scores.tfidf"]
    nothing = Revision(replace(revision.tree, name="nothing", ids={}))
    evidence = Evidence(nothing, revision)
    return list(standing.standings(evidence.pairs, revision))


def test_scores_are_shown_beside_the_linear_baseline(tmp_path: Path) -> None:
    """With a warning if they are worse beyond chance; the baseline itself has no such distance."""
    worse = flipped(REVIEWS, range(1, 60, 3))
    net, linear = beside_linear(tmp_path / "p", worse, REVIEWS)
    assert [d.against for d in net.distances] == ["majority"] * 2 + ["scores.tfidf"] * 2
    assert [d.against for d in linear.distances] == ["majority"] * 2
    distance = net.distances[2]
    assert distance.difference == pytest.approx(-0.1) == distance.value - distance.other
    (warning,) = net.warnings
    assert warning.startswith("scores.net on test is worse than scores.tfidf: accuracy -0.100 [-0")
    assert linear.warnings == ()
    net, linear = beside_linear(tmp_path / "q", REVIEWS, worse)
    assert net.warnings == linear.warnings == ()
    few = [row for row in REVIEWS if row.right][:5]
    assert all(d.interval is None for d in beside_linear(tmp_path / "r", few, few)[0].distances)


def test_scores_that_may_be_a_constant_have_a_warning(tmp_path: Path) -> None:
    """Of 40 texts 22 are right: chance could do that. The control: 22 right of the same 24 are
    more than a constant has."""
    rows = examples(40, wrong=range(18))
    net, _ = beside_linear(tmp_path / "p", rows, rows)
    (warning,) = net.warnings
    assert "scores.net on test may be no better than always 'bad': accuracy +0.050 [-" in warning
    rows = examples(24, wrong=range(2))
    assert beside_linear(tmp_path / "q", rows, rows)[0].warnings == ()


def test_the_interval_of_a_distance_covers_as_it_says() -> None:
    """Two models that are right on 70 and 60 % of two skewed classes, 300 test sets of 80 texts."""
    rng = np.random.default_rng(7)
    scale, covered = predictions.Scale(("a", "b"), 5), dict.fromkeys(standing.METRICS, 0)
    draws = 300
    for _ in range(draws):
        truth = np.where(rng.random(80) < 0.8, "a", "b")
        other = {"a": "b", "b": "a"}
        ends = [
            answered(truth, [t if rng.random() < skill else other[t] for t in truth])
            for skill in (0.6, 0.7)
        ]
        paired = PairedSample(predictions.pair(*ends), scale, same=False)
        for metric in standing.METRICS:
            sums = [scale.parts(end).sum(0) for end in ends]
            columns = scale.columns(metric.name)
            old, new = (float(scale.metric(metric.name, each[columns])) for each in sums)
            low, high = standing._interval(paired, metric, new - old)  # type: ignore[misc]
            covered[metric] += low <= 0.1 <= high
    assert all(0.93 * draws <= count <= 0.995 * draws for count in covered.values()), covered
