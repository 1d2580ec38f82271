"""`lmspec runs`: what ran here, and what a stage tells is kept for it, outside of its output."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lmspec.cli import main
from lmspec.methods import curves
from lmspec.pipeline import durations, runs
from lmspec.run import declaration, recorder
from lmspec.run.declaration import Declaration
from lmspec.run.recorder import Recorder
from lmspec.specs.names import ArtifactName

NAME = ArtifactName("model", "cnn")
VALUES = {declaration.PARAMS: {"model.cnn": {"on": "splits.x"}, "numerics": {}, "machine": {}}}


def record(root: Path, **machine: Any) -> Recorder:
    """A run of model-cnn whose scratch folder is there."""
    declared = Declaration(NAME, (), (), {})
    (root / declared.scratch).mkdir(parents=True, exist_ok=True)
    params = {**VALUES[declaration.PARAMS], "machine": machine}
    return Recorder(root, declared, {declaration.PARAMS: params}, os.getpid())


def tell(one: Recorder, first: int, last: int, **start: Any) -> None:
    """What a training tells from one step to another; it evaluates after each tenth."""
    file = curves.Writer(str(one.source))
    head: dict[str, Any] = {"curve": "seed-1", "steps": 100, "metric": "dev_accuracy", **start}
    file.write(curves.START, step=first, **head)
    for step in range(first + 1, last + 1):
        file.write(curves.STEP, curve="seed-1", step=step, loss=1 / step)
        if step % 10 == 0:
            dev = {"dev_accuracy": 0.5 + step / 300, "dev_log_loss": 1 / step, "train_loss": 0.5}
            file.write(curves.EVALUATION, curve="seed-1", step=step, epoch=step / 50, **dev)


def note(root: Path, one: Recorder, seconds: float) -> None:
    """As the supervisor does after a success."""
    row: dict[str, Any] = {
        "seconds": seconds,
        "machine": "here",
        "peak_mib": 321.5,
        "ended": time.time(),
    }
    row["resumed"] = one.resumed_at is not None
    with (root / recorder.RUNS / "model-cnn.jsonl").open("a") as stream:
        stream.write(json.dumps(row | one.noted()) + "\n")


def shown(root: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.chdir(root)
    result = CliRunner().invoke(main.main, ["runs", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_a_training_tells_is_kept_with_its_run(tmp_path: Path) -> None:
    """Whole lines only, as they come; the file is in the scratch folder, which goes."""
    one = record(tmp_path)
    tell(one, 0, 20)
    with one.source.open("a") as stream:
        stream.write('{"event": "step", "time": 1, "curve": "seed-1", "st')
    one.poll(now=True)
    (before,) = runs.of(tmp_path, "model-cnn")
    assert [row["step"] for row in before.evaluations] == [10, 20]
    with one.source.open("a") as stream:
        stream.write('ep": 21, "loss": 0.25}\n')
    one.end(recorder.FAILED)
    (after,) = runs.of(tmp_path, "model-cnn")
    assert after.curves["seed-1"][-1] | {"time": 0} == {
        "event": "step",
        "time": 0,
        "curve": "seed-1",
        "step": 21,
        "loss": 0.25,
    }
    assert after.status == "failed" and after.progress == (21, 100)


def test_a_stage_that_tells_nothing_leaves_nothing(tmp_path: Path) -> None:
    """Most train nothing: no folder, and no process."""
    one = record(tmp_path)
    one.poll(now=True)
    one.end(recorder.BUILT)
    assert not (tmp_path / recorder.RUNS).exists()
    assert one.noted() == {} and one.session is None


def test_a_run_that_goes_on_has_one_curve(tmp_path: Path) -> None:
    """From its first step to its last, none twice; its time counts in no estimate."""
    first = record(tmp_path)
    tell(first, 0, 35)
    first.poll(now=True)  # killed here: it says no end
    (killed,) = runs.of(tmp_path, "model-cnn")
    assert killed.status == runs.KILLED
    second = record(tmp_path)
    second.source = second.source.with_name("second.jsonl")
    tell(second, 30, 100, continues=first.run)
    second.end(recorder.BUILT)
    note(tmp_path, second, 7.0)
    (run,) = runs.of(tmp_path, "model-cnn")
    steps = [row["step"] for row in run.curves["seed-1"] if row["event"] == curves.STEP]
    assert steps == list(range(1, 101))
    assert run.status == "built" and run.resumed_at == 30
    assert durations.expected(tmp_path, "model-cnn") is None


def test_a_run_whose_beginning_is_gone_is_a_new_one(tmp_path: Path) -> None:
    """Such as one whose folder was deleted."""
    one = record(tmp_path)
    tell(one, 30, 40, continues="20200101T000000-7")
    one.end(recorder.BUILT)
    (run,) = runs.of(tmp_path, "model-cnn")
    assert run.folder and run.folder.name == one.run and run.resumed_at == 30


def test_runs_are_listed_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With duration, peak, steps, best and course; one of each stage unless more are asked for."""
    folder = tmp_path / recorder.RUNS
    folder.mkdir(parents=True)
    old = {"seconds": 3.25, "machine": "here"}  # as earlier versions wrote it
    (folder / "splits-x.jsonl").write_text(json.dumps(old) + "\n{cut off")
    for number in (1, 2):
        one = record(tmp_path)
        one.run = f"2026010{number}T000000-1"
        tell(one, 0, 100)
        one.end(recorder.BUILT)
        note(tmp_path, one, 60.0 + number)
        one.source.unlink()
    _, *lines = shown(tmp_path, monkeypatch).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["model-cnn", "splits-x"]
    assert "62.0 s" in lines[1] and "322 MiB" in lines[1] and "100/100" in lines[1]
    assert "dev accuracy 0.8333" in lines[1] and "▁▁▂▃▄▅▆▇██"[-1] in lines[1]
    assert "3.2 s" in lines[2] and "course: " in lines[3]
    every = json.loads(shown(tmp_path, monkeypatch, "--last", "5", "--format", "json"))
    assert [(run["stage"], run["seconds"]) for run in every] == [
        ("model-cnn", 62.0),
        ("model-cnn", 61.0),
        ("splits-x", 3.25),
    ]
    assert every[0]["curves"]["seed-1"][-1]["dev_accuracy"] == pytest.approx(0.8333, abs=1e-3)


def test_nothing_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and what to do."""
    assert "dvc repro" in shown(tmp_path, monkeypatch)
    assert json.loads(shown(tmp_path, monkeypatch, "--format", "json")) == []


def test_a_run_is_running_while_its_stage_is_locked(tmp_path: Path) -> None:
    """And killed when it is not, and its end is not known."""
    import fcntl

    one = record(tmp_path)
    tell(one, 0, 20)
    one.poll(now=True)
    path = tmp_path / declaration.OURS / "lock" / "model-cnn"
    path.parent.mkdir(parents=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (run,) = runs.of(tmp_path, "model-cnn")
        assert run.status == runs.RUNNING
    (run,) = runs.of(tmp_path, "model-cnn")
    assert run.status == runs.KILLED


def test_a_tracker_that_is_missing_costs_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asked for and not installed: how to get it. Not asked for: nothing."""
    monkeypatch.setenv("DVC_STAGE", "model-cnn")
    monkeypatch.delenv(recorder.VARIABLE, raising=False)
    monkeypatch.setattr("lmspec.run.installed.version", lambda name: None)
    asked, default = record(tmp_path, tracking=["wandb"]), record(tmp_path)
    for one in (asked, default):
        tell(one, 0, 20)
        one.end(recorder.BUILT)
        assert one.session is None
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("wandb is not installed, so it gets nothing -> pip install wandb")


def test_trackers_are_no_part_of_the_build() -> None:
    """What a build leaves running is found and killed; the trackers' session is not.

    In a process of its own: all other children of this one, whichever test started them, would be
    found and killed too.
    """
    code = """
        import subprocess, sys
        from lmspec.run import lifetime

        asleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        with (
            subprocess.Popen(asleep, start_new_session=True) as tracker,
            subprocess.Popen(asleep, start_new_session=True) as left,
        ):
            try:
                assert len(lifetime.left_running(tracker.pid)) == 1
                lifetime.end_children(tracker.pid)
                assert tracker.poll() is None
                assert lifetime.left_running(tracker.pid) == []
            finally:
                tracker.kill()
                left.kill()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
