"""plans: a plan as terminal text, Markdown or JSON."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict

from lmspec.pipeline.durations import about
from lmspec.pipeline.plan import HIT, MAY, RESTORE, RUN, Step

# see run/determinism.same_bits_on
OTHER_PROCESSOR = (
    "another processor can change last digits: any one with onnxruntime, another maker's with torch"
)


def as_text(steps: Sequence[Step]) -> str:
    """A line for each stage, more for further reasons, then the totals."""
    width = max((len(step.stage) for step in steps), default=0)
    lines = []
    for step in steps:
        first, *rest = [*step.reasons, _time(step)] if _time(step) else step.reasons or ("",)
        lines.append(f"{step.stage:{width}}  {step.verdict:7}  {first}".rstrip())
        lines += [f"{'':{width}}  {'':7}  {line}" for line in rest]
    elsewhere = any(step.expected and not step.expected.here for step in steps)
    return "\n".join([*lines, "", *_totals(steps), *([OTHER_PROCESSOR] if elsewhere else [])])


def as_markdown(steps: Sequence[Step]) -> str:
    """The totals, and a table of what is out of date, for a pull request."""
    rows = [
        f"| {step.stage} | {step.verdict} | {_cell(*step.reasons)} | {_cell(_time(step))} |"
        for step in steps
        if step.verdict != HIT
    ]
    table = ["", "| stage | | why | time |", "| --- | --- | --- | --- |", *rows] if rows else []
    return "\n".join([f"**{'; '.join(_totals(steps))}**", *table])


def _cell(*lines: str) -> str:
    return "<br>".join(line.replace("|", "\\|").replace("<", "&lt;") for line in lines)


def as_json(steps: Sequence[Step]) -> str:
    """A list of steps."""
    return json.dumps([asdict(step) for step in steps], indent=2)


FORMS: dict[str, Callable[[Sequence[Step]], str]] = {
    "text": as_text,
    "md": as_markdown,
    "json": as_json,
}


def _time(step: Step) -> str:
    if step.expected is None:
        return ""
    where = "" if step.expected.here else f" on {step.expected.machine}"
    return f"{about(step.expected.seconds)}{where}"


def _totals(steps: Sequence[Step]) -> list[str]:
    """How many stages have each verdict; about how long they take, if any was timed."""
    count = Counter(step.verdict for step in steps)
    restored = f"{count[RESTORE]} restored from the cache, " if count[RESTORE] else ""
    counts = f"{count[RUN]} will run, {count[MAY]} may run, {restored}{count[HIT]} are up to date"
    times = [
        (s.verdict, s.expected.seconds) for s in steps if s.verdict in (RUN, MAY) and s.expected
    ]
    if not times:
        return [counts]
    sure = sum(seconds for verdict, seconds in times if verdict == RUN)
    most = sum(seconds for _, seconds in times)
    total = about(sure) if sure == most else f"at most {about(most)} with what may run"
    if 0 < sure < most:
        total = f"{about(sure)} for what will run, {total}"
    untimed = count[RUN] + count[MAY] - len(times)
    return [counts, total + (f", and {untimed} not timed yet" if untimed else "")]
