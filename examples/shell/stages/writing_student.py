"""student, of a model that writes: fewer layers.   teacher, splits -> a model

stages/student.py begins it.
"""

import dataclasses
from pathlib import Path

from transformers import PreTrainedModel

from lmspec import stage
from lmspec.architectures import causal
from lmspec.formats import conversations, documents, writer
from lmspec.specs.numerics import Numerics
from lmspec.specs.student import StudentSpec
from lmspec.specs.training import descent
from lmspec.training import answering, descending, imitating, seeds, summary
from lmspec.training.task import Fitted


def build(spec: StudentSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Copy some of the teacher's layers; train them on its probabilities of the next token, and on
    the answers: those of the data, or its own."""
    clean = documents.read_clean(needs[spec.on])
    teacher = dataclasses.replace(writer.read(needs[spec.teacher]), clean=clean)
    teacher.model.to(needs.machine.device)
    data = conversations.read(needs[spec.on], "train", teacher.writer, spec.rows, needs.bits.seed)
    dev = conversations.read(needs[spec.on], "dev", teacher.writer)
    for split, part in (("train", data), ("dev", dev)):
        for line in part.described(split, teacher.writer):
            stage.say(line)
    new, own = answered(spec, teacher, data, needs.bits.seed)
    recipe, pad_id = descent(spec.training), teacher.pad_id
    objective = imitating.taught(
        kept(spec, teacher, new), spec.distillation, descending.smoothing(recipe)
    )

    def train(numerics: Numerics) -> tuple[PreTrainedModel, Fitted]:
        seeds.seed_weights(numerics)
        network = causal.shrink(teacher.model, spec.layers, spec.dropout)
        causal.freeze(network, spec.frozen_embeddings, spec.frozen_layers)
        network.to(needs.machine.device)
        task = descending.task(network, new, dev, pad_id, recipe, objective)
        return network, descending.fit(network, task, recipe, numerics, needs.resume)

    network, fitted = train(needs.bits)
    writer.write(dataclasses.replace(teacher, model=network), out)
    others = seeds.over_seeds(lambda numerics: train(numerics)[1], recipe, needs.bits)
    report = summary.metrics(network, fitted, others)
    train_metrics = new.metrics | {"teacher_answers": own}
    return stage.Report(report | {"train": train_metrics}, {"curve": fitted.curve})


def answered(
    spec: StudentSpec, teacher: writer.WriterModel, data: conversations.Conversations, seed: int
) -> tuple[conversations.Conversations, int]:
    """(the rows, a share of them with the teacher's answer; how many those are)."""
    share = spec.distillation.teacher_answers
    if not share:
        return data, 0
    rows = answering.drawn(len(data.ids), share, seed)
    end_id = teacher.writer.end_id
    asked = answering.Teacher(teacher.model, teacher.tokenizer, end_id, teacher.max_length)
    prompts = [data.ids[row][: answering.last_answer(data.learned[row])] for row in rows]
    answers = zip(rows.tolist(), asked.answers(prompts), strict=True)
    ended = {row: ids for row, ids in answers if ids is not None}
    if len(ended) < len(rows):
        stage.say(
            f"{len(rows) - len(ended):,} answers of the teacher do not end within"
            f" {teacher.max_length} tokens: those of the data stay"
        )
    ids, learned = answering.with_answers(data.ids, data.learned, ended)
    return dataclasses.replace(data, ids=ids, learned=learned), len(ended)


def kept(
    spec: StudentSpec, teacher: writer.WriterModel, new: conversations.Conversations
) -> imitating.Kept | None:
    """The teacher's outputs; None if they do not count."""
    rule = spec.distillation
    if not rule.soft_weight:
        return None
    assert rule.top_logits is not None  # stages/student.py goes by it
    found = imitating.kept(
        teacher.model, new.ids, new.learned, teacher.pad_id, rule.top_logits, rule.temperature
    )
    stage.say(f"{found}, of the teacher")
    return found
