"""plans: a plan as terminal text, Markdown or JSON."""

import json
from collections import Counter
from collections.abc import Sequence

from lmspec.pipeline.durations import about
from lmspec.pipeline.plan import HIT, MAY, RESTORE, RUN, Step
from lmspec.reports import aligned, markdown, words

# see run/determinism.same_bits_on
OTHER_PROCESSOR = (
    "another processor can change last digits: any one with onnxruntime, another maker's with torch"
)


def as_text(steps: Sequence[Step]) -> str:
    """A line for each stage, more for further reasons, then the totals."""
    lines = aligned.listed(
        (s.stage, s.verdict, map(words.line, (*s.reasons, *_time(s)))) for s in steps
    )
    elsewhere = any(step.expected and not step.expected.here for step in steps)
    return "\n".join([*lines, "", *_totals(steps), *([OTHER_PROCESSOR] if elsewhere else [])])


def as_markdown(steps: Sequence[Step]) -> str:
    """The totals, and a table of what is out of date, for a pull request."""
    rows = [
        f"| {step.stage} | {step.verdict} | {_cell(step.reasons)} | {_cell(_time(step))} |"
        for step in steps
        if step.verdict != HIT or step.reasons
    ]
    table = ["", "| stage | | why | time |", "| --- | --- | --- | --- |", *rows] if rows else []
    return "\n".join([f"**{'; '.join(_totals(steps))}**", *table])


def _cell(lines: Sequence[str]) -> str:
    """Escaped, since sites look for mentions, links and pictures in names and values."""
    return "<br>".join(markdown.prose(words.line(line)) for line in lines)


def as_json(steps: Sequence[Step]) -> str:
    """A list of steps."""
    return json.dumps(steps, indent=2, default=vars)


FORMS = {"text": as_text, "md": as_markdown, "json": as_json}


def _time(step: Step) -> Sequence[str]:
    """How far it is already; about how long it takes from its start, if it was timed, and where."""
    lines = [f"goes on from step {step.done[0]:,} of {step.done[1]:,}"] if step.done else []
    if expected := step.expected:
        where = "" if expected.here else f" on {expected.machine}"
        whole = " from the start" if step.done else ""
        lines.append(f"{about(expected.seconds)}{whole}{where}")
    return lines


def _totals(steps: Sequence[Step]) -> list[str]:
    """How many stages have each verdict; about how long they take, if any was timed."""
    count = Counter(step.verdict for step in steps)
    restored = f"{count[RESTORE]} restored from the cache, " if count[RESTORE] else ""
    counts = f"{count[RUN]} will run, {count[MAY]} may run, {restored}{count[HIT]} are up to date"
    if damaged := sum(bool(step.reasons) for step in steps if step.verdict == HIT):
        counts += f", {damaged} of them damaged"
    times = [(step.verdict, step.expected.seconds) for step in steps if step.expected]
    if not times:
        return [counts]
    sure = sum(seconds for verdict, seconds in times if verdict == RUN)
    most = sum(seconds for _, seconds in times)
    total = about(sure) if sure == most else f"at most {about(most)} with what may run"
    if 0 < sure < most:
        total = f"{about(sure)} for what will run, {total}"
    untimed = count[RUN] + count[MAY] - len(times)
    return [counts, total + (f", and {untimed} not timed yet" if untimed else "")]
