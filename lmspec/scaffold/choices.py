"""choices: what a new project begins with, from what its table looks like; each with its reason.

Thresholds are judgement where docs/choices.md gives no measurement; `bench/first.py` measures what
they come to.
"""

import math
from dataclasses import dataclass
from typing import Literal

from lmspec.scaffold.survey import Lengths, Survey
from lmspec.scaffold.weights import Weights

Preset = Literal["fast", "balanced", "best"]
PRESETS: tuple[Preset, ...] = ("fast", "balanced", "best")
MULTIPLICATIONS_PER_SECOND = 4e10  # of an encoder on two cores (MiniLM: 4,000 tokens, forward)
# Seconds on two cores that an encoder may take to read all texts once; and to be fine-tuned.
READING = {"fast": 0, "balanced": 400, "best": 1800}
TUNING = 3600
FEWEST_TO_TUNE = 700  # training rows; below, a frozen encoder is as good and far more stable
FEWEST_PER_LABEL = 300  # training rows of a label on average, from which a fine-tuned model ships
MOST_TOKENS_PER_WORD = 1.9  # from which a tokenizer was made for other texts
MOST_UNKNOWN = 0.02
DOMINANT = 0.6  # share of a label from which a constant answer tempts
MOST_CUT = 0.3  # further texts that may be cut to save time
SHORTEST, LONGEST = 16, 512
TUNING_BATCH = 16
TUNING_STEPS = 1500


@dataclass(frozen=True)
class Shares:
    """Of the rows, in each split."""

    train: float
    dev: float
    test: float


@dataclass(frozen=True)
class Linear:
    """Values of a model of kind linear that depend on the table."""

    word_ngrams: tuple[int, int] | None
    char_ngrams: tuple[int, int]
    families: tuple[str, ...]
    min_documents: int
    max_features: int
    class_weights: str


@dataclass(frozen=True)
class Reading:
    """How many tokens of each text an encoder reads, and what of longer ones."""

    max_length: int
    long_texts: str


@dataclass(frozen=True)
class Tuning:
    """Values of a fine-tuning that depend on the table and the weights."""

    reading: Reading
    frozen_layers: int
    epochs: int
    batch_size: int
    steps: int
    peak_learning_rate: float
    evaluation_steps: int


@dataclass(frozen=True)
class Choices:
    """What `init` writes.

    hybrid, tuning  None: no such model
    ships           name of the model that is exported
    """

    shares: Shares
    linear: Linear
    hybrid: Reading | None
    tuning: Tuning | None
    ships: str

    @property
    def class_weights(self) -> str:
        """Of every model."""
        return self.linear.class_weights


def shares(rows: int) -> Shares:
    """About 1,000 test rows if that is at most a quarter: their number decides what shows."""
    test = round(max(0.1, min(0.25, 1000 / rows)), 2)
    dev = round(max(0.1, min(0.15, 500 / rows)), 2)
    if rows > 200_000:
        dev = test = round(max(0.01, 20_000 / rows), 3)
    return Shares(round(1 - dev - test, 3), dev, test)


def linear(seen: Survey) -> Linear:
    """Words and characters; where nothing separates words, characters alone."""
    return Linear(
        word_ngrams=(1, 2) if seen.spaced else None,
        char_ngrams=(2, 5) if seen.spaced else (1, 3),
        families=("both", "words", "characters") if seen.spaced else ("characters",),
        min_documents=2 if seen.rows >= 2000 else 1,
        max_features=200_000,
        class_weights=class_weights(seen),
    )


def class_weights(seen: Survey) -> str:
    """Balanced where one label has most of the rows, so that the others are not given up."""
    return "balanced" if seen.majority > DOMINANT else "none"


def fits(counted: Lengths, seen: Survey) -> bool:
    """Was the tokenizer made for such texts?"""
    split_up = seen.spaced and counted.per_word > MOST_TOKENS_PER_WORD
    return not split_up and counted.unknown <= MOST_UNKNOWN


def reading(counted: Lengths, weights: Weights, rows: int, seconds: float) -> Reading | None:
    """The shortest length that holds 95 % of the texts, less if that takes too long.

    None if it takes too long even where many texts are cut.
    """
    length = min(weights.most_tokens, LONGEST)
    while length > SHORTEST and length // 2 >= counted.quantile(0.95):
        length //= 2
    wanted = length
    while reading_seconds(counted, weights, rows, length) > seconds:
        length //= 2
        if length < SHORTEST or counted.cut(length) > counted.cut(wanted) + MOST_CUT:
            return None
    # the start and the end of a text say more about it than its start alone
    return Reading(length, "head_tail" if counted.cut(length) > 0.05 else "truncate")


def reading_seconds(counted: Lengths, weights: Weights, rows: int, length: int) -> float:
    """To read every text once, on two cores."""
    return rows * counted.mean(length) * weights.multiplications / MULTIPLICATIONS_PER_SECOND


def tuning(
    counted: Lengths, weights: Weights, seen: Survey, train: int, preset: Preset
) -> Tuning | None:
    """None if there are too few rows, or it takes too long."""
    if preset != "best" or train < FEWEST_TO_TUNE or not fits(counted, seen):
        return None
    per_epoch = math.ceil(train / TUNING_BATCH)
    epochs = max(1, min(10, round(TUNING_STEPS / per_epoch)))
    frozen = weights.layers // 3
    seconds = TUNING / epochs / _passes(weights, frozen)
    read = reading(counted, weights, train, seconds)
    if read is None:
        return None
    return Tuning(
        read,
        frozen,
        epochs,
        TUNING_BATCH,
        per_epoch * epochs,
        peak_learning_rate=round(2e-4 * min(1.0, 384 / weights.width), 6),
        evaluation_steps=max(10, math.ceil(per_epoch * epochs / 6)),
    )


def tuning_seconds(counted: Lengths, weights: Weights, train: int, chosen: Tuning) -> float:
    """To fine-tune on two cores."""
    once = reading_seconds(counted, weights, train, chosen.reading.max_length)
    return once * chosen.epochs * _passes(weights, chosen.frozen_layers)


def _passes(weights: Weights, frozen_layers: int) -> float:
    """Work of a training step in passes forward: a layer that is trained takes two more."""
    return 1 + 2 * (weights.layers - frozen_layers) / weights.layers


def choices(
    seen: Survey, preset: Preset, weights: Weights | None, counted: Lengths | None
) -> Choices:
    """counted: tokens of the texts as the weights' tokenizer has them; None without weights."""
    parts = shares(seen.rows)
    hybrid, tuned, ships = None, None, "linear"
    if weights is not None and counted is not None:
        hybrid = reading(counted, weights, seen.rows, READING[preset])
        train = round(seen.rows * parts.train)
        tuned = tuning(counted, weights, seen, train, preset)
        ships = "hybrid" if hybrid else "linear"
        if tuned is not None and train >= FEWEST_PER_LABEL * len(seen.labels):
            ships = "finetuned"
    return Choices(parts, linear(seen), hybrid, tuned, ships)
