"""junit: gates and metrics as test cases, as CI systems list them."""

from collections.abc import Sequence

from lmspec.compare.report import Gate, Metric, Report
from lmspec.language import metric_names
from lmspec.reports import words

Result = tuple[str, Gate | None]  # `failure`, `skipped` or empty; the gate that decided it
BY_TONE = {"bad": "failure", "unsure": "skipped", "good": ""}
BY_VERDICT = {"missing": "failure", "not comparable": "skipped"}


def render(report: Report) -> str:
    """Two suites. A gate that does not pass fails; one that passes by a waiver is skipped.

    A missing metric fails, one that is not comparable is skipped; a worse one fails with the gate
    that is about it. Texts are printable, so they hold nothing that XML 1.0 forbids.
    """
    from lmspec.reports.templating import environment

    blocking = report.blocking
    gates = [(BY_TONE[words.gate_tone(gate)], gate) for gate in report.gates]
    metrics = [(*_result(metric, blocking), metric) for metric in report.metrics]
    template = environment(words.printable, autoescape=True).get_template("junit.xml.j2")
    return template.render(revisions=words.revisions(report), gates=gates, metrics=metrics)


def _result(metric: Metric, blocking: Sequence[Gate]) -> Result:
    for gate in blocking if metric.verdict == "worse" else ():
        if metric_names.named(gate.metric, metric.name):
            return "failure", gate
    return BY_VERDICT.get(metric.verdict, ""), None
