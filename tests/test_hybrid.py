"""Frozen embeddings, alone and beside n-grams: one model from features to the bundle."""

import copy
import dataclasses
import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from lmspec import stage
from lmspec.architectures import embedding, hybrid
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, graph, predict
from lmspec.inspection import reading as inspection
from lmspec.methods import coverage, exporting, logistic, ngrams, pretrained, reading, torchrun
from lmspec.specs.architecture import Embedding, Hybrid
from tests import miniature
from tests.test_linear import LABELS, LINE, ODD, TEXTS, TRUTH, recipe, stages

NGRAMS = {
    "kind": "hybrid",
    "embedding_scales": [0.0, 1.0, 4.0],
    "word_ngrams": [1, 2],
    "char_ngrams": [2, 5],
    "min_documents": 1,
    "max_features": 1000,
}
SHAPES = {
    "embedding": {"kind": "embedding", "long_texts": "truncate"},
    "hybrid": NGRAMS,
}
ENCODER = {"weights": "sources.bert", "max_length": 24}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "weights"
    miniature.write_weights(folder)
    return folder


def shape(**changes: object) -> Hybrid:
    return Hybrid.model_validate(NGRAMS | ENCODER | changes)


def needs_of(folder: Path, weights: Path) -> stage.Needs:
    needs = stages(folder)
    return dataclasses.replace(needs, folders={**needs.folders, "sources.bert": weights})


@pytest.mark.parametrize("kind", SHAPES)
def test_it_is_shipped_as_it_was_scored(kind: str, tmp_path: Path, weights: Path) -> None:
    """Model, graph, scores and bundle by their stages; what ships is right on the test texts."""
    line = copy.deepcopy(LINE)
    line["model"]["architecture"] = SHAPES[kind] | ENCODER
    needs = needs_of(tmp_path, weights)
    for noun, spec in line.items():
        module = importlib.import_module(f"stages.{noun}")
        (tmp_path / noun).mkdir()
        report = module.build(module.STAGE.spec.model_validate(spec), needs, tmp_path / noun)
        if noun == "scores":
            assert report.metrics["old"]["accuracy"] > 0.9
    model = checkpoint.read(tmp_path / "model")
    classifier = predict.Classifier(tmp_path / "bundle")
    assert classifier.max_length == ENCODER["max_length"]
    card = (tmp_path / "bundle/README.md").read_text()
    assert "reads 24 tokens" in card and "reads the whole text" not in card
    assert ("N-grams are of the whole text." in card) == (kind == "hybrid")
    for text in [*TEXTS[:3], *filter(str.split, ODD)]:
        expected = reading.predicted(
            torchrun.forward(model.model),
            model.reader.read([classifier.clean(text)]),
            model.pad_id,
            1,
        )
        answer = classifier.predict(text)
        shares = [answer[label] for label in LABELS]
        np.testing.assert_allclose(shares, expected[0], atol=1e-4)


def test_features_do_not_depend_on_the_batch(weights: Path) -> None:
    """An embedding has length 1, or 0 without a token, and is the same beside longer texts.

    The body stays as it was.
    """
    spec = Embedding.model_validate(SHAPES["embedding"] | ENCODER)
    network, tokenizer, pad_id = embedding.create(spec, weights, (), 2)
    before = {name: value.clone() for name, value in network.body.state_dict().items()}
    reader = reading.Reader(tokenizer, "truncate")
    texts = [*TEXTS[:40], *ODD]
    together = embedding.embeddings(network, reader.read(texts).ids, pad_id)
    alone = [embedding.embeddings(network, reader.read([text]).ids, pad_id)[0] for text in texts]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    full = [len(ids) > 0 for ids in reader.read(texts).ids]
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), full, atol=1e-5)
    assert all((value == before[name]).all() for name, value in network.body.state_dict().items())


def test_tokens_and_n_grams_share_one_sequence(weights: Path, tmp_path: Path) -> None:
    """Tokens below the offset, cut at max_length; n-grams of the whole text above it."""
    _, tokenizer, _ = hybrid.create(shape(max_length=6), weights, TEXTS, 2)
    reader = reading.Reader(tokenizer, Hybrid.long_texts)
    long = " ".join(TEXTS[:5])
    (ids,) = reader.read([long]).ids
    own = ids[ids < tokenizer.offset]
    assert own.tolist() == tokenizer.tokens.encode(long).ids and len(own) == 6
    assert (ids[len(own) :] - tokenizer.offset).tolist() == tokenizer.ngrams.encode(long).ids
    assert ids.max() < tokenizer.get_vocab_size()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    again = reading.Reader(ngrams.tokenizer(tmp_path / "tokenizer.json"), Hybrid.long_texts)
    for one, other in zip(again.read(ODD).ids, reader.read(ODD).ids, strict=True):
        assert one.tolist() == other.tolist()


def test_ids_that_another_program_made_are_read_as_ours(weights: Path) -> None:
    """Those of tokens first, as many as the encoder reads; n-grams without a bound."""
    _, tokenizer, _ = hybrid.create(shape(max_length=6), weights, TEXTS, 2)
    reader = reading.Reader(tokenizer, Hybrid.long_texts)
    (ids,) = reader.read([" ".join(TEXTS[:5])]).ids
    assert reader.given(ids).ids[0] is ids and reader.given(ids).tokens.tolist() == [6]
    for bad, reason in (
        (ids[::-1], "come after"),
        (np.append(ids[:1], ids), "7 tokens are more than 6"),
        (np.append(ids, tokenizer.get_vocab_size()), "there is no id"),
    ):
        with pytest.raises(ValueError, match=reason):
            reader.given(bad)
    alone = reading.Reader(tokenizer.ngrams, None)
    (ids,) = alone.read(TEXTS[:1]).ids
    assert alone.given(ids).tokens.tolist() == alone.read(TEXTS[:1]).tokens.tolist()
    with pytest.raises(ValueError, match="there is no id -1"):
        alone.given(np.append(ids, -1))


def test_what_the_encoder_does_not_read_is_counted(weights: Path, tmp_path: Path) -> None:
    """As of the encoder alone: n-grams, of the whole text, hide nothing. Of n-grams alone nothing
    is cut, nor unknown."""
    _, tokenizer, _ = hybrid.create(shape(max_length=6), weights, TEXTS, 2)
    texts = [*TEXTS[:5], " ".join(TEXTS[:5])]
    encoder = coverage.metrics(reading.Reader(tokenizer.tokens, "truncate").read(texts))
    names = [f"t{i}" for i in range(6)]
    assert encoder["cut_texts"] == 1 and encoder["unread_tokens"] > 0.1
    reader = reading.Reader(tokenizer, Hybrid.long_texts)
    windows = reader.read(texts)
    assert coverage.metrics(windows) == encoder
    line = coverage.described(windows, reader, names)
    share = coverage.percent(windows.unread.sum() / windows.tokens.sum())
    assert line == (
        f"1 of 6 texts are longer than 6 tokens (truncate): {share} of all tokens are never read "
        f"by the encoder, n-grams are of the whole text, most of t5: {windows.unread[5]} of "
        f"{windows.tokens[5]}"
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    counted = inspection._tokens(tmp_path / "tokenizer.json", texts)  # as `lmspec data` shows them
    assert counted == windows.tokens.tolist()
    alone = reading.Reader(tokenizer.ngrams, None)
    assert coverage.metrics(alone.read(texts)) == {"cut_texts": 0, "unread_tokens": 0.0}
    assert coverage.described(alone.read(texts), alone, names) == "6 texts are read whole"


def fitted(spec: Hybrid, weights: Path) -> tuple[hybrid.HybridClassifier, logistic.Fitted]:
    """Fitted on the miniature."""
    drawn = hybrid.create(spec, weights, TEXTS, 2)
    ids = reading.Reader(drawn[1], "truncate").read(TEXTS).ids

    def layer(one: object, other: object) -> logistic.Fitted:
        return logistic.fit(one, TRUTH[:100], other, TRUTH[100:], 2, recipe())

    (network, _, _), result = hybrid.fit(spec, drawn, ids[:100], ids[100:], layer)
    return network, result


def test_an_encoder_that_does_not_help_is_left_out(
    weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scale is chosen on dev: 0 for noise. The rows of all scales are in the curve."""

    def noise(network: object, ids: list[reading.Ids], pad_id: int) -> np.ndarray:
        drawn = np.random.default_rng(len(ids)).normal(size=(len(ids), 32))
        return drawn.astype(np.float32)

    monkeypatch.setattr(embedding, "embeddings", noise)
    network, result = fitted(shape(), weights)
    assert result.best["scale"] == 0 and not network.head.weight.any()
    assert [row["scale"] for row in result.curve] == [0, 0, 1, 1, 4, 4]
    assert [row["step"] for row in result.curve] == [1, 2, 3, 4, 5, 6]
    network, result = fitted(shape(embedding_scales=[4.0]), weights)
    assert result.best["scale"] == 4 and network.head.weight.any()


def test_the_graph_is_the_model_at_every_shape(weights: Path, tmp_path: Path) -> None:
    """Tokens and n-grams in any mixture; without the n-grams it would differ (the control)."""
    network, _ = fitted(shape(embedding_scales=[1.0]), weights)
    forward = torchrun.forward(network)
    vocabulary = network.config.offset + network.config.ngrams * 1024
    traced = copy.deepcopy(network)
    path = tmp_path / "model.onnx"
    path.write_bytes(exporting.export(hybrid.exportable(traced), 200, 18).SerializeToString())
    session = graph.session(path, 1)

    def run(ids: reading.Ids, mask: reading.Ids) -> np.ndarray:
        return session.run(None, {"input_ids": ids, "attention_mask": mask})[0]

    for upper in (network.config.offset, vocabulary):
        worst, where = exporting.largest_difference(forward, run, 48, hybrid.MASKS, upper)
        assert worst < 1e-4, where
    network.counted.weight.weight.data += 1
    assert exporting.largest_difference(forward, run, 48, hybrid.MASKS, vocabulary)[0] > 0.01


def test_files_of_two_builds_are_refused(tmp_path: Path, weights: Path) -> None:
    """Another number of n-grams, another offset: named, with what restores them."""
    network, tokenizer, pad_id = hybrid.create(shape(), weights, TEXTS, 2)
    clean = {"fix_unicode": True, "unescape_html": True}
    model = checkpoint.Checkpoint("hybrid", network, tokenizer, LABELS, pad_id, None, clean)
    checkpoint.write(model, tmp_path)
    assert checkpoint.read(tmp_path).tokenizer.size == tokenizer.size
    path = tmp_path / "tokenizer.json"
    written = path.read_text()
    for field, value in (("chars", json.loads(written)["chars"][:-1]), ("offset", 7)):
        changed = {**json.loads(written), field: value}
        path.write_text(json.dumps(changed, indent=0).replace('{\n"kind"', '{"kind"', 1))
        with pytest.raises(LmspecError, match="n-grams") as error:
            checkpoint.read(tmp_path)
        assert error.value.remedy == pretrained.RESTORE
