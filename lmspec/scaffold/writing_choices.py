"""writing_choices: what a project of a model that writes begins with, by its rows and by time.

Thresholds are judgement where docs/choices.md gives no measurement.
"""

import math
from dataclasses import dataclass

from lmspec.errors import LmspecError
from lmspec.scaffold.causal import CausalWeights
from lmspec.scaffold.choices import Preset, Shares
from lmspec.scaffold.pairs import PairTable
from lmspec.scaffold.survey import Lengths

# Parameters times tokens a second, on two cores in fp32, measured with 135 million parameters.
LEARNED = 2.2e10
READ = 3 * LEARNED
WRITTEN = 9e9
ADAPTED = 1.3  # times the speed with an adapter, whose other weights need no gradient
TUNING = {"fast": 0, "balanced": 600, "best": 4800}  # seconds to fine-tune
SCORING = {"fast": 0, "balanced": 300, "best": 900}  # and to write the answers of one model
TEST, DEV = 500, 250  # rows
ANSWERED, FEWEST_ANSWERED = 300, 50  # of the test rows, since each takes a while
MOST_WHOLE = 500_000_000  # parameters that are all trained: each takes 16 bytes
SHORTEST, LONGEST = 32, 2048  # tokens of an example
SHORTEST_ANSWER, LONGEST_ANSWER = 16, 512
CHARS_PER_TOKEN = 3  # without a tokenizer
MOST_CUT = 0.05  # share of rows that are left out for their length
MOST_SEVERAL = 0.01  # share of prompts with several answers that are mistakes
STEPS, MOST_EPOCHS = 400, 4
BATCH, SMALL_BATCH, FEW = 16, 8, 500  # rows of a step, where there are few rows
TOKENS_AT_ONCE = 2048  # whose states are in memory, for the gradient
FEWEST_TO_TUNE = 320  # rows, unless there are fewer: what time allows has to be worth it
EVALUATIONS = 4
SHIPPED = 1e6  # parameters a second that become a graph, then int8, with the checks of both
FEWEST_PAST = 256  # tokens that a graph reads, unless the weights read fewer
CALIBRATED, FEWEST_CALIBRATED = 128, 8  # dev rows of a contract


@dataclass(frozen=True)
class Counted:
    """Tokens of a sample of rows; for one word, those of prompts.

    rows     prompt, answer and template
    answers  the last ones, with their end
    """

    rows: Lengths
    answers: Lengths


@dataclass(frozen=True)
class Reading:
    """How many tokens are read and written.

    cut, unfinished  share of the rows, and of the answers, that have more
    answered         test rows that are answered; None: all
    """

    max_length: int
    long_texts: str
    new_tokens: int
    cut: float
    unfinished: float
    answered: int | None


@dataclass(frozen=True)
class Tuned:
    """A fine-tuning. rows: of the train split; None: all."""

    rows: int | None
    epochs: int
    batch_size: int
    micro_batch_size: int | None
    steps: int
    peak_learning_rate: float
    evaluation_steps: int
    adapted: bool


@dataclass(frozen=True)
class Graph:
    """What ships: a graph in int8.

    max_past          tokens of prompt and answer that it reads
    calibration_rows  of the dev split
    """

    max_past: int
    calibration_rows: int


@dataclass(frozen=True)
class WritingChoices:
    """What `init` writes.

    contradictions  of a corpus
    alike           rows share so much text that near-duplicates would be nearly all
    tuned           None: there is only the answer of the nearest prompt
    graph           of the tuned model; None: no graph can be made of it, or there is none
    """

    shares: Shares
    contradictions: str
    alike: bool
    reading: Reading
    tuned: Tuned | None
    graph: Graph | None


def choices(
    table: PairTable,
    alike: bool,
    preset: Preset,
    weights: CausalWeights | None,
    counted: Counted | None,
) -> WritingChoices:
    """counted: None without weights. Raises LmspecError if the weights cannot read the rows."""
    parts = shares(table.distinct)
    several = table.several > MOST_SEVERAL * table.prompts
    tuned = shipped = None
    if weights is None or counted is None:
        read = unread(table)
    else:
        read = reading(counted, weights, preset, round(table.distinct * parts.test))
        tuned = tuning(counted, weights, preset, read, table.distinct, parts)
        shipped = graph(weights, read, round(table.distinct * parts.dev)) if tuned else None
    kept = "keep_all" if several else "keep_first"
    return WritingChoices(parts, kept, alike, read, tuned, shipped)


def shares(rows: int) -> Shares:
    """About 500 test rows, at most a quarter; 250 to stop early by, since each takes time."""
    test = round(min(0.25, TEST / rows), 4)
    dev = round(min(0.15, DEV / rows), 4)
    return Shares(round(1 - dev - test, 4), dev, test)


def unread(table: PairTable) -> Reading:
    """Without weights nothing is generated; the length is there for a model that comes later."""
    longest = max(len(turns[-1].content) for turns in table.sample)
    tokens = _multiple(8, longest / CHARS_PER_TOKEN, SHORTEST_ANSWER, LONGEST_ANSWER)
    return Reading(LONGEST, "leave_out", tokens, 0.0, 0.0, None)


def reading(counted: Counted, weights: CausalWeights, preset: Preset, test: int) -> Reading:
    """Lengths that hold 99 % of the rows and of the answers.

    test  rows of the test split
    Raises LmspecError if most answers are longer than what the weights read.
    """
    most = min(weights.positions or LONGEST, LONGEST)
    if counted.answers.cut(most) > 0.5:
        found = f"most answers have more than {most:,} tokens, the most that are read at once"
        raise LmspecError(weights.label, found, "shorten them, or name weights that read more")
    length = _multiple(16, counted.rows.quantile(0.99), SHORTEST, most)
    new = _multiple(8, counted.answers.quantile(0.99), SHORTEST_ANSWER, min(LONGEST_ANSWER, most))
    cut = counted.rows.cut(length)
    affordable = int(SCORING[preset] * WRITTEN / weights.parameters / new)
    answered = max(FEWEST_ANSWERED, min(ANSWERED, affordable))
    return Reading(
        length,
        "cut_prompt" if cut > MOST_CUT else "leave_out",
        new,
        cut,
        counted.answers.cut(new),
        answered if answered < test else None,
    )


def tuning(
    counted: Counted,
    weights: CausalWeights,
    preset: Preset,
    read: Reading,
    rows: int,
    parts: Shares,
) -> Tuned | None:
    """As many rows as time allows, more than once if they are few; None if it allows too few."""
    train, dev = round(rows * parts.train), round(rows * parts.dev)
    adapted = weights.parameters > MOST_WHOLE
    tokens = counted.rows.mean(read.max_length)
    left = TUNING[preset] - EVALUATIONS * dev * tokens * weights.parameters / READ
    affordable = int(max(0.0, left) / _seconds_a_row(weights, tokens, adapted))
    if affordable < min(train, FEWEST_TO_TUNE):
        return None
    batch = SMALL_BATCH if train < FEW else BATCH
    wanted = max(1, min(MOST_EPOCHS, round(STEPS * batch / train)))
    epochs = max(1, min(wanted, affordable // train))
    some = _rounded(affordable) if affordable < train else None
    steps = math.ceil((some or train) / batch) * epochs
    at_once = max(1, TOKENS_AT_ONCE // read.max_length)
    return Tuned(
        some,
        epochs,
        batch,
        at_once if at_once < batch else None,
        steps,
        learning_rate(weights.parameters, adapted),
        max(1, math.ceil(steps / EVALUATIONS)),
        adapted,
    )


def graph(weights: CausalWeights, read: Reading, dev: int) -> Graph | None:
    """It has room for an answer after the longest prompt. dev: rows of that split."""
    if weights.no_graph is not None:
        return None
    most = weights.positions or LONGEST
    past = _multiple(16, read.max_length + read.new_tokens, FEWEST_PAST, most)
    return Graph(past, max(FEWEST_CALIBRATED, min(CALIBRATED, dev)))


def learning_rate(parameters: int, adapted: bool) -> float:
    """At its peak: 3e-4 for 135 million parameters, 2e-5 for 7 billion; more for an adapter."""
    size = 135e6 / parameters
    rate = 1e-3 * size**0.5 if adapted else 3e-4 * size ** (2 / 3)
    low, high = (1e-4, 2e-3) if adapted else (1e-5, 1e-3)
    return float(f"{max(low, min(high, rate)):.1g}")


def tuning_seconds(
    counted: Counted, weights: CausalWeights, chosen: WritingChoices, rows: int
) -> float:
    """To fine-tune on two cores, evaluations included. rows: of the table."""
    tuned = chosen.tuned
    assert tuned is not None
    tokens = counted.rows.mean(chosen.reading.max_length)
    learned = (tuned.rows or rows * chosen.shares.train) * tuned.epochs
    judged = EVALUATIONS * rows * chosen.shares.dev * tokens * weights.parameters / READ
    return learned * _seconds_a_row(weights, tokens, tuned.adapted) + judged


def scoring_seconds(
    counted: Counted, weights: CausalWeights, chosen: WritingChoices, rows: int
) -> float:
    """To write the answers of both models on two cores, those of the untrained one at full
    length."""
    read = chosen.reading
    answered = read.answered or rows * chosen.shares.test
    tokens = read.new_tokens + counted.answers.mean(read.new_tokens)
    return answered * tokens * weights.parameters / WRITTEN


def _seconds_a_row(weights: CausalWeights, tokens: float, adapted: bool) -> float:
    return tokens * weights.parameters / (LEARNED * (ADAPTED if adapted else 1))


def _multiple(of: int, number: float, low: int, high: int) -> int:
    """The next one, within bounds."""
    return max(min(low, high), min(high, math.ceil(number / of) * of))


def _rounded(number: int) -> int:
    """To two digits, downwards."""
    unit: int = 10 ** max(0, len(str(number)) - 2)
    return number // unit * unit
