"""Situations in which `lmspec diff` may be run, what it says in each, and its exit code:
tests/situations.py is the table.

Each runs in a repository of its own, by the command itself.
"""

import contextlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.git import tree
from tests import miniature
from tests.history import Project, make
from tests.situations import SCORES, SITUATIONS, SMALL_LIMIT, Situation, remeasured


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is built and committed; each situation has a copy."""
    return make(tmp_path_factory.mktemp("situations") / "project").root


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """A limit that a test can go beyond, and an environment that a situation may change."""
    before, tree.LARGEST_BYTES, kept = tree.LARGEST_BYTES, SMALL_LIMIT, dict(os.environ)
    try:
        yield
    finally:
        tree.LARGEST_BYTES = before
        os.environ.clear()
        os.environ.update(kept)


def squeezed(text: str) -> str:
    """Each run of white space as one space."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("case", SITUATIONS, ids=lambda case: case.case)
def test_each_situation_has_the_output_of_the_table(
    case: Situation, original: Path, tmp_path: Path
) -> None:
    """The words, the exit code, and in no case a traceback."""
    project = Project(shutil.copytree(original, tmp_path / "project"))
    with limited():
        arguments = case.act(project)
        found = project.run("diff", *arguments)
    printed = squeezed(found.output)
    for words in case.says:
        assert squeezed(words) in printed, f"it does not say {words!r}:\n{found.output}"
    assert found.exit_code == case.code, found.output


def test_each_situation_has_a_name_of_its_own() -> None:
    """A second one under a name would hide the first in a report of pytest."""
    assert len({one.case for one in SITUATIONS}) == len(SITUATIONS) >= 110


def test_the_command_is_the_one_of_a_shell(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the table has from within one process is what a shell sees: on standard error, with that
    exit code."""
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # the project's lmspec is no library
    assert "metrics: 63 same" in miniature.lmspec(original, "diff", "HEAD")
    printed = miniature.lmspec(original, "diff", "no-such", code=2)
    assert (
        printed == "lmspec: no-such: there is no such commit\n"
        "  -> name a branch, a tag or a commit: `git log --oneline` lists some\n"
    )


def test_every_situation_has_every_form(original: Path, tmp_path: Path) -> None:
    """JSON that parses, whatever the metrics hold; the same exit code in each."""
    project = Project(shutil.copytree(original, tmp_path / "project"))
    remeasured(project, log_loss=math.nan, accuracy=None, more=["SURROGATE", 10**30])
    project.write(SCORES, project.text(SCORES).replace("SURROGATE", r"\ud800"))
    project.lock()
    codes = []
    for form in ("text", "md", "json", "github", "junit"):
        found = project.run("diff", "--format", form)
        codes.append(found.exit_code)
        found.output.encode()
        if form == "json":
            json.loads(found.output)
    assert set(codes) == {1}


def test_a_thousand_metrics_take_seconds_at_most(original: Path, tmp_path: Path) -> None:
    """The cost is per metric, and small."""
    project = Project(shutil.copytree(original, tmp_path / "project"))
    act = next(one.act for one in SITUATIONS if one.case == "1,000 metrics")
    arguments = act(project)
    start = time.perf_counter()
    assert project.run("diff", *arguments).exit_code == 0
    assert time.perf_counter() - start < 5
