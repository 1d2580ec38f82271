"""junit: gates and metrics as test cases, as CI systems list them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from lmspec.compare.report import Gate, Metric, Report
from lmspec.language import metric_names
from lmspec.reports import words


class Case(NamedTuple):
    """A test case. text: of a failure; output: what a case that does not fail prints."""

    classname: str
    name: str
    output: str = ""
    result: Literal["", "failure", "skipped"] = ""
    message: str = ""
    type: str = ""
    text: str = ""


def render(report: Report) -> str:
    """Two suites. A gate that does not pass fails; one that passes by a waiver is skipped.

    A missing metric fails, one that is not comparable is skipped; a worse one fails with the gate
    that is about it. Texts are printable, so they hold nothing that XML 1.0 forbids.
    """
    from lmspec.reports.templating import environment

    blocked = [gate for gate in report.gates if not gate.passed]
    suites = {
        "lmspec gates": [_gate(gate) for gate in report.gates],
        "lmspec metrics": [_metric(metric, blocked) for metric in report.metrics],
    }
    template = environment(words.printable, autoescape=True).get_template("junit.xml.j2")
    return template.render(revisions=words.revisions(report), suites=suites)


def _gate(gate: Gate) -> Case:
    case = Case(f"lmspec.gates.{gate.kind}", gate.gate)
    findings = words.findings(gate)
    if not gate.passed:
        return _failed(case, gate)
    if gate.verdict == "pass":
        return case._replace(output=findings)
    return case._replace(result="skipped", message=f"{words.gate_verdict(gate)}: {findings}")


def _failed(case: Case, gate: Gate) -> Case:
    message = f"gate {gate.gate}: {words.gate_verdict(gate)}: {gate.observed}"
    findings = words.findings(gate)
    return case._replace(result="failure", type=gate.verdict, message=message, text=findings)


def _metric(metric: Metric, blocked: Sequence[Gate]) -> Case:
    case = Case("lmspec.metrics", metric.name, _summary(metric))
    if metric.verdict == "missing":
        message = f"missing: {metric.reason or 'not there'}"
        return case._replace(result="failure", type="missing", message=message)
    if metric.verdict == "not comparable":
        message = f"not comparable: {metric.reason or 'no reason is known'}"
        return case._replace(result="skipped", message=message)
    for gate in blocked if metric.verdict == "worse" else ():
        if metric_names.named(tuple(gate.metric.split(".")), metric.name):
            return _failed(case, gate)
    return case


def _summary(metric: Metric) -> str:
    baseline, candidate = (words.number(v) or "none" for v in (metric.baseline, metric.candidate))
    difference = words.signed(metric.difference, metric.baseline)
    parts = [
        f"{baseline} -> {candidate}",
        difference and f"difference {difference}",
        words.interval(metric.interval, metric.baseline),
        words.remark(metric),
    ]
    return f"{words.verdict(metric)}: {' '.join(filter(None, parts))}"
