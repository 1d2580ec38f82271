"""What says nothing takes one line: sizes that moved by a few bytes, artifacts that are new, speed
that was only measured again."""

import json
import random
from pathlib import Path

import pytest

from lmspec.compare.report import Metric
from lmspec.reports import folding
from tests.history import REVIEWS, SPEC, TIMES, Project, make

SIZE = "exported.cnn.bytes"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that is built, and committed."""
    return make(tmp_path / "p")


def resized(project: Project, size: int) -> dict[str, str]:
    """Verdicts, by metric and in the ratios, of a graph with so many bytes instead of 20,000."""
    project.measure("exported.cnn", {"largest_logit_difference": 1e-6, "nodes": 20, "bytes": size})
    project.lock()
    report = project.report()
    verdicts = {row["name"]: row["verdict"] for row in report["metrics"]}
    return {"metric": verdicts[SIZE]} | {row["name"]: row["verdict"] for row in report["ratios"]}


@pytest.mark.parametrize(
    ("size", "verdict"),
    [(20_001, "same"), (20_020, "same"), (19_981, "same"), (20_021, "worse"), (19_970, "better")],
)
def test_a_size_within_a_thousandth_is_the_same(project: Project, size: int, verdict: str) -> None:
    """In `diff`, its ratios and `log`; beyond that it is better or worse."""
    found = resized(project, size)
    assert found == {"metric": verdict} | ({} if verdict == "same" else {SIZE: verdict})
    project.commit("another size")
    (trend,) = json.loads(project.run("log", SIZE, "--format", "json").stdout)["metrics"]
    assert trend["points"][0]["verdict"] == verdict


def test_what_was_only_measured_again_is_one_line(project: Project) -> None:
    """Unless it differs beyond noise, or its graph was built again."""
    rng = random.Random(3)
    times = [(2 + 0.6 * rng.random(), 10 + rng.random()) for _ in range(12)]
    project.speed(times)
    project.lock()
    text = project.run("diff").stdout
    lines = [line for line in text.splitlines() if "speed.cnn" in line]
    assert len(lines) == 2 and lines[0].split() == ["rebuilt", "speed.cnn"], text
    assert "speed.cnn.*" in lines[1] and "no difference beyond noise" in lines[1]
    assert project.run("diff", "--all").stdout.count("speed.cnn.") > 8
    project.speed([(2 * own, other) for own, other in TIMES])
    project.lock()
    assert "speed.cnn.of.latency_ms.p50" in project.run("diff").stdout
    project.speed(times)
    lock = project.locked
    graph = lock["exported-cnn"]["outs"][0]
    graph["md5"] = "0" * 32 + ".dir"
    project.save_lock(lock)
    assert project.report()["remeasured"] == []


def test_a_new_artifact_is_one_line_beside_its_headline(project: Project) -> None:
    """Its values and its metrics, but for the headline of scores."""
    spec = project.text("params.yaml")
    scores = next(
        line for line in SPEC.splitlines() if line.startswith("  cnn: {of: model.cnn, on")
    )
    project.write(
        "params.yaml", spec.replace(scores, f"{scores}\n{scores.replace('cnn:', 'new:')}")
    )
    project.score("scores.new", {"reviews": REVIEWS})
    project.lock()
    text = project.run("diff").stdout
    lines = [line for line in text.splitlines() if line.startswith("scores.new")]
    assert lines[0].split() == ["scores.new.*", "–", "4", "values"]
    assert [line.split()[0].removeprefix("scores.new.") for line in lines[1:]] == [
        "reviews.accuracy",
        "reviews.macro_f1",
        "reviews.log_loss",
        "*",
    ]
    assert lines[-1].split()[:4] == ["scores.new.*", "new", "25", "metrics:"]
    assert "scores.new.reviews.f1.bad" in project.run("diff", "--all").stdout


def test_metrics_that_differ_are_never_folded() -> None:
    """However many there are, and whatever the artifact."""
    names = [f"speed.a.of.m{i}" for i in range(9)]
    for verdict in ("better", "worse", "missing"):
        metrics = [Metric(name, 1, 2, 1, "lower", verdict) for name in names]
        assert folding.folded(metrics, {"speed.a"}) == metrics
    metrics = [Metric(name, 1, 2, 1, "lower", "untested") for name in names]
    assert len(folding.folded(metrics, {"speed.a"})) == 1
    assert folding.folded(metrics, set()) == metrics
