"""supervisor: the process that DVC starts for a stage; it runs the build in a child.

One run of a stage at a time. The supervisor forks before anything heavy or threaded is imported:
Landlock does not restrict threads that run already. It moves the result into place only if the
inputs did not change during the build: DVC hashes them after a run, so it would record a later
edit as an input (dvc#11058). Whichever process is killed, nothing is left behind.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from pydantic import TypeAdapter

from lmspec.errors import LmspecError, harmless, some
from lmspec.run import (
    child,
    declaration,
    determinism,
    digests,
    faults,
    inputs,
    interpreter,
    kept,
    lifetime,
    loopback,
    provenance,
    ranks,
    recorder,
    resuming,
    system,
    toolchain,
)
from lmspec.run.declaration import Declaration
from lmspec.run.recorder import Recorder
from lmspec.specs import blocks
from lmspec.specs.names import ArtifactName

LOCK_SECONDS = lifetime.PATIENCE_SECONDS + 10.0  # a run that was killed can take a while to end


def main(root: Path, arguments: list[str]) -> int:
    """Run the stage named by the arguments (noun, name). Returns the exit code."""
    starter = os.getppid()
    advice = ""
    try:
        if len(arguments) != 2:
            print("usage: python -m lmspec.run <noun> <name>", file=sys.stderr)
            return 2
        declared = declaration.read(root, ArtifactName(*arguments))
        advice = _advice(root, declared)
        return _supervise(root, declared, starter, advice)
    except Exception as error:
        explained = faults.of_stage(error, root / "data")
        if explained is None and not isinstance(error, LmspecError):
            raise
        print(harmless(f"lmspec: {explained or error}{advice}"), file=sys.stderr)
        return 1


def _supervise(root: Path, declared: Declaration, starter: int, advice: str) -> int:
    _require_dvc(declared)
    missing = [dep for dep in declared.deps if not (root / dep).exists()]
    if missing:
        remedy = f"run `dvc repro {declared.stage}`, or `dvc checkout`"
        raise LmspecError(declared.stage, f"{missing[0]} is missing", remedy)
    for dep in declared.deps if declared.fetches else ():
        if (root / dep).is_dir():
            kept.require_seen(root / dep, Path(dep), root)
    lock = _lock(root, declared, starter)
    values = declaration.values(root, declared)
    toolchain.require(values[declaration.TOOLCHAIN])
    system.require(values)
    # not while it builds: what a build says of a damaged input would hide the reason
    store = digests.Store(root)
    before = _inputs_as_made(root, declared, values, store)
    resume = None
    if resuming.is_wanted(declared, values):
        resume = resuming.opened(root, declared, values, store.sha256)
    store.save()
    record, temporary = Recorder(root, declared, values, starter), _temporary(root, declared)
    job = child.Job(root, declared, values, temporary, advice, resume, record.source)
    _clear(job)
    for folder in (root / declared.partial, root / declared.scratch, job.temporary):
        _make(folder)
    network, jobs = _divided(job)
    supervisor = os.getpid()
    lifetime.adopt_orphans()
    with tempfile.TemporaryFile() as channel:  # a pipe would block the child once it is full
        builders: list[int] = []
        for each in jobs:
            builders.append(os.fork())
            if builders[-1] == 0:
                if network is not None:
                    network.enter()
                lifetime.die_with_parent(supervisor)
                lifetime.tie_forks(lock)
                return child.run(each, channel)
        return _attend(builders, starter, job, before, channel, record)


def _divided(job: child.Job) -> tuple[loopback.Loopback | None, list[child.Job]]:
    """One job, or one for each process that trains on this machine; and the network of those.

    Of several machines none has a checkpoint: theirs could be of different steps.
    """
    members = ranks.of(job.declared, job.values, job.temporary)
    if not members:
        return None, [job]
    network = None if members[0].port else loopback.made()
    resume = None if members[0].port else job.resume
    jobs = [replace(job, rank=r, alone=network is not None, resume=resume) for r in members]
    for each in jobs[1:]:
        _make(each.out)
    others = [replace(each, progress=None) for each in jobs[1:]]  # the first tells
    return network, [jobs[0], *others]


def _inputs_as_made(
    root: Path,
    declared: Declaration,
    values: Mapping[str, Mapping[str, Any]],
    store: digests.Store,
) -> inputs.Inputs:
    """Raises LmspecError if what other stages made is something else now."""
    marks = inputs.marks(root, declared)
    held = inputs.as_made(root, declared, store.sha256)
    return inputs.Inputs(marks, held, values)


def _attend(
    builders: Sequence[int],
    starter: int,
    job: child.Job,
    before: inputs.Inputs,
    channel: IO[bytes],
    record: Recorder,
) -> int:
    """Hash the code while the child builds; when it succeeds, move its result into place.

    builders  it, and those that train with it
    """
    code, status, ask_seconds = 1, recorder.STOPPED, 0.0
    begin = time.monotonic()
    resumed = bool(job.resume and job.resume.held)
    try:
        signal.signal(signal.SIGTERM, _terminate)
        entries = inputs.entries(job.root, job.declared, before.entries)
        before = before._replace(entries=entries)
        toolchain.owners()  # cached, for `_place`
        code, peak_mib = _wait(builders, starter, job, record)
        if code == 0:
            lifetime.kill(builders[1:])
            _require_alone(job.declared, record)
            channel.seek(0)
            _place(job, before, channel.read())
            status = recorder.BUILT
            _note(job, time.monotonic() - begin, peak_mib, resumed, record)
        else:
            status = recorder.FAILED
            channel.seek(0)
            system.tell(Path(os.fsdecode(channel.read())))
    except KeyboardInterrupt:
        code, ask_seconds = 130, 1.0  # Ctrl-C reaches the child as well
    except LmspecError:
        status = recorder.FAILED
        raise
    finally:
        lifetime.end(builders[0], ask_seconds, record.session)
        lifetime.kill(builders[1:])
        record.end(status)
        _clear(job)
        resuming.closed(job.root, job.declared, done=status == recorder.BUILT)
    return code


def _advice(root: Path, declared: Declaration) -> str:
    """How to restore the previous output, if DVC has deleted it before this run.

    Only whether dvc.lock names the stage counts here: formats/lockfile, which reads the rest, would
    be in every cache key.
    """
    lock = root / "dvc.lock"
    known = lock.exists() and f"\n  {declared.stage}:\n" in lock.read_text("utf-8", "replace")
    if "DVC_STAGE" not in os.environ or not known:
        return ""
    kept = " ".join(out for out in declared.outs if out != declared.folder.as_posix())
    commands = f"git checkout {kept} && dvc checkout {declared.stage}"
    return f"\n  (DVC deleted the previous output before this run; `{commands}` restores it)"


def _require_dvc(declared: Declaration) -> None:
    """Raise LmspecError if DVC was killed so early that something else is this process's parent."""
    parent = os.getppid()
    command = Path(f"/proc/{parent}/cmdline")
    if "DVC_STAGE" not in os.environ or not command.exists():
        return
    words = command.read_bytes()
    if b"dvc" not in words and not (b"python" in words and os.getsid(parent) == os.getsid(0)):
        message = "the `dvc repro` that started it is gone"
        raise LmspecError(declared.stage, message, "run `dvc repro`")


def _require_starter(declared: Declaration, starter: int) -> None:
    if os.getppid() != starter:
        raise LmspecError(declared.stage, "what started it is gone", "run `dvc repro`")


def _lock(root: Path, declared: Declaration, starter: int) -> int:
    """Wait until no other run of the stage is left. The child inherits the lock."""
    path = root / declaration.OURS / "lock" / declared.stage
    _make(path.parent)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise LmspecError(str(path), str(error.strerror), "a stage needs to write there") from None
    until = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            _require_starter(declared, starter)
            if time.monotonic() > until:
                process = os.read(lock, 20).decode() or "unknown"
                message = f"another run of it is under way, process {process}"
                raise LmspecError(declared.stage, message, "wait for it, or stop it") from None
            time.sleep(0.1)
        except OSError as error:
            message = f"it cannot be locked: {error.strerror}"
            raise LmspecError(str(path), message, "use a file system with locks") from None
    os.truncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    _require_starter(declared, starter)
    return lock


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = str(error.strerror)
        raise LmspecError(str(folder), message, "a stage needs to write there") from None


def _temporary(root: Path, declared: Declaration) -> Path:
    """The same folder in each run, so that the next one clears what a killed one left."""
    identity = f"{root.resolve()}\0{declared.stage}\0{os.getuid()}"
    digest = hashlib.sha256(identity.encode(errors="surrogateescape")).hexdigest()
    return Path(tempfile.gettempdir()).resolve() / f"lmspec-{digest[:12]}"


def _place(job: child.Job, before: inputs.Inputs, message: bytes) -> None:
    """Move output and metrics into place and write provenance, if no input changed."""
    root, declared = job.root, job.declared
    if not message:
        remedy = "a stage returns a report, and never exits"
        raise LmspecError(declared.stage, "its process ended before its build did", remedy)
    result = TypeAdapter(child.Result).validate_json(message)
    packages = toolchain.packages(before.values[declaration.TOOLCHAIN], result.loaded)
    modules = [provenance.of_path(interpreter.file_of(name), name) for name in declared.modules]
    made, folder = root / declared.partial, declared.folder.as_posix() in declared.outs
    if folder:
        kept.settle(made, declared.folder, root)
    written = {out: _write(root / out, text) for out, text in result.built.files.items()}
    outs = [out for out in declared.outs if out != declared.name.provenance]
    outputs = [provenance.of_path(written.get(out, made), out) for out in outs]
    provenance.annotate(outputs, declared.name.metrics, result.built.better)
    names = declared.watched[declaration.PARAMS]
    params = blocks.without({name: before.values[declaration.PARAMS][name] for name in names})
    how = {
        "sandbox": result.sandbox,
        "python": toolchain.python(),
        "sameBitsOn": determinism.same_bits_on(result.loaded),
    }
    made_from = [*before.entries, *modules, *packages]
    text = provenance.statement(str(declared.name), params, made_from, outputs, how)
    written[declared.name.provenance] = _write(root / declared.name.provenance, text)
    changed = inputs.changed(root, declared, before)
    if changed:
        what = f"it changed while {declared.stage} was being built from it"
        raise LmspecError(changed[0], what, "run `dvc repro` again")
    # all is written: from here on only names change
    if folder:
        shutil.rmtree(root / declared.folder, ignore_errors=True)
        made.replace(root / declared.folder)
    for out, partial in written.items():
        partial.replace(root / out)


def _write(path: Path, text: str) -> Path:
    """Write a file beside its place; `_place` moves it there, and `_clear` removes it if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path)
    partial.write_bytes(text.encode())
    return partial


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _note(job: child.Job, seconds: float, peak_mib: float, resumed: bool, record: Recorder) -> None:
    """Log duration and memory for `lmspec plan`; no output of the stage, since they differ."""
    path = job.root / recorder.RUNS / f"{job.declared.stage}.jsonl"
    line = {
        "seconds": round(seconds, 3),
        "machine": interpreter.machine(),
        "peak_mib": round(peak_mib, 1),
        "ended": round(time.time(), 3),
        **({"resumed": True} if resumed else {}),
        **record.noted(),
    }
    with contextlib.suppress(OSError):  # the result is in place, and a full disk does not spoil it
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


def _wait(
    builders: Sequence[int], starter: int, job: child.Job, record: Recorder
) -> tuple[int, float]:
    """Exit code and peak memory in MiB of the first child, or of another that failed.

    Raises LmspecError if the starter is gone.
    """
    left = list(builders)
    while True:
        for builder in tuple(left):
            pid, status, usage = os.wait4(builder, os.WNOHANG)
            if not pid:
                continue
            left.remove(builder)
            code = os.waitstatus_to_exitcode(status)
            if builder == builders[0] or code != 0:
                if builder != builders[0]:
                    lifetime.kill(left)  # they wait for it
                _require_no_signal(code, builders.index(builder), len(builders), job.declared)
                _print_of_rank(builders.index(builder), job)
                peak = usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
                return code, peak
        _require_starter(job.declared, starter)
        record.poll()
        time.sleep(lifetime.POLL_SECONDS)


def _require_no_signal(code: int, rank: int, ranks: int, declared: Declaration) -> None:
    """Raise LmspecError if a signal ended a process of the build; KeyboardInterrupt of Ctrl-C."""
    if code == -signal.SIGINT:
        raise KeyboardInterrupt
    if code < 0:
        name = signal.Signals(-code).name
        why = " (out of memory?)" if -code == signal.SIGKILL else ""
        which = f"its process {rank + 1} of {ranks}" if ranks > 1 else "its process"
        message = f"{which} was ended by {name}{why}"
        raise LmspecError(declared.stage, message, "run `dvc repro` again")


def _print_of_rank(rank: int, job: child.Job) -> None:
    """Why a process failed that prints into a file."""
    log = job.temporary / f"rank-{rank}.log"
    if rank and log.exists():
        print(harmless(log.read_text("utf-8", "replace")), end="", file=sys.stderr)


def _require_alone(declared: Declaration, record: Recorder) -> None:
    """Raise LmspecError if the build left a process: the output is whole only once all have ended.

    What it was writing may be cut short, so the output does not count, though `end` kills it.
    """
    if left := lifetime.left_running(record.session):
        found = f"its build ended and left running: {some(left)}"
        remedy = "let the build wait for each process that it starts; nothing was written"
        raise LmspecError(declared.stage, found, remedy)


def _clear(job: child.Job) -> None:
    """Remove what a run leaves, this one or one that was killed."""
    scratch = (job.root / job.declared.partial, job.root / job.declared.scratch, job.temporary)
    for folder in scratch:
        shutil.rmtree(folder, ignore_errors=True)
    for out in job.declared.outs:
        with contextlib.suppress(OSError):
            _beside(job.root / out).unlink()


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
