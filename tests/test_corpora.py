"""`lmspec data` describes a corpus as it is: counts, lengths, scripts, what was left out."""

import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from lmspec.formats import documents, sides
from lmspec.inspection import texts
from lmspec.inspection.lengths import of as lengths_of
from tests.history import Project, make

HOSTILE = "<script>alert(1)</script> \x1b[31m\u202egnp.exe &amp; </bdi>"
ROWS = [
    *(
        (f"{i:016x}", f"word {'long ' * (i % 7)}number {i}", "bad" if i % 3 else "good")
        for i in range(60)
    ),
    ("f" * 16, HOSTILE, "good"),
    ("e" * 16, "شكرا جزيلا", "good"),
    ("d" * 16, "это фильм", "bad"),
]
REJECTED = [
    ("movies", 3, "word number 1", "exact duplicate", f"{1:016x}", None, None, None, None),
    ("movies", 4, "", "no text", "nan", None, None, None, None),
    ("movies", 9, HOSTILE, "contradictory label", "0" * 16, "bad", "products", 7, "good"),
]


def fill(project: Project) -> None:
    """A built corpus of 63 documents and three rejected rows, and a tokenizer of the model."""
    folder = project.root / "data/corpus/reviews"
    folder.mkdir(parents=True)
    rows = sorted((one, text, label, None, "movies") for one, text, label in ROWS)
    documents.write(
        pl.DataFrame(rows, schema=documents.DOCUMENT, orient="row"), folder / "documents.parquet"
    )
    documents.write(
        pl.DataFrame(REJECTED, schema=documents.REJECTED, orient="row"),
        folder / "rejected.parquet",
    )
    documents.write_labels(["bad", "good", "rare"], folder)
    counts = {"contradictions": {"texts": 1, "rows": 2, "near_duplicates": 0}}
    project.measure("corpus.reviews", project.metrics("corpus.reviews") | counts)
    words = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    (project.root / "data/model/cnn").mkdir(parents=True)
    words.save(str(project.root / "data/model/cnn/tokenizer.json"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make(tmp_path_factory.mktemp("data"))
    fill(project)
    return project


@pytest.fixture(scope="module")
def found(built: Project) -> Any:
    return json.loads(built.run("data", "--json").stdout)


def test_every_row_is_counted_once(found: Any) -> None:
    """As a document or as left out; labels, tables and bars of the histograms add up."""
    assert found["documents"] == len(ROWS) and found["rows"] == len(ROWS) + len(REJECTED)
    assert sum(label["documents"] for label in found["labels"]) == len(ROWS)
    assert [label["name"] for label in found["labels"]] == ["bad", "good", "rare"]
    assert found["tables"] == {"movies": len(ROWS)}
    assert sum(reason["rows"] for reason in found["reasons"]) == len(REJECTED)
    for lengths in found["lengths"]:
        assert sum(count for _, count in lengths["bars"]) == lengths["looked_at"] == len(ROWS)


def test_labels_too_rare_for_a_split_are_named(found: Any) -> None:
    """One without any document first."""
    assert found["small"]["reviews: train: rare"] == 0
    assert not any("good" in name for name in found["small"])


def test_what_was_left_out_is_shown_with_what_it_repeats(found: Any) -> None:
    """The document that is kept; of a contradiction both labels and the other row."""
    reasons = {reason["reason"]: reason["examples"][0] for reason in found["reasons"]}
    assert reasons["exact duplicate"]["like"] == f"bad: {ROWS[1][1]}"
    assert reasons["contradictory label"]["detail"] == "'bad'; row 7 of products is 'good'"
    assert reasons["no text"]["detail"] == "nan"


def test_tokens_are_those_of_the_model(found: Any) -> None:
    """By its own tokenizer; what is beyond its maximum length is counted."""
    (reads,) = found["reads"]
    tokens = [len(text.split()) for _, text, _ in ROWS]
    assert reads["model"] == "model.cnn" and reads["max_length"] == 24
    assert reads["lengths"]["quantiles"]["most"] == max(tokens)
    assert reads["cut"] == 0 and reads["lengths"]["mean"] == sum(tokens) / len(tokens)


def test_samples_are_the_same_every_time(built: Project, found: Any) -> None:
    """Some of each label, the longest and the shortest."""
    assert json.loads(built.run("data", "corpus.reviews", "--json").stdout) == found
    assert json.loads(built.run("data", "splits.reviews", "--json").stdout) == found
    assert {text["why"] for text in found["samples"]} == {"bad", "good"}
    longest = [text["characters"] for text in found["extremes"] if text["why"] == "longest"]
    assert longest == sorted((len(text) for _, text, _ in ROWS), reverse=True)[:5]


def test_the_summary_and_the_page_cannot_act(built: Project, tmp_path: Path) -> None:
    """Markup, escape sequences and direction characters of a text are shown, not obeyed."""
    page = tmp_path / "deep/page.html"
    text = built.run("data", "corpus.reviews", "--output", str(page)).stdout
    assert "63 documents of 66 rows" in text and f"wrote {page}" in text
    assert not {"\x1b", "\u202e"} & set(text)
    html = page.read_text(encoding="utf-8")
    assert "<script" not in html and "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert not {"\x1b", "\u202e"} & set(html) and "&lt;/bdi&gt;" in html and "&amp;amp;" in html


def test_a_corpus_that_is_not_here_says_what_to_run(built: Project, tmp_path: Path) -> None:
    """What is in DVC's cache can be pulled; a word that is no corpus is refused."""
    project = Project(shutil.copytree(built.root, tmp_path / "project"))
    shutil.rmtree(project.root / "data/corpus")
    found = project.run("data")
    assert found.exit_code == 1
    assert "`dvc pull corpus-reviews`, or `dvc repro corpus-reviews`" in found.stderr
    assert "model.cnn holds no texts" in project.run("data", "model.cnn").stderr


def test_a_cut_is_written_for_a_later_one(built: Project, tmp_path: Path) -> None:
    """Each text with its split; of splits that are built alone."""
    project = Project(shutil.copytree(built.root, tmp_path / "project"))
    folder = project.root / "data/splits/reviews"
    folder.mkdir(parents=True)
    for part in sides.SPLITS:
        documents.write(
            pl.DataFrame({"id": [f"{part}-{i}" for i in "ab"]}), folder / f"{part}.parquet"
        )
    done = project.run("data", "splits.reviews", "--sides", "sides/reviews.csv")
    assert done.exit_code == 0 and "6 rows" in done.stdout
    expected = {f"{part}-{i}": part for part in sides.SPLITS for i in "ab"}
    assert sides.read(project.root, "sides/reviews.csv") == expected
    assert "is no splits" in project.run("data", "corpus.reviews", "--sides", "a.csv").stderr
    shutil.rmtree(folder)
    found = project.run("data", "splits.reviews", "--sides", "a.csv")
    assert found.exit_code == 1 and "`dvc repro splits-reviews`" in found.stderr


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Hello, world 123", "Latin"),
        ("Привет hi", "Cyrillic"),
        ("这部电影很好", "Han"),
        ("この映画は良い", "Japanese"),
        ("شكرا", "Arabic"),
        ("감사합니다", "Hangul"),
        ("ＦＵＬＬ", "Latin"),
        ("12:30 🙂", texts.NONE),
        ("", texts.NONE),
    ],
)
def test_each_text_has_a_script(text: str, script: str) -> None:
    """By the letters that most of a text is made of."""
    assert texts.script(text) == script


@pytest.mark.parametrize("values", [[], [0], [1, 1, 1], [*range(1, 1000), 10**6]])
def test_lengths_of_any_texts_have_bars(values: list[int]) -> None:
    """None at all, all alike, or one that is far longer than the others."""
    found = lengths_of("characters", pl.Series(values, dtype=pl.Int64))
    assert sum(count for _, count in found.bars) == len(values) and len(found.bars) <= 41


def test_an_empty_corpus_has_a_page(built: Project, tmp_path: Path) -> None:
    """Nothing is divided by zero."""
    project = Project(shutil.copytree(built.root, tmp_path / "project"))
    folder = project.root / "data/corpus/reviews"
    documents.write(pl.DataFrame(schema=documents.DOCUMENT), folder / "documents.parquet")
    (folder / "rejected.parquet").unlink()
    assert "0 documents of 0 rows" in project.run("data").stdout
    assert (project.root / ".lmspec/data/reviews.html").is_file()
