"""worktrees: mixes of two commits, each in a git worktree of its own outside of the project, built with the project's cache.

The project's own folder, its index, its branches and its dvc.lock stay as they are. Stages that a mix shares with either commit,
or with a mix that was built before, come from DVC's cache.
"""

import configparser
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from lmspec.attribution import factors as causes
from lmspec.errors import LmspecError
from lmspec.git import command as git
from lmspec.pipeline import compiler, durations, plan, repro, subprocesses

LOGS = Path(".lmspec/attribute")
RUNNING = re.compile(r"Running stage '(.*)':$")
NO_CACHE = "mixes are built with DVC's cache: run `dvc init` if there is no .dvc yet, else mend .dvc/config"
PATIENCE_SECONDS = 10  # from the interrupt of a build to its end by force
# of a caller, such as a git hook: they would lead git in a worktree back to the project
OF_GIT = (
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_WORK_TREE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
)


@dataclass(frozen=True)
class Mix:
    """What a hybrid is made of.

    old, new  hashes of the commits
    factors   those that are as in the new one
    params    the values of its params.yaml
    raw       files and folders that sources of either commit name
    code      those that stages of either commit execute
    """

    old: str
    new: str
    factors: Collection[str]
    params: Mapping[str, Any]
    raw: Sequence[str]
    code: Sequence[str]

    @property
    def name(self) -> str:
        """Of its folder and its log."""
        return "+".join(name for name in causes.FACTORS if name in self.factors) or "old"


def params(
    old: Mapping[str, Any], new: Mapping[str, Any], factors: Collection[str]
) -> dict[str, Any]:
    """Of a mix: each section as a whole from the side of its factor; `machine` fits the code. Gates build nothing.

    old, new  values of params.yaml
    """
    sides = {factor: new if factor in factors else old for factor in causes.FACTORS}
    found = {name: value for name, value in sides[causes.DATA].items() if causes.is_data(name)}
    found |= {
        name: v
        for name, v in sides[causes.SPEC].items()
        if not causes.is_data(name) and name not in causes.OF_NONE
    }
    return found | {name: value for name, value in sides[causes.CODE].items() if name == "machine"}


class Workshop:
    """Where the hybrids of a project are made. root: the project's."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self._folder = root, folder
        self._prefix = _git(root, "rev-parse", "--show-prefix").strip()
        self._cache = _run_own(root, "dvc", "cache", "dir", remedy=NO_CACHE).strip()
        self._trees: dict[Path, Path] = {}  # the project in a worktree -> the worktree

    def lay(self, mix: Mix) -> Path:
        """A worktree with the mix in it, nothing built. Where the project lies there. Raises LmspecError if it cannot be."""
        tree = self._folder / mix.name
        # no hook: DVC's would check data out
        _git(
            self.root,
            "-c",
            f"core.hooksPath={os.devnull}",
            "worktree",
            "add",
            "--quiet",
            "--detach",
            str(tree),
            mix.old,
        )
        place = tree / self._prefix
        self._trees[place] = tree
        if causes.CODE in mix.factors:
            _restore(place, mix, mix.code)
        if causes.DATA in mix.factors:
            _restore(place, mix, mix.raw)
        (place / "params.yaml").write_text(compiler.text_of(dict(mix.params)), encoding="utf-8")
        self._lend(place, mix.raw)
        _run_own(place, "lmspec", "sync")
        return place

    def forecast(self, place: Path, stages: Sequence[str]) -> list[plan.Step]:
        """What building some stages of a hybrid takes."""
        return plan.plan(place, tuple(stages))

    def build(self, place: Path, stages: Sequence[str]) -> Iterator[str]:
        """The stages that run, as they start. Raises LmspecError, with the line that tells what went wrong, and names the log."""
        log = self.root / LOGS / f"{self._trees[place].name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *stages]
        with log.open("w", encoding="utf-8") as stream, _process(command, place, stream) as process:
            for line in _lines(log, process):
                if match := RUNNING.match(line):
                    yield match[1]
        if process.returncode:
            said = _why(log.read_text(encoding="utf-8", errors="replace").splitlines())
            raise LmspecError(
                self._trees[place].name, said, f"{log.relative_to(self.root)} has all of it"
            )

    def drop(self, place: Path) -> None:
        """Remove a hybrid's worktree."""
        shutil.rmtree(self._trees.pop(place), ignore_errors=True)
        _git(self.root, "worktree", "prune")

    def close(self) -> None:
        """Remove all that are left."""
        for tree in self._folder.iterdir():
            shutil.rmtree(tree, ignore_errors=True)
        _git(self.root, "worktree", "prune")

    def _lend(self, place: Path, raw: Sequence[str]) -> None:
        """The project's cache, the times of its stages, and raw files that git does not keep: the hash in the spec tells."""
        local = configparser.ConfigParser(interpolation=None)
        local.read(self.root / ".dvc" / "config.local", encoding="utf-8")
        links = {"type": local["cache"]["type"]} if local.has_option("cache", "type") else {}
        lent = configparser.ConfigParser(interpolation=None)
        lent["cache"] = {**links, "dir": self._cache}
        lent["core"] = {"site_cache_dir": str(self._folder / ".site")}
        (place / ".dvc").mkdir(exist_ok=True)
        _copy(self.root / ".dvc" / "config", place / ".dvc" / "config")
        with (place / ".dvc" / "config.local").open("w", encoding="utf-8") as stream:
            lent.write(stream)
        for path in (durations.FOLDER.as_posix(), *raw):
            _copy(self.root / path, place / path)


@contextlib.contextmanager
def workshop(root: Path) -> Iterator[Workshop]:
    """A place for hybrids; what was laid there is removed at the end, however it comes: `kill` and a closed terminal too."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        with tempfile.TemporaryDirectory(prefix="lmspec-", ignore_cleanup_errors=True) as folder:
            made = Workshop(root, Path(folder).resolve())
            try:
                yield made
            finally:
                made.close()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _copy(source: Path, target: Path) -> None:
    """A file or folder, where there is one and the other place has none."""
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target)
    elif source.is_file() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _restore(place: Path, mix: Mix, paths: Sequence[str]) -> None:
    """Make some paths what they are in the new commit: files of the old one that it lacks go."""
    listed = (
        [
            _git(place, "ls-tree", "-z", "--name-only", commit, "--", *paths)
            for commit in (mix.old, mix.new)
        ]
        if paths
        else []
    )
    there = sorted({path for text in listed for path in text.split("\0") if path})
    if there:
        _git(
            place,
            "--literal-pathspecs",
            "restore",
            "--quiet",
            "--source",
            mix.new,
            "--staged",
            "--worktree",
            "--",
            *there,
        )


def _environment(place: Path) -> dict[str, str]:
    """Of a process in a hybrid: its own code first, this interpreter, nothing of the project's git."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in (*OF_GIT, "PYTHONSAFEPATH", "DVC_STAGE", "DVC_ROOT")
    }
    python = os.pathsep.join(filter(None, (str(place), os.environ.get("PYTHONPATH"))))
    return subprocesses.environment({**kept, "PYTHONPATH": python})


def _git(place: Path, *arguments: str) -> str:
    return git.text(place, *arguments, environment=_environment(place))


def _run_own(
    place: Path, *arguments: str, remedy: str = "the two commits do not mix in this way"
) -> str:
    """What a command of the hybrid's own code prints. Raises LmspecError with the line that tells what went wrong."""
    command = [sys.executable, "-m", *arguments]
    run = subprocess.run(
        command, cwd=place, env=_environment(place), capture_output=True, text=True, check=False
    )
    if run.returncode:
        said = _why((run.stderr.strip() or run.stdout.strip()).splitlines())
        raise LmspecError(" ".join(arguments), said, remedy)
    return run.stdout


def _why(lines: Sequence[str]) -> str:
    """The line that tells why: the first of an error of ours, the last of a traceback."""
    own = [line.strip() for line in repro.error(list(lines)) if line.strip()] or ["it said nothing"]
    return own[-1] if own[0].startswith("Traceback") else own[0].removeprefix("lmspec: ")


@contextlib.contextmanager
def _process(
    command: Sequence[str], place: Path, stream: Any
) -> Iterator["subprocess.Popen[bytes]"]:
    """A build in a process group of its own; whoever leaves early stops all of it, and waits for its end."""
    process = subprocess.Popen(
        command,
        cwd=place,
        env=_environment(place),
        stdin=subprocess.DEVNULL,
        stdout=stream,
        stderr=subprocess.STDOUT,
        process_group=0,
        preexec_fn=subprocesses.die_with_parent,
    )
    try:
        yield process
        process.wait()
    finally:
        for number, seconds in ((signal.SIGINT, PATIENCE_SECONDS), (signal.SIGKILL, None)):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(seconds)


def _lines(log: Path, process: "subprocess.Popen[bytes]") -> Iterator[str]:
    """What is written to a log until a process ends."""
    with log.open(encoding="utf-8", errors="replace") as stream:
        rest = ""
        while True:
            ended = process.poll() is not None
            *lines, rest = (rest + stream.read()).split("\n")
            yield from lines
            if ended:
                return
            time.sleep(repro.POLL_SECONDS)
