"""interpreter: is this Python the project's? Standard library only, since the wrong one has nothing else."""

import importlib.util
import os
import platform
import sys
from pathlib import Path
from types import TracebackType

import lmspec

NEEDED = ("pydantic", "ruamel.yaml", "dvc")
PACKAGE = Path(lmspec.__path__[0])  # where this lmspec lies
BEFORE = frozenset(sys.modules)  # what Python itself, and what hooks into its start, has imported
# Libraries read these when they are imported: no hub is asked for what a stage did not declare, and a log stays readable.
SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def prepare(root: Path) -> None:
    """For a process that runs a stage: refuse the wrong Python, then set what the libraries will read."""
    check(root)
    os.environ.update(SETTINGS)
    sys.excepthook = quiet_when_interrupted


def check(root: Path) -> None:
    """Exit with one line if the interpreter is not the one of the project's environment, `.venv` where there is one."""
    venv = root / ".venv"
    if venv.is_dir() and Path(sys.prefix).resolve() != venv.resolve():
        sys.exit(
            f"lmspec: this stage runs with {sys.executable}, and the project's environment is .venv"
            " -> run `make repro`, or `source .venv/bin/activate` first"
        )
    missing = [name for name in NEEDED if not _found(name)]
    if missing:
        sys.exit(
            f"lmspec: {sys.executable} lacks {', '.join(missing)}: it is not the project's environment"
            " -> run `make env`, then `source .venv/bin/activate`"
        )


def machine() -> str:
    """What this machine computes with: processor and number of cores."""
    about = Path("/proc/cpuinfo")
    lines = (
        about.read_text(encoding="utf-8", errors="replace").splitlines() if about.exists() else []
    )
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, platform.processor() or platform.machine())}, {os.cpu_count()} cores"


def _found(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name is missing
        return False


def quiet_when_interrupted(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Ctrl-C is one line, during the imports too; Python then exits as for any interrupt."""
    if issubclass(kind, KeyboardInterrupt):
        print("lmspec: interrupted; nothing was written", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
