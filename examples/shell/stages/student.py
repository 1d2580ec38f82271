"""student: a smaller model, taught by a larger one.   teacher, splits -> a model"""

import dataclasses
import importlib
from pathlib import Path

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, examples, kinds
from lmspec.methods import balancing, coverage, encoding, metrics
from lmspec.methods.network import Classifier
from lmspec.specs.checks.student import WITH_LAYERS
from lmspec.specs.numerics import Numerics
from lmspec.specs.student import StudentSpec
from lmspec.specs.training import descent
from lmspec.training import distilling, loop, seeds, summary, supervision, teaching
from lmspec.training.suited import require_suited
from lmspec.training.task import Fitted, Task

WRITING = "stages.writing_student"  # by its name: it is in the key of models that write alone


def build(spec: StudentSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Copy some of the teacher's layers; train them on the teacher's answers and the labels."""
    known = kinds.architecture_of(needs[spec.teacher])
    if known["kind"] not in WITH_LAYERS:
        found = f"{spec.teacher} is of kind {known['kind']}"
        raise LmspecError("student.teacher", found, "a teacher is of kind transformer or causal")
    require_suited(spec, known)
    if spec.distillation.top_logits is not None:
        written: stage.Report = importlib.import_module(WRITING).build(spec, needs, out)
        return written
    teacher = checkpoint.read(needs[spec.teacher])
    architecture = checkpoint.architecture(teacher.kind)
    teacher.model.to(needs.machine.device)
    recipe = descent(spec.training)
    further = {"train": balancing.columns(recipe), "dev": ()}
    new, dev = (
        examples.read(needs[spec.on], split, teacher.reader, teacher.labels, columns)
        for split, columns in further.items()
    )
    new.require_two_labels(spec.on)
    for split, part in (("train", new), ("dev", dev)):
        for line in part.described(split, teacher.reader, teacher.labels):
            stage.say(line)
    for line in balancing.described(recipe, new.truth, new.documents):
        stage.say(line)
    answers = distilling.answers(teacher.model, new.windows.ids, teacher.pad_id, spec.layers)
    of_text = new.windows.of_text
    objective = teaching.taught(
        new.truth[of_text],
        encoding.weights(balancing.of_texts(recipe, new.truth, new.documents), of_text),
        answers,
        spec.distillation,
        recipe.loss,
    )
    prior = supervision.prior_log_loss(dev.truth)

    def train(numerics: Numerics) -> tuple[Classifier, Fitted]:
        seeds.seed_weights(numerics)
        network = architecture.shrink(
            teacher.model, spec.layers, spec.dropout, spec.classifier_dropout
        )
        architecture.freeze(network, spec.frozen_embeddings, spec.frozen_layers)
        network.to(needs.machine.device)
        evaluate = supervision.evaluation(network, dev.windows, dev.truth, teacher.pad_id)
        task = Task(
            new.windows.ids,
            teacher.pad_id,
            objective,
            evaluate,
            prior,
            new.named,
            dev=dev.windows.ids,
            reads_layers=True,
        )
        return network, loop.fit(network, task, recipe, numerics, needs.resume)

    network, fitted = train(needs.bits)
    clean = documents.read_clean(needs[spec.on])
    checkpoint.write(dataclasses.replace(teacher, model=network, clean=clean, private=None), out)
    others = seeds.over_seeds(lambda numerics: train(numerics)[1], recipe, needs.bits)
    report = summary.metrics(network, fitted, others)
    for line in metrics.warnings(report["dev"], dev.truth):
        stage.say(line)
    return stage.Report(report | {"train": coverage.metrics(new.windows)}, {"curve": fitted.curve})


STAGE = stage.Stage(StudentSpec, build)
