"""reporting: problems for people and for machines: text, JSON, GitHub annotations, SARIF."""

import functools
import json
import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import click

from lmspec.git import command as git
from lmspec.language.problems import Problem, Span, as_text, printable

LOOKS: dict[str, dict[str, Any]] = {
    "place": {"bold": True},
    "error": {"fg": "red"},
    "warning": {"fg": "yellow"},
    "other": {"fg": "blue"},
}
SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Report:
    """What was found in a params.yaml. values: what it holds; None if it could not be parsed."""

    path: Path
    lines: Sequence[str]
    problems: tuple[Problem, ...]
    values: dict[str, Any] | None

    @property
    def errors(self) -> int:
        """How many problems are no warnings."""
        return sum(not problem.warning for problem in self.problems)

    @functools.cached_property
    def file(self) -> str:
        """The path from the top of its repository, where forges look for it."""
        if self.path.is_absolute():
            return self.path.as_posix()
        return posixpath.normpath(printable(git.prefix(Path.cwd())) + self.path.as_posix())


def is_terminal(stream: TextIO | None) -> bool:
    """Does a person read a standard stream? It is None if the command began with it closed."""
    return stream is not None and stream.isatty()


def text(report: Report, colour: bool) -> str:
    """Each problem with its line, and how many there are."""

    def paint(part: str, role: str) -> str:
        return click.style(part, **LOOKS[role]) if colour else part

    shown = [as_text(problem, report.path, report.lines, paint) for problem in report.problems]
    return "\n".join([*shown, _count(report)])


def _count(report: Report) -> str:
    warnings = len(report.problems) - report.errors
    counts = [(report.errors, "problem"), (warnings, "warning")]
    said = " and ".join(f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n)
    return f"{said} in {report.path}" if said else f"{report.path} is valid"


def as_json(report: Report) -> str:
    """A list of problems; lines and columns from 1, end_column behind the last character."""
    return json.dumps(
        [_plain(problem, report) for problem in report.problems], indent=2, ensure_ascii=False
    )


def _plain(problem: Problem, report: Report) -> dict[str, Any]:
    others = [_region(span) | {"message": said} for span, said in problem.others]
    return {
        "rule": problem.rule,
        "level": "warning" if problem.warning else "error",
        "file": report.path.as_posix(),
        **_region(problem.span),
        "field": problem.what,
        "message": problem.found,
        "hint": problem.hint,
        "others": others,
    }


def _region(span: Span) -> dict[str, int]:
    return {"line": span.line, "column": span.column, "end_column": span.column + span.width}


def as_github(report: Report) -> str:
    """Workflow commands that annotate the lines of a pull request.

    Source: GitHub, "Workflow commands for GitHub Actions": % and line breaks are escaped, in properties also , and :
    """
    return "\n".join(_annotation(problem, report) for problem in report.problems)


def _annotation(problem: Problem, report: Report) -> str:
    end = problem.span.column + problem.span.width - 1
    properties = {
        "file": report.file,
        "line": problem.span.line,
        "col": problem.span.column,
        "endColumn": end,
        "title": problem.what,
    }
    said = ",".join(f"{key}={_escaped(str(value), ',:')}" for key, value in properties.items())
    others = [f"line {span.line}: {what}" for span, what in problem.others]
    message = "\n".join([problem.found, *([problem.hint] if problem.hint else []), *others])
    return f"::{'warning' if problem.warning else 'error'} {said}::{_escaped(message, '')}"


def _escaped(text: str, also: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in "%\r\n" + also else c for c in text)


def as_sarif(report: Report) -> str:
    """SARIF 2.1.0, as code scanning services and editors read it."""
    from importlib import metadata  # slow to import, and only this format tells the version

    rules = [{"id": rule} for rule in sorted({p.rule for p in report.problems})]
    driver = {"name": "lmspec", "version": metadata.version("lmspec"), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, report) for problem in report.problems],
    }
    return json.dumps(
        {"$schema": SARIF, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False
    )


def _result(problem: Problem, report: Report) -> dict[str, Any]:
    def location(span: Span) -> dict[str, Any]:
        region = {
            "startLine": span.line,
            "startColumn": span.column,
            "endColumn": span.column + span.width,
        }
        return {"physicalLocation": {"artifactLocation": {"uri": report.file}, "region": region}}

    hint = f" ({problem.hint})" if problem.hint else ""
    result: dict[str, Any] = {
        "ruleId": problem.rule,
        "level": "warning" if problem.warning else "error",
        "message": {"text": f"{problem.what}: {problem.found}{hint}"},
        "locations": [location(problem.span)],
    }
    if problem.others:
        result["relatedLocations"] = [
            location(span) | {"message": {"text": said}} for span, said in problem.others
        ]
    return result


FORMATS: dict[str, Callable[[Report], str]] = {
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}
