"""gate_lines: the line of each gate in params.yaml, for annotations on a forge."""

from dataclasses import replace
from pathlib import Path

from lmspec.compare.report import Report
from lmspec.compare.revision import PARAMS, Revision
from lmspec.language import document
from lmspec.language.problems import ProblemsFound


def located(report: Report, candidate: Revision) -> Report:
    """The report with its gates' lines; unchanged if `lmspec validate` cannot parse the file."""
    text = candidate.tree.text(PARAMS) if report.gates else None
    if text is None:
        return report
    try:
        params = document.parsed(text, Path(PARAMS))
    except ProblemsFound:
        return report
    gates = (
        replace(gate, line=params.place(("gates", gate.gate), key=True).line)
        for gate in report.gates
    )
    return replace(report, gates=tuple(gates))
