"""A model that writes teaches one with fewer layers: its probabilities, and its own answers."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import conversations, writer
from lmspec.methods.resume import Resume
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.quantized import QuantizedSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.specs.student import StudentSpec
from lmspec.training import answering, checkpoints, imitating, writing
from stages import exported, quantized, scores, student
from tests.test_decoder import GREEDY, INT8, LOOSE, SHAPE
from tests.test_writing_updates import (
    declared,
    leaves,
    loss,
    needs,
    perturbed,
    project,
    unestimated,
)
from tests.tinywriter import CHAT, END, Killed, tokenizer, training

__all__ = ["project", "unestimated"]  # fixtures
RULE = {
    "temperature": 2.0,
    "soft_weight": 1.0,
    "hidden_weight": 0.0,
    "hard_weight": 0.5,
    "top_logits": 16,
}
STOPPING = {"metric": "log_loss", "evaluation_steps": 60, "patience": 9}


def spec(**changes: Any) -> StudentSpec:
    fields: dict[str, Any] = {
        "teacher": "model.old",
        "on": "splits.old",
        "layers": [1],
        "dropout": 0.0,
        "classifier_dropout": 0.0,
        "frozen_embeddings": False,
        "frozen_layers": 0,
        "distillation": RULE | changes.pop("distillation", {}),
        "training": training(early_stopping=STOPPING, **changes.pop("training", {})).model_dump(),
    }
    return StudentSpec.model_validate(fields | changes)


def teach(root: Path, out: Path, given: StudentSpec, **more: Any) -> stage.Report:
    out.mkdir()
    return student.build(given, needs(root, **more), out)


def test_the_objective_is_the_weighted_sum(project: Path) -> None:
    """Of the mean loss against the teacher's whole softmax, and of that of the tokens."""
    model = writer.read(project / "model")
    rows = conversations.read(project / "old", "train", model.writer, 12, 1)
    rule = spec(distillation={"soft_weight": 3.0, "hard_weight": 0.25}).distillation
    kept = imitating.kept(model.model, rows.ids, rows.learned, 1, 10**6, 2.0)
    learner = perturbed(model.model, 4).eval()
    batch = writing.collated(rows.learned)(rows.ids, [*range(12)], 1)
    ids, mask = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
    with torch.no_grad():
        own, theirs = (writing.guessed(each, batch, ids) for each in (learner, model.model))  # type: ignore[arg-type]
        ours = imitating.taught(kept, rule)(learner, batch, ids, mask)
        alone = imitating.taught(None, rule)(learner, batch, ids, mask)
    hard = functional.cross_entropy(own, torch.from_numpy(batch.truth))  # type: ignore[attr-defined]
    soft = functional.cross_entropy(own / 2, (theirs / 2).softmax(-1)) * 4
    torch.testing.assert_close(ours, 3 * soft + 0.25 * hard, rtol=0, atol=1e-5)
    torch.testing.assert_close(alone, 0.25 * hard, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [Qwen2Config, Qwen3Config])
def test_its_layers_are_the_teachers(kind: Any) -> None:
    """Of families that list the kind of each layer, too; with all of them it is the teacher."""
    torch.manual_seed(0)
    config = kind(**SHAPE | {"num_hidden_layers": 3, "tie_word_embeddings": True})
    teacher = AutoModelForCausalLM.from_config(config).eval()
    small = causal.shrink(teacher, [0, 2], 0.0).eval()
    own, theirs = small.state_dict(), teacher.state_dict()
    for name, value in own.items():
        assert torch.equal(value, theirs[name.replace("layers.1.", "layers.2.")]), name
    assert small.lm_head.weight is small.model.embed_tokens.weight
    assert len(small.model.layers) == small.config.num_hidden_layers == 2
    ids = torch.arange(9)[None]
    whole = causal.shrink(teacher, [0, 1, 2], 0.0).eval()
    with torch.no_grad():
        assert torch.equal(whole(input_ids=ids).logits, teacher(input_ids=ids).logits)
        assert not torch.equal(small(input_ids=ids).logits, teacher(input_ids=ids).logits)


def test_a_student_learns_from_its_teacher(project: Path, tmp_path: Path) -> None:
    """Without the answers of the data, too; its metrics are those of a model."""
    rule = spec(distillation={"hard_weight": 0.0}, training={"epochs": 6}, frozen_embeddings=True)
    report = teach(project, tmp_path / "out", rule)
    start = causal.shrink(causal.load(project / "model"), [1], 0.0)
    model = writer.read(tmp_path / "out")
    dev = conversations.read(project / "old", "dev", model.writer)
    before, _ = writing.each_loss(start.eval(), dev.ids, dev.learned, 1)
    after = loss(tmp_path / "out", project / "old")
    assert report.metrics["dev"]["log_loss"] == pytest.approx(after, abs=1e-6)
    assert after < before.sum() / dev.weight.sum() - 2
    assert leaves(report.metrics) == declared("student.pairs")
    assert report.metrics["train"]["teacher_answers"] == 0
    assert report.metrics["train"]["rows"] == 168
    assert report.metrics["parameters"] < sum(
        p.numel() for p in causal.load(project / "model").parameters()
    )
    assert model.prompt == writer.read(project / "model").prompt
    embedding = model.model.get_input_embeddings().weight
    assert torch.equal(embedding, start.get_input_embeddings().weight)


def test_the_teacher_answers_for_some_rows(project: Path, tmp_path: Path) -> None:
    """Its greedy answer to the prompt, up to its end, in place of that of the data."""
    model = writer.read(project / "model")
    rows = conversations.read(project / "old", "train", model.writer, 40, 1)
    end_id = model.writer.end_id
    teacher = answering.Teacher(model.model, model.tokenizer, end_id, model.max_length)
    chosen = answering.drawn(40, 0.5, 7)
    assert len(chosen) == 20 and (np.diff(chosen) > 0).all()
    assert not np.array_equal(chosen, answering.drawn(40, 0.5, 8))
    prompts = [rows.ids[row][: answering.last_answer(rows.learned[row])] for row in chosen]
    answers = teacher.answers(prompts)
    expected = causal.greedy(model.model, prompts, end_id, 20)
    assert [None if ids is None else ids.tolist() for ids in answers] == expected
    new, learned = answering.with_answers(
        rows.ids,
        rows.learned,
        {int(row): ids for row, ids in zip(chosen, answers, strict=True) if ids is not None},
    )
    for row, (ids, flags) in enumerate(zip(new, learned, strict=True)):
        assert len(ids) == len(flags) and ids[-1] == end_id
        if row not in chosen:
            assert ids.tolist() == rows.ids[row].tolist()
            assert flags.tolist() == rows.learned[row].tolist()
        else:
            place = chosen.tolist().index(row)
            assert ids[flags > 0].tolist() == expected[place]
            assert ids[flags == 0].tolist() == prompts[place].tolist()
    # one without time to end
    short = answering.Teacher(model.model, model.tokenizer, end_id, len(prompts[0]) + 1)
    assert short.answers(prompts[:1]) == [None]
    rule = spec(rows=40, distillation={"soft_weight": 0.0, "teacher_answers": 0.5})
    report = teach(project, tmp_path / "out", rule)
    assert report.metrics["train"]["teacher_answers"] == 20
    assert report.metrics["train"]["rows"] == 40


def test_the_last_answer_of_a_conversation_is_replaced() -> None:
    """Where every answer is learned."""
    words = writer.Writer(tokenizer(), CHAT, 99, "leave_out")
    turns = [("user", "say anna"), ("assistant", "anna"), ("user", "ben"), ("assistant", "ben ben")]
    ids, learned = words.example(turns)  # type: ignore[misc]
    start = answering.last_answer(learned.astype(np.int64))
    assert ids[:start].tolist() == words.prompt_ids(turns).tolist()
    assert words.text(ids[start:]) == "ben ben"
    end = tokenizer().token_to_id(END)
    new, flags = answering.with_answers([ids], [learned.astype(np.int64)], {0: np.array([7, end])})
    assert new[0].tolist() == [*ids[:start], 7, end]
    assert flags[0].tolist() == [*learned[:start], 1, 1]


def test_twice_and_resumed_it_is_the_same_bytes(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the teacher's answers, parts of batches and packed lines."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    rule = spec(
        rows=64,
        distillation={"teacher_answers": 0.25},
        training={"micro_batch_size": 7, "packing": {"max_tokens": 96}},
    )
    teach(project, tmp_path / "one", rule)
    teach(project, tmp_path / "two", rule)
    resume = Resume(tmp_path / "resume", lambda: True)
    killed = Killed(imitating.soft_loss, 6)
    monkeypatch.setattr(imitating, "soft_loss", killed)
    with pytest.raises(KeyboardInterrupt):
        teach(project, tmp_path / "killed", rule, resume=resume)
    teach(project, tmp_path / "resumed", rule, resume=resume)
    assert 12 < killed.count < 6 + 12
    for name in ("two", "resumed"):
        for file in sorted((tmp_path / "one").iterdir()):
            assert file.read_bytes() == (tmp_path / name / file.name).read_bytes(), file.name


def test_what_is_made_from_a_student_is_as_of_a_model(project: Path, tmp_path: Path) -> None:
    """Its graph, that with weights in blocks, and the scores of each."""
    root = tmp_path / "project"
    shutil.copytree(project, root)
    teach(root, root / "updated", spec())
    form = {"kind": "cache", "max_past": 96, "prompts": "splits.old"}
    fields: dict[str, Any] = {"of": "updated.new", "opset": 20, "max_logit_difference": 1e-4}
    (root / "exported").mkdir()
    graph = ExportedSpec.model_validate(fields | {"format": form})
    exported.build(graph, needs(root), root / "exported")
    fields = {"of": "exported.new", "calibrate": "splits.old", "calibration_rows": 16}
    (root / "quantized").mkdir()
    small = QuantizedSpec.model_validate(fields | {"scheme": INT8, "contract": LOOSE})
    quantized.build(small, needs(root), root / "quantized")
    answers = []
    for noun in ("updated", "exported", "quantized"):
        fields = {"of": f"{noun}.new", "on": ["splits.old"], "batch_size": 4}
        rule = ScoresSpec.model_validate(fields | {"generation": GREEDY, "accepted_overlap": []})
        (root / "scores" / noun).mkdir(parents=True)
        report = scores.build(rule, needs(root, seen={}), root / "scores" / noun)
        answers.append([row["predicted"] for row in report.tables["answers"]])
    assert answers[0] == answers[1] and len(answers[2]) == 12


def test_what_does_not_suit_is_refused_by_the_stage(project: Path, tmp_path: Path) -> None:
    """As by `lmspec validate`."""
    for given, words in (
        (spec(distillation={"top_logits": None}), "does not say how many logits"),
        (spec(distillation={"hidden_weight": 0.5}), "has no hidden_weight"),
        (spec(classifier_dropout=0.1), "has no classifier_dropout"),
        (spec(layers=[0, 2]), "the teacher has layers 0 to 1"),
    ):
        with pytest.raises(LmspecError, match=words):
            student.build(given, needs(project), tmp_path)
    plain = tmp_path / "plain"
    shutil.copytree(project / "model", plain)
    about = json.loads((plain / "lmspec.json").read_text())
    text = about | {"prompt": {"kind": "none", "end": END}}
    (plain / "lmspec.json").write_text(json.dumps(text))
    given = needs(project)
    moved = dataclasses.replace(given, folders={**given.folders, "model.old": plain})
    with pytest.raises(LmspecError, match="no prompts that the teacher could answer"):
        student.build(spec(distillation={"teacher_answers": 0.5}), moved, tmp_path)
