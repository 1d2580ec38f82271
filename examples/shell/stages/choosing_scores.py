"""scores of models that write by choice: the most likely of the answers that each row offers.

model or graph, splits -> choices.parquet, answers.parquet. stages/scores.py begins it.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents
from lmspec.methods import overlap
from lmspec.specs.generation import Choosing
from lmspec.specs.scores import MODELS, ScoresSpec
from lmspec.writing import answers, choosing
from lmspec.writing.choosing import Chosen
from lmspec.writing.generating import Decoder, Ids
from lmspec.writing.likelihood import nats
from lmspec.writing.prompting import ASSISTANT, PromptError, TooLong, Turn, Writer, prompt_of
from stages.writing_scores import of_graph, of_model

CHOICES = "choices"  # column of the rows, and the table in git
LIKELIHOODS = {
    "dataset": pl.String,
    "id": pl.String,
    "choice": pl.String,
    "right": pl.Boolean,
    "log_likelihood": pl.Float64,
    "bytes": pl.Int64,
}


@dataclass(frozen=True)
class Row:
    """A row of a test split. turns: the last one is the right choice."""

    id: str
    table: str
    group: str | None
    turns: Sequence[Turn]
    choices: Sequence[str]

    @property
    def right(self) -> int:
        """Index of the right choice."""
        return list(self.choices).index(self.turns[-1][1])

    def chosen(self, log_likelihoods: Sequence[float]) -> Chosen:
        """With the log probability of each choice."""
        fixed = (self.id, self.table, self.group, self.choices, self.right)
        return Chosen(*fixed, log_likelihoods)


def build(
    spec: ScoresSpec,
    rule: Choosing,
    needs: stage.Needs,
    overlaps: Sequence[overlap.Overlap],
    out: Path,
) -> stage.Report:
    """Choose in each row of each test split. Git keeps which choice, DVC their likelihoods."""
    open_ = of_model if spec.of.noun in MODELS else of_graph
    model, decoder = open_(needs[spec.of], needs)
    # a choice is never cut, whatever the longest example of the training
    unlimited = Writer(model.tokenizer, model.writer.prompt, sys.maxsize, "leave_out")
    results: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    likelihoods: list[tuple[Any, ...]] = []
    texts: list[tuple[str, ...]] = []
    for name in spec.on:
        given = read(needs[name], rule.rows, needs.bits.seed)
        count = sum(len(row.choices) for row in given)
        stage.say(f"{name.name}: {len(given):,} rows with {count:,} choices")
        examples = [ids for row in given for ids in encoded(row, model.writer, unlimited)]
        values = iter(log_likelihoods(examples, decoder, rule.with_end))
        found = [row.chosen([next(values) for _ in row.choices]) for row in given]
        written = choosing.rows(name.name, found)
        results[name.name] = choosing.metrics(found, written)
        mine = [each for each in overlaps if each.dataset == name]
        results[name.name]["overlap"] = overlap.count(mine)
        say(name.name, results[name.name])
        rows += written
        for one, row in zip(found, given, strict=True):
            asked = (name.name, row.id, prompt_of(row.turns))
            texts.append((*asked, row.choices[one.right], row.choices[one.picked]))
            for i, text in enumerate(row.choices):
                facts = i == one.right, one.log_likelihoods[i], len(text.encode())
                likelihoods.append((name.name, row.id, text, *facts))
    schema = dict.fromkeys(answers.TEXTS, pl.String)
    documents.write(pl.DataFrame(texts, schema=schema, orient="row"), out / answers.FILE)
    frame = pl.DataFrame(likelihoods, schema=LIKELIHOODS, orient="row")
    documents.write(frame, out / choosing.FILE)
    accepted = [each.model_dump() for each in spec.accepted_overlap]
    data = {str(name.name): documents.read_counts(needs[name]) for name in spec.on}
    summary: dict[str, Any] = {"of": spec.of, CHOICES: rule.model_dump()}
    summary |= {"metrics": results, "data": data, "accepted_overlap": accepted}
    (out / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    return stage.Report(results, {CHOICES: rows})


def read(splits: Path, rows: int | None, seed: int) -> list[Row]:
    """The test rows, in their order. Raises LmspecError if they have no choices."""
    frame = documents.read_split(splits, "test")
    if CHOICES not in frame.columns:
        found = "the rows of its test split have no choices"
        raise LmspecError(str(splits), found, "write `turns: {kind: choices, ...}` in the corpus")
    frame = frame[conversations.drawn(len(frame), rows, seed)]
    if frame.is_empty():
        raise LmspecError(str(splits), "its test split is empty", "give it a fraction above 0")
    columns = ("id", "table", "group", "turns", CHOICES)
    return [
        Row(row, table, group, [(turn["role"], turn["content"]) for turn in turns], choices)
        for row, table, group, turns, choices in frame.select(columns).iter_rows()
    ]


def encoded(row: Row, writer: Writer, unlimited: Writer) -> Iterator[tuple[Ids, Ids]]:
    """(prompt, choice with its end) of each choice: the prompt as the model was trained on it.

    unlimited  encodes as `writer` does, and cuts nothing: a choice is never cut
    """
    try:
        prompt = writer.prompt_ids(row.turns)
        start = len(unlimited.prompt_ids(row.turns))
        for text in row.choices:
            example = unlimited.example([*row.turns[:-1], (ASSISTANT, text)])
            assert not isinstance(example, TooLong)
            yield prompt, example[0][start:]
    except PromptError as error:
        raise LmspecError("architecture.prompt", error.found, error.remedy) from error


def log_likelihoods(
    examples: Sequence[tuple[Ids, Ids]], decoder: Decoder, with_end: bool
) -> list[float]:
    """Nats: log probability of each choice after its prompt.

    One that the model cannot read to its end has the least probability.
    """
    whole = [np.concatenate(each) for each in examples]
    logits = decoder.logits([ids for ids in whole if len(ids) <= decoder.positions])
    values = []
    for ids, (prompt, choice) in zip(whole, examples, strict=True):
        counted = len(choice) - (not with_end)
        if len(ids) > decoder.positions:
            values.append(-answers.WORST_TOKEN * counted)
        else:
            after = next(logits)[len(prompt) - 1 :]
            values.append(-nats(after[:counted], choice[:counted]))
    beyond = sum(len(ids) > decoder.positions for ids in whole)
    if beyond:
        stage.say(f"warning: {beyond:,} choices are longer than {decoder.positions:,} tokens")
    return values


def say(dataset: str, result: dict[str, Any]) -> None:
    """Print what people look at first."""
    shown = f"accuracy {result['accuracy']:.1%}, per byte {result['accuracy_per_byte']:.1%}"
    stage.say(f"{dataset}: {result['examples']:,} rows, {shown}; by chance {result['chance']:.1%}")
