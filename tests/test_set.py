"""`lmspec set` changes one value of params.yaml, and not another byte of it."""

import copy
import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lmspec.errors import LmspecError
from lmspec.language import document, setting
from lmspec.language.problems import dotted
from tests import history, specs

PATH = Path("params.yaml")
BLOCK = "{kind: sgd, peak_learning_rate: 0.3, weight_decay: 0.0, momentum: 0.9, nesterov: true}"
TEXT = (
    specs.GOOD.replace(f"optimizer: {BLOCK}", "optimizer: blocks.sgd").replace(
        "      seeds: 2\n", "      # of the weights\n      seeds: 2\n"
    )
    + f"""
# the only optimizer that is shared
blocks:
  sgd: {BLOCK}  # slow, but sure
"""
)


@pytest.fixture
def project(tmp_path: Path) -> history.Project:
    """A valid spec with comments, and a block; not compiled."""
    specs.written(TEXT, tmp_path)
    return history.Project(tmp_path)


def edited(project: history.Project) -> list[str]:
    """Removed and added lines."""
    lines = difflib.ndiff(TEXT.splitlines(), project.text("params.yaml").splitlines())
    return [line[0] + line[1:].strip() for line in lines if line[0] in "+-"]


def test_one_value_and_nothing_else_changes(project: history.Project) -> None:
    """Comments, order, quotes and layout are those of the author."""
    run = project.run("set", "model.gru.training.epochs=4", "blocks.sgd.momentum=0.8")
    assert run.exit_code == 0, run.output
    assert edited(project) == [
        "-epochs: 3",
        "+epochs: 4",
        f"-sgd: {BLOCK}  # slow, but sure",
        f"+sgd: {BLOCK.replace('0.9', '0.8')}  # slow, but sure",
    ]
    assert "model.gru.training.epochs: 3 -> 4\n" in run.output
    assert "blocks.sgd.momentum: 0.9 -> 0.8, used by model.gru\n" in run.output


@pytest.mark.parametrize(
    ("steps", "value", "line"),
    [
        (("corpus", "old", "labels"), "[good, bad]", "    labels: [good, bad]"),
        (("corpus", "old", "near_duplicates"), "null", "    near_duplicates: null"),
        (("corpus", "old", "tables", 0, "label", "rename", "5"), "bad", None),
        (("bundle", "release", "title"), "'Good: bad'", "    title: 'Good: bad'"),
        (("bundle", "release", "title"), "Bad # or good", '    title: "Bad"'),
        (("updated", "first", "replay", 0, "per_new_row"), "0.5", None),
        (("model", "bert", "training"), "blocks.sgd", "    training: blocks.sgd"),
        (("splits", "old", "keep_together"), "{shingle_chars: 4}", None),
    ],
)
def test_lists_mappings_and_texts_are_replaced_in_place(
    steps: tuple[Any, ...], value: str, line: str | None
) -> None:
    """The file holds the new value there, and the others elsewhere."""
    text, _ = setting.changed(TEXT, PATH, f"{dotted(steps)}={value}")
    new = document.parsed(f"v: {value}", PATH).values["v"]
    assert document.parsed(text, PATH).values == with_value(steps, new)
    assert line is None or text.splitlines().count(line) == 1 + TEXT.splitlines().count(line)


def leaves(value: Any, steps: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all single values."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, dict | list):
            yield from leaves(item, (*steps, key))
        else:
            yield (*steps, key)


VALUES = document.parsed(TEXT, PATH).values
LEAVES = list(leaves(VALUES))


def with_value(steps: tuple[Any, ...], value: Any) -> Any:
    """The values with another one at a path."""
    values = copy.deepcopy(VALUES)
    owner = values
    for step in steps[:-1]:
        owner = owner[step]
    owner[steps[-1]] = value
    return values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(LEAVES), st.text("ab :#{}[],'\"&*!|>-%@`0\t", min_size=1, max_size=8))
def test_any_text_at_any_place_is_written_or_refused(steps: tuple[Any, ...], value: str) -> None:
    """What YAML reads in `value: TEXT` is what the file holds then; no other value changes."""
    try:
        wanted = document.parsed(f"value: {value.strip()}\n", PATH).values["value"]
        text, _ = setting.changed(TEXT, PATH, f"{dotted(steps)}={value}")
    except (document.ProblemsFound, LmspecError):
        return
    assert document.parsed(text, PATH).values == with_value(steps, wanted)
    assert text.count("#") >= TEXT.count("#")


def test_an_invalid_result_is_refused_as_validate_does(project: history.Project) -> None:
    """Nothing is written; of several values none."""
    run = project.run("set", "model.gru.training.epochs=4", "blocks.sgd.momentum=3")
    assert run.exit_code == 1
    assert (
        "blocks.sgd.momentum: it must be a number of at least 0 and below 1; it is 3" in run.output
    )
    assert "used by model.gru.training.optimizer" in run.output
    assert project.text("params.yaml") == TEXT


def test_a_dry_run_writes_nothing(project: history.Project) -> None:
    """It shows the same."""
    run = project.run("set", "--dry-run", "splits.old.seed=2")
    assert (run.exit_code, "splits.old.seed: 1 -> 2" in run.output) == (0, True)
    assert project.text("params.yaml") == TEXT


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("model.gru.training.optimizer.momentum=0", "is blocks.sgd (line"),
        (
            "model.gru.training.epoch=0",
            "model.gru.training has no 'epoch'\n  -> did you mean 'epochs'?",
        ),
        ("model.gru.training.epochs.x=0", "has no 'x'\n  -> it is a value, without fields"),
        ("model.gru.training.epochs", "it has no `=`"),
        ("model.gru.training.epochs=", "no value follows the `=`"),
        ("model.gru.training.epochs=[1", "the value cannot be read"),
        ("model.gru.training.epochs=1\n2", "several lines"),
        ("model.gru.training=blocks.sgd", "its value holds comments"),
    ],
)
def test_what_cannot_be_set_is_one_message(
    project: history.Project, wanted: str, message: str
) -> None:
    """Where the value is, or what the path could have been."""
    run = project.run("set", wanted)
    assert run.exit_code == 1
    assert message in run.output
    assert project.text("params.yaml") == TEXT


def test_an_alias_is_left_to_its_author() -> None:
    """Its text is elsewhere, and others share it."""
    text = "a: &x {b: 1}\nc: *x\nd: {<<: *x}\n"
    for path in ("c", "c.b", "d.b"):
        with pytest.raises(LmspecError, match="alias of a value that is written elsewhere"):
            setting.changed(text, PATH, f"{path}=2")
    with pytest.raises(LmspecError, match="cannot be written in place"):  # others would change too
        setting.changed(text, PATH, "a.b=2")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_and_a_mark_stay(end: str, tmp_path: Path) -> None:
    """Bytes before and behind the value are as they were; so is the mode of the file."""
    path = tmp_path / "params.yaml"
    lines = ["a: 漢字 # 1", "b: {c: 漢, d: [1,", "  2]} # 3", "e: |", "  text", "f:", "g: null", ""]
    before = b"\xef\xbb\xbf" + end.join(lines).encode()
    for wanted, old, new in (
        ("b.c=x", "漢, d", "x, d"),
        ("b.d=[3]", f"[1,{end}  2]", "[3]"),
        ("e=y", f"|{end}  text{end}", f"y{end}"),
        ("f=5", "f:", "f: 5"),
    ):
        path.write_bytes(before)
        path.chmod(0o640)
        text, _ = setting.changed(document.text_of(path), path, wanted)
        setting.write(path, text)
        assert path.read_bytes().replace(b"\r", b"\n") == before.replace(
            old.encode(), new.encode()
        ).replace(b"\r", b"\n")
        assert path.stat().st_mode & 0o777 == 0o640
