"""`lmspec gate`: what passes is known to; what is not known is undecided, and says how much would
decide."""

import datetime
import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from lmspec.compare import bounds, gates
from lmspec.compare.artifact import Artifact, leaves
from lmspec.compare.evidence import ArtifactPair, Evidence
from lmspec.compare.report import Gate
from lmspec.compare.revision import Revision, Unavailable
from lmspec.git.tree import Tree
from lmspec.language import nouns
from lmspec.specs import gates as specs
from tests.history import REVIEWS, TIMES, Example, Project, examples, flipped, make
from tests.specs import ROOT

REASONS = {"scores.a": "stages/scores.py is not what it was built with"}
TODAY = datetime.date(2026, 6, 1)
PARSED: TypeAdapter[specs.Gate] = TypeAdapter(specs.Gate)
PARAMS = {
    "scores": {"a": {"calibration_bins": 5}},
    "exported": {"a": {}},
    "speed": {"a": {"against": "model.cnn"}},
}
PARAMS_YAML = json.dumps(PARAMS)  # JSON is YAML
WRONG = range(0, 200, 9)  # places in REVIEWS that are answered wrong


def written(root: Path, name: str = "new") -> Revision:
    """The revision with the files of a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    ids = {
        path.relative_to(root).as_posix(): f"{name}:{path.stat().st_mtime_ns}:{path}"
        for path in files
    }
    return Revision(Tree(name, None, root, ids))


def scored(
    root: Path, rows: Sequence[Example] | Mapping[str, Sequence[Example]], name: str = "new"
) -> Revision:
    """A revision with one scores artifact, on the test split `test` if no other is given."""
    project = Project(root)
    project.write("params.yaml", PARAMS_YAML)
    project.score("scores.a", rows if isinstance(rows, Mapping) else {"test": rows})
    return written(root, name)


def held(
    old: Revision,
    new: Revision,
    out_of_date: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    **gate: Any,
) -> Gate:
    """What a gate says, against the baseline unless given.

    out_of_date  artifacts of the baseline, and of the candidate, that are
    """
    if gate["kind"] in gates.COMPARING:
        gate = {"against": "baseline", **gate}
    spec = PARSED.validate_python({"undecided": "fail", "waiver": None, **gate})
    pair = Evidence(old, new, out_of_date).pair(".".join(spec.metric.split(".")[:2]))
    return gates.evaluated(pair, "g", spec, TODAY, out_of_date[1])


def both(root: Path, old: Sequence[Example], new: Sequence[Example], **gate: Any) -> Gate:
    """A gate on the metrics of two answers to a test split."""
    return held(scored(root / "old", old, "old"), scored(root / "new", new), **gate)


def copies(rows: Sequence[Example], times: float) -> list[Example]:
    """So many times as much data, of the same kind."""
    count = round(len(rows) * times)
    return [replace(rows[i % len(rows)], id=f"c{i}") for i in range(count)]


def level(
    kind: str, limit: float, metric: str = "scores.a.test.accuracy", confidence: float | None = None
) -> dict[str, Any]:
    """A floor or a ceiling."""
    return {
        "kind": kind,
        "metric": metric,
        "at_least" if kind == "floor" else "at_most": limit,
        "confidence": confidence,
    }


def margin(
    kind: str, by: float, metric: str = "scores.a.test.accuracy", confidence: float = 0.95
) -> dict[str, Any]:
    """A comparison of both revisions."""
    return {
        "kind": kind,
        "metric": metric,
        "by" if kind == "improvement" else "margin": by,
        "confidence": confidence,
    }


def negative_flip_rate(
    at_most: float, metric: str = "scores.a.test", confidence: float = 0.95
) -> dict[str, Any]:
    """On a test split, or its slices."""
    return {
        "kind": "negative_flip_rate",
        "metric": metric,
        "at_most": at_most,
        "confidence": confidence,
    }


@pytest.fixture
def side(tmp_path: Path) -> Revision:
    """177 of 200 right: 0.885."""
    return scored(tmp_path / "side", REVIEWS)


# Floors and ceilings


@pytest.mark.parametrize(
    ("value", "floor", "ceiling"),
    [
        (0.9, "pass", "fail"),
        (0.8, "pass", "pass"),
        (0.7, "fail", "pass"),
        (1, "pass", "fail"),
        (True, "missing", "missing"),
        (None, "missing", "missing"),
        ("0.9", "missing", "missing"),
        (float("nan"), "missing", "missing"),
        (float("inf"), "missing", "missing"),
        (10**400, "missing", "missing"),
        ([0.9], "missing", "missing"),
        ({"x": 1}, "missing", "missing"),
    ],
)
def test_a_bound_belongs_to_what_passes_and_no_number_is_no_pass(
    tmp_path: Path, value: object, floor: str, ceiling: str
) -> None:
    """A floor and a ceiling of 0.8, on every kind of value that a metrics file can hold."""
    project = Project(tmp_path)
    project.write("params.yaml", PARAMS_YAML)
    project.measure("scores.a", {"test": {"accuracy": value}})
    one = written(tmp_path)
    found = [held(one, one, **level("floor", 0.8)), held(one, one, **level("ceiling", 0.8))]
    assert [gate.verdict for gate in found] == [floor, ceiling]
    assert [gate.passed for gate in found] == [floor == "pass", ceiling == "pass"]


def test_a_missing_metric_and_one_that_is_out_of_date_fail(tmp_path: Path, side: Revision) -> None:
    """No file, no path, no artifact, and an artifact that is not what the spec would build."""
    empty = scored(tmp_path / "empty", REVIEWS)
    (tmp_path / "empty/data/metrics/scores-a.json").unlink()
    assert held(side, written(tmp_path / "empty"), **level("floor", 0.1)).verdict == "missing"
    assert empty.artifacts == side.artifacts
    for metric in (
        "scores.a.other.accuracy",
        "scores.a.test.recall",
        "scores.b.test.accuracy",
        "scores.a.test.f1.*.x",
    ):
        found = held(side, side, **level("floor", 0.1, metric))
        assert (found.verdict, found.passed) == ("missing", False)
    for gate in (level("floor", 0.1), margin("non_inferiority", 0.5), negative_flip_rate(0.5)):
        found = held(side, side, ({}, REASONS), **gate)
        assert (found.verdict, found.passed) == (
            "out of date",
            False,
        ) and "stages/scores.py" in found.observed


def test_with_a_confidence_the_bound_of_the_interval_counts(side: Revision) -> None:
    """0.885 of 200 is 0.85 for certain, not 0.92, and may be 0.87."""
    verdicts = [
        held(side, side, **level("floor", limit, confidence=0.95)).verdict
        for limit in (0.8, 0.87, 0.96)
    ]
    assert verdicts == ["pass", "undecided", "fail"]
    verdicts = [
        held(side, side, **level("ceiling", limit, confidence=0.95)).verdict
        for limit in (0.8, 0.9, 0.96)
    ]
    assert verdicts == ["fail", "undecided", "pass"]
    found = held(side, side, **level("floor", 0.87, confidence=0.95))
    assert (
        not found.passed
        and found.needed is not None
        and "[" in found.observed
        and found.demand == "at least 0.87, at 95 %"
    )


def test_what_does_not_follow_from_predictions_has_no_confidence(tmp_path: Path) -> None:
    """A number of nodes has no interval, so a confidence cannot be met."""
    project = Project(tmp_path)
    project.write("params.yaml", PARAMS_YAML)
    project.measure("exported.a", {"nodes": 20})
    one = written(tmp_path)
    assert held(one, one, **level("ceiling", 30, "exported.a.nodes")).verdict == "pass"
    assert (
        held(one, one, **level("ceiling", 30, "exported.a.nodes", 0.95)).verdict == "not comparable"
    )


def test_a_label_with_a_dot_is_found(tmp_path: Path) -> None:
    """Labels are names of metrics too, and may hold dots; `*` is one name, however many dots it
    has."""
    labels = ("v1", "v1.0")
    rows = examples(100, range(0, 100, 7), labels)
    project = Project(tmp_path)
    project.write("params.yaml", PARAMS_YAML)
    project.score("scores.a", {"test": rows}, labels)
    one = written(tmp_path)
    for name in ("v1", "v1.0", "*"):
        assert held(one, one, **level("floor", 0.5, f"scores.a.test.f1.{name}")).verdict == "pass"
        assert (
            held(one, one, **negative_flip_rate(0.0, f"scores.a.test.class.{name}")).verdict
            == "pass"
        )
    assert held(one, one, **level("floor", 0.5, "scores.a.test.f1.v1.1")).verdict == "missing"


# Comparisons


def test_a_margin_is_kept_broken_or_not_known(tmp_path: Path) -> None:
    """The same two answers, against three margins, in both directions of progress."""
    worse = flipped(REVIEWS, [1, 2, 3, 4, 5, 6, 0, 9])  # six negative flips, two positive
    for metric, margins in (("accuracy", (0.06, 0.03, 1e-4)), ("log_loss", (0.2, 0.03, 1e-6))):
        gates_ = [margin("non_inferiority", by, f"scores.a.test.{metric}") for by in margins]
        verdicts = [both(tmp_path, REVIEWS, worse, **gate).verdict for gate in gates_]
        assert verdicts[:2] == ["pass", "undecided"] and verdicts[2] in ("undecided", "fail")
    assert (
        both(
            tmp_path, REVIEWS, flipped(REVIEWS, range(1, 180, 9)), **margin("non_inferiority", 0.02)
        ).verdict
        == "fail"
    )
    found = both(tmp_path, REVIEWS, worse, **margin("non_inferiority", 0.03))
    assert found.margin == 0.03
    assert (
        found.observed.startswith("test.accuracy changed by -0.02 [")
        and not found.passed
        and found.needed
    )


def test_an_improvement_must_be_known_to_be_one(tmp_path: Path) -> None:
    """20 of the 23 wrong ones are right now; two are; none is."""
    better, little = flipped(REVIEWS, list(WRONG)[:20]), flipped(REVIEWS, [0, 9])
    assert both(tmp_path, REVIEWS, better, **margin("improvement", 0)).verdict == "pass"
    assert both(tmp_path, REVIEWS, better, **margin("improvement", 0.05)).verdict == "pass"
    assert both(tmp_path, REVIEWS, better, **margin("improvement", 0.2)).verdict == "fail"
    assert both(tmp_path, REVIEWS, little, **margin("improvement", 0)).verdict == "undecided"
    assert both(tmp_path, REVIEWS, REVIEWS, **margin("improvement", 0)).verdict == "fail"
    assert both(tmp_path, better, REVIEWS, **margin("improvement", 0)).verdict == "fail"
    assert (
        both(
            tmp_path, REVIEWS, better, **margin("improvement", 0, "scores.a.test.log_loss")
        ).verdict
        == "pass"
    )


def test_the_same_predictions_pass_without_data(tmp_path: Path) -> None:
    """One example is enough, if both revisions have the same answer: nothing can be worse."""
    for rows in (REVIEWS[:1], REVIEWS[:3]):
        for gate in (margin("non_inferiority", 1e-6), negative_flip_rate(0.0)):
            assert both(tmp_path, rows, rows, **gate).verdict == "pass"


def test_no_flip_among_fifty_is_no_proof_of_half_a_point(tmp_path: Path) -> None:
    """Other probabilities, the same answers: up to six in a hundred could be negative_flips, for
    all that fifty can tell."""
    old = REVIEWS[:50]
    new = [replace(row, confidence=round(row.confidence - 0.01, 6)) for row in old]
    for gate in (margin("non_inferiority", 0.005), negative_flip_rate(0.005)):
        found = both(tmp_path, old, new, **gate)
        assert (found.verdict, found.passed) == ("undecided", False)
    assert found.needed == math.ceil(math.log(0.05) / math.log(0.995))  # the rule of three
    more = copies(old, found.needed / 50)
    less_sure = [replace(row, confidence=round(row.confidence - 0.01, 6)) for row in more]
    assert both(tmp_path, more, less_sure, **negative_flip_rate(0.005)).verdict == "pass"
    assert (
        both(tmp_path, more[:-2], less_sure[:-2], **negative_flip_rate(0.005)).verdict
        == "undecided"
    )
    assert both(tmp_path, more, less_sure, **margin("non_inferiority", 0.005)).verdict == "pass"


@pytest.mark.parametrize("negative_flips", [False, True])
def test_one_example_decides_nothing(tmp_path: Path, negative_flips: bool) -> None:
    """Neither that all is well nor that it is not."""
    old = [replace(REVIEWS[1], confidence=0.7)]
    new = flipped(old, [0]) if negative_flips else [replace(REVIEWS[1], confidence=0.8)]
    for metric in ("accuracy", "log_loss", "macro_f1"):
        for kind in ("non_inferiority", "improvement"):
            found = both(tmp_path, old, new, **margin(kind, 0.01, f"scores.a.test.{metric}"))
            assert (found.verdict, found.passed) == ("undecided", False), (metric, kind)
    assert both(tmp_path, old, new, **negative_flip_rate(0.1)).verdict == "undecided"
    for kind in ("floor", "ceiling"):
        assert both(tmp_path, old, new, **level(kind, 0.5, confidence=0.95)).verdict == "undecided"


@pytest.mark.parametrize(
    ("gate", "new"),
    [
        (level("floor", 0.87, confidence=0.95), REVIEWS),
        (level("ceiling", 0.9, confidence=0.95), REVIEWS),
        (margin("non_inferiority", 0.02), flipped(REVIEWS, [1, 2, 3, 4, 0, 9])),
        (margin("improvement", 0.0), flipped(REVIEWS, [0, 9, 18, 1])),
        (negative_flip_rate(0.04), flipped(REVIEWS, [1, 2, 3, 4, 0, 9])),
    ],
    ids=["floor", "ceiling", "non_inferiority", "improvement", "negative_flip_rate"],
)
def test_as_many_examples_as_are_needed_decide(
    tmp_path: Path, gate: dict[str, Any], new: list[Example]
) -> None:
    """With somewhat more than it says, of the same kind, it is decided; with half, it is not."""
    found = both(tmp_path, REVIEWS, new, **gate)
    assert found.verdict == "undecided" and found.needed is not None and found.needed > len(REVIEWS)
    times = found.needed / len(REVIEWS)
    for whole, decided in ((math.ceil(1.15 * times), True), (math.floor(times / 2), False)):
        if whole:
            again = both(tmp_path, copies(REVIEWS, whole), copies(new, whole), **gate)
            assert (again.verdict != "undecided") == decided, (whole, again)


# Slices


def test_the_worst_of_a_pattern_decides(tmp_path: Path) -> None:
    """Of classes, of tables, of both; and it is the one in the report."""
    rows = [
        replace(row, predicted="good") if row.table == "movies" and i % 8 == 0 else row
        for i, row in enumerate(REVIEWS)
    ]
    one = scored(tmp_path, rows)
    found = held(one, one, **level("floor", 0.85, "scores.a.test.table.*.accuracy"))
    assert (found.verdict, found.observed.split(" is ")[0]) == (
        "fail",
        "test.table.movies.accuracy",
    )
    assert (
        held(one, one, **level("floor", 0.85, "scores.a.test.table.products.accuracy")).verdict
        == "pass"
    )
    assert held(one, one, **level("floor", 0.4, "scores.a.test.table.*.f1.*")).verdict == "pass"
    assert held(one, one, **level("floor", 0.8, "scores.a.test.table.*.f1.*")).verdict == "fail"
    assert held(one, one, **level("ceiling", 0.99, "scores.a.test.f1.*")).verdict == "pass"


def test_a_negative_flip_rate_is_of_a_test_split_a_class_or_a_table(tmp_path: Path) -> None:
    """All that broke were movies."""
    places = [i for i, row in enumerate(REVIEWS) if row.table == "movies" and row.right][:12]
    old, new = (
        scored(tmp_path / "old", REVIEWS, "old"),
        scored(tmp_path / "new", flipped(REVIEWS, places)),
    )
    verdicts = {
        metric: held(old, new, **negative_flip_rate(0.1, f"scores.a.{metric}")).verdict
        for metric in (
            "test",
            "test.table.movies",
            "test.table.products",
            "test.table.*",
            "test.class.*",
            "test.class.none",
            "test.accuracy",
        )
    }
    assert verdicts == {
        "test": "pass",
        "test.table.movies": "undecided",
        "test.table.products": "pass",
        "test.table.*": "undecided",
        "test.class.*": "undecided",
        "test.class.none": "missing",
        "test.accuracy": "missing",
    }
    assert held(old, new, **negative_flip_rate(0.02)).verdict == "fail"
    assert (
        "test.table.movies: 12 negative flips in 100 examples (0.1200)"
        in held(old, new, **negative_flip_rate(0.1, "scores.a.test.table.*")).observed
    )


def test_a_gap_is_between_best_and_worst(tmp_path: Path) -> None:
    """Of classes or of tables of one test split; a number of other things has none."""
    rows = [
        replace(row, predicted="bad" if row.label == "good" else "good")
        if row.table == "movies" and i % 8 == 0
        else row
        for i, row in enumerate(REVIEWS)
    ]
    one = scored(tmp_path, {"test": rows, "other": REVIEWS})
    metric = "scores.a.test.table.*.accuracy"
    gate = {"kind": "gap", "metric": metric, "confidence": 0.95}
    verdicts = [held(one, one, **gate, at_most=limit).verdict for limit in (0.5, 0.2, 0.01)]
    assert verdicts == ["pass", "undecided", "fail"]
    found = held(one, one, **gate, at_most=0.2)
    assert (
        "test.table.products.accuracy is" in found.observed
        and "test.table.movies.accuracy" in found.observed
        and found.needed
    )
    for pattern, verdict in (
        ("f1.*", "pass"),
        ("table.*.f1.*", "pass"),
        ("table.*.examples", "not comparable"),
    ):
        assert (
            held(one, one, **{**gate, "metric": f"scores.a.test.{pattern}"}, at_most=0.6).verdict
            == verdict
        )
    for pattern in ("scores.a.*.accuracy", "scores.a.test.*", "scores.a.*.table.*.accuracy"):
        found = held(one, one, **{**gate, "metric": pattern}, at_most=1e6)
        assert found.verdict in ("not comparable", "missing") and not found.passed, pattern


def test_a_label_may_have_the_name_of_a_metric(tmp_path: Path) -> None:
    """Its F1 is no size that is exact, and no loss that is better when it is lower."""
    gate = {"kind": "non_inferiority", "margin": 0.03, "confidence": 0.95}
    for label in ("bytes", "log_loss"):
        names = {"bad": label, "good": "other"}
        rows = [
            replace(row, label=names[row.label], predicted=names[row.predicted]) for row in REVIEWS
        ]
        labels = (label, "other")
        worse = flipped(rows, range(1, 9, 2), labels)
        sides = []
        for name, answers_ in (("old", rows), ("new", worse)):
            project = Project(tmp_path / label / name)
            project.write("params.yaml", PARAMS_YAML)
            project.score("scores.a", {"test": answers_}, labels)
            sides.append(written(project.root, name))
        found = held(sides[0], sides[1], **gate, metric=f"scores.a.test.f1.{label}")
        assert found.verdict == "undecided" and "changed by -" in found.observed, found


def test_rounding_is_no_reason_to_refuse_a_log_loss(tmp_path: Path) -> None:
    """Six digits tell 0.000012 from 0.0000121 no more, and of no probability is written that it is
    0."""
    old = [replace(row, confidence=1 - 1.21e-5) if not row.right else row for row in REVIEWS]
    new = [replace(row, confidence=1 - 1.27e-5) if not row.right else row for row in REVIEWS]
    found = both(tmp_path, old, new, **margin("non_inferiority", 0.5, "scores.a.test.log_loss"))
    assert found.verdict == "pass", found


def test_a_gap_to_an_unknown_value_is_not_decided(tmp_path: Path) -> None:
    """One example of a table says nothing about its spread, however close its loss is."""
    rows = [row for row in REVIEWS if row.table == "movies"] + [
        next(row for row in REVIEWS if row.table == "products")
    ]
    one = scored(tmp_path, rows)
    found = held(
        one, one, kind="gap", metric="scores.a.test.table.*.log_loss", at_most=5.0, confidence=0.95
    )
    assert found.verdict == "undecided" and "[0, inf]" in found.observed


# Ratios


def timed(
    root: Path,
    rounds: Sequence[tuple[float, float]],
    name: str = "new",
    rival: str = "the model",
    size: int = 100,
) -> Revision:
    """A revision with rounds of a measurement, and a file of a size."""
    project = Project(root)
    project.write("params.yaml", PARAMS_YAML)
    project.speed(rounds, "speed.a", rival)
    project.measure("exported.a", {"bytes": size, "nodes": size})
    return written(root, name)


def test_a_ratio_is_known_by_rounds_or_exact(tmp_path: Path) -> None:
    """Latency in turn with the same model, and bytes; a throughput is better when it is higher."""
    old = timed(tmp_path / "old", TIMES, "old")
    slower = timed(
        tmp_path / "slower", [(1.2 * of, 3 * other / 3) for of, other in TIMES], size=120
    )
    for metric in ("speed.a.of.latency_ms.p50", "speed.a.of.texts_per_second", "exported.a.bytes"):
        gate = {"kind": "ratio", "metric": metric, "confidence": 0.95}
        assert held(old, slower, **gate, tolerance=0.6).verdict == "pass", metric
        assert held(old, slower, **gate, tolerance=0.01).verdict == "fail", metric
        assert held(slower, old, **gate, tolerance=0).verdict == "pass", metric
        assert held(old, old, **gate, tolerance=0).verdict == "pass", metric
    found = held(
        old,
        slower,
        kind="ratio",
        metric="speed.a.of.latency_ms.p50",
        tolerance=0.2,
        confidence=0.95,
    )
    assert (found.verdict, found.passed) == ("undecided", False)


def test_a_ratio_of_two_runs_apart_is_not_comparable(tmp_path: Path) -> None:
    """Against another model, or of what is neither weighed nor timed."""
    old, new = (
        timed(tmp_path / "old", TIMES, "old"),
        timed(tmp_path / "new", TIMES[1:], rival="another", size=90),
    )
    for metric in ("speed.a.of.latency_ms.p50", "exported.a.nodes"):
        found = held(old, new, kind="ratio", metric=metric, tolerance=5, confidence=0.95)
        assert (found.verdict, found.passed) == ("not comparable", False)


def test_rounds_are_too_few_for_some_confidence(tmp_path: Path) -> None:
    """No order of five and five has a probability below 1 in 252; their file unchanged, they are
    one run."""
    old = timed(tmp_path / "old", TIMES[:5], "old")
    faster = timed(tmp_path / "new", [(of / 3, other) for of, other in TIMES[:5]])
    gate = {"kind": "ratio", "metric": "speed.a.of.latency_ms.p50", "tolerance": 0.1}
    assert held(old, faster, **gate, confidence=0.99).verdict == "pass"
    found = held(old, faster, **gate, confidence=0.999)
    assert found.verdict == "undecided" and "[0, inf]" in found.observed
    assert held(old, old, **gate, confidence=0.999).verdict == "pass"


def test_the_same_time_on_another_machine_is_no_ratio_of_one(tmp_path: Path) -> None:
    """As many milliseconds, where the rival takes half as many, are twice the time."""
    old = timed(tmp_path / "old", TIMES, "old")
    new = timed(tmp_path / "new", [(of, other / 2) for of, other in TIMES])
    found = held(
        old, new, kind="ratio", metric="speed.a.of.latency_ms.p50", tolerance=0.1, confidence=0.95
    )
    assert found.verdict == "fail" and " is 2 times the baseline's" in found.observed


def test_other_versions_may_have_changed_the_rival_too(tmp_path: Path) -> None:
    """What was measured beside it tells nothing of the machine then.

    A package that lmspec does not watch is nothing.
    """
    old, new = Project(tmp_path / "old"), Project(tmp_path / "new")
    for project, torch, pandas in ((old, "2.13.0", "1"), (new, "2.14.0", "2")):
        timed(project.root, TIMES if project is old else [(of, other / 2) for of, other in TIMES])
        path = "data/provenance/speed-a.json"
        ((statement,),) = json.loads(project.text(path))
        entries = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        entries += [
            {"uri": f"pkg:pypi/torch@{torch}"},
            {"uri": f"pkg:pypi/pandas@{pandas}", "annotations": {"declared": False}},
        ]
        project.write(path, json.dumps([[statement]]))
    gate = {
        "kind": "ratio",
        "metric": "speed.a.of.latency_ms.p50",
        "tolerance": 5.0,
        "confidence": 0.95,
    }
    found = held(written(old.root, "old"), written(new.root), **gate)
    assert (
        found.verdict == "not comparable"
        and "other versions of torch may have changed model.cnn too" in found.observed
    )


# What cannot be compared, and what passes all the same


def test_without_a_baseline_a_floor_holds_and_a_comparison_does_not(
    tmp_path: Path, side: Revision
) -> None:
    """The artifact is new, its baseline out of date, its test set, labels or scorer another, its
    predictions lost."""
    projects = {name: Project(tmp_path / name) for name in ("new", "labels", "scorer", "lost")}
    for project in projects.values():
        project.write("params.yaml", PARAMS_YAML)
        project.score("scores.a", {"test": REVIEWS})
    projects["new"].write("params.yaml", json.dumps({"scores": {"b": {}}}))
    projects["labels"].score("scores.a", {"test": REVIEWS}, labels=("bad", "good", "mixed"))
    whole = projects["scorer"].metrics("scores.a")
    projects["scorer"].measure("scores.a", {"test": {**whole["test"], "accuracy": 0.99}})
    projects["lost"].remove("data/metrics/scores-a/predictions.csv")
    olds = {name: written(project.root, name) for name, project in projects.items()}
    olds["test set"] = scored(tmp_path / "set", examples(200, start=900), "test set")
    for name, old in olds.items():
        floor = "undecided" if name == "test set" else "pass"
        assert held(old, side, **level("floor", 0.8)).verdict == floor
        assert held(old, side, **level("floor", 0.8, confidence=0.95)).verdict == floor
        found = held(old, side, **margin("non_inferiority", 0.9))
        assert (found.verdict, found.passed) == ("not comparable", False), name
        assert held(old, side, **negative_flip_rate(1.0)).verdict == (
            "pass" if name == "scorer" else "not comparable"
        )
    reasons = {"scores.a": "it was edited"}
    for gate in (
        margin("non_inferiority", 0.9),
        margin("improvement", 0.0),
        negative_flip_rate(1.0),
    ):
        found = held(side, side, (reasons, {}), **gate)
        assert found.verdict == "not comparable" and "out of date: it was edited" in found.observed
    assert held(side, side, (reasons, {}), **level("floor", 0.8)).verdict == "pass"


def test_what_has_no_direction_is_not_comparable(side: Revision) -> None:
    """A number of examples has no direction."""
    assert (
        "no direction"
        in held(side, side, **margin("non_inferiority", 1, "scores.a.test.examples")).observed
    )


def test_undecided_passes_where_the_spec_says_so(tmp_path: Path) -> None:
    """And only undecided: what is worse for certain, or missing, does not."""
    worse = flipped(REVIEWS, range(1, 180, 9))
    for by, new, verdict, passed in (
        (0.02, flipped(REVIEWS, [1, 2, 0]), "undecided", True),
        (0.02, worse, "fail", False),
    ):
        found = both(tmp_path, REVIEWS, new, **margin("non_inferiority", by), undecided="pass")
        assert (found.verdict, found.passed) == (verdict, passed)
    found = both(
        tmp_path, REVIEWS, worse, **level("floor", 0.1, "scores.a.no.accuracy"), undecided="pass"
    )
    assert (found.verdict, found.passed) == ("missing", False)


@pytest.mark.parametrize(
    ("until", "limit", "verdict", "passed", "why"),
    [
        (
            "2026-06-01",
            0.99,
            "waived",
            True,
            "signed off by B. Person until 2026-06-01; without the waiver: fail",
        ),
        ("2026-05-31", 0.99, "fail", False, "its waiver expired on 2026-05-31"),
        ("2026-06-01", 0.5, "pass", True, None),
        ("2020-01-01", 0.5, "pass", True, None),
    ],
    ids=["on its last day", "a day later", "passes anyway", "passes anyway, and it has ended"],
)
def test_a_waiver_holds_through_its_last_day(
    side: Revision, until: str, limit: float, verdict: str, passed: bool, why: str | None
) -> None:
    """It says who answers for what; a gate that passes needs none."""
    waiver = {"reason": "a reason of ten letters", "signed_off_by": "B. Person", "until": until}
    found = held(side, side, **level("floor", limit), waiver=waiver)
    assert (found.verdict, found.passed) == (verdict, passed)
    assert found.why is None if why is None else why in (found.why or "")


def test_a_waiver_covers_what_was_looked_at_alone(tmp_path: Path, side: Revision) -> None:
    """Undecided and not comparable can be waived, and are named; a metric that is missing or out of
    date cannot."""
    waiver = {
        "reason": "a reason of ten letters",
        "signed_off_by": "B. Person",
        "until": "2026-12-31",
    }
    other = scored(tmp_path / "other", examples(200, range(20), start=1000), "old")
    for old, gate, verdict in (
        (side, level("floor", 0.88, confidence=0.95), "undecided"),
        (other, margin("improvement", 0.0), "not comparable"),
    ):
        found = held(old, side, **gate, waiver=waiver)
        assert (found.verdict, found.passed) == (
            "waived",
            True,
        ) and f"without the waiver: {verdict})" in (found.why or "")
    cases = (
        (level("floor", 0.1, "scores.a.no.accuracy"), {}, "missing"),
        (level("floor", 0.1), {"scores.a": "x"}, "out of date"),
    )
    for gate, reasons, verdict in cases:
        found = held(side, side, ({}, reasons), **gate, waiver=waiver)
        assert (found.verdict, found.passed, found.why) == (verdict, False, None)


def test_of_several_metrics_the_worst_is_shown_with_what_would_decide_them_all(
    tmp_path: Path,
) -> None:
    """Which one is nearest to the wrong side does not depend on their order; the number is that of
    the one that needs most."""
    rows = examples(400, [*range(0, 40, 2), *range(1, 30, 2)])
    half = [replace(row, table="first" if row.label == "bad" else "second") for row in rows]
    for each in (half, half[::-1]):
        new = scored(tmp_path / str(len(list(tmp_path.iterdir()))), each)
        path = "scores.a.test.table.*.accuracy"
        values = {
            name: held(new, new, **level("floor", 0.5, path.replace("*", name))).observed
            for name in ("first", "second")
        }
        found = held(new, new, **level("floor", 0.5, path))
        assert (
            found.verdict == "pass"
            and found.observed
            == f"{min(values.values(), key=lambda text: text.split()[-1])} (the worst of 2)"
        )
        alone = [
            held(new, new, **level("floor", 0.9, path.replace("*", name), 0.95))
            for name in ("first", "second")
        ]
        assert {gate.verdict for gate in alone} == {"undecided"}
        every = held(new, new, **level("floor", 0.9, path, 0.95))
        assert every.needed == max(gate.needed or 0 for gate in alone)


# What the validator knows beforehand


COUNTED = ("examples", "overlap", "cut_texts", "unread_tokens", "unknown_tokens")
COUNTED += ("predicted_labels", "empty_labels", "majority", "groups")
COUNTED += ("cases", "templates")


def test_the_validator_knows_what_is_better_one_way_and_what_a_gate_can_decide() -> None:
    """Of every metric of this project: as its stage has declared it, and with an interval where it
    has predictions."""
    repository = Revision(Tree("worktree", None, ROOT, _ids(ROOT)))
    seen = 0
    for artifact in repository.artifacts:
        values = repository.metrics(artifact)
        for path, _ in leaves(values) if not isinstance(values, Unavailable) else ():
            seen += 1
            pair = ArtifactPair(Artifact(repository, artifact), Artifact(repository, artifact))
            declared = nouns.metric(artifact, path)
            better = declared.better if declared else None
            assert bounds.better(pair, path) == better, (artifact, path)
            counted = bool({*path} & {*COUNTED})
            known = artifact.startswith(("scores.", "examined.")) and not counted
            assert (nouns.evidence(artifact, path) == "predictions") == known
    assert seen > 250


def _ids(root: Path) -> dict[str, str]:
    files = [
        root / "params.yaml",
        *(root / "data/metrics").rglob("*.*"),
        *(root / "data/provenance").glob("*.json"),
    ]
    return {path.relative_to(root).as_posix(): str(path) for path in files}


# Properties


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Example], list[Example]]:
    """Two answers to the same few examples."""
    count = draw(st.integers(2, 40))
    wrong, other = (draw(st.sets(st.integers(0, count - 1))) for _ in range(2))
    rows = examples(count, wrong)
    return rows, flipped(rows, other)


def judged(old: list[Example], new: list[Example], *gates_: dict[str, Any]) -> list[str]:
    """The verdict of each gate."""
    with tempfile.TemporaryDirectory() as folder:
        sides = scored(Path(folder) / "old", old, "old"), scored(Path(folder) / "new", new)
        return [held(*sides, **gate).verdict for gate in gates_]


METRICS = st.sampled_from(
    ["accuracy", "macro_f1", "log_loss", "expected_calibration_error", "f1.bad"]
)


@settings(max_examples=20, deadline=None)
@given(answers(), METRICS, st.floats(1e-4, 1), st.floats(1e-4, 1))
def test_a_larger_margin_never_fails_what_a_smaller_one_passes(
    sides: tuple[list[Example], list[Example]], metric: str, one: float, other: float
) -> None:
    """Of non-inferiority, of improvement (a smaller amount) and of a negative flip rate."""
    name, (low, high) = f"scores.a.test.{metric}", sorted((one, other))
    order = ("fail", "undecided", "pass")
    for gates_ in (
        [margin("non_inferiority", by, name) for by in (low, high)],
        [margin("improvement", by, name) for by in (high, low)],
        [negative_flip_rate(by) for by in (low, high)],
        [level("ceiling", by, name, 0.9) for by in (low, high)],
        [level("floor", by, name, 0.9) for by in (high, low)],
    ):
        strict, loose = judged(*sides, *gates_)
        assert order.index(strict) <= order.index(loose)


@settings(max_examples=20, deadline=None)
@given(answers(), METRICS, st.floats(0, 1), st.floats(0.5, 0.99))
def test_more_confidence_is_a_stricter_gate(
    sides: tuple[list[Example], list[Example]], metric: str, limit: float, confidence: float
) -> None:
    """A floor that passes with a confidence passes without; what is better for certain is not
    inferior."""
    name = f"scores.a.test.{metric}"
    sure, plain, better, kept = judged(
        *sides,
        level("floor", limit, name, confidence),
        level("floor", limit, name),
        margin("improvement", 0, name, confidence),
        margin("non_inferiority", 0.01, name, confidence),
    )
    assert plain == "pass" or sure != "pass"
    assert kept == "pass" or better != "pass"


# The command


def test_the_command_says_which_and_why(tmp_path: Path) -> None:
    """Exit 1 if one does not pass, 0 if all do; without gates it checked nothing, says so, and
    exits 2."""
    project = make(tmp_path / "project")
    assert (
        project.run("gate").exit_code == 2
        and "it has no gates, so nothing was checked" in project.run("gate").output
    )
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.gate("loss", "{kind: ceiling, metric: scores.cnn.reviews.log_loss, at_most: 0.1}")
    project.gate(
        "kept",
        "{kind: non_inferiority, metric: scores.cnn.reviews.f1.*, against: baseline, "
        "margin: 0.02, confidence: 0.95}",
    )
    project.score("scores.cnn", {"reviews": flipped(REVIEWS, [1, 2, 0])})
    project.lock()
    found = project.run("gate")
    assert found.exit_code == 1 and "1 of 3 gates pass" in found.output
    sides, _, level_line, loss_line, kept_line, needed_line, *_ = found.output.splitlines()
    assert sides.startswith("HEAD (") and sides.endswith(") -> worktree")
    assert level_line == "level  pass       reviews.accuracy is 0.88; at least 0.8"
    assert loss_line.startswith("loss   fail       reviews.log_loss is 0.4")
    assert (
        kept_line.startswith("kept   undecided  reviews.f1.")
        and "not worse than the baseline by more than 0.02, at 95 %" in kept_line
    )
    assert "examples would decide, if the effect stays as it is" in needed_line
    verdicts = json.loads(project.run("gate", "--format", "json").output)
    assert [gate["verdict"] for gate in verdicts] == ["pass", "fail", "undecided"]
    project.commit()
    assert project.run("gate", "HEAD~1", "HEAD").exit_code == 1
    assert project.run("gate", "HEAD", "HEAD~1").output.startswith(
        "lmspec: params.yaml: it has no gates"
    )


def test_the_command_passes_and_refuses(tmp_path: Path) -> None:
    """0 where all pass; 2 where nothing can be compared, or with every problem of a params.yaml
    that is not valid."""
    project = make(tmp_path / "project")
    project.gate("level", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    project.commit()
    for arguments in ((), ("main...",), ("HEAD", "HEAD"), ("HEAD~1",)):
        assert project.run("gate", *arguments).exit_code == 0
    assert project.run("gate", "no-such").exit_code == 2
    project.edit("params.yaml", "at_least: 0.8", "at_most: 0.8")
    found = project.run("gate")
    assert found.exit_code == 2 and "there is no such field" in found.output
    shutil.rmtree(project.root / ".git")
    assert project.run("gate", "HEAD", "worktree").exit_code != 0


def test_a_rate_of_no_text_is_undecided(tmp_path: Path) -> None:
    """As of a group that no test text is in: building it again would not help."""
    scored(tmp_path, REVIEWS)
    path = tmp_path / "data/metrics/scores-a.json"
    metrics = json.loads(path.read_text())
    metrics["test"]["groups"] = {"age": {"gap": {"accuracy": {"share": None, "high": None}}}}
    path.write_text(json.dumps(metrics))
    new = written(tmp_path)
    gate = held(new, new, **level("ceiling", 0.1, "scores.a.test.groups.age.gap.accuracy.high"))
    assert gate.verdict == "undecided" and "no text is of it" in gate.observed
    assert "dvc repro" not in gate.observed
