"""What is the same value to DVC is the same to lmspec, and comes back from dvc.lock as it was."""

import contextlib
import io
import itertools
import json
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import YAMLFileCorruptedError, dump_yaml, load_yaml, modify_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.language import recorded, schema
from lmspec.pipeline import difference, dvc
from lmspec.run import declaration
from lmspec.specs.project import Project
from tests import history
from tests.specs import GOOD, complaints

FLOOR = "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.5}"


def typed(one: object, other: object) -> bool:
    """The comparison that the tests below rule out: 0 and 0.0 differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("control", [False, True])
def test_a_fraction_written_as_a_whole_number_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, control: bool
) -> None:
    """DVC has nothing to do after `0.0` became `0`, so `gate` and `diff` must not wait for it."""
    project = history.make(tmp_path)
    project.gate("floor", FLOOR)
    project.commit()
    project.edit("params.yaml", "warmup_fraction: 0.0", "warmup_fraction: 0")
    if control:
        monkeypatch.setattr(declaration, "same", typed)
    assert project.run("gate", "HEAD").exit_code == control
    changed = [change["name"] for change in project.report("HEAD")["changes"]["parameters"]]
    assert changed == (["model.cnn.training.warmup_fraction"] if control else [])


def test_a_rename_and_a_fraction_written_otherwise_is_a_rename(tmp_path: Path) -> None:
    """An artifact whose fields are the same to the build is found under its new name."""
    project = history.make(tmp_path)
    project.edit("params.yaml", "model:\n  cnn:", "model:\n  small:")
    text = project.text("params.yaml").replace("model.cnn", "model.small")
    project.write("params.yaml", text.replace("warmup_fraction: 0.0", "warmup_fraction: 0"))
    assert project.report("HEAD")["changes"]["renamed"] == {"model.cnn": "model.small"}


def test_the_same_is_what_dvc_calls_the_same_unless_no_spec_takes_both() -> None:
    """For each field of every spec: two values that it takes are the same to DVC if and only if
    they are to lmspec, and then the build gets one value."""
    values = (0, 0.0, False, 1, 1.0, True, 2, 2.0, "1", "1.0", "true", None, 0.5, 257, 257.0)
    compared = 0
    for _, part in schema.parts(schema.load()):
        plain, nullable = schema.concrete(part)
        if plain.get("type") not in schema.TYPES or schema.kinds(plain):
            continue
        fitting = [v for v in values if (v is None and nullable) or schema.fits(v, plain)]
        for one, other in itertools.combinations(fitting, 2):
            assert declaration.same(one, other) == (one == other)
            compared += one == other
            assert one != other or {type(one), type(other)} == {int, float}
    assert compared > 20  # fields that take both 0 and 0.0, or 1 and 1.0
    for text in ("0", "0.0"):
        values = YAML(typ="safe").load(
            GOOD.replace("warmup_fraction: 0.1", f"warmup_fraction: {text}")
        )
        read = Project.model_validate(values).find("model.cnn").model_dump()["training"]
        assert repr(read["warmup_fraction"]) == "0.0"


@given(
    st.recursive(
        st.integers(0, 1) | st.floats(0, 1) | st.booleans() | st.text(max_size=1), st.lists
    )
)
def test_a_value_is_the_same_as_itself_and_true_is_not_one(value: Any) -> None:
    """Reflexive; and with the first boolean made a number, another value."""
    assert declaration.same(value, value) and declaration.same({"a": [value]}, {"a": [value]})
    assert not declaration.same({"a": [True, value]}, {"a": [1, value]})
    assert not declaration.same({"a": value}, {"b": value})
    assert not declaration.same([value], [value, value])
    assert list(difference.described({"a": [0, value]}, {"a": [0.0, value]})) == []


@pytest.mark.parametrize(
    ("before", "now", "changes"),
    [("0.0", "0", 0), ("1", "1.0", 0), ("[1, {a: 2}]", "[1.0, {a: 2.0}]", 0), ("0.0", "0.5", 1)],
)
def test_dvc_and_plan_have_nothing_to_do(
    tmp_path: Path, before: str, now: str, changes: int
) -> None:
    """DVC itself compares as `declaration.same` does."""
    (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: 'true', params: [a]}}")
    (tmp_path / "params.yaml").write_text(f"a: {before}")
    with contextlib.chdir(tmp_path), contextlib.redirect_stderr(io.StringIO()):
        with Repo.init(".", no_scm=True) as repo:
            repo.commit("a", force=True)
        (tmp_path / "params.yaml").write_text(f"a: {now}")
        with dvc.stages(tmp_path) as (stage,):
            assert len(stage.changes) == changes
    values = (YAML(typ="safe").load(text) for text in (before, now))
    assert declaration.same(*values) == (changes == 0)


def locked(folder: Path, value: Any, times: int = 3) -> str:
    """dvc.lock after a stage with that value ran, and then other stages."""
    path = folder / "dvc.lock"
    params = OrderedDict({"params.yaml": OrderedDict({"corpus.old": value})})
    files = [OrderedDict(path="raw/a.csv", hash="md5", md5="0" * 32, size=3)]
    entry = OrderedDict(cmd="run", deps=files, params=params, outs=files)
    dump_yaml(str(path), {"schema": "2.0", "stages": {"corpus-old": entry}})
    for i in range(times):
        with modify_yaml(str(path)) as lock:
            lock["stages"].update({f"other-{i}": OrderedDict(cmd="run", deps=files)})
    return path.read_text(encoding="utf-8")


def given_back(folder: Path, value: Any) -> Iterator[Any]:
    """The value as DVC and lmspec read it from dvc.lock; None if they cannot."""
    path = folder / "dvc.lock"
    try:
        text = locked(folder, value)
        yield load_yaml(str(path))["stages"]["corpus-old"]["params"]["params.yaml"]["corpus.old"]
        yield lockfile.runs(text)["corpus-old"].params["params.yaml"]["corpus.old"]
    except (YAMLFileCorruptedError, LmspecError):
        yield None


words = st.text("ab'\"#:-?,[]{}&*!|>%@`\\~ß日 \t\n", max_size=12)
spaced = st.lists(words, max_size=30).flatmap(
    lambda parts: st.sampled_from([" ", "  ", " " * 9]).map(lambda gap: gap.join(parts))
)
odd = st.sampled_from(
    [
        "null",
        "~",
        "yes",
        "1e3",
        "0o7",
        "=",
        "<<",
        "2026-01-01",
        "1:30",
        "\ufeffa",
        "a\u2028b",
        "---",
    ]
)
quoted = st.text("ab'\"ß\\日: ", min_size=70, max_size=250)
texts = (
    quoted | spaced | odd | st.text(st.characters(exclude_categories=["Cs"]), max_size=9) | words
)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.booleans()
leaves = st.none() | texts | numbers | st.floats(1e-9, 1e-5)
nested = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts.map(lambda text: text * 3) | texts, inner, max_size=3)
    ),
    max_leaves=5,
)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(value=nested)
def test_a_valid_value_comes_back_thoroughly(
    tmp_path_factory: pytest.TempPathFactory, value: Any
) -> None:
    """The same, with eight times as many values."""
    holds(tmp_path_factory.getbasetemp(), value)


@settings(max_examples=100, deadline=None)
@given(value=nested)
def test_a_valid_value_comes_back(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    """Whatever `validate` lets through is in dvc.lock as it was, however many stages run."""
    holds(tmp_path_factory.getbasetemp(), value)


def holds(folder: Path, value: Any) -> None:
    """No loss is foretold, or there is none. The first level is a mapping, as in a spec."""
    value = {"field": value}
    if not list(recorded.losses(value, ("corpus", "old"))):
        for back in given_back(folder, value):
            assert declaration.same(back, value)


LOST = {
    "a line separator of U+0085": "a\x85b",
    "spaces where a line is folded": "a" + " " * 80 + "b",
    "spaces in a long text": "a" * 70 + "   b",
    "a backslash where a line is folded": (
        "日ß:\\\" :ß\\ß:ß :b日 日日ß#:':# #日a日#日 'a"
        "ß'aa\\a\" a :日 \"a日#日# :\\日#bb ß日''\\\\ a"
    ),
    "digits of a large number": 5.103673915095748e20,
    "digits of a small number": -7.106843845653448e-16,
    "a long key": {"a b" * 40: 1},
    "a key with spaces": {"a" + " " * 80 + "b": 1},
}


@pytest.mark.parametrize("name", LOST)
def test_what_does_not_come_back_is_refused(tmp_path: Path, name: str) -> None:
    """Each is lost in truth (the control), and refused."""
    value = {"field": LOST[name]}
    assert not all(declaration.same(back, value) for back in given_back(tmp_path, value))
    assert list(recorded.losses(value, ("corpus", "old")))


def test_zero_has_one_sign() -> None:
    """DVC takes -0.0 for 0.0, and would not rebuild."""
    assert len(list(recorded.losses({"field": [{"a": -0.0}]}, ("corpus", "old")))) == 1
    assert not list(recorded.losses({"field": [0.0, 0, "", [], {"": 1}]}, ("corpus", "old")))


def test_what_dvc_cannot_give_back_is_shown_at_its_place(tmp_path: Path) -> None:
    """Line and column, and one error each."""
    text = GOOD.replace("column: stars", 'column: "st\\Nars"', 1)
    (problem,) = complaints(text, tmp_path)
    assert "it has a U+0085, which dvc.lock gives back as a space" in problem and "^^^" in problem
    assert problem.startswith("params.yaml:") and ".label.column: " in problem


def test_dvc_fails_on_what_is_refused_as_its_template(tmp_path: Path) -> None:
    """DVC takes `${` in dvc.yaml for a variable."""
    from dvc.parsing import Context
    from dvc.parsing.interpolate import get_matches

    with pytest.raises(DvcException):
        Context({}).resolve("raw/${x}.csv")
    assert get_matches("raw/${x}.csv")
    text = GOOD.replace("path: raw/old.csv", "path: 'raw/${x}.csv'")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/${x}.csv").touch()
    assert any("DVC would replace `${`" in problem for problem in complaints(text, tmp_path))
