"""attribution: why metrics changed, as text, Markdown and JSON: factors, mixes, effects."""

import json
from collections.abc import Iterable, Iterator

from lmspec.attribution import factors
from lmspec.attribution.effects import Amount, Attribution
from lmspec.attribution.result import AttributionReport, MixBuild
from lmspec.errors import harmless, some
from lmspec.pipeline.durations import about
from lmspec.reports import aligned, values, words
from lmspec.reports import markdown as md

UNKNOWN, SAME = "not known", "no change"
HEADS = "", "effect", "alone", "last"
INTERVALS = (
    "intervals: 95 %, over the examples; another seed of training would change each mix, too"
)
EFFECTS = (
    "effect: what a factor adds, averaged over all orders of change; "
    "all effects add up to the difference",
    "alone: added to the baseline; last: added to all others; "
    "a x b: what both do beyond what each does alone",
)


def text(report: AttributionReport) -> str:
    """Plain text."""
    blocks = (_differing(report), _mixes(report), *map(_metric, report.metrics), _footnotes(report))
    return harmless("\n\n".join(filter(None, map("\n".join, blocks))))


def markdown(report: AttributionReport) -> str:
    """For a pull request."""
    differing = [f"- {name}: {md.prose(what)}" for name, what in _factors(report)]
    blocks = [[f"**{md.code(_title(report), md.LONGEST)}**"], differing, _items(_mixes(report))]
    for metric in report.metrics:
        rows = (HEADS, ("---",) * 4, *_rows(metric))
        blocks += [
            [f"**{md.code(metric.metric, md.LONGEST)}: {_headline(metric)}**"],
            [f"| {' | '.join(row)} |" for row in rows],
            _items(metric.notes),
        ]
    blocks.append(_items(_footnotes(report)))
    return "\n\n".join(filter(None, map("\n".join, blocks)))


def _items(lines: Iterable[str]) -> list[str]:
    return [f"- {md.prose(words.line(line))}" for line in lines]


def as_json(report: AttributionReport) -> str:
    """One object with the fields of `AttributionReport`."""
    return json.dumps(values.finite(report), indent=2)


def differing(report: AttributionReport) -> str:
    """The two commits, and what differs in each factor."""
    return harmless("\n".join(_differing(report)))


def costs(report: AttributionReport) -> str:
    """The mixes to build, and what that takes."""
    return harmless("\n".join(_costs(report)))


def _title(report: AttributionReport) -> str:
    return f"{words.revision(report.baseline)} -> {words.revision(report.candidate)}"


def _factors(report: AttributionReport) -> Iterator[tuple[str, str]]:
    for name, what in report.factors.items():
        yield name, words.line(some(what)) if what else "the same"


def _differing(report: AttributionReport) -> list[str]:
    return [_title(report), *(f"  {name:9}  {what}" for name, what in _factors(report))]


def _mixes(report: AttributionReport) -> list[str]:
    """Their cost before they are built, then those that could not be."""
    if not report.built:
        return _costs(report)
    return [f"{_name(report, mix)}: {_work(mix)}" for mix in report.mixes if mix.error]


def _costs(report: AttributionReport) -> list[str]:
    if not report.mixes:
        return []
    seconds = sum(mix.seconds for mix in report.mixes)
    untimed = sum(mix.untimed for mix in report.mixes)
    if not seconds:
        total = "durations not known" if untimed else "nothing runs"
    else:
        total = f"in total {about(seconds)} at most"
        total += f", and {untimed} stages that were never timed" if untimed else ""
    rows = aligned.grid([(f"  {_name(report, mix)}", _work(mix)) for mix in report.mixes])
    return ["mixes to build, each in a temporary folder, and their stages:", *rows, total]


def _name(report: AttributionReport, mix: MixBuild) -> str:
    return words.line(report.mix_name(mix.factors))


def _work(mix: MixBuild) -> str:
    if mix.error:
        return f"cannot be built: {words.line(mix.error)}"
    timed = f" ({about(mix.seconds)})" if mix.seconds else ""
    may = f", {mix.may_run} that may run" if mix.may_run else ""
    return f"{mix.runs} to run{may}{timed}, {mix.ready} from the cache"


def _metric(metric: Attribution) -> list[str]:
    rows = aligned.grid([HEADS, *_rows(metric)]) if len(metric.effects) > 1 else ()
    lines = (f"  {line}" for line in (*rows, *map(words.line, metric.notes)))
    return [f"{words.line(metric.metric)}: {_headline(metric)}", *lines]


def _headline(metric: Attribution) -> str:
    size = f" on {metric.examples:,} examples" if metric.examples is not None else ""
    change = f"{metric.baseline:.6g} -> {metric.candidate:.6g}"
    return f"{change}: {_amount(metric, metric.total)}{size}"


def _rows(metric: Attribution) -> Iterator[tuple[str, str, str, str]]:
    """An interaction has one amount; for a pinned factor, alone or last is not defined."""
    for effect in metric.effects:
        alone, last = (
            "" if amount is None and effect.factor == factors.TOOLCHAIN else _amount(metric, amount)
            for amount in (effect.alone, effect.last)
        )
        yield effect.factor, _amount(metric, effect.effect), alone, last
    for interaction in metric.interactions:
        yield " x ".join(interaction.factors), _amount(metric, interaction.amount), "", ""


def _amount(metric: Attribution, amount: Amount | None) -> str:
    if amount is None:
        return UNKNOWN
    if amount.interval is None:
        spread = "" if metric.examples is None else " [spread not known]"
        return f"{_number(amount.value)}{spread}"
    if amount.interval == (0.0, 0.0):
        return SAME
    return f"{_number(amount.value)} [{', '.join(map(_number, amount.interval))}]"


def _number(value: float) -> str:
    fixed = abs(value) < 1e-12 or 5e-5 <= abs(value) < 100
    return f"{value:{'+z.4f' if fixed else '+.4g'}}"


def _footnotes(report: AttributionReport) -> Iterator[str]:
    yield from map(words.line, report.notes)
    if any(metric.examples is not None for metric in report.metrics):
        yield INTERVALS
    if any(len(metric.effects) > 1 for metric in report.metrics):
        yield from EFFECTS
