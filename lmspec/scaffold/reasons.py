"""reasons: what was seen in a table and what was chosen for it, in a few lines for people."""

import math
from collections.abc import Iterator

from lmspec.errors import some
from lmspec.scaffold import choices, writing_reasons
from lmspec.scaffold.beginning import Beginning, WritingBeginning
from lmspec.scaffold.wording import duration, quantile

FEW = 10  # rows of a label; with fewer, a split may hold one or none


def lines(begun: Beginning | WritingBeginning) -> Iterator[str]:
    """What was seen, then what was chosen and why."""
    if isinstance(begun, WritingBeginning):
        yield from writing_reasons.lines(begun)
        return
    yield from _seen(begun)
    shares = begun.choices.shares
    rows = begun.seen.rows
    test = round(rows * shares.test)
    yield (
        f"splits: {round(rows * shares.train):,} texts to train, {round(rows * shares.dev):,} to "
        f"choose by, {test:,} to test: an accuracy near 80 % is known to ±{_margin(test):.0f} "
        "points"
    )
    yield from _models(begun)


def _margin(test: int) -> float:
    """Half of a 95 % interval of an accuracy of 80 %, in points."""
    return 196 * math.sqrt(0.8 * 0.2 / max(1, test))


def _seen(begun: Beginning) -> Iterator[str]:
    seen, table = begun.seen, begun.table
    rows = len(table.lengths)
    repeated = f", {rows - seen.rows:,} of them repeated" if rows > seen.rows else ""
    counts = [f"{label} {count:,}" for label, count in table.labels.items()]
    yield f"{rows:,} texts with a label{repeated}: {some(counts)}"
    middle, long = (quantile(seen.characters, share) for share in (0.5, 0.95))
    shares = ((name, 100 * share) for name, share in seen.scripts.items())
    scripts = ", ".join(f"{share:.0f} % {name}" for name, share in shares if share > 5) or "none"
    yield f"half have at most {middle:,} characters, 95 % at most {long:,}; letters: {scripts}"
    yield from (f"  {note}" for note in table.notes)
    few = [f"{label} ({count})" for label, count in seen.labels.items() if count < FEW]
    if few:
        yield f"labels with fewer than {FEW} rows, of which a test says little: {some(few)}"


def _models(begun: Beginning) -> Iterator[str]:
    chosen, seen = begun.choices, begun.seen
    linear = chosen.linear
    words = "words and parts of words" if linear.word_ngrams else "characters"
    balanced = ""
    if linear.class_weights == "balanced":
        times = f"the most frequent has {seen.imbalance:.0f} times the rows of the rarest"
        balanced = f"; rare labels weigh more: {times}"
    yield f"model.linear: {words} counted, the baseline{balanced}"
    yield from _pretrained(begun)
    if chosen.ships != "linear":
        yield f"model.{chosen.ships} ships; a gate asks whether it is worse than model.linear"


def _pretrained(begun: Beginning) -> Iterator[str]:
    chosen, weights, counted = begun.choices, begun.weights, begun.counted
    if weights is None or counted is None:
        return
    fits = choices.fits(counted, begun.seen)
    if not fits:
        yield (
            f"{weights.label}: its tokenizer makes {counted.per_word:.1f} tokens of a word and "
            f"does not know {100 * counted.unknown:.1f} %: it was made for other texts, "
            "by language or by subject"
        )
    if chosen.hybrid is not None:
        seconds = choices.reading_seconds(
            counted, weights, begun.seen.rows, chosen.hybrid.max_length
        )
        read = _read(begun, chosen.hybrid, "the beginning")
        yield f"model.hybrid: the same and {weights.label} as it is, {read}, {duration(seconds)}"
    if chosen.tuning is not None:
        tuning = chosen.tuning
        rows = round(begun.seen.rows * chosen.shares.train)
        seconds = choices.tuning_seconds(counted, weights, rows, tuning)
        read = _read(begun, tuning.reading, "the beginning and the end")
        yield (
            f"model.finetuned: {weights.label}, trained further for {tuning.steps:,} steps, "
            f"{read}, {duration(seconds)}"
        )
    elif begun.preset == "best":
        yield f"model.finetuned: left out, as {_no_tuning(begun, fits)}"
    if chosen.hybrid is None and chosen.tuning is None:
        texts = f"{begun.seen.rows:,} texts with it"
        yield f"{weights.label}: left out, as preset {begun.preset} has no time to read {texts}"


def _no_tuning(begun: Beginning, fits: bool) -> str:
    """Why there is no fine-tuned model."""
    rows = round(begun.seen.rows * begun.choices.shares.train)
    if rows < choices.FEWEST_TO_TUNE:
        return f"{rows:,} texts to train are fewer than {choices.FEWEST_TO_TUNE:,}"
    if not fits:
        return "its tokenizer was made for other texts"
    return "it would take too long"


def _read(begun: Beginning, reading: choices.Reading, part: str) -> str:
    """part: what is read of a longer text."""
    cut = begun.cut(reading.max_length)
    left = f" ({part} of the {100 * cut:.0f} % that have more)" if cut > 0.05 else ""
    return f"{reading.max_length} tokens of a text{left}"
