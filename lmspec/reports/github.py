"""github: failures and warnings as annotations of a pull request.

Source: GitHub, "Workflow commands for GitHub Actions".
"""

from collections.abc import Iterator, Sequence

from lmspec.compare.report import Gate, Report
from lmspec.errors import COMMANDS
from lmspec.reports import words

Annotation = tuple[str, str, int | None]  # title, message, line of params.yaml
MOST = 10  # errors, and as many warnings, that GitHub shows per step
LONGEST = 1000  # characters of a message


def annotations(report: Report, folder: str = "") -> str:
    """The headline, then errors, then warnings; the tenth of a level counts the rest.

    folder  the project's path in its repository, with a slash at its end
    """
    file = f"{words.printable(folder)}params.yaml"
    doubtful = [gate for gate in report.gates if words.gate_tone(gate) == "unsure"]
    errors = [*map(_gate, report.blocking), *((*lost, None) for lost in report.lost)]
    headline = f"{words.revisions(report)}: {words.headline(report)}"
    lines = [_command("notice", ("lmspec diff", headline, None), file)]
    warnings = [*map(_gate, doubtful), *(("scores", text, None) for text in report.warnings)]
    for level, group in (("error", errors), ("warning", warnings)):
        lines += [_command(level, annotation, file) for annotation in _first(group, report)]
    return "\n".join(lines) + "\n"


def _gate(gate: Gate) -> Annotation:
    return f"gate {gate.gate}: {words.gate_verdict(gate)}", words.findings(gate), gate.line


def _first(annotations: Sequence[Annotation], report: Report) -> Iterator[Annotation]:
    yield from annotations[: MOST - 1]
    if rest := annotations[MOST - 1 :]:
        title, message, line = rest[0]
        more = f"\nand {len(rest) - 1} more: {words.command(report)}" if len(rest) > 1 else ""
        yield title, message[: LONGEST // 2] + more, line


def _command(level: str, annotation: Annotation, file: str) -> str:
    title, message, line = annotation
    text = "\n".join(map(words.line, words.printable(message).split("\n")))
    place = {} if line is None else {"file": file, "line": line}
    return workflow_command(
        level, words.clipped(text, LONGEST), **place, title=words.line(title, 200)
    )


def workflow_command(level: str, message: str, **properties: object) -> str:
    """An annotation. Whatever could end the command or begin another is escaped."""
    values = (f"{name}={_escaped(str(value), ',:')}" for name, value in properties.items())
    return f"::{level} {','.join(values)}::{_escaped(message)}"


def _escaped(text: str, also: str = "") -> str:
    """Percent signs, line breaks, and in properties `also`."""
    codes = {code: f"%{code:02X}" for code in f"%\r\n{also}".encode()}
    return COMMANDS.sub(r"\g<0> ", text.translate(codes))
