"""How long a stage will take, from how long it took."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmspec.cli import plan as command
from lmspec.pipeline import durations, plan
from lmspec.reports import plans
from lmspec.run import interpreter


def record(root: Path, stage: str, *rows: object) -> None:
    """One line each: a mapping as JSON, a text as it is."""
    folder = root / durations.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / f"{stage}.jsonl").write_text("\n".join(lines) + "\n")


def run(seconds: float, machine: str | None = None) -> dict[str, object]:
    return {"seconds": seconds, "machine": machine or interpreter.machine(), "peak_mib": 100.0}


def test_the_median_of_the_last_five_runs_here_counts(tmp_path: Path) -> None:
    """Older ones and those of other machines do not, however many they are."""
    record(
        tmp_path,
        "model-a",
        run(900),
        run(1),
        run(2),
        run(3),
        run(4),
        run(50),
        *[run(7, "a GPU, 96 cores")] * 9,
    )
    assert durations.expected(tmp_path, "model-a") == durations.Expected(
        3, interpreter.machine(), here=True
    )


def test_another_machine_counts_where_this_one_has_no_run(tmp_path: Path) -> None:
    """The machine of the newest run, and it alone."""
    record(
        tmp_path,
        "model-a",
        run(5, "old, 2 cores"),
        run(60, "new, 8 cores"),
        run(80, "new, 8 cores"),
    )
    assert durations.expected(tmp_path, "model-a") == durations.Expected(
        70, "new, 8 cores", here=False
    )
    assert durations.expected(tmp_path, "model-b") is None


@pytest.mark.parametrize(
    "line",
    ['{"seconds": 1', "", "null", "[]", "7", '{"seconds": 1}', '{"machine": "a", "seconds": "x"}'],
)
def test_a_line_that_is_none_counts_nothing(tmp_path: Path, line: str) -> None:
    """A crash may leave half a line, and a later version may write other keys."""
    record(tmp_path, "model-a", line)
    assert durations.expected(tmp_path, "model-a") is None
    record(tmp_path, "model-a", line, {**run(8), "more": "of it"}, line)
    assert durations.expected(tmp_path, "model-a") == durations.Expected(
        8, interpreter.machine(), here=True
    )


def test_a_machine_has_a_name_and_a_number_of_cores() -> None:
    """Two calls say the same."""
    assert interpreter.machine().endswith(" cores")
    assert not interpreter.machine().startswith((",", " "))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than 1 s"),
        (1, "about 1 s"),
        (99, "about 99 s"),
        (99.9, "about 100 s"),
        (130, "about 2 min"),
        (5940, "about 99 min"),
        (9000, "about 2.5 h"),
        (90000, "about 25.0 h"),
    ],
)
def test_a_duration_has_the_digits_of_a_guess(seconds: float, text: str) -> None:
    """Whole seconds, then whole minutes, then tenths of hours."""
    assert durations.about(seconds) == text


def steps(**expected: durations.Expected | None) -> list[plan.Step]:
    """A step for each verdict, timed as given."""
    return [
        plan.Step("model-a", plan.RUN, ("seed: 1 -> 2",), expected.get("a")),
        plan.Step("scores-a", plan.MAY, ("only if model-a's output changes",), expected.get("b")),
        plan.Step("model-c", plan.RESTORE, ("x | y",)),
        plan.Step("model-d", plan.HIT, ()),
    ]


def test_a_plan_says_how_long_it_takes_where_it_is_known() -> None:
    """Per stage, and in all: what will run, and the most that may. Another machine is named."""
    here, there = durations.Expected(120, "a", True), durations.Expected(60, "GPU, 8 cores", False)
    text = plans.as_text(steps(a=here, b=there))
    assert text == (
        "model-a   run      seed: 1 -> 2\n"
        "                   about 2 min\n"
        "scores-a  may run  only if model-a's output changes\n"
        "                   about 60 s on GPU, 8 cores\n"
        "model-c   restore  x | y\n"
        "model-d   hit\n"
        "\n"
        "1 will run, 1 may run, 1 restored from the cache, 1 are up to date\n"
        "about 2 min for what will run, at most about 3 min with what may run\n"
        f"{plans.OTHER_PROCESSOR}"
    )
    assert plans.as_text(steps(a=here)).endswith("\nabout 2 min, and 1 not timed yet")
    assert plans.as_text(steps(b=there)).endswith(
        f"\nat most about 60 s with what may run, and 1 not timed yet\n{plans.OTHER_PROCESSOR}"
    )
    assert plans.as_text(steps()).endswith("1 are up to date") and "about" not in plans.as_text(
        steps()
    )


def test_a_plan_for_a_pull_request_or_a_program_has_it_too() -> None:
    """Markdown omits what is up to date and escapes markup; JSON has every stage and number."""
    here = durations.Expected(120, "a", True)
    rows = plans.as_markdown(steps(a=here)).splitlines()
    assert rows[0].startswith("**1 will run") and rows[0].endswith(
        "about 2 min, and 1 not timed yet**"
    )
    assert (
        "| model-a | run | seed: 1 -&#62; 2 | about 2 min |" in rows
        and "| model-c | restore | x &#124; y |  |" in rows
    )
    assert not any("model-d" in row for row in rows)
    first, *_, last = json.loads(plans.as_json(steps(a=here)))
    assert (
        first["expected"] == {"seconds": 120, "machine": "a", "here": True}
        and last["expected"] is None
    )


@pytest.mark.parametrize(
    ("verdict", "code"), [("hit", 0), ("restore", 0), ("run", 2), ("may run", 2)]
)
def test_a_restore_costs_nothing_and_so_does_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, verdict: str, code: int
) -> None:
    """`--exit-code` is for what will cost something."""
    project = type("Project", (), {"artifacts": staticmethod(list)})
    monkeypatch.setattr(command.loading, "compiled_project", lambda: project)
    monkeypatch.setattr(command.plan, "plan", lambda *_: [plan.Step("model-a", verdict, ())])
    assert CliRunner().invoke(command.command, ["--exit-code"]).exit_code == code
    assert CliRunner().invoke(command.command, []).exit_code == 0
