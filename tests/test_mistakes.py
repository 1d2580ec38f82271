"""How commands that compare end: 0, 1 if a gate fails, 2 for every mistake; and no text in what
they say does anything."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lmspec.cli import mistakes
from lmspec.errors import LmspecError
from lmspec.reports import publishing, words
from tests import reports
from tests.history import TIMES, Project, make

LEVEL = "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}"
SIGNED = "waiver: {reason: not this week please, signed_off_by: Ann, until: '2999-01-01'}"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A built one with a gate that it passes, not committed."""
    made = make(tmp_path / "project")
    made.gate("level", LEVEL)
    return made


def test_error_output_cannot_control_a_terminal_or_ci(capsys: pytest.CaptureFixture[str]) -> None:
    """An error keeps its lines; controls, surrogates and commands to a runner are shown, and
    nothing more."""
    for text in reports.HOSTILE:
        mistakes.tell(LmspecError(text, f"{text}\n::error::x\n##[error]y", text))
    output = capsys.readouterr().err
    assert not words.UNPRINTABLE.search(output) and output.encode() and "##[" not in output
    assert not [line for line in output.splitlines() if line.lstrip().startswith("::")]
    assert (
        output.splitlines()[0] == "lmspec: | a | b |: | a | b |"
        and output.splitlines()[3] == "  -> | a | b |"
    )


@pytest.mark.parametrize("error", [LmspecError("a", "b", "c"), OSError(2, "gone", "x")])
def test_a_mistake_has_the_exit_code_of_its_command(error: Exception) -> None:
    """What ends a command by itself keeps its own."""

    @click.command()
    @mistakes.exit_with(2)
    def fails() -> None:
        """A command."""
        raise error

    @click.command()
    @mistakes.exit_with(2)
    def ends() -> None:
        """A command."""
        raise SystemExit(1)

    assert [CliRunner().invoke(each).exit_code for each in (fails, ends)] == [2, 1]


def test_a_report_that_cannot_be_written_is_no_gate_that_fails(project: Project) -> None:
    """It says what to do."""
    for arguments in (("--output", "none/x.html"), ("--write", "params.yaml/x")):
        found = project.run("diff", *arguments)
        assert (
            found.exit_code == 2 and "it cannot be written" in found.stderr and "->" in found.stderr
        )
    assert project.run("diff", "--output", "x.txt").exit_code == 0
    found = project.run("log", "reviews.accuracy", "--output", "none/x.txt")
    assert found.exit_code == 2 and "it cannot be written" in found.stderr


def test_one_is_for_gates_alone(project: Project) -> None:
    """A params.yaml that is not valid, and one without gates, are 2 as elsewhere."""
    assert project.run("gate").exit_code == 0
    project.edit("params.yaml", "at_least: 0.8}", "at_least: 0.99}")
    assert project.run("gate").exit_code == project.run("diff").exit_code == 1
    project.edit("params.yaml", "at_least: 0.99}", "at_most: 0.99}")
    assert project.run("gate").exit_code == project.run("diff").exit_code == 2
    project.edit("params.yaml", f"  level: {LEVEL.replace('at_least: 0.8', 'at_most: 0.99')}\n", "")
    assert project.run("gate").exit_code == 2
    assert project.run("bisect", "level").exit_code == project.run("log", "no.such").exit_code == 2


def test_gate_says_what_it_compared_and_aligns_every_verdict(project: Project) -> None:
    """The sides first; notes on standard error; what passes by a waiver is counted apart."""
    project.gate(
        "fast",
        "{kind: ratio, metric: speed.cnn.of.latency_ms.p50, against: baseline, "
        "tolerance: 0.1, confidence: 0.95}",
    )
    project.gate("signed", LEVEL.replace("0.8", f"0.99, {SIGNED}"))
    commit = project.commit("gates")
    project.speed([(2 * one, other) for one, other in TIMES], rival="another model")
    found = project.run("gate")
    assert (
        found.stdout.splitlines()[:2] == [f"HEAD ({commit[:12]}) -> worktree", ""]
        and found.exit_code == 1
    )
    assert "note: speed.cnn is out of date in worktree: " in found.stderr
    project.lock()
    rows = project.run("gate").stdout.splitlines()
    assert rows[-1] == "2 of 3 gates pass, 1 of them by a waiver"
    columns = [
        row.index(found)
        for row in rows
        for found in ("reviews.accuracy is", "of.latency_ms.p50: ")
        if found in row
    ]
    assert (
        len(columns) == 3
        and len(set(columns)) == 1
        and "fast    not comparable  of." in "\n".join(rows)
    )


def test_before_the_first_commit_the_working_tree_is_compared_with_itself(project: Project) -> None:
    """The report says so, and gives the verdict."""
    project.gate(
        "kept",
        "{kind: non_inferiority, metric: scores.cnn.reviews.accuracy, against: baseline, "
        "margin: 0.05, "
        "confidence: 0.95}",
    )
    project.lock()
    project.remove(".git")
    project.git("init", "-q", "-b", "main")
    found = project.run("gate")
    assert "there is no commit yet: the working tree is its own baseline" in found.stderr
    assert found.stdout.startswith("worktree -> worktree\n") and "2 of 2 gates pass" in found.stdout


def test_an_invalid_gate_of_a_commit_is_reported_at_its_place(project: Project) -> None:
    """By the names of params.yaml alone."""
    signed = SIGNED.replace("2999-01-01", "2026-02-30")
    project.edit("params.yaml", LEVEL, LEVEL.replace("0.8", f"0.8, {signed}"))
    project.commit()
    found = project.run("gate", "HEAD", "HEAD")
    assert found.exit_code == 2
    assert "HEAD:params.yaml: gates.level.waiver: there is no day 2026-02-30\n" in found.stderr


def test_the_text_of_a_gate_is_text(project: Project) -> None:
    """Its exception's reason and a label's name, which anybody may write, are on one line and
    without effect."""
    project.gate(
        "signed",
        LEVEL.replace(
            "0.8", '0.99, waiver: {reason: "a\\n::error::b \\e[31m", signed_off_by: "##[x]"}'
        ),
    )
    project.edit(
        "params.yaml", 'signed_off_by: "##[x]"}', "signed_off_by: '##[x]', until: '2999-01-01'}"
    )
    output = project.run("gate", "HEAD", "worktree").stdout
    assert (
        "(signed off by ## [x] until" in output
        and "\x1b" not in output
        and "\n::" not in output
        and "a ::error::b" in output
    )


def test_a_gate_that_fails_is_annotated_at_its_line(project: Project) -> None:
    """At its line of params.yaml, of either kind of split; one that passes has its line in JSON."""
    project.gate("high", LEVEL.replace("0.8", "0.99"))
    place = (
        project.text("params.yaml").splitlines().index(f"  high: {LEVEL.replace('0.8', '0.99')}")
        + 1
    )
    wanted = f"::error file=params.yaml,line={place},title=gate high%3A fail::"
    assert wanted in project.run("diff", "--format", "github").stdout
    project.commit("gates")
    project.edit("params.yaml", "# A project", "\n# A project")
    assert wanted in project.run("diff", "HEAD~1", "HEAD", "--format", "github").stdout
    project.run("diff", "--write", "reports")
    assert f"line={place + 1}," in project.text("reports/annotations.txt")
    level = next(
        gate for gate in publishing.gates(project.root / "reports") if gate.gate == "level"
    )
    assert level.line == place and level.passed


def test_a_gate_of_a_part_of_a_repository_is_annotated_by_the_path_from_its_top(
    tmp_path: Path,
) -> None:
    """GitHub looks for files from there."""
    project = make(tmp_path / "part" / "of it", tmp_path)
    project.gate("high", LEVEL.replace("0.8", "0.99"))
    assert (
        "::error file=part/of it/params.yaml,line="
        in project.run("diff", "--format", "github").stdout
    )
