"""Explanations: exact where they can be, faithful by measurement, the same bytes every time."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from lmspec.errors import LmspecError
from lmspec.formats import attributions, checkpoint, documents, graph
from lmspec.formats.checkpoint import Checkpoint
from lmspec.methods import attributing, faithfulness, gradients, ngrams, rollout, torchrun
from lmspec.methods.coalitions import Coalitions
from lmspec.methods.concordance import Attributed, aligned, correlations
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Ids, predicted
from lmspec.methods.wordreader import WordReader, Words
from lmspec.methods.wordspans import spans
from lmspec.specs.explained import AttentionRollout, GradientTimesInput, IntegratedGradients
from lmspec.statistics import ranks
from stages import explained
from tests import bundles, explaining, miniature
from tests.explaining import SHORTCUT

TEXT = "The film was not unwatchable !"


def words_of(text: str) -> list[str]:
    return [text[start:end] for start, end in spans(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It isn't well-made, is it?", ["It", "isn't", "well-made", ",", "is", "it", "?"]),
        (
            "@user #fun :-) see http://t.co/a-b?c",
            ["@user", "#fun", ":-)", "see", "http://t.co/a-b?c"],
        ),
        ("电影不好", ["电", "影", "不", "好"]),
        ("映画は良い!", ["映", "画", "は", "良", "い", "!"]),
        ("ดีมาก", ["ดี", "ม", "า", "ก"]),
        ("한국 영화", ["한국", "영화"]),
        ("बहुत अच्छी", ["बहुत", "अच्छी"]),
        ("so 😀👍🏽 !!", ["so", "😀", "👍", "🏽", "!!"]),
        ("  e\u0301te\u0301 \t", ["e\u0301te\u0301"]),
        ("rock-'n'-roll-", ["rock", "-'", "n", "'-", "roll", "-"]),
        (" \n", []),
    ],
)
def test_words_of_any_script(text: str, words: list[str]) -> None:
    """Every character that is not white space is in one word."""
    assert words_of(text) == words
    assert "".join(words) == "".join(text.split())


@pytest.fixture(scope="module")
def bert() -> Checkpoint:
    return explaining.encoder()


def asked(model: Checkpoint, text: str, mask: bool = True, batch_size: int = 64) -> Coalitions:
    reader = WordReader(model.tokenizer, model.long_texts)
    predictor = Predictor(torchrun.forward(model.model), reader, model.labels, model.pad_id)
    return Coalitions(predictor, reader.words(text), reader.mask_id if mask else None, batch_size)


def test_pieces_are_of_their_word(bert: Checkpoint) -> None:
    """Words of several pieces; special tokens are of none; Han characters stay apart."""
    words = asked(bert, TEXT + " 好看").words
    assert [words[i] for i in range(len(words))] == [*TEXT.split(), "好", "看"]
    assert words.places[0].tolist() == [-1, 0, 1, 2, 3, 4, 4, 4, 5, 6, 7, -1]
    reader = WordReader(bert.tokenizer, "truncate")
    assert words.ids[0].tolist() == reader.read([TEXT + " 好看"]).ids[0].tolist()


def test_words_that_share_a_token_are_one() -> None:
    """As of a tokenizer that reads several characters of a script without spaces at once."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"好看": 0, "?": 1, "a": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    words = WordReader(tokenizer, None).words("a 好看 a")
    assert [words[i] for i in range(len(words))] == ["a", "好看", "a"]
    assert words.places[0].tolist() == [0, 1, 2]


@pytest.mark.parametrize("long_texts", ["truncate", "head_tail", "windows"])
def test_only_words_that_are_read_are_explained(bert: Checkpoint, long_texts: str) -> None:
    """What is beyond the length has no share; windows are those of scores."""
    text = " ".join("abcdefgh" * 4)
    reader = WordReader(bert.tokenizer, long_texts)
    words = reader.words(text)
    windows = reader.read([text]).ids
    assert [one.tolist() for one in words.ids] == [one.tolist() for one in windows]
    assert len(words) == {"truncate": 14, "head_tail": 14, "windows": 32}[long_texts]
    for ids, place in zip(words.ids, words.places, strict=True):
        letters = [bert.tokenizer.id_to_token(int(i)) for i in ids[place >= 0]]
        assert letters == [words[int(number)] for number in place[place >= 0]]


def test_a_word_is_masked_or_removed(bert: Checkpoint) -> None:
    """All of its pieces, and nothing else; a window of which nothing is left is not empty."""
    masked, removed = (asked(bert, TEXT, mask) for mask in (True, False))
    kept = masked.without([4])
    mask_id = bert.tokenizer.token_to_id("[MASK]")
    assert masked._window(0, kept).tolist()[5:8] == [mask_id] * 3
    assert (masked._window(0, kept) == mask_id).sum() == 3
    whole = removed.words.ids[0]
    assert removed._window(0, kept).tolist() == [*whole[:5], *whole[8:]]
    bare = Words("a", ((0, 1),), (np.array([7]),), (np.array([0]),))
    nothing = Coalitions(removed.predictor, bare, None, 1)._window(0, np.zeros(1, bool))
    assert nothing.tolist() == [bert.pad_id]


def test_words_of_ngrams_are_removed_from_the_text() -> None:
    """A model of n-grams reads what is left."""
    tokenizer = ngrams.NgramTokenizer(("good", "not good"), (), (1, 2), None)
    seen: list[Ids] = []

    def forward(ids: Ids, mask: Ids) -> Any:
        seen.append(ids)
        return np.zeros((len(ids), 2), np.float32)

    reader = WordReader(tokenizer, None)
    text = Coalitions(Predictor(forward, reader, ("a", "b"), 0), reader.words("not good"), None, 1)
    text(np.array([[True, True], [False, True]]))
    encoded = [[tokenizer.encode(left).ids] for left in (" good", "not good")]  # the shorter first
    assert [one.tolist() for one in seen] == encoded
    assert reader.mask_id is None


class Additive:
    """A game with known values: each word adds its own, and two of them add more together."""

    def __init__(self, values: list[float], together: float) -> None:
        self.values, self.together = np.array(values), together
        self.words = range(len(values))
        self.asked = 0

    def __call__(self, kept: Any) -> Any:
        """As Coalitions."""
        self.asked += len(kept)
        share = kept @ self.values + self.together * (kept[:, 0] & kept[:, 1])
        return np.stack([share, 1 - share], 1)

    @property
    def whole(self) -> Any:
        """As Coalitions."""
        return self(np.ones((1, len(self.values)), bool))[0]

    def without(self, removed: Any) -> Any:
        """As Coalitions."""
        kept = np.ones(len(self.values), bool)
        kept[list(removed)] = False
        return kept


def by_all_orders(game: Additive, label: int) -> Any:
    """Shapley values as they are defined: the mean over all orders."""
    words = len(game.values)
    found = np.zeros(words)
    for order in itertools.permutations(range(words)):
        kept = np.zeros(words, bool)
        for word in order:
            before = game(kept[None])[0, label]
            kept[word] = True
            found[word] += game(kept[None])[0, label] - before
    return found / len(list(itertools.permutations(range(words))))


def test_shapley_values_are_exact(bert: Checkpoint) -> None:
    """Of a small game by hand, and of a network as the mean over all orders; the sampled ones are
    near, and both sum to what all words change."""
    game = Additive([0.1, 0.2, -0.1, 0.05], 0.12)
    exact = attributing.exact_shapley(game, 0)  # type: ignore[arg-type]
    assert exact == pytest.approx([0.16, 0.26, -0.1, 0.05])
    assert exact == pytest.approx(by_all_orders(game, 0))
    text = asked(bert, "film was not bad")
    label = int(text.whole.argmax())
    exact = attributing.shapley(1, 8, 1)(text, label, "a")
    reference = by_all_orders(Network(text), label)  # type: ignore[arg-type]
    assert exact == pytest.approx(reference, abs=1e-12)
    sampled = attributing.shapley(400, 0, 1)(text, label, "a")
    assert sampled == pytest.approx(exact, abs=0.05) and not np.array_equal(sampled, exact)
    for found in (exact, sampled):
        assert faithfulness.completeness_delta(text, label, found) < 1e-12


class Network:
    """A text of a network, as a game."""

    def __init__(self, text: Coalitions) -> None:
        self.text, self.values = text, np.zeros(len(text.words))

    def __call__(self, kept: Any) -> Any:
        """As Coalitions."""
        return self.text(kept.copy())


def test_draws_depend_on_their_text_alone(bert: Checkpoint) -> None:
    """Not on what was explained before, nor on how many orders are drawn."""
    text = asked(bert, TEXT)
    method = attributing.shapley(3, 0, 1)
    first = method(text, 0, "a")
    method(asked(bert, "film"), 0, "b")
    assert np.array_equal(method(asked(bert, TEXT), 0, "a"), first)
    assert not np.array_equal(method(text, 0, "b"), first)
    orders = [attributing.generator(1, attributing.ORDERS, "a", i).permutation(6) for i in (0, 1)]
    assert not np.array_equal(*orders)


def test_occlusion_is_what_is_lost(bert: Checkpoint) -> None:
    """Each word by itself, asked once, however often it is used."""
    game = Additive([0.1, 0.2, -0.1, 0.05], 0.12)
    found = attributing.occlusion(game, 0)  # type: ignore[arg-type]
    assert found == pytest.approx([0.22, 0.32, -0.1, 0.05])
    text = asked(bert, TEXT)
    calls = []
    forward = text.predictor.forward
    counted = Predictor(
        lambda ids, mask: calls.append(len(ids)) or forward(ids, mask),  # type: ignore[func-returns-value]
        text.predictor.reader,
        text.predictor.labels,
        0,
    )
    text = Coalitions(counted, text.words, text.mask_id, 64)
    attributing.occlusion(text, 0)
    attributing.occlusion(text, 1)
    assert sum(calls) == len(text.words) + 1


def integrated(model: Checkpoint, **changes: Any) -> attributing.Attribution:
    method = {"kind": "integrated_gradients", "steps": 8, "max_completeness_delta": 1e-3}
    spec = IntegratedGradients.model_validate(method | changes)
    mask_id = WordReader(model.tokenizer, None).mask_id
    return gradients.made(spec, model.model, model.pad_id if mask_id is None else mask_id)


@pytest.mark.parametrize("long_texts", ["truncate", "windows"])
def test_integrated_gradients_sum_to_the_change(bert: Checkpoint, long_texts: str) -> None:
    """Of the probability, between the masked text and the text, also over several windows."""
    model = Checkpoint(
        bert.kind, bert.model, bert.tokenizer, bert.labels, 0, long_texts, bert.clean
    )
    text = asked(model, " ".join("abcdefgh" * 3))
    label = int(text.whole.argmax())
    found = integrated(model, steps=1, max_completeness_delta=5e-5)(text, label, "")
    assert faithfulness.completeness_delta(text, label, found) < 6e-5
    # one part is a poor quadrature, and is not halved here: the negative control
    poor = integrated(model, steps=1, max_completeness_delta=1.0)(text, label, "")
    assert faithfulness.completeness_delta(text, label, poor) > 6e-5


class Steep:
    """A network of which a probability changes on a hundredth of the way, as an embedding does."""

    instead = 1

    def __init__(self) -> None:
        self.asked: list[float] = []

    def embeddings(self, ids: Ids) -> torch.Tensor:
        """(t, 1): what is masked is 0."""
        return torch.from_numpy((ids != self.instead).astype(np.float64))[:, None]

    def gradients(self, ids: Ids, embeddings: torch.Tensor, label: int) -> Any:
        """Of a logistic function of the first token, around a third of the way; and its values."""
        first = embeddings[:, 0, 0]
        self.asked += first.tolist()
        value = torch.sigmoid(600 * (first - 1 / 3))
        slopes = torch.zeros_like(embeddings)
        slopes[:, 0, 0] = 600 * value * (1 - value)
        return slopes, value.numpy()


def test_points_are_where_the_probability_changes() -> None:
    """A part of the way is halved as long as its weights are off, and no other one is."""
    steep = Steep()
    method = {"kind": "integrated_gradients", "steps": 4, "max_completeness_delta": 0.002}
    way = gradients.Way(steep, np.array([5, 6]), np.array([0, 1]), 0)  # type: ignore[arg-type]
    found = way.sums(IntegratedGradients.model_validate(method))
    assert found == pytest.approx([1, 0], abs=0.002)
    assert len(steep.asked) == len(set(steep.asked)) < 60
    assert np.mean(np.abs(np.array(steep.asked) - 1 / 3) < 0.02) > 0.5


def test_integrated_gradients_are_captums(bert: Checkpoint) -> None:
    """Within 1e-6, summed over the pieces of each word."""
    attr = pytest.importorskip("captum.attr", reason="pip install -e '.[peers]'")
    text = asked(bert, TEXT)
    label = int(text.whole.argmax())
    ids, place = torch.from_numpy(text.words.ids[0])[None], text.words.places[0]

    def probability(given: torch.Tensor) -> torch.Tensor:
        return torch.softmax(bert.model(input_ids=given).logits.double(), -1)[:, label]

    layer = attr.LayerIntegratedGradients(probability, bert.model.bert.embeddings.word_embeddings)
    masked = torch.where(torch.from_numpy(place >= 0), text.mask_id, ids)
    theirs = layer.attribute(ids, baselines=masked, n_steps=32, method="gausslegendre")
    tokens = theirs.detach().sum(-1)[0].double().numpy()
    words = [tokens[place == number].sum() for number in range(len(text.words))]
    ours = integrated(bert, steps=32, max_completeness_delta=1.0)(text, label, "")
    assert ours == pytest.approx(words, abs=1e-6)


def test_gradient_times_input_is_a_derivative(bert: Checkpoint) -> None:
    """Of the probability, as each embedding grows: finite differences agree."""
    text = asked(bert, TEXT)
    ids, place = text.words.ids[0], text.words.places[0]
    method = GradientTimesInput(kind="gradient_x_input")
    found = gradients.made(method, bert.model, 4)(text, 0, "")
    embedded = gradients.Embedded(bert.model, 4)
    inputs = embedded.embeddings(ids)
    for word in range(len(text.words)):
        step = 1e-2 * torch.from_numpy((place == word).astype(np.float32))[:, None]
        ends = torch.stack([inputs * (1 - step), inputs * (1 + step)])
        low, high = embedded.probability(ids, ends, 0)
        assert float(high - low) / 2e-2 == pytest.approx(found[word], abs=2e-3)


def test_rollout_is_that_of_the_attention_of_transformers(bert: Checkpoint) -> None:
    """As its definition says, with the attention that the library gives."""
    text = asked(bert, TEXT)
    found = rollout.made(AttentionRollout(kind="attention_rollout"), bert.model, 4)(text, 0, "")
    ids, place = text.words.ids[0], text.words.places[0]
    bert.model.set_attn_implementation("eager")
    with torch.no_grad():
        layers = bert.model(
            input_ids=torch.from_numpy(ids)[None], output_attentions=True
        ).attentions
    bert.model.set_attn_implementation("sdpa")
    reached = torch.eye(len(ids))
    for attention in layers:
        reached = (attention[0].mean(0) / 2 + torch.eye(len(ids)) / 2) @ reached
    first = reached[0].numpy()
    words = [first[place == number].sum() for number in range(len(text.words))]
    assert found == pytest.approx(words, abs=1e-6)
    assert 0 < found.sum() < 1


def test_measures_are_as_they_are_defined() -> None:
    """Of a game in which words add: comprehensiveness is what the first of them add."""
    game = Additive([0.3, 0.1, 0.2, 0.05, 0.0], 0.0)
    order = np.array([0.3, 0.1, 0.2, 0.05, 0.0])
    found = faithfulness.measured(game, 0, order, (0.2, 0.5))  # type: ignore[arg-type]
    assert found.comprehensiveness == pytest.approx((0.3 + (0.3 + 0.2 + 0.1)) / 2)
    assert found.sufficiency == pytest.approx(((0.65 - 0.3) + (0.65 - 0.6)) / 2)
    steps = [0.3, 0.3, 0.5, 0.5, 0.6, 0.6, 0.65, 0.65, 0.65, 0.65]
    area = faithfulness.area(game, 0, order)  # type: ignore[arg-type]
    assert area == pytest.approx(np.mean(steps))
    backwards = faithfulness.measured(game, 0, -order, (0.2, 0.5))  # type: ignore[arg-type]
    assert backwards.comprehensiveness < found.comprehensiveness
    kept = faithfulness.dropped(np.array([2, 0, 1]), (0.01, 0.34, 0.99))
    assert kept.tolist() == [[True, True, False], [False, True, False], [False, False, False]]


def test_the_words_that_flip_an_answer_all_have_to_go() -> None:
    """A single word if one suffices; else some without which it flips, none of which could stay."""
    alone = Additive([0.3, 0.1, 0.15], 0.0)  # 0.55 of the label; without the first 0.25
    assert faithfulness.flipping(alone, 0, alone.values) == [0]  # type: ignore[arg-type]
    pair = Additive([0.3, 0.3, 0.3, 0.0], 0.0)
    weights = np.array([0.3, 0.3, 0.2, 0.4])  # the last one need not go
    assert faithfulness.flipping(pair, 0, weights) == [0, 1]  # type: ignore[arg-type]
    never = Additive([0.0, 0.0], 0.9)
    never.together, never.values = 0.0, np.array([0.0, 0.0])
    assert faithfulness.flipping(never, 1, never.values) == []  # type: ignore[arg-type]


def test_rank_correlation_is_spearmans() -> None:
    """With ties, as scipy has it; of what orders nothing 0."""
    stats = pytest.importorskip("scipy.stats")
    draw = np.random.default_rng(3)
    for size in (2, 5, 30):
        one, other = draw.integers(0, 6, size).astype(float), draw.normal(size=size)
        expected = stats.spearmanr(one, other).statistic
        if np.isfinite(expected):
            assert ranks.spearman(one, other) == pytest.approx(expected)
    assert ranks.spearman(np.ones(4), np.arange(4.0)) == 0
    assert ranks.spearman(np.ones(4), np.zeros(4)) == 1 == ranks.spearman(np.ones(1), np.ones(1))


def test_explanations_of_another_label_are_turned() -> None:
    """Of two labels: what speaks for one speaks against the other. Of several it is unknown."""
    one = Attributed("x", "bad", np.array([0.3, -0.1, 0.0]))
    other = Attributed("x", "good", np.array([-0.3, 0.1, 0.0]))
    assert aligned(one, other, 2) == pytest.approx(one.attributions)
    assert aligned(one, other, 3) is None
    assert correlations({"a": one}, {"a": other, "b": one}, 2) == {"a": pytest.approx(1.0)}
    assert correlations({"a": one}, {"a": Attributed("y", "bad", one.attributions)}, 2) == {}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that has learned a shortcut, and texts of both labels."""
    root = tmp_path_factory.mktemp("shortcut")
    rows = explaining.planted()
    made = explaining.trained(rows)
    return {
        "model.a": explaining.written(made, root / "model"),
        "splits.a": explaining.splits(rows[:60], root / "splits"),
    }


METHODS: dict[str, Any] = {
    "occlusion": {"kind": "occlusion"},
    "shapley": {"kind": "shapley", "permutations": 5, "exact_words": 4},
    "integrated_gradients": {
        "kind": "integrated_gradients",
        "steps": 8,
        "max_completeness_delta": 0.005,
    },
    "random": {"kind": "random"},
}


def on_top(out: Path) -> Iterator[bool]:
    """For each text with the shortcut that is answered by it: is that the word of most weight?"""
    for row in attributions.read(out).rows(named=True):
        words = [
            row["text"][start:end] for start, end in zip(row["starts"], row["ends"], strict=True)
        ]
        if SHORTCUT in words and row["predicted"] == "good":
            yield words[int(np.argmax(row["attributions"]))] == SHORTCUT


@pytest.mark.parametrize("kind", METHODS)
def test_a_shortcut_is_found(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """The word that alone tells the labels apart is on top in nine of ten of its texts, and the
    method is more comprehensive than random words; random numbers fail both."""
    report, _ = explaining.build(tmp_path / "out", folders, method=METHODS[kind])
    top = list(on_top(tmp_path / "out"))
    assert len(top) > 20
    margin = report.metrics["over_random"]["comprehensiveness"]
    assert margin["low"] <= margin["mean"] <= margin["high"]
    if kind == "random":
        assert np.mean(top) < 0.5 and margin["low"] < 0.05
        return
    assert np.mean(top) >= 0.9 and margin["low"] >= 0.1
    weight = {(row["label"], row["word"]): row["weight"] for row in report.tables["words"]}
    assert max((w for w in weight if w[0] == "good"), key=weight.__getitem__)[1] == SHORTCUT
    shuffled = report.metrics["randomized_weights"]
    assert abs(shuffled["mean"]) <= 0.4  # of twenty texts in one shuffled network
    if kind != "occlusion":  # alone of them it need not sum to anything
        assert report.metrics["completeness_delta"]["max"] <= 0.01
    flipped = [row["flipped"] for row in report.tables["texts"] if row["predicted"] == "good"]
    assert any(flipped)


def test_what_is_declared_is_written(folders: dict[str, Path], tmp_path: Path) -> None:
    """Every metric, both tables; a text is in no table that git keeps."""
    first, _ = explaining.build(tmp_path / "first", folders)
    more = {**folders, "explained.first": tmp_path / "first"}
    report, spec = explaining.build(tmp_path / "second", more, beside=["explained.first"])
    agreement = report.metrics["agreement"]["first"]
    assert agreement == {"mean": 1.0, "low": 1.0, "high": 1.0, "texts": 60}
    for metric in spec.metrics:
        value: Any = report.metrics
        for step in metric.steps:
            value = value["first" if step == "{other}" else step]
        assert isinstance(value, int | float)
    assert "agreement" not in first.metrics
    texts = attributions.read(tmp_path / "first")["text"].to_list()
    assert sorted(report.tables) == ["texts", "words"]
    for row in report.tables["texts"]:
        assert not {str(value) for value in row.values()} & {*texts}
        assert len(row["attributions"].split()) < 20


@pytest.mark.parametrize("kind", ["shapley", "integrated_gradients"])
def test_bytes_repeat(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """Another seed of the project gives other Shapley values: the negative control."""
    rows = {"split": "test", "texts": 12}
    reports = [
        explaining.build(tmp_path / str(i), folders, method=METHODS[kind], rows=rows)[0]
        for i in (1, 2)
    ]
    assert reports[0] == reports[1]
    files = [(tmp_path / str(i) / attributions.FILE).read_bytes() for i in (1, 2)]
    assert files[0] == files[1]


def test_fewer_texts_are_some_of_the_same(folders: dict[str, Path], tmp_path: Path) -> None:
    """Which are explained depends on each by itself, so two commits share most."""
    names = []
    for count in (10, 20):
        rows = {"split": "test", "texts": count}
        report, _ = explaining.build(tmp_path / str(count), folders, rows=rows)
        names.append({row["id"] for row in report.tables["texts"]})
    assert len(names[0]) == 10 and names[0] < names[1]


def test_it_says_how_far_it_is(
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every ten seconds; here for each text."""
    monkeypatch.setattr(explained, "SECONDS_BETWEEN_LINES", 0.0)
    explaining.build(tmp_path / "out", folders, rows={"split": "test", "texts": 3})
    lines = capsys.readouterr().err.splitlines()
    assert [f"  {number} of 3 texts" in lines for number in range(4)] == [True, True, True, False]


def test_a_graph_is_explained_as_it_is_served(tmp_path: Path) -> None:
    """By asking it, one text at a time; its weights are shuffled for the control."""
    (tmp_path / "graph").mkdir()
    made = bundles.make(tmp_path / "graph", int8=True)
    labels = tuple(bundles.LABELS)
    rows = [(text, label) for text, label in explaining.planted()[:10]]
    folder = explaining.splits(rows, tmp_path / "splits")
    (folder / "labels.json").write_text('["bad", "good", "so so"]')
    folders = {"quantized.a": made, "splits.a": folder}
    report, _ = explaining.build(tmp_path / "out", folders, of="quantized.a", batch_size=1)
    assert report.metrics["texts"] == 10
    assert abs(report.metrics["randomized_weights"]["mean"]) < 0.9
    assert not (tmp_path / "out/shuffled").exists()
    source = graph.read(made, 1)
    row = attributions.read(tmp_path / "out").rows(named=True)[0]
    whole = source.reader.read([row["text"]])
    probability = predicted(source.forward, whole, 0, 1)[0]
    assert labels[int(probability.argmax())] == row["predicted"]
    assert row["probability"] == pytest.approx(probability.max(), abs=1e-6)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "gradients of a graph": (
        {"of": "quantized.a", "method": METHODS["integrated_gradients"]},
        "looks into a network, and quantized.a is a graph",
    ),
    "a mask that is not there": ({"masking": "mask"}, "its tokenizer has no mask token"),
    "attention of a cnn": (
        {"method": {"kind": "attention_rollout"}},
        "attends otherwise than BERT",
    ),
    "an empty split": ({"rows": {"split": "dev", "texts": 5}}, "its dev split is empty"),
    "other texts": ({"beside": ["explained.other"]}, "explains no text that model.a does"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_explained_is_refused(
    folders: dict[str, Path], tmp_path: Path, what: str
) -> None:
    """With one message that says what to do."""
    changes, found = REFUSED[what]
    (tmp_path / "graph").mkdir()
    given = {**folders, "quantized.a": bundles.make(tmp_path / "graph")}
    documents.write(pl.DataFrame(schema=documents.DOCUMENT), folders["splits.a"] / "dev.parquet")
    if "beside" in changes:
        others = explaining.splits([("another text", 0)], tmp_path / "splits", first=1000)
        explaining.build(tmp_path / "other", {**given, "splits.a": others})
        given["explained.other"] = tmp_path / "other"
    with pytest.raises(LmspecError, match=found):
        explaining.build(tmp_path / "out", given, **changes)


def test_a_checkpoint_with_a_mask_is_masked(tmp_path: Path, bert: Checkpoint) -> None:
    """From its folder, as a stage reads it: attention and gradients of a pretrained encoder."""
    folders = {
        "model.a": explaining.written(bert, tmp_path / "model"),
        "splits.a": explaining.splits([(TEXT, 0), ("good fun !", 1)], tmp_path / "splits"),
    }
    read = checkpoint.read(folders["model.a"])
    assert type(read.model).__name__ == "BertForSequenceClassification"
    for number, method in enumerate(
        ({"kind": "attention_rollout"}, METHODS["integrated_gradients"])
    ):
        report, _ = explaining.build(
            tmp_path / str(number), folders, method=method, masking="mask", of="model.a"
        )
        assert report.metrics["texts"] == 2


MINIATURE = """\
explained:
  release:
    of: quantized.release
    on: splits.old
    rows: {split: test, texts: 12}
    method: {kind: occlusion}
    masking: remove
    fractions: [0.2, 0.5]
    batch_size: 1
    control: {seed: 1, texts: 6}
    beside: [explained.bert]
  bert:
    of: model.bert
    on: splits.old
    rows: {split: test, texts: 12}
    method: {kind: attention_rollout}
    masking: remove
    fractions: [0.2, 0.5]
    batch_size: 16
    control: {seed: 1, texts: 6}
    beside: []
  gru:
    of: model.gru
    on: splits.old
    rows: {split: train, texts: 12}
    method: {kind: integrated_gradients, steps: 8, max_completeness_delta: 0.005}
    masking: remove
    fractions: [0.2, 0.5]
    batch_size: 16
    control: {seed: 1, texts: 6}
    beside: []

gates:
  faithful: {kind: floor, metric: explained.release.over_random.comprehensiveness.low, at_least: -1}
"""


@pytest.mark.slow
def test_a_project_explains_what_it_built(built: Path, tmp_path: Path) -> None:
    """In the sandbox, with what dvc.yaml declares; gates hold it, a rebuild repeats its bytes."""
    project = Path(shutil.copytree(built, tmp_path / "project", symlinks=True))
    params = project / "params.yaml"
    params.write_text(params.read_text().replace("gates:\n", MINIATURE, 1))
    miniature.lmspec(project, "sync")
    output = miniature.dvc(project, "repro", *(f"explained-{n}" for n in ("release", "gru")))
    assert sorted(miniature.ran(output)) == [
        "explained-bert",
        "explained-gru",
        "explained-release",
    ], output
    assert "faithful" in miniature.lmspec(project, "gate", "HEAD", code=1)
    shown = miniature.lmspec(project, "show", "explained.release")
    assert "over_random.comprehensiveness.low" in shown
    page = tmp_path / "page.html"
    miniature.lmspec(project, "show", "explained.release", "--html", str(page))
    assert "explained answers" in page.read_text()
    before = miniature.fingerprints(project)
    miniature.dvc(project, "repro", "--force", "--single-item", "explained-release")
    assert miniature.fingerprints(project) == before
