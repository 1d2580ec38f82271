"""Kills: a killed build leaves nothing running, and the next one gives the same bytes."""

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lmspec.errors import LmspecError
from lmspec.pipeline import dvc, leftovers, run_cache
from tests import miniature, planting

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc")

GRACE_SECONDS = 5.0  # until all is gone; DVC itself takes half a second to end
POLL_SECONDS = 0.02  # a look at /proc takes some of them
START_SECONDS = 0.15  # of Python, before a stage looks at the clock
END_SECONDS = 0.3  # of DVC, which moves outputs into its cache and writes dvc.lock
TARGETS = ("stage", "child", "dvc", "group")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)


@dataclass(frozen=True)
class Process:
    """One that runs in a project, and is no zombie. stage: its name, if it is `python -m lmspec.run
    <noun> <name>`."""

    pid: int
    parent: int
    command: str
    stage: str | None


@dataclass(frozen=True)
class Hit:
    """A kill. at: seconds after the start of the stage; gone: seconds from the kill until nothing
    was left."""

    stage: str
    target: str
    signal: signal.Signals
    at: float
    gone: float


def processes(project: Path) -> list[Process]:
    """All that work in the project's folder, or name it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        pid = int(place.name)
        with contextlib.suppress(OSError):
            words = (
                (place / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            )
            if str(project) in f"{(place / 'cwd').readlink()} {' '.join(words)}":
                state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
                if state not in "ZX" and pid != os.getpid():
                    found.append(Process(pid, int(parent), " ".join(words), stage_of(words)))
    return found


def stage_of(words: list[str]) -> str | None:
    """`splits-old` for a process that is `python -m lmspec.run splits old`."""
    return "-".join(words[-2:]) if words[-4:-2] == ["-m", "lmspec.run"] else None


def victims(project: Path) -> dict[str, Process]:
    """`stage`: the process that DVC has started; `child`: the one that this has forked."""
    running = [process for process in processes(project) if process.stage]
    own = {process.pid for process in running}
    return {"child" if process.parent in own else "stage": process for process in running}


def wait_until(done: Callable[[], object], seconds: float) -> bool:
    """Has it come true in that time?"""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(POLL_SECONDS)
    return True


def output_of(project: Path) -> Path:
    """Path of the last command's output."""
    return project.parent / "output"


@contextlib.contextmanager
def started(project: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own, its output to a file; afterwards nothing is left
    running."""
    with output_of(project).open("w") as out:
        first = subprocess.Popen(
            command,
            cwd=project,
            env=miniature.environment(),
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield first
    finally:
        for process in processes(project):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        first.wait(GRACE_SECONDS)


def send(
    number: signal.Signals, target: str, repro: subprocess.Popen[bytes], project: Path, stage: str
) -> bool:
    """Send a signal to the whole session, to DVC, or to a process of the stage, once it has that.

    False: it was over before.
    """
    if target in ("dvc", "group"):
        if repro.poll() is None:
            (os.killpg if target == "group" else os.kill)(repro.pid, number)
        return repro.returncode is None
    while (found := victims(project)) and {process.stage for process in found.values()} == {stage}:
        if target in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[target].pid, number)
                return True
        time.sleep(POLL_SECONDS)
    return False


def kill_once(
    project: Path,
    what: list[str],
    quota: Counter[str],
    moments: dict[str, float],
    how: tuple[str, signal.Signals],
) -> Hit | None:
    """Start `dvc repro`, and kill it when it runs a stage of the quota, `moments` of it after that
    began.

    Asserts that nothing is left running. None if that stage had ended before the signal.
    """
    target, number = how
    done: set[str] = set()
    sent = False
    with started(project, sys.executable, "-m", "dvc", "repro", *what) as repro:
        while repro.poll() is None:
            stage = next(
                (process.stage for process in victims(project).values() if process.stage), None
            )
            if stage is None or stage in done or not quota[stage]:
                time.sleep(POLL_SECONDS)
                continue
            done.add(stage)
            time.sleep(moments[stage])
            killed = time.monotonic()
            if not send(number, target, repro, project, stage):
                continue
            sent = True
            if moved_on(repro, project, stage):
                continue  # the signal came when all was done
            gone = wait_until(
                lambda: repro.poll() is not None and not processes(project), GRACE_SECONDS
            )
            assert gone, f"{number.name} to {target} in {stage} left {processes(project)}"
            if repro.returncode == 0:
                return None
            return Hit(stage, target, number, moments[stage], time.monotonic() - killed)
    assert sent or repro.returncode == 0, (
        f"`dvc repro` failed without a kill:\n{output_of(project).read_text()}"
    )
    return None


def moved_on(repro: subprocess.Popen[bytes], project: Path, stage: str) -> bool:
    """After a kill: does another stage run? Waits until one does, or DVC has ended."""
    wait_until(lambda: repro.poll() is not None or running(project) - {stage}, GRACE_SECONDS)
    return repro.poll() is None and bool(running(project) - {stage})


def running(project: Path) -> set[str]:
    """Names of the stages that run."""
    return {process.stage for process in processes(project) if process.stage}


def kill_often(project: Path, goal: list[str], quota: Counter[str], seed: int) -> list[Hit]:
    """Kill builds as often as the quota says, of each stage, at moments drawn from its length, with
    each pair in turn.

    A stage that was over too early is killed in a run of its own.
    """
    rng = random.Random(seed)
    pairs = list(itertools.product(TARGETS, SIGNALS))
    rng.shuffle(pairs)
    hits: list[Hit] = []
    what = goal
    while quota.total():
        target, number = pairs[len(hits) % len(pairs)]
        over = END_SECONDS if target in ("dvc", "group") else 0.0
        moments = {
            stage: rng.uniform(0, seconds + over) for stage, seconds in lengths(project).items()
        }
        hit = kill_once(project, what, quota, moments, (target, number))
        if hit is None:
            what = ["--force", "--single-item", next(stage for stage in quota if quota[stage])]
        else:
            what = goal
            hits.append(hit)
            quota[hit.stage] -= 1
        repair(project)
    return hits


def repair(project: Path) -> None:
    """As `lmspec plan` advises and does it: DVC empties these files before it writes them, so that
    a kill in that moment cuts one short."""
    run_cache.RunCache(dvc.caches(project)[1]).remove_empty()
    rwlock = project / dvc.RWLOCK
    try:
        json.loads(rwlock.read_text() if rwlock.exists() else "{}")
    except ValueError:
        rwlock.unlink()
    try:
        dvc.require_whole_lock(project)
    except LmspecError:
        (project / "dvc.lock").unlink()


def lengths(project: Path) -> dict[str, float]:
    """Stage -> seconds of the last run that was not killed, as `lmspec plan` knows them."""
    notes = {
        file.stem: file.read_text().splitlines()[-1]
        for file in (project / ".lmspec/runs").glob("*.jsonl")
    }
    return {stage: START_SECONDS + json.loads(line)["seconds"] for stage, line in notes.items()}


def unbuilt(built: Path, folder: Path) -> Path:
    """A copy in which nothing has been built: no data, no dvc.lock, nothing in DVC's cache."""
    shutil.copytree(
        built,
        folder,
        symlinks=True,
        ignore=shutil.ignore_patterns("cache", "tmp", "data", "dvc.lock", "__pycache__"),
    )
    return folder.resolve()


def graph(project: Path) -> dict[str, dict[str, Any]]:
    """The stages of dvc.yaml."""
    stages: dict[str, dict[str, Any]] = YAML(typ="safe").load(project / "dvc.yaml")["stages"]
    return stages


def locked(project: Path) -> dict[str, object]:
    """The stages of dvc.lock."""
    stages: dict[str, object] = YAML(typ="safe").load(project / "dvc.lock")["stages"]
    return stages


def require_same(project: Path, built: Path, stages: list[str]) -> None:
    """The outputs of these stages, and what DVC knows of them, are those of the undisturbed build,
    and there is nothing else.

    What a killed run left of a stage that then came from DVC's cache is removed as `lmspec build`
    does it.
    """
    leftovers.sweep(project)
    declared = [
        out
        for stage in stages
        for kind in ("outs", "metrics", "plots")
        for out in graph(project)[stage].get(kind, ())
    ]
    outs = [Path(name) for out in declared for name in ([out] if isinstance(out, str) else out)]
    undisturbed = {
        path: digest
        for path, digest in miniature.fingerprints(built).items()
        if any(Path(path).is_relative_to(out) for out in outs)
    }
    found = miniature.fingerprints(project)
    for measured in [path for path in found if "/speed-" in path]:
        assert found.pop(measured) != undisturbed.pop(measured)
    assert found == undisturbed
    assert {Path(path).parts[1] for path in found} >= {
        "provenance",
        *(stage.partition("-")[0] for stage in stages),
    } - {"speed"}
    one, two = locked(project), locked(built)
    unmeasured = [stage for stage in stages if not stage.startswith("speed-")]
    assert {stage: one[stage] for stage in unmeasured} == {
        stage: two[stage] for stage in unmeasured
    }
    assert list((project / ".lmspec/run").iterdir()) == [] and processes(project) == []


def test_a_build_that_was_killed_goes_on_to_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """Eight kills in three short stages, each pair of a signal and what it goes to: nothing is left
    running, and in the end
    everything is as if nothing had happened."""
    project = unbuilt(built, tmp_path / "project")
    stages = ["sources-old", "corpus-old", "splits-old"]
    (project / "dvc.yaml").write_text(
        json.dumps({"stages": {stage: graph(built)[stage] for stage in stages}})
    )
    hits = kill_often(project, [], Counter(dict(zip(stages, (2, 3, 3), strict=True))), seed=1)
    assert {(hit.target, hit.signal) for hit in hits} == set(itertools.product(TARGETS, SIGNALS))
    assert {hit.stage for hit in hits} == set(stages)
    miniature.dvc(project, "repro")
    require_same(project, built, stages)


@pytest.mark.slow
def test_thirty_kills_over_all_stages_leave_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """Each stage is killed at least once, at any moment of it, and the whole project is as if
    nothing had happened."""
    project = unbuilt(built, tmp_path / "project")
    stages = list(graph(project))
    quota = Counter(stages) + Counter(random.Random(2).sample(stages, 30 - len(stages)))
    hits = kill_often(project, [], quota, seed=2)
    for hit in hits:
        print(
            f"{hit.signal.name} to {hit.target} of {hit.stage} after {hit.at:.2f} s: "
            f"gone in {hit.gone:.2f} s"
        )
    assert len(hits) == 30 and {hit.stage for hit in hits} == set(stages)
    assert {(hit.target, hit.signal) for hit in hits} == set(itertools.product(TARGETS, SIGNALS))
    miniature.dvc(project, "repro")
    require_same(project, built, stages)
    assert miniature.ran(miniature.dvc(project, "repro")) == []


ENDLESS = """
    import multiprocessing

    multiprocessing.get_context("spawn").Process(target=hold, args=(Path.home(),)).start()
    while True:
        pass
"""
WORKER = """

def hold(home: Path) -> None:
    import time

    (home / "ready").touch()
    time.sleep(3974)


STAGE = """


@pytest.fixture(scope="module")
def endless(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which splits-old starts a worker and does not end."""
    project = tmp_path_factory.mktemp("endless") / "project"
    shutil.copytree(built, project, symlinks=True)
    script = project / "stages/splits.py"
    text = script.read_text()
    endless = f"{ENDLESS}\n{planting.MARK}"
    for mark, planted in ((planting.MARK, endless), ("\nSTAGE = ", WORKER)):
        assert text.count(mark) == 1
        text = text.replace(mark, planted)
    script.write_text(text)
    return project.resolve()


# (killed, left running without the guard, file, guard, what replaces it)
GUARDS = [
    ("stage", "child", "supervisor", "            lifetime.die_with_parent(supervisor)\n", ""),
    ("stage", "worker", "worker", "    lifetime.watch_parent()\n", ""),
    ("starter", "stage", "supervisor", "if os.getppid() != starter:\n", "if False:\n"),
]


@pytest.mark.parametrize(("target", "orphan", "file", "guard", "without"), GUARDS)
def test_without_its_guard_an_orphan_is_found(
    endless: Path, target: str, orphan: str, file: str, guard: str, without: str
) -> None:
    """Negative control of the tests above: a process that nothing ties to its parent stays."""
    path = endless / f"lmspec/run/{file}.py"
    text = path.read_text()
    assert text.count(guard) == 1
    assert survivors(endless, target) == []
    path.write_text(text.replace(guard, without))
    try:
        assert orphan in survivors(endless, target)
    finally:
        path.write_text(text)


def survivors(project: Path, target: str) -> list[str]:
    """Processes of a build that still run two seconds after SIGKILL to one of them."""
    ready = project / ".lmspec/run/splits-old/ready"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "lmspec.run", "splits", "old"]
    starter = f"import subprocess; subprocess.run({command})"
    with started(project, sys.executable, "-c", starter) as first:
        assert wait_until(ready.exists, 30) and victims(project).keys() == {"stage", "child"}
        (worker,) = (p for p in processes(project) if "--multiprocessing-fork" in p.command)
        pids = {role: process.pid for role, process in victims(project).items()}
        pids |= {"starter": first.pid, "worker": worker.pid}
        os.kill(pids[target], signal.SIGKILL)
        wait_until(lambda: first.poll() is not None and not processes(project), 2)
        running = {process.pid for process in processes(project)}
        return [role for role, pid in pids.items() if pid in running]
