"""A masked language model learns the texts that it is given, and says what it has seen."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import transformers
from ruamel.yaml import YAML
from safetensors.torch import load_file
from tokenizers import Tokenizer

from lmspec import stage
from lmspec.architectures import masked, transformer
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.language import validate
from lmspec.methods import reading
from lmspec.methods.folders import sha256
from lmspec.methods.resume import Resume
from lmspec.pipeline import compiler
from lmspec.run import seen
from lmspec.specs.architecture import Transformer
from lmspec.specs.base import references
from lmspec.specs.numerics import Machine
from lmspec.specs.pretrained import Masking, PretrainedSpec
from lmspec.specs.project import Project
from lmspec.training import checkpoints, masking
from stages import pretrained
from tests import miniature, specs
from tests.test_training import ADAMW, NUMERICS, recipe

TEXTS = [text for _, text, _ in miniature.sentences("")]
RULE = Masking(share=0.15, masked=0.8, random=0.1)
FLOW = """{of: sources.bert, on: splits.new, max_length: 24, dropout: 0.1, frozen_embeddings: false,
    frozen_layers: 0, masking: {share: 0.15, masked: 0.8, random: 0.1}, training: {
    kind: gradient_descent, epochs: 2, batch_size: 16, warmup_fraction: 0.1, decay: linear,
    max_gradient_norm: 1.0, class_weights: none, seeds: 1, optimizer: {kind: adamw,
    peak_learning_rate: 0.003, weight_decay: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1.0e-8},
    early_stopping: {metric: log_loss, evaluation_steps: 10, patience: 3}}}"""


def give_a_mask(folder: Path) -> None:
    """To the tokenizer of the miniature's BERT."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["[MASK]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    model = transformers.BertModel.from_pretrained(folder)
    torch.manual_seed(0)
    model.resize_token_embeddings(tokenizer.get_vocab_size())
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature's BERT with a mask."""
    folder = tmp_path_factory.mktemp("source") / "bert"
    miniature.write_weights(folder)
    give_a_mask(folder)
    return folder


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of train and dev; one has no token to guess."""
    folder = tmp_path_factory.mktemp("splits")
    for name, texts in (("train", [*TEXTS[:150], ""]), ("dev", TEXTS[150:200])):
        rows = {column: [column] * len(texts) for column in documents.DOCUMENT}
        documents.write(pl.DataFrame(rows | {"text": texts}), folder / f"{name}.parquet")
    return folder


def spec_of(**changes: object) -> PretrainedSpec:
    fields = {
        "of": "sources.bert",
        "on": "splits.new",
        "max_length": 24,
        "dropout": 0.1,
        "frozen_embeddings": False,
        "frozen_layers": 0,
        "masking": RULE.model_dump(),
        "training": recipe(
            epochs=4,
            optimizer=ADAMW,
            early_stopping={"metric": "log_loss", "evaluation_steps": 10, "patience": 3},
        ).model_dump(),
    }
    return PretrainedSpec.model_validate(fields | changes)


def built(spec: PretrainedSpec, source: Path, splits: Path, out: Path, **more: Any) -> Any:
    """Metrics of a build."""
    out.mkdir()
    folders = {str(spec.of): source, str(spec.on): splits}
    needs = stage.Needs(folders, NUMERICS, Machine(device="cpu"), **more)
    return pretrained.build(spec, needs, out).metrics


def batch_of(ids: list[Any], rows: list[int]) -> reading.Batch:
    return reading.collate(ids, np.asarray(rows), 0)


def test_masks_follow_from_seed_epoch_and_text() -> None:
    """Not from the batch, its padding or the order: a resumed training sees the same ones."""
    rng = np.random.default_rng(0)
    ids = [rng.integers(0, 100, n) for n in rng.integers(5, 40, 400)]
    words = masking.Vocabulary(99, np.arange(10, 99))
    masks = masking.Masks(RULE, words, 1, masking.MASKS)
    whole = masks.of(batch_of(ids, list(range(400))), 3)
    width = whole.input_ids.shape[1]
    for rows in ([7], [31, 7], [7, 31, 200]):
        part = masks.of(batch_of(ids, rows), 3)
        for place, row in enumerate(rows):
            n = len(ids[row])
            assert (part.input_ids[place, :n] == whole.input_ids[row, :n]).all()
    again = masks.of(batch_of(ids, list(range(400))), 4)
    assert (again.input_ids != whole.input_ids).mean() > 0.01
    at = np.stack([whole.at // width, whole.at % width], 1)
    old = np.asarray([ids[row][place] for row, place in at])
    new = np.asarray([whole.input_ids[row, place] for row, place in at])
    assert (old == whole.truth).all() and np.isin(old, words.ordinary).all()
    ordinary = sum(int(np.isin(i, words.ordinary).sum()) for i in ids)
    assert len(at) / ordinary == pytest.approx(0.15, abs=0.01)
    assert (new == 99).mean() == pytest.approx(0.8, abs=0.05)
    assert (new == old).mean() == pytest.approx(0.1, abs=0.04)
    untouched = batch_of(ids, list(range(400))).input_ids != whole.input_ids
    assert set(map(tuple, np.argwhere(untouched))) <= set(map(tuple, at))


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert", "Electra", "ModernBert"])
def test_the_loss_is_that_of_transformers(kind: str) -> None:
    """Although the head sees the guessed positions alone."""
    shape = {
        "vocab_size": 100, "hidden_size": 16, "dim": 16, "num_hidden_layers": 2, "n_layers": 2,
        "num_attention_heads": 2, "n_heads": 2, "intermediate_size": 32, "hidden_dim": 32,
        "embedding_size": 16, "pad_token_id": 0, "max_position_embeddings": 64,
    }  # fmt: skip
    known = getattr(transformers, f"{kind}Config")
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForMaskedLM")(known(**shape)).eval()
    rng = np.random.default_rng(0)
    batch = batch_of([rng.integers(1, 99, n) for n in (5, 20, 11)], [0, 1, 2])
    masks = masking.Masks(RULE, masking.Vocabulary(99, np.arange(10, 99)), 1, masking.MASKS)
    ids, attention = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
    ours = masking.guessing(masks)(2)(model, batch, ids, attention)
    guesses = masks.of(batch, 2)
    labels = torch.full((ids.numel(),), -100)
    labels[guesses.at] = torch.from_numpy(guesses.truth)
    theirs = model(
        input_ids=torch.from_numpy(guesses.input_ids),
        attention_mask=attention,
        labels=labels.view_as(ids),
    ).loss
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_a_model_starts_from_what_was_learned(source: Path, splits: Path, tmp_path: Path) -> None:
    """Guessing gets better; the folder is a source with the pooler of the one before; a second one
    goes on with its head, and a model with its body."""
    metrics = built(spec_of(), source, splits, tmp_path / "first")
    assert metrics["dev"]["log_loss"] < metrics["before"]["log_loss"] - 0.3
    assert metrics["dev"]["perplexity"] == pytest.approx(np.exp(metrics["dev"]["log_loss"]))
    before = load_file(source / "model.safetensors")
    after = load_file(tmp_path / "first/model.safetensors")
    assert torch.equal(after["bert.pooler.dense.weight"], before["pooler.dense.weight"])
    name = "encoder.layer.0.output.dense.weight"
    assert not torch.equal(after[f"bert.{name}"], before[name])
    spec = Transformer(
        kind="transformer", weights="pretrained.first", max_length=24, long_texts="truncate",
        dropout=0.0, classifier_dropout=0.0, frozen_embeddings=True, frozen_layers=0,
    )  # fmt: skip
    model, _, _ = transformer.create(spec, tmp_path / "first", [], 2)
    assert torch.equal(model.state_dict()[f"bert.{name}"], after[f"bert.{name}"])
    second = built(spec_of(of="pretrained.first"), tmp_path / "first", splits, tmp_path / "second")
    assert second["before"]["log_loss"] == pytest.approx(metrics["dev"]["log_loss"], abs=1e-5)
    assert masked.create(spec_of(), tmp_path / "first").has_head
    assert not masked.create(spec_of(), source).has_head


def test_a_killed_one_goes_on_to_the_same_bytes(
    source: Path, splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks of a step are those that it would have had."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    built(spec_of(), source, splits, tmp_path / "whole")
    resume, passed = Resume(tmp_path / "resume", lambda: True), [0]
    draw = masking.Masks.of

    def counted(self: Any, batch: Any, epoch: int) -> Any:
        passed[0] += self.stream == masking.MASKS
        if passed[0] == 17:
            raise KeyboardInterrupt
        return draw(self, batch, epoch)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(masking.Masks, "of", counted)
        built(spec_of(), source, splits, tmp_path / "killed", resume=resume)
    assert (tmp_path / "resume").exists()
    built(spec_of(), source, splits, tmp_path / "resumed", resume=resume)
    whole, resumed = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "resumed")
    )
    assert whole == resumed


def test_an_encoder_without_a_mask_is_refused(splits: Path, tmp_path: Path) -> None:
    """It cannot be asked to guess."""
    miniature.write_weights(tmp_path / "bert")
    with pytest.raises(LmspecError, match="it has no mask"):
        built(spec_of(), tmp_path / "bert", splits, tmp_path / "out")


def project() -> dict[str, Any]:
    """The miniature's spec, with an encoder that has learned the new texts."""
    values: dict[str, Any] = YAML(typ="safe").load(specs.GOOD)
    values["pretrained"] = {"domain": YAML(typ="safe").load(FLOW)}
    values["model"]["bert"]["architecture"]["weights"] = "pretrained.domain"
    return values


def test_its_texts_count_as_seen(tmp_path: Path) -> None:
    """By the models that start from it, and all that is made from those: scores look for test texts
    there."""
    known = Project.model_validate(project())
    assert "splits.new" in compiler.needs_of(known, known.find("scores.release"))
    folders = {"sources.bert": tmp_path}
    refs = [ref for _, ref in references(known.find("pretrained.domain"))]
    learned = seen.of(refs, folders)
    assert learned == {"splits.new": ("dev", "train")}
    seen.write(learned, tmp_path)
    refs = [ref for _, ref in references(known.find("model.bert"))]
    assert seen.of(refs, {"pretrained.domain": tmp_path}) == {
        "splits.new": ("dev", "train"),
        "splits.old": ("dev", "train"),
    }


def test_a_spec_with_one_is_valid(tmp_path: Path) -> None:
    """In params.yaml, as in the stage."""
    text = specs.GOOD.replace("weights: sources.bert", "weights: pretrained.domain")
    path = specs.written(f"pretrained:\n  domain: {FLOW}\n{text}", tmp_path)
    assert not [p for p in validate.file(path).problems if "pretrained" in str(p)]


@pytest.mark.slow
def test_it_is_built_in_the_sandbox(tmp_path: Path) -> None:
    """And a model from it, which has seen both datasets; a second build gives the same bytes."""
    folder = tmp_path / "project"
    folder.mkdir()
    miniature.make(folder)
    before = sha256(folder / "raw/weights")
    give_a_mask(folder / "raw/weights")
    path = folder / "params.yaml"
    text = path.read_text().replace("weights: sources.bert", "weights: pretrained.domain")
    text = text.replace(before, sha256(folder / "raw/weights"))
    path.write_text(f"pretrained:\n  domain: {FLOW}\n{text}")
    miniature.lmspec(folder, "sync")
    miniature.dvc(folder, "repro", "model-bert")
    seen_by_model = (folder / "data/model/bert/seen.json").read_text()
    assert "splits.new" in seen_by_model and "splits.old" in seen_by_model
    first = miniature.fingerprints(folder)
    miniature.dvc(folder, "repro", "-s", "-f", "pretrained-domain")
    assert miniature.fingerprints(folder) == first
