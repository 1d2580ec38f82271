"""card: the model card of a model that writes, in Markdown.

Source: Mitchell et al. 2019, arXiv:1810.03993.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lmspec.methods import card
from lmspec.methods.coverage import percent
from lmspec.specs.bundle import BundleSpec
from lmspec.statistics import answers as statistics
from lmspec.statistics.answers import EXACT_MATCH, Formula, Part, TextScale
from lmspec.statistics.paired import Sample, split_metric
from lmspec.writing import answers

USE = """## How to use it

```
pip install -r requirements.txt
python predict.py "A prompt." "Another one."
python predict.py --jsonl asked.jsonl --text question > answered.jsonl
python predict.py --chat
```

Each prompt has one answer, in order; `--temperature`, `--seed`, `--new-tokens`, `--regex`,
`--json-schema` and the exit status are in `python predict.py --help`.

```python
from predict import Writer

writer = Writer("path/of/this/folder")
writer.write("A prompt.")
writer.chat([{"role": "user", "content": "A prompt."}])
for piece in writer.stream("A prompt."):
    print(piece, end="", flush=True)
```
"""
SHOWN = ("exact_match", "bleu", "chrf", "log_loss")
SHARES = ("exact_match",)  # in percent; the others as they are
COLUMNS = ("id", "table", "group", "label", "predicted")
CONFIDENCE = 0.95
LONG_TEXTS = {
    "leave_out": "Longer examples were left out of training",
    "cut_prompt": "Of a longer prompt the beginning is left out",
}
FIGURES = {  # metric of a graph -> what it is, in words
    "largest_logit_difference": "largest difference of a logit from the model's",
    "greedy_same": "dev prompts that graph and model answer alike",
    "loss": "loss of the graph before, nats a token",
    "loss_increase": "increase of the loss, nats a token (95 % interval)",
    "disagreement_rate": "tokens of which another one is the most probable",
    "mean_probability_difference": "mean difference of the probability of a token",
    "greedy_prefix": "mean share of an answer before its first other token",
    "batch_difference": "largest difference of a logit computed alone and beside others",
    "bytes": "bytes of the graph",
    "bytes_before": "bytes of the graph before",
}
Columns = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Example:
    """A conversation as the model sees it.

    pieces   of text, and whether they are learned
    tokens   of all of it; None if it is longer than an example of training
    learned  how many of these are learned
    """

    pieces: Sequence[tuple[str, bool]]
    tokens: int | None
    learned: int | None


@dataclass(frozen=True)
class Facts:
    """What a card says beside its spec.

    about    what lmspec.json says
    scores   `metrics.json` of the scores
    tables   scores artifact -> its table `answers`: the bundle's own first
    figures  metrics of the graph
    example  a scored example
    end      the token that ends an answer
    checked  scored prompts that predict.py answered as it was scored
    files    name -> SHA-256
    sizes    name -> bytes
    """

    about: Mapping[str, Any]
    scores: Mapping[str, Any]
    tables: Mapping[str, Columns]
    figures: Mapping[str, Any]
    example: Example
    end: str
    checked: int
    files: Mapping[str, str]
    sizes: Mapping[str, int]


class Value(NamedTuple):
    """A metric, and its interval of 95 %."""

    value: float
    low: float
    high: float


def model_card(spec: BundleSpec, facts: Facts) -> str:
    """The card of a bundle."""
    own = facts.scores["generation"]
    parts = [
        card.head(spec),
        f"## Intended use\n\n{card.STATED}{spec.intended_use.strip()}\n",
        f"## Limitations\n\n{card.STATED}{spec.limitations.strip()}\n",
        f"## What it reads\n\n{_example(facts.example, facts.end)}\n{_reads(facts.about)}",
        f"## How it writes\n\n{_writes(facts.about['generation'], facts.end)}"
        f"{_other(own, facts.about['generation'], spec.scores, facts.end)}",
        f"## How good it is\n\n{_scores(spec, facts)}\n{card.seen_texts(facts.scores)}",
        f"## How far the graph is from its model\n\n{_figures(spec, facts)}",
        f"## What was not tested\n\n{_untested(facts)}",
        card.data_of(facts.scores.get("data", {}), "answers"),
        USE,
        *card.service(spec),
        card.listed(facts.files),
    ]
    return "\n".join(part for part in parts if part)


def _example(example: Example, end: str) -> str:
    """The template, filled with an example, and what is learned of it."""
    lines = ["The first scored prompt with its reference, as the model sees it:\n"]
    for text, learned in example.pieces:
        lines.append(f"{'Learned' if learned else 'Read'}:\n\n{_fenced(text)}\n")
    if example.tokens is None:
        lines.append("It is longer than an example of training, as all scored prompts are.\n")
    else:
        lines.append(
            f"Of its {example.tokens} tokens {example.learned} are learned, among them the end of"
            f" the answer, {card.code(end)}.\n"
        )
    return "\n".join(lines)


def _fenced(text: str) -> str:
    """A block of code, whatever backticks are in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def _reads(about: Mapping[str, Any]) -> str:
    """How a prompt is repaired, and what is read of a long one."""
    clean = about["clean"]
    repairs = [
        "Unicode (mojibake, quotes, control characters; NFC)" if clean["fix_unicode"] else "",
        "HTML entities" if clean.get("unescape_html") else "",
        "white space at both ends" if clean.get("keep_lines") else "runs of white space",
    ]
    length, most = about["max_length"], about["max_past"]
    beyond = LONG_TEXTS.get(about["long_texts"], "")
    return (
        "`predict.py` repairs a prompt as those of training were: "
        f"{', '.join(filter(None, repairs))}. A special token in a prompt is read as the letters"
        " that it is written with.\n\n"
        f"It reads {most:,} tokens, prompt and answer together; the examples that it learned from"
        f" had at most {length:,}. {beyond}.\n"
    )


def _writes(rule: Mapping[str, Any], end: str) -> str:
    """How tokens are chosen, and when an answer ends."""
    decode = rule["decode"]
    if decode["kind"] == "greedy":
        how = "The most probable token each time"
    else:
        drawn = (f"{name} {value}" for name, value in decode.items() if name != "kind")
        how = f"Tokens are drawn: {', '.join(each for each in drawn if not each.endswith('None'))}"
    ends = [card.code(text) for text in (end, *rule["stop"])]
    text = f"{how}; at most {rule['new_tokens']:,} tokens. An answer ends at {' or '.join(ends)}."
    if rule["repetition_penalty"] is not None:
        text += f" Repetition penalty: {rule['repetition_penalty']}."
    if rule["end_penalty"] is not None:
        text += f" The logit of the end is lowered by {rule['end_penalty']}."
    if rule["constraint"] is not None:
        pattern = rule["constraint"].get("pattern")
        what = card.code(pattern) if pattern else "the JSON schema in `lmspec.json`"
        text += f" Every answer matches {what}."
    return (
        f"{text} The same prompt gets the same answer; with `--seed` another one can be drawn.\n"
        if decode["kind"] == "sample"
        else f"{text} The same prompt gets the same answer.\n"
    )


def _other(own: Mapping[str, Any], shipped: Mapping[str, Any], scores: str, end: str) -> str:
    """A warning where the scores are of texts that were generated in another way."""
    if own == shipped:
        return ""
    return (
        f"\n**The scores below, `{scores}`, are of answers that were generated in another way:**"
        f" {_writes(own, end)}"
    )


def _scores(spec: BundleSpec, facts: Facts) -> str:
    """A table of each dataset: the bundle's own scores, then the others."""
    of = {name: f"`{name}`" for name in facts.tables}
    of[str(spec.scores)] = f"**`{spec.scores}`, this bundle**"
    lines = [
        "On test prompts; in brackets the interval of 95 %, over groups where there are any.\n"
    ]
    for dataset, result in facts.scores["metrics"].items():
        shown = [name for name in SHOWN if name in result]
        lines.append(f"{dataset}:\n")
        lines.append(f"| scores | {' | '.join(shown)} | prompts |")
        lines.append(f"| --- |{' ---: |' * (len(shown) + 1)}")
        for name, table in facts.tables.items():
            values, size = measured(table, dataset)
            if size:
                cells = (_cell(metric, values.get(metric)) for metric in shown)
                lines.append(f"| {of[name]} | {' | '.join(cells)} | {size:,} |")
        lines.append(f"\n{_ends(result)}\n")
    return "\n".join(lines)


def _cell(metric: str, value: Value | None) -> str:
    if value is None:
        return ""
    scale, digits, unit = (100, 1, " %") if metric in SHARES else (1, 1, "")
    if metric == "log_loss":
        digits = 3
    numbers = [f"{scale * number:.{digits}f}" for number in value]
    return f"{numbers[0]}{unit} ({numbers[1]} to {numbers[2]})"


def _ends(result: Mapping[str, Any]) -> str:
    """How its answers end, and what is wrong with some."""
    stopped, facts = result.get("stopped", {}), []
    for words, share in (
        ("end by themselves", stopped.get("end")),
        ("end at the limit of tokens", stopped.get("limit")),
        ("are empty", result.get("empty")),
        ("decline", result.get("refusals")),
        ("end in a loop", result.get("repetitions")),
    ):
        if share is not None:
            facts.append(f"{percent(share)} {words}")
    return f"Of the answers of this bundle {', '.join(facts)}."


def measured(table: Columns, dataset: str) -> tuple[dict[str, Value], int]:
    """(metric -> its value and interval, number of prompts) of a dataset of a table `answers`.

    The interval is BCa over groups; that of the exact match is no narrower than its exact limits.
    """
    places = [i for i, name in enumerate(table["dataset"]) if name == dataset]
    sums = answers.read({name: [cells[i] for i in places] for name, cells in table.items()})
    if not places or sums is None:
        return {}, 0
    parts = {n: Part(each.numbers, each.worst) for n, each in sums.items() if n != EXACT_MATCH}
    side = statistics.of_columns([[table[n][i] for i in places] for n in COLUMNS], parts)
    formulas = {n: Formula(s.numbers.shape[1], s.of, s.low, s.high) for n, s in sums.items()}
    sample = Sample(side, TextScale(formulas))
    return {name: _value(sample, name) for name in SHOWN if name in sums}, len(places)


def _value(sample: Sample, name: str) -> Value:
    metric, level = split_metric((name,)), (1 - CONFIDENCE) / 2
    estimate = sample.value(metric)
    low, high = estimate.bound(level), estimate.bound(1 - level)
    if metric.of_answers:
        below, above = sample.margin(metric).at(1 - level, 1.0)
        low, high = min(low, estimate.value - below), max(high, estimate.value + above)
    least, most = sample.scale.limits(name)
    return Value(estimate.value, max(low, least), min(high, most))


def _figures(spec: BundleSpec, facts: Facts) -> str:
    """What was measured when the graph was made, and when it was bundled."""
    lines = [f"Measured when `{spec.of}` was built, on dev examples:\n", "| | |", "| --- | ---: |"]
    for name, words in FIGURES.items():
        if name in facts.figures:
            lines.append(f"| {words} | {_figure(name, facts.figures)} |")
    total = sum(facts.sizes.values())
    lines.append(f"| bytes of this folder, without the card | {total:,} |")
    lines.append("")
    if facts.figures.get("batch_difference") == 0:
        lines.append("An answer does not depend on what is answered beside it.")
    lines.append(
        f"Before it was shipped, `predict.py` answered {facts.checked} of the scored prompts: each"
        " text was the one that was scored.\n"
    )
    return "\n".join(lines)


def _figure(name: str, figures: Mapping[str, Any]) -> str:
    value = figures[name]
    if name == "loss_increase":
        low, high = figures["loss_increase_low"], figures["loss_increase_high"]
        return f"{value:.4f} ({low:.4f} to {high:.4f})"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _untested(facts: Facts) -> str:
    """What a reader might expect to have been measured."""
    return "".join(f"- {line}\n" for line in _gaps(facts))


def _gaps(facts: Facts) -> Iterator[str]:
    yield "prompts of other kinds and languages than those of the test splits above"
    yield "whether an answer is true, safe or fair; the metrics compare it with one reference"
    yield f"prompts and answers of more than {facts.about['max_length']:,} tokens together"
    yield "how good answers are with other arguments: `--temperature`, `--regex`, `--json-schema`"
    if facts.about["prompt"]["kind"] == "pair":
        yield "conversations: each prompt is answered by itself"
    else:
        yield "conversations that go on from the model's own answers"
    yield "processors with other instructions: they round otherwise, and a text can differ"
