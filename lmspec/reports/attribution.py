"""attribution: why metrics moved, as text, Markdown and JSON: what differs, which mixes were built, what each factor did."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lmspec.attribution import factors as causes
from lmspec.attribution.effects import Amount, Attribution
from lmspec.compare.report import RevisionId
from lmspec.errors import some
from lmspec.language.problems import columns
from lmspec.pipeline.durations import about
from lmspec.reports import aligned, values, words
from lmspec.reports import markdown as md

UNKNOWN, SAME = "not known", "no change"
OF_EXAMPLES = (
    "intervals: 95 %, over the examples; training with another seed would move each mix, too"
)
OF_EFFECTS = (
    "effect: what a factor adds, as the mean over all orders of change; all effects together are the difference",
    "alone: added to the old commit; last: added to all others; a x b: what both do beyond what each does alone",
)


@dataclass(frozen=True)
class Hybrid:
    """One mix.

    runs, may_run, ready  numbers of stages; ready: the cache has them
    seconds, untimed      about how long those that run or may run take; how many of them were never timed
    error                 why it cannot be built; None if nothing is known that forbids it
    """

    factors: tuple[str, ...]
    runs: int = 0
    may_run: int = 0
    ready: int = 0
    seconds: float = 0.0
    untimed: int = 0
    error: str | None = None


@dataclass(frozen=True)
class Found:
    """All that is to be said. built: False if only the cost was told; factors: name -> what differs, in words."""

    baseline: RevisionId
    candidate: RevisionId
    factors: Mapping[str, tuple[str, ...]]
    hybrids: tuple[Hybrid, ...] = ()
    metrics: tuple[Attribution, ...] = ()
    built: bool = False
    notes: tuple[str, ...] = ()


def text(found: Found) -> str:
    """Plain text."""
    blocks = [_differing(found), _mixes(found), *map(_metric, found.metrics), list(_foot(found))]
    return aligned.harmless("\n\n".join("\n".join(block) for block in blocks if block))


def markdown(found: Found) -> str:
    """For a pull request."""
    lines = [
        f"**{md.code(_title(found), md.LONGEST)}**",
        "",
        *(f"- {name}: {md.prose(said)}" for name, said in _factors(found)),
    ]
    mixes = _mixes(found)
    lines += ["", *(f"- {md.prose(words.line(line))}" for line in mixes)] if mixes else []
    for each in found.metrics:
        lines += ["", f"**{md.code(each.metric, md.LONGEST)}: {_headline(each)}**", ""]
        lines += ["| | effect | alone | last |", "| --- | --- | --- | --- |"]
        lines += [f"| {' | '.join(row)} |" for row in _rows(each)]
        lines += (
            ["", *(f"- {md.prose(words.line(note))}" for note in each.notes)] if each.notes else []
        )
    foot = list(_foot(found))
    return "\n".join([*lines, *(["", *(f"- {md.prose(line)}" for line in foot)] if foot else [])])


def as_json(found: Found) -> str:
    """One object; its keys are the fields of the classes here and in compare/factors.py."""
    return json.dumps(values.finite(found), indent=2)


def differing(found: Found) -> str:
    """The two commits, and each factor."""
    return aligned.harmless("\n".join(_differing(found)))


def costs(found: Found) -> str:
    """What it takes to tell the factors apart."""
    return aligned.harmless("\n".join(_cost(found)))


def mix(factors: Sequence[str], found: Found) -> str:
    """What a hybrid is, in words."""
    old, new = (words.line(side.name, 80) for side in (found.baseline, found.candidate))
    return f"{old} with {' and '.join(factors)} of {new}" if factors else f"{old} built anew"


def _title(found: Found) -> str:
    return f"{words.revision(found.baseline)} -> {words.revision(found.candidate)}"


def _factors(found: Found) -> Iterator[tuple[str, str]]:
    for name, what in found.factors.items():
        yield name, words.line(some(what)) if what else "the same"


def _differing(found: Found) -> list[str]:
    return [_title(found), *(f"  {name:9}  {said}" for name, said in _factors(found))]


def _mixes(found: Found) -> list[str]:
    """Before they are built, what they cost; then only those that could not be."""
    if not found.built:
        return _cost(found)
    return [f"{mix(each.factors, found)}: {_work(each)}" for each in found.hybrids if each.error]


def _cost(found: Found) -> list[str]:
    if not found.hybrids:
        return []
    rows = [(mix(each.factors, found), _work(each)) for each in found.hybrids]
    width = max(columns(name) for name, _ in rows)
    possible = [each for each in found.hybrids if not each.error]
    seconds, untimed = (
        sum(each.seconds for each in possible),
        sum(each.untimed for each in possible),
    )
    total = (
        f"together at most {about(seconds)}"
        if seconds
        else "times not known"
        if untimed
        else "nothing runs"
    )
    total += f", and {untimed} that were never timed" if untimed and seconds else ""
    head = "mixes to build, each in a folder of its own that is removed again, and their stages:"
    return [head, *(f"  {aligned.padded(name, width)}  {said}" for name, said in rows), total]


def _work(each: Hybrid) -> str:
    if each.error:
        return f"cannot be built: {words.line(each.error)}"
    timed = f" ({about(each.seconds)})" if each.seconds else ""
    may = f", {each.may_run} that may run" if each.may_run else ""
    return f"{each.runs} to run{may}{timed}, {each.ready} from the cache"


def _metric(each: Attribution) -> list[str]:
    rows = [("", "effect", "alone", "last"), *_rows(each)]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    notes = [f"  {words.line(note)}" for note in each.notes]
    return [
        f"{words.line(each.metric)}: {_headline(each)}",
        *(lines if len(each.effects) > 1 else []),
        *notes,
    ]


def _headline(each: Attribution) -> str:
    tested = each.examples is not None
    size = f" on {each.examples:,} examples" if tested else ""
    return f"{each.baseline:.6g} -> {each.candidate:.6g}: {_amount(each.total, tested)}{size}"


def _rows(each: Attribution) -> Iterator[tuple[str, str, str, str]]:
    """Interactions have one number only; of what is pinned one of the two others is not defined."""
    tested = each.examples is not None
    for effect in each.effects:
        pinned = effect.factor == causes.TOOLCHAIN
        alone, last = (
            "" if side is None and pinned else _amount(side, tested)
            for side in (effect.alone, effect.last)
        )
        yield effect.factor, _amount(effect.effect, tested), alone, last
    for together in each.interactions:
        yield " x ".join(together.factors), _amount(together.amount, tested), "", ""


def _amount(amount: Amount | None, tested: bool) -> str:
    """tested: has the metric intervals at all?"""
    if amount is None:
        return UNKNOWN
    if amount.interval is None:
        return f"{_number(amount.value)}{' [spread not known]' if tested else ''}"
    if amount.interval == (0.0, 0.0):
        return SAME
    return f"{_number(amount.value)} [{_number(amount.interval[0])}, {_number(amount.interval[1])}]"


def _number(value: float) -> str:
    value = 0.0 if abs(value) < 1e-12 else value
    return f"{value:+.4f}" if value == 0 or 5e-5 <= abs(value) < 100 else f"{value:+.4g}"


def _foot(found: Found) -> Iterator[str]:
    yield from map(words.line, found.notes)
    if any(each.examples is not None for each in found.metrics):
        yield OF_EXAMPLES
    if any(len(each.effects) > 1 for each in found.metrics):
        yield from OF_EFFECTS
