"""writing: a model that writes, fitted or as it is.   splits, sources -> model.safetensors, ...

`stages/model.py` calls it for such a model, by its name: no other stage has it in its key.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents, writer
from lmspec.specs.architecture import Causal, Nearest
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import GradientDescent, Untrained
from lmspec.training import descending, seeds, summary, writing
from lmspec.training.task import Fitted, Task
from lmspec.writing.prompting import PLAIN, prompt_of

ADAPTERS = "lmspec.architectures.adapters"  # by its name: in the key of those that have one
LOOKED_UP, PAIRS = "lmspec.architectures.nearest", "lmspec.formats.nearest"
MOST_DIFFERENCE = 1e-3  # between logits, before and after an adapter is merged
PROBED = 1024  # learned tokens on which that is checked
ANSWERED, NEW_TOKENS = 8, 16  # prompts, and tokens of the answers to them


@dataclass(frozen=True)
class Prepared:
    """A model before it is trained, and what it learns from and is judged on.

    adapted  its adapter, which is not merged yet; None if it has none
    """

    model: writer.WriterModel
    new: conversations.Conversations
    dev: conversations.Conversations
    task: Task
    adapted: Any


def build(spec: ModelSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Train the model on the answers of the train split, or take the weights as they are."""
    if isinstance(spec.architecture, Nearest):
        return looked_up(spec, spec.architecture, needs, out)
    kept, fitted = train(spec, needs, needs.bits)
    adapter = merged(kept, out) if kept.adapted else {}
    writer.write(kept.model, out)
    others = []
    if isinstance(spec.training, GradientDescent):
        others = seeds.over_seeds(lambda n: train(spec, needs, n)[1], spec.training, needs.bits)
    report = summary.metrics(kept.model.model, fitted, others)
    report |= adapter | {"train": kept.new.metrics}
    example = [{"part": text, "learned": learned} for text, learned in kept.new.first]
    return stage.Report(report, {"curve": fitted.curve, "example": example})


def looked_up(
    spec: ModelSpec, architecture: Nearest, needs: stage.Needs, out: Path
) -> stage.Report:
    """Keep the prompts of the train split and their answers."""
    nearest, pairs = map(importlib.import_module, (LOOKED_UP, PAIRS))
    turns = conversations.read_turns(needs[spec.on], "train", spec.rows, needs.bits.seed)
    prompts, answers = [], []
    for row in turns:
        prompts.append(prompt_of(row))
        answers.append(row[-1][1])
    low, high = architecture.words
    model = nearest.fit(prompts, answers, (low, high), architecture.swap_first_word)
    pairs.write(pairs.Kept(model, documents.read_clean(needs[spec.on])), out)
    stage.say(f"{len(prompts):,} prompts and their answers are kept")
    return stage.Report({"parameters": 0, "train": {"rows": len(prompts)}})


def train(spec: ModelSpec, needs: stage.Needs, numerics: Numerics) -> tuple[Prepared, Fitted]:
    """One model, with one seed."""
    kept = prepared(spec, needs, numerics)
    if numerics == needs.bits:
        for split, part in (("train", kept.new), ("dev", kept.dev)):
            for line in part.described(split, kept.model.writer):
                stage.say(line)
    recipe, network = spec.training, kept.model.model
    if not isinstance(recipe, GradientDescent):
        return kept, untrained(kept)
    return kept, descending.fit(network, kept.task, recipe, numerics, needs.resume)


def untrained(kept: Prepared) -> Fitted:
    """The result of no step."""
    kept.model.model.eval()
    dev = {f"dev_{name}": value for name, value in kept.task.evaluate().items()}
    row: dict[str, Any] = {"step": 0, "epoch": 0.0, "learning_rate": 0.0, "train_loss": None}
    return Fitted([row | dev], row | dev, 0)


def prepared(spec: ModelSpec, needs: stage.Needs, numerics: Numerics) -> Prepared:
    """One model, with one seed, and its task. All seeds learn from the same rows."""
    assert isinstance(spec.architecture, Causal)
    recipe = spec.training
    assert isinstance(recipe, GradientDescent | Untrained)
    seeds.seed_weights(numerics)
    model = created(spec.architecture, needs, spec.on)
    new = conversations.read(needs[spec.on], "train", model.writer, spec.rows, needs.bits.seed)
    dev = conversations.read(needs[spec.on], "dev", model.writer)
    adapted = None
    if spec.adapter and not isinstance(spec.training, Untrained):
        adapters = importlib.import_module(ADAPTERS)
        adapted = adapters.Adapted(model.model, spec.architecture, numerics, "CAUSAL_LM")
    objective = writing.imitating(descending.smoothing(recipe))
    task = descending.task(model.model, new, dev, model.pad_id, recipe, objective)
    return Prepared(model, new, dev, task, adapted)


def created(spec: Causal, needs: stage.Needs, on: str) -> writer.WriterModel:
    """The model before it is trained, with its tokenizer and its prompt."""
    network, tokenizer, pad_id, end = causal.create(spec, needs[spec.weights])
    if spec.prompt is None and not end:
        found = "it names no token that ends a text, in tokenizer_config.json or config.json"
        raise LmspecError(str(spec.weights), found, "add it there as eos_token")
    if spec.added_tokens and spec.frozen_embeddings:
        stage.say("warning: the added tokens stay as they begin: the embeddings are frozen")
    network.to(needs.machine.device)
    return writer.WriterModel(
        network,
        tokenizer,
        pad_id,
        spec.prompt.model_dump() if spec.prompt else {"kind": PLAIN, "end": end},
        spec.max_length,
        spec.long_texts,
        documents.read_clean(needs[on]),
    )


def merged(kept: Prepared, out: Path) -> dict[str, dict[str, float]]:
    """Add the adapter to the weights, and keep it beside them; returns its metrics."""
    network, pad_id, dev = kept.model.model, kept.model.pad_id, kept.dev
    count = max(1, int((dev.weight.cumsum() <= PROBED).sum()))
    probed = dev.ids[:count], dev.learned[:count]
    prompts = [
        ids[: int(learned.argmax())]
        for ids, learned in zip(dev.ids[:ANSWERED], dev.learned[:ANSWERED], strict=True)
    ]

    def answers() -> list[list[int]]:
        return causal.greedy(network, prompts, kept.model.writer.end_id, NEW_TOKENS)

    before = answers()
    apart = kept.adapted.merge_checked(
        lambda: writing.logits(network, *probed, pad_id), out, MOST_DIFFERENCE
    )
    same = [one == other for one, other in zip(before, answers(), strict=True)]
    stage.say(
        f"adapter merged: logits at most {apart:.1g} apart, {sum(same)} of {len(same)} greedy"
        " answers the same"
    )
    metrics = {"trained_parameters": kept.adapted.trained, "max_logit_difference": apart}
    return {"adapter": metrics | {"same_answers": sum(same) / len(same)}}
