"""A linear model: the same n-grams in training, in its graph and in service, in any script."""

import ast
import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression as Solver

from lmspec import stage
from lmspec.architectures import linear
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, graph
from lmspec.methods import (
    balancing,
    encoding,
    exporting,
    logistic,
    ngrams,
    quantizing,
    reading,
    tfidf,
    torchrun,
)
from lmspec.specs.architecture import Linear
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.quantized import Dynamic
from lmspec.specs.training import LogisticRegression
from tests import miniature

TEXTS = [text for _, text, _ in miniature.sentences("")]
TRUTH = np.asarray([int(stars == 5) for *_, stars in miniature.sentences("")])
ODD = [
    "",
    " \n",
    "完全に知らない",
    "Not in it 😀!",
    "ＧＯＯＤ, really-good it's",
    "a\u0301 नमस्ते",
    "x" * 5000,
]
LABELS = ("bad", "good")
LINE = {
    "model": {
        "on": "splits.old",
        "architecture": {
            "kind": "linear",
            "word_ngrams": [1, 2],
            "families": ["both", "words", "characters"],
            "char_ngrams": [2, 5],
            "min_documents": 1,
            "max_features": 1000,
        },
        "training": {
            "kind": "logistic_regression",
            "inverse_regularization": [1.0, 10.0],
            "class_weights": "none",
            "max_iterations": 1000,
        },
    },
    "exported": {"of": "model.x", "opset": 18, "max_logit_difference": 1e-4},
    "scores": {
        "of": "exported.x",
        "on": ["splits.old"],
        "batch_size": 8,
        "calibration_bins": 5,
        "accepted_overlap": [],
    },
    "bundle": {
        "of": "exported.x",
        "scores": "scores.x",
        "title": "Good or bad",
        "license": "Apache-2.0",
        "intended_use": "Tests.",
        "limitations": "It knows a hundred words.",
    },
}


def shape(**changes: object) -> Linear:
    base = {"kind": "linear", "word_ngrams": [1, 2], "char_ngrams": [2, 4], "families": ["both"]}
    base |= {"min_documents": 1, "max_features": 10**5} | changes
    if base["word_ngrams"] is None:
        base["families"] = ["characters"]
    if base["char_ngrams"] is None:
        base["families"] = ["words"]
    return Linear.model_validate(base)


def recipe(*values: float, class_weights: str = "none") -> LogisticRegression:
    return LogisticRegression.model_validate(
        {
            "kind": "logistic_regression",
            "inverse_regularization": values or (1.0, 100.0),
            "class_weights": class_weights,
            "max_iterations": 1000,
        }
    )


def made(spec: Linear) -> tuple[checkpoint.Checkpoint, logistic.Fitted]:
    """Fitted to three quarters of the miniature's sentences, stopped on the rest."""
    network, tokenizer, pad_id = linear.create(spec, None, TEXTS, 2)
    clean = {"fix_unicode": True, "unescape_html": True}
    model = checkpoint.Checkpoint("linear", network, tokenizer, LABELS, pad_id, None, clean)
    new, dev = (model.reader.read(part).ids for part in (TEXTS[:120], TEXTS[120:]))
    features = [linear.features(network, ids) for ids in (new, dev)]
    fitted = logistic.fit(features[0], TRUTH[:120], features[1], TRUTH[120:], 2, recipe())
    linear.set_head(network, fitted.weight, fitted.bias)
    return model, fitted


@pytest.fixture(scope="module")
def model() -> checkpoint.Checkpoint:
    return made(shape())[0]


def test_the_features_are_scikit_learns() -> None:
    """Words alone: TfidfVectorizer with the same words has the same matrix, but for the last bits.

    Characters alone: char_wb, whose words of one character give the same n-grams.
    """
    for fields, peer in (
        ({"char_ngrams": None}, {"ngram_range": (1, 2), "analyzer": "word"}),
        ({"word_ngrams": None}, {"ngram_range": (2, 4), "analyzer": "char_wb"}),
    ):
        network, tokenizer, _ = linear.create(shape(**fields), None, TEXTS, 2)
        ids = reading.Reader(tokenizer, None).read(TEXTS).ids
        own = linear.features(network, ids).toarray()
        names = tokenizer.words + tokenizer.chars
        other = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+", vocabulary=names, **peer)
        np.testing.assert_allclose(own, other.fit_transform(TEXTS).toarray(), atol=1e-6)


def test_layers_are_scikit_learns(model: checkpoint.Checkpoint) -> None:
    """Two labels: the probabilities of its LogisticRegression, sharpened by the temperature."""
    features = linear.features(model.model, model.reader.read(TEXTS).ids)
    fitted = logistic.fit(features, TRUTH, features, TRUTH, 2, recipe(10.0))
    solver = Solver(C=10.0, max_iter=1000).fit(features, TRUTH)
    heat = fitted.best["temperature"]
    difference = (features @ fitted.weight.T + fitted.bias) @ [-1, 1] * heat
    np.testing.assert_allclose(difference, solver.decision_function(features), atol=1e-3)
    assert fitted.curve == [fitted.best] and heat < 1


def test_the_same_texts_give_the_same_bytes(tmp_path: Path) -> None:
    """Twice the same files; with n-grams from two texts only, fewer (the negative control)."""
    for name in "ab":
        (tmp_path / name).mkdir()
        checkpoint.write(made(shape())[0], tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    fewer, _, _ = linear.create(shape(min_documents=40), None, TEXTS, 2)
    assert fewer.config.ngrams < made(shape())[0].model.config.ngrams


def test_a_checkpoint_comes_back(model: checkpoint.Checkpoint, tmp_path: Path) -> None:
    """Logits of odd texts too are those before it was written."""
    checkpoint.write(model, tmp_path)
    again = checkpoint.read(tmp_path)
    for text in [*TEXTS[:5], *ODD]:
        (one,), (two,) = (each.reader.read([text]).ids for each in (model, again))
        assert one.tolist() == two.tolist()
    assert again.tokenizer == model.tokenizer


def test_tokenizer_and_weights_of_two_builds_are_refused(
    model: checkpoint.Checkpoint, tmp_path: Path
) -> None:
    """A tokenizer with one n-gram fewer: the message names the file and both numbers."""
    checkpoint.write(model, tmp_path)
    path = tmp_path / "tokenizer.json"
    values = json.loads(path.read_text())
    short = ngrams.NgramTokenizer(
        tuple(values["words"][1:]), tuple(values["chars"]), [1, 2], [2, 4]
    )
    short.save(str(path))
    with pytest.raises(LmspecError, match=rf"{short.size:,} n-grams, and the model"):
        checkpoint.read(tmp_path)
    path.write_text(ngrams.HEAD + ', "words": []}')
    with pytest.raises(LmspecError, match="it cannot be read"):
        checkpoint.read(tmp_path)


def test_a_graph_of_many_n_grams_answers_as_the_model_does() -> None:
    """Ids beyond 2 ** 24, which fp32 rounds: a graph that divides them takes another n-gram."""
    network = linear.LinearClassifier(linear.LinearConfig(ngrams=40_000, num_labels=2)).eval()
    proto = exporting.export(linear.exportable(network), 300, 18)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    worst, where = exporting.largest_difference(
        torchrun.forward(network),
        lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0],
        300,
        linear.MASKS,
        40_000 * ngrams.COUNTS,
    )
    assert worst < 1e-5, where


def test_a_graph_answers_as_the_model_does(model: checkpoint.Checkpoint, tmp_path: Path) -> None:
    """Over the matrix of shapes and masks, and for odd texts; an empty one gets the bias."""
    proto = exporting.export(linear.exportable(model.model), model.max_length, 18)
    onnx.checker.check_model(proto)
    about = {"labels": list(LABELS), "pad_id": 0, "masks": list(linear.MASKS)}
    about |= {"long_texts": None, "clean": dict(model.clean)}
    graph.write(proto, model.tokenizer, about, tmp_path)
    result = graph.read(tmp_path, 1)
    forward = torchrun.forward(model.model)
    worst, where = exporting.largest_difference(
        forward, result.forward, 300, linear.MASKS, model.tokenizer.get_vocab_size()
    )
    assert worst < 1e-5, where
    for text in ODD:
        ids = model.reader.read([text]).ids
        np.testing.assert_allclose(
            reading.logits(result.forward, ids, 0, 1), reading.logits(forward, ids, 0, 1), atol=1e-5
        )
    empty = reading.logits(result.forward, model.reader.read([""]).ids, 0, 1)[0]
    np.testing.assert_allclose(empty, model.model.bias.detach(), atol=1e-6)
    beside = reading.logits(result.forward, model.reader.read(["", TEXTS[0]]).ids, 0, 2)[0]
    np.testing.assert_array_equal(empty, beside)
    short = ngrams.NgramTokenizer(
        model.tokenizer.words, (*model.tokenizer.chars, "@@"), [1, 2], [2, 4]
    )
    short.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(LmspecError, match="it takes no token"):
        graph.read(tmp_path, 1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's GOOD—really_so", ["it", "s", "good", "really_so"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),  # marks are within words, not between them
        ("我很喜欢C3", ["我", "很", "喜", "欢", "c3"]),
        ("ภาษา", list("ภาษา")),
        ("ok😀 ＡＢ", ["ok", "😀", "ab"]),
        ("!!! ...", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    """Letters with their marks; a character each where no spaces are written; emoji."""
    assert [w for chunk in ngrams.chunks(text) for w in ngrams.words(chunk)] == words


def test_counts_are_what_training_counts() -> None:
    """The n-grams that `learned` kept, counted by hand, and in how many texts each is."""
    texts = ["ab ab c", "c ab", "ab\tc d", "漢字漢字"]
    tokenizer, idf = tfidf.learned(texts, shape(min_documents=2))
    by_hand = [
        {*ngrams.joined(tokens, (1, 2))}
        for tokens in ([w for c in ngrams.chunks(t) for w in ngrams.words(c)] for t in texts)
    ]
    each = {g for grams in by_hand for g in grams}
    frequent = {g: sum(g in grams for grams in by_hand) for g in each}
    assert tokenizer.words == tuple(sorted(g for g, n in frequent.items() if n >= 2))
    documents = np.exp(1 - idf[: len(tokenizer.words)]) * 5 - 1
    np.testing.assert_allclose(documents, [frequent[w] for w in tokenizer.words], atol=1e-4)
    ids = tokenizer.encode("ab ab ab").ids
    counted = {
        tokenizer.words[i // ngrams.COUNTS]: i % ngrams.COUNTS
        for i in ids
        if i // ngrams.COUNTS < len(tokenizer.words)
    }
    assert counted == {"ab": 3}
    assert tokenizer.encode("ab " * 5000).ids[0] % ngrams.COUNTS == ngrams.COUNTS - 1


def test_the_most_frequent_n_grams_are_kept() -> None:
    """At most `max_features`, each in at least as many texts as any that is left out."""
    every, all_idf = tfidf.learned(TEXTS, shape())
    some, idf = tfidf.learned(TEXTS, shape(max_features=50))
    assert some.size == 50 and set(some.words) <= set(every.words)
    assert idf.max() <= np.sort(all_idf)[49] + 1e-6
    with pytest.raises(LmspecError, match="min_documents"):
        tfidf.learned(["a", "b"], shape(char_ngrams=None, min_documents=2))


def test_n_grams_that_do_not_help_are_left_out() -> None:
    """Of words, characters and both, what is best on dev is kept: no other n-gram is in its files.

    Here the words are drawn at random, and only pieces of words tell the label.
    """
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 200)
    texts = [
        " ".join(f"{''.join(rng.choice(list('abcdefghij'), 5))}{('ung', 'heit')[i]}" for _ in "123")
        for i in truth
    ]
    spec = shape(families=["words", "both", "characters"])
    drawn = linear.create(spec, None, texts, 2)
    ids = reading.Reader(drawn[1], None).read(texts).ids

    def layer(one: object, other: object) -> logistic.Fitted:
        return logistic.fit(one, truth[:150], other, truth[150:], 2, recipe(1.0, 10.0))

    (network, tokenizer, _), fitted = linear.fit(spec, drawn, ids[:150], ids[150:], layer)
    assert fitted.best["ngrams"] == "characters" and tokenizer.words == ()
    assert network.config.ngrams == tokenizer.size < drawn[1].size
    rows = [(row["ngrams"], row["step"]) for row in fitted.curve]
    assert [name for name, _ in rows[::2]] == ["words", "both", "characters"]
    assert [step for _, step in rows] == [1, 2, 3, 4, 5, 6]
    again = reading.Reader(tokenizer, None).read(texts[150:]).ids
    predicted = reading.logits(torchrun.forward(network), again, 0, 8).argmax(1)
    assert (predicted == truth[150:]).mean() == fitted.best["dev_accuracy"] > 0.9


def test_equally_good_values_leave_the_smallest() -> None:
    """The lowest calibrated log loss decides, whatever the order of the list; ties: the smaller."""
    features = np.zeros((8, 3))  # no feature tells anything: every value gives the prior
    truth = np.asarray([0, 1] * 4)
    fitted = logistic.fit(features, truth, features, truth, 2, recipe(100.0, 1.0, 10.0))
    assert [row["inverse_regularization"] for row in fitted.curve] == [1.0, 10.0, 100.0]
    losses = [row["dev_log_loss"] for row in fitted.curve]
    assert fitted.best is fitted.curve[int(np.argmin(losses))]


def test_a_temperature_lowers_the_log_loss_and_stays_finite() -> None:
    """Overconfident logits are cooled; faultless ones are not driven to certainty."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    logits = np.eye(3)[np.where(rng.random(300) < 0.7, truth, (truth + 1) % 3)] * 20
    heat = logistic.temperature(logits, truth)
    assert 5 < heat < 20
    faultless = logistic.temperature(np.eye(3)[truth[:9]] * 4, truth[:9])
    assert np.exp(4 / faultless) / (np.exp(4 / faultless) + 2) == pytest.approx(10 / 12, abs=1e-3)


def test_balanced_weights_are_scikit_learns_and_find_the_rare_label() -> None:
    """Twenty to one without a feature: balanced answers both labels alike, none only the common."""
    truth = np.asarray([0] * 100 + [1] * 5)
    assert encoding.balanced(truth)[[0, -1]].tolist() == pytest.approx([105 / 200, 105 / 10])
    features = np.ones((105, 1))
    probability = {}
    for kind in ("none", "balanced"):
        each = balancing.of_texts(recipe(1.0, class_weights=kind), truth, pl.DataFrame())
        fitted = logistic.fit(features, truth, features, truth, 2, recipe(1.0), each=each)
        probability[kind] = (features @ fitted.weight.T + fitted.bias)[0] @ [-1, 1]
    assert probability["balanced"] == pytest.approx(0, abs=1e-3) and probability["none"] < -2


def test_rows_of_one_text_count_as_one_text() -> None:
    """A text cut into several equal rows changes neither the layer nor its dev metrics."""
    rng = np.random.default_rng(1)
    features, truth = rng.normal(size=(40, 4)), np.arange(40) % 2
    features[:, 0] += truth * 2
    rows = np.repeat(np.arange(40), np.where(np.arange(40) < 10, 3, 1))
    one = logistic.fit(features, truth, features, truth, 2, recipe(1.0))
    two = logistic.fit(features[rows], truth, features[rows], truth, 2, recipe(1.0), rows, rows)
    np.testing.assert_allclose(one.weight, two.weight, atol=1e-3)
    assert one.best["dev_log_loss"] == pytest.approx(two.best["dev_log_loss"], abs=1e-4)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_few_rows_of_many_features_are_fitted_among_themselves(form: Any) -> None:
    """The layer is that of a fit on all features, but for rounding; rows that repeat are no harm.

    Control: a layer of another regularization is far from it.
    """
    rng = np.random.default_rng(2)
    truth = np.arange(60) % 3
    dense = rng.random((60, 900)) * (rng.random((60, 900)) < 0.05)
    dense[:, :3] += np.eye(3)[truth] * 0.3
    dense[-1], truth[-1] = dense[-4], truth[-4]
    features = form(dense)
    narrow, unturned = logistic.turned(features, 3)
    assert narrow.shape == (60, 59)
    np.testing.assert_allclose(narrow @ narrow.T, dense @ dense.T, atol=1e-12)
    exact = Solver(C=10.0, tol=1e-9, max_iter=5000)
    on_all = exact.fit(dense, truth).coef_.copy()
    on_few = unturned(exact.fit(narrow, truth).coef_)
    assert on_few.shape == (3, 900)
    np.testing.assert_allclose(on_few, on_all, atol=1e-5)
    other = exact.set_params(C=5.0).fit(dense, truth).coef_
    assert np.abs(other - on_all).max() > 0.1


def test_rows_without_a_feature_and_narrow_ones_stay_as_they_are() -> None:
    """Nothing to turn, or nothing to save: the same object comes back."""
    for features in (np.zeros((8, 90)), np.ones((8, 9)), np.ones((900, 4000))):
        assert logistic.turned(features, 1)[0] is features


def test_a_label_without_a_training_text_is_the_least_likely() -> None:
    """The layer has a column for it; with one label only there is nothing to fit."""
    features, truth = np.eye(6), np.asarray([0, 2, 0, 2, 0, 2])
    fitted = logistic.fit(features, truth, features, truth, 3, recipe(1.0))
    assert fitted.weight.shape == (3, 6)
    assert set((features @ fitted.weight.T + fitted.bias).argmin(1)) == {1}
    with pytest.raises(ValueError, match="same label"):
        logistic.fit(features, truth * 0, features, truth * 0, 3, recipe(1.0))


def test_the_heaviest_n_grams_say_what_a_label_is_known_by(model: checkpoint.Checkpoint) -> None:
    """Of each label, from the heaviest down; the words of good reviews are among the good ones."""
    rows = linear.heaviest(model.model, model.tokenizer, LABELS)
    for label, group in itertools.groupby(rows, key=lambda row: row["label"]):
        weights = [row["weight"] for row in group]
        assert len(weights) == linear.MOST_NGRAMS_SHOWN and weights == sorted(weights)[::-1], label
    good = {row["ngram"] for row in rows if row["label"] == "good"}
    assert good & {word for words in miniature.GOOD for word in words.split()}


def test_a_linear_model_is_shipped_as_it_was_scored(tmp_path: Path) -> None:
    """Model, graph, scores and bundle by their stages; int8 and an update are refused."""
    folders = {name: tmp_path / name for name in ("model", "exported", "scores", "bundle")}
    needs = stages(tmp_path)
    for noun, spec in LINE.items():
        module = importlib.import_module(f"stages.{noun}")
        folders[noun].mkdir()
        report = module.build(module.STAGE.spec.model_validate(spec), needs, folders[noun])
        if noun == "model":
            assert set(report.tables) == {"curve", "ngrams"}
            assert report.metrics["dev"]["accuracy"] > 0.9
    assert (folders["bundle"] / "ngrams.py").is_file()
    code = "import predict, sys; print(predict.Classifier('.').predict(sys.argv[1]))"
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {code}", TEXTS[0]]
    done = subprocess.run(
        command, cwd=folders["bundle"], capture_output=True, text=True, check=True
    )
    assert ast.literal_eval(done.stdout).keys() == set(LABELS)
    source = onnx.load(folders["exported"] / "model.onnx")
    dynamic = Dynamic(kind="dynamic", per_channel=True, reduce_range=True)
    with pytest.raises(LmspecError, match="nothing to quantize"):
        quantizing.quantize(source, dynamic, [])


def stages(folder: Path) -> stage.Needs:
    """The miniature's sentences, cut in three, and where the stages put what they build."""
    splits = folder / "splits"
    splits.mkdir()
    for name, part in (
        ("train", slice(0, 100)),
        ("dev", slice(100, 130)),
        ("test", slice(130, 160)),
    ):
        labels = [LABELS[i] for i in TRUTH[part]]
        ids = [f"{name}{i}" for i in range(len(labels))]
        columns = {"id": ids, "text": TEXTS[part], "label": labels, "group": None, "table": "old"}
        documents.write(pl.DataFrame(columns, documents.DOCUMENT), splits / f"{name}.parquet")
        documents.write_ids(ids, splits, name)
    documents.write_labels(LABELS, splits)
    counts = {"documents": 160, "rejected": {}, "contradictions": {"texts": 0}}
    documents.write_counts(counts, splits)
    documents.write_clean({"fix_unicode": True, "unescape_html": True}, splits)
    places = {"splits.old": splits} | {
        f"{n}.x": folder / n for n in ("model", "exported", "scores")
    }
    bits = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
    return stage.Needs(places, bits, Machine(device="cpu"), seen={})
