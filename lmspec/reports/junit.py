"""junit: gates and metrics as test cases, as CI systems list them."""

from collections.abc import Sequence
from xml.etree import ElementTree

from lmspec.compare.report import Gate, Metric, Report
from lmspec.language import metric_names
from lmspec.reports import words
from lmspec.reports.words import printable

Element = ElementTree.Element


def render(report: Report) -> str:
    """Two suites. A gate that does not pass fails; one that passes by a waiver is skipped.

    A missing metric fails, one that is not comparable is skipped; a worse one fails with the gate
    that is about it. Texts are printable, so they hold nothing that XML 1.0 forbids.
    """
    root = Element("testsuites", name=printable(f"lmspec diff {words.revisions(report)}"))
    blocked = [gate for gate in report.gates if not gate.passed]
    root.append(_suite("lmspec gates", [_gate(gate) for gate in report.gates]))
    root.append(_suite("lmspec metrics", [_metric(metric, blocked) for metric in report.metrics]))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
    ElementTree.indent(root)
    xml = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{xml}\n'


def _suite(name: str, cases: Sequence[Element]) -> Element:
    failures, skipped = (
        sum(case.find(tag) is not None for case in cases) for tag in ("failure", "skipped")
    )
    counts = {"tests": len(cases), "failures": failures, "errors": 0, "skipped": skipped}
    suite = Element("testsuite", {"name": name, **{key: str(n) for key, n in counts.items()}})
    suite.extend(cases)
    return suite


def _add(case: Element, tag: str, text: str = "", **attributes: str) -> None:
    shown = {key: printable(value) for key, value in attributes.items()}
    ElementTree.SubElement(case, tag, shown).text = printable(text) or None


def _case(group: str, name: str) -> Element:
    return Element("testcase", classname=words.line(f"lmspec.{group}"), name=words.line(name))


def _gate(gate: Gate) -> Element:
    case = _case(f"gates.{gate.kind}", gate.gate)
    findings = words.findings(gate)
    if not gate.passed:
        _fail(case, gate)
    elif gate.verdict != "pass":
        _add(case, "skipped", message=f"{words.gate_verdict(gate)}: {findings}")
    else:
        _add(case, "system-out", findings)
    return case


def _fail(case: Element, gate: Gate) -> None:
    message = f"gate {gate.gate}: {words.gate_verdict(gate)}: {gate.observed}"
    _add(case, "failure", words.findings(gate), type=gate.verdict, message=message)


def _metric(metric: Metric, blocked: Sequence[Gate]) -> Element:
    case = _case("metrics", metric.name)
    if metric.verdict == "missing":
        message = f"missing: {metric.reason or 'not there'}"
        _add(case, "failure", type="missing", message=message)
    elif metric.verdict == "not comparable":
        _add(case, "skipped", message=f"not comparable: {metric.reason or 'no reason is known'}")
    elif metric.verdict == "worse":
        for gate in blocked:
            if metric_names.named(tuple(gate.metric.split(".")), metric.name):
                _fail(case, gate)
                break
    _add(case, "system-out", _summary(metric))
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
