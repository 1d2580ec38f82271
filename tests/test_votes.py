"""Labels of labelling functions: votes, what each function did, and files that are refused."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import lexicon
from lmspec.methods import voting
from lmspec.specs.checks import votes as checks
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.numerics import Machine
from lmspec.stage import Needs, Report
from stages import corpus

LABELS = ["neg", "pos"]
TEXTS = {  # text -> its board
    "A good film, very good": "praise",
    "Not good at all: money back!": "complaints",
    "Bad. Really bad": "",
    "It is a film": "",
    "Good and bad alike": "",
    "So-so, he wrote": "praise",
}
WORDS = {"kind": "lexicon", "name": "words", "of": None, "file": "words.tsv", "bands": None}
REFUND = {"kind": "pattern", "name": "refund", "pattern": "(?i)MONEY back", "label": "neg"}
BOARD = {
    "kind": "column", "name": "board", "column": "board",
    "values": {"praise": "pos", "complaints": "neg"},
}  # fmt: skip


def build(folder: Path, functions: list[dict[str, Any]], min_votes: int = 1) -> Report:
    """A corpus of the texts, in `out`."""
    for name in ("raw", "out"):
        (folder / name).mkdir(exist_ok=True)
    if not (folder / "words.tsv").exists():
        (folder / "words.tsv").write_text(
            "good\tpos\nbad\tneg\nnot good\tneg\nSo-so\tneg\nBAD\tpos\n"
        )
    columns = {"text": [*TEXTS], "board": [*TEXTS.values()]}
    pl.DataFrame(columns).write_parquet(folder / "raw/a.parquet")
    label = {
        "kind": "votes", "functions": functions, "model": "majority", "min_votes": min_votes
    }  # fmt: skip
    spec = {
        "tables": [
            {
                "name": "t",
                "of": "sources.raw",
                "file": "a.parquet",
                "format": {"kind": "parquet"},
                "missing": [""],
                "text": "text",
                "label": label,
                "group": None,
            }
        ],
        "labels": LABELS,
        "clean": {"fix_unicode": True, "unescape_html": True, "min_chars": 1, "max_chars": 999},
        "contradictions": "majority",
        "near_duplicates": None,
        "without": [],
    }
    read = CorpusSpec.model_validate(spec)
    needs = Needs({"sources.raw": folder / "raw"}, None, Machine(device="cpu"), root=folder)
    assert read.files() == ("words.tsv",)
    return corpus.build(read, needs, folder / "out")


def test_labels_follow_from_votes(tmp_path: Path) -> None:
    """The majority of the votes; none without a vote, or where two labels have as many."""
    report = build(tmp_path, [WORDS, REFUND, BOARD])
    frame = pl.read_parquet(tmp_path / "out/documents.parquet")
    assert dict(zip(frame["text"], frame["label"], strict=True)) == {
        "A good film, very good": "pos",
        "Not good at all: money back!": "neg",
        "Bad. Really bad": "neg",
    }
    # a text with as many words of two labels has no vote of the lexicon
    assert report.metrics["rejected"] == {"no label": 2, "votes are tied": 1}
    assert report.metrics["votes"]["t"] == pytest.approx(
        {"covered": 4 / 6, "overlapping": 3 / 6, "conflicting": 1 / 6}
    )


def test_what_each_function_did_is_in_git(tmp_path: Path) -> None:
    """Coverage, overlaps, conflicts, and how often it agrees with what the others say."""
    rows = {
        row["function"]: row for row in build(tmp_path, [WORDS, REFUND, BOARD]).tables["functions"]
    }
    assert [*rows] == ["words", "refund", "board"]
    words = rows["words"]
    assert words["coverage"] == pytest.approx(3 / 6)
    assert words["overlaps"] == pytest.approx(2 / 6) and words["conflicts"] == pytest.approx(1 / 6)
    assert words["judged"] == 2 and words["accuracy"] == 0.5
    assert rows["refund"]["accuracy"] == 1.0


def test_a_function_that_never_votes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be misspelt."""
    build(tmp_path, [WORDS, REFUND | {"name": "misspelt", "pattern": "mony back"}, REFUND])
    assert "t: without any vote: misspelt\n" in capsys.readouterr().err


def test_few_votes_are_no_label(tmp_path: Path) -> None:
    """With `min_votes: 2`, one vote is not enough."""
    report = build(tmp_path, [WORDS, REFUND, BOARD], min_votes=2)
    frame = pl.read_parquet(tmp_path / "out/documents.parquet")
    assert sorted(frame["text"]) == ["A good film, very good", "Not good at all: money back!"]
    assert report.metrics["rejected"]["no label"] == 3


def test_weights_of_words_are_added(tmp_path: Path) -> None:
    """The sum decides by bands; what is in none abstains."""
    (tmp_path / "words.tsv").write_text("good\t1.5\textra\nbad\t-1\nmoney\t-3\n")
    bands = [
        {"label": "neg", "at_least": None, "at_most": -1.0},
        {"label": "pos", "at_least": 1.0, "at_most": None},
    ]
    build(tmp_path, [WORDS | {"bands": bands}])
    frame = pl.read_parquet(tmp_path / "out/documents.parquet")
    assert dict(zip(frame["text"], frame["label"], strict=True)) == {
        "A good film, very good": "pos",
        "Not good at all: money back!": "neg",
        "Bad. Really bad": "neg",
    }


@pytest.mark.parametrize(
    ("content", "weighted", "found"),
    [
        ("good\tpos\ngood neg\n", False, "w:2: 'good neg' is no word with a tab after it"),
        ("good\tfine\n", False, "w:1: 'fine' is none of the labels"),
        ("good\tpos\ngood\tneg\n", False, "w:2: 'good' is listed before, as 'pos'"),
        ("good\tpos\n", True, "w:1: 'pos' is no number"),
        ("\n", True, "w: it has no word"),
        (b"caf\xe9\tpos\n", False, "w: line 1 is not UTF-8"),
        (None, False, "w: there is no such file"),
    ],
)
def test_a_damaged_lexicon_is_refused(
    tmp_path: Path, content: str | bytes | None, weighted: bool, found: str
) -> None:
    """With its line."""
    if content is not None:
        (tmp_path / "w").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(LmspecError) as caught:
        lexicon.read(tmp_path / "w", "w", LABELS, weighted)
    assert f"{caught.value.place}: {caught.value.found}".startswith(found)


def test_no_pattern_hangs_a_build() -> None:
    """A pattern that Python's `re` needs ages for is searched at once."""
    started = time.monotonic()
    assert not voting.matches("a", "^(a+)+$", ["a" * 50_000 + "b"])[0]
    assert voting.matches("a", "(x*)*y", ["x" * 50_000 + "y"])[0]
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        (r"\bnot (?:at all )?good\b", True),
        (r"[(?=]", True),
        (r"\\1", True),
        (r"\(?=", True),
        (r"(?P<a>b)", True),
        (r"a(?=b)", False),
        (r"(?<!a)b", False),
        (r"(a)\1", False),
        (r"a++", False),
        (r"(?>a)", False),
    ],
)
def test_patterns_that_go_back_are_refused(pattern: str, allowed: bool) -> None:
    """Before any build, as does the compiler of Rust."""
    assert (not [*checks.pattern_is_of_linear_time({"pattern": pattern})]) == allowed
    if allowed:
        voting.matches("a", pattern, ["text"])


def test_a_pattern_that_is_too_large_is_refused() -> None:
    """Compiling it would take the memory."""
    with pytest.raises(LmspecError, match="no regular expression"):
        voting.matches("a", "(?:a{1000}){1000}", ["a"])


def test_a_function_is_judged_by_the_others_alone() -> None:
    """Its own vote is no evidence for it."""
    given = np.array([[0, 0, 1, -1], [0, 1, 1, 1], [0, 1, -1, 1]])
    first, second, third = voting.functions(given, 2)
    assert (first.judged, first.accuracy) == (3, 2 / 3)
    assert first.coverage == 0.75 and first.conflicts == 0.25
    assert (third.judged, third.accuracy) == (2, 1.0)
    assert second.judged == 3
