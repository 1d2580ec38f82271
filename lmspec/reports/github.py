"""github: what fails as annotations of a pull request. Source: GitHub, "Workflow commands for GitHub Actions"."""

from collections.abc import Iterator, Sequence
from typing import Literal

from lmspec.compare.report import Report
from lmspec.reports import words

Level = Literal["error", "warning", "notice"]
Said = tuple[str, str, int | None]  # title, message, line of params.yaml
PARAMS = "params.yaml"
MOST = 10  # errors, and as many warnings, that GitHub shows of one step
LONGEST = 1000  # characters of a message


def annotations(report: Report, folder: str = "") -> str:
    """One line each: the report in one line, then errors, then warnings; the tenth says how many more there are.

    folder  the project's path from the top of its repository, where GitHub looks for files; it ends in a slash
    """
    file = words.printable(folder) + PARAMS
    lines = [
        _command("notice", "lmspec diff", f"{words.revisions(report)}: {words.headline(report)}")
    ]
    for level in ("error", "warning"):
        found = [
            (title, message, line)
            for its_level, title, message, line in _found(report)
            if its_level == level
        ]
        lines += [
            _command(level, title, message, file, line)
            for title, message, line in _first(found, report)
        ]
    return "\n".join(lines) + "\n"


def _found(report: Report) -> Iterator[tuple[Level, str, str, int | None]]:
    """What blocks is an error, at its line of params.yaml. What passes, and not by its numbers, is a warning."""
    for gate in report.gates:
        if not gate.passed or gate.verdict != "pass":
            title = f"gate {gate.gate}: {words.gate_verdict(gate)}"
            yield "warning" if gate.passed else "error", title, words.findings(gate), gate.line
    for what, why in report.lost:
        yield "error", what, why, None


def _first(found: Sequence[Said], report: Report) -> Iterator[Said]:
    yield from found[: MOST - 1]
    rest = found[MOST - 1 :]
    if rest:
        title, message, line = rest[0]
        more = f"\nand {len(rest) - 1} more: {words.command(report)}" if len(rest) > 1 else ""
        yield title, message[: LONGEST // 2] + more, line


def _command(
    level: Level, title: str, message: str, file: str = PARAMS, line: int | None = None
) -> str:
    """A workflow command: what could end it, or begin another, is escaped."""
    lines = "\n".join(words.line(part) for part in words.printable(message).split("\n"))
    cut = lines if len(lines) <= LONGEST else lines[: LONGEST - 1] + "…"
    place = "" if line is None else f"file={_escaped(file, ',:')},line={line},"
    return f"::{level} {place}title={_escaped(words.line(title, 200), ',:')}::{_escaped(cut)}"


def _escaped(text: str, also: str = "") -> str:
    """Percent, line breaks, and what a property needs besides."""
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + also else c for c in text).replace(
        "##[", "## ["
    )
