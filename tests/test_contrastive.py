"""Few texts of each label: an encoder trained by pairs, and a layer above it, shipped as any."""

import copy
import dataclasses
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from lmspec import stage
from lmspec.architectures import embedding
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import logistic, reading, torchrun
from lmspec.methods.resume import Resume
from lmspec.specs.architecture import Embedding
from lmspec.specs.checks.model import compares_on_dev
from lmspec.specs.model import ModelSpec
from lmspec.specs.training import Contrastive, head
from lmspec.training import checkpoints, contrasting, loop
from stages import model as stage_of_models
from tests import miniature
from tests.test_linear import LABELS, LINE, TEXTS, TRUTH, stages

OPTIMIZER = {"peak_learning_rate": 1e-3, "weight_decay": 0.01}
OPTIMIZER |= {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
HEAD = {"inverse_regularization": [1.0, 10.0]}
HEAD |= {"class_weights": "none", "max_iterations": 1000}
TRAINING = {"kind": "contrastive", "steps": 30, "batch_size": 8, "optimizer": OPTIMIZER}
TRAINING |= {"warmup_fraction": 0.1, "max_gradient_norm": 1.0, "frozen_embeddings": False}
TRAINING |= {"frozen_layers": 0, "head": HEAD}
SHAPE = {"kind": "embedding", "weights": "sources.bert", "max_length": 24}
SHAPE |= {"long_texts": "truncate"}
EACH = 8  # training texts of a label


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "weights"
    miniature.write_weights(folder)
    return folder


def section(training: Any = None, **changes: Any) -> dict[str, Any]:
    """A model of params.yaml; training: what is changed of it."""
    whole = {"on": "splits.old", "architecture": SHAPE, "training": TRAINING | (training or {})}
    return whole | changes


def spec(training: Any = None, **changes: Any) -> ModelSpec:
    return ModelSpec.model_validate(section(training, **changes))


def cut(folder: Path, split: str, keep: pl.Expr | None = None, each: int | None = None) -> None:
    """Leave fewer rows of a split."""
    frame = documents.read_split(folder, split)
    ids = documents.read_ids(folder, split)
    frame = frame.with_columns(pl.Series("common", ids))
    if keep is not None:
        frame = frame.filter(keep)
    if each is not None:
        frame = frame.filter(pl.int_range(pl.len()).over("label") < each)
    documents.write_ids(frame["common"], folder, split)
    documents.write(frame.drop("common"), folder / f"{split}.parquet")


@pytest.fixture
def needs(tmp_path: Path, weights: Path) -> stage.Needs:
    """Eight training texts of each label."""
    made = stages(tmp_path)
    cut(made["splits.old"], "train", each=EACH)
    return dataclasses.replace(made, folders={**made.folders, "sources.bert": weights})


def built(needs: stage.Needs, out: Path, training: Any = None, **changes: Any) -> stage.Report:
    out.mkdir()
    return stage_of_models.build(spec(training, **changes), needs, out)


def without_dev(needs: stage.Needs) -> None:
    cut(needs["splits.old"], "dev", pl.lit(False))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_is_shipped_as_it_was_scored(needs: stage.Needs, tmp_path: Path) -> None:
    """A checkpoint like any other: graph, int8, scores and bundle by their stages."""
    line = copy.deepcopy(LINE)
    line["model"] = section()
    for noun, values in line.items():
        module = importlib.import_module(f"stages.{noun}")
        (tmp_path / noun).mkdir()
        report = module.build(module.STAGE.spec.model_validate(values), needs, tmp_path / noun)
        if noun == "model":
            assert report.metrics["contrastive"]["steps"] == 30
            assert {row["inverse_regularization"] for row in report.tables["curve"]} == {1.0, 10.0}
        if noun == "scores":
            assert report.metrics["old"]["accuracy"] > 0.85
    predict = importlib.import_module("lmspec.formats.predict")
    classifier = predict.Classifier(tmp_path / "bundle")
    model = checkpoint.read(tmp_path / "model")
    for text in TEXTS[:3]:
        expected = reading.predicted(
            torchrun.forward(model.model), model.reader.read([text]), model.pad_id, 1
        )
        answer = classifier.predict(text)
        np.testing.assert_allclose([answer[label] for label in LABELS], expected[0], atol=1e-4)


def network_of(weights: Path) -> tuple[embedding.EmbeddingClassifier, Any, int]:
    return embedding.create(Embedding.model_validate(SHAPE), weights, (), 2)


def trained(weights: Path, needs: stage.Needs, rows: list[int], **changes: Any) -> Any:
    """An encoder that was trained by the pairs of these texts, with their states."""
    network, tokenizer, pad_id = network_of(weights)
    ids = reading.Reader(tokenizer, "truncate").read([TEXTS[i] for i in rows]).ids
    recipe = Contrastive.model_validate(TRAINING | changes)
    contrasting.fit(network, ids, TRUTH[rows], pad_id, recipe, needs.bits)
    return network, embedding.embeddings(network, ids, pad_id)


def test_texts_of_a_label_become_alike(weights: Path, needs: stage.Needs) -> None:
    """Cosines within a label near 1, between labels near 0, where they were all alike before."""
    rows = [*np.flatnonzero(TRUTH == 0)[:EACH], *np.flatnonzero(TRUTH == 1)[:EACH]]
    _, states = trained(weights, needs, rows, steps=60)
    cosines, same = states @ states.T, TRUTH[rows][:, None] == TRUTH[rows]
    assert cosines[same].mean() > 0.8 and abs(cosines[~same].mean()) < 0.3
    network, tokenizer, pad_id = network_of(weights)
    ids = reading.Reader(tokenizer, "truncate").read([TEXTS[i] for i in rows]).ids
    before = embedding.embeddings(network, ids, pad_id)
    assert (before @ before.T)[~same].mean() > 0.6


def test_the_loss_is_the_squared_error_of_all_pairs() -> None:
    """Of both kinds alike, computed by hand; a batch of one kind counts that, of one text none."""

    class Network:
        def pooled(self, ids: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(ids.double())

    truth = np.asarray([0, 0, 1, 1, 1])
    states = torch.tensor([[1, 0], [1, 1], [0, 1], [1, -1], [1, 2]])
    unit = np.asarray([[float(x) for x in row] for row in states])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)

    def by_hand(rows: list[int]) -> float:
        kinds: dict[bool, list[float]] = {}
        for i in rows:
            for j in rows:
                if i < j:
                    same = bool(truth[i] == truth[j])
                    kinds.setdefault(same, []).append((float(unit[i] @ unit[j]) - same) ** 2)
        return float(np.mean([np.mean(values) for values in kinds.values()])) if kinds else 0.0

    loss = contrasting.pairwise(truth)
    for rows in ([0, 1, 2, 3, 4], [2, 3, 4], [0, 2], [3]):
        batch = reading.Batch(np.asarray(rows), np.zeros((1, 1)), np.zeros((1, 1)))
        assert float(loss(Network(), batch, states[rows], states)) == pytest.approx(by_hand(rows))


def test_the_same_seed_gives_the_same_bytes(needs: stage.Needs, tmp_path: Path) -> None:
    """Twice the same files; with another seed, other weights (the negative control)."""
    for name in ("a", "b"):
        built(needs, tmp_path / name, {"steps": 5})
    other = dataclasses.replace(needs, numerics=needs.bits.model_copy(update={"seed": 2}))
    built(other, tmp_path / "c", {"steps": 5})
    assert files(tmp_path / "a") == files(tmp_path / "b")
    one, two = (files(tmp_path / name)["model.safetensors"] for name in "ac")
    assert one != two


def test_a_killed_training_goes_on_to_the_same_bytes(
    needs: stage.Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after step 7 of 12: what it took up again is that of a training in one go."""
    built(needs, tmp_path / "whole", {"steps": 12})
    resumed = dataclasses.replace(needs, resume=Resume(tmp_path / "resume", lambda: True))
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    backward, steps = loop.partial, []

    def killing(function: Any, *given: Any) -> Any:
        made = backward(function, *given)
        if function is not loop._loss:
            return made

        def loss(*rest: Any) -> Any:
            steps.append(len(steps))
            if len(steps) == 8:
                raise KeyboardInterrupt
            return made(*rest)

        return loss

    monkeypatch.setattr(loop, "partial", killing)
    with pytest.raises(KeyboardInterrupt):
        built(resumed, tmp_path / "killed", {"steps": 12})
    built(resumed, tmp_path / "again", {"steps": 12})
    assert len(steps) < 8 + 12
    assert files(tmp_path / "whole") == files(tmp_path / "again")


def test_without_dev_texts_nothing_is_chosen_or_calibrated(
    needs: stage.Needs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One value of C is fitted, at temperature 1; no metric of dev is made up."""
    without_dev(needs)
    one = {"head": HEAD | {"inverse_regularization": [1.0]}, "steps": 5}
    report = built(needs, tmp_path / "model", one)
    assert "dev" not in report.metrics and report.metrics["steps"] == 1
    assert [row["temperature"] for row in report.tables["curve"]] == [1.0]
    assert "dev: no texts, so nothing is chosen or calibrated" in capsys.readouterr().err
    assert checkpoint.read(tmp_path / "model").labels == LABELS


def test_several_values_need_dev_texts(needs: stage.Needs, tmp_path: Path) -> None:
    """By the stage, by the solver, and of other kinds by each field that dev decides."""
    without_dev(needs)
    with pytest.raises(LmspecError, match="its dev split is empty"):
        built(needs, tmp_path / "model", {"steps": 1})
    recipe = head(spec().training)
    with pytest.raises(ValueError, match="nothing decides"):
        logistic.fit(np.eye(4), TRUTH[:4] * 0 + [0, 1, 0, 1], np.eye(4)[:0], TRUTH[:0], 2, recipe)
    assert compares_on_dev(section())
    one = HEAD | {"inverse_regularization": [1.0]}
    assert not compares_on_dev(section({"head": one}))
    one |= {"kind": "logistic_regression"}
    assert not compares_on_dev({"architecture": {"families": ["both"]}, "training": one})
    assert compares_on_dev({"architecture": {"families": ["both", "words"]}, "training": one})
    assert compares_on_dev({"architecture": {"embedding_scales": [0, 1]}, "training": one})
    assert compares_on_dev({"architecture": {}, "training": {"kind": "gradient_descent"}})


def test_too_few_rows_of_each_label_are_refused(needs: stage.Needs, tmp_path: Path) -> None:
    """One text of each label: there is no pair that shares one. Of one label alone neither."""
    cut(needs["splits.old"], "train", each=1)
    with pytest.raises(LmspecError, match="no two of the 2 training texts share a label"):
        built(needs, tmp_path / "model")
    cut(needs["splits.old"], "train", pl.col("label") == "good")
    with pytest.raises(LmspecError, match="all of its 1 training texts are 'good'"):
        built(needs, tmp_path / "again")
    with pytest.raises(LmspecError, match="no two of the 3 training texts have different labels"):
        contrasting.require_pairs(np.asarray([1, 1, 1]))


def test_a_label_without_rows_is_named_and_the_least_likely(
    needs: stage.Needs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A third label that no training text has."""
    documents.write_labels([*LABELS, "odd"], needs["splits.old"])
    built(needs, tmp_path / "model", {"steps": 2})
    assert "warning: train has no text with the label odd" in capsys.readouterr().err
    model = checkpoint.read(tmp_path / "model")
    found = reading.predicted(
        torchrun.forward(model.model), model.reader.read(TEXTS[:20]), model.pad_id, 8
    )
    assert set(found.argmin(1)) == {2}


def test_what_is_frozen_stays(weights: Path, needs: stage.Needs) -> None:
    """Embeddings and a layer as they were, the layers above not; more layers are refused."""
    rows = [*range(12)]
    before = network_of(weights)[0].state_dict()
    frozen, _ = trained(weights, needs, rows, steps=4, frozen_embeddings=True, frozen_layers=1)
    moved = {name for name, value in frozen.state_dict().items() if (value != before[name]).any()}
    assert moved and not any("word_embeddings" in name or "layer.0." in name for name in moved)
    assert not any("head" in name or "pooler" in name for name in moved)
    whole, _ = trained(weights, needs, rows, steps=4)
    also = {name for name, value in whole.state_dict().items() if (value != before[name]).any()}
    assert any("word_embeddings" in name for name in also) and moved < also
    with pytest.raises(LmspecError, match="9 is more than the encoder's 3 layers"):
        trained(weights, needs, rows, frozen_layers=9)


def test_an_empty_split_of_the_others_is_still_refused(needs: stage.Needs) -> None:
    """`may_be_empty` is asked for by name."""
    without_dev(needs)
    _, tokenizer, _ = network_of(needs["sources.bert"])
    reader = reading.Reader(tokenizer, "truncate")
    with pytest.raises(LmspecError, match="its dev split is empty"):
        examples.read(needs["splits.old"], "dev", reader, LABELS)
    empty = examples.read(needs["splits.old"], "dev", reader, LABELS, may_be_empty=True)
    assert len(empty.truth) == 0
