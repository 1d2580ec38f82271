"""junit: gates and metrics as test cases, which each CI system lists."""

from collections.abc import Sequence
from xml.etree import ElementTree

from lmspec.compare.report import Gate, Metric, Report
from lmspec.language import metric_names
from lmspec.reports import words
from lmspec.reports.words import printable


def render(report: Report) -> str:
    """Two suites. A gate that does not pass fails; one that passes, and not by its numbers, is skipped.

    A missing metric fails, one that is not comparable is skipped. One that is worse passes and says so, unless a gate that
    fails is about it. Texts are made printable, and so hold nothing that XML 1.0 forbids.
    """
    root = ElementTree.Element(
        "testsuites", name=printable(f"lmspec diff {words.revisions(report)}")
    )
    gates = [_gate(gate) for gate in report.gates]
    blocked = [gate for gate in report.gates if not gate.passed]
    metrics = [_metric(metric, blocked) for metric in report.metrics]
    suites = [_suite("lmspec gates", gates), _suite("lmspec metrics", metrics)]
    root.extend(suites)
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in suites)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _suite(name: str, cases: Sequence[ElementTree.Element]) -> ElementTree.Element:
    failures, skipped = (
        sum(case.find(what) is not None for case in cases) for what in ("failure", "skipped")
    )
    counts = {"tests": len(cases), "failures": failures, "errors": 0, "skipped": skipped}
    suite = ElementTree.Element(
        "testsuite", {"name": name} | {key: str(count) for key, count in counts.items()}
    )
    suite.extend(cases)
    return suite


def _case(group: str, name: str) -> ElementTree.Element:
    return ElementTree.Element(
        "testcase", classname=words.line(f"lmspec.{group}"), name=words.line(name)
    )


def _gate(gate: Gate) -> ElementTree.Element:
    case = _case(f"gates.{gate.kind}", gate.gate)
    if not gate.passed:
        _failure(case, gate)
    elif gate.verdict != "pass":
        ElementTree.SubElement(
            case,
            "skipped",
            message=printable(f"{words.gate_verdict(gate)}: {words.findings(gate)}"),
        )
    else:
        ElementTree.SubElement(case, "system-out").text = printable(words.findings(gate))
    return case


def _failure(case: ElementTree.Element, gate: Gate) -> None:
    message = f"gate {gate.gate}: {words.gate_verdict(gate)}: {gate.found}"
    ElementTree.SubElement(
        case, "failure", type=gate.verdict, message=printable(message)
    ).text = printable(words.findings(gate))


def _metric(metric: Metric, blocked: Sequence[Gate]) -> ElementTree.Element:
    case = _case("metrics", metric.name)
    worse = metric.verdict == "worse"
    gates = [
        gate
        for gate in blocked
        if worse and metric_names.named(tuple(gate.metric.split(".")), metric.name)
    ]
    if metric.verdict == "missing":
        ElementTree.SubElement(
            case,
            "failure",
            type="missing",
            message=printable(f"missing: {metric.reason or 'not there'}"),
        )
    elif metric.verdict == "not comparable":
        ElementTree.SubElement(
            case,
            "skipped",
            message=printable(f"not comparable: {metric.reason or 'no reason is known'}"),
        )
    elif gates:
        _failure(case, gates[0])
    ElementTree.SubElement(case, "system-out").text = printable(_said(metric))
    return case


def _said(metric: Metric) -> str:
    numbers = (
        f"{words.number(metric.baseline) or 'none'} -> {words.number(metric.candidate) or 'none'}"
    )
    difference = (
        ""
        if metric.difference is None
        else f"difference {words.signed(metric.difference, metric.baseline)}"
    )
    parts = [
        numbers,
        difference,
        words.interval(metric.interval, metric.baseline),
        words.remark(metric),
    ]
    return f"{words.verdict(metric)}: {' '.join(part for part in parts if part)}"
