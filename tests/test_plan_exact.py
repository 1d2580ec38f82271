"""`lmspec plan` against `dvc repro`: each stage's verdict is what DVC then does with it."""

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lmspec.errors import LmspecError
from lmspec.pipeline import dvc, dvc_stage, keep, plan

# Stages log their runs in ran.log; `head` reads only the first character of a source. Contents
# differ between stages, so that no run puts into the cache what another stage lacks.
DVC_YAML = """\
stages:
  top:
    cmd: echo top >> ran.log; (grep ^top params.yaml; cat a.txt) > top.txt; {top}
    deps: [a.txt]
    params: [top]
    outs: [top.txt]
  head:
    cmd: echo head >> ran.log; (echo head; head -c 1 a.txt) > head.txt
    deps: [a.txt]
    outs: [head.txt]
  left:
    cmd: echo left >> ran.log; mkdir -p left/sub; (echo l; cat top.txt) > left/all.txt;
      (echo; head -c 5 b.txt) > left/part.txt; tail -n 1 top.txt > left/sub/x
    deps: [top.txt, b.txt]
    outs: [left]
  right:
    cmd: echo right >> ran.log; (echo right; cat top.txt head.txt) > right.txt; (grep -c . top.txt) > right.json; {right}
    deps: [top.txt, head.txt]
    params: [right]
    outs: [right.txt]
    metrics: [right.json: {{cache: false}}]
  part:
    cmd: echo part >> ran.log; (echo part; cat left/part.txt left/sub/x) > part.txt
    deps: [left/part.txt, left/sub]
    outs: [part.txt]
  join:
    cmd: echo join >> ran.log; cat left/*.txt right.txt > join.txt
    deps: [left, right.txt]
    outs: [join.txt]
  report:
    cmd: echo report >> ran.log; (echo report; cat head.txt) > report.txt; (echo csv; cat right.json) > report.csv
    deps: [head.txt, right.json]
    outs: [report.txt, report.csv: {{cache: false}}]
  rootless:
    cmd: echo rootless >> ran.log; echo rootless > rootless.txt
    outs: [rootless.txt]
"""
OUTPUTS = (
    "top.txt",
    "head.txt",
    "left",
    "left/part.txt",
    "right.txt",
    "right.json",
    "part.txt",
    "join.txt",
    "report.csv",
)
STAGES = ("top", "head", "left", "right", "part", "join", "report", "rootless")


class Scratch:
    """A project of trivial stages, whose files, cache and dvc.lock the tests edit."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.put_back()

    def put_back(self) -> None:
        """All that its user can edit is as it was when it was built first."""
        self.commands = {"top": "true", "right": "true"}
        self.values: dict[str, int] = {"top": 0, "right": 0}
        for name in ("a.txt", "b.txt"):
            self.source(name, 0, 0)
        self.write()

    def write(self) -> None:
        """dvc.yaml and params.yaml."""
        (self.folder / "dvc.yaml").write_text(DVC_YAML.format(**self.commands))
        (self.folder / "params.yaml").write_text(
            "".join(f"{name}: {value}\n" for name, value in self.values.items())
        )

    def source(self, name: str, first: int, rest: int) -> None:
        """`head` reads the first character alone."""
        (self.folder / name).write_text(f"{first} first\n{rest}\n")

    def value(self, name: str, value: int) -> None:
        """A parameter."""
        self.values[name] = value
        self.write()

    def command(self, name: str, command: str) -> None:
        """What the stage runs at its end: another command, the same outputs."""
        self.commands[name] = command
        self.write()

    def delete(self, name: str) -> None:
        """An output, or a part of one."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)

    def tamper(self, name: str) -> None:
        """An output that is a file is overwritten."""
        path = self.folder / name
        if path.is_file():
            path.unlink()  # it may be a link into the cache
            path.write_text("other\n")

    def forget(self, name: str) -> None:
        """The cache loses what an output holds now."""
        with contextlib.chdir(self.folder), Repo(".") as repo:
            outs = [
                out
                for stage in repo.index.stages
                for out in stage.outs
                if out.def_path == name and out.hash_info
            ]
            for out in outs:
                Path(repo.cache.local.oid_to_path(out.hash_info.value)).unlink(missing_ok=True)

    def forget_runs(self) -> None:
        """The run-cache is lost; what outputs hold is not."""
        shutil.rmtree(self.folder / ".dvc/cache/runs", ignore_errors=True)

    def forget_lock(self) -> None:
        """As before the first run."""
        (self.folder / "dvc.lock").unlink(missing_ok=True)

    def spoil_runs(self) -> None:
        """A remembered run is half written."""
        for path in list((self.folder / ".dvc/cache/runs").rglob("*"))[:3]:
            if path.is_file():
                path.write_text("cmd: [")

    def build(self, targets: tuple[str, ...]) -> dict[str, str]:
        """`dvc repro`: stage -> what was done with it, of the stages that were not left alone."""
        log = self.folder / "ran.log"
        log.write_text("")
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stderr(io.StringIO()),
            Repo(".") as repo,
        ):
            done = [stage.name for stage in repo.reproduce(list(targets) or None)]
        ran = log.read_text().split()
        assert set(ran) <= set(done)
        return {stage: plan.RUN if stage in ran else plan.RESTORE for stage in done}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Scratch]:
    """Make the project again, all built."""
    folder = tmp_path_factory.mktemp("scratch")
    (folder / "built").mkdir()
    with contextlib.chdir(folder / "built"):
        Repo.init(".", no_scm=True).close()
    config = "[core]\n    no_scm = true\n    analytics = false\n"
    config += f"    site_cache_dir = {folder / 'site'}\n"
    (folder / "built/.dvc/config").write_text(config)
    assert Scratch(folder / "built").build(()) == dict.fromkeys(STAGES, plan.RUN)

    def make() -> Scratch:
        shutil.rmtree(folder / "project", ignore_errors=True)
        return Scratch(shutil.copytree(folder / "built", folder / "project"))

    return make


number = st.integers(0, 2)
edit = st.one_of(
    st.tuples(st.just("source"), st.sampled_from(["a.txt", "b.txt"]), number, number),
    st.tuples(st.just("source"), st.just("a.txt"), st.just(0), number),
    st.tuples(
        st.just("value"), st.sampled_from(["top", "right"]), number | st.just(True)
    ),  # to DVC 1 and true are the same
    st.tuples(
        st.just("command"), st.sampled_from(["top", "right"]), st.sampled_from(["true", "exit"])
    ),
    st.tuples(st.just("delete"), st.sampled_from(OUTPUTS)),
    st.tuples(st.just("tamper"), st.sampled_from(OUTPUTS)),
    st.tuples(st.just("forget"), st.sampled_from(OUTPUTS)),
    st.sampled_from(
        [("put_back",), ("put_back",), ("forget_runs",), ("forget_lock",), ("spoil_runs",)]
    ),
)
build = st.tuples(
    st.lists(edit, min_size=1, max_size=3), st.lists(st.sampled_from(STAGES), max_size=1).map(tuple)
)
sequences = st.lists(build, min_size=2, max_size=3)


def holds(project: Scratch, targets: tuple[str, ...] = ()) -> dict[str, str]:
    """Plan and build; each stage must fare as foretold. Returns what was foretold."""
    with dvc.stages(project.folder, targets) as stages:
        forecasts = list(plan.forecasts(stages))
    foretold = {stage.name: verdict for stage, verdict in forecasts}
    done = project.build(targets)
    assert set(done) <= set(foretold)
    for stage, verdict in forecasts:
        name = stage.name
        if verdict == plan.MAY:
            assert stage.waits and all(
                foretold[before] in (plan.RUN, plan.MAY) for before in stage.waits
            )
        else:
            assert done.get(name, plan.HIT) == verdict, (
                f"{name}: {verdict} in {foretold}, but {done}"
            )
    return foretold


def follow(
    make: Callable[[], Scratch], sequence: list[tuple[list[tuple[Any, ...]], tuple[str, ...]]]
) -> None:
    project = make()
    for edits, targets in sequence:
        for name, *arguments in edits:
            getattr(project, name)(*arguments)
        for verdict in holds(project, targets).values():
            event(verdict)


CHECKS: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=8, derandomize=True, **CHECKS)
@given(sequences)
def test_a_plan_is_what_dvc_then_does(scratch: Callable[[], Scratch], sequence: list[Any]) -> None:
    """After any edits, reverts and losses every verdict is right; `may run` only if it is open."""
    follow(scratch, sequence)


@pytest.mark.slow
@settings(max_examples=100, **CHECKS)
@given(sequences)
def test_a_hundred_other_plans_are(scratch: Callable[[], Scratch], sequence: list[Any]) -> None:
    """The same, other sequences each time."""
    follow(scratch, sequence)


def verdicts(project: Scratch) -> dict[str, str]:
    """The plan, without what is up to date."""
    return {
        step.stage: step.verdict for step in plan.plan(project.folder) if step.verdict != plan.HIT
    }


def reasons(project: Scratch, stage: str) -> tuple[str, ...]:
    return next(step.reasons for step in plan.plan(project.folder) if step.stage == stage)


def test_a_value_put_back_is_restored_and_says_so(scratch: Callable[[], Scratch]) -> None:
    """Everything built with it is restored, and what depends on that, with the reasons of a run."""
    project = scratch()
    assert verdicts(project) == {}
    project.value("top", 1)
    assert verdicts(project) == {
        "top": plan.RUN,
        "left": plan.MAY,
        "right": plan.MAY,
        "part": plan.MAY,
    } | dict.fromkeys(("join", "report"), plan.MAY)
    holds(project)
    project.value("top", 0)
    assert verdicts(project) == dict.fromkeys(("top", "left", "right", "join"), plan.RESTORE)
    assert reasons(project, "top") == ("top: 1 -> 0",)
    assert reasons(project, "left") == ("top.txt changed by top",)
    holds(project)
    assert verdicts(project) == {}


def test_a_stage_that_waits_may_run_only_if_the_cache_may_have_its_result(
    scratch: Callable[[], Scratch],
) -> None:
    """Its own change makes it run, unless its inputs can turn out as in a cached run."""
    project = scratch()
    project.value("top", 1)
    project.value("right", 1)
    assert verdicts(project)["right"] == plan.RUN and reasons(project, "right") == (
        "right: 0 -> 1",
    )
    project.build(())
    project.value("top", 2)
    project.value("right", 0)
    assert verdicts(project)["right"] == plan.MAY
    assert reasons(project, "right") == (
        "right: 1 -> 0",
        "cached if top is rebuilt to a known output",
    )
    project.forget_runs()
    assert verdicts(project)["right"] == plan.RUN


def test_an_input_that_the_last_run_did_not_read_is_known_once_it_is_restored(
    scratch: Callable[[], Scratch],
) -> None:
    """A stage reads another output, then no longer, then again: its run with it is in the cache."""
    project = scratch()
    text = (project.folder / "dvc.yaml").read_text()
    cached = text.replace("outs: [report.txt, report.csv: {cache: false}]", "outs: [report.txt]")
    other = cached.replace("(echo report; cat", "(echo another; cat")
    also = cached.replace("deps: [head.txt, right.json]", "deps: [head.txt, right.json, top.txt]")
    assert len({text, cached, other, also}) == 4
    for text in (also, other, also):
        (project.folder / "dvc.yaml").write_text(text)
        project.delete("top.txt")
        found = verdicts(project)
        holds(project)
    assert found == {"top": plan.RESTORE, "report": plan.RESTORE}


def test_what_is_missing_is_restored_from_its_own_run_while_the_cache_has_it(
    scratch: Callable[[], Scratch],
) -> None:
    """Metrics too. A stage with an uncached output that is no metric runs: nothing to restore."""
    project = scratch()
    for name in ("right.txt", "right.json", "left", "report.csv", "rootless.txt"):
        project.delete(name)
    found = verdicts(project)
    assert found == {
        "left": plan.RESTORE,
        "right": plan.RESTORE,
        "report": plan.RUN,
        "rootless": plan.RUN,
    }
    assert reasons(project, "right") == ("right.txt is missing", "right.json is missing")
    project.forget_runs()
    assert verdicts(project) == found
    project.forget("right.json")
    assert verdicts(project)["right"] == plan.RUN
    holds(project)


def test_without_a_lock_file_the_cache_still_has_the_results(
    scratch: Callable[[], Scratch],
) -> None:
    """As in a clone whose dvc.lock is older than the shared cache."""
    project = scratch()
    project.forget_lock()
    assert reasons(project, "top") == ("it has never run",)
    assert {stage for stage, verdict in verdicts(project).items() if verdict == plan.RUN} == {
        "report",
        "rootless",
    }
    holds(project)


def test_of_two_results_of_one_start_the_newest_counts(scratch: Callable[[], Scratch]) -> None:
    """As with a nondeterministic stage. If the cache lost the newest result, DVC runs the stage."""
    project = scratch()
    project.value("top", 1)
    project.build(())
    project.value("top", 0)
    runs = [path for path in (project.folder / ".dvc/cache/runs").rglob("*") if path.is_file()]
    (entry,) = [path for path in runs if "top: 0" in path.read_text()]
    other = entry.with_name("f" * 64)
    start, outs, made = entry.read_text().partition("outs:")
    other.write_text(start + outs + re.sub("md5: [0-9a-f]+", f"md5: {'0' * 32}", made))
    os.utime(other, (0, 0))
    assert verdicts(project)["top"] == plan.RESTORE
    os.utime(entry, (0, 0))
    os.utime(other, (1, 1))
    assert verdicts(project)["top"] == plan.RUN
    holds(project)


def test_a_target_is_planned_with_what_it_is_made_from(scratch: Callable[[], Scratch]) -> None:
    """And nothing else."""
    project = scratch()
    assert [step.stage for step in plan.plan(project.folder, ("part",))] == ["top", "left", "part"]


def test_a_plan_leaves_everything_as_it_is(scratch: Callable[[], Scratch]) -> None:
    """A remembered run that is half written too, which DVC deletes when it reads it."""
    project = scratch()
    project.value("top", 1)
    project.build(())
    project.value("top", 0)
    for path in (project.folder / ".dvc/cache/runs").rglob("*"):
        if path.is_file():
            path.write_text("cmd: [")
    before = contents(project.folder)
    assert verdicts(project)["top"] == plan.RUN
    assert contents(project.folder) == before
    holds(project)


def contents(folder: Path) -> dict[Path, bytes]:
    """All but DVC's own scratch."""
    return {
        path: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".dvc/tmp" not in path.as_posix()
    }


def test_a_run_cache_that_is_overlooked_is_noticed(
    scratch: Callable[[], Scratch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of a plan against what was done fails for a plan that is wrong."""
    project = scratch()
    project.value("top", 1)
    holds(project)
    project.value("top", 0)
    monkeypatch.setattr(dvc_stage.Stage, "restored", lambda stage: None)
    with pytest.raises(AssertionError, match="top: run in"):
        holds(project)


BROKEN = {
    "dvc.yaml": (
        "stages:\n  top:\n    cmdd: echo\n",
        ("dvc.yaml' validation failed", "cmdd", "line 3"),
    ),
    "dvc.lock": (
        "<<<<<<< HEAD\nschema: '2.0'\n=======\nschema: '2.0'\n>>>>>>> other\n",
        ("merge conflict", "dvc.lock"),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("ask", [plan.plan, keep.check])
def test_a_broken_file_of_dvc_is_reported_with_its_place(
    scratch: Callable[[], Scratch], name: str, ask: Callable[[Path], object]
) -> None:
    """In DVC's words, with what to do, by every command."""
    project = scratch()
    text, words = BROKEN[name]
    (project.folder / name).write_text(text)
    with pytest.raises(LmspecError) as error:
        ask(project.folder)
    assert all(word in error.value.found for word in words) and "dvc.lock" in error.value.remedy


@pytest.mark.parametrize("ask", [plan.plan, keep.check])
def test_what_a_build_is_writing_is_not_planned(
    scratch: Callable[[], Scratch], ask: Callable[[Path], object]
) -> None:
    """Half an output would be taken for another one."""
    project = scratch()
    writing = {
        "read": {},
        "write": {str(project.folder / "left"): {"pid": os.getppid(), "cmd": "dvc repro"}},
    }
    (project.folder / ".dvc/tmp").mkdir(exist_ok=True)
    (project.folder / ".dvc/tmp/rwlock").write_text(json.dumps(writing))
    with pytest.raises(LmspecError, match="a build is running"):
        ask(project.folder)


def test_a_folder_without_dvc_is_reported(tmp_path: Path) -> None:
    """Where DVC was never initialised the error says so; it is no traceback."""
    with pytest.raises(LmspecError, match="DVC"):
        plan.plan(tmp_path)


def test_changes_and_commit_are_those_of_dvc(scratch: Callable[[], Scratch]) -> None:
    """`lmspec keep` and `lmspec verify` rest on them."""
    project = scratch()
    assert keep.check(project.folder) == ({}, {})
    project.source("a.txt", 0, 1)
    (project.folder / "b.txt").write_text("another\n")
    assert keep.check(project.folder) == (
        {},
        {"top": ["a.txt modified"], "head": ["a.txt modified"], "left": ["b.txt modified"]},
    )
    dvc.commit(project.folder, ["top", "head"])
    assert list(keep.check(project.folder)[1]) == ["left"] and project.build(()) == {
        "left": plan.RUN,
        "part": plan.RUN,
    } | {"join": plan.RUN}
