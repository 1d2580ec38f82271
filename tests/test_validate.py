"""Errors of params.yaml: all of them, each at its place, in words that help."""

import inspect
import re
from pathlib import Path

import pytest

from lmspec.language import document, rules, validate
from tests.specs import GOOD, ROOT, complaints


def test_the_good_spec_has_no_problem(tmp_path: Path) -> None:
    """The negative control of all tests below."""
    assert complaints(GOOD, tmp_path) == []


def test_all_problems_are_shown_at_once(tmp_path: Path) -> None:
    """Three mistakes in three sections give three problems, in the order of the file."""
    text = (
        GOOD.replace("teacher: model.bert", "teacher: model.x")
        .replace("filters: 16", "filters: -1")
        .replace("opset: 18", "opset: 3", 1)
    )
    found = complaints(text, tmp_path)
    assert (
        len(found) == 3
        and ["filters" in found[0], "teacher" in found[1], "opset" in found[2]] == [True] * 3
    )


def test_a_list_with_a_wrong_item_is_one_problem(tmp_path: Path) -> None:
    """pydantic calls the list too short as well, since it counts the items that are right."""
    (found,) = complaints(GOOD.replace("text: text", "txt: text", 1), tmp_path)
    assert "there is no such field" in found and "did you mean 'text'?" in found


def test_an_empty_section_is_no_problem(tmp_path: Path) -> None:
    """All its entries may be commented out."""
    start = GOOD.index("bundle:")
    text = GOOD[: start + len("bundle:\n")] + GOOD[GOOD.index("gates:") :]
    (warning,) = complaints(text, tmp_path)
    assert "warning: scores.release: no gate and no bundle reads these scores" in warning


def test_scores_that_a_gate_is_held_against_are_read(tmp_path: Path) -> None:
    """As those that it is about."""
    gate = "gru: {kind: floor, metric: scores.gru.old.accuracy, at_least: 0.6}"
    held = "gru: {kind: improvement, metric: scores.cnn.old.accuracy, against: scores.gru, by: 0.0,"
    text = GOOD.replace(gate, f"{held} confidence: 0.95}}")
    assert text != GOOD and complaints(text, tmp_path) == []
    (warning,) = complaints(GOOD.replace(f"  {gate}\n", ""), tmp_path)
    assert "scores.gru: no gate and no bundle reads these scores" in warning


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "the file is empty"), ("- a\n", "the file is a list"), ("a: [1\n", "YAML")],
)
def test_what_is_not_a_mapping_is_rejected(text: str, words: str, tmp_path: Path) -> None:
    """Empty, a list, cut off: one problem with a place."""
    (found,) = complaints(text, tmp_path)
    assert words in found and found.startswith("params.yaml:")


def test_a_missing_or_unreadable_file_is_one_problem(tmp_path: Path) -> None:
    """No file, and bytes that are not UTF-8."""
    (missing,) = validate.file(tmp_path / "none.yaml").problems
    assert missing.found == "there is no such file"
    assert "byte 3 is not UTF-8" in complaints(b"a: \xff\n", tmp_path)[0]


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    """1e-5 is a number in YAML 1.2, and `yes` is a word."""
    path = tmp_path / "params.yaml"
    path.write_text("a: 1e-5\nb: yes\nc: 0o17\n")
    assert document.read(path).values == {"a": 1e-5, "b": "yes", "c": 15}


def test_the_projects_own_spec_is_valid() -> None:
    """params.yaml, without a warning."""
    assert validate.file(ROOT / "params.yaml").problems == ()


def test_every_rule_is_documented() -> None:
    """docs/rules.md has each rule with its reason, word for word, and no other rule."""
    rows = dict(
        re.findall(r"^\| ([a-z][a-z-]+) \| (.*) \|$", (ROOT / "docs/rules.md").read_text(), re.M)
    )
    for rule in (*rules.RULES, *rules.WARNINGS):
        assert rows.pop(rules.name_of(rule)) == " ".join((inspect.getdoc(rule) or "").split())
    source = "".join(path.read_text() for path in (ROOT / "lmspec").rglob("*.py"))
    left = [
        name
        for name in rows
        if f'"{name}"' not in source and f"def {name.replace('-', '_')}(" not in source
    ]
    assert left == []
