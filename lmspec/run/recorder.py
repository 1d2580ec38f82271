"""recorder: what a training tells of itself, taken out of the sandbox and kept for its run.

`.lmspec/runs/<stage>/<run>/progress.jsonl`, which `lmspec runs` and trackers read; no output of the
stage. With the first line the trackers start, as another process: they may be slow or fail.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lmspec.errors import harmless
from lmspec.methods import curves
from lmspec.run import declaration, installed, interpreter
from lmspec.run.declaration import Declaration
from lmspec.specs import blocks

BUILT, FAILED, STOPPED = "built", "failed", "stopped"
RUNS = declaration.OURS / "runs"
LINES, WARNINGS, SPEC = "progress.jsonl", "trackers.log", "spec.json"
POLL_SECONDS = 1.0
MOST_BYTES = 1 << 20  # taken at once
BY_DEFAULT = ("tensorboard",)  # where it is installed
MLFLOW = ("mlflow", "mlflow-skinny")  # its packages; the others are called as their tracker is
VARIABLE, OFF = "LMSPEC_TRACKING", "off"  # for builds that only measure, such as those of a test


class Recorder:
    """Keeps the lines of one run.

    starter  process that started the stage: trackers have its environment
    values   file -> name -> value of the parameters
    session  of the trackers' process, if there is one; its processes are none of the build
    """

    def __init__(
        self,
        root: Path,
        declared: Declaration,
        values: Mapping[str, Mapping[str, Any]],
        starter: int,
    ) -> None:
        self.root, self.declared, self.values, self.starter = root, declared, values, starter
        self.run = time.strftime(f"%Y%m%dT%H%M%S-{os.getpid()}", time.gmtime())
        self.source = root / declared.scratch / f"{self.run}.jsonl"
        self.session: int | None = None
        self.resumed_at: float | None = None
        self._folder: Path | None = None
        self._trackers: Any = None
        self._read = self._warned = 0
        self._next = time.monotonic() + POLL_SECONDS

    def poll(self, now: bool = False) -> None:
        """Take over what is new, once a second."""
        if not now and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + POLL_SECONDS
        with contextlib.suppress(OSError):  # a build does not fail for its curve
            while lines := self._new_lines():
                rows = [row for row in map(curves.parsed, lines) if row is not None]
                for row in rows:
                    self._take(row)
        self._pass_on_warnings()

    def noted(self) -> dict[str, Any]:
        """For the log of runs: which one, if it has a curve; at which step it went on."""
        named = {"run": self.run} if self._folder is not None else {}
        return named | ({} if self.resumed_at is None else {"resumed_at": self.resumed_at})

    def end(self, status: str) -> None:
        """The run is over: built, failed or stopped."""
        self.poll(now=True)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._write({"event": curves.END, "time": time.time(), "status": status})

    def _new_lines(self) -> list[bytes]:
        """Whole lines that were added to the file of the stage."""
        if not self.source.exists():
            return []
        with self.source.open("rb") as stream:
            stream.seek(self._read)
            text = stream.read(MOST_BYTES)
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole) or (MOST_BYTES if len(text) == MOST_BYTES else 0)
        return whole.splitlines()

    def _take(self, row: curves.Row) -> None:
        if row["event"] == curves.END:
            return
        if self._folder is None:
            self._open(row)
        self._write(row)

    def _open(self, row: curves.Row) -> None:
        """The folder of the run, or of the one that it goes on with after a kill."""
        former = self.root / RUNS / self.declared.stage / str(row.get("continues", ""))
        if "continues" in row and (former / LINES).is_file():
            self._folder, self.resumed_at = former, row.get("step")
            self.run = former.name
            self._warned = len(_lines(former / WARNINGS))
        else:
            self._folder = self.root / RUNS / self.declared.stage / self.run
            self._folder.mkdir(parents=True, exist_ok=True)
            spec = json.dumps(self._spec(), default=str, indent=1)
            (self._folder / SPEC).write_text(f"{spec}\n", encoding="utf-8")
        self._start_trackers(self._folder)

    def _spec(self) -> dict[str, Any]:
        params = blocks.without(self.values[declaration.PARAMS])
        return {str(self.declared.name): params.get(str(self.declared.name))} | {
            name: params.get(name) for name in declaration.SHARED
        }

    def _write(self, row: Mapping[str, Any]) -> None:
        if self._folder is not None:
            with (self._folder / LINES).open("a", encoding="utf-8") as stream:
                stream.write(f"{json.dumps(row)}\n")

    def _start_trackers(self, folder: Path) -> None:
        """Only for a build of DVC: `lmspec verify` and `trace` run stages by themselves."""
        if "DVC_STAGE" not in os.environ or os.environ.get(VARIABLE) == OFF:
            return
        machine = self.values[declaration.PARAMS].get("machine") or {}
        asked = machine.get("tracking")
        wanted = BY_DEFAULT if asked is None else asked
        packages = {name: MLFLOW if name == "mlflow" else (name,) for name in wanted}
        present = [name for name in wanted if any(map(installed.version, packages[name]))]
        for name in set(wanted) - set(present) if asked else ():
            self._warn(f"{name} is not installed, so it gets nothing -> pip install {name}")
        if not present:
            return
        import subprocess  # only here: most stages train nothing

        home = str(interpreter.PACKAGE.parent)
        log = folder / LINES
        known = log.stat().st_size if log.exists() else 0  # bytes that another run wrote
        command = [sys.executable, "-P", "-m", "lmspec.tracking", folder, self.starter, known]
        with contextlib.suppress(OSError):
            self._trackers = subprocess.Popen(
                [*map(str, command), *present],
                cwd=self.root,
                env={**os.environ, "PYTHONPATH": home},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the build
            )
            self.session = self._trackers.pid

    def _pass_on_warnings(self) -> None:
        if self._folder is None or self._trackers is None:
            return
        self._trackers.poll()
        lines = _lines(self._folder / WARNINGS)
        for line in lines[self._warned :]:
            self._warn(line)
        self._warned = len(lines)

    def _warn(self, line: str) -> None:
        if sys.stderr.isatty():  # over the line of the training
            print(end="\r", file=sys.stderr)
        print(harmless(f"  warning: tracking: {line}"), file=sys.stderr, flush=True)


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError):
        return path.read_text("utf-8", "replace").splitlines()
    return []
