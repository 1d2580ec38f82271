"""Synonyms, mixed texts and paraphrases: what each takes of a text, what it leaves, and that a row
depends on its text, the seed and the copy, whatever else is made."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents, synonyms, writer
from lmspec.methods import cleaning, mixing, paraphrasing, substituting
from lmspec.methods.augmenting import Text
from lmspec.methods.folders import sha256
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Windows
from lmspec.specs.augmented import AugmentedSpec
from lmspec.specs.numerics import Machine, Numerics
from lmspec.stage import Needs, Report
from stages import augmented
from tests import miniature, tinywriter
from tests.specs import GOOD, ROOT, complaints
from tests.test_augmented import TEXTS, draw, on_augmented, split

NUMERICS = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
WORDS = "film\tmovie\nfilm\tpicture\nbad\tpoor\ntale\tstory\nnot\thardly\nvery\tmost\n"
SYNONYMS: dict[str, Any] = {
    "kind": "synonyms",
    "words": {"kind": "table", "of": "sources.w", "file": "w.tsv", "separator": "tab"},
    "share": 1.0,
    "copies": 2,
    "rate": 0.5,
    "keep": [],
}
MIXING: dict[str, Any] = {"kind": "mixing", "share": 1.0, "copies": 2, "parts": "texts"}
PARAPHRASE: dict[str, Any] = {
    "kind": "paraphrase",
    "of": "model.w",
    "prompt": "say it again, {label}: {text}",
    "share": 1.0,
    "copies": 2,
    "decode": {"kind": "sample", "temperature": 1.5, "top_k": None, "top_p": None, "min_p": None,
               "seed": 1},
    "new_tokens": 30,
    "stop": ["e"],
    "batch_size": 4,
    "min_length": 0.05,
    "max_length": 9.0,
    "agrees": None,
}  # fmt: skip
SAMPLED = PARAPHRASE["decode"]


def spec(*kinds: Mapping[str, Any], seed: int = 1) -> AugmentedSpec:
    return AugmentedSpec.model_validate({"of": "splits.a", "seed": seed, "add": list(kinds)})


def build(
    folder: Path,
    *kinds: Mapping[str, Any],
    texts: Sequence[tuple[str, str]] = TEXTS,
    seed: int = 1,
    model: Path | None = None,
    **parts: Any,
) -> tuple[Report, pl.DataFrame]:
    """The stage's report, and what was made with what it is made from."""
    folders = {"splits.a": split(folder / "splits", texts, **parts), "sources.w": folder}
    folders |= {"model.w": model or folder, "model.judge": folder}
    (folder / "w.tsv").write_text(WORDS)
    needs = Needs(folders, NUMERICS, Machine(device="cpu"), root=folder)
    (folder / "out").mkdir()
    report = augmented.build(spec(*kinds, seed=seed), needs, folder / "out")
    made = pl.read_parquet(folder / "out/made.parquet")
    return report, documents.read_split(folder / "out", "train").join(made, ["id", "label"])


def by_origin(frame: pl.DataFrame) -> dict[tuple[str, int], str]:
    return {(row["made_from"], row["copy"]): row["text"] for row in frame.rows(named=True)}


# --- synonyms ---


def test_words_become_synonyms_with_their_capitals() -> None:
    """At a rate of 1 all that have any; what is kept, negations and placeholders stay."""
    pairs = {"film": ["movie"], "not": ["hardly"], "don": ["father"], "well": ["fine"], "bad": "x"}
    text = "FILM, Film and films: not bad, don't [film] well-made film's film"
    changed = substituting.substituted(text, pairs, {"bad"}, 1.0, draw())
    assert changed == "MOVIE, Movie and films: not bad, don't [film] well-made film's movie"


@given(st.lists(st.sampled_from(["film", "bad", "tale", "of", "It's"]), min_size=1), st.integers(0))
def test_one_word_at_least_and_no_other_changes(words: list[str], seed: int) -> None:
    """If one has a synonym; the number of words stays."""
    pairs = {"film": ["movie"], "bad": ["poor"]}
    changed = substituting.substituted(" ".join(words), pairs, (), 0.01, draw(seed)).split()
    assert len(changed) == len(words)
    differing = [old for old, new in zip(words, changed, strict=True) if old != new]
    assert bool(differing) == bool({*words} & pairs.keys()) and {*differing} <= pairs.keys()


def test_a_table_of_synonyms_is_read(tmp_path: Path) -> None:
    """Both separators, quotes of CSV, a byte-order mark and CRLF; each pair once."""
    (tmp_path / "a.tsv").write_bytes(b'\xef\xbb\xbffilm\tmovie\r\nFilm\tmovie\r\nfilm\t"flick"\r\n')
    assert synonyms.read_table(tmp_path, "a.tsv", "tab", "s") == {"film": ["movie", '"flick"']}
    (tmp_path / "a.csv").write_text('film,"motion picture, long"\nNew York,city\nbig,BIG\n')
    assert synonyms.read_table(tmp_path, "a.csv", "comma", "s") == {
        "film": ["motion picture, long"]
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"film movie\n", "w.tsv:1: it has 1 field instead of 2: 'film movie'"),
        (b"film\tmovie\nbad\t\n", "w.tsv:2: a field is empty"),
        (b"film\tfilm\n", "w.tsv: no line has a word and another one in its place"),
        (b"film\tmovie\nb\xe4d\tpoor\n", "line 2 is not UTF-8"),
        (b"film\tm\0vie\n", "line 1 has a NUL byte"),
        (None, "w.tsv: there is no such file"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(
    content: bytes | None, message: str, tmp_path: Path
) -> None:
    """And the next step."""
    if content is not None:
        (tmp_path / "w.tsv").write_bytes(content)
    with pytest.raises(LmspecError) as caught:
        synonyms.read_table(tmp_path, "w.tsv", "tab", "sources.w")
    assert message in f"{caught.value.place}: {caught.value.found}" and caught.value.remedy


LICENSE = "  1 This software and database is being provided to you\n"


def wordnet(folder: Path, **changes: str) -> Path:
    """Some synsets: film and movie; film and shoot; hot, whose antonym is cold; in, as inch."""
    nouns = (
        "00000100 10 n 03 film 0 movie 1 motion_picture 0 001 @ 00000050 n 0000 | a form\n"
        "00000200 10 n 02 film 1 Kodak 0 000 | a thin sheet\n"
        "00000300 10 n 02 in 0 inch 0 000 | a unit\n"
    )
    files = {
        "data.noun": LICENSE + nouns,
        "data.verb": "00000100 36 v 02 film 0 shoot 0 000 01 + 08 00 | record\n",
        "data.adj": "00000100 00 a 02 hot(p) 0 warm 0 001 ! 00000200 a 0101 | of heat\n"
        "00000200 00 a 02 cold 0 chilly 0 001 ! 00000100 a 0101 | of cold\n",
        "data.adv": LICENSE,
        "index.sense": "film%1:10:00:: 00000100 1 4\nfilm%1:10:01:: 00000200 2 0\n"
        "film%2:36:00:: 00000100 1 2\nmovie%1:10:00:: 00000100 1 9\nin%1:10:00:: 00000300 1 9\n"
        "shoot%2:36:00:: 00000100 2 1\nkodak%1:10:01:: 00000200 1 1\n"
        "hot%3:00:00:: 00000100 1 7\nwarm%3:00:00:: 00000100 2 7\nchilly%3:00:00:: 00000200 1 1\n",
    }
    for name, text in (files | changes).items():
        (folder / name).write_text(text)
    return folder


def test_wordnet_gives_the_words_of_the_most_frequent_sense(tmp_path: Path) -> None:
    """No names, no function words, none that has an antonym; an adjective without its marker."""
    assert synonyms.read_wordnet(wordnet(tmp_path), "sources.wn") == {
        "film": ["movie", "motion picture"],
        "movie": ["film", "motion picture"],
        "shoot": ["film"],
        "kodak": ["film"],
    }


def test_files_of_wordnet_that_lack_or_are_damaged_are_refused(tmp_path: Path) -> None:
    """With their names, or the line."""
    wordnet(tmp_path, **{"data.verb": "00000100 36 v zz film\n"})
    with pytest.raises(LmspecError, match=r"sources\.wn: data\.verb:1.*no line of WordNet"):
        synonyms.read_wordnet(tmp_path, "sources.wn")
    (tmp_path / "index.sense").unlink()
    with pytest.raises(LmspecError, match=r"it has no index\.sense"):
        synonyms.read_wordnet(tmp_path, "sources.wn")


# --- mixing ---


def texts(count: int) -> list[Text]:
    rows = [f"text {i} one. And more of {i}! The end" for i in range(count)]
    return [Text(cleaning.document_id(row), row, "ab"[i % 2]) for i, row in enumerate(rows)]


def mixed(rows: Sequence[Text], parts: str = "texts", copies: int = 1) -> dict[Any, Any]:
    kind = spec({**MIXING, "parts": parts, "copies": copies}).add[0]
    found = mixing.of_texts(kind, [1, 2], rows)  # type: ignore[arg-type]
    return {(rows[at].id, one.copy): (one.text, one.beside, one.label) for at, one in found if one}


def test_two_texts_of_one_label_are_mixed() -> None:
    """Never one with itself; each is whole in `texts`."""
    rows = texts(60)
    known = {row.id: row for row in rows}
    made = mixed(rows, copies=3)
    assert len(made) == 180
    for (name, _), (text, beside, label) in made.items():
        assert beside != name and known[beside].label == known[name].label == label
        assert text == f"{known[name].text} {known[beside].text}"
    assert len({beside for _, beside, _ in made.values()}) > 30


def test_halves_and_sentences() -> None:
    """Half of the words of each; half of the sentences, rounded up, in their order."""
    assert mixing.mixed("a b c", "d e f g h", "halves", draw()) == "a b f g h"
    for seed in range(9):
        both = mixing.mixed("A. B! C.", "D", "sentences", draw(seed))
        assert re.fullmatch(r"(A\. B!|A\. C\.|B! C\.) D", both)


def test_a_row_more_changes_few_mixed_texts() -> None:
    """Only those whose other text it becomes."""
    rows = texts(201)
    before, after = mixed(rows[:200]), mixed(rows)
    changed = [key for key in before if before[key] != after[key]]
    assert all(after[key][1] == rows[200].id for key in changed)
    assert len(changed) < 20


def test_the_only_text_of_its_label_is_not_mixed() -> None:
    """There is nothing to mix it with; of two, each has the other."""
    rows = texts(3)
    made = mixed(rows, copies=5)
    assert {name for name, _ in made} == {rows[0].id, rows[2].id}
    assert {(name, beside) for (name, _), (_, beside, _) in made.items()} == {
        (rows[0].id, rows[2].id), (rows[2].id, rows[0].id)
    }  # fmt: skip


# --- paraphrases ---


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that writes, whose weights are drawn."""
    folder = tmp_path_factory.mktemp("writer")
    made, words, pad_id, _ = causal.create(
        tinywriter.spec_of(max_length=100), tinywriter.write_weights(folder / "weights")
    )
    clean = {"fix_unicode": True, "unescape_html": True}
    (folder / "model").mkdir()
    whole = writer.WriterModel(made, words, pad_id, tinywriter.PAIR, 100, "cut_prompt", clean)
    writer.write(whole, folder / "model")
    return folder / "model"


def test_a_paraphrase_is_its_own_whatever_is_beside_it(tmp_path: Path, model: Path) -> None:
    """Other rows, another batch size, another kind before it; another seed writes others."""
    rows = TEXTS[:5]

    def of(name: str, *kinds: Mapping[str, Any], **parts: Any) -> dict[tuple[str, int], str]:
        (tmp_path / name).mkdir()
        _, frame = build(tmp_path / name, *kinds, model=model, **{"texts": rows, **parts})
        return by_origin(frame.filter(pl.col("kind") == "paraphrase"))

    whole = of("whole", PARAPHRASE)
    assert len(whole) > 5 and len(set(whole.values())) == len(whole)
    fewer = of("fewer", MIXING, {**PARAPHRASE, "batch_size": 1}, texts=rows[:0:-1])
    kept = {key: text for key, text in whole.items() if key[0] != cleaning.document_id(rows[0][0])}
    assert fewer == kept
    other = of("other", PARAPHRASE, seed=2)
    assert other != whole


def test_a_paraphrase_that_does_not_suit_is_left_out(tmp_path: Path, model: Path) -> None:
    """One that does not end in time, and one whose text would be cut; the control is the other
    test. What is left out is counted."""
    greedy = {**PARAPHRASE, "decode": {"kind": "greedy"}, "copies": 1, "stop": []}
    report, _ = build(tmp_path, SYNONYMS, {**greedy, "new_tokens": 1}, model=model)
    assert report.metrics["left_out"]["unsuitable"] == len(TEXTS)
    assert report.metrics["added"]["paraphrase"] == 0
    long = "so very long a text that it is cut " * 5
    (tmp_path / "long").mkdir()
    cut, _ = build(
        tmp_path / "long", SYNONYMS, PARAPHRASE, texts=[*TEXTS, (long, "negative")], model=model
    )
    assert cut.metrics["left_out"]["unsuitable"] >= 2
    made = pl.read_parquet(tmp_path / "long/out/made.parquet").filter(kind="paraphrase")
    assert cleaning.document_id(long) not in made["made_from"]


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("a film of two halves", None),
        ("", "unsuitable"),
        ("A film  of halves", "unchanged"),
        ("film", "unsuitable"),
        ("a film of halves and a great many other words", "unsuitable"),
    ],
)
def test_what_is_the_same_or_of_another_length_is_left_out(written: str, fault: str | None) -> None:
    """Case and white space aside."""
    text = paraphrasing.unquoted(f' "{written}"\n')
    assert paraphrasing.fault("a film of halves", text, 0.5, 2.0) == fault


def test_a_prompt_has_the_text_as_it_is() -> None:
    """What looks like a place in the text is none."""
    assert (
        paraphrasing.asked("{label} {text}!", "a {label} {text}", "good")
        == "good a {label} {text}!"
    )


class Lengths:
    """Reads a text as one token: its number of characters."""

    def read(self, texts: list[str]) -> Windows:
        """A window each."""
        ids = [np.asarray([len(text)]) for text in texts]
        ones = np.ones(len(ids), np.int64)
        return Windows(ids, np.arange(len(ids)), ones, 0 * ones, None)


def test_a_paraphrase_that_the_classifier_calls_otherwise_is_left_out(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it calls texts of an even number of characters positive; so are those that stay."""

    def forward(ids: NDArray[np.int64], _: Any) -> NDArray[np.float32]:
        even = 1.0 - ids[:, 0] % 2
        return np.stack([1 - even, even], 1).astype(np.float32)

    answers = Predictor(forward, Lengths(), ("negative", "positive"), 0)  # type: ignore[arg-type]
    monkeypatch.setattr(checkpoint, "predictor", lambda *_: answers)
    report, frame = build(tmp_path, {**PARAPHRASE, "agrees": "model.judge"}, model=model)
    assert report.metrics["left_out"]["disagreed"] > 0 < report.metrics["added"]["paraphrase"]
    for row in frame.rows(named=True):
        assert (len(row["text"]) % 2 == 0) == (row["label"] == "positive")
    known = Predictor(forward, Lengths(), ("bad", "good"), 0)  # type: ignore[arg-type]
    monkeypatch.setattr(checkpoint, "predictor", lambda *_: known)
    (tmp_path / "other").mkdir()
    with pytest.raises(LmspecError, match="knows no label negative, positive"):
        build(tmp_path / "other", {**PARAPHRASE, "agrees": "model.judge"}, model=model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": "again"}, "is not in it"),
        ({"decode": {"kind": "greedy"}}, "2 copies of a text would be equal"),
        ({"min_length": 1.0, "max_length": 1.0}, "every other length is left out"),
    ],
)
def test_a_paraphrase_that_could_not_be_is_refused(changes: dict[str, Any], message: str) -> None:
    """By the spec."""
    with pytest.raises(ValidationError, match=message):
        spec({**PARAPHRASE, **changes})
    two = [{**PARAPHRASE, "agrees": name} for name in ("model.a", "quantized.b")]
    with pytest.raises(ValidationError, match="another classifier"):
        spec(*two)


# --- the artifact ---


def test_all_three_are_made_of_train_texts_alone(tmp_path: Path, model: Path) -> None:
    """Counted, with the rows that they are made from; the same bytes again; dev as it was."""
    kinds = (SYNONYMS, MIXING, PARAPHRASE)
    for name in "ab":
        (tmp_path / name).mkdir()
        report, frame = build(tmp_path / name, *kinds, model=model)
    assert all(report.metrics["added"][kind["kind"]] for kind in kinds)
    of = {cleaning.document_id(text): label for text, label in TEXTS}
    for row in frame.rows(named=True):
        assert of[row["made_from"]] == row["label"]
        assert (row["beside"] is not None) == (row["kind"] == "mixing")
    for path in (tmp_path / "a/out").iterdir():
        assert path.read_bytes() == (tmp_path / "b/out" / path.name).read_bytes()
    assert (tmp_path / "a/out/dev.parquet").read_bytes() == (
        tmp_path / "a/splits/dev.parquet"
    ).read_bytes()


def test_a_test_text_is_not_made(tmp_path: Path) -> None:
    """The control: without it in the test split it is. Whatever its case."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, frame = build(tmp_path / "a", SYNONYMS)
    wanted = frame["text"][0]
    report, frame = build(tmp_path / "b", SYNONYMS, test=[wanted.upper()])
    assert report.metrics["left_out"]["held_out"] and wanted not in frame["text"]


def test_only_what_names_a_kind_has_its_code() -> None:
    """An edit of paraphrasing reruns no other artifact."""
    plain = {"kind": "typos", "share": 0.5, "copies": 1, "edits": 1}
    assert spec(plain).modules() == ()
    assert spec(plain, MIXING, MIXING).modules() == ("stages.augmented_mixing",)
    judged = spec({**PARAPHRASE, "agrees": "quantized.a"})
    assert judged.modules() == ("stages.augmented_paraphrase", "lmspec.formats.graph")
    assert judged.reads_like() is None
    assert spec({**PARAPHRASE, "agrees": "model.a"}).reads_like() == "model.a"


def added(kind: str) -> str:
    add = "  old:\n    of: splits.old\n    seed: 1\n    add:\n"
    return on_augmented().replace(add, f"{add}      - {kind}\n")


def test_rules_know_the_tables_and_the_models(tmp_path: Path) -> None:
    """A table of words in the repository, and a model that writes nothing; nothing else."""
    words = (
        "{kind: synonyms, words: {kind: table, of: sources.old, file: old.csv, separator: comma}"
    )
    found = complaints(added(f"{words}, share: 1.0, copies: 1, rate: 0.5, keep: []}}"), tmp_path)
    assert any("no line has a word and another one" in line for line in found)
    (tmp_path / "raw/old.csv").write_text("film,movie\n")
    found = complaints(added(f"{words}, share: 1.0, copies: 1, rate: 0.5, keep: []}}"), tmp_path)
    assert not any("synonyms" in line for line in found)
    other = words.replace("file: old.csv", "file: new.csv")
    found = complaints(added(f"{other}, share: 1.0, copies: 1, rate: 0.5, keep: []}}"), tmp_path)
    assert any("sources.old is the file old.csv" in line for line in found)
    assert complaints(GOOD, tmp_path)


@pytest.mark.slow
def test_a_project_builds_with_all_three(tmp_path: Path) -> None:
    """By DVC, in the sandbox: each reads what it declares, and what is trained on the result has
    seen what the model that writes has."""
    make_project(tmp_path)
    miniature.dvc(tmp_path, "repro")
    metrics = json.loads((tmp_path / "data/metrics/augmented-given.json").read_text())
    assert metrics["added"]["synonyms"] and metrics["added"]["mixing"]
    asked = metrics["left_out"]["unsuitable"] + metrics["left_out"]["disagreed"]
    assert metrics["added"]["paraphrase"] + asked
    seen = json.loads((tmp_path / "data/model/more/seen.json").read_text())
    assert seen == {"splits.asked": ["dev", "train"], "splits.given": ["dev", "train"]}
    before = miniature.fingerprints(tmp_path)
    shutil.rmtree(tmp_path / ".dvc/cache/runs")
    miniature.dvc(tmp_path, "repro", "--force", "--single-item", "augmented-given")
    assert miniature.fingerprints(tmp_path) == before


def make_project(folder: Path) -> None:
    """Sentences of the miniature, a table of words, and a model that writes."""
    miniature.copy_code(folder)
    (folder / "raw").mkdir()
    miniature.write_texts(folder / "raw/given.csv", miniature.sentences(""))
    pairs = ["request,command", *(f"{a[1]},{b[1]}" for a, b in tinywriter.pairs(60))]
    pairs = [line if line.count(",") == 1 else line.replace(",", " ", 1) for line in pairs]
    (folder / "raw/asked.csv").write_text("\n".join(pairs) + "\n")
    (folder / "raw/words.tsv").write_text("film\tmovie\nplot\tstory\nscene\tview\n")
    tinywriter.write_weights(folder / "raw/weights")
    files = {"given": "given.csv", "asked": "asked.csv", "words": "words.tsv", "weights": "weights"}
    hashes = {name: sha256(folder / "raw" / file) for name, file in files.items()}
    params = (ROOT / "tests/augmenting.yaml").read_text().format(**hashes)
    (folder / "params.yaml").write_text(params)
    miniature.run(folder, "git", "init", "-q")
    miniature.dvc(folder, "init", "-q")
    miniature.dvc(folder, "config", "core.analytics", "false")
    miniature.lmspec(folder, "sync")
