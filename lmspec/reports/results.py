"""results: what `lmspec show` found, in sections for a terminal or a pipe, or as JSON."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lmspec.inspection.details import CLASSES
from lmspec.inspection.results import (
    Detail,
    OnDataset,
    Overview,
    Problem,
    Score,
    TextScore,
)
from lmspec.reports import generated, suites, tables, traces, values, words
from lmspec.reports.estimates import level, parts, share, signed, size
from lmspec.reports.tables import Table
from lmspec.reports.terminal import Section

SEEDS = ("seeds", "over_seeds")
NGRAMS, FACTS = 8, 40  # shown, unless all are asked for
WHOLE = ("scores", "dataset")  # columns of names that are not broken where a table is narrow
SPARK = "▁▂▃▄▅▆▇█"


def overview(found: Overview, everything: bool = False) -> Iterator[Section]:
    """Scores, gates, and what is not built or suspicious."""
    if found.scores or not (found.answers or found.choices):
        head = f"scores: {len(found.scores)}" if found.scores else "nothing has been scored yet"
        yield Section(head, table=_scores(found.scores, found.baseline), whole=WHOLE)
    if found.answers:
        head = f"generated answers: {len(found.answers)}"
        yield Section(head, table=generated.overview(found.answers, found.baseline), whole=WHOLE)
    if found.choices:
        head = f"multiple choice: {len(found.choices)}"
        yield Section(head, table=generated.choices(found.choices), whole=WHOLE)
    every: list[Score | TextScore] = [*found.scores, *found.answers, *found.choices]
    yield from _sizes(found.scores)
    yield from _sizes([*found.answers, *found.choices])
    if found.gates:
        yield _gates(found, everything)
    yield from _problems(found.problems)
    if every:
        yield Section(f"more: `lmspec show {every[0].scores}`, `lmspec gate`, `lmspec diff`")


def _scores(scores: Sequence[Score], baseline: Mapping[str, str]) -> Table:
    note = (
        "[..]: 95 % interval; over majority, over linear: macro F1 minus that of the constant "
        "answer, and of the linear baseline, on the same examples"
    )
    heads = (
        "scores:name|dataset:name|examples:number|accuracy:number|macro F1:text"
        "|over majority:text|over linear:text"
    )
    rows = (_score(score, baseline) for score in scores)
    return tables.table("scores", heads, rows, note=note)


def _score(score: Score, baseline: Mapping[str, str]) -> Sequence[object]:
    is_baseline = baseline.get(score.dataset) == score.scores
    return (
        score.scores,
        score.dataset,
        f"{score.examples:,}",
        words.NONE if math.isnan(score.accuracy.value) else f"{score.accuracy.value:.3f}",
        level(score.macro_f1),
        signed(score.majority),
        "the baseline" if is_baseline else signed(score.linear),
    )


def _sizes(scores: Sequence[Score | TextScore]) -> Iterator[Section]:
    """Of each model and graph; a model of which nothing is known has no row."""
    each = {score.of: score for score in scores}
    rows = [
        (
            of,
            "" if score.bytes is None else size(score.bytes),
            "" if (speed := _speed(score)) is None else f"{speed:.{2 + _writes(score)}g}",
            "shipped" if score.shipped else "",
        )
        for of, score in each.items()
        if score.bytes is not None or _speed(score) is not None or score.shipped
    ]
    if rows:
        what = "tokens per second" if _writes(scores[0]) else "ms for one text"
        heads = f"scored:name|size:number|{what}:number|bundle:text"
        title = "size and speed" if _writes(scores[0]) else "size and latency"
        yield Section(title, table=tables.table("sizes", heads, rows))


def _writes(score: Score | TextScore) -> bool:
    return isinstance(score, TextScore)


def _speed(score: Score | TextScore) -> float | None:
    """In milliseconds for a text, or in tokens per second."""
    return score.tokens_per_second if isinstance(score, TextScore) else score.latency_ms


def _gates(found: Overview, everything: bool) -> Section:
    hidden = () if everything else ("pass", "out of date")
    open_ = [g for g in words.gates_by_urgency(found.gates) if g.verdict not in hidden]
    rows = ((words.gate_verdict(g), g.gate, g.observed, g.demand) for g in open_)
    heads = "verdict:verdict|gate:name|observed:text|demand:text"
    shown = tables.table("gates", heads, rows, map(words.gate_tone, open_))
    failing = any(not gate.passed for gate in found.gates)
    count = sum(gate.verdict == "out of date" for gate in found.gates)
    built = f", {count} are out of date" if count else ""
    head = f"gates: {words.passing(found.gates)}{built} (`lmspec gate` has those against a commit)"
    return Section(head, table=shown, tone="bad" if failing else "good")


def _problems(problems: Sequence[Problem]) -> Iterator[Section]:
    if problems:
        rows = ((p.artifact, p.found, p.remedy) for p in problems)
        heads = "artifact:name|found:name|what to do:text"
        shown = tables.table("to look at", heads, rows)
        yield Section(f"to look at: {len(problems)}", table=shown, tone="bad")


def detail(found: Detail, everything: bool = False) -> Iterator[Section]:
    """One artifact: what it is, its results, and how it was trained."""
    lines = [
        f"{what}: {', '.join(map(words.line, names))}"
        for what, names in (("made from", found.references), ("used by", found.used_by))
        if names
    ]
    yield Section(found.artifact, lines)
    yield from _problems(found.problems)
    if found.scored:
        yield Section("scores", table=_scores(found.scored, {}), whole=WHOLE)
    if found.written:
        yield Section("scores", table=generated.overview(found.written, {}), whole=WHOLE)
    for on in found.datasets:
        yield from _dataset(on, everything)
    for prompts in found.prompts:
        yield from generated.on_prompts(prompts)
    yield from suites.sections(found.suites)
    if found.traced is not None:
        yield from traces.sections(found.traced)
    if found.over_seeds:
        rows = ((name.replace("_", " "), level(mean)) for name, mean in found.over_seeds.items())
        means = tables.table("over seeds", "on dev:text|mean, 95 %:number", rows)
        yield Section(f"over {found.seeds} seeds, of which the first is kept", table=means)
    if found.curve:
        yield Section("training", table=_curve(found.curve))
    if found.ngrams:
        yield Section("heaviest n-grams", table=_ngrams(found, everything))
    shown_above = found.datasets or found.prompts or found.suites or found.traced
    facts = [] if shown_above else [*found.metrics.items()]
    if found.over_seeds and not everything:  # the values of each, and what is shown above
        facts = [fact for fact in facts if fact[0].partition(".")[0] not in SEEDS]
    if facts:
        shown = facts if everything else facts[:FACTS]
        left = f" (the first {FACTS}: --all shows them)" if len(shown) < len(facts) else ""
        rows = ((name, words.number(value)) for name, value in shown)
        facts_table = tables.table("metrics", "metric:name|value:number", rows)
        yield Section(f"metrics: {len(facts)}{left}", table=facts_table)
    noun = found.artifact.partition(".")[0]
    if noun in ("corpus", "splits"):
        yield Section(f"the texts: `lmspec data {found.artifact}`")


def _dataset(on: OnDataset, everything: bool) -> Iterator[Section]:
    score = on.score
    examples = f"{score.examples:,} test example{'s' * (score.examples != 1)}"
    head = f"on {words.line(score.dataset)}: {examples}"
    rows: list[tuple[object, ...]] = [
        (name.replace("_", " "), level(estimate), "" if estimate.why is None else estimate.why)
        for name, estimate in on.metrics.items()
        if not math.isnan(estimate.value)
    ]
    rows += [
        (f"macro F1 over {other}", signed(held), "")
        for other, held in (("majority", score.majority), ("linear", score.linear))
        if held is not None
    ]
    lines = []
    if score.answer is not None:
        lines = [f"nearly every answer is {words.line(score.answer)!r}"]
    table = tables.table("metrics", "metric:text|value, 95 %:number|remark:text", rows)
    yield Section(head, lines, table, "bad" if lines else "plain")
    if on.rates:
        yield _rates(on, everything)
    if on.classes:
        yield _classes(on, everything)
    if on.matrix is not None:
        yield Section("confusion (rows: true)", table=_matrix(on.labels, on.matrix))
    if on.confused and len(on.labels) > 2:
        pairs = ((c.label, c.predicted, f"{c.examples:,}", share(c.share)) for c in on.confused)
        heads = "label:name|answered:name|examples:number|of the label:number"
        yield Section("most confused", table=tables.table("confused", heads, pairs))
    if on.bins:
        yield Section("calibration", table=_bins(on))
    if on.parts:
        yield Section("by table and length", table=parts(on.parts))
    if on.mistakes:
        yield Section("most confident mistakes", table=_mistakes(on))


def _rates(on: OnDataset, everything: bool) -> Section:
    """How often it is unsure, and rates and gaps of groups."""
    rows = [(name, level(one)) for name, one in on.rates.items()]
    shown = rows if everything else rows[:FACTS]
    left = f" (the first {FACTS}: --all shows them)" if len(shown) < len(rows) else ""
    table = tables.table("rates", "metric:name|share, 95 %:text", shown)
    return Section(f"rates: {len(rows)}{left}", table=table)


def _classes(on: OnDataset, everything: bool) -> Section:
    shown = on.classes if everything else on.classes[:CLASSES]
    left = f" (the worst {CLASSES}: --all shows them)" if len(shown) < len(on.classes) else ""
    rows = (
        (
            one.label,
            f"{one.examples:,}",
            words.NONE if one.f1 is None else level(one.f1),
            share(one.precision),
            share(one.recall),
        )
        for one in shown
    )
    heads = "label:name|examples:number|F1:number|precision:number|recall:number"
    return Section(f"classes: {len(on.classes)}{left}", table=tables.table("classes", heads, rows))


def _matrix(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table:
    heads = "|".join(f"{words.line(label, 20).translate(SAFE)}:number" for label in labels)
    rows = ((label, *counts) for label, counts in zip(labels, matrix, strict=True))
    return tables.table("confusion", f"true \\ answered:name|{heads}", rows)


SAFE = str.maketrans({":": " ", "|": " "})  # what separates heads of a table


def _bins(on: OnDataset) -> Table:
    rows = (
        (
            f"{one.low:.2f} to {one.high:.2f}",
            f"{one.examples:,}",
            share(one.confidence),
            share(one.accuracy),
            f"{100 * (one.accuracy - one.confidence):+.1f}",
        )
        for one in on.bins
    )
    heads = "confidence:text|examples:number|mean:number|right:number|difference:number"
    return tables.table("calibration", heads, rows)


def _mistakes(on: OnDataset) -> Table:
    rows = (
        (
            one.label,
            one.predicted,
            share(one.confidence),
            words.line(one.id, 16),
            None if one.text is None else words.line(one.text, 300),
        )
        for one in on.mistakes
    )
    heads = "label:name|answered:name|confidence:number|id:name|text:text"
    here = any(one.text is not None for one in on.mistakes)
    note = "" if here else f"`dvc pull splits-{on.score.dataset}` brings their texts"
    return tables.table("mistakes", heads, rows, note=note)


def _curve(curve: Mapping[str, Sequence[float]]) -> Table:
    rows = (
        (name, words.number(column[0]), words.number(column[-1]), spark(column))
        for name, column in curve.items()
        if column and name != "epoch"
    )
    return tables.table("training", "column:name|first:number|last:number|course:text", rows)


def spark(column: Sequence[float], most: int = 40) -> str:
    """A row of bars, the lowest value the smallest; empty for less than three values."""
    finite = [value for value in column if math.isfinite(value)]
    if len(finite) < 3:
        return ""
    if len(finite) > most:
        finite = [finite[round(i * (len(finite) - 1) / (most - 1))] for i in range(most)]
    low, span = min(finite), max(finite) - min(finite) or 1.0
    return "".join(SPARK[min(7, int(8 * (value - low) / span))] for value in finite)


def _ngrams(found: Detail, everything: bool) -> Table:
    by_label: dict[str, list[str]] = {}
    for one in found.ngrams:
        by_label.setdefault(one.label, []).append(f"{one.ngram!r} {one.weight:+.2f}")
    most = None if everything else NGRAMS
    rows = ((label, ", ".join(listed[:most])) for label, listed in by_label.items())
    return tables.table("n-grams", "label:name|n-grams:text", rows)


def as_json(found: object) -> str:
    """One object; a number that JSON lacks is its name."""
    content: dict[str, Any] = values.finite(vars(found))
    return json.dumps(content, indent=2)
