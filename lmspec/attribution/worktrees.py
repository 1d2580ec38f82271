"""worktrees: mixes of two commits, each built in its own git worktree with the project's cache.

The project's folder, index, branches and dvc.lock are not touched. Stages that a mix shares with
either commit, or with a mix built before, come from DVC's cache.
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lmspec.attribution import factors
from lmspec.attribution.design import Mix
from lmspec.compare.revision import Revision
from lmspec.errors import LmspecError
from lmspec.git import command as git
from lmspec.pipeline import compiler, durations, repro, subprocesses
from lmspec.run import declaration, recorder
from lmspec.specs import blocks

LOGS = Path(".lmspec/attribute")
RUNNING = re.compile(r"Running stage '(.*)':$")
NO_CACHE = (
    "mixes are built with DVC's cache: run `dvc init` if there is no .dvc yet, "
    "else repair .dvc/config"
)
PATIENCE_SECONDS = 10  # from the interrupt of a build to its kill
# if a caller sets these, they would lead a process in a worktree back to the project
DROPPED = {"PYTHONSAFEPATH", "DVC_STAGE", "DVC_ROOT"}


def params(baseline: Mapping[str, Any], candidate: Mapping[str, Any], mix: Mix) -> dict[str, Any]:
    """params.yaml of a mix, from those of the commits: each section as its factor is, no gates.

    A section brings the blocks that it uses, so that DVC's cache has what either commit built; if
    the other commit has another block of that name, its values are written out. Data that one
    commit alone has comes with that commit's spec, too, since that may refer to it.
    """
    merged: dict[str, Any] = {}
    named: dict[str, Any] = {}

    def taken(section: Any, values: Mapping[str, Any]) -> Any:
        """Of a commit whose params.yaml has those values."""
        own = blocks.of(values)
        used = {block: own[block] for block in blocks.used(section, own)}
        if any(not declaration.same(named.get(b, value), value) for b, value in used.items()):
            return blocks.resolved(section, own)
        named.update(used)
        return section

    spec = candidate if factors.SPEC in mix else baseline
    for name in {**baseline, **candidate}:
        factor = factors.of_section(name)
        values = candidate if factor in mix else baseline
        if factor is not None and name in values:
            merged[name] = taken(values[name], values)
        if factor == factors.DATA and isinstance(others := spec.get(name), dict):
            own = merged.get(name) or {}
            alone = {key: others[key] for key in others if key not in own}
            merged[name] = {**own, **taken(alone, spec)}
    return merged | ({blocks.SECTION: named} if named else {})


class Workshop:
    """Where the mixes of two commits of a project are built.

    root    the project's
    folder  for the worktrees
    """

    def __init__(self, root: Path, folder: Path, baseline: Revision, candidate: Revision) -> None:
        self.root, self._folder = root, folder
        self.baseline, self.candidate = baseline, candidate
        self._prefix = git.text(root, "rev-parse", "--show-prefix").strip()
        self._cache = _run_module(root, "dvc", "cache", "dir", remedy=NO_CACHE).strip()

    def tree(self, mix: Mix) -> Path:
        """The worktree of a mix."""
        return self._folder / "+".join(sorted(mix, key=factors.FACTORS.index))

    def place(self, mix: Mix) -> Path:
        """The project in the worktree."""
        return self.tree(mix) / self._prefix

    def lay(self, mix: Mix) -> Path:
        """Make a worktree with the files of a mix, nothing built. Returns the project in it.

        Raises LmspecError if the commits do not mix in this way.
        """
        old, new = str(self.baseline.commit), str(self.candidate.commit)
        # without hooks: DVC's would check data out
        command = f"-c core.hooksPath={os.devnull} worktree add --quiet --detach".split()
        git.text(self.root, *command, str(self.tree(mix)), old)
        place = self.place(mix)
        raw = factors.raw_files(self.baseline, self.candidate)
        if factors.CODE in mix:
            restore(place, old, new, factors.code_files(self.baseline, self.candidate))
        if changed := self._raw_of_candidate(mix):
            restore(place, old, new, changed)
        values = params(self.baseline.params, self.candidate.params, mix)
        (place / "params.yaml").write_text(compiler.text_of(values), encoding="utf-8")
        self._lend(place, raw)
        _run_module(place, "lmspec", "sync")
        return place

    def _raw_of_candidate(self, mix: Mix) -> list[str]:
        """Files of sources that a mix has as in the candidate; see `params`."""
        old, new = (set(factors.raw_files(side)) for side in (self.baseline, self.candidate))
        files = old | new if factors.DATA in mix else set()
        files = files | (new - old) if factors.SPEC in mix else files - (old - new)
        return sorted(files)

    def build(self, mix: Mix, stages: Sequence[str]) -> Iterator[str]:
        """Yield the stages that run, as they start. Raises LmspecError, which names the log."""
        tree = self.tree(mix)
        log = self.root / LOGS / f"{tree.name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        with log.open("w", encoding="utf-8") as stream, _build(self.place(mix), stages) as process:
            for line in process.stdout or ():
                stream.write(line)
                lines.append(line.rstrip("\n"))
                if match := RUNNING.match(lines[-1]):
                    yield match[1]
        if process.returncode:
            remedy = f"{log.relative_to(self.root)} has the whole output"
            raise LmspecError(tree.name, repro.reason(lines), remedy)

    def remove(self, *trees: Path) -> None:
        """Remove worktrees."""
        for tree in trees:
            shutil.rmtree(tree, ignore_errors=True)
        git.text(self.root, "worktree", "prune")

    def close(self) -> None:
        """Remove all worktrees that are left."""
        self.remove(*self._folder.iterdir())

    def _lend(self, place: Path, raw: Sequence[str]) -> None:
        """Give a worktree the project's cache, its run log, and source files that git ignores.

        The spec has the hash of such a file, so a wrong one is noticed.
        """
        config = configparser.ConfigParser(interpolation=None)
        config.read(self.root / ".dvc/config.local", encoding="utf-8")
        links = config.get("cache", "type", fallback=None)
        config.clear()
        config["cache"] = {"dir": self._cache} | ({"type": links} if links else {})
        config["core"] = {"site_cache_dir": str(self._folder / ".site")}
        (place / ".dvc").mkdir(exist_ok=True)
        with (place / ".dvc/config.local").open("w", encoding="utf-8") as stream:
            config.write(stream)
        logs = (self.root / durations.FOLDER).glob("*.jsonl")
        logged = [path.relative_to(self.root).as_posix() for path in logs]
        for path in (".dvc/config", *logged, *raw):
            _copy(self.root / path, place / path)


@contextlib.contextmanager
def workshop(root: Path, baseline: Revision, candidate: Revision) -> Iterator[Workshop]:
    """A place for mixes, removed at the end, also on SIGTERM and when the terminal closes."""

    handlers = {
        number: signal.signal(number, lambda number, frame: sys.exit(128 + number))
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        with tempfile.TemporaryDirectory(prefix="lmspec-", ignore_cleanup_errors=True) as folder:
            shop = Workshop(root, Path(folder).resolve(), baseline, candidate)
            with contextlib.closing(shop):
                yield shop
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _copy(source: Path, target: Path) -> None:
    """A file or folder, if it exists and its target does not."""
    if source.exists() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


def restore(place: Path, old: str, new: str, paths: Sequence[str]) -> None:
    """Set paths of a worktree to what they are in commit `new`; files that it lacks are deleted."""
    listed = [
        git.text(place, "ls-tree", "-z", "--name-only", commit, "--", *paths)
        for commit in (old, new)
    ]
    known = {path for rows in listed for path in rows.split("\0") if path}
    if known:  # git refuses a path that neither commit has
        source = ("--source", new, "--staged", "--worktree", "--quiet")
        git.text(place, "restore", *source, "--", *sorted(known))


def _environment(place: Path) -> dict[str, str]:
    """For a process in a worktree: its own code and this interpreter first."""
    kept = {name: value for name, value in os.environ.items() if name not in DROPPED}
    python = os.pathsep.join(filter(None, (str(place), kept.get("PYTHONPATH"))))
    quiet = {recorder.VARIABLE: recorder.OFF}  # it only measures
    return subprocesses.environment({**kept, **quiet, "PYTHONPATH": python})


def _run_module(
    place: Path, *arguments: str, remedy: str = "the two commits do not mix in this way"
) -> str:
    """Standard output of a module of the worktree's own code. Raises LmspecError if it fails."""
    process = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=place,
        env=_environment(place),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        output = process.stderr.strip() or process.stdout.strip()
        raise LmspecError(" ".join(arguments), repro.reason(output.splitlines()), remedy)
    return process.stdout


@contextlib.contextmanager
def _build(place: Path, stages: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """`dvc repro` in a worktree; leaving early interrupts its process group, then kills it."""
    process = subprocesses.repro(place, *stages, env=_environment(place))
    try:
        yield process
        process.wait()
    finally:
        for number, seconds in ((signal.SIGINT, PATIENCE_SECONDS), (signal.SIGKILL, None)):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(seconds)
