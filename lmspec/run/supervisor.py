"""supervisor: around a stage: one run at a time, sealed, its inputs held still, and nothing left behind when it is killed.

`python -m stages.<noun> <key>` forks before anything heavy is imported. The child builds into a partial folder and can touch
nothing else. The parent waits, and puts the result into place if the inputs are still what they were: DVC takes their hashes
after a run, and would record a later edit as if it had been there before (dvc#11058).
"""

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

from lmspec.errors import LmspecError
from lmspec.formats import lockfile
from lmspec.run import child as building
from lmspec.run import declaration, inputs, interpreter, provenance, toolchain
from lmspec.run.declaration import Stage

PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.01
PATIENCE_SECONDS = 10  # a run that was killed can take a moment to be gone


def begin(root: Path) -> None:
    """For a process that is `python -m stages.<noun> <key>`: returns in the child, which builds; the parent ends in here.

    A worker that a build has started ends with it; any other process is left alone.
    """
    if "--multiprocessing-fork" in sys.orig_argv:
        building.watch_parent()
    named = _named(sys.orig_argv)
    if named is None:
        return
    starter = os.getppid()
    advice = ""
    try:
        stage = declaration.read(root, *named)
        advice = _advice(root, stage)
        _supervise(root, stage, starter, advice)
    except LmspecError as error:
        sys.exit(f"lmspec: {error}{advice}")


def _named(command: list[str]) -> tuple[str, str] | None:
    """(noun, key) of `python -m stages.<noun> <key>`, under a profiler or a debugger too."""
    modules = [i for i, word in enumerate(command) if word == "-m"]
    rest = command[modules[-1] + 1 :] if modules else []
    if len(rest) != 2 or not rest[0].startswith("stages."):
        return None
    return rest[0].removeprefix("stages."), rest[1]


def _supervise(root: Path, stage: Stage, starter: int, advice: str) -> None:
    _require_dvc(stage)
    missing = [dep for dep in stage.deps if not (root / dep).exists()]
    if missing:
        raise LmspecError(
            stage.name,
            f"{missing[0]} is missing",
            f"run `dvc repro {stage.name}`, or `dvc checkout`",
        )
    lock = _lock(root, stage, starter)
    values = declaration.values(root, stage)
    toolchain.require(values[declaration.TOOLCHAIN])
    temporary = _temporary(root, stage)
    _clear(root, stage, temporary)
    for folder in (root / stage.partial, root / stage.report, temporary):
        _make(folder)
    marks = inputs.marks(root, stage)
    begun, parent = time.monotonic(), os.getpid()
    _adopt_orphans()
    child = os.fork()
    if child == 0:
        building.die_with_parent(parent)
        building.tie_workers(lock)
        building.enter(root, stage, values, temporary, advice)
        return
    code, patience_seconds = 1, 0.0
    try:
        signal.signal(signal.SIGTERM, _terminate)
        before = inputs.Inputs(marks, inputs.entries(root, stage), values)
        toolchain.owners()  # read while there is time
        code, peak_mib = _wait(child, starter, stage)
        if code == 0:
            _place(root, stage, before)
            _note(root, stage, time.monotonic() - begun, peak_mib)
    except KeyboardInterrupt:
        code, patience_seconds = 130, 1.0  # Ctrl-C reaches the child as well
    finally:
        _end(child, patience_seconds)
        _clear(root, stage, temporary)
    sys.exit(code)


def _advice(root: Path, stage: Stage) -> str:
    """How to get the output of an earlier run back, if DVC has removed one."""
    lock = lockfile.split(lockfile.text_in(root))
    if "DVC_STAGE" not in os.environ or stage.name not in lock.stages:
        return ""
    kept = " ".join(out for out in stage.outs if out != stage.folder.as_posix())
    return f"\n  (DVC removed the output of the run before: `git checkout {kept} && dvc checkout {stage.name}` brings it back)"


def _require_dvc(stage: Stage) -> None:
    """DVC can have been killed before this process could notice: then its parent is what adopts orphans."""
    parent = os.getppid()
    command = Path(f"/proc/{parent}/cmdline")
    if "DVC_STAGE" not in os.environ or not command.exists():
        return
    words = command.read_bytes()
    if b"dvc" not in words and not (b"python" in words and os.getsid(parent) == os.getsid(0)):
        raise LmspecError(stage.name, "the `dvc repro` that started it is gone", "run `dvc repro`")


def _require_starter(stage: Stage, starter: int) -> None:
    if os.getppid() != starter:
        raise LmspecError(stage.name, "what started it is gone", "run `dvc repro`")


def _lock(root: Path, stage: Stage, starter: int) -> int:
    """One run of a stage at a time. The child holds the open file too: it is locked until both are gone, however they end."""
    path = root / declaration.OURS / "lock" / stage.name
    _make(path.parent)
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise LmspecError(str(path), str(error.strerror), "a stage needs to write there") from None
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            _require_starter(stage, starter)
            if time.monotonic() > until:
                found = f"another run of it is under way, process {os.read(lock, 20).decode() or 'unknown'}"
                raise LmspecError(stage.name, found, "wait for it, or stop it") from None
            time.sleep(0.1)
        except OSError as error:
            raise LmspecError(
                str(path), f"it cannot be locked: {error.strerror}", "use a file system with locks"
            ) from None
    os.truncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    _require_starter(stage, starter)
    return lock


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LmspecError(
            str(folder), str(error.strerror), "a stage needs to write there"
        ) from None


def _temporary(root: Path, stage: Stage) -> Path:
    """The same name in each run, so that the next one removes what a killed one left."""
    name = hashlib.sha256(
        f"{root.resolve()}\0{stage.name}\0{os.getuid()}".encode(errors="surrogateescape")
    ).hexdigest()[:12]
    return Path(tempfile.gettempdir()).resolve() / f"lmspec-{name}"


def _adopt_orphans() -> None:
    """Let the kernel give this process the children of a build that has ended, so that it can end them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _place(root: Path, stage: Stage, before: inputs.Inputs) -> None:
    """Put output, metrics and record where they belong, if the inputs held still."""
    told = root / stage.scratch / "about.json"
    if not told.exists():
        raise LmspecError(
            stage.name,
            "its process ended before its build did",
            "a stage returns a report, and never exits",
        )
    about = json.loads(told.read_text(encoding="utf-8"))
    packages = toolchain.packages(before.values[declaration.TOOLCHAIN], about["loaded"])
    modules = [provenance.of_path(building.module_file(name), name) for name in stage.modules]
    moved = inputs.moved(root, stage, before)
    if moved:
        raise LmspecError(
            moved[0],
            f"it changed while {stage.name} was being built from it",
            "run `dvc repro` again",
        )
    if stage.folder.as_posix() in stage.outs:
        shutil.rmtree(root / stage.folder, ignore_errors=True)
        (root / stage.partial).replace(root / stage.folder)
    for path in sorted((root / stage.report).rglob("*")):
        if path.is_file():
            _write(
                root / declaration.METRICS / path.relative_to(root / stage.report),
                path.read_bytes(),
            )
    params = {
        name: before.values[declaration.PARAMS][name] for name in stage.watched[declaration.PARAMS]
    }
    outputs = [provenance.of_path(root / out, out) for out in stage.outs if out != stage.provenance]
    provenance.annotate(outputs, stage.metrics, about["better"])
    how = {"sealed": about["sealed"], "python": toolchain.python()}
    made_from = [*before.entries, *modules, *packages]
    _write(
        root / stage.provenance,
        provenance.statement(f"{stage.noun}.{stage.key}", params, made_from, outputs, how).encode(),
    )


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def _note(root: Path, stage: Stage, seconds: float, peak_mib: float) -> None:
    """For `lmspec plan`: how long it took on this machine. No output: it differs each time."""
    path = root / declaration.OURS / "runs" / f"{stage.name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    line = {
        "seconds": round(seconds, 3),
        "machine": interpreter.machine(),
        "peak_mib": round(peak_mib, 1),
    }
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def _wait(child: int, starter: int, stage: Stage) -> tuple[int, float]:
    """(exit code, peak memory in MiB) of the child. Ends if what started this process is gone."""
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        _require_starter(stage, starter)
        time.sleep(POLL_SECONDS)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGINT:
        raise KeyboardInterrupt
    if code < 0:
        name = signal.Signals(-code).name
        why = ": was there memory enough?" if -code == signal.SIGKILL else ""
        raise LmspecError(
            stage.name, f"its process was ended by {name}{why}", "run `dvc repro` again"
        )
    return code, usage.ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)


def _end(child: int, patience_seconds: float) -> None:
    """Make sure that the child, and all that it has started, is gone."""
    until = time.monotonic() + patience_seconds
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        while os.waitpid(child, os.WNOHANG) == (0, 0):
            if time.monotonic() > until:
                os.kill(child, signal.SIGKILL)
            time.sleep(POLL_SECONDS)
    left = Path(f"/proc/self/task/{os.getpid()}/children")
    while left.exists() and (orphans := left.read_text().split()):
        for orphan in map(int, orphans):
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(orphan, signal.SIGKILL)
                os.waitpid(orphan, 0)


def _clear(root: Path, stage: Stage, temporary: Path) -> None:
    """Remove what a run leaves, this one or one that was killed."""
    for folder in (root / stage.partial, root / stage.scratch, temporary):
        shutil.rmtree(folder, ignore_errors=True)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
