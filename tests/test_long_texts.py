"""A text is read alike wherever a model is trained, scored, quantized, timed or served."""

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from lmspec import stage
from lmspec.architectures import cnn
from lmspec.formats import checkpoint, deployed, graph, predict
from lmspec.formats.checkpoint import Checkpoint
from lmspec.methods import bytepair, coverage, encoding, reading, timing
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Reader
from lmspec.specs.architecture import Cnn
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.numerics import Machine, Numerics
from lmspec.training import seeds, supervision
from stages import exported
from tests import history, miniature
from tests.specs import GOOD, complaints

WAYS = ("truncate", "head_tail", "windows")
MACHINE = Machine(device="cpu")
NUMERICS = Numerics(seed=5, threads=1, precision="fp32", instructions="avx2")
CLEAN = {"fix_unicode": True, "unescape_html": True}
WORDS = ["[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(60))]


def words(limit: int) -> Tokenizer:
    """A word a token, between [CLS] and [SEP], as BERT has it."""
    model = models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.enable_truncation(limit)
    return tokenizer


def read(text: str, way: str, limit: int = 10) -> list[list[str]]:
    """The words of each window."""
    windows = Reader(words(limit), way).read([text])
    return [[WORDS[i] for i in ids] for ids in windows.ids]


def text_of(size: int) -> str:
    """`w0 w1 w2 ...`."""
    return " ".join(f"w{i}" for i in range(size))


@given(st.lists(st.text(), min_size=1, max_size=5), st.sampled_from([4, 7, 16]))
def test_truncate_is_what_the_tokenizer_does(texts: list[str], limit: int) -> None:
    """With special tokens and without, on any text."""
    byte_level = bytepair.train(["the film was great fun"], 300, limit)
    for tokenizer in (words(limit), byte_level):
        own = [ids.tolist() for ids in Reader(tokenizer, "truncate").read(texts).ids]
        assert own == [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def test_head_and_tail_are_the_first_and_the_last_half() -> None:
    """Between the special tokens; an odd token goes to the head."""
    assert read(text_of(20), "head_tail") == [
        ["[CLS]", "w0", "w1", "w2", "w3", "w16", "w17", "w18", "w19", "[SEP]"]
    ]
    assert read(text_of(20), "head_tail", 9) == [
        ["[CLS]", "w0", "w1", "w2", "w3", "w17", "w18", "w19", "[SEP]"]
    ]


@given(st.integers(0, 60), st.integers(4, 30))
def test_windows_read_every_token_in_order(size: int, limit: int) -> None:
    """Each is full and between special tokens; it overlaps the one before by an eighth, the last by
    more. A text that fits is one window, as is one of exactly the limit."""
    windows = read(text_of(size), "windows", limit)
    room = limit - 2
    assert all(window[0] == "[CLS]" and window[-1] == "[SEP]" for window in windows)
    parts = [[int(word[1:]) for word in window[1:-1]] for window in windows]
    assert (len(parts) == 1) == (size <= room)
    assert sorted({place for part in parts for place in part}) == list(range(size))
    for before, after in itertools.pairwise(parts):
        assert len(before) == len(after) == room
        overlap = before[-1] - after[0] + 1
        assert overlap == room // 8 if after is not parts[-1] else overlap >= room // 8
        assert after[-1] > before[-1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [0, 1, 7, 8])
def test_a_text_that_fits_is_read_alike_in_each_way(way: str, size: int) -> None:
    """Nothing is cut, and nothing repeated."""
    assert read(text_of(size), way) == [["[CLS]", *text_of(size).split(), "[SEP]"]]


def test_an_unknown_way_is_refused() -> None:
    """And not taken for another."""
    with pytest.raises(ValueError, match="unknown way"):
        read(text_of(20), "middle")


def test_what_is_not_read_is_counted() -> None:
    """Own tokens alone; windows leave out nothing; unknown tokens if the vocabulary has such."""
    texts = [text_of(20), "w1 x y", text_of(8)]
    lines = {}
    for way in WAYS:
        reader = Reader(words(10), way)
        windows = reader.read(texts)
        assert windows.tokens.tolist() == [20, 3, 8]
        assert coverage.metrics(windows) == {
            "cut_texts": int(way != "windows"),
            "unread_tokens": 0.0 if way == "windows" else round(12 / 31, 6),
            "unknown_tokens": round(2 / 31, 6),
        }
        lines[way] = coverage.described(windows, reader, ["a", "b", "c"])
    longer, unknown = "1 of 3 texts are longer than 10 tokens", "6.5 % of the tokens are unknown"
    for way in ("truncate", "head_tail"):
        share = "38.7 % of all tokens are never read, most of a: 12 of 20"
        assert lines[way] == f"{longer} ({way}): {share}; {unknown}"
    assert lines["windows"] == f"{longer}, and are read in 3 windows; {unknown}"
    reader = Reader(bytepair.train(["a film"], 300, 8), "truncate")
    byte_level = reader.read(texts)
    assert coverage.metrics(byte_level)["unknown_tokens"] == 0
    assert "unknown" not in coverage.described(byte_level, reader, ["a", "b", "c"])


def test_texts_of_several_datasets_keep_their_windows() -> None:
    """Those that are taken, in order, with what is counted of them."""
    reader = Reader(words(10), "windows")
    one, two = reader.read([text_of(20), text_of(3)]), reader.read([text_of(9), text_of(30)])
    joined = encoding.joined([(one, [1]), (two, np.array([1, 0]))])
    expected = reader.read([text_of(3), text_of(30), text_of(9)])
    assert [i.tolist() for i in joined.ids] == [i.tolist() for i in expected.ids]
    for name in ("of_text", "tokens", "unread", "unknown"):
        assert getattr(joined, name).tolist() == getattr(expected, name).tolist()


def test_a_text_counts_once_in_training_however_long_it_is() -> None:
    """The loss over all windows is the mean over texts of the mean over their windows. The control:
    without weights a long text counts more."""
    windows = Reader(words(10), "windows").read([text_of(20), text_of(3), text_of(9), "w5"])
    truth = np.array([0, 1, 0, 1])
    shares = encoding.shares(windows.of_text)
    assert shares is not None and shares.mean() == pytest.approx(1.0)
    table = torch.from_numpy(np.random.default_rng(1).normal(size=(len(windows.ids), 2)))
    batch = reading.collate(windows.ids, range(len(windows.ids)), 0)

    def loss(weights: NDArray[np.float32] | None) -> float:
        class Model(torch.nn.Module):
            def forward(self, **inputs: torch.Tensor) -> object:
                return type("Out", (), {"logits": table})

        objective = supervision.supervised(truth[windows.of_text], weights)
        return float(objective(Model(), batch, torch.empty(0), torch.empty(0)))

    each = -torch.log_softmax(table, 1)[range(len(table)), truth[windows.of_text]].numpy()
    by_text = [each[list(windows.places(text))].mean() for text in range(4)]
    assert loss(shares) == pytest.approx(np.mean(by_text), rel=1e-6)
    assert abs(loss(None) - np.mean(by_text)) > 1e-3
    assert encoding.shares(np.arange(5)) is None  # the loss is then computed as without windows


# --- checkpoint, graph and bundle ---


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A network that reads 12 tokens at once, and its graph, as the stages write them."""
    folder = tmp_path_factory.mktemp("long")
    seeds.seed_weights(NUMERICS)
    spec = Cnn(
        kind="cnn",
        embedding_dim=8,
        filters=8,
        widths=(1, 2, 3),
        vocabulary=300,
        max_length=12,
        long_texts="windows",
        dropout=0.0,
    )
    texts = [text for _, text, _ in miniature.sentences("")]
    model, tokenizer, pad = cnn.create(spec, None, texts, 2)
    with torch.no_grad():
        for weight in (model.embedding.weight, model.head.weight):
            weight.normal_()  # windows then differ
    (folder / "model").mkdir()
    made = Checkpoint("cnn", model, tokenizer, ("bad", "good"), pad, "windows", CLEAN)
    checkpoint.write(made, folder / "model")
    (folder / "graph").mkdir()
    export = ExportedSpec.model_validate(
        {"of": "model.a", "opset": 18, "max_logit_difference": 1e-3}
    )
    needs = stage.Needs({"model.a": folder / "model"}, NUMERICS, MACHINE)
    exported.build(export, needs, folder / "graph")
    yield folder


LENGTHS = {
    "short": "the film was great",
    "at the limit": " a" * 12,
    "a token more": " a" * 13,
    "long": "the film was great fun, but the battery broke at once and made me angry. " * 9,
    "entities": "the plot &amp;amp; her voice were caf\u00c3\u00a9 " * 5,
    "white space": "made\u0085me\u2003smile \u200f\u05d0 " * 6,
}


def probabilities(predictor: Predictor, text: str) -> list[float]:
    """As scores has them."""
    windows = predictor.reader.read([text])
    values = reading.predicted(predictor.forward, windows, predictor.pad_id, 1)
    return [float(value) for value in values[0]]


@pytest.mark.parametrize("way", WAYS)
def test_checkpoint_graph_and_bundle_answer_alike(built: Path, tmp_path: Path, way: str) -> None:
    """On short texts, on those of exactly the limit, and on long ones; cleaned ones, since scores
    are of those. The control: each other way gives other answers to a long text."""
    for kind in ("model", "graph"):
        shutil.copytree(built / kind, tmp_path / kind)
        about = json.loads((tmp_path / kind / "lmspec.json").read_text())
        assert about["long_texts"] == "windows" and about["clean"] == CLEAN
        about["long_texts"] = way
        (tmp_path / kind / "lmspec.json").write_text(json.dumps(about))
    model = checkpoint.predictor(tmp_path / "model", NUMERICS, MACHINE)
    onnx = graph.predictor(tmp_path / "graph", NUMERICS, MACHINE)
    classifier = predict.Classifier(tmp_path / "graph", check=False)
    answers = {}
    for name, text in LENGTHS.items():
        cleaned = classifier.clean(text)
        answers[name] = probabilities(model, cleaned)
        assert probabilities(onnx, cleaned) == pytest.approx(answers[name], abs=1e-5)
        own = classifier.predict(text)
        assert [own[label] for label in ("bad", "good")] == pytest.approx(answers[name], abs=1e-5)
    many = classifier.predict_many(LENGTHS.values(), batch_size=5)  # fp32: the company is no matter
    for answer, name in zip(many, LENGTHS, strict=True):
        assert [answer[label] for label in ("bad", "good")] == pytest.approx(answers[name], 1e-4)
    for other in set(WAYS) - {way}:
        reader = Reader(Tokenizer.from_file(str(tmp_path / "model/tokenizer.json")), other)
        windows = reader.read([classifier.clean(LENGTHS["long"])])
        differs = reading.predicted(model.forward, windows, 0, 1)[0]
        assert abs(differs[0] - answers["long"][0]) > 1e-3


def test_the_answer_is_the_mean_of_the_windows_probabilities(built: Path) -> None:
    """Of probabilities, not of logits (the control)."""
    model = graph.predictor(built / "graph", NUMERICS, MACHINE)
    windows = model.reader.read([LENGTHS["long"], "short"])
    logits = reading.logits(model.forward, windows.ids, model.pad_id, 1)
    first = reading.probabilities(logits)[list(windows.places(0))]
    own = reading.predicted(model.forward, windows, model.pad_id, 1)[0]
    assert len(first) > 3
    np.testing.assert_allclose(own, first.mean(0))
    of_logits = reading.probabilities(logits[list(windows.places(0))].mean(0, keepdims=True))[0]
    assert abs(own[0] - of_logits[0]) > 1e-3


def test_windows_of_a_text_are_timed_together(built: Path) -> None:
    """One call for each text and for each batch, whatever the number of windows."""
    model = graph.predictor(built / "graph", NUMERICS, MACHINE)
    seen: list[int] = []

    def forward(input_ids: reading.Ids, mask: reading.Ids) -> NDArray[np.float32]:
        seen.append(len(input_ids))
        return model.forward(input_ids, mask)

    counted = Predictor(forward, model.reader, model.labels, model.pad_id)
    contestant = timing.Contestant(counted, [LENGTHS["long"], "short", "a film"], 2)
    number = len(model.reader.read([LENGTHS["long"]]).ids)
    contestant.single(0)
    assert seen == [1] * number
    assert len(contestant.batches) == 2
    seen.clear()
    contestant.batch(0)
    assert seen == [2]


def test_a_bundle_holds_the_code_that_the_stages_ran(tmp_path: Path) -> None:
    """Byte for byte, but for the line that says where it is imported from; nothing of lmspec."""
    deployed.write(tmp_path)
    for name in ("reading", "repairing", "folding", "redacting"):
        source = (miniature.ROOT / "lmspec/methods" / f"{name}.py").read_text()
        shipped = source.replace("from lmspec.methods.", "from ")
        assert (tmp_path / f"{name}.py").read_text() == shipped
    for file in tmp_path.glob("*.py"):
        assert "import lmspec" not in file.read_text() and "from lmspec" not in file.read_text()


# --- specs and comparisons ---


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ("", "long_texts"),
        (", long_texts: middle", "middle"),
    ],
)
def test_a_spec_says_how_long_texts_are_read(new: str, words: str, tmp_path: Path) -> None:
    """There is no default."""
    (problem,) = complaints(GOOD.replace(", long_texts: windows", new, 1), tmp_path)

    assert "model.cnn.architecture" in problem and words in problem


def test_a_diff_names_what_is_read_of_long_texts(tmp_path: Path) -> None:
    """Before and after."""
    project = history.make(tmp_path / "project")
    project.edit("params.yaml", "long_texts: truncate", "long_texts: windows")
    report = project.report("HEAD")
    (change,) = report["changes"]["parameters"]
    assert change["name"] == "model.cnn.architecture.long_texts"
    assert (change["baseline"], change["candidate"]) == ("truncate", "windows")
