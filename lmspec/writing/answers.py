"""answers: the table of generated answers that git keeps, and the metrics that follow from it.

    each = [answers.Answer(id, table, group, text, reference, nll, tokens), ...]
    rows = answers.rows(dataset, each)
    stage.Report({dataset: answers.metrics(each, rows)}, {"answers": rows})

A row has no text: hashes say whether it is the reference, and counts what both have in common.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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
OWN = "own."  # before the name of a metric of the project: `own.parses`
DIGITS = 6
STOPS = {"end": "end", "stop": "stop", "limit": "limit", "positions": "limit"}
WORST_TOKEN = -math.log(5e-7)  # nats; the smallest probability that a table of six digits tells
# columns of `Table.numbers`
EXAMPLES, RIGHT, NLL, TOKENS, BYTES = range(5)
BLEU = tuple(range(5, 5 + measuring.BLEU_SUMS))
CHRF = tuple(range(BLEU[-1] + 1, BLEU[-1] + 1 + measuring.CHRF_SUMS))
ROUGE_L = CHRF[-1] + 1


@dataclass(frozen=True)
class Answer:
    """A generated text beside its reference.

    nll         nats: minus the log probability of the reference and its end, by the model; None
                for a model without probabilities
    tokens      how many tokens that is the sum over; None with it
    new_tokens  generated, the end included; None for a model that looks answers up
    stopped     why the text ends, as generating.Token has it; "" with it
    own         metrics of the project, which are better if higher, by name
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


class Formula(NamedTuple):
    """A metric of a corpus, as a function of sums over its answers.

    columns    of `Table.numbers` that are summed
    of         (..., columns) sums -> (...) the metric
    low, high  what it can be
    """

    columns: tuple[int, ...]
    of: Callable[[Floats], Floats]
    low: float = 0.0
    high: float = math.inf


@dataclass(frozen=True)
class Table:
    """What answers add to the sums that metrics follow from, n rows of several datasets.

    numbers   (n, m) what each adds
    worst     (n, m) what it would add if it were wrong: with a text as long as the reference that
              has nothing in common with it, whose every token has nearly no probability
    formulas  metric -> how it follows from sums; only of what the table has
    """

    numbers: Floats
    worst: Floats
    formulas: Mapping[str, Formula]


def read(table: Mapping[str, Sequence[str]] | None) -> Table | None:
    """The numbers of a table by its columns of text; None if it holds no answers."""
    if table is None or any(name not in table for name in COLUMNS):
        return None
    own = [name for name in table if name.startswith(OWN)]
    size = len(table["id"])
    has_loss = size > 0 and any(table["nll"])
    try:
        loss = np.zeros((size, 2))
        if has_loss:
            loss = np.array([table["nll"], table["tokens"]], np.float64).T
        lengths, rouge = (np.array(table[name], np.float64) for name in ("bytes", "rouge_l"))
        further = np.array([table[name] for name in own], np.float64).reshape(len(own), size).T
        bleu = _counts(table["bleu"], measuring.WORDS)
        chrf = _counts(table["chrf"], measuring.CHARACTERS)
    except ValueError:
        return None
    right = np.array(table["label"]) == np.array(table["predicted"])
    base = np.column_stack([np.ones(size), right, loss, lengths])
    sums = measuring.bleu_sums(bleu), measuring.chrf_sums(chrf)
    numbers = np.hstack([base, *sums, rouge[:, None], further])
    if not np.isfinite(numbers).all() or (numbers[:, : ROUGE_L + 1] < 0).any():
        return None
    least = np.minimum(further.min(axis=0, initial=0.0), 0.0)
    base = np.column_stack([np.ones(size), np.zeros(size), loss, lengths])
    base[:, NLL] = np.maximum(loss[:, 0], WORST_TOKEN * loss[:, 1])
    sums = measuring.bleu_sums(measuring.wrong(bleu)), measuring.chrf_sums(measuring.wrong(chrf))
    worst = np.hstack([base, *sums, np.zeros((size, 1)), np.tile(least, (size, 1))])
    return Table(numbers, worst, _formulas(own, has_loss))


def _counts(cells: Sequence[str], longest: int) -> Ints:
    """(n, longest + 2) the integers of each cell. Raises ValueError if they are no such counts."""
    width = longest + 2
    counts = np.array([cell.split() for cell in cells], np.int64).reshape(len(cells), width)
    possible = np.maximum(counts[:, longest:].min(1)[:, None] - np.arange(longest), 0)
    if (counts < 0).any() or (counts[:, :longest] > possible).any():
        raise ValueError("more n-grams in common than there are")
    return counts


def _formulas(own: Sequence[str], has_loss: bool) -> dict[str, Formula]:
    formulas = {
        "exact_match": Formula((EXAMPLES, RIGHT), _mean, high=1.0),
        "bleu": Formula(BLEU, measuring.corpus_bleu, high=100.0),
        "chrf": Formula(CHRF, measuring.corpus_chrf, high=100.0),
        "rouge_l": Formula((EXAMPLES, ROUGE_L), _mean, high=1.0),
    }
    if has_loss:
        formulas["log_loss"] = Formula((TOKENS, NLL), _mean)
        formulas["bits_per_byte"] = Formula((BYTES, NLL), _bits)
    for place, name in enumerate(own, ROUGE_L + 1):
        formulas[name] = Formula((EXAMPLES, place), _mean, low=-math.inf)
    return formulas


def _mean(sums: Floats) -> Floats:
    """(...) of (..., 2): a number of things, and the sum over them."""
    size, total = sums[..., 0], sums[..., 1]
    return np.asarray(np.divide(total, size, out=np.full_like(size, np.nan), where=size > 0))


def _bits(sums: Floats) -> Floats:
    """(...) of (..., 2) bytes and nats: bits for each byte, whatever the tokenizer."""
    return _mean(sums) / math.log(2)


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
    table = read(columns)
    assert table is not None  # it was written above
    found = measured(table, np.arange(len(answers))) | _facts(answers)
    if "log_loss" in found:
        found["tokens"] = sum(answer.tokens or 0 for answer in answers)
        found["perplexity"] = math.exp(min(found["log_loss"], 700.0))
    names = sorted({answer.table for answer in answers})
    if len(names) > 1:
        of = np.array([answer.table for answer in answers])
        found["table"] = {name: measured(table, np.flatnonzero(of == name)) for name in names}
    return found


def measured(table: Table, places: Ints) -> dict[str, Any]:
    """The metrics of some rows of a table, those of the project under `own`."""
    sums = table.numbers[places].sum(0)  # (m,)
    values = {
        name: float(formula.of(sums[list(formula.columns)]))
        for name, formula in table.formulas.items()
    }
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
