"""Trackers: TensorBoard, Weights & Biases and MLflow have the curve of a run; none disturbs it."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lmspec.methods import curves
from lmspec.run import recorder
from lmspec.run.recorder import Recorder
from lmspec.tracking import __main__ as tracking
from lmspec.tracking.tracker import Run
from tests import browser
from tests.test_runs import record, tell

SECONDS = 60.0


def run(root: Path, first: int, last: int, former: Recorder | None = None) -> Recorder:
    """A run that went on from another one, or began."""
    one = record(root)
    one.source = one.source.with_name(f"{first}.jsonl")
    tell(one, first, last, **({"continues": former.run} if former else {}))
    return one


def track(root: Path, name: str, one: Recorder, known: int = 0) -> list[str]:
    """Give a whole run to a tracker, in this process; its warnings."""
    folder = root / recorder.RUNS / "model-cnn" / one.run
    trackers = tracking.Trackers(Run.of(folder), [name])
    for row in curves.rows(folder / recorder.LINES)[known:]:
        if row["event"] != curves.END:
            trackers.take(row)
    trackers.close(recorder.BUILT)
    log = folder / recorder.WARNINGS
    return log.read_text().splitlines() if log.exists() else []


def went_on(root: Path, name: str) -> Recorder:
    """A run that was killed at step 35 and went on from step 30, each part tracked as it came."""
    first = run(root, 0, 35)
    first.end(recorder.STOPPED)
    assert track(root, name, first) == []
    known = len(curves.rows(root / recorder.RUNS / "model-cnn" / first.run / recorder.LINES))
    second = run(root, 30, 100, former=first)
    second.end(recorder.BUILT)
    assert track(root, name, second, known) == []
    return second


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Tag -> steps and values, as TensorBoard reads them."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder))
    read.Reload()
    return {
        tag: [(event.step, event.value) for event in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


def test_tensorboard_has_one_curve_of_a_run_that_went_on(tmp_path: Path) -> None:
    """No step is there twice, and the numbers are those of the training."""
    pytest.importorskip("tensorboard")
    one = went_on(tmp_path, "tensorboard")
    found = events(tmp_path / recorder.RUNS / "model-cnn" / one.run)
    assert [step for step, _ in found["loss"]] == list(range(1, 101))
    assert found["dev/accuracy"] == [(n, pytest.approx(0.5 + n / 300)) for n in range(10, 101, 10)]
    assert {"train/loss", "dev/log_loss", "epoch"} < found.keys()


def test_wandb_has_one_run_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the run's id, so that what went on is the same run once it is uploaded."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    one = went_on(tmp_path, "wandb")
    folder = tmp_path / recorder.RUNS / "model-cnn" / one.run
    assert len(list(folder.glob(f"wandb/offline-run-*/run-model-cnn-{one.run}.wandb"))) == 2


def test_mlflow_has_one_run_in_a_local_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the values of the spec, each metric at its step, and its end."""
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")  # which mlflow-skinny has not
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    went_on(tmp_path, "mlflow")
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/.lmspec/mlflow.db")
    experiment = client.get_experiment_by_name(tmp_path.name)
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.params["model.cnn.on"] == "splits.x"
    history = client.get_metric_history(found.info.run_id, "dev/accuracy")
    assert [row.step for row in history] == list(range(10, 101, 10))


def test_a_tracker_that_fails_leaves_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And gets no more; the supervisor prints it, and the others go on."""
    one = run(tmp_path, 0, 20)
    one.end(recorder.BUILT)
    monkeypatch.setitem(sys.modules, "lmspec.tracking.wandb", None)
    (line,) = track(tmp_path, "wandb", one)
    assert line.startswith("wandb gets nothing more: ")
    one._trackers = subprocess.Popen([sys.executable, "-c", ""])
    one.poll(now=True)
    one.poll(now=True)
    assert capsys.readouterr().err == f"  warning: tracking: {line}\n"
    one._trackers.wait()


def test_the_process_of_the_trackers_follows_a_run_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts with the first line, has the environment of the starter, and ends by itself."""
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("DVC_STAGE", "model-cnn")
    monkeypatch.delenv(recorder.VARIABLE)
    one = run(tmp_path, 0, 20)
    one.poll(now=True)
    assert one.session is not None and os.getsid(one.session) == one.session
    tell(one, 20, 40)
    begin = time.monotonic()
    one.end(recorder.BUILT)
    assert time.monotonic() - begin < 1, "a build waits for no tracker"
    assert one._trackers.wait(SECONDS) == 0
    found = events(tmp_path / recorder.RUNS / "model-cnn" / one.run)
    assert [step for step, _ in found["loss"]] == list(range(1, 41))


def test_the_process_of_the_trackers_ends_with_the_supervisor(tmp_path: Path) -> None:
    """Which can be killed, so that it says no end."""
    one = run(tmp_path, 0, 20)
    one.poll(now=True)
    rows = tracking.followed(
        tmp_path / recorder.RUNS / "model-cnn" / one.run / recorder.LINES, 0, supervisor=-1
    )
    assert len(list(rows)) == 23


@pytest.fixture(scope="module")
def tab() -> Iterator[browser.Browser]:
    with browser.opened() as opened:
        yield opened


@pytest.mark.slow
def test_tensorboard_opens_the_events_in_a_browser(tmp_path: Path, tab: browser.Browser) -> None:
    """The scalars' page draws a chart of each number, of the run of the stage."""
    pytest.importorskip("tensorboard")
    one = went_on(tmp_path, "tensorboard")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / recorder.RUNS)]
    flags = ["--host", "127.0.0.1", "--port", "0", "--load_fast=false"]
    log = tmp_path / "log"
    with log.open("w") as out:
        server = subprocess.Popen([*command, *flags], stdout=out, stderr=out)
    try:
        address = until(lambda: next((w for w in log.read_text().split() if "//127" in w), None))
        name = f"model-cnn/{one.run}"
        tags = until(lambda: ask(f"{address}data/plugin/scalars/tags").get(name))
        assert "dev/accuracy" in tags and "loss" in tags
        tab.do("Page.navigate", url=f"{address}#timeseries")
        until(lambda: "0.8333" in str(tab.run(TEXT)))  # the last value, in the table of a chart
        assert name in str(tab.run(TEXT)) and tab.run(DRAWN) >= 2
    finally:
        server.terminate()
        server.wait(SECONDS)


# its page is made of components with shadow roots
TEXT = """(() => { const text = (node) => [...node.childNodes].map((one) =>
  one.nodeType === 3 ? one.data : text(one) + (one.shadowRoot ? text(one.shadowRoot) : ''))
  .join(' '); return text(document.body); })()"""
DRAWN = "document.querySelectorAll('scalar-card line-chart, scalar-card canvas').length"


def until(look: Any) -> Any:
    """What it finds, once it finds something."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.2)
    raise AssertionError("it never came")


def ask(address: str) -> dict[str, Any]:
    """JSON of a page; empty while the server is not there."""
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            content: dict[str, Any] = json.load(answer)
            return content
    except OSError:
        return {}
