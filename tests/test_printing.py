"""Nothing that a command prints acts: not on a terminal, nor on a CI runner, nor in a comment."""

import ast
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lmspec.errors import COMMANDS, UNPRINTABLE, LmspecError, harmless
from lmspec.pipeline import subprocesses
from lmspec.pipeline.plan import RUN, Step
from lmspec.pipeline.repro import Line
from lmspec.reports import github, plans, printing, progress
from tests import reports
from tests.history import Project, make

ROOT = Path(__file__).parents[1]
PRINTING = Path("lmspec/reports/printing.py")
# which print what they were given, and why that is right
OTHERS = {
    "lmspec/formats/predict_forms.py": "in a bundle: its output is data, its input a user's own",
    "lmspec/formats/predict_writing.py": "the same",
    "lmspec/architectures/embedding.py": "numbers",
    "lmspec/architectures/hybrid.py": "a number",
    "lmspec/architectures/linear.py": "a constant",
    "lmspec/methods/logistic.py": "numbers and names of metrics",
    "lmspec/training/progress.py": "numbers and names of metrics, none of a user's",
    "lmspec/training/seeds.py": "numbers",
    "lmspec/run/interpreter.py": "a constant",
}
HOSTILE = [
    *("\x1b]0;title\x07", "\x1b[2J\x1b[H", "\x9b2J", "\x1b[8mhidden", "back\x08\x08", "up\rdown"),
    *("::error::planted", "  ::set-output name=a::b", "##[error]x", "##vso[task.complete]x"),
    *("##teamcity[x]", "\u202egnp.exe", "\udc80", "two\nlines\n::add-mask::x", "\u2028::error::x"),
]


def acts(text: str) -> bool:
    """Would a terminal or a runner do something?"""
    return bool(UNPRINTABLE.search(text) or COMMANDS.search(text))


class Terminal(io.StringIO):
    """A person reads it."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        """As `sys.stdout` answers on a terminal."""
        return True


def printers(source: str) -> list[int]:
    """Lines of calls that print something without `harmless`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        prints = name in ("print", "click.echo", "click.secho") or (
            name.endswith(("stdout.write", "stderr.write", ".print"))
        )
        plain = all(isinstance(argument, ast.Constant) for argument in node.args)
        safe = bool(node.args) and ast.unparse(node.args[0]).startswith("harmless(")
        if prints and not plain and not safe:
            found.append(node.lineno)
    return found


def test_everything_is_printed_by_one_module() -> None:
    """Of lmspec and its stages, except for what is listed."""
    files = [path for package in ("lmspec", "stages") for path in (ROOT / package).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files if printers(path.read_text())}
    assert found - {PRINTING.as_posix()} <= OTHERS.keys()
    assert PRINTING.as_posix() in found


@pytest.mark.parametrize(
    "source",
    ["print(x)", "click.echo(f'{x}')", "sys.stderr.write(x)", "Console().print(x)", "print(a, b)"],
)
def test_another_printer_is_found(source: str) -> None:
    """The control; `harmless` and constants are no others."""
    assert printers(source) == [1]
    assert printers("print(harmless(x))\nprint('x', file=sys.stderr)\nprinting.text(x)") == []


@pytest.mark.parametrize("text", [*HOSTILE, *reports.HOSTILE])
@pytest.mark.parametrize("styled", [False, True])
def test_a_text_does_nothing(
    text: str, styled: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a pipe and on a terminal; without the printer, the control, it would."""
    assert acts(text) or text in reports.HOSTILE
    printing.text(f"a {text}\n{text}", styled=styled)
    assert not acts(capsys.readouterr().out)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    printing.text(f"\x1b[31m{text}\x1b[0m" if styled else text, styled=styled)
    shown = screen.getvalue()
    assert ("\x1b[31m" in shown) is styled and not acts(printing.STYLE.sub("", shown))


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb"), ("", "")])
def test_colours_are_for_terminals_that_want_them(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours, and no others; NO_COLOR and a dumb terminal have none."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if variable:
        monkeypatch.setenv(variable, value)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    printing.text("\x1b[31mred\x1b[0m", styled=True)
    assert ("\x1b" in screen.getvalue()) is not variable


@pytest.mark.parametrize("text", HOSTILE)
def test_json_says_the_same_and_does_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where it was not written in ASCII."""
    for ascii_only in (True, False):
        printing.data(json.dumps({"a": text}, indent=2, ensure_ascii=ascii_only))
        shown = capsys.readouterr().out
        assert not acts(shown) and json.loads(shown) == {"a": text}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_stream_of_any_encoding_takes_any_text(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With references for what it lacks, not a traceback."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    printing.text("a → b \udc80")
    sys.stdout.flush()
    assert raw.getvalue().decode(encoding).startswith("a ")


@pytest.mark.parametrize("text", ["@team", "![x](http://a.example/b.png)", "<img src=x>", "a|b"])
def test_a_plan_in_markdown_mentions_and_loads_nothing(text: str) -> None:
    """Values of parameters are reasons; as text they are one line each."""
    step = Step("model-a", RUN, (f"params.yaml: a: {text} -> {text}\n::error::x",), None)
    shown = plans.as_markdown([step])
    for active in ("@team", "![", "](http", "<img", "a|b"):
        assert active not in shown
    assert text.split("\n")[0] in plans.as_text([step])
    assert not acts(plans.as_text([step]))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_of_a_stage_does_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In `lmspec build`, and in the DVC of `lmspec ci`."""
    lines = progress.Progress(["model-a"], {})
    printing.text(lines.line(Line("model-a", text)), styled=True)
    assert not acts(capsys.readouterr().out)


def test_what_dvc_prints_in_ci_goes_through_the_printer(tmp_path: Path) -> None:
    """Line by line, standard error as well; without it, the control, it reaches the log."""
    (tmp_path / "planted.py").write_text(
        "import sys\nprint('::error::a')\nprint('##vso[x]', file=sys.stderr)\nsys.exit(3)\n"
    )
    program = (
        "import sys; from lmspec.pipeline import subprocesses; from lmspec.reports import printing;"
        "print(subprocesses.run_module('planted', show=printing.text if sys.argv[1:] else None))"
    )
    for arguments in ([], ["show"]):
        run = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            env=subprocesses.environment() | {"PYTHONPATH": f"{tmp_path}:{ROOT}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.endswith("3\n")
        assert acts(run.stdout + run.stderr) is not bool(arguments)


def test_an_annotation_holds_no_second_command() -> None:
    """Those of Azure as well as GitHub's."""
    shown = github.workflow_command("error", "a\n::error::b ##vso[x] ##[y]", title="##vso[z]")
    assert shown.startswith("::error ") and shown.count("\n") == 0
    assert not acts(shown.removeprefix("::"))


def test_an_error_of_a_stage_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And keeps its lines."""
    error = LmspecError("corpus.a", "label '\x1b[2J' is not listed", "##[x]")
    assert harmless(error).count("\n") == 1 and not acts(harmless(error))
    made: Project = make(tmp_path / "project")
    made.gate("x", "{kind: floor, metric: '\\x1b[2J##vso[x]', at_least: 0.8}")
    for command in ("validate", "gate", "diff", "explain gates.x"):
        found = made.run(*command.split())
        assert not acts(found.output), command


@pytest.mark.parametrize(
    "command", ["diff HEAD HEAD --all", "schema", "log scores.cnn.reviews.accuracy"]
)
def test_a_reader_that_leaves_ends_a_command_quietly(tmp_path: Path, command: str) -> None:
    """As with `| head -1`: no traceback."""
    made = make(tmp_path / "project")
    run = f'"{sys.executable}" -m lmspec {command} | head -c 1 > /dev/null'
    found = subprocess.run(
        ["bash", "-c", run],
        cwd=made.root,
        env=subprocesses.environment() | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert found.stderr == ""


def test_a_page_is_printed_as_it_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No line of a template looks like a command, so its script keeps the hash of its policy; a
    value that does gets a reference."""
    for template in (ROOT / "lmspec/reports/templates").iterdir():
        assert not COMMANDS.search(template.read_text(encoding="utf-8")), template.name
    made = make(tmp_path / "project")
    made.run("diff", "HEAD", "--format", "html", "--output", "page.html")
    printed = made.run("diff", "HEAD", "--format", "html").output
    assert printed.rstrip() == made.text("page.html").rstrip()
    printing.data("<p>\n::error::a ##vso[b]</p>", "xml")
    shown = capsys.readouterr().out
    assert not acts(shown) and shown.startswith("<p>\n&#58;:error::a #&#35;vso[b]")
