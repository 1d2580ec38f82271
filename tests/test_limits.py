"""A commit is read within the limits of `lmspec validate`: its YAML and JSON are anybody's."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from lmspec.compare import revision
from lmspec.errors import LmspecError
from lmspec.formats import lockfile, yamltext
from lmspec.language import compose, document
from tests.history import Project, make

LEVELS = 7  # of ten aliases each: ten million values in seven lines
ALIASES = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, LEVELS + 1)
)
MERGES = "a0: &a0 {x: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 10)}], k{i}: 1}}\n"
    for i in range(1, LEVELS + 1)
)
TEXTS = {
    "aliases": ALIASES,
    "brackets": f"a: {'[' * 100_000}{']' * 100_000}\n",
    "braces": f"a: {'{a: ' * 90}1{'}' * 90}\n",
    "dashes": f"{'- ' * 100_000}x\n",
    "indentation": "".join(f"{' ' * i}a:\n" for i in range(300)),
    "an alias of itself": "a: &a [*a]\n",
    "digits": f"a: {'9' * 5000}\n",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built project."""
    return make(tmp_path_factory.mktemp("template") / "project").root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    """A copy of it."""
    shutil.copytree(template, tmp_path / "project")
    return Project(tmp_path / "project")


def in_a_lock(text: str) -> str:
    """A dvc.lock with a stage whose parameters these are."""
    rows = "".join(f"        {line}\n" for line in text.splitlines())
    return (
        f"schema: '2.0'\nstages:\n  model-x:\n    cmd: x\n    params:\n      params.yaml:\n{rows}"
    )


@pytest.mark.parametrize("file", ["params.yaml", "toolchain.yaml", "dvc.lock"])
@pytest.mark.parametrize("kind", TEXTS)
def test_an_unbounded_text_is_an_error_and_ends_nothing(
    project: Project, file: str, kind: str
) -> None:
    """`diff` and `gate` exit with 2 and the reason; brackets do not overflow the C parser."""
    text = TEXTS[kind]
    project.write(file, in_a_lock(text) if file == "dvc.lock" else text)
    project.commit()
    for command in ("diff", "gate"):
        found = project.run(command, "HEAD~1", "HEAD")
        assert found.exit_code == 2 and f"HEAD:{file}" in found.stderr


def test_log_passes_over_a_commit_that_cannot_be_read(project: Project) -> None:
    """It ends, with the commits around it."""
    project.write("params.yaml", ALIASES)
    project.commit()
    assert project.run("log", "scores.cnn.reviews.accuracy").exit_code == 0


def test_without_the_limits_it_would_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: the same texts, and what they stand for."""
    with pytest.raises(LmspecError, match="more than 200,000 values"):
        lockfile.runs(in_a_lock(ALIASES))
    monkeypatch.setattr(yamltext, "may_be_unbounded", lambda text: False)
    assert expanded(lockfile.runs(in_a_lock(ALIASES))["model-x"].params) > 10**LEVELS
    revision._loaded.cache_clear()
    monkeypatch.setattr(compose, "MOST_VALUES", 10**12)
    assert expanded(revision._loaded(ALIASES)) > 10**LEVELS


def expanded(value: Any, sizes: dict[int, int] | None = None) -> int:
    """How many values a walk over it would meet."""
    sizes = {} if sizes is None else sizes
    if id(value) not in sizes:
        inside = value.values() if isinstance(value, dict) else value
        inside = inside if isinstance(value, dict | list) else ()
        sizes[id(value)] = 1 + sum(expanded(each, sizes) for each in inside)
    return sizes[id(value)]


def test_merges_of_merges_are_read_once(project: Project) -> None:
    """Each key of a merged mapping is one, however often it is merged: of few keys few come."""
    assert len(document.parsed(MERGES, Path("params.yaml")).values) == LEVELS + 1
    with pytest.raises(LmspecError, match="more than 200,000 values"):
        lockfile.runs(in_a_lock(MERGES))


def test_what_dvc_writes_is_not_looked_at_twice(project: Project) -> None:
    """The look at events takes as long as half of the reading, and no lock needs it."""
    assert not yamltext.may_be_unbounded(project.text("dvc.lock"))
    assert not yamltext.may_be_unbounded((Path(__file__).parents[1] / "dvc.lock").read_text())


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 900 + "1" + "}" * 900, f'{{"a": {"9" * 5000}}}']
)
def test_json_of_any_shape_is_no_traceback(project: Project, text: str) -> None:
    """Metrics and records of any depth, and numbers that Python refuses to read."""
    for path in ("data/metrics/model-cnn.json", "data/provenance/model-cnn.json"):
        project.write(path, text)
        project.commit()
        assert project.run("diff", "HEAD~1", "HEAD").exit_code in (0, 1)
    assert project.run("log", "model.cnn.dev.accuracy").exit_code == 0
