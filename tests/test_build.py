"""`lmspec build`: the result of `dvc repro`, in parallel; stopping it leaves nothing behind."""

import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest
from dvc.repo import Repo
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.pipeline import dvc, keep, repro, scheduler
from lmspec.specs.project import Project
from tests import miniature

# left and right meet: each waits for the other to start, which never happens in sequence
MEET = (
    "touch ../met/{}; for i in $(seq 300); do test -e ../met/{} && break; sleep 0.1; done; "
    "test -e ../met/{}"
)
DVC_YAML = f"""\
stages:
  join: {{cmd: cat left.txt right.txt > join.txt, deps: [left.txt, right.txt], outs: [join.txt]}}
  right:
    cmd: {MEET.format("right", "left", "left")}; (echo right; cat top.txt) > right.txt
    deps: [top.txt]
    outs: [right.txt]
  left:
    cmd: {MEET.format("left", "right", "right")}; (echo left; cat top.txt) > left.txt
    deps: [top.txt]
    outs: [left.txt]
  top: {{cmd: sleep 0.3; cat a.txt > top.txt, deps: [a.txt], outs: [top.txt]}}
  other: {{cmd: printf 'half\\rwhole\\n'; cat b.txt > other.txt, deps: [b.txt], outs: [other.txt]}}
  last: {{cmd: wc -c other.txt > last.txt, deps: [other.txt], outs: [last.txt: {{cache: false}}]}}
"""
BEFORE = {
    "top": [],
    "left": ["top"],
    "right": ["top"],
    "join": ["left", "right"],
    "other": [],
    "last": ["other"],
}
WAIT = (
    "    import time; Path(f'begun{out.name}').touch()\n"
    "    while not Path('go').exists(): time.sleep(0.05)\n"
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Up to ten stages, each made from some of those before it."""
    names = [f"s{i}" for i in range(draw(st.integers(0, 10)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        for i, name in enumerate(names)
    }


def run(
    rules: scheduler.Schedule, bad: set[str], rng: random.Random
) -> tuple[dict[str, bool], list[set[str]]]:
    """Follow the schedule; stages end in any order. Returns their success, and what ran when."""
    running: set[str] = set()
    ended: dict[str, bool] = {}
    moments = []
    while True:
        for stage in rules.ready(running, ended):
            assert stage not in running and stage not in ended
            assert all(ended.get(needed) for needed in rules.before[stage])
            running.add(stage)
        moments.append(set(running))
        if not running:
            return ended, moments
        stage = rng.choice(sorted(running))
        running.remove(stage)
        ended[stage] = stage not in bad


def below(before: dict[str, list[str]], stages: set[str]) -> set[str]:
    """What is made from some stages, and they themselves."""
    return set(scheduler.affected(before, stages))


@settings(max_examples=200, deadline=None)
@given(graphs(), st.integers(1, 4), st.booleans(), st.data())
def test_no_stage_starts_too_early_and_never_too_many(
    before: dict[str, list[str]], jobs: int, keep_going: bool, data: st.DataObject
) -> None:
    """Not before their inputs, at most `jobs` at once, nothing beside one that measures; all run.

    After a failure nothing starts, or with keep_going all but what is made from what failed.
    """
    some = st.sets(st.sampled_from(sorted(before))) if before else st.just(set())
    alone, bad = data.draw(some), data.draw(some)
    rules = scheduler.Schedule(before, jobs, alone, keep_going)
    ended, moments = run(rules, bad, data.draw(st.randoms(use_true_random=False)))
    assert all(
        len(moment) <= jobs and (len(moment) <= 1 or not moment & alone) for moment in moments
    )
    if not bad or keep_going:
        assert set(ended) == set(before) - below(before, bad) | {
            name for name, well in ended.items() if not well
        }
    failures = [
        i for i, moment in enumerate(moments) if bad & {*ended} - set().union(*moments[i:], set())
    ]
    if not keep_going and failures:
        assert all(
            later <= earlier
            for earlier, later in zip(
                moments[failures[0] :], moments[failures[0] + 1 :], strict=False
            )
        )


@settings(deadline=None)
@given(graphs(), st.data())
def test_what_the_longest_line_waits_for_comes_first(
    before: dict[str, list[str]], data: st.DataObject
) -> None:
    """The same graph, inputs first; of two stages that are ready, the longer path is first."""
    seconds = {name: data.draw(st.floats(0.1, 100)) for name in before}
    order = scheduler.longest_first(before, seconds)
    assert order == before
    seen: set[str] = set()
    for stage, needed in order.items():
        assert seen.issuperset(needed)
        seen.add(stage)
    assert (
        next(iter(scheduler.longest_first({"short": [], "long": [], "end": ["long"]}, {})))
        == "long"
    )


def test_dvc_lock_comes_into_the_order_of_one_repro() -> None:
    """Known stages keep their place, new ones follow in DVC's order; other sections stay."""
    text = "schema: '2.0'\nstages:\n" + "".join(
        f"  {name}:\n    cmd: x\n    outs:\n    - path: {name}\n" for name in "zcab"
    )
    better = scheduler.in_order(text + "datasets: []\n", ["z"], ["a", "b", "z", "c"])
    assert list(YAML(typ="safe").load(better)["stages"]) == ["z", "a", "b", "c"]
    assert sorted(better.splitlines()) == sorted(
        (text + "datasets: []\n").splitlines()
    ) and better.endswith("\ndatasets: []\n")
    assert (
        scheduler.in_order(better, "abcz", "cbaz") == better
        and scheduler.in_order("", [], ["a"]) == ""
    )


def test_an_error_is_found_in_the_output() -> None:
    """lmspec's message or the last traceback, without DVC's failure line; else the last lines."""
    failed = (
        "ERROR: failed to reproduce 'a': failed to run: exec python -m lmspec.run a b, "
        "exited with 1"
    )
    assert repro.error(["  step 1", "lmspec: a: b", "  -> c", failed]) == (
        "lmspec: a: b",
        "  -> c",
    )
    assert repro.error(["x", "Traceback (most recent call last):", "  y", "E: z", failed])[
        0
    ].startswith("Traceback")
    assert repro.error([failed]) == (failed,)
    assert repro.error([str(i) for i in range(99)]) == tuple(str(i) for i in range(89, 99))


def test_as_many_at_once_as_the_cores_have_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stage has its threads; no fewer than one; on a GPU they would share its memory."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(sys, "platform", "linux")

    def jobs(threads: int, device: str) -> int:
        numerics, machine = SimpleNamespace(threads=threads), SimpleNamespace(device=device)
        return scheduler.default_jobs(
            cast(Project, SimpleNamespace(numerics=numerics, machine=machine))
        )

    assert [jobs(1, "cpu"), jobs(3, "cpu"), jobs(16, "cpu"), jobs(1, "cuda")] == [8, 2, 1, 1]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with DVC in it."""
    folder = tmp_path_factory.mktemp("empty")
    miniature.run(folder, "git", "init", "-q")
    with contextlib.chdir(folder):
        Repo.init(".").close()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    return folder


def scratch(empty: Path, folder: Path) -> Path:
    """A project of trivial stages."""
    project = shutil.copytree(empty, folder / "project")
    (folder / "met").mkdir()
    (project / "dvc.yaml").write_text(DVC_YAML)
    for name in ("a.txt", "b.txt"):
        (project / name).write_text(f"{name}\n")
    return project


def test_stages_that_need_not_wait_overlap_and_the_result_is_that_of_dvc_repro(
    empty: Path, tmp_path: Path
) -> None:
    """Two stages that meet do; dvc.lock, outputs and .gitignore are those of `dvc repro`."""
    project, other = (scratch(empty, tmp_path / name) for name in ("one", "two"))
    for name in ("left", "right"):
        (other.parent / "met" / name).touch()
    output = miniature.dvc(other, "repro")
    events = list(scheduler.build(project, scheduler.Schedule(BEFORE, jobs=3), repro.StopSignal()))
    ended = [
        event.stage
        for event in events
        if isinstance(event, repro.End) and event.outcome == repro.BUILT
    ]
    assert sorted(ended) == sorted(BEFORE) and all(
        ended.index(n) < ended.index(s) for s in BEFORE for n in BEFORE[s]
    )
    assert [event.text for event in events if isinstance(event, repro.Line)] == [
        "half",
        "whole",
    ]
    lock = scheduler.in_order((project / "dvc.lock").read_text(), [], miniature.ran(output))
    assert lock == (other / "dvc.lock").read_text()
    for path in project.glob("*.txt"):
        assert path.read_bytes() == (other / path.name).read_bytes()
    assert sorted((project / ".gitignore").read_text().split()) == sorted(
        (other / ".gitignore").read_text().split()
    )
    assert keep.check(project) == ({}, {})
    again = list(scheduler.build(project, scheduler.Schedule({"other": []}), repro.StopSignal()))
    assert [event.outcome for event in again if isinstance(event, repro.End)] == [repro.SAME]


@pytest.fixture(scope="module")
def sources(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes an lmspec project of two sources in a folder; nothing is built yet."""
    made = shutil.copytree(empty, tmp_path_factory.mktemp("sources") / "project")
    for package in ("lmspec", "stages"):
        shutil.copytree(
            miniature.ROOT / package, made / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in (".gitignore", ".dvcignore"):
        shutil.copyfile(miniature.ROOT / name, made / name)
    text = "sources:\n"
    for key in "ab":
        (made / key).write_text(f"this is {key}")
        digest = hashlib.sha256((made / key).read_bytes()).hexdigest()
        text += f"  {key}: {{kind: file, path: {key}, sha256: '{digest}'}}\n"
    text += "numerics: {seed: 3, threads: 1, precision: fp32, instructions: avx2}\n"
    text += "machine: {device: cpu}\n"
    (made / "params.yaml").write_text(text)
    miniature.lmspec(made, "sync")
    return lambda folder: shutil.copytree(made, folder / "project")


def change(path: Path, old: str, new: str) -> None:
    """Replace text that occurs once in a file."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_mistakes_are_reported_before_anything_runs(
    sources: Callable[[Path], Path], tmp_path: Path
) -> None:
    """An unknown artifact, with the nearest name; dvc.yaml out of date; an invalid params.yaml."""
    project = sources(tmp_path)
    assert "there is no artifact 'source.a'\n  -> did you mean 'sources.a'?" in miniature.lmspec(
        project, "build", "source.a", code=1
    )
    change(project / "params.yaml", "  b: {", "  bee: {")
    assert "dvc.yaml: out of date" in miniature.lmspec(project, "build", code=1)
    change(project / "params.yaml", "kind: file, path: a", "kind: fil, path: a")
    assert "did you mean" in miniature.lmspec(project, "build", code=1)
    assert not (project / "data").exists()


def test_a_failure_is_reported_last_and_what_does_not_depend_on_it_can_go_on(
    sources: Callable[[Path], Path], tmp_path: Path
) -> None:
    """The rest is listed as not started, or built with --keep-going. Exit code 1, error last."""
    project = sources(tmp_path)
    (project / "a").write_text("another")
    output = miniature.lmspec(project, "build", "-j", "1", code=1)
    assert "1 failed; 1 not started, since sources-a failed: sources-b" in output
    assert (
        "sources-a failed:\nlmspec: a: its SHA-256 is" in output
        and "failed to reproduce" not in output[output.index("a failed:") :]
    )
    assert "1 built; 1 failed (" in miniature.lmspec(project, "build", "-k", "-j", "2", code=1)


def test_a_build_that_is_stopped_leaves_no_process_and_the_next_one_goes_on(
    sources: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Ctrl-C (to the group) and `kill` (to one process) end all stages; the next build is whole."""
    project = sources(tmp_path)
    stage = project / "stages/sources.py"
    (first,) = (line for line in stage.read_text().splitlines() if line.startswith("def build("))
    change(stage, first + "\n", first + "\n" + WAIT)
    assert stopped(project, lambda build: os.killpg(build.pid, signal.SIGINT)) == 130
    assert stopped(project, lambda build: build.terminate()) == 143
    (project / "go").touch()
    assert "2 built (" in miniature.lmspec(project, "build", "-j", "2")
    assert sorted(path.name for path in (project / "data/sources").iterdir()) == ["a", "b"]


def test_what_a_killed_run_left_is_removed(sources: Callable[[Path], Path], tmp_path: Path) -> None:
    """Its scratch and its half output; of a stage that runs, nothing is touched."""
    project = sources(tmp_path)
    left = [
        project / ".lmspec/run" / stage / "report/x"
        for stage in ("sources-a", "sources-gone", "sources-b")
    ]
    left += [project / "data/sources" / f".{key}.partial/x" for key in ("a", "gone", "b")]
    for file in left:
        file.parent.mkdir(parents=True)
        file.touch()
    (project / ".lmspec/lock").mkdir()
    with (project / ".lmspec/lock/sources-b").open("w") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        output = miniature.lmspec(project, "build", "sources.a")
    assert "removed what killed runs had left: sources-a, sources-gone\n" in output
    assert [file for file in left if file.exists()] == [left[2], left[5]]
    assert "had left: sources-b\n" in miniature.lmspec(project, "build", "sources.a")
    assert "had left" not in miniature.lmspec(project, "build") and not list(
        (project / ".lmspec/run").iterdir()
    )


def test_a_dvc_lock_that_was_cut_short_is_reported(
    sources: Callable[[Path], Path], tmp_path: Path
) -> None:
    """DVC writes dvc.lock in parts: wherever it is cut, it is read, or an error says what to do."""
    project = sources(tmp_path)
    miniature.lmspec(project, "build")
    path = project / "dvc.lock"
    whole = path.read_text()
    ends = [i + 1 for i, sign in enumerate(whole) if sign == "\n"][:12]
    cut = set()
    for end in (0, *ends, *(end - 3 for end in ends)):
        path.write_text(whole[:end])
        try:
            with dvc.stages(project) as found:
                assert all(stage.changes is not None for stage in found)
        except LmspecError as error:
            assert error.place == "dvc.lock" and "cut short" in str(error)
            cut.add(whole[:end])
    assert "" in cut and any(text.endswith("hash: m") for text in cut)
    path.write_text("")
    for command in ("plan", "build", "keep"):
        output = miniature.lmspec(project, command, code=1)
        assert (
            "dvc.lock: it is cut short" in output
            and "`git checkout dvc.lock`, or remove it" in output
            and "Traceback" not in output
        )
    path.unlink()
    miniature.dvc(project, "repro")
    assert path.read_text() == whole
    rwlock = project / dvc.RWLOCK
    rwlock.write_text("")
    output = miniature.lmspec(project, "plan", code=1)
    assert f"{dvc.RWLOCK}: it is cut short" in output and "remove it" in output
    rwlock.unlink()
    assert "2 are up to date" in miniature.lmspec(project, "plan")


def test_a_run_cache_that_a_kill_left_without_a_run_is_put_right(
    sources: Callable[[Path], Path], tmp_path: Path
) -> None:
    """DVC deletes an entry that was cut short, and fails on the folder that it leaves empty."""
    project = sources(tmp_path)
    miniature.dvc(project, "repro")
    lock = (project / "dvc.lock").read_text()
    runs = list((project / ".dvc/cache/runs").glob("*/*/*"))
    assert len(runs) == 2
    for command in ("plan", "build"):
        (project / "dvc.lock").unlink()
        for run in (project / ".dvc/cache/runs").glob("*/*/*"):
            run.unlink()
        assert "join() argument" in miniature.dvc(project, "repro", code=255)
        miniature.lmspec(project, command)
        miniature.dvc(project, "repro")
        assert (project / "dvc.lock").read_text() == lock
        assert sorted((project / ".dvc/cache/runs").glob("*/*/*")) == sorted(runs)


def test_keep_marks_stages_up_to_date_after_a_comment_and_leaves_an_edit(
    sources: Callable[[Path], Path], tmp_path: Path
) -> None:
    """A second comment is compared with the first one, which is in no commit."""
    project = sources(tmp_path)
    miniature.lmspec(project, "build")
    author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    miniature.run(project, "git", "add", "-A")
    miniature.run(project, "git", *author, "commit", "-q", "-m", "built")
    code = project / "stages/sources.py"
    for comment in ("# one\n", "# two\n"):
        code.write_text(comment + code.read_text())
        output = miniature.lmspec(project, "keep")
        assert "stages/sources.py: only comments or layout" in output
        assert "kept sources-a, sources-b" in output
        assert "2 are up to date" in miniature.lmspec(project, "plan")
    code.write_text("X = 1\n" + code.read_text())
    left = "left sources-a: stages/sources.py: changed statements outside its definitions"
    assert left in miniature.lmspec(project, "keep", code=1)


def stopped(project: Path, stop: Callable[[subprocess.Popen[str]], None]) -> int:
    """The exit code of a build stopped while two stages ran; none of its processes is left."""
    command = [sys.executable, "-m", "lmspec", "build", "-j", "2"]
    environment, pipe = miniature.environment(), subprocess.PIPE
    build = subprocess.Popen(
        command, cwd=project, env=environment, stdout=pipe, text=True, start_new_session=True
    )
    until = time.monotonic() + 60
    while (
        len(begun := list(project.glob("begun.*"))) < 2
        and build.poll() is None
        and time.monotonic() < until
    ):
        time.sleep(0.05)
    under_way = len(processes(project))
    stop(build)
    output = build.communicate(timeout=60)[0]
    assert under_way >= 7  # lmspec, and for each stage DVC, its parent and itself
    assert processes(project) == [] and "2 stopped (" in output
    for mark in begun:
        mark.unlink()
    return build.returncode


def processes(folder: Path) -> list[int]:
    """Those that work in a folder or below it."""
    found = [(process.pid, process.info["cwd"]) for process in psutil.process_iter(["cwd"])]
    return [pid for pid, cwd in found if cwd and Path(cwd).is_relative_to(folder)]


@pytest.mark.slow
def test_a_project_built_side_by_side_is_the_same_to_the_byte(built: Path, tmp_path: Path) -> None:
    """Every noun, two stages at once: outputs and dvc.lock as `dvc repro` gives, bar `speed`."""
    project = miniature.make(tmp_path / "miniature")
    assert "up to date" not in miniature.lmspec(project, "build", "-j", "2")
    one, two = miniature.fingerprints(built), miniature.fingerprints(project)
    measured = [
        "data/metrics/speed-release.json",
        "data/metrics/speed-release/rounds.csv",
        "data/provenance/speed-release.json",
    ]
    assert [one.pop(path) == two.pop(path) for path in measured] == [False] * 3
    assert one == two and len(one) > 60
    one_lock, two_lock = (
        YAML(typ="safe").load(folder / "dvc.lock")["stages"] for folder in (built, project)
    )
    assert list(one_lock) == list(two_lock)
    assert [name for name in one_lock if one_lock[name] != two_lock[name]] == ["speed-release"]
    assert miniature.ran(miniature.dvc(project, "repro")) == []
