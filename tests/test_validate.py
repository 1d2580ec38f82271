"""Errors of params.yaml: all of them, each at its place, in words that help."""

from pathlib import Path

import pytest

from lmspec.errors import LmspecError
from lmspec.graph import document, validate

ROOT = Path(__file__).parent.parent
GOOD = (ROOT / "tests/miniature.yaml").read_text().format(old="0" * 64, new="1" * 64, weights="2" * 64)


def complaints(text: str, tmp_path: Path) -> list[str]:
    """What `lmspec validate` would print, a string per problem."""
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        parsed = document.read(path)
    except document.ProblemsFound as error:
        return [str(error).replace(str(path), "params.yaml")]
    project, problems = validate.check(parsed)
    assert (project is None) == bool(problems)
    return [parsed.show(p).replace(str(path), "params.yaml") for p in problems]


def line_of(text: str, part: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_good_spec_has_no_problem(tmp_path: Path) -> None:
    """The negative control of all tests below."""
    assert complaints(GOOD, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "at", "words"),
    [
        ("teacher: model.bert", "teacher: model.brt", "teacher: model.brt", "there is no artifact 'model.brt'"),
        ("teacher: model.bert", "teacher: modle.bert", "teacher: modle.bert", "did you mean 'model.bert'?"),
        ("teacher: model.bert", "teacher: corpus.old", "teacher: corpus.old", "is not the name of a model or student or updated"),
        ("teacher: model.bert", "teacher: student.small", "teacher: student.small", "cannot be made from itself"),
        ("teacher: model.bert", "teacher: model.cnn", "teacher: model.cnn", "is of kind cnn"),
        ("teacher: model.bert", "teacher: updated.first", "  small:", "it is made from itself"),
        ("filters: 16", "filter: 16", "filter: 16", "there is no such field"),
        ("filters: 16, ", "", "architecture: {kind: cnn", "filters: this field is missing"),
        ("filters: 16", "filters: true", "filters: true", "input should be a valid integer"),
        ("filters: 16", "filters: 16.0", "filters: 16.0", "input should be a valid integer"),
        ("filters: 16", "filters: 0", "filters: 0", "greater than or equal to 1"),
        ("kind: cnn", "kind: cmn", "kind: cmn", "there is no kind 'cmn'"),
        ("kind: static, ", "", "scheme: {per_channel", "the field 'kind' is missing"),
        ("train: 0.5", "train: 0.6", "  new:\n    of", "train + dev + test is 1.1"),
        ("scores: scores.release", "scores: scores.gru", "scores: scores.gru", "the bundle holds quantized.release"),
        ("seed: 3, ", "", "numerics: {threads", "numerics.seed: this field is missing"),
        ("machine: {device: cpu}", "", None, "machine: this section is missing"),
        ("bundle:", "bundles:", "bundles:", "did you mean 'bundle'?"),
        ("  gru:\n    on", "  Gru:\n    on", "  Gru:", "not a name"),
        ("path: raw/old.csv", "path: raw/old.csv, path: x", "path: raw/old.csv, path: x", 'duplicate key "path"'),
        ("noun once", "noun\tonce", None, None),
        ("train: 0.6, dev: 0.2", "train: 0.8, dev: 0.0", "  on: splits.old", "the dev side of splits.old is empty"),
        ("labels: [bad, good]", "labels: [good, bad]", "    on: splits.new", "the labels of splits.new are ['bad', 'good']"),
        ("momentum: 0.9", "momentum: 0.0", "momentum: 0.0", "nesterov needs a momentum"),
        ("on: [splits.old, splits.new]", "on: [splits.old, splits.old]", "on: [splits.old, splits.old]", "named twice"),
        (
            "threshold: 0.95, permutations: 64",
            "threshold: 0.05, permutations: 64",
            None,
            "too many pairs at 0.05 would be missed",
        ),
        (
            "column: stars, rename",
            "column: stars, renam",
            "column: stars, renam",
            "corpus.old.tables.0.label.renam: there is no such",
        ),
        (
            "format: {kind: csv, ",
            "format: {kind: cvs, ",
            "format: {kind: cvs",
            "corpus.old.tables.0.format.kind: there is no kind 'cvs'",
        ),
        ("model:\n  bert:", "model:\n\tbert:", "\tbert:", "found character"),
    ],
)
def test_a_mistake_is_found_at_its_place(old: str, new: str, at: str | None, words: str | None, tmp_path: Path) -> None:
    """One line with file, line and column, the line itself with a caret, and the rule."""
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    found = complaints(text, tmp_path)
    if words is None:
        assert found == []
        return
    hits = [c for c in found if words in c]
    assert hits, found
    line = line_of(text, at.splitlines()[0]) if at and "\n" not in at else None
    if line:
        assert hits[0].startswith(f"params.yaml:{line}:") and "^" in hits[0]


def test_all_problems_are_shown_at_once(tmp_path: Path) -> None:
    """Three mistakes in three sections give three problems, in the order of the file."""
    text = (
        GOOD.replace("teacher: model.bert", "teacher: model.x")
        .replace("filters: 16", "filters: -1")
        .replace("opset: 18", "opset: 3", 1)
    )
    found = complaints(text, tmp_path)
    assert len(found) == 3 and ["filters" in found[0], "teacher" in found[1], "opset" in found[2]] == [True] * 3


def test_a_list_with_a_wrong_item_is_one_problem(tmp_path: Path) -> None:
    """pydantic calls the list too short as well, since it counts the items that are right."""
    (found,) = complaints(GOOD.replace("text: text", "txt: text", 1), tmp_path)
    assert "there is no such field" in found and "did you mean 'text'?" in found


def test_a_noun_with_nothing_under_it_is_no_problem(tmp_path: Path) -> None:
    """All its entries may be commented out."""
    start = GOOD.index("bundle:")
    text = GOOD[: start + len("bundle:\n")] + GOOD[GOOD.index("numerics:") :]
    assert complaints(text, tmp_path) == []


@pytest.mark.parametrize(("text", "words"), [("", "it is empty"), ("- a\n", "it is a list"), ("a: [1\n", "YAML")])
def test_what_is_no_mapping_is_refused(text: str, words: str, tmp_path: Path) -> None:
    """Empty, a list, cut off: one problem with a place."""
    (found,) = complaints(text, tmp_path)
    assert words in found and found.startswith("params.yaml:")


def test_a_missing_or_unreadable_file_is_one_error(tmp_path: Path) -> None:
    """No file, and bytes that are not UTF-8."""
    with pytest.raises(LmspecError, match="no such file"):
        document.read(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(LmspecError, match="not UTF-8"):
        document.read(tmp_path / "params.yaml")


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    """1e-5 is a number in YAML 1.2, and `yes` is a word."""
    path = tmp_path / "params.yaml"
    path.write_text("a: 1e-5\nb: yes\nc: 0o17\n")
    assert document.read(path).values == {"a": 1e-5, "b": "yes", "c": 15}


def test_the_projects_own_spec_is_valid() -> None:
    """What the repository makes."""
    project, problems = validate.check(document.read(ROOT / "params.yaml"))
    assert project is not None and problems == []
