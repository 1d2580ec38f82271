"""What a training tells: one line that is right on a terminal and in a log, and a file of it."""

import io
import json
import os
import pty
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lmspec.errors import LmspecError
from lmspec.methods import curves
from lmspec.methods.resume import Resume
from lmspec.training import progress
from lmspec.training.progress import Progress
from tests.test_resume import Kill, train
from tests.test_training import recipe

SPEC = recipe(early_stopping={"metric": "accuracy", "evaluation_steps": 4, "patience": 9})
RUN = "20260101T000000-1"


class Terminal(io.TextIOBase):
    """Standard error that is a terminal of so many columns; `screen` is what a person sees."""

    def __init__(self, columns: int) -> None:
        self.columns, self.text = columns, ""

    def isatty(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Keep it."""
        self.text += text
        return len(text)

    def screen(self) -> list[str]:
        """Lines, as far as they were not written over."""
        rows: list[list[str]] = [[]]
        place = 0
        for sign in self.text:
            if sign == "\n":
                rows.append([])
            place = 0 if sign in "\r\n" else place + 1
            if sign not in "\r\n":
                assert place <= self.columns, "the line wraps, so it cannot be rewritten"
                rows[-1][place - 1 : place] = [sign]
        return ["".join(row).rstrip() for row in rows]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds, which a test moves on."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    yield now


def steps(clock: list[float], count: int, seconds: float, total: int = 100) -> Progress:
    """Steps of the same length, with an evaluation at the half of them."""
    shown = Progress(total, SPEC, "seed-5")
    shown.start(0)
    for step in range(1, count + 1):
        clock[0] += seconds
        shown.show(step, 1 / step)
        if step == count // 2:
            shown.evaluated(step, {"step": step, "dev_accuracy": 0.8125, "train_loss": 0.5})
    return shown


def test_a_log_has_a_plain_line_every_few_seconds(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    """Loss, dev metric, speed, remaining time; no control characters; a line in the end."""
    with steps(clock, 100, 0.5) as shown:
        shown.step = 100
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "  step 20/100  loss 0.0500  32 texts/s  40 s left"
    assert lines[2] == "  step 60/100  loss 0.0167  dev accuracy 0.8125  32 texts/s  20 s left"
    assert lines[-1] == "  step 100/100  loss 0.0100  dev accuracy 0.8125  32 texts/s  in 50 s"
    assert len(lines) == 6


@pytest.mark.parametrize("columns", [200, 50])
def test_a_terminal_has_one_line_that_is_rewritten(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """However narrow it is; what else is printed gets a line of its own."""
    terminal = Terminal(columns)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "columns", lambda: columns - 1)
    with steps(clock, 30, 0.5) as shown:
        progress.say("no checkpoint: the disk is full")
        clock[0] += 0.5
        shown.show(31, 0.25)
        assert len(terminal.screen()) == 2, "a notice, and below it the line"
    before, last, empty = terminal.screen()
    assert before == "  no checkpoint: the disk is full"
    assert last.startswith("  step 31/100  loss 0.2500  dev accuracy 0.8125"[: columns - 1])
    assert empty == ""
    assert terminal.text.count("\r") > 25


def test_an_error_does_not_follow_on_the_line(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that fails leaves the cursor at the start of a line."""
    terminal = Terminal(100)
    monkeypatch.setattr(sys, "stderr", terminal)
    with pytest.raises(LmspecError), steps(clock, 5, 0.5):
        raise LmspecError("training", "the loss is nan", "lower it")
    assert terminal.text.endswith("\n")


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of standard error, whatever standard output is."""
    import fcntl
    import struct
    import termios

    _, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 63, 0, 0))
    with os.fdopen(end, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        assert progress.columns() == 62


def test_the_speed_is_the_present_one(clock: list[float]) -> None:
    """A first epoch that was ten times slower is no part of the remaining time."""
    shown = steps(clock, 20, 10.0, total=1000)
    for step in range(21, 100):
        clock[0] += 1.0
        shown.show(step, 0.1)
    assert shown._speed() == pytest.approx(16, rel=0.05)


def test_a_loss_is_read_only_when_it_is_shown(clock: list[float]) -> None:
    """On a GPU reading it waits for the step."""

    class Loss:
        def __float__(self) -> float:
            raise AssertionError("read")

    shown = Progress(100, SPEC, "seed-5")
    shown.start(0)
    for step in range(1, 10):
        shown.show(step, Loss())
    clock[0] += progress.FILE_SECONDS
    shown.show(10, torch.tensor(0.5))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / f"{RUN}.jsonl"
    monkeypatch.setenv(curves.VARIABLE, str(path))
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)
    return path


def test_a_training_writes_its_curve(file: Path) -> None:
    """Each evaluation as the report has it, each step, and how many there are."""
    _, fitted = train("cnn", SPEC, None)
    first, *rest = curves.rows(file)
    assert first["event"] == curves.START and first["steps"] == fitted.steps
    assert first["metric"] == "dev_accuracy"
    ((name, curve),) = curves.curves(rest).items()
    assert name == "seed-5"
    evaluations = [row for row in curve if row["event"] == curves.EVALUATION]
    assert [{k: row[k] for k in fitted.curve[0]} for row in evaluations] == fitted.curve
    losses = [row["loss"] for row in curve if row["event"] == curves.STEP]
    assert len(losses) == fitted.steps
    assert fitted.curve[0]["train_loss"] == pytest.approx(sum(losses[:4]) / 4)


def test_a_training_that_goes_on_continues_its_curve(file: Path, tmp_path: Path) -> None:
    """The new run says which one has the beginning, also after a second kill; no step is twice."""
    place = Resume(tmp_path / "place", lambda: True)
    _, whole = train("cnn", SPEC, None)
    plain = curves.curves(curves.rows(file))
    file.unlink()
    lines = b""
    for number, last in ((1, 6), (2, 7), (3, 1000)):
        path = file.with_name(f"run-{number}.jsonl")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(curves.VARIABLE, str(path))
            patch.setattr("lmspec.training.checkpoints.EVERY_SECONDS", 0.0)
            patch.setattr("lmspec.training.checkpoints.SHARE", 1e9)

            def at(where: str, count: int, last: int = last) -> None:
                if where == "step" and count == last:
                    raise Kill

            if number < 3:
                with pytest.raises(Kill):
                    train("cnn", SPEC, place, at)
            else:
                train("cnn", SPEC, place, at)
        start = curves.rows(path)[0]
        assert start.get("continues") == (None if number == 1 else "run-1")
        lines += path.read_bytes()
    together = curves.curves(row for row in map(curves.parsed, lines.splitlines()) if row)
    kept = ("event", "step", "loss", "dev_accuracy", "train_loss")
    shown = [
        [{k: row[k] for k in kept if k in row} for row in every["seed-5"]]
        for every in (plain, together)
    ]
    assert shown[0] == shown[1]
    assert len(whole.curve) == len([row for row in shown[1] if row["event"] == curves.EVALUATION])


def test_a_disk_that_is_full_ends_no_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor does a folder that is gone."""
    monkeypatch.setenv(curves.VARIABLE, str(tmp_path / "gone" / "progress.jsonl"))
    monkeypatch.setattr(progress, "FILE_SECONDS", 0.0)
    train("cnn", SPEC, None)


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"event": "start"}',
        '{"event": "other", "time": 1}',
        '{"event": "step", "time": "now"}',
        "[" * 3000,
        json.dumps({"event": "step", "time": 1, "text": "x" * 5000}),
        json.dumps({"event": "step", "time": 1} | {f"v{i}": i for i in range(100)}),
    ],
)
def test_what_is_no_line_is_not_taken(line: str) -> None:
    """A stage may write there what it likes."""
    assert curves.parsed(line) is None


def test_only_numbers_and_names_are_taken_of_a_line() -> None:
    """Nothing of it can act on a terminal, be a path, or break a chart."""
    values = {"step": 3, "loss": float("nan"), "curve": "a\x1b[2J", "continues": "../..", "x/y": 1}
    row = curves.parsed(json.dumps({"event": "step", "time": 1.5, "nested": {}, **values}))
    assert row == {"event": "step", "time": 1.5, "step": 3}
    assert not re.search(r"[/\\]", "".join(map(str, row.values())))
