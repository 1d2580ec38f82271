"""`lmspec ci`: what it does on a branch of a built project, and that the workflows of the forges do
nothing else."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template

import click
import pytest
from ruamel.yaml import YAML

from lmspec.cli.ci import STEPS, _passed
from lmspec.cli.main import main
from lmspec.git import committed
from lmspec.pipeline import subprocesses
from lmspec.reports import publishing
from tests import miniature
from tests.reports import gate

ROOT = Path(__file__).parent.parent
REPORTS = {*publishing.WHOLE}
WORKFLOWS = (".github/workflows/lmspec.yml", "lmspec/scaffold/templates/workflow.yml.tmpl")
PIPELINES = (".gitlab-ci.yml", "lmspec/scaffold/templates/gitlab-ci.yml.tmpl")


@dataclass(frozen=True)
class Ran:
    """A branch `change` of the built project, where the CNN is trained longer, and what `lmspec ci`
    printed on it."""

    project: Path
    output: str
    summary: str


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """No forge runs these tests, as far as they know."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def ran(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("ci")
    project, summary = folder / "project", folder / "summary.md"
    shutil.copytree(built, project, symlinks=True)
    edit(
        project, "at_least: 0.6}", "at_least: 0.1}"
    )  # two hundred sentences make no model that would pass
    edit(project, "at_most: 0.6}", "at_most: 5.0}")
    git(project, "commit", "-q", "-a", "-m", "gates that it passes")
    git(project, "checkout", "-q", "-b", "change")
    edit(project, "filters: 16", "filters: 8")
    git(project, "commit", "-q", "-a", "-m", "a smaller CNN")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_ACTIONS", "true")
        patch.setenv("GITHUB_STEP_SUMMARY", str(summary))
        output = miniature.lmspec(project, "ci", "--base", "main")
    yield Ran(project, output, summary.read_text())


@pytest.fixture
def copy(ran: Ran, tmp_path: Path) -> Path:
    """The same branch, built; a test may do anything to it."""
    folder = tmp_path / "copy"
    shutil.copytree(ran.project, folder, symlinks=True)
    return folder


def git(folder: Path, *arguments: str) -> str:
    return miniature.run(folder, "git", *arguments)


def edit(project: Path, old: str, new: str) -> None:
    path = project / "params.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def reports(project: Path) -> set[str]:
    return {path.name for path in (project / ".lmspec/ci").iterdir()}


def test_it_builds_the_change_and_reports_on_it(ran: Ran) -> None:
    """Each step has its line and its duration; the reports are there, and GitHub's summary holds
    one."""
    assert (
        {"model-cnn", "scores-cnn"}
        <= set(miniature.ran(ran.output))
        <= {f"{noun}-cnn" for noun in ("model", "exported", "quantized", "scores")}
    )
    ends = re.findall(r"^(\d)/7 (\S+): .* \(\d+\.\d s\)$", ran.output, re.M)
    assert ends == [(str(i), name) for i, name in enumerate(STEPS, 1)]
    assert reports(ran.project) >= REPORTS
    report = (ran.project / ".lmspec/ci/report.md").read_text()
    assert report in ran.summary and publishing.MARKER in report and "filters" in report
    assert json.loads((ran.project / ".lmspec/ci/report.json").read_text())


def test_uncommitted_results_are_a_warning(ran: Ran) -> None:
    """As a warning, on GitHub also where the reviewer looks."""
    assert "warning: committed results are not those of this build: " in ran.output
    assert (
        "::warning title=lmspec ci::" in ran.output and "data/metrics/model-cnn.json" in ran.output
    )


@pytest.mark.slow
def test_a_second_run_builds_nothing_and_locked_wants_the_results_committed(copy: Path) -> None:
    """First they are not, then they are."""
    output = miniature.lmspec(copy, "ci", "--base", "main", "--locked", code=1)
    assert (
        miniature.ran(output) == []
        and "step 6 of 7" in output
        and "dvc.lock" in output
        and "->" in output
    )
    assert "there is nothing to compare" in (copy / ".lmspec/ci/report.md").read_text()
    git(copy, "add", "-A")
    git(copy, "commit", "-q", "-m", "built")
    output = miniature.lmspec(copy, "ci", "--base", "main", "--locked", "--output", "elsewhere")
    assert "committed results are those of this build" in output and "::" not in output
    assert {path.name for path in (copy / "elsewhere").iterdir()} >= REPORTS


def test_a_gate_that_fails_is_the_exit_code(copy: Path) -> None:
    """The report is there all the same."""
    edit(copy, "at_most: 1000000", "at_most: 1")
    output = miniature.lmspec(copy, "ci", "--base", "main", code=1)
    assert (
        miniature.ran(output) == [] and "step 7 of 7, diff" in output and "a gate fails" in output
    )
    assert (
        reports(copy) >= REPORTS
        and "there is nothing to compare" not in (copy / ".lmspec/ci/report.md").read_text()
    )


def test_a_broken_spec_stops_it_before_anything_is_built(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report of the run before is gone, and what takes its place says why."""
    edit(copy, "of: model.cnn", "of: model.cnm")
    before = miniature.fingerprints(copy)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    output = miniature.lmspec(copy, "ci", "--base", "main", code=1)
    assert (
        "step 1 of 7, spec" in output
        and "there is no artifact 'model.cnm'" in output
        and "2/7" not in output
    )
    assert "::error file=params.yaml,line=" in output
    assert miniature.fingerprints(copy) == before
    assert reports(copy) == {"report.md"}
    text = (copy / ".lmspec/ci/report.md").read_text()
    assert text.startswith(publishing.MARKER) and "stopped at step 1 of 7, spec" in text


@pytest.mark.slow
def test_other_steps_stop_it_too(copy: Path) -> None:
    """dvc.yaml is not what the spec says; a stage fails."""
    compiled = (copy / "dvc.yaml").read_text()
    (copy / "dvc.yaml").write_text(compiled.replace("title: ", "title: X ", 1))
    output = miniature.lmspec(copy, "ci", "--base", "main", code=1)
    assert (
        "step 2 of 7, dvc.yaml" in output and "run `lmspec sync`" in output and "3/7" not in output
    )
    (copy / "dvc.yaml").write_text(compiled)
    (copy / "raw/old.csv").write_text("document,text,stars\n")
    output = miniature.lmspec(copy, "ci", "--base", "main", "--no-pull", code=1)
    assert "step 4 of 7, build" in output and "`dvc repro` exited" in output and "5/7" not in output


@pytest.mark.slow
def test_a_remote_that_cannot_be_reached_is_a_warning(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it would have brought is built."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "unknown",
        "AWS_SECRET_ACCESS_KEY": "yet",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    miniature.dvc(copy, "remote", "add", "-d", "far", "s3://bucket/nothing")
    miniature.dvc(copy, "remote", "modify", "far", "endpointurl", "http://127.0.0.1:9")
    output = miniature.lmspec(copy, "ci", "--base", "main")
    assert "`dvc pull` from the remote 'far' exited" in output and "7/7" in output


@pytest.mark.slow
def test_a_remote_spares_the_build(copy: Path, tmp_path: Path) -> None:
    """A clone pulls what was pushed, and builds nothing."""
    miniature.dvc(copy, "remote", "add", "-d", "near", str(tmp_path / "remote"))
    miniature.dvc(copy, "push", "--run-cache")
    git(copy, "add", "-A")
    git(copy, "commit", "-q", "-m", "built")
    git(tmp_path, "clone", "-q", str(copy), "clone")
    output = miniature.lmspec(tmp_path / "clone", "ci", "--base", "origin/main", "--locked")
    assert miniature.ran(output) == [] and "pulled from 'near'" in output


def test_where_there_are_no_gates_none_passes() -> None:
    """A warning says so."""
    assert _passed(()) == "there are no gates to check"
    assert _passed([gate("pass"), gate("waived")]) == "all gates pass, 1 of them by a waiver"


def test_a_command_runs_where_standard_output_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is there to be flushed."""
    monkeypatch.setattr(sys, "stdout", None)
    assert subprocesses.run_module("platform") == 0


def test_a_missing_base_is_an_error_before_any_build(copy: Path) -> None:
    """Exit code 2, before the first step.

    Forty zeros are what forges say where there was nothing before.
    """
    output = miniature.lmspec(copy, "ci", "--base", "no-such", code=2)
    assert "there is no such commit" in output and "1/7" not in output
    assert "7/7 diff: all gates pass" in miniature.lmspec(copy, "ci", "--base", "0" * 40)


def test_the_base_is_the_branch_that_a_clone_came_from(tmp_path: Path) -> None:
    """Else main."""
    git(tmp_path, "init", "-q", "-b", "trunk", "origin")
    git(
        tmp_path / "origin",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "x",
    )
    git(tmp_path, "clone", "-q", "origin", "clone")
    assert committed.default_base(tmp_path / "clone") == "origin/trunk"
    assert committed.default_base(tmp_path / "origin") == "main"


def test_results_are_found_in_a_part_of_a_repository(tmp_path: Path) -> None:
    """Changed, new and gone; what is no result counts nothing; paths are the project's."""
    git(tmp_path, "init", "-q")
    project = tmp_path / "part of it"
    for name in ("dvc.lock", "data/metrics/a b.json", "data/provenance/gone.json", "params.yaml"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("{}")
    git(tmp_path, "add", "-A")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "x")
    assert committed.differing(project) == []
    (project / "data/provenance/gone.json").unlink()
    for name in ("data/metrics/a b.json", "data/metrics/ü.json", "params.yaml"):
        (project / name).write_text("[]")
    assert committed.differing(project) == [
        "data/metrics/a b.json",
        "data/metrics/ü.json",
        "data/provenance/gone.json",
    ]


def parsed(name: str) -> dict:  # type: ignore[type-arg]
    """A workflow, of a template the one that `lmspec init` writes."""
    text = (ROOT / name).read_text()
    return YAML(typ="safe").load(
        Template(text).substitute(python="3.11") if name.endswith(".tmpl") else text
    )  # type: ignore[no-any-return]


def commands(lines: str) -> Iterator[list[str]]:
    """The words of each call of lmspec in a script."""
    for line in lines.splitlines():
        words = shlex.split(line)
        if words and Path(words[0]).name == "lmspec":
            yield words[1:]


def require_known(words: list[str]) -> None:
    """The command exists, and so does each of its options."""
    command = main.get_command(click.Context(main), words[0])
    assert command is not None, words
    command.make_context("lmspec", words[1:])  # click refuses an option that it does not know


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_of_github_call_what_there_is(name: str) -> None:
    """And hold the report for the reviewer; no event's text reaches a shell, no action floats; only
    the comment may write."""
    workflow = parsed(name)
    steps = [(job, step) for job, about in workflow["jobs"].items() for step in about["steps"]]
    scripts = [step["run"] for _, step in steps if "run" in step]
    calls = [words for script in scripts for words in commands(script)]
    assert [words[0] for words in calls] == ["ci"]
    for words in calls:
        require_known(words)
    assert not [script for script in scripts if "${{" in script]
    assert all(
        re.fullmatch(r"actions/[a-z-]+(/[a-z]+)?@v\d+", step["uses"])
        for _, step in steps
        if "uses" in step
    )
    assert workflow["permissions"] == {"contents": "read"}
    assert [
        job for job, about in workflow["jobs"].items() if "write" in str(about.get("permissions"))
    ] == ["comment"]
    assert not [
        step for job, step in steps if job == "comment" and "checkout" in step.get("uses", "")
    ]
    assert (
        publishing.MARKER in (ROOT / name).read_text()
        and f"@{publishing.MARKDOWN}" in (ROOT / name).read_text()
    )


@pytest.mark.parametrize("name", PIPELINES)
def test_pipelines_of_gitlab_call_what_there_is(name: str) -> None:
    """And hold the report for the reviewer."""
    model = parsed(name)["model"]
    calls = [words for line in model["script"] for words in commands(line)]
    assert [words[0] for words in calls] == ["ci"]
    for words in calls:
        require_known(words)
    assert (
        model["artifacts"]["reports"]["junit"] == ".lmspec/ci/junit.xml"
        and model["variables"]["GIT_DEPTH"] == "0"
    )


def test_an_option_that_is_not_there_would_be_found() -> None:
    """The check of the workflows is one."""
    with pytest.raises(click.NoSuchOption):
        require_known(["ci", "--bse", "main"])
    with pytest.raises(AssertionError):
        require_known(["see-eye"])
