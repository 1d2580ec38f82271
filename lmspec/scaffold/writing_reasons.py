"""writing_reasons: what was seen in prompts and answers, and what was chosen, for people."""

import math
from collections.abc import Iterator

from lmspec.methods.scalar import flow
from lmspec.scaffold import writing_choices
from lmspec.scaffold.beginning import WritingBeginning
from lmspec.scaffold.choices import MOST_TOKENS_PER_WORD
from lmspec.scaffold.wording import duration, quantile, sized
from lmspec.scaffold.writing_params import has_markup, percent

BYTES = 1 + 4 / 32  # of a weight in int8, with its share of the scale of 32
FEW = 200  # rows to train, from which a model learns a form at most


def lines(begun: WritingBeginning) -> Iterator[str]:
    """What was seen, then what was chosen and why."""
    yield from _seen(begun)
    table, chosen = begun.table, begun.choices
    shares = chosen.shares
    train, dev, test = (round(table.distinct * s) for s in (shares.train, shares.dev, shares.test))
    answered = chosen.reading.answered
    part = f", of which {answered} are answered" if answered else ""
    yield f"splits: {train:,} rows to train, {dev:,} to choose by, {test:,} to test{part}"
    swapped = ", with the first word of the prompt put in its place" if table.swaps else ""
    yield f"model.nearest: the answer of the nearest of {train:,} prompts{swapped}, the baseline"
    if not begun.letters.spaced:
        yield "  it compares words, which these scripts do not separate: expect little of it"
    if chosen.tuned is not None:
        yield from _tuned(begun, train)
    elif begun.named is None:
        yield "model.finetuned: give --weights for a model that writes answers of its own"
    else:
        yield f"model.finetuned: left out, as {_too_slow(begun)}"


def _seen(begun: WritingBeginning) -> Iterator[str]:
    table = begun.table
    rows = len(table.lengths)
    repeated = f", {rows - table.distinct:,} of them repeated" if rows > table.distinct else ""
    what = "prompts with an answer"
    if table.spec["turns"]["kind"] == "messages":
        turns = f"up to {table.turns:,} turns"
        systems = f", {table.systems:,} with a system prompt" if table.systems else ""
        what = f"conversations of {turns}{systems}"
    yield f"{rows:,} {what}{repeated}"
    middle, long = (quantile(sorted(table.lengths), share) for share in (0.5, 0.95))
    scripts = begun.letters.scripts.items()
    letters = ", ".join(f"{100 * s:.0f} % {name}" for name, s in scripts if s > 0.05) or "none"
    yield f"half have at most {middle:,} characters, 95 % at most {long:,}; letters: {letters}"
    yield from (f"  {note}" for note in table.notes)
    if table.several:
        kept = begun.choices.contradictions
        several = f"prompts with several answers: {table.several:,} of {table.prompts:,}"
        yield f"  {several} (`contradictions: {kept}` in params.yaml)"
    if begun.choices.alike:
        yield "  rows share most of their text, so near-duplicates are not looked for"
    if has_markup(table):
        yield "  rows are HTML or XML, so entities as &amp; stay (`unescape_html: false`)"


def _tuned(begun: WritingBeginning, train: int) -> Iterator[str]:
    chosen, weights, shown, counted = begun.choices, begun.weights, begun.shown, begun.counted
    tuned, read = chosen.tuned, chosen.reading
    assert weights and shown and counted and tuned
    if begun.letters.spaced and (words := counted.rows.per_word) > MOST_TOKENS_PER_WORD:
        yield (
            f"{weights.label}: its tokenizer makes {words:.1f} tokens of a word: it was made for"
            " other texts, by language or by subject"
        )
    if shown.known:
        why = f"{shown.style}, as its tokenizer has {' and '.join(shown.known[:2])}"
    else:
        why = f"{shown.style}, as its tokenizer has the special tokens of no form that is known"
    first = shown.prompt.get("template", shown.prompt.get("user"))
    yield f"prompt: {why}: {flow(first)}, and {shown.prompt['end']} ends an answer"
    cut = "cut their prompt" if read.long_texts == "cut_prompt" else "leave them out"
    longer = f"; {percent(read.cut)} have more: {cut}" if read.cut else ""
    yield (
        f"max_length: {read.max_length:,} tokens of prompt and answer{longer};"
        f" answers of up to {read.new_tokens:,}"
    )
    seconds = writing_choices.tuning_seconds(counted, weights, chosen, begun.table.distinct)
    how = "an adapter (LoRA) beside its" if tuned.adapted else "all"
    rows = f"{tuned.rows:,} of {train:,} rows" if tuned.rows else f"{train:,} rows"
    times = "once" if tuned.epochs == 1 else f"{tuned.epochs} times"
    yield (
        f"model.finetuned: {weights.label}, {how} {sized(weights.parameters)} parameters, trained"
        f" further on {rows}, {times}, {duration(seconds)}"
    )
    if train < FEW:
        yield f"  {train:,} rows to train are few: it learns their form, and little more"
    seconds = writing_choices.scoring_seconds(counted, weights, chosen, begun.table.distinct)
    yield f"model.untrained: the same weights as they are; both write answers, {duration(seconds)}"
    yield from _shipped(begun)
    yield "gates ask whether model.finetuned is better than both, and whether its answers end"


def _shipped(begun: WritingBeginning) -> Iterator[str]:
    weights, name = begun.weights, begun.table.name
    assert weights
    if begun.choices.graph is None:
        yield f"bundle: left out, as {weights.no_graph}"
        return
    size = math.ceil(weights.parameters * BYTES / 1e6)
    seconds = weights.parameters / writing_choices.SHIPPED
    yield (
        f"bundle.{name}: the graph of model.finetuned in int8, about {size:,} MB, checked,"
        f" {duration(seconds)}; scores.{name} are of it"
    )


def _too_slow(begun: WritingBeginning) -> str:
    """Why there is no fine-tuned model."""
    if begun.weights is None:
        return f"preset {begun.preset} has no time to learn"
    size = sized(begun.weights.parameters)
    more = "--preset best, or " if begun.preset == "balanced" else ""
    return (
        f"two cores would learn too few rows of {size} parameters in the time of preset"
        f" {begun.preset}: try {more}a smaller model"
    )
