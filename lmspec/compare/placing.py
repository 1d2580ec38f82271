"""placing: where the params.yaml of the new side has each gate, so that a forge can show it there."""

from dataclasses import replace
from pathlib import Path

from lmspec.compare.report import Report
from lmspec.compare.revision import PARAMS, Revision
from lmspec.language import document
from lmspec.language.problems import ProblemsFound


def placed(report: Report, new: Revision) -> Report:
    """The report with the lines of its gates; as it is, if the file does not parse as `lmspec validate` reads it."""
    text = new.tree.text(PARAMS) if report.gates else None
    if text is None:
        return report
    try:
        found = document.parsed(text, Path(PARAMS))
    except ProblemsFound:
        return report
    lines = {gate.gate: found.place(("gates", gate.gate), key=True).line for gate in report.gates}
    return replace(
        report, gates=tuple(replace(gate, line=lines[gate.gate]) for gate in report.gates)
    )
