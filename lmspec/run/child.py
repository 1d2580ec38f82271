"""child: the process that builds a stage, in a sandbox.

It imports the stage script, and what the script imports, only after the sandbox is closed.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter

from lmspec.errors import LmspecError, harmless
from lmspec.methods import curves
from lmspec.methods.resume import Resume
from lmspec.run import (
    building,
    denial,
    faults,
    inputs,
    installed,
    interpreter,
    recorder,
    sandbox,
    surroundings,
    system,
    toolchain,
    worker,
)
from lmspec.run.building import Built
from lmspec.run.declaration import Declaration
from lmspec.run.ranks import Rank

REPORT_SECONDS = 1.0  # by when the supervisor has noticed the death of another rank


@dataclass(frozen=True)
class Job:
    """What the supervisor hands to the child.

    values     file -> name -> value of the parameters
    temporary  folder for temporary files, outside the project: a socket's path must be short
    advice     how to restore the previous output if DVC has deleted it
    resume     where a training may keep what it needs to go on after a kill
    progress   file, in its scratch folder, for what a training tells of itself
    rank       which of several processes that train together; None: it is alone
    alone      do those have a network of their own?
    """

    root: Path
    declared: Declaration
    values: Mapping[str, Mapping[str, Any]]
    temporary: Path
    advice: str
    resume: Resume | None = None
    progress: Path | None = None
    rank: Rank | None = None
    alone: bool = False

    @property
    def beside(self) -> bool:
        """Does another process write the output?"""
        return self.rank is not None and not self.rank.first_here

    @property
    def out(self) -> Path:
        """Where it builds: of those that train together only one in the place of the output."""
        if self.rank is None or self.rank.first_here:
            return self.declared.partial
        return self.temporary / f"rank-{self.rank.here}"

    @property
    def log(self) -> Path:
        """What a process prints beside which another one writes the output."""
        return self.out.with_suffix(".log")


@dataclass(frozen=True)
class Result:
    """What the child tells the supervisor when a build succeeds.

    sandbox  what enforced it: `kernel`, `unenforced`, or `open` where a stage may use the network
    loaded   top-level names of the installed packages that were imported
    """

    sandbox: str
    loaded: list[str]
    built: Built


def run(job: Job, channel: IO[bytes]) -> int:
    """Close the sandbox, build, and write the result to the channel. Returns the exit code.

    If a file of the system was refused, its path goes to the channel: the hash that declares it
    cannot be computed here.
    """
    if job.beside:
        _step_aside(job)
    fetches = job.declared.fetches
    packages = None if fetches else installed.limit(job.declared.packages)
    allowed = allowed_to(job, packages)
    try:
        enforced_by = sandbox.OPEN if fetches else _close(job, allowed)
        _prepare_workers()
        built = building.build(job.root, job.declared, job.values, job.resume, job.out, job.rank)
        loaded = toolchain.loaded(job.root)
        if packages is not None:
            packages.require(loaded)
        if not job.beside:
            channel.write(TypeAdapter(Result).dump_json(Result(enforced_by, loaded, built)))
            channel.flush()
        return 0
    except Exception as error:
        _let_others_report(job, error)
        denied = denial.denied(error, allowed, job.root) if packages else None
        explained = _explained(error, denied, job, packages)
        if explained is None:
            raise
        print(harmless(f"lmspec: {explained}{job.advice}"), file=sys.stderr)
        if denied is not None and denied.of_system and not job.beside:
            channel.write(os.fsencode(denied.path))
            channel.flush()
        return 1


def _prepare_workers() -> None:
    """Let each worker that multiprocessing spawns import `lmspec`, and that module of it first.

    An editable lmspec is found by a file among the packages, which no stage may read.
    """
    sys.modules["__main__"].__spec__ = worker.__spec__
    where = str(interpreter.PACKAGE.parent)
    if where not in sys.path:
        sys.path.append(where)


def _let_others_report(job: Job, error: Exception) -> None:
    """Wait until this process would have been killed, if the error is that another one died.

    What all of them find, the one says that writes the output.
    """
    if job.rank is not None and not (isinstance(error, LmspecError) and not job.beside):
        time.sleep(REPORT_SECONDS * (2 if job.beside else 1))
    if job.beside:
        os.truncate(job.log, 0)  # its progress is that of the first one


def _step_aside(job: Job) -> None:
    """Print into a file, and leave it to the rank that writes the output to stop on a signal."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)


def _close(job: Job, allowed: sandbox.Allowed) -> str:
    root = job.root.resolve()
    home = str(root / job.declared.scratch)
    os.environ.update({"TMPDIR": str(job.temporary), "HOME": home, "XDG_CACHE_HOME": home})
    os.environ.pop(recorder.VARIABLE, None)
    if job.progress:
        os.environ[curves.VARIABLE] = str(job.progress.absolute())
    tempfile.tempdir = None  # forget the supervisor's
    enforced_by = sandbox.close(allowed)
    # every stage may write to /dev/shm, so a project in there has no sandbox
    exposed = any(root.is_relative_to(place) for place in allowed.write)
    return sandbox.UNENFORCED if exposed else enforced_by


def allowed_to(job: Job, packages: installed.Packages | None) -> sandbox.Allowed:
    """What the build of a stage may touch. packages: those that it may import."""
    root, declared = job.root.resolve(), job.declared
    # with DVC's `cache.type symlink` inputs are links into the cache
    links = (file for file in inputs.files(root, declared) if file.is_symlink())
    own = [
        *(root / dep for dep in declared.deps),
        *links,
        *(interpreter.file_of(name) for name in declared.modules),
        *(path for path, _ in system.files(job.values)),
    ]
    made = [root / declared.scratch, job.temporary]
    kept = [job.resume.folder] if job.resume else []
    if job.beside:
        own += kept
    else:
        made += [root / declared.partial, *kept]
    peers = sandbox.Peers(job.alone, job.rank.port) if job.rank else None
    installed_here = packages.paths if packages else ()
    return sandbox.Allowed(
        read=(
            *surroundings.readable(),
            *installed_here,
            *(path.resolve() for path in own),
        ),
        write=(*surroundings.devices(), *(path.resolve() for path in made)),
        names=(
            *(root, interpreter.PACKAGE.parent),
            *(*surroundings.standard_library(), *installed.folders()),
        ),
        peers=peers,
    )


def _explained(
    error: Exception,
    denied: denial.Denial | None,
    job: Job,
    packages: installed.Packages | None,
) -> LmspecError | None:
    """The error as a user sees it, if it is theirs or the sandbox caused it; else None."""
    place = denial.place(error, job.root, job.declared.stage)
    if denied is not None:
        return denial.as_error(denied, place, job.declared)
    module = denial.not_found(error) if packages else None
    if packages and module:
        return denial.of_module(module, place, packages.hidden)
    if isinstance(error, sandbox.NoNetworkError):
        remedy = "make what it fetches a source in params.yaml, and refer to that"
        return LmspecError(place, str(error.strerror), remedy)
    fault = faults.of_stage(error, job.root / job.out)
    return fault or (error if isinstance(error, LmspecError) else None)
