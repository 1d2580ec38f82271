"""What `lmspec validate` refuses, a stage refuses too, in case it was started without it."""

import dataclasses
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from ruamel.yaml import YAML

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.language import rules
from lmspec.run import declaration
from lmspec.specs.checks.quantized import UNSUITED, kind_of
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine
from lmspec.specs.project import Project
from lmspec.specs.sweep import SweepSpec
from lmspec.specs.training import GradientDescent
from tests import miniature, specs
from tests.test_training_methods import ADAFACTOR

GOOD: dict[str, Any] = YAML(typ="safe").load(specs.GOOD)
SPECS = Project.model_validate(GOOD)

# Rules of which no stage has anything to refuse, and why
NOT_OF_A_STAGE = {
    "values-come-back": "the output is right, but DVC builds it each time",
    "outputs-are-in-real-folders": "DVC itself fails, after the build",
    "card-shows-its-own-model": "what an artifact is of is not in its folder",
    "folds-keep-together-what-splits-do": "what splits keep together is not in their folder",
    "learned-rows-are-the-models": "how many rows a model has drawn is not in its folder",
    "gate-names-a-metric": "no stage reads gates; `lmspec gate` refuses them",
    "gate-can-be-decided": "the same",
    "gate-is-held-against-the-same": "the same",
    "gate-can-be-passed": "the same",
}


def needs(**folders: Path) -> stage.Needs:
    named = {name.replace("_", ".", 1): folder for name, folder in folders.items()}
    return stage.Needs(named, SPECS.numerics, Machine(device="cpu"), root=Path.cwd())


def _source(folder: Path, path: str) -> None:
    from lmspec.methods.sources import file

    spec = SPECS.find("sources.old").model_copy(update={"path": path})
    file.fetch(spec, folder, folder / "out")  # type: ignore[arg-type]


def _a_missing_source(folder: Path) -> None:
    _source(folder, "raw/gone.csv")


def _a_source_with_a_fifo(folder: Path) -> None:
    (folder / "raw").mkdir()
    os.mkfifo(folder / "raw/fifo")
    _source(folder, "raw")


def _a_source_with_another_hash(folder: Path) -> None:
    (folder / "other.csv").write_text("text,stars\n")
    _source(folder, "other.csv")


def _a_source_that_is_built(folder: Path) -> None:
    text = (
        "stages:\n  sources-a:\n    cmd: x\n    deps: [data/model/b/x]\n    outs: [data/b]\n"
        "  model-b:\n    cmd: x\n    outs: [data/model/b]\n"
    )
    (folder / "dvc.yaml").write_text(text)
    declaration.read(folder, ArtifactName("model", "b"))  # that it is built is no mistake
    declaration.read(folder, ArtifactName("sources", "a"))


def _a_table_of_another_source(folder: Path) -> None:
    from lmspec.formats import rawtable

    (table,) = SPECS.corpus["old"].tables  # type: ignore[attr-defined]
    list(rawtable.rows(folder / "old.csv", table))


def _transformer(folder: Path, **fields: Any) -> Any:
    """A tiny pretrained model with those fields of the architecture."""
    from lmspec.architectures import transformer

    miniature.write_weights(folder / "weights")
    spec = SPECS.model["bert"].architecture.model_copy(update=fields)  # type: ignore[attr-defined]
    model, _, _ = transformer.create(spec, folder / "weights", ["a text"], 2)
    return transformer, model


def _more_tokens_than_positions(folder: Path) -> None:
    _transformer(folder, max_length=49)


def _more_frozen_layers_than_there_are(folder: Path) -> None:
    _transformer(folder, frozen_layers=4)


def _a_layer_that_the_teacher_lacks(folder: Path) -> None:
    transformer, teacher = _transformer(folder)
    transformer.shrink(teacher, (0, 3), 0.0, 0.0)


def _a_teacher_without_layers(folder: Path) -> None:
    from stages import student

    (folder / "lmspec.json").write_text(json.dumps({"kind": "cnn", "labels": ["good", "bad"]}))
    student.build(SPECS.find("student.small"), needs(model_bert=folder), folder)  # type: ignore[arg-type]


def _splits(folder: Path, labels: list[str], rows: int) -> None:
    import polars as pl

    from lmspec.formats import documents

    columns = {name: [name] * rows for name in ("id", "table", "group", "text")}
    folder.mkdir()
    documents.write(pl.DataFrame(columns | {"label": labels[:1] * rows}), folder / "dev.parquet")
    documents.write_labels(labels, folder)


def _an_empty_split(folder: Path) -> None:
    from lmspec.formats import examples

    _splits(folder / "splits", ["bad", "good"], 0)
    examples.read(folder / "splits", "dev", None, ("bad", "good"))  # type: ignore[arg-type]


def _other_labels(folder: Path) -> None:
    from lmspec.formats import examples

    _splits(folder / "splits", ["good", "bad"], 1)
    examples.read(folder / "splits", "dev", None, ("bad", "good"))  # type: ignore[arg-type]


def _texts_without_labels(folder: Path) -> None:
    from lmspec.formats import documents, examples

    _splits(folder / "splits", ["good"], 1)
    documents.write_labels([], folder / "splits")
    examples.read(folder / "splits", "dev", None, ("bad", "good"))  # type: ignore[arg-type]


def _replay_of_rows_that_are_new(folder: Path) -> None:
    from stages import updated

    seen = {"splits.new": ["train", "dev"], "splits.old": ["dev"]}
    (folder / "seen.json").write_text(json.dumps(seen))
    updated.build(SPECS.find("updated.first"), needs(student_small=folder), folder)  # type: ignore[arg-type]


def _an_update_of_a_linear_model(folder: Path) -> None:
    from lmspec.formats import checkpoint
    from stages import updated
    from tests.test_linear import made, shape

    seen = {"splits.old": ["train", "dev"]}
    (folder / "seen.json").write_text(json.dumps(seen))
    checkpoint.write(made(shape())[0], folder)
    (folder / "clean.json").write_text(json.dumps({"fix_unicode": True, "unescape_html": True}))
    spec = SPECS.find("updated.first")
    updated.build(spec, needs(student_small=folder, splits_new=folder), folder)  # type: ignore[arg-type]


def _few_logits_of_a_classifier(folder: Path) -> None:
    from stages import updated

    (folder / "seen.json").write_text(json.dumps({"splits.old": ["train", "dev"]}))
    (folder / "lmspec.json").write_text(json.dumps({"kind": "cnn", "labels": ["good", "bad"]}))
    spec = SPECS.find("updated.first")
    retention = spec.retention.model_copy(update={"top_logits": 8})  # type: ignore[attr-defined]
    spec = spec.model_copy(update={"retention": retention})
    updated.build(spec, needs(student_small=folder), folder)  # type: ignore[arg-type]


def _scores(seen: list[str], accepted: list[dict[str, Any]]) -> None:
    from lmspec.methods.overlap import Overlap
    from lmspec.specs.scores import ScoresSpec
    from stages import scores

    spec = ScoresSpec.model_validate(GOOD["scores"]["gru"] | {"accepted_overlap": accepted})
    tested = Path("tested")
    given = stage.Needs(
        {"splits.old": tested}, SPECS.numerics, Machine(device="cpu"), seen=dict.fromkeys(seen, ())
    )
    overlaps = [Overlap("splits.old", 1, "splits.old", "train", (0,))]
    scores.require_accepted(overlaps if not accepted else [], spec, given)


def _test_rows_that_were_seen(folder: Path) -> None:
    from lmspec.formats import documents

    _splits(folder / "tested", ["bad", "good"], 1)
    shutil.move(folder / "tested/dev.parquet", folder / "tested/test.parquet")
    documents.write_corpus("corpus.old", folder / "tested")
    os.chdir(folder)
    _scores(["splits.old"], [])


def _an_overlap_with_data_that_was_not_seen(folder: Path) -> None:
    _scores(["splits.old"], [{"of": "splits.new", "at_most": 3, "reason": "none"}])


def _a_scheme_that_does_not_suit(folder: Path) -> None:
    import onnx

    from lmspec.methods import quantizing

    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], []))
    scheme = SPECS.quantized["release"].scheme  # type: ignore[attr-defined]
    quantizing.quantize(model, scheme, [])


def _a_cache_of_a_classifier(folder: Path) -> None:
    from stages import exported

    (folder / "lmspec.json").write_text(json.dumps({"kind": "cnn"}))
    form = {"kind": "cache", "max_past": 96, "prompts": "splits.old"}
    values = GOOD["exported"]["cnn"] | {"format": form}
    spec = ExportedSpec.model_validate(values)
    exported.build(spec, needs(model_cnn=folder), folder)


def _a_graph_of_another_family(folder: Path) -> None:
    from transformers import GPT2Config

    from lmspec.writing import exporting

    exporting.require_known(GPT2Config(), 64)


def _more_past_than_positions(folder: Path) -> None:
    from transformers import LlamaConfig

    from lmspec.writing import exporting

    exporting.require_known(LlamaConfig(max_position_embeddings=32), 64)


def _a_gguf_in_place_of_a_graph(folder: Path) -> None:
    from lmspec.formats import decoder

    (folder / "lmspec.json").write_text(json.dumps({"kind": "gguf"}))
    decoder.read(folder, 1)


def _blocks_of_a_classifier(folder: Path) -> None:
    from lmspec.formats import decoder

    (folder / "lmspec.json").write_text(json.dumps({"labels": ["good", "bad"]}))
    decoder.read(folder, 1)


def _labels_of_a_model_that_writes(folder: Path) -> None:
    from lmspec.formats import checkpoint

    (folder / "lmspec.json").write_text(json.dumps({"kind": "causal"}))
    checkpoint.read(folder)


def _answers_of_a_classifier(folder: Path) -> None:
    from stages import writing_scores

    (folder / "lmspec.json").write_text(json.dumps({"kind": "cnn", "labels": ["good", "bad"]}))
    writing_scores.of_model(folder, needs())


def _a_classifier_that_is_timed_by_tokens(folder: Path) -> None:
    from stages import writing_speed

    (folder / "lmspec.json").write_text(json.dumps({"kind": "cnn"}))
    spec = Project.model_validate(YAML(typ="safe").load(specs.WRITING)).find("speed.pairs")
    machine = Machine(device="cpu")
    writing_speed.contestant(spec.modules()[2], folder, folder, spec, SPECS.numerics, machine)  # type: ignore[arg-type]


def _more_tokens_than_a_graph_reads(folder: Path) -> None:
    from lmspec.writing import timing

    timing.require_room(96, 90, 7, "data/quantized/pairs")


def _the_load_of_a_model_that_writes(folder: Path) -> None:
    from stages import load

    (folder / "lmspec.json").write_text(json.dumps({"kind": "causal"}))
    load.require_labels(folder, "model.pairs")


def _texts_without_turns(folder: Path) -> None:
    import polars as pl

    from lmspec.formats import conversations

    pl.DataFrame({"text": ["one", "two"]}).write_parquet(folder / "train.parquet")
    conversations.Turns(folder, "train")


def _written(**prompt: str) -> Any:
    from lmspec.formats.writer import WriterModel
    from tests import tinywriter

    spec = {**tinywriter.PAIR, **prompt}
    return WriterModel(None, tinywriter.tokenizer(), 0, spec, 64, "leave_out", {}).writer  # type: ignore[arg-type]


def _a_system_prompt_without_a_place(folder: Path) -> None:
    from lmspec.formats.conversations import _Reading

    turns = [("system", "Be brief"), ("user", "2 + 2?"), ("assistant", "4")]
    list(_Reading(_written(), ["a"]).windows([turns]))


def _a_token_that_the_tokenizer_lacks(folder: Path) -> None:
    _written(template="<|nowhere|>{prompt}")


def _a_layer_that_is_not_there(folder: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    from lmspec.architectures import adapters

    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2}
    config = LlamaConfig(num_hidden_layers=1, vocab_size=8, **sizes)
    adapters._targets(LlamaForCausalLM(config), ["query"], 0)


def _rows_without_choices(folder: Path) -> None:
    from stages import choosing_scores
    from tests import tinywriter

    tinywriter.write_split(tinywriter.pairs(2), folder / "splits", "test")
    choosing_scores.read(folder / "splits", None, 1)


def _a_card_of_choices(folder: Path) -> None:
    from stages import writing_bundle

    writing_bundle.table(folder, "scores.quiz")


def _a_metric_without_a_file(folder: Path) -> None:
    from lmspec.specs.generation import OwnMetric
    from lmspec.writing.grading import Graders

    fields = {"name": "parses", "module": "metrics.shell", "function": "parses", "better": "higher"}
    Graders([OwnMetric.model_validate(fields)], folder)


def _the_scores_of_another_graph(folder: Path) -> None:
    from stages import bundle

    (folder / "metrics.json").write_text(json.dumps({"of": "quantized.cnn"}))
    bundle.build(SPECS.find("bundle.release"), needs(scores_release=folder), folder)  # type: ignore[arg-type]


def _a_bundle(folder: Path, about: dict[str, Any], **changes: Any) -> None:
    from lmspec.specs.bundle import BundleSpec
    from stages import bundle

    (folder / "lmspec.json").write_text(json.dumps(about))
    scores = {"of": "quantized.release", "accepted_overlap": [], "metrics": {"pairs": {}}}
    (folder / "metrics.json").write_text(json.dumps(scores))
    spec = BundleSpec.model_validate(GOOD["bundle"]["release"] | changes)
    folders = {"scores_release": folder, "quantized_release": folder}
    bundle.build(spec, needs(**folders), folder / "out")


def _a_bundle_of_a_model_that_writes(folder: Path) -> None:
    _a_bundle(folder, {"prompt": {}})


def _scores_of_other_splits(folder: Path) -> None:
    from stages import writing_bundle

    spec = SimpleNamespace(scores="scores.a", beside=["scores.b"])
    tables = {"scores.b": {"dataset": ["chats"]}}
    writing_bundle.require_beside(spec, ["pairs"], tables)  # type: ignore[arg-type]


def _a_sweep(over: dict[str, Any], rungs: Sequence[float] = ()) -> None:
    from stages import sweep

    values = GOOD["sweep"]["cnn"] | {"over": over, "rungs": [*rungs]}
    section = GOOD["model"]["cnn"]
    sweep.Search(SweepSpec.model_validate(values), replace(needs(), section=section))


def _prompted(folder: Path, words: dict[str, Sequence[str]], weights: str) -> None:
    from lmspec.architectures import prompted
    from lmspec.specs.architecture import Prompted
    from tests import tinywriter

    tinywriter.write_weights(folder)
    if weights == "cnn":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"model_type": "lmspec-cnn"}))
    values = {"kind": "prompted", "weights": "sources.a", "max_length": 24, "words": words}
    values |= {"long_texts": "truncate", "template": "{text} is", "calibration": {"kind": "none"}}
    prompted.create(Prompted.model_validate(values), folder, ("bad", "good"))


def _a_label_without_words(folder: Path) -> None:
    _prompted(folder, {"bad": [" bad"]}, "llama")


def _words_of_a_network(folder: Path) -> None:
    _prompted(folder, {"bad": [" bad"], "good": [" good"]}, "cnn")


def _a_sweep_of_a_prompted_model(folder: Path) -> None:
    from stages import sweep

    section = GOOD["model"]["cnn"] | {"architecture": {"kind": "prompted"}}
    values = GOOD["sweep"]["cnn"] | {"rungs": []}
    sweep.Search(SweepSpec.model_validate(values), replace(needs(), section=section))


def _folds_of_a_model_that_writes(folder: Path) -> None:
    from lmspec.specs.folds import FoldsSpec
    from stages import folds

    section = GOOD["model"]["cnn"] | {"architecture": {"kind": "nearest"}}
    values = {"of": "model.cnn", "folds": 5, "dev": None, "keep_together": None, "seed": 1}
    spec = FoldsSpec.model_validate(values)
    folds.build(spec, replace(needs(), section=section), folder)


def _folds_scored_on_other_rows(folder: Path) -> None:
    import numpy as np
    import polars as pl

    from lmspec.formats import documents, outoffold
    from lmspec.specs.scores import ScoresSpec
    from stages import scores

    for split in ("train", "dev", "test"):
        documents.write(pl.DataFrame(schema=documents.DOCUMENT), folder / f"{split}.parquet")
        documents.write_ids((), folder, split)
    answers = outoffold.OutOfFold(("1",), np.zeros(1, np.int64), np.eye(2)[:1], ("a", "b"), {})
    outoffold.write(answers, folder)
    values = GOOD["scores"]["gru"] | {"of": "folds.a", "on": ["splits.a"]}
    scores.build(ScoresSpec.model_validate(values), needs(folds_a=folder, splits_a=folder), folder)


def _a_sweep_of_a_private_model(folder: Path) -> None:
    from stages import sweep

    model = GOOD["model"]["bert"]
    training = model["training"] | {"private": {"epsilon": 8.0, "delta": 1e-4}}
    over = {"training.batch_size": [32, 64]}
    spec = SweepSpec.model_validate(GOOD["sweep"]["cnn"] | {"of": "model.bert", "over": over})
    sweep.Search(spec, replace(needs(), section=model | {"training": training}))


def _a_swept_reference(folder: Path) -> None:
    _a_sweep({"on": ["splits.old", "splits.new"]})


def _a_swept_value_of_another_type(folder: Path) -> None:
    _a_sweep({"training.batch_size": [32, "64"]})


def _swept_values_that_contradict_each_other(folder: Path) -> None:
    _a_sweep({"training.batch_size": [32, 64], "training.micro_batch_size": [64, 32]})


def _a_rung_beyond_the_end(folder: Path) -> None:
    _a_sweep({"training.batch_size": [32, 64]}, [50.0])


def _a_world(size: int, sharding: str | None = None, **changes: Any) -> None:
    import torch

    from lmspec.training.world import World

    values = GOOD["model"]["bert"]["training"]
    spec = GradientDescent.model_validate(values | changes)
    numerics = SPECS.numerics.model_copy(update={"world": size, "sharding": sharding})
    model = SimpleNamespace(device=torch.device("cpu"))  # no network of ours, as a transformer is
    with mock.patch.dict(os.environ, WORLD_SIZE=str(size)):
        World.joined(numerics, spec, model)  # type: ignore[arg-type]


def _more_processes_than_examples(folder: Path) -> None:
    _a_world(3, batch_size=2)


def _private_processes(folder: Path) -> None:
    _a_world(2, private={"epsilon": 8.0, "delta": 1e-4})


def _adafactor_of_divided_weights(folder: Path) -> None:
    _a_world(2, "full", optimizer=ADAFACTOR)


def _a_step_that_does_not_fit(folder: Path) -> None:
    """The stage looks at the device itself, whatever `machine.memory_gib` says."""
    from lmspec.training import footprint

    needs = footprint.Footprint(held=16 * 2**30, row=2**30, rows=4, tokens=128)
    with (
        mock.patch.object(footprint, "estimated", return_value=needs),
        mock.patch.object(footprint, "available", return_value=2**34),
    ):
        footprint.require_memory(mock.Mock(), mock.Mock(), mock.Mock(), SPECS.numerics)


def _a_column_that_the_file_lacks(folder: Path) -> None:
    from lmspec.formats import rawtable

    (folder / "old.csv").write_text("review,stars,document\ngood,5,a\n")
    table = SPECS.corpus["old"].tables[0]
    list(rawtable.rows(folder / "old.csv", table))


def _rows_without_answers(folder: Path) -> None:
    from lmspec.methods.screening import Rejected
    from stages import corpus

    rows = [Rejected("chats", i, "say a", "no answer", "reply", None) for i in range(3)]
    corpus.say(SPECS.corpus["old"], rows, kept=0)


def _explained(folder: Path, of: str, rows: int = 2, **changes: Any) -> None:
    from tests import bundles, explaining

    texts = [("a film", 0), ("a plot", 1)]
    made = folder / "made"
    if of.startswith("model."):
        explaining.written(explaining.drawn(texts)[0], made)
    else:
        made.mkdir()
        bundles.make(made)
    folders = {of: made, "splits.a": explaining.splits(texts[:rows], folder / "splits")}
    explaining.build(folder / "out", folders, of=of, **changes)


def _answers_of_a_cnn_that_are_explained(folder: Path) -> None:
    _explained(folder, "model.cnn", answers={"text": "reference", "tokens": 8})


def _augmented(
    folder: Path, labels: list[str], folders: dict[str, Path] | None = None, **kind: Any
) -> None:
    from lmspec.formats import documents
    from lmspec.specs.augmented import AugmentedSpec
    from stages import augmented

    splits = folder / "splits"
    _splits(splits, labels or ["none"], 1)
    documents.write_labels(labels, splits)
    (splits / "dev.parquet").rename(splits / "train.parquet")
    documents.write_clean({"fix_unicode": True, "unescape_html": True}, splits)
    for split in ("train", "dev", "test"):
        documents.write_ids(["0" * 16] * (split == "train"), splits, split)
    spec = AugmentedSpec.model_validate({"of": "splits.old", "seed": 1, "add": [kind]})
    augmented.build(spec, needs(splits_old=splits, **(folders or {})), folder)


def _sides_that_are_not_there(folder: Path) -> None:
    from lmspec.formats import documents
    from stages import splits

    _splits(folder / "corpus", ["bad", "good"], 3)
    (folder / "corpus/dev.parquet").rename(folder / "corpus/documents.parquet")
    documents.write_ids("abc", folder / "corpus", "documents")
    spec = SPECS.find("splits.old").model_copy(update={"sides": "gone.csv"})
    splits.build(spec, needs(corpus_old=folder / "corpus"), folder)  # type: ignore[arg-type]


def _augmented_without_labels(folder: Path) -> None:
    _augmented(folder, [], kind="word_swap", share=1.0, copies=1, swaps=1)


def _synonyms_that_are_not_there(folder: Path) -> None:
    from tests.test_augmented_kinds import SYNONYMS

    _augmented(folder, ["bad", "good"], {"sources_w": folder}, **SYNONYMS)


def _paraphrases_by_a_classifier(folder: Path) -> None:
    from tests.test_augmented_kinds import PARAPHRASE

    (folder / "lmspec.json").write_text('{"kind": "cnn"}')
    _augmented(folder, ["bad", "good"], {"model_w": folder}, **PARAPHRASE)


def _phrases_that_are_not_there(folder: Path) -> None:
    _augmented(folder, ["bad", "good"], kind="templates", file="gone.yaml", rows=1)


def _an_empty_split_that_is_explained(folder: Path) -> None:
    _explained(folder, "model.cnn", rows=0)


def _gradients_of_a_graph(folder: Path) -> None:
    _explained(folder, "quantized.cnn", method={"kind": "gradient_x_input"})


def _a_mask_of_a_cnn(folder: Path) -> None:
    _explained(folder, "model.cnn", masking="mask")


def _a_target(folder: Path, model: str = "", **changes: Any) -> None:
    """A bundle with a target of another graph. model: what that graph is like."""
    from tests import test_targets

    graphs = test_targets.needs_of_graphs(folder)
    if model:
        made = {"int8": test_targets.in_int8(127), "fp16": test_targets.halved()}[model]
        (graphs["quantized.b"] / "model.onnx").write_bytes(made.SerializeToString())
    target = test_targets.VNNI | changes
    test_targets.built(graphs, folder / "out", target, test_targets.ANY)


def _eight_bits_without_vnni(folder: Path) -> None:
    _a_target(folder, "int8", instructions="avx2")


def _int8_for_a_card(folder: Path) -> None:
    from tests import test_targets

    graphs = test_targets.needs_of_graphs(folder)
    made = test_targets.in_int8(64).SerializeToString()
    (graphs["quantized.b"] / "model.onnx").write_bytes(made)
    cuda = test_targets.CUDA | {"of": "quantized.b"}
    test_targets.built(graphs, folder / "out", cuda, test_targets.ANY)


def _halves_for_a_processor(folder: Path) -> None:
    _a_target(folder, "fp16")


def _a_graph_of_another_model(folder: Path) -> None:
    from tests import test_targets

    graphs = test_targets.needs_of_graphs(folder)
    test_targets.rewritten(graphs["quantized.b"], lambda table: -table)
    test_targets.built(graphs, folder / "out", test_targets.VNNI, test_targets.ANY)


def _a_card_of_train_texts(folder: Path) -> None:
    import polars as pl

    from lmspec.formats import documents
    from lmspec.specs.bundle import BundleSpec
    from stages import card_bundle
    from tests import explaining
    from tests.test_factsheet import SPEC

    rows = explaining.planted()[:8]
    folders = {
        "model.a": explaining.written(explaining.drawn(rows)[0], folder / "model"),
        "splits.a": explaining.splits(rows, folder / "splits"),
    }
    explaining.build(folder / "explained", folders)
    (folder / "scores").mkdir()
    documents.write(pl.DataFrame({"id": ["other"]}), folder / "scores/predictions.parquet")
    spec = BundleSpec.model_validate(SPEC)
    given = needs(scores_a=folder / "scores", explained_a=folder / "explained")
    card_bundle.texts_of(spec.card.explained, spec, given)  # type: ignore[union-attr, arg-type]


def _a_target_that_alone_is_calibrated(folder: Path) -> None:
    from tests import test_targets

    graphs = test_targets.needs_of_graphs(folder)
    both = {**graphs.folders, "calibrated.b": graphs["quantized.b"]}
    graphs = dataclasses.replace(graphs, folders=both)
    target = test_targets.VNNI | {"of": "calibrated.b", "scores": None}
    test_targets.built(graphs, folder / "out", target, test_targets.ANY)


def _a_target_with_scores_of_another_graph(folder: Path) -> None:
    _a_target(folder, scores="scores.a")


def _redaction_in_a_browser(folder: Path) -> None:
    from lmspec.formats import browser
    from tests import bundles

    about = json.loads((bundles.make(folder) / "lmspec.json").read_text())
    about["clean"]["emails"] = True
    (folder / "lmspec.json").write_text(json.dumps(about))
    browser.write(folder / "out", folder, {}, browser.Described("t", "exported.a", 100))


def _n_grams_in_a_browser(folder: Path) -> None:
    from lmspec.formats import browser
    from lmspec.methods.ngrams import NgramTokenizer
    from tests import bundles

    bundles.make(folder)
    tokenizer = NgramTokenizer(("good",), ("g",), (1, 1), (1, 1))
    tokenizer.save(str(folder / "tokenizer.json"))
    browser.write(folder / "out", folder, {}, browser.Described("t", "exported.a", 100))


def _a_file_of_annotations_that_is_not_there(folder: Path) -> None:
    from stages import corpus

    spec = SPECS.corpus["old"].model_copy(update={"corrections": ("labels/a.csv",)})  # type: ignore[attr-defined]
    corpus.build(spec, needs(sources_old=folder), folder)


def _suspects_among_texts_without_labels(folder: Path) -> None:
    from lmspec.formats import documents
    from lmspec.specs.suspects import SuspectsSpec
    from stages import suspects

    features = {"kind": "linear", "word_ngrams": [1, 1], "char_ngrams": None}
    features |= {"min_documents": 1, "max_features": 9, "inverse_regularization": 1.0}
    values = {"of": "splits.old", "parts": ["dev"], "folds": 2, "seed": 1, "rows": 9}
    _splits(folder / "splits", ["good"], 3)
    documents.write_labels([], folder / "splits")
    spec = SuspectsSpec.model_validate(values | {"features": features})
    suspects.build(spec, needs(splits_old=folder / "splits"), folder)


def _rates_of_no_label(folder: Path) -> None:
    import polars as pl

    from lmspec.specs.groups import Groups
    from stages import grouped_scores

    by = [{"kind": "column", "name": "tables", "column": "table"}]
    groups = Groups.model_validate({"positive": "great", "by": by, "draws": 100})
    grouped_scores.measured(groups, pl.DataFrame(), pl.DataFrame(), ("good", "bad"), 1)


def _groups_of_no_column(folder: Path) -> None:
    import polars as pl

    from lmspec.specs.groups import Groups
    from stages import grouped_scores

    by = [{"kind": "column", "name": "ages", "column": "age", "values": ["a", "b"]}]
    groups = Groups.model_validate({"positive": "good", "by": by, "draws": 100})
    frame = pl.DataFrame({"label": ["good"], "predicted": ["good"], "group": ["a"]})
    grouped_scores.measured(groups, frame, frame, ("good", "bad"), 1)


def _a_label_called_unsure(folder: Path) -> None:
    from lmspec.specs.calibrated import CalibratedSpec
    from stages import calibrated
    from tests.calibrating import SPEC

    calibrated.require_a_name(CalibratedSpec.model_validate(SPEC), ("good", "unsure"))


def _a_file_of_cases_that_is_not_there(folder: Path) -> None:
    from lmspec.specs.examined import ExaminedSpec
    from stages import examined

    fields = {"of": "quantized.a", "cases": "cases.yaml", "on": "splits.a", "rows": 8, "seed": 1}
    examined.build(ExaminedSpec.model_validate(fields), needs(quantized_a=folder), folder)


def _labels_of_a_model_that_is_asked_for_answers(folder: Path) -> None:
    from lmspec.specs.examined import ExaminedSpec
    from stages import examined

    kind = "kind: minimum, templates: [b], label: c"
    (folder / "cases.yaml").write_text(f"source: a\nlicense: MIT\nsuites:\n  a: {{{kind}}}\n")
    fields = {"of": "model.a", "cases": "cases.yaml", "on": "splits.a", "rows": 8, "seed": 1}
    decoding = {"decode": {"kind": "greedy"}, "new_tokens": 8, "stop": []}
    decoding |= {"repetition_penalty": None, "constraint": None}
    spec = ExaminedSpec.model_validate({**fields, "generation": decoding})
    given = dataclasses.replace(needs(model_a=folder), root=folder)
    examined.build(spec, given, folder)


def _traced(folder: Path, **changes: Any) -> None:
    from tests import explaining, test_traced

    folders = {
        "model.a": explaining.written(test_traced.encoder(), folder / "model"),
        "model.cnn": explaining.written(explaining.drawn([("a", 0), ("b", 1)])[0], folder / "cnn"),
        "splits.a": test_traced.texts_of(folder / "splits"),
    }
    test_traced.build(folder / "out", folders, **changes)


def _the_layers_of_a_cnn(folder: Path) -> None:
    _traced(folder, of="model.cnn")


def _a_third_layer_of_two(folder: Path) -> None:
    _traced(folder, layers=[0, 2])


def _a_file_of_pairs_that_is_not_there(folder: Path) -> None:
    _traced(folder, pairs="gone.yaml")


def _a_concept_that_is_no_table(folder: Path) -> None:
    _traced(folder, concepts=[{"kind": "table", "name": "source", "tables": ["movies", "mail"]}])


def _an_attack(folder: Path, seen: str, **changes: str) -> None:
    import polars as pl

    from lmspec.formats import documents
    from lmspec.specs.attacked import AttackedSpec
    from stages import attacked

    for name, document in (("m", seen), ("r", '{"splits.a": ["train"]}')):
        (folder / name).mkdir()
        (folder / name / "seen.json").write_text(document)
    for split in ("train", "test"):
        row = {"id": ["1"], "text": ["a"], "label": ["good"], "group": [None], "table": ["t"]}
        documents.write(pl.DataFrame(row), folder / f"{split}.parquet")
    values = {"of": "model.m", "on": "splits.a", "rows": 9, "seed": 1}
    spec = AttackedSpec.model_validate(values | changes)
    folders = {"model_m": folder / "m", "model_r": folder / "r", "splits_a": folder}
    attacked.build(spec, needs(**folders), folder)


def _an_attack_on_others(folder: Path) -> None:
    _an_attack(folder, '{"splits.b": ["train"]}')


def _a_reference_that_has_seen_it(folder: Path) -> None:
    _an_attack(folder, '{"splits.a": ["train", "dev"]}', reference="model.r")


def _canaries_of_no_table(folder: Path) -> None:
    _an_attack(folder, '{"splits.a": ["train", "dev"]}', canaries="birds")


def _an_extraction_from_a_cnn(folder: Path) -> None:
    from lmspec.specs.base import Ref
    from stages import attacked_writer
    from tests import explaining

    made = explaining.written(explaining.drawn([("a", 0), ("b", 1)])[0], folder / "cnn")
    attacked_writer.opened(Ref("model.cnn"), needs(model_cnn=made))


def _deleted_rows_that_are_not_there(folder: Path) -> None:
    from stages import corpus

    spec = SPECS.corpus["old"].model_copy(update={"deleted": "gone.txt"})  # type: ignore[attr-defined]
    corpus.build(spec, needs(sources_old=folder), folder)


def _a_lexicon_that_is_not_there(folder: Path) -> None:
    from stages import voted_corpus

    function = {"kind": "lexicon", "name": "a", "of": None, "file": "gone.tsv", "bands": None}
    label = {"kind": "votes", "functions": [function], "model": "majority", "min_votes": 1}
    old = GOOD["corpus"]["old"]
    tables = [old["tables"][0] | {"label": label}]
    spec = type(SPECS.corpus["old"]).model_validate(old | {"tables": tables})
    (folder / "old.csv").write_text("text,document\nfine,a\n")
    voted_corpus.labels_of(spec.tables[0], spec, needs(sources_old=folder))  # type: ignore[attr-defined, arg-type]


def _a_pool(folder: Path, held_out: str, turns: bool = False) -> None:
    import polars as pl

    from lmspec.formats import documents
    from lmspec.specs.model import ModelSpec, SelfTraining
    from stages import self_training

    rule = {"pool": "corpus.old", "confidence": 0.9, "per_label": 9, "rounds": 1}
    spec = ModelSpec.model_construct(on="splits.old")
    row = {"id": ["1"], "text": ["a"], "label": ["good"]} | ({"turns": [[]]} if turns else {})
    documents.write(pl.DataFrame(row), folder / "documents.parquet")
    documents.write_ids(["1"], folder, "documents")
    for split in ("train", "dev", "test"):
        documents.write_ids(["1"] * (split == held_out), folder, split)
    documents.write_corpus("corpus.old", folder)
    folders = needs(splits_old=folder, corpus_old=folder)
    self_training.read(spec, SelfTraining.model_validate(rule), folders)


def _a_pool_with_test_rows(folder: Path) -> None:
    _a_pool(folder, "test")


def _a_pool_of_conversations(folder: Path) -> None:
    _a_pool(folder, "train", turns=True)


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "pool-is-another-corpus": (_a_pool_with_test_rows, "1 of its rows are test texts"),
    "pool-holds-texts": (_a_pool_of_conversations, "corpus.old has conversations"),
    "file-sources-exist": (_a_missing_source, "there is no such file or folder"),
    "file-sources-are-not-built": (_a_source_that_is_built, "model.b builds data/model/b"),
    "file-sources-hold-files": (_a_source_with_a_fifo, "FIFO|no file"),
    "file-sources-have-their-hash": (_a_source_with_another_hash, "SHA-256"),
    "table-is-in-its-source": (_a_table_of_another_source, "there is no such file in the source"),
    "columns-are-in-the-file": (_a_column_that_the_file_lacks, "it has no column 'text'"),
    "answers-are-there": (_rows_without_answers, "no row is left: 3 no answer"),
    "corrections-can-be-read": (_a_file_of_annotations_that_is_not_there, "there is no such file"),
    "deleted-rows-can-be-read": (_deleted_rows_that_are_not_there, "it cannot be read"),
    "labelling-functions-can-vote": (_a_lexicon_that_is_not_there, "there is no such file"),
    "listed-texts-have-labels": (
        _suspects_among_texts_without_labels,
        r"1 of the labels \[\] have two rows",
    ),
    "length-fits-positions": (_more_tokens_than_positions, "49 is more than the 48 positions"),
    "teacher-has-layers": (_a_teacher_without_layers, "is of kind cnn"),
    "layers-are-the-teachers": (_a_layer_that_the_teacher_lacks, "has layers 0 to 2"),
    "layers-to-freeze-exist": (_more_frozen_layers_than_there_are, "more than the model's 3"),
    "splits-are-not-empty": (_an_empty_split, "its dev split is empty"),
    "sides-can-be-read": (_sides_that_are_not_there, "it cannot be read"),
    "only-labelled-texts-are-augmented": (_augmented_without_labels, "texts without labels"),
    "phrases-suit-the-corpus": (_phrases_that_are_not_there, "there is no such file"),
    "synonyms-can-be-read": (_synonyms_that_are_not_there, "there is no such file"),
    "paraphrases-can-be-written": (_paraphrases_by_a_classifier, "of kind cnn and writes none"),
    "texts-have-labels": (_texts_without_labels, "its texts have no labels"),
    "labels-agree": (_other_labels, "its labels are"),
    "replay-was-trained-on": (_replay_of_rows_that_are_new, "was not trained on splits.old"),
    "update-trains-a-network": (_an_update_of_a_linear_model, "nothing to train further"),
    "test-rows-were-not-seen": (_test_rows_that_were_seen, "the model has seen test texts"),
    "accepted-overlap-was-seen": (
        _an_overlap_with_data_that_was_not_seen,
        "has not seen splits.new",
    ),
    "writers-are-scored": (_labels_of_a_model_that_writes, "has answers, no labels"),
    "further-training-suits-the-kind": (_few_logits_of_a_classifier, "cnn has no top_logits"),
    "generation-suits-the-kind": (_answers_of_a_classifier, "of kind cnn generates nothing"),
    "timed-alike": (_a_classifier_that_is_timed_by_tokens, "of kind cnn generates nothing"),
    "timed-tokens-fit": (_more_tokens_than_a_graph_reads, "more than the 96 tokens that it reads"),
    "load-is-of-labels": (_the_load_of_a_model_that_writes, "writes, and the load of"),
    "rows-suit-the-kind": (_texts_without_turns, "without prompts and answers"),
    "prompt-has-the-turns": (_a_system_prompt_without_a_place, "a pair is one prompt"),
    "template-is-of-the-tokenizer": (_a_token_that_the_tokenizer_lacks, "no token of the"),
    "adapter-targets-exist": (_a_layer_that_is_not_there, "no linear layer query"),
    "choices-can-be-made": (_rows_without_choices, "the rows of its test split have no choices"),
    "bundle-shows-answers": (_a_card_of_choices, "scores.quiz has labels, no answers"),
    "explained-texts-exist": (_an_empty_split_that_is_explained, "its test split is empty"),
    "method-suits-the-explained": (_gradients_of_a_graph, "and quantized.cnn is a graph"),
    "masking-suits-the-explained": (_a_mask_of_a_cnn, "its tokenizer has no mask token"),
    "answers-are-explained": (
        _answers_of_a_cnn_that_are_explained,
        r"model\.cnn is of kind cnn, which writes no token",
    ),
    "positive-is-a-label": (_rates_of_no_label, "there is no label 'great'"),
    "kept-columns-are-there": (_groups_of_no_column, "keeps no column 'age'"),
    "no-label-is-unsure": (_a_label_called_unsure, "has a label 'unsure'"),
    "cases-are-sound": (_a_file_of_cases_that_is_not_there, "there is no such file"),
    "examined-writers-generate": (
        _labels_of_a_model_that_is_asked_for_answers,
        "a suite of kind minimum is of one that tells labels apart",
    ),
    "traced-has-layers": (_the_layers_of_a_cnn, "is of kind cnn, whose hidden states are not"),
    "traced-layers-exist": (_a_third_layer_of_two, "model.a has no layer 2"),
    "pairs-are-sound": (_a_file_of_pairs_that_is_not_there, "there is no such file"),
    "concepts-exist": (_a_concept_that_is_no_table, "of fewer than two of its tables"),
    "members-were-trained-on": (_an_attack_on_others, r"model\.m was not trained on splits\.a"),
    "references-saw-neither": (_a_reference_that_has_seen_it, r"model\.r has seen splits\.a, too"),
    "canaries-are-a-table": (_canaries_of_no_table, "of the table birds: nothing is planted"),
    "extraction-is-of-writers": (_an_extraction_from_a_cnn, "which writes no token after another"),
    "own-metrics-exist": (_a_metric_without_a_file, "metrics.shell has no file metrics/shell.py"),
    "format-suits-the-kind": (_a_cache_of_a_classifier, "of kind cnn writes nothing"),
    "format-is-of-the-model": (_a_graph_of_another_family, "no graph is made of a gpt2"),
    "cache-fits-the-model": (_more_past_than_positions, "64 is more than the 32 positions"),
    "gguf-is-read-elsewhere": (_a_gguf_in_place_of_a_graph, "a GGUF, which nothing of lmspec"),
    "weight-only-is-of-writers": (_blocks_of_a_classifier, "the graph of a classifier"),
    "scheme-suits-architecture": (_a_scheme_that_does_not_suit, "slower than fp32"),
    "swept-fields-exist": (_a_swept_reference, "no field 'on' that takes values"),
    "swept-values-fit": (_a_swept_value_of_another_type, r"training\.batch_size.* valid integer"),
    "swept-values-agree": (
        _swept_values_that_contradict_each_other,
        "with .*: a part of 64 examples is larger than the batch of 32",
    ),
    "rungs-are-reached": (_a_rung_beyond_the_end, "a rung after 50 epochs is not before the end"),
    "batch-suffices-for-the-world": (
        _more_processes_than_examples,
        "2 examples are not enough for 3 processes",
    ),
    "private-models-train-alone": (_private_processes, "would each add their own noise"),
    "words-are-of-the-labels": (_a_label_without_words, "the label 'good' has no word"),
    "what-is-prompted-writes": (
        _words_of_a_network,
        "it cannot be loaded|cannot be read|lmspec-cnn",
    ),
    "nothing-prompted-is-searched": (_a_sweep_of_a_prompted_model, "not valid"),
    "folds-suit-the-model": (_folds_of_a_model_that_writes, "folds are of labels"),
    "folds-are-scored-on-their-rows": (_folds_scored_on_other_rows, "1 of its rows are not in"),
    "no-private-model-is-swept": (_a_sweep_of_a_private_model, "would spend its epsilon again"),
    "sharding-suits-the-optimizer": (
        _adafactor_of_divided_weights,
        "adafactor cannot train weights that are divided",
    ),
    "training-fits-the-memory": (_a_step_that_does_not_fit, "a step needs about 20.0 GiB"),
    "bundle-suits-the-kind": (_a_bundle_of_a_model_that_writes, "the graph writes"),
    "beside-is-of-the-same-splits": (_scores_of_other_splits, r"scores\.b is not on pairs"),
    "bundle-shows-its-own-scores": (_the_scores_of_another_graph, "scores quantized.cnn"),
    "weights-do-not-overflow": (_eight_bits_without_vnni, "overflow in x86 kernels without VNNI"),
    "cards-compute-floats": (_int8_for_a_card, "in int8, which no card computes"),
    "halves-are-for-cards": (_halves_for_a_processor, "in fp16, which is for cards"),
    "targets-are-of-one-model": (_a_graph_of_another_model, "otherwise than quantized.a"),
    "card-shows-test-texts": (_a_card_of_train_texts, "8 of its 8 texts are no test texts"),
    "targets-are-calibrated-alike": (
        _a_target_that_alone_is_calibrated,
        "one of it and quantized.a is calibrated",
    ),
    "targets-show-their-own-scores": (
        _a_target_with_scores_of_another_graph,
        r"scores\.a scores quantized\.a",
    ),
    "browsers-read-tokens": (_n_grams_in_a_browser, "n-grams, which no browser reads"),
    "browsers-repair-alike": (_redaction_in_a_browser, "no browser repairs texts by emails"),
}


def test_each_rule_is_refused_by_a_stage_or_concerns_none() -> None:
    """A new rule has to say which."""
    names = {rules.name_of(rule) for rule in rules.RULES}
    assert names == {*REFUSED, *NOT_OF_A_STAGE}
    assert not {*REFUSED} & {*NOT_OF_A_STAGE}


@pytest.mark.parametrize("rule", REFUSED)
def test_a_stage_refuses_what_validate_refuses(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one message, before anything is written."""
    monkeypatch.chdir(tmp_path)
    broken, message = REFUSED[rule]
    with pytest.raises(LmspecError) as caught:
        broken(tmp_path)
    assert re.search(message, caught.value.found), caught.value


def test_which_networks_take_which_scheme() -> None:
    """By the operations of the graph: a transformer with convolutions is none of them."""
    assert kind_of({"Conv", "Gemm", "ReduceMax"}) == "cnn"
    assert kind_of({"LSTM", "Gemm"}) == "lstm"
    assert kind_of({"GRU", "Gemm", "Conv"}) == "gru"
    assert kind_of({"MatMul", "Softmax", "Conv"}) is None
    assert kind_of({"Gather", "Log", "MatMul"}) == "linear"
    assert kind_of({"Log", "Softmax", "MatMul"}) is None
    assert kind_of({"Gather", "GroupQueryAttention", "MatMul"}) == "causal"
    assert {kind for kind, _ in UNSUITED} == {"cnn", "gru", "lstm", "linear", "causal"}


def test_a_spec_that_is_not_valid_says_why_in_the_stage(tmp_path: Path) -> None:
    """Checks of fields are those of the spec class, which a stage parses."""
    from lmspec.run import building
    from stages import bundle

    spec = GOOD["bundle"]["release"] | {"license": "Apache 2"}
    declared = declaration.of_entry(ArtifactName("bundle", "release"), {})
    params = {"bundle.release": spec, "numerics": GOOD["numerics"], "machine": GOOD["machine"]}
    with pytest.raises(LmspecError, match="it is not an SPDX license expression"):
        building._specs(bundle.STAGE, declared, params)
    building._specs(bundle.STAGE, declared, params | {"bundle.release": GOOD["bundle"]["release"]})


def test_a_table_without_rows_is_written_as_an_empty_file() -> None:
    """A stage may find nothing to list; which columns there would be, only rows say."""
    from lmspec.run import building
    from lmspec.specs.suspects import SuspectsSpec

    features = {"kind": "linear", "word_ngrams": [1, 1], "char_ngrams": None, "min_documents": 1}
    features |= {"max_features": 9, "inverse_regularization": 1.0}
    values = {"of": "corpus.a", "parts": None, "features": features, "folds": 2, "seed": 1}
    spec = SuspectsSpec.model_validate(values | {"rows": 2})
    declared = declaration.of_entry(ArtifactName("suspects", "reviews"), {})
    report = stage.Report({"judged": 2}, {"rows": []})
    assert building._files(spec, declared, report)["data/metrics/suspects-reviews/rows.csv"] == ""


def test_dvc_repro_refuses_dynamic_int8_of_a_cnn(built: Path, tmp_path: Path) -> None:
    """As `lmspec validate` does; static, which the miniature has, is built."""
    project = shutil.copytree(built, tmp_path / "project", symlinks=True)
    path = project / "params.yaml"
    static = "scheme: {kind: static, per_channel: true, reduce_range: true}"
    path.write_text(path.read_text().replace(static, static.replace("static", "dynamic")))
    output = miniature.run(project, "dvc", "repro", "quantized-cnn", code=255)
    assert "quantized.scheme: an int8 convolution with dynamic scales is slower than fp32" in output
