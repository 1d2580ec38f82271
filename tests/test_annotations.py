"""Labels that people gave, in files that a corpus reads: applied, counted, refused if damaged."""

import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import annotations, documents
from lmspec.formats.annotations import HEADER, Appending
from lmspec.methods import annotating, cleaning
from lmspec.methods.annotating import Annotation
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.numerics import Machine
from lmspec.specs.splits import SplitsSpec
from lmspec.stage import Needs, Report
from stages import corpus, splits

TEXTS = [f"text number {i} is {'good' if i % 2 else 'bad'}" for i in range(40)]
LABELS = ["pos" if i % 2 else "neg" for i in range(40)]
TIME = "2026-11-30T09:30:00Z"


def id_of(i: int) -> str:
    return cleaning.document_id(TEXTS[i])


def line(i: int, label: str = "pos", who: str = "ann", action: str = "label") -> Annotation:
    return Annotation(id_of(i), label, who, TIME, "suspects.x", action)


def file_of(folder: Path, lines: Sequence[Annotation], name: str = "a.csv") -> str:
    """A file of annotations, as it is written."""
    for one in lines:
        Appending(folder / "labels" / name, name).add(one)
    return f"labels/{name}"


def build(folder: Path, corrections: Sequence[str] | None, **changes: Any) -> Report:
    """A corpus of the texts, in `out`."""
    (folder / "raw").mkdir(exist_ok=True)
    (folder / "out").mkdir()
    labels = changes.pop("given", LABELS)
    pl.DataFrame({"text": TEXTS, "label": labels}).write_parquet(folder / "raw/a.parquet")
    table = {
        "name": "t",
        "of": "sources.raw",
        "file": "a.parquet",
        "format": {"kind": "parquet"},
        "missing": ["", "none"],
        "text": "text",
        "label": {"kind": "column", "column": "label", "values": "text", "rename": None},
        "group": None,
    } | changes.pop("table", {})
    spec = {
        "tables": [table],
        "labels": ["neg", "pos"],
        "clean": {"fix_unicode": True, "unescape_html": True, "min_chars": 1, "max_chars": 999},
        "contradictions": "majority",
        "near_duplicates": None,
        "without": [],
        "corrections": corrections,
        **changes,
    }
    needs = Needs({"sources.raw": folder / "raw"}, None, Machine(device="cpu"), root=folder)
    return corpus.build(CorpusSpec.model_validate(spec), needs, folder / "out")


def labels_in(folder: Path) -> dict[str, str]:
    frame = documents.read(folder / "out/documents.parquet", ["id", "label"])
    return dict(frame.iter_rows())


def refused(folder: Path, corrections: Sequence[str], **changes: Any) -> LmspecError:
    with pytest.raises(LmspecError) as caught:
        build(folder, corrections, **changes)
    return caught.value


def test_labels_of_annotations_replace_those_of_the_table(tmp_path: Path) -> None:
    """Changed, confirmed and added ones are counted and listed; all other rows stay as they are."""
    given = [*LABELS[:5], "none", *LABELS[6:]]
    file = file_of(tmp_path, [line(0), line(1), line(5)])
    report = build(tmp_path, [file], given=given)
    assert report.metrics["corrections"] == {
        "changed": 1, "confirmed": 1, "added": 1, "left_out": 0
    }  # fmt: skip
    expected = {id_of(i): label for i, label in enumerate(LABELS)} | {id_of(0): "pos"}
    assert labels_in(tmp_path) == expected
    rows = {row["id"]: row for row in report.tables["corrected"]}
    assert {name: row["was"] for name, row in rows.items()} == {
        id_of(0): "neg", id_of(1): "pos", id_of(5): None
    }  # fmt: skip
    assert rows[id_of(0)]["annotator"] == "ann" and rows[id_of(0)]["list"] == "suspects.x"


def test_without_the_field_nothing_changes(tmp_path: Path) -> None:
    """No file, metric or table is added."""
    report = build(tmp_path, None)
    assert "corrections" not in report.metrics and set(report.tables) == {"rows"}
    assert not (tmp_path / "out" / annotations.CORRECTED).exists()


def test_a_text_with_different_labels_is_settled_by_an_annotation(tmp_path: Path) -> None:
    """Each of its rows gets the label, so none contradicts another."""
    for path, corrections in (("with", True), ("without", False)):
        folder = tmp_path / path
        folder.mkdir()
        file = file_of(folder, [line(0)])
        given = [*LABELS]
        twice = [TEXTS[0], *TEXTS[:-1]]
        (folder / "raw").mkdir()
        global_texts = pl.DataFrame({"text": twice, "label": ["pos", *given[:-1]]})
        global_texts.write_csv(folder / "raw/b.csv")
        form = {"kind": "csv", "quoting": "double", "columns": None}
        report = build(
            folder, [file] if corrections else None, table={"file": "b.csv", "format": form}
        )
        assert report.metrics["contradictions"]["texts"] == (0 if corrections else 1)
        assert (id_of(0) in labels_in(folder)) == corrections


def test_a_table_without_labels_has_those_of_annotations(tmp_path: Path) -> None:
    """Its other rows are left out, as rows without a label are."""
    file = file_of(tmp_path, [line(0, "neg"), line(1), line(2, "neg")])
    report = build(tmp_path, [file], table={"label": None})
    assert labels_in(tmp_path) == {id_of(0): "neg", id_of(1): "pos", id_of(2): "neg"}
    assert report.metrics["rejected"] == {"no label": 37}


def test_an_undo_and_a_decision(tmp_path: Path) -> None:
    """What is taken back counts nothing, and a decision holds against two who disagree."""
    lines = [
        line(0), line(0, "", action="undo"),
        line(2, "pos"), line(2, "neg"), line(2, "", action="undo"),
        line(4, "neg"), line(4, "pos", "bob"), line(4, "pos", "eve", "decide"),
        line(6, "", action="unsure"), line(6, "pos", "bob"),
    ]  # fmt: skip
    settled = annotating.settled(lines, ["neg", "pos"])
    assert {name: one.label for name, one in settled.items()} == {
        id_of(2): "pos", id_of(4): "pos", id_of(6): "pos"
    }  # fmt: skip


def test_two_annotators_who_disagree_are_refused(tmp_path: Path) -> None:
    """Also across files; the message names both lines."""
    files = [
        file_of(tmp_path, [line(3, "pos")]),
        file_of(tmp_path, [line(1, "pos", "bob"), line(3, "neg", "bob")], "b.csv"),
    ]
    error = refused(tmp_path, files)
    assert error.place == "labels/b.csv:3"
    assert "'pos' by ann (labels/a.csv:2), 'neg' by bob (labels/b.csv:3)" in error.found
    assert "decide" in error.remedy


def test_an_annotation_of_no_row_is_refused(tmp_path: Path) -> None:
    """A row that is too short is there, but left out: the message says that instead."""
    gone = line(0)._replace(id="0" * 16)
    error = refused(tmp_path, [file_of(tmp_path, [line(1), gone])])
    assert error.place == "labels/a.csv:3" and "no row of the tables has the id 0000" in error.found
    assert "correct the id" in error.remedy
    (tmp_path / "out").rmdir()
    error = refused(tmp_path, [file_of(tmp_path, [gone._replace(list="queue.next")], "q.csv")])
    assert "add the table of the pool that queue.next took the row from" in error.remedy
    other = tmp_path / "other"
    other.mkdir()
    clean = {"fix_unicode": True, "unescape_html": True, "min_chars": 21, "max_chars": 999}
    error = refused(other, [file_of(other, [line(0)])], clean=clean)
    assert "too short" in error.found


def test_a_row_that_a_duplicate_replaces_is_there(tmp_path: Path) -> None:
    """It is counted as left out, not refused."""
    file = file_of(tmp_path, [line(1)])
    near = {"shingle_chars": 2, "threshold": 0.3, "permutations": 64}
    report = build(tmp_path, [file], near_duplicates=near)
    assert report.metrics["corrections"]["left_out"] == 1
    assert [row["table"] for row in report.tables["corrected"]] == [None]


WHOLE = f"{id_of(0)},pos,ann,{TIME},,label\n"


@pytest.mark.parametrize(
    ("content", "place", "found"),
    [
        ("", "", "it is empty"),
        ("id;label\n", ":1", "id,label,annotator,time,list,action, but 'id;label'"),
        ("id,label\n", ":1", "the first line is not id,label"),
        (f"{id_of(0)},pos,ann\n", ":3", "3 fields instead of 6"),
        ("<<<<<<< HEAD\n", ":3", "git left a conflict: '<<<<<<< HEAD'"),
        ("=======\n", ":3", "git left a conflict"),
        (f"{id_of(0)},pos,ann,{TIME},,lab", ":3", "its last line is cut off"),
        (WHOLE.replace("label", "agree"), ":3", "there is no action 'agree'"),
        (WHOLE.replace("pos", ""), ":3", "needs a label"),
        (WHOLE.replace("label", "undo"), ":3", "gives no label, and it has one"),
        (WHOLE.replace("ann", " "), ":3", "no annotator"),
        (WHOLE.replace("ann", "a" * 101), ":3", "name of its annotator has 101 characters"),
        (WHOLE.replace("Z", ""), ":3", "no time with a zone"),
        (WHOLE.replace(TIME, "today"), ":3", "no time with a zone"),
        (f"{id_of(0)[:9]},pos,ann,{TIME},,label\n", ":3", "is no id"),
        (WHOLE.replace("pos", '"pos'), ":3", "its quotes do not match"),
        (WHOLE.replace("pos", "neutral"), ":3", "'neutral' is none of the labels 'neg', 'pos'"),
        (f"{id_of(9)},,ann,{TIME},,undo\n", ":3", "ann has nothing to take back"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(
    tmp_path: Path, content: str, place: str, found: str
) -> None:
    """And nothing is written."""
    start = f"{','.join(HEADER)}\n{WHOLE}" if place == ":3" else ""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.csv").write_text(start + content)
    error = refused(tmp_path, ["labels/a.csv"])
    assert error.place == f"labels/a.csv{place}" and found in error.found, str(error)
    assert error.remedy
    assert list((tmp_path / "out").iterdir()) == []


def test_files_without_a_label_or_not_there_are_refused(tmp_path: Path) -> None:
    """The message says how to get one."""
    error = refused(tmp_path, ["labels/none.csv"])
    assert "no such file" in error.found and "lmspec label" in error.remedy
    other = tmp_path / "other"
    other.mkdir()
    file = file_of(other, [line(0), line(0, "", action="undo")])
    assert "there is no label in them" in refused(other, [file]).found


def test_an_empty_file_is_begun(tmp_path: Path) -> None:
    """A kill before the first line reached the disk leaves one."""
    path = tmp_path / "a.csv"
    path.touch()
    file = Appending(path, path.name)
    assert file.read() == []
    file.add(line(0))
    assert [one.id for one in file.read()] == [id_of(0)]


def test_white_space_around_a_name_makes_no_other_annotator(tmp_path: Path) -> None:
    """Their last label holds, as for one who is written alike."""
    (tmp_path / "labels").mkdir()
    other = WHOLE.replace("pos", "neg").replace("ann", " ann ")
    (tmp_path / "labels/a.csv").write_text(f"{','.join(HEADER)}\n{WHOLE}{other}")
    build(tmp_path, ["labels/a.csv"])
    assert labels_in(tmp_path)[id_of(0)] == "neg"


def test_a_file_that_ends_within_a_line_is_not_written_to(tmp_path: Path) -> None:
    """The new line would become part of the old one."""
    path = tmp_path / "a.csv"
    path.write_text(f"{','.join(HEADER)}\n{WHOLE[:-1]}")
    with pytest.raises(LmspecError, match="cut off"):
        Appending(path, "a.csv").add(line(1))
    assert path.read_text().endswith(WHOLE[:-1])


def _add(path: Path, who: str) -> None:
    for i in range(20):
        Appending(path, "a.csv").add(line(i, who=who))


def test_those_who_add_to_one_file_take_turns(tmp_path: Path) -> None:
    """Each opens it, as processes do; no line is torn or lost, and there is one header."""
    path = tmp_path / "labels/a.csv"
    started = [threading.Thread(target=_add, args=(path, who)) for who in ("ann", "bob", "eve")]
    for each in started:
        each.start()
    for each in started:
        each.join(60)
    assert len(annotations.read(path, "a.csv")) == 60


def split(folder: Path, **changes: Any) -> Report:
    """The built corpus, cut into `splits`."""
    spec = {"of": "corpus.t", "train": 0.5, "dev": 0.2, "test": 0.3, "seed": 1}
    spec |= {"keep_together": None, **changes}
    shutil.rmtree(folder / "splits", ignore_errors=True)
    (folder / "splits").mkdir()
    needs = Needs({"corpus.t": folder / "out"}, None, Machine(device="cpu"))
    return splits.build(SplitsSpec.model_validate(spec), needs, folder / "splits")


def ids(folder: Path, part: str) -> list[str]:
    return documents.read_split(folder / "splits", part, ["id"])["id"].to_list()


@pytest.fixture
def cut(tmp_path: Path) -> dict[str, int]:
    """Split -> number of a text in it, without corrections."""
    folder = tmp_path / "before"
    folder.mkdir()
    build(folder, None)
    split(folder)
    number = {id_of(i): i for i in range(40)}
    return {part: number[ids(folder, part)[0]] for part in ("train", "dev", "test")}


def other(i: int) -> str:
    return "neg" if LABELS[i] == "pos" else "pos"


def test_a_correction_moves_no_row_to_another_split(tmp_path: Path, cut: dict[str, int]) -> None:
    """The cut goes by the labels before, and the corrected rows of each split are counted."""
    folder = tmp_path / "after"
    folder.mkdir()
    file = file_of(folder, [line(i, other(i)) for i in (cut["train"], cut["dev"])])
    build(folder, [file])
    report = split(folder)
    for part in ("train", "dev", "test"):
        assert ids(folder, part) == ids(tmp_path / "before", part)
    assert [report.metrics[part]["corrected"] for part in ("train", "dev", "test")] == [1, 1, 0]


def test_test_rows_are_not_corrected_without_permission(
    tmp_path: Path, cut: dict[str, int]
) -> None:
    """The build fails and lists them; a declared permission is for so many, and they are listed."""
    folder = tmp_path / "after"
    folder.mkdir()
    i = cut["test"]
    build(folder, [file_of(folder, [line(i, other(i))])])
    with pytest.raises(LmspecError) as caught:
        split(folder)
    assert f"{id_of(i)} '{LABELS[i]}' -> '{other(i)}' (labels/a.csv:2)" in caught.value.found
    assert "accepted_test_corrections: {at_most: 1" in caught.value.remedy
    accepted = {"at_most": 1, "reason": "typing errors"}
    report = split(folder, accepted_test_corrections=accepted)
    rows = [{"id": id_of(i), "was": LABELS[i], "label": other(i)}]
    assert report.tables == {"corrected_test": rows}


def test_a_test_row_that_is_confirmed_needs_no_permission(
    tmp_path: Path, cut: dict[str, int]
) -> None:
    """Nothing changes; a permission that nothing needs is refused."""
    folder = tmp_path / "after"
    folder.mkdir()
    build(folder, [file_of(folder, [line(cut["test"], LABELS[cut["test"]])])])
    assert split(folder).metrics["test"]["corrected"] == 0
    with pytest.raises(LmspecError, match="no test row"):
        split(folder, accepted_test_corrections={"at_most": 1, "reason": "none"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Labels with commas, quotes and other letters come back as they were."""
    path = tmp_path / "a.csv"
    for label in ('a, "b"', "naïve", "1"):
        Appending(path, "a.csv").add(line(0, label))
    assert [one.label for one in annotations.read(path, "a.csv")] == ['a, "b"', "naïve", "1"]
    rows = {id_of(0): annotations.Corrected(None, "ä", "a.csv:2")}
    annotations.write_corrected(rows, tmp_path)
    assert annotations.read_corrected(tmp_path) == rows
    assert json.loads((tmp_path / annotations.CORRECTED).read_text())[id_of(0)]["label"] == "ä"
