"""student: a smaller transformer, taught by a larger one.   teacher, splits -> the files of a model"""

import dataclasses
from pathlib import Path

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, examples
from lmspec.methods import distilling, supervision, teaching, training
from lmspec.specs.student import StudentSpec


def build(spec: StudentSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Copy some of the teacher's layers, then train them on the teacher's answers and the labels."""
    teacher = checkpoint.read(needs[spec.teacher])
    if teacher.kind != "transformer":
        raise LmspecError("student.teacher", f"{spec.teacher} is of kind {teacher.kind}", "a teacher is a transformer")
    architecture = checkpoint.architecture(teacher.kind)
    teacher.model.to(needs.machine.device)
    training.seed_weights(needs.bits)
    network = architecture.shrink(teacher.model, spec.layers, spec.dropout, spec.classifier_dropout)
    architecture.freeze(network, spec.frozen_embeddings, spec.frozen_layers)
    network.to(needs.machine.device)
    train, dev = (examples.read(needs[spec.on], side, teacher.tokenizer, teacher.labels) for side in ("train", "dev"))
    answers = distilling.answers(teacher.model, train.ids, teacher.pad_id, spec.layers)
    objective = teaching.taught(train.truth, answers, spec.distillation)
    evaluate = supervision.evaluation(network, dev.ids, dev.truth, teacher.pad_id)
    fitted = training.fit(network, training.Task(train.ids, teacher.pad_id, objective, evaluate), spec.training, needs.bits)
    checkpoint.write(dataclasses.replace(teacher, model=network), out)
    return stage.Report(training.metrics(network, fitted), {"curve": fitted.curve})


if __name__ == "__main__":
    stage.run("student", StudentSpec, build)
