"""gates: the result of `lmspec gate` as text: a line for each gate, and how many pass."""

from lmspec.compare.report import Report
from lmspec.language.problems import columns
from lmspec.reports import aligned, words


def plain(report: Report) -> str:
    """Both revisions, then each gate with its value, its demand, and what would decide it."""
    names = [words.line(gate.gate) for gate in report.gates]
    width = max(map(columns, names))
    longest = max(len(gate.verdict) for gate in report.gates)
    lines = [words.revisions(report), ""]
    for name, gate in zip(names, report.gates, strict=True):
        result = f"{words.line(gate.observed)}; {words.line(gate.demand)}"
        lines.append(f"{aligned.padded(name, width)}  {gate.verdict:{longest}}  {result}")
        if gate.needed is not None:
            decides = "would decide, if the effect stays as it is"
            lines.append(f"{'':{width}}  about {gate.needed:,} examples {decides}")
        if gate.why:
            lines.append(f"{'':{width}}  {words.line(gate.why)}")
    return aligned.harmless("\n".join([*lines, "", words.passing(report.gates)]))
