"""answers: the table of generated answers that git keeps, and the metrics that follow from it.

    each = [answers.Answer(id, table, group, text, reference, nll, tokens), ...]
    rows = answers.rows(dataset, each)
    stage.Report({dataset: answers.metrics(each, rows)}, {"answers": rows})

A row has no text: hashes say whether it is the reference, and counts what both have in common.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from lmspec.writing import measuring
from lmspec.writing.measuring import Floats, Ints

COLUMNS = (
    "dataset",
    "id",
    "table",
    "group",
    "label",
    "predicted",
    "nll",
    "tokens",
    "bytes",
    "bleu",
    "chrf",
    "rouge_l",
    "new_tokens",
    "stopped",
)
# The texts themselves are in the output of the scores: `data/scores/NAME/answers.parquet`.
FILE = "answers.parquet"
TEXTS = ("dataset", "id", "prompt", "reference", "text")
OWN = "own."  # before the name of a metric of the project: `own.parses`
DIGITS = 6
STOPS = {"end": "end", "stop": "stop", "limit": "limit", "positions": "limit"}
WORST_TOKEN = -math.log(5e-7)  # nats; the smallest probability that a table of six digits tells


@dataclass(frozen=True)
class Answer:
    """A generated text beside its reference.

    nll         nats: minus the log probability of the reference and its end, by the model; None
                for a model without probabilities
    tokens      how many tokens that is the sum over; None with it
    new_tokens  generated, the end included; None for a model that looks answers up
    stopped     why the text ends, as generating.Token has it; "" with it
    own         metrics of the project by name
    """

    id: str
    table: str
    group: str | None
    text: str
    reference: str
    nll: float | None = None
    tokens: int | None = None
    new_tokens: int | None = None
    stopped: str = ""
    own: Mapping[str, float] = field(default_factory=dict)


def rows(dataset: str, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The rows of a dataset in the table `answers`, one an answer.

    label, predicted  16 hex digits of reference and text: equal where they match exactly
    bytes             of the reference in UTF-8
    bleu, chrf        integers between spaces, see `measuring.bleu_counts` and `chrf_counts`
    """
    return [_row(dataset, answer) for answer in answers]


def _row(dataset: str, answer: Answer) -> dict[str, Any]:
    text, reference = answer.text, answer.reference
    cells = (
        dataset,
        answer.id,
        answer.table,
        answer.group or "",
        measuring.digest(reference),
        measuring.digest(text),
        None if answer.nll is None else round(answer.nll, DIGITS),
        answer.tokens,
        len(reference.encode("utf-8", "surrogatepass")),
        " ".join(map(str, measuring.bleu_counts(text, reference))),
        " ".join(map(str, measuring.chrf_counts(text, reference))),
        round(measuring.rouge_l(text, reference), DIGITS),
        answer.new_tokens,
        answer.stopped,
    )
    own = {OWN + name: round(value, DIGITS) for name, value in answer.own.items()}
    return dict(zip(COLUMNS, cells, strict=True)) | own


class Sums(NamedTuple):
    """A metric of a corpus, as a function of sums over its answers.

    numbers    (n, k) what each answer adds
    worst      (n, k) what it would add if it were wrong: a text as long as the reference, with
               nothing in common with it, each token of which has nearly no probability
    of         (..., k) sums -> (...) the metric
    low, high  what it can be
    """

    numbers: Floats
    worst: Floats
    of: Callable[[Floats], Floats]
    low: float
    high: float


def read(
    table: Mapping[str, Sequence[str]] | None, lower: Collection[str] = ()
) -> dict[str, Sums] | None:
    """Metric -> the sums that it follows from, by the columns of a table; None if it is no such.

    lower  metrics of the project that are better if lower; all are called `own.NAME`
    A table without losses has no metric of them.
    """
    if table is None or any(name not in table for name in COLUMNS):
        return None
    try:
        found = dict(_sums(table, lower))
    except ValueError:
        return None
    every = [numbers for each in found.values() for numbers in (each.numbers, each.worst)]
    if not all(np.isfinite(numbers).all() for numbers in every):
        return None
    usual = (each.numbers for each in found.values() if each.low == 0)
    return None if any((numbers < 0).any() for numbers in usual) else found


def _sums(table: Mapping[str, Sequence[str]], lower: Collection[str]) -> Iterator[tuple[str, Sums]]:
    right = np.array(table["label"]) == np.array(table["predicted"])
    one, none = np.ones(len(right)), np.zeros(len(right))

    def average(of: Floats, worst: Floats, low: float, high: float) -> Sums:
        return Sums(_columns(one, of), _columns(one, worst), mean, low, high)

    yield "exact_match", average(right.astype(np.float64), none, 0.0, 1.0)
    bleu = _counts(table["bleu"], measuring.WORDS)
    sums = measuring.bleu_sums(bleu), measuring.bleu_sums(measuring.wrong(bleu))
    yield "bleu", Sums(*sums, measuring.corpus_bleu, 0.0, 100.0)
    chrf = _counts(table["chrf"], measuring.CHARACTERS)
    sums = measuring.chrf_sums(chrf), measuring.chrf_sums(measuring.wrong(chrf))
    yield "chrf", Sums(*sums, measuring.corpus_chrf, 0.0, 100.0)
    yield "rouge_l", average(np.array(table["rouge_l"], np.float64), none, 0.0, 1.0)
    if any(table["nll"]):
        nll, tokens, size = (np.array(table[n], np.float64) for n in ("nll", "tokens", "bytes"))
        worst = np.maximum(nll, WORST_TOKEN * tokens)
        numbers = _columns(tokens, nll), _columns(tokens, worst)
        yield "log_loss", Sums(*numbers, mean, 0.0, math.inf)
        numbers = _columns(size, nll), _columns(size, worst)
        yield "bits_per_byte", Sums(*numbers, _bits, 0.0, math.inf)
    for name in (name for name in table if name.startswith(OWN)):
        values = np.array(table[name], np.float64)
        worst = values.max(initial=0.0) if name in lower else values.min(initial=0.0)
        yield name, average(values, none + worst, -math.inf, math.inf)


def _columns(*columns: Floats) -> Floats:
    return np.stack(columns, axis=1)


def _counts(cells: Sequence[str], longest: int) -> Ints:
    """(n, longest + 2) the integers of each cell. Raises ValueError if they are no such counts."""
    width = longest + 2
    counts = np.array([cell.split() for cell in cells], np.int64).reshape(len(cells), width)
    possible = np.maximum(counts[:, longest:].min(1)[:, None] - np.arange(longest), 0)
    if (counts < 0).any() or (counts[:, :longest] > possible).any():
        raise ValueError("more n-grams in common than there are")
    return counts


def mean(sums: Floats) -> Floats:
    """(...) of (..., 2): a number of things, and the sum over them."""
    size, total = sums[..., 0], sums[..., 1]
    return np.asarray(np.divide(total, size, out=np.full_like(size, np.nan), where=size > 0))


def _bits(sums: Floats) -> Floats:
    """(...) of (..., 2) bytes and nats: bits for each byte, whatever the tokenizer."""
    return mean(sums) / math.log(2)


def metrics(answers: Sequence[Answer], written: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The metrics of a dataset, and of each of its tables where there are several.

    written  `rows` of the answers; the metrics follow from them, so that a reader gets the same
    Also facts, most of them shares of the answers: why they ended, how many are empty, decline
    (`measuring.is_refusal`) or loop (`measuring.is_repetitive`). Raises ValueError if there are
    no answers.
    """
    if not answers:
        raise ValueError("no answers to measure")
    columns = {
        name: ["" if row[name] is None else str(row[name]) for row in written]
        for name in written[0]
    }
    sums = read(columns)
    if sums is None:
        raise ValueError("`written` is not what `rows` makes of answers")
    found = measured(sums, np.arange(len(answers))) | _facts(answers)
    if "log_loss" in found:
        found["tokens"] = sum(answer.tokens or 0 for answer in answers)
        found["perplexity"] = math.exp(min(found["log_loss"], 700.0))
    names = sorted({answer.table for answer in answers})
    if len(names) > 1:
        of = np.array([answer.table for answer in answers])
        found["table"] = {name: measured(sums, np.flatnonzero(of == name)) for name in names}
    return found


def measured(sums: Mapping[str, Sums], places: Ints) -> dict[str, Any]:
    """The metrics of some rows of a table, those of the project under `own`."""
    values = {name: float(each.of(each.numbers[places].sum(0))) for name, each in sums.items()}
    found: dict[str, Any] = {"examples": len(places)}
    found |= {name: value for name, value in values.items() if not name.startswith(OWN)}
    own = {name[len(OWN) :]: value for name, value in values.items() if name.startswith(OWN)}
    return found | ({"own": own} if own else {})


def _facts(answers: Sequence[Answer]) -> dict[str, Any]:
    size, texts = len(answers), [answer.text for answer in answers]
    facts: dict[str, Any] = {
        "empty": sum(not text.strip() for text in texts) / size,
        "refusals": sum(map(measuring.is_refusal, texts)) / size,
        "repetitions": sum(map(measuring.is_repetitive, texts)) / size,
    }
    lengths = [answer.new_tokens for answer in answers if answer.new_tokens is not None]
    if lengths:
        ends = Counter(STOPS[answer.stopped] for answer in answers)
        facts["mean_new_tokens"] = sum(lengths) / len(lengths)
        facts["stopped"] = {name: ends[name] / size for name in dict.fromkeys(STOPS.values())}
    return facts
