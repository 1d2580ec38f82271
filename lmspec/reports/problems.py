"""problems: what `lmspec validate` found: text, JSON, GitHub annotations, SARIF."""

import json
import posixpath
from pathlib import Path
from typing import Any

from lmspec.git import command as git
from lmspec.language.problems import Paint, Problem, Span, as_text, plain, printable
from lmspec.language.validate import Validation

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def text(validation: Validation, paint: Paint = plain) -> str:
    """Each problem with its line, and their number."""
    path, lines = validation.path, validation.lines
    parts = [as_text(problem, path, lines, paint) for problem in validation.problems]
    warnings = len(validation.problems) - validation.errors
    counts = [(validation.errors, "problem"), (warnings, "warning")]
    total = " and ".join(f"{n} {what}{'s' if n > 1 else ''}" for n, what in counts if n)
    return "\n".join([*parts, f"{total} in {path}" if total else f"{path} is valid"])


def as_json(validation: Validation) -> str:
    """A list of problems; lines and columns from 1, end_column behind the last character."""

    def region(span: Span) -> dict[str, int]:
        return {"line": span.line, "column": span.column, "end_column": span.column + span.width}

    problems = [
        {
            "rule": problem.rule,
            "level": problem.level,
            "file": validation.path.as_posix(),
            **region(problem.span),
            "field": problem.what,
            "message": problem.found,
            "hint": problem.hint,
            "others": [region(span) | {"message": text} for span, text in problem.others],
        }
        for problem in validation.problems
    ]
    return json.dumps(problems, indent=2, ensure_ascii=False)


def as_github(validation: Validation) -> str:
    """Annotations of the lines of a pull request."""
    from lmspec.reports.github import workflow_command  # no other format pays for the import

    def annotation(problem: Problem) -> str:
        span = problem.span
        others = [f"line {span.line}: {text}" for span, text in problem.others]
        message = "\n".join(filter(None, (problem.found, problem.hint, *others)))
        place = {"file": _in_repository(validation), "line": span.line, "col": span.column}
        end = {"endColumn": span.column + span.width - 1, "title": problem.what}
        return workflow_command(problem.level, message, **place, **end)

    return "\n".join(map(annotation, validation.problems))


def as_sarif(validation: Validation) -> str:
    """SARIF 2.1.0, as code scanning services and editors read it."""
    from importlib import metadata  # slow to import, and only this format names the version

    rules = [{"id": rule} for rule in sorted({problem.rule for problem in validation.problems})]
    driver = {"name": "lmspec", "version": metadata.version("lmspec"), "rules": rules}
    uri = _in_repository(validation)
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, uri) for problem in validation.problems],
    }
    document = {"$schema": SARIF, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2, ensure_ascii=False)


def _result(problem: Problem, uri: str) -> dict[str, Any]:
    def location(span: Span) -> dict[str, Any]:
        end = span.column + span.width
        region = {"startLine": span.line, "startColumn": span.column, "endColumn": end}
        return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": region}}

    hint = f" ({problem.hint})" if problem.hint else ""
    related = [location(span) | {"message": {"text": text}} for span, text in problem.others]
    return {
        "ruleId": problem.rule,
        "level": problem.level,
        "message": {"text": f"{problem.what}: {problem.found}{hint}"},
        "locations": [location(problem.span)],
        **({"relatedLocations": related} if related else {}),
    }


def _in_repository(validation: Validation) -> str:
    """The path from the top of its repository, where forges look for it."""
    if validation.path.is_absolute():
        return validation.path.as_posix()
    return posixpath.normpath(printable(git.prefix(Path.cwd())) + validation.path.as_posix())


FORMATS = {"json": as_json, "github": as_github, "sarif": as_sarif}
