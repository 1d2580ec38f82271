"""gates: the result of `lmspec gate` as text: a line for each gate, and how many pass."""

from lmspec.compare.report import Report
from lmspec.errors import harmless
from lmspec.reports import aligned, words


def plain(report: Report) -> str:
    """Both revisions, then each gate with its value, its demand, and what would decide it."""
    lines = aligned.listed(
        (
            words.line(gate.gate),
            gate.verdict,
            map(words.line, (f"{gate.observed}; {gate.demand}", *words.reasons(gate))),
        )
        for gate in report.gates
    )
    parts = [words.revisions(report), "", *lines, "", words.passing(report.gates)]
    return harmless("\n".join(parts))
