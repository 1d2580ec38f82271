"""labels: what the values of a label column mean: missing, the same label, or a score."""

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lmspec.errors import some
from lmspec.methods.scalar import flow
from lmspec.specs.checks.corpus import NUMBER, as_read

# `None` is what Python writes for nothing; `none` is often a label.
MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL", "None", "NaT")
MOST_LABELS = 50
MOST_FRACTIONS = 5  # more different numbers with a fraction are scores, not labels
LARGEST_BOUND = 1e15  # of a band in a spec
FEWEST_STARS = 0.05  # share of rows that each band of stars has at least


@dataclass(frozen=True)
class Reading:
    """How a label column is read.

    missing  values that stand for no label
    rule     `label` of the table in params.yaml
    label    value as written -> its label; a missing one has none
    notes    what was decided, for people
    """

    missing: list[str]
    rule: dict[str, Any]
    label: dict[str, str]
    notes: list[str]


def read(column: str, values: Mapping[str, int], words: Collection[str]) -> Reading:
    """How the column with these values (-> number of rows) is read.

    words  short texts of the table, of which some may stand for no text
    """
    seen = {value.strip() for value in values} | set(words)
    known = [word for word in MISSING if word in seen]
    missing = ["", *known]
    present = Counter({v: n for v, n in values.items() if v.strip() not in missing})
    numbers = {v: float(v) for v in present if NUMBER.fullmatch(v.strip())}
    notes: list[str] = []
    rule: dict[str, Any]
    if len(numbers) == len(present) and _is_score(numbers, present.total()):
        bands = _bands(numbers, present)
        rule = {"kind": "threshold", "column": column, "bands": bands}
        label = {v: _band_of(number, bands) for v, number in numbers.items()}
        shown = ", ".join(f"{b['label']} {_span(b)}" for b in bands)
        notes.append(
            f"'{column}' has {len(set(numbers.values())):,} different numbers, so labels are bands "
            f"of them: {shown} (change `label` in params.yaml)"
        )
        return Reading(missing, rule, label, notes)
    plain = {as_read(value, "text") for value in present}
    form = "number" if len({as_read(value, "number") for value in plain}) < len(plain) else "text"
    rule = {"kind": "column", "column": column, "values": form, "rename": None}
    label = {value: as_read(value, form) for value in present}
    notes += _same(label, present)
    if len(numbers) == len(present) and len(set(numbers.values())) > MOST_FRACTIONS:
        threshold = {"kind": "threshold", "column": column, "bands": _bands(numbers, present)}
        notes.append(
            f"{len(set(label.values()))} different numbers are labels; if they are scores, write "
            f"`label: {flow(threshold)}` and its labels"
        )
    return Reading(missing, rule, label, notes)


def in_order(labels: Counter[str], rule: Mapping[str, Any]) -> dict[str, int]:
    """Label -> rows: bands from the lowest, numbers by size, then the others by their letters."""
    if rule["kind"] == "threshold":
        return {band["label"]: labels[band["label"]] for band in rule["bands"]}
    return dict(sorted(labels.items(), key=lambda item: (_size(item[0]), item[0])))


def _size(label: str) -> float:
    return float(label) if NUMBER.fullmatch(label) else float("inf")


def _same(label: Mapping[str, str], values: Mapping[str, int]) -> Iterator[str]:
    """Values that are read as another one, and labels that differ in upper and lower case only."""
    changed = {v: rows for v, rows in values.items() if label[v] != v}
    if changed:
        listed = some([f"{v[:40]!r} as {label[v][:40]!r} ({n:,} rows)" for v, n in changed.items()])
        yield f"labels that are read as another: {listed}"
    by_letters: dict[str, set[str]] = {}
    for name in label.values():
        by_letters.setdefault(name.casefold(), set()).add(name)
    pairs = [sorted(names) for names in by_letters.values() if len(names) > 1]
    if pairs:
        listed = some([" and ".join(repr(name[:40]) for name in names) for names in pairs])
        yield f"labels that differ in case stay apart: {listed} (`rename` joins them)"


def _is_score(numbers: Mapping[str, float], rows: int) -> bool:
    different = set(numbers.values())
    if max(map(abs, different), default=0) > LARGEST_BOUND:
        return False
    if any(not number.is_integer() for number in different):
        return len(different) > MOST_FRACTIONS
    return MOST_LABELS < len(different) < rows  # a whole number of its own for each row is an id


def _bands(numbers: Mapping[str, float], rows: Mapping[str, int]) -> list[dict[str, Any]]:
    """Three bands, each of about a third of the rows; stars from 1 to 5 are cut at 2.5 and 3.5."""
    counts: Counter[float] = Counter()
    for value, number in numbers.items():
        counts[number] += rows[value]
    ordered = sorted(counts)
    if ordered[0] >= 1 and 3.5 < ordered[-1] <= 5:
        names, tops = ("negative", "neutral", "positive"), [2.5, math.nextafter(3.5, 0)]
        parts = _parts(ordered, tops)
        shares = [sum(counts[n] for n in part) / counts.total() for part in parts]
        if len(parts) == 3 and min(shares) >= FEWEST_STARS:
            return _as_bands(names, parts)
    running = list(itertools.accumulate(counts[number] for number in ordered))
    tops = [
        min(zip(ordered, running, strict=True), key=lambda pair: abs(pair[1] - share))[0]
        for share in (counts.total() / 3, counts.total() * 2 / 3)
    ]
    parts = _parts(ordered, tops)
    return _as_bands(("low", "middle", "high") if len(parts) == 3 else ("low", "high"), parts)


def _parts(ordered: list[float], tops: list[float]) -> list[list[float]]:
    """The numbers up to each top, then the rest; without empty parts."""
    bounds = [float("-inf"), *tops, float("inf")]
    parts = [[n for n in ordered if low < n <= top] for low, top in itertools.pairwise(bounds)]
    return [part for part in parts if part]


def _as_bands(names: tuple[str, ...], parts: list[list[float]]) -> list[dict[str, Any]]:
    last = len(parts) - 1
    return [
        {
            "label": name,
            "at_least": None if i == 0 else part[0],
            "at_most": None if i == last else part[-1],
        }
        for i, (name, part) in enumerate(zip(names, parts, strict=True))
    ]


def _band_of(number: float, bands: list[dict[str, Any]]) -> str:
    return next(
        str(band["label"]) for band in bands if band["at_most"] is None or number <= band["at_most"]
    )


def _span(band: Mapping[str, Any]) -> str:
    low, high = band["at_least"], band["at_most"]
    if low is None or low == high:
        return f"{'up to ' if low is None else ''}{high:g}"
    return f"from {low:g}" + ("" if high is None else f" to {high:g}")
