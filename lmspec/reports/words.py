"""words: numbers, verdicts, names and one-line summaries as every form writes them."""

import json
import math
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from lmspec.compare.report import (
    Distance,
    Gate,
    Interval,
    Metric,
    Report,
    RevisionId,
    Seeds,
    Verdict,
)
from lmspec.errors import UNPRINTABLE
from lmspec.git.tree import WORKTREE
from lmspec.pipeline.difference import MISSING

Tone = Literal["good", "bad", "unsure", "plain"]
# In the order in which metrics are shown. Forms may colour a verdict, and always write the word.
TONES: dict[Verdict, Tone] = {
    "missing": "bad",
    "worse": "bad",
    "better": "good",
    "not comparable": "unsure",
    "changed": "plain",
    "untested": "unsure",
    "new": "plain",
    "removed": "plain",
    "inconclusive": "plain",
    "same": "plain",
}
RANK = {verdict: rank for rank, verdict in enumerate(TONES)}
SIGNIFICANT = {"missing", "worse", "better", "not comparable"}
NONE = "–"
NO_TEXT = "(the text is not at hand)"
LAYOUT_ONLY = "comments or layout only"
NAMED = 3  # gates that the decision names
LONGEST = 24  # characters of a metric that is not a number
BREAKS = re.compile("[\\s\x1c-\x1f\x85\u2028\u2029]+")


def printable(text: object) -> str:
    """Replace control and direction characters by U+FFFD; line breaks and tabs stay."""
    return UNPRINTABLE.sub("\ufffd", re.sub("\r\n|[\u2028\u2029]", "\n", str(text)))


def line(text: object, most: int | None = None) -> str:
    """On one line, printable, cut after `most` characters."""
    return clipped(UNPRINTABLE.sub("\ufffd", BREAKS.sub(" ", str(text)).strip()), most)


def clipped(text: str, most: int | None) -> str:
    """With an ellipsis for what is beyond `most` characters."""
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def number(value: Any) -> str:
    """A metric: four decimals up to 10, six digits above; no minus before a zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else line(value, LONGEST)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size == 0 or 1e-3 <= size < 10:
        return f"{value:z.4f}"
    return format(value, ".3g" if size < 1e-3 else ".6g" if size < 1e5 else ".0f")


def parameter(value: Any) -> str:
    """Exactly as in YAML: 2e-05, true, null; a dash if that revision has none."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return NONE if value is MISSING else line(value)


def signed(value: float | None, like: Any = None) -> str:
    """A difference with its sign, and as many decimals as `like`, one of the numbers compared."""
    if value is None:
        return ""
    size = abs(like) if isinstance(like, int | float) and math.isfinite(like) else abs(value)
    if not math.isfinite(value) or (int in map(type, (value, like)) and value == round(value)):
        form = "+z.0f"
    else:
        form = "+z.3g" if 0 < size < 1e-3 else f"+z.{4 if size < 10 else 2}f"
    written = format(value, form)
    return written.lstrip("+") if float(written) == 0 else written


def interval(bounds: Interval | None, like: Any = None) -> str:
    """`[-0.0012, +0.0034]`; empty if there is none."""
    return "" if bounds is None else f"[{signed(bounds[0], like)}, {signed(bounds[1], like)}]"


def ratio(value: float, bounds: Interval | None = None) -> str:
    """`x0.93 [0.90, 0.97]`."""
    return f"x{value:z.2f}" + ("" if bounds is None else f" [{bounds[0]:z.2f}, {bounds[1]:z.2f}]")


def verdict(metric: Metric) -> str:
    """The verdict; an inconclusive one with its minimum detectable effect."""
    shown = metric.verdict == "inconclusive" and metric.mde is not None
    return f"inconclusive (MDE {metric.mde:.2g})" if shown else metric.verdict


def passing(gates: Sequence[Gate]) -> str:
    """`15 of 17 gates pass, 2 of them by a waiver`."""
    return f"{sum(gate.passed for gate in gates)} of {len(gates)} gates pass{by_waiver(gates)}"


def beside(distance: Distance) -> str:
    """What scores are held against: `always 'good'`, or other scores."""
    return distance.against if distance.answer is None else f"always {distance.answer!r}"


def by_waiver(gates: Sequence[Gate]) -> str:
    """`, 2 of them by a waiver`; empty if there is none."""
    count = sum(gate.verdict == "waived" for gate in gates)
    return f", {count} of them by a waiver" if count else ""


def gate_verdict(gate: Gate) -> str:
    """The verdict, and whether the gate passes where the word leaves that open."""
    if gate.verdict == "pass" or (gate.verdict == "fail" and not gate.passed):
        return gate.verdict
    return f"{gate.verdict}, {'passes' if gate.passed else 'fails'}"


def findings(gate: Gate) -> str:
    """What a gate demands and what was found, on up to three lines."""
    return "\n".join([f"{gate.metric}: {gate.demand}; observed: {gate.observed}", *reasons(gate)])


def reasons(gate: Gate) -> Sequence[str]:
    """How many examples an undecided gate needs, and why a gate was waived."""
    decide = "examples would decide, if the effect stays as it is"
    needed = gate.needed and f"about {gate.needed:,} {decide}"
    return [text for text in (needed, gate.why) if text]


def gate_tone(gate: Gate) -> Tone:
    """A gate is good only if it passes by its numbers, without a waiver."""
    return "bad" if not gate.passed else "good" if gate.verdict == "pass" else "unsure"


def spread(seeds: Seeds | None) -> str:
    """Range over seeds of both revisions, and the interval of the difference of their means."""
    if seeds is None:
        return ""
    means = f", means differ by {interval(seeds.interval)}" if seeds.interval else ""
    return (
        f"seeds of {line(seeds.of)}: {_range(seeds.baseline)} -> {_range(seeds.candidate)}{means}"
    )


def _range(values: Sequence[float]) -> str:
    if not values:
        return "none"
    low, high = number(min(values)), number(max(values))
    return f"{low}..{high} ({len(values)})" if len(values) > 1 else f"{low} (1)"


def remark(metric: Metric) -> str:
    """Why a metric has no verdict, and how much it varies with the seed."""
    return "; ".join(filter(None, (line(metric.reason or ""), spread(metric.seeds))))


def ordered(metrics: Sequence[Metric]) -> list[Metric]:
    """By verdict, what needs a look first; the order within a verdict stays."""
    return sorted(metrics, key=lambda metric: RANK[metric.verdict])


def counted(metrics: Sequence[Metric]) -> str:
    """`1 worse, 3 better, 40 same`."""
    count = Counter(metric.verdict for metric in metrics)
    return ", ".join(f"{count[verdict]} {verdict}" for verdict in TONES if count[verdict]) or "none"


def revision(side: RevisionId) -> str:
    """`main (1a2b3c4d5e6f)`; only the name if that is the hash."""
    name = line(side.name, 80)
    named = side.commit is None or side.commit.startswith(side.name)
    return name if named else f"{name} ({line(side.commit)[:12]})"


def revisions(report: Report) -> str:
    """`main (1a2b3c4d5e6f) -> worktree`."""
    return f"{revision(report.baseline)} -> {revision(report.candidate)}"


def command(report: Report) -> str:
    """The command that shows the whole report; the working tree is its default candidate."""
    names = report.baseline.name, report.candidate.name
    return shlex.join(
        ["lmspec", "diff", *(line(name, 80) for name in names if name != WORKTREE), "--all"]
    )


def ending(report: Report) -> str:
    """`FAIL: 2 reasons`, or `ok`."""
    reasons = len(report.failures)
    return f"FAIL: {reasons} reason{'s' if reasons > 1 else ''}" if reasons else "ok"


def headline(report: Report) -> str:
    """The whole report in one line."""
    parts = [ending(report)]
    if report.gates:
        parts.append(passing(report.gates))
    parts.append(f"metrics: {counted(report.metrics)}")
    if report.flips:
        negative = sum(flips.negative_flips for flips in report.flips)
        positive = sum(flips.positive_flips for flips in report.flips)
        parts.append(f"{negative} negative flips, {positive} positive")
    return "; ".join(parts)


def decision(report: Report) -> tuple[str, str]:
    """`Fails` or `Passes`, and why."""
    if not report.failures:
        tested = [metric for metric in report.metrics if metric.p is not None]
        gates = passing(report.gates) if report.gates else "no gates are defined"
        verdicts = f"of {len(tested)} tested metrics {counted(tested)}"
        return "Passes", f"{gates}; {verdicts if tested else 'no metric was tested'}"
    blocking = report.blocking
    lost = sum(metric.verdict == "missing" for metric in report.metrics)
    reasons = []
    if blocking:
        gates = f"{len(blocking)} of {len(report.gates)} gates do not pass"
        names = ", ".join(f"{gate.gate}: {gate.verdict}" for gate in blocking[:NAMED])
        more = f" and {len(blocking) - NAMED} more" if len(blocking) > NAMED else ""
        reasons.append(f"{gates} ({line(names, 200)}{more})")
    if lost:
        reasons.append(f"{lost} metric{'s are' if lost > 1 else ' is'} missing")
    return "Fails", "; ".join(reasons)


def gates_by_urgency(gates: Sequence[Gate]) -> list[Gate]:
    """Those that do not pass first, then those that pass by a waiver."""
    return sorted(gates, key=lambda gate: (gate.passed, gate.verdict == "pass"))


def changed(report: Report) -> int:
    """Number of changes of spec, data, code, versions and artifacts."""
    return sum(map(len, vars(report.changes).values()))


def explanation(metrics: Sequence[Metric]) -> str:
    """What interval and verdict mean; empty if nothing was tested."""
    families = Counter(metric.family for metric in metrics if metric.family is not None)
    if not families:
        return ""
    sizes = ", ".join(f"{count} {family}" for family, count in families.items())
    return (
        "interval: 95 %, for this metric alone; verdict: at 5 %, Holm-corrected over the tested "
        f"metrics of its family ({sizes})"
    )
