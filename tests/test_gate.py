"""`lmspec gate`: what passes is a number within its bound, of what params.yaml says now."""

import json
from pathlib import Path

import pytest

from lmspec.compare import gates
from lmspec.specs.gates import Ceiling, Floor
from tests import miniature
from tests.specs import GOOD, written

FLOOR = Floor(kind="floor", metric="scores.a.test.accuracy", at_least=0.8)
CEILING = Ceiling(kind="ceiling", metric="scores.a.test.accuracy", at_most=0.8)


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
        ({"x": 1}, "missing", "missing"),
    ],
)
def test_a_bound_belongs_to_what_passes_and_no_number_is_no_pass(value: object, floor: str, ceiling: str) -> None:
    """A floor and a ceiling of 0.8, on every kind of value that a metrics file can hold."""
    metrics = {"scores-a": {"test": {"accuracy": value}}}
    found = list(gates.verdicts({"low": FLOOR, "high": CEILING}, metrics))
    assert [verdict.verdict for verdict in found] == [floor, ceiling]
    assert [verdict.passed for verdict in found] == [floor == "pass", ceiling == "pass"]


def test_a_metric_that_is_not_there_and_one_that_is_stale_fail() -> None:
    """No stage, no path, and an artifact that is to be built anew."""
    there = {"scores-a": {"test": {"accuracy": 0.9}}}
    for metrics, stale, verdict in (({}, (), "missing"), ({"scores-a": {}}, (), "missing"), (there, {"scores.a"}, "stale")):
        (found,) = gates.verdicts({"low": FLOOR}, metrics, stale)
        assert (found.verdict, found.passed) == (verdict, False)


def test_a_label_with_a_dot_is_found() -> None:
    """Labels are names of metrics too, and may hold dots."""
    gate = Floor(kind="floor", metric="scores.a.test.f1.v1.0", at_least=0.5)
    (found,) = gates.verdicts({"g": gate}, {"scores-a": {"test": {"f1": {"v1": 0.1, "v1.0": 0.6}}}})
    assert (found.verdict, found.value) == ("pass", 0.6)


def test_the_command_says_which_and_why(tmp_path: Path) -> None:
    """Exit 1 if one does not pass, 0 if all do; without gates it checked nothing, and says so."""
    written(GOOD, tmp_path)
    folder = tmp_path / "data/metrics"
    folder.mkdir(parents=True)
    (folder / "scores-gru.json").write_text(json.dumps({"old": {"accuracy": 0.7}}))
    (folder / "scores-cnn.json").write_text(json.dumps({"old": {"log_loss": 0.7}}))
    said = miniature.lmspec(tmp_path, "gate", code=1)
    assert "gru   pass     scores.gru.old.accuracy is 0.7, at least 0.6" in said
    assert "cnn   fail     scores.cnn.old.log_loss is 0.7, at most 0.6" in said
    assert "size  missing  quantized.release.bytes is not there" in said and "1 of 3 gates pass" in said
    (folder / "scores-cnn.json").write_text(json.dumps({"old": {"log_loss": 0.5}}))
    (folder / "quantized-release.json").write_text(json.dumps({"bytes": 1000}))
    verdicts = json.loads(miniature.lmspec(tmp_path, "gate", "--format", "json"))
    assert [verdict["verdict"] for verdict in verdicts] == ["pass"] * 3
    written(GOOD[: GOOD.index("gates:")] + GOOD[GOOD.index("numerics:") :], tmp_path)
    assert "it has no gates, so nothing was checked" in miniature.lmspec(tmp_path, "gate", code=1)
