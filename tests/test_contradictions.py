"""Texts with different labels, and rows without text or label: counted, listed, by rule."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.methods import repeats
from lmspec.specs.corpus import CorpusSpec, NearDuplicates
from lmspec.specs.numerics import Machine
from lmspec.stage import Needs, Report
from stages import corpus

Row = tuple[str | None, str | None]
ROWS: list[Row] = [
    ("the first text of all", "pos"),
    ("another text, twice the same", "neg"),
    ("The first  text of all", "neg"),
    ("another text, twice the same", "neg"),
    ("the first text of all", "neg"),
    ("half of people like it", "pos"),
    ("half of people like it", "neg"),
    ("something else altogether", "pos"),
]


def build(folder: Path, rows: Sequence[Row], **changes: Any) -> tuple[Report, pl.DataFrame]:
    """A corpus of the rows, and what it rejects; changes are to fields of the corpus or table."""
    raw, out = folder / "raw", folder / "out"
    for path in (raw, out):
        path.mkdir(parents=True)
    names = {"text": "text", "label": "label"} | changes.pop("names", {})
    frame = pl.DataFrame(rows, schema=list(names.values()), orient="row")
    file = changes.pop("file", "a.parquet")
    frame.write_parquet(raw / file) if file.endswith("parquet") else frame.write_csv(raw / file)
    form = {"kind": "csv", "quoting": "double", "columns": None}
    label = {"kind": "column", "column": names["label"], "values": "text", "rename": None}
    table = {
        "name": "t",
        "of": "sources.raw",
        "file": file,
        "format": {"kind": "parquet"} if file.endswith("parquet") else form,
        "missing": changes.pop("missing", [""]),
        "text": names["text"],
        "label": changes.pop("label", label),
        "group": None,
    }
    spec = {
        "tables": [table],
        "labels": ["neg", "pos"],
        "clean": {"fix_unicode": True, "unescape_html": True, "min_chars": 1, "max_chars": 999},
        "contradictions": "majority",
        "near_duplicates": None,
        "without": [],
        **changes,
    }
    needs = Needs({"sources.raw": raw}, None, Machine(device="cpu"))
    report = corpus.build(CorpusSpec.model_validate(spec), needs, out)
    return report, documents.read(out / "rejected.parquet")


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ("drop", {2: "neg", 8: "pos"}),
        ("keep_first", {1: "pos", 2: "neg", 6: "pos", 8: "pos"}),
        ("majority", {2: "neg", 3: "neg", 8: "pos"}),
    ],
)
def test_a_text_with_different_labels_is_kept_by_rule(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rule: str, kept: dict[int, str]
) -> None:
    """None, the first, or the most frequent; the others name the row that they contradict, and no
    row with another label is called a duplicate."""
    report, rejected = build(tmp_path, ROWS, contradictions=rule)
    assert set(rejected["row"]) == set(range(1, 9)) - set(kept)
    found = documents.read(tmp_path / "out/documents.parquet")
    assert Counter(found["label"]) == Counter(kept.values())
    assert report.metrics["contradictions"] == {"texts": 2, "rows": 5, "near_duplicates": 0}
    for reason, label, other in rejected.select("reason", "label", "other_label").iter_rows():
        assert (reason == repeats.CONTRADICTORY) == (label != other)
    printed = capsys.readouterr().err
    assert f"2 texts have different labels (contradictions: {rule})" in printed
    assert "'neg' 2, 'pos' 1 (t row 1 'pos', t row 3 'neg', t row 5 'neg')" in printed


def test_texts_that_agree_are_no_contradiction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control: the same texts with one label each are exact duplicates under every rule."""
    rows = [(text, "pos") for text, _ in ROWS]
    for rule in ("drop", "keep_first", "majority"):
        report, rejected = build(tmp_path / rule, rows, contradictions=rule)
        assert report.metrics["contradictions"] == {"texts": 0, "rows": 0, "near_duplicates": 0}
        assert report.metrics["rejected"] == {"exact duplicate": 4} == Counter(rejected["reason"])
    assert "different labels" not in capsys.readouterr().err


def test_near_duplicates_with_another_label_are_counted(tmp_path: Path) -> None:
    """The earlier one is kept, as of all near-duplicates; both labels are in the table."""
    rows: list[Row] = [("what a very good film it was", "pos")]
    rows += [("what a very good film it was!", "neg"), ("what a very good film it was?", "pos")]
    near = {"shingle_chars": 3, "threshold": 0.6, "permutations": 128}
    report, rejected = build(tmp_path, rows, near_duplicates=near)
    assert report.metrics["contradictions"] == {"texts": 0, "rows": 0, "near_duplicates": 1}
    assert report.metrics["rejected"] == {
        "near-duplicate": 1,
        "near-duplicate with another label": 1,
    }
    columns = ["row", "label", "other_table", "other_row", "other_label"]
    assert sorted(rejected.select(columns).rows()) == [
        (2, "neg", "t", 1, "pos"),
        (3, "pos", "t", 1, "pos"),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_of_each_text_at_most_one_row_is_kept(seed: int) -> None:
    """Whatever the rule; what is left out names a row of the same text, and its reason says whether
    the labels agree."""
    draw = random.Random(seed)
    ids = [str(draw.randrange(12)) for _ in range(60)]
    labels = [draw.choice("abc") for _ in ids]
    for rule in ("drop", "keep_first", "majority"):
        found = repeats.find(ids, ids, labels, rule, None)  # type: ignore[arg-type]
        kept = [i for i in range(60) if i not in found.of]
        assert len({ids[i] for i in kept}) == len(kept)
        for i, (reason, other) in found.of.items():
            assert ids[other] == ids[i] and other != i
            assert (reason == repeats.EXACT) == (labels[other] == labels[i])
        for rows in found.contradictions:
            counts = Counter(labels[i] for i in rows).most_common()
            mine = [labels[i] for i in rows if i in kept]
            tie = counts[0][1] == counts[1][1]
            expected = {"drop": [], "keep_first": [labels[rows[0]]]}
            assert mine == expected.get(rule, [] if tie else [counts[0][0]])


@pytest.mark.parametrize("file", ["a.parquet", "a.csv"])
def test_rows_without_text_or_label_are_counted_by_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str
) -> None:
    """In CSV null is empty; without the rule `NA` is a value like others."""
    rows: list[Row] = [("a text", "pos"), ("b text", " pos "), (None, "pos"), ("NA", "neg")]
    rows += [("c text", None), ("d text", "NA"), ("e text", " "), ("f text", "neg"), (" ", None)]
    report, rejected = build(tmp_path, rows, missing=["", "NA"], file=file)
    assert report.metrics["documents"] == 3
    assert report.metrics["rejected"] == {"no label": 3, "no text": 3}
    assert "no label: " in capsys.readouterr().err
    null = "null" if file == "a.parquet" else ""
    details = dict(rejected.select("row", "detail").iter_rows())
    assert details == {3: null, 4: "NA", 5: null, 6: "NA", 7: " ", 9: " "}
    report, _ = build(tmp_path / "control", rows, missing=[], file=file)
    assert report.metrics["rejected"]["not a label"] >= 2


def test_values_that_are_no_label_are_named_beside_the_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With their number of rows: if none is left the message, else the output of the stage."""
    rows: list[Row] = [(text, str(label).capitalize()) for text, label in ROWS]
    with pytest.raises(LmspecError) as caught:
        build(tmp_path / "none", rows)
    message = str(caught.value)
    assert "no row is left: 8 not a label" in message and "rejected.parquet" not in message
    assert "the labels are neg, pos; the tables have 'Neg' 5 rows, 'Pos' 3 rows" in message
    build(tmp_path / "some", [*rows, ("one more", "pos")])
    printed = capsys.readouterr().err
    assert "not a label: 'Neg' 5 rows, 'Pos' 3 rows; the labels are neg, pos" in printed
    rename = {"Neg": "neg", "Pos": "pos"}
    label = {"kind": "column", "column": "label", "values": "text", "rename": rename}
    report, _ = build(tmp_path / "renamed", rows, label=label)  # the control
    assert "not a label" not in report.metrics["rejected"]


def test_many_values_that_are_no_label_make_a_short_message(tmp_path: Path) -> None:
    """Long ones too."""
    rows: list[Row] = [(f"text {i}", f"{i} {'x' * 10_000}") for i in range(500)]
    with pytest.raises(LmspecError) as caught:
        build(tmp_path, rows)
    assert len(str(caught.value)) < 1500 and "and 492 more" in str(caught.value)


def test_numbers_that_are_written_in_two_ways_are_one_label(tmp_path: Path) -> None:
    """With `values: number`; without it only one way of writing is a label."""
    rows: list[Row] = [(f"text {i}", ["1", "1.0", "01", "1e0", "2", " 2.0"][i]) for i in range(6)]
    for form, kept in (("number", 6), ("text", 2)):
        label = {"kind": "column", "column": "label", "values": form, "rename": None}
        report, _ = build(tmp_path / form, rows, label=label, labels=["1", "2"])
        assert report.metrics["documents"] == kept


def test_a_text_that_seems_to_hold_rows_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a quote that is not closed leaves it."""
    swallowed = "tis the season,pos\nanother text,neg\na pipe of 5"
    build(tmp_path / "some", [*ROWS, (swallowed, "pos")])
    assert "t: 1 texts seem to hold 2 other rows, the first in row 9" in capsys.readouterr().err
    build(tmp_path / "none", ROWS)
    assert "seem" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["t: {", "#", "-x", "'\"", "😀", " a ", "a,b", "null"])
def test_columns_labels_and_files_of_any_name_are_read(tmp_path: Path, name: str) -> None:
    """In the spec they are texts, whatever YAML or CSV would make of them."""
    rows: list[Row] = [(f"text {i}", name if i % 2 else "pos") for i in range(6)]
    for file in (f"{name}.csv", f"{name}.parquet"):
        label = {"kind": "column", "column": f"l{name}", "values": "text", "rename": None}
        names = {"text": name, "label": f"l{name}"}
        folder = tmp_path / file[-3:]
        labels = [name.strip(), "pos"]
        report, _ = build(folder, rows, file=file, names=names, label=label, labels=labels)
        assert report.metrics["documents"] == 6


def test_near_duplicates_give_way_to_the_row_that_majority_keeps() -> None:
    """A text is compared through the row that is kept of it, with that row's label."""
    texts = ["what a very good film it was", "what a very good film it was!"]
    rows = [texts[0], texts[1], texts[0], texts[0]]
    near = NearDuplicates(shingle_chars=3, threshold=0.6, permutations=128)
    found = repeats.find(rows, rows, ["pos", "neg", "neg", "neg"], "majority", near)
    assert found.of == {
        0: (repeats.CONTRADICTORY, 2),
        1: (repeats.NEAR, 2),
        3: (repeats.EXACT, 2),
    }
