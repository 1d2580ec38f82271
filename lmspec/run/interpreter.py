"""interpreter: check that this Python is the project's, and what of lmspec it runs.

Imports the standard library only: another Python may have nothing else.
"""

import importlib.util
import os
import platform
import sys
import sysconfig
from pathlib import Path
from types import TracebackType

import lmspec
from lmspec.run import environment
from lmspec.specs.names import FETCHING

NEEDED = ("pydantic", "ruamel.yaml", "dvc")
PACKAGE = Path(lmspec.__path__[0])  # where this lmspec is
BEFORE = frozenset(sys.modules)  # imported by Python itself, and by what hooks into its start


def prepare(root: Path, noun: str = "") -> None:
    """Set up the process of a stage before any library reads it, and refuse the wrong Python."""
    environment.detach()
    if noun == FETCHING:
        environment.keep()
        if sys.flags.safe_path:  # PYTHONSAFEPATH hides stages/; any other stage loses the variable
            sys.path.insert(0, str(root))
    else:
        environment.enter(PACKAGE.parent)
        refuse_startup_code()
    check(root)
    sys.excepthook = quiet_when_interrupted


def refuse_startup_code() -> None:
    """Exit with one line if Python ran a `sitecustomize` at its start: no cache key has it."""
    standard = Path(sysconfig.get_path("stdlib"))
    for name in ("sitecustomize", "usercustomize"):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).parent != standard:
            sys.exit(
                f"lmspec: {file} runs whenever Python starts, and no cache key has it"
                " -> remove it from the environment that builds"
            )


def check(root: Path) -> None:
    """Exit with one line if this is not the Python of the project's environment (`.venv`)."""
    venv = root / ".venv"
    if venv.is_dir() and Path(sys.prefix).resolve() != venv.resolve():
        sys.exit(
            f"lmspec: this stage runs with {sys.executable}, but the project's environment is .venv"
            " -> run `make repro`, or `source .venv/bin/activate` first"
        )
    missing = [name for name in NEEDED if not _is_installed(name)]
    if missing:
        sys.exit(
            f"lmspec: {sys.executable} lacks {', '.join(missing)}: "
            "it is not the project's environment"
            " -> run `make env`, then `source .venv/bin/activate`"
        )


def file_of(module: str) -> Path:
    """File of a module of this lmspec; that of a package is called `name.__init__`."""
    return PACKAGE.parent.joinpath(*module.split(".")).with_suffix(".py")


def module_of(file: Path) -> str:
    """The inverse of `file_of`."""
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)


def machine() -> str:
    """Processor and number of cores of this machine."""
    return f"{processor()}, {os.cpu_count()} cores"


def processor() -> str:
    """Model of this machine's processor."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text(encoding="utf-8", errors="replace") if cpuinfo.exists() else ""
    names = (
        line.partition(":")[2].strip()
        for line in text.splitlines()
        if line.startswith("model name")
    )
    return next(names, platform.processor() or platform.machine())


def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package of a dotted name is missing
        return False


def quiet_when_interrupted(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """Report Ctrl-C in one line, which may say where it goes on; Python then exits as for any."""
    if issubclass(kind, KeyboardInterrupt):
        where = f" {error}" if str(error) else "; nothing was written"
        print(f"lmspec: interrupted{where}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
