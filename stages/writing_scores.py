"""scores of models that write: answers to the prompts of test splits, beside their references.

model, splits -> answers.parquet. stages/scores.py begins it.
"""

import importlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, decoding, documents, kinds
from lmspec.methods import overlap
from lmspec.specs.generation import Decoding, Generation
from lmspec.specs.scores import DECODER, GRADING, MODELS, ScoresSpec
from lmspec.writing import answers, generating, measuring
from lmspec.writing.answers import Answer
from lmspec.writing.likelihood import nats
from lmspec.writing.prompting import PromptError, TooLong, Turn, Writer, prompt_of
from lmspec.writing.requesting import requested

# by their names: they are in the keys of those scores alone that use them
WRITER, NEAREST = "lmspec.formats.writer", "lmspec.formats.nearest"
TORCH, CONSTRAINTS = "lmspec.writing.torchdecoder", "lmspec.writing.constraining"
TURNS = "turns"  # of answers.parquet: what was asked, with all that came before
EVERY = 50  # answers from one line of progress to the next


@dataclass(frozen=True)
class Answered:
    """An answer, and how likely the reference is.

    nll, tokens, new_tokens, stopped  as those of answers.Answer
    """

    text: str
    nll: float | None = None
    tokens: int | None = None
    new_tokens: int | None = None
    stopped: str = ""


class Answering(Protocol):
    """What answers prompts."""

    def each(self, dialogues: Sequence[Sequence[Turn]], dataset: str) -> Iterator[Answered]:
        """An answer to what is before the last turn of each, which is its reference."""


def build(
    spec: ScoresSpec,
    generation: Generation,
    needs: stage.Needs,
    overlaps: Sequence[overlap.Overlap],
    out: Path,
) -> stage.Report:
    """Answer the prompts of each test split. Git keeps counts of each answer, DVC the texts."""
    grade = graded(generation, needs.root)
    model = opened(spec, generation, needs)
    results: dict[str, Any] = {}
    rows: list[dict[str, Any]] = []
    texts: list[tuple[Any, ...]] = []
    for name in spec.on:
        frame, dialogues = read(needs[name], generation.rows, needs.bits.seed)
        references = [dialogue[-1][1] for dialogue in dialogues]
        for line in measuring.remarks(references):
            stage.say(f"{name.name}: {line}")
        grade("the first reference", references[0], references[0])  # before the long part
        answered = model.each(dialogues, name.name)
        found = [
            Answer(row, table, group, reference=ref, own=grade(row, each.text, ref), **vars(each))
            for (row, table, group), each, ref in zip(
                frame.rows(), answered, references, strict=True
            )
        ]
        written = answers.rows(name.name, found)
        results[name.name] = answers.metrics(found, written)
        mine = [each for each in overlaps if each.dataset == name]
        results[name.name]["overlap"] = overlap.count(mine)
        say(name.name, results[name.name])
        rows += written
        texts += [
            (
                name.name,
                answer.id,
                prompt_of(dialogue),
                answer.reference,
                answer.text,
                [{"role": role, "content": content} for role, content in dialogue[:-1]],
            )
            for answer, dialogue in zip(found, dialogues, strict=True)
        ]
    schema: dict[str, Any] = {**dict.fromkeys(answers.TEXTS, pl.String), TURNS: documents.TURNS}
    documents.write(pl.DataFrame(texts, schema=schema, orient="row"), out / answers.FILE)
    accepted = [each.model_dump() for each in spec.accepted_overlap]
    data = {str(name.name): documents.read_counts(needs[name]) for name in spec.on}
    settled = decoding.settled(generation, needs.root)
    summary: dict[str, Any] = {"of": spec.of, "batch_size": spec.batch_size, "generation": settled}
    summary |= {"metrics": results, "data": data, "accepted_overlap": accepted}
    (out / "metrics.json").write_text(json.dumps(summary, indent=2) + "\n")
    better = {f"{answers.OWN}{metric.name}": metric.better for metric in generation.own}
    return stage.Report(results, {"answers": rows}, better)


def graded(generation: Generation, root: Path) -> Callable[[str, str, str], dict[str, float]]:
    """What the metrics of the project say of an answer: (its row, it, its reference) -> each."""
    if not generation.own:
        return lambda row, text, reference: {}
    graders: Any = importlib.import_module(GRADING).Graders(generation.own, root)
    grades: Callable[[str, str, str], dict[str, float]] = graders.grades
    return grades


def read(splits: Path, rows: int | None, seed: int) -> tuple[pl.DataFrame, list[list[Turn]]]:
    """(id, table and group; the turns) of the test rows that are answered, in their order."""
    frame = documents.read_split(splits, "test", ["id", "table", "group"])
    chosen = conversations.drawn(len(frame), rows, seed)
    return frame[chosen], list(conversations.read_turns(splits, "test", rows, seed))


def opened(spec: ScoresSpec, generation: Generation, needs: stage.Needs) -> Answering:
    """The model that is scored, ready to answer."""
    is_model = spec.of.noun in MODELS
    if is_model and kinds.kind_of(needs[spec.of]) == "nearest":
        return LookedUp(importlib.import_module(NEAREST).read(needs[spec.of]).model)
    model, decoder = (of_model if is_model else of_graph)(needs[spec.of], needs)
    constraint = constrained(generation, model, decoder, needs.root)
    unlimited = Writer(model.tokenizer, model.writer.prompt, sys.maxsize, "leave_out")
    return Generated(model.writer, unlimited, decoder, generation, constraint, spec.batch_size)


def of_model(folder: Path, needs: stage.Needs) -> tuple[Any, generating.Decoder]:
    """A model with its tokenizer, and what decodes it. Raises LmspecError if it writes nothing."""
    if (kind := kinds.kind_of(folder)) != "causal":
        found, remedy = f"a model of kind {kind} generates nothing", "give calibration_bins instead"
        raise LmspecError("scores.generation", found, remedy)
    model = importlib.import_module(WRITER).read(folder)
    model.model.to(needs.machine.device)
    return model, importlib.import_module(TORCH).TorchDecoder(model.model)


def of_graph(folder: Path, needs: stage.Needs) -> tuple[Any, generating.Decoder]:
    """A graph with its tokenizer, and what decodes it."""
    graph = importlib.import_module(DECODER).read(folder, needs.bits.threads)
    return graph, graph.decoder


def constrained(
    generation: Decoding, model: Any, decoder: generating.Decoder, root: Path
) -> generating.Constraint | None:
    """What answers must look like. Raises LmspecError if they cannot be held to it."""
    rule = generation.constraint
    if rule is None:
        return None
    constraining = importlib.import_module(CONSTRAINTS)
    place = "scores.generation.constraint"
    try:
        ends = [model.writer.end_id]
        made = constraining.Constraints(model.tokenizer.to_str(), decoder.vocabulary, ends)
        if rule.kind == "regex":
            grammar: generating.Constraint = made.regex(rule.pattern)
        else:
            grammar = made.json_schema(decoding.schema_in(root, rule.file))
    except constraining.ConstraintError as error:
        raise LmspecError(place, error.found, error.remedy) from error
    return grammar


def say(dataset: str, result: dict[str, Any]) -> None:
    """Print what people look at first, and warn of answers that are no use."""
    shown = f"exact match {result['exact_match']:.1%}, BLEU {result['bleu']:.1f}"
    stage.say(f"{dataset}: {result['examples']:,} answers, {shown}, chrF {result['chrf']:.1f}")
    limit = result.get("stopped", {}).get("limit", 0.0)
    if limit > 0.5:
        stage.say(
            f"warning: {limit:.0%} of the answers of {dataset} end at `new_tokens`: raise it, or"
            " look whether the model has learned to end"
        )


@dataclass(frozen=True)
class LookedUp:
    """Answers of a list of pairs."""

    model: Any

    def each(self, dialogues: Sequence[Sequence[Turn]], dataset: str) -> Iterator[Answered]:
        """That of the nearest prompt."""
        prompts = [prompt_of(dialogue) for dialogue in dialogues]
        return map(Answered, self.model.answered(prompts))


@dataclass(frozen=True)
class Generated:
    """Answers that are generated, `slots` side by side.

    unlimited  encodes as `writer` does, and cuts nothing
    """

    writer: Writer
    unlimited: Writer
    decoder: generating.Decoder
    generation: Generation
    constraint: generating.Constraint | None
    slots: int

    def each(self, dialogues: Sequence[Sequence[Turn]], dataset: str) -> Iterator[Answered]:
        """The text of each, and the loss of its reference."""
        prompts = [self._prompt(dialogue) for dialogue in dialogues]
        losses = list(self._losses(dialogues, prompts))
        stage.say(f"{dataset}: {len(prompts):,} prompts are answered")
        written = self._written(prompts, dataset)
        for text, (nll, tokens) in zip(written, losses, strict=True):
            yield Answered(text.text, nll, tokens, len(text.ids), text.stopped)

    def _prompt(self, dialogue: Sequence[Turn]) -> generating.Ids:
        try:
            return self.writer.prompt_ids(dialogue)
        except PromptError as error:
            raise LmspecError("architecture.prompt", error.found, error.remedy) from error

    def _written(self, prompts: Sequence[generating.Ids], dataset: str) -> list[generating.Written]:
        requests = (
            requested(ids, self.generation, self.constraint) for ids in counted(prompts, dataset)
        )
        ends = [self.writer.end_id]
        return generating.texts(self.decoder, requests, self.writer.tokenizer, ends, self.slots)

    def _losses(
        self, dialogues: Sequence[Sequence[Turn]], prompts: Sequence[generating.Ids]
    ) -> Iterator[tuple[float, int]]:
        """(nats, tokens) of each reference and its end, after its prompt."""
        pairs = zip(dialogues, prompts, strict=True)
        examples = [np.concatenate([prompt, self._answer(turns)]) for turns, prompt in pairs]
        logits = self.decoder.logits([i for i in examples if len(i) <= self.decoder.positions])
        for ids, prompt in zip(examples, prompts, strict=True):
            start, tokens = len(prompt), len(ids) - len(prompt)
            if len(ids) > self.decoder.positions:  # it cannot be read, so it has no probability
                yield answers.WORST_TOKEN * tokens, tokens
            else:
                yield nats(next(logits)[start - 1 : -1], ids[start:]), tokens

    def _answer(self, dialogue: Sequence[Turn]) -> generating.Ids:
        """The last answer and its end, whatever their length."""
        example = self.unlimited.example(dialogue)
        assert not isinstance(example, TooLong)
        return example[0][len(self.unlimited.prompt_ids(dialogue)) :]


def counted(prompts: Sequence[generating.Ids], dataset: str) -> Iterator[generating.Ids]:
    """The prompts, in order; says now and then how many were begun."""
    for number, ids in enumerate(prompts):
        if number and number % EVERY == 0:
            stage.say(f"{dataset}: {number:,} of {len(prompts):,} prompts")
        yield ids
