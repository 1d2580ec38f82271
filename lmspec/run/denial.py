"""denial: the file that the sandbox kept from a stage, found in the error that this caused."""

import contextlib
import os
import re
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.run import installed, interpreter, system
from lmspec.run.declaration import Declaration
from lmspec.run.sandbox import Allowed

FAILED = re.compile(
    r"permission denied|os error 13|no such file|not found|can ?not (open|read|load)"
    r"|could ?n.t (open|read|load)|could not (open|read|load)|(failed|unable) to (open|read|load)"
    r"|load model|does ?n.t exist|does not exist",
    re.IGNORECASE,
)
# messages of these quote names, not files
OWN_FAULTS = (NameError, LookupError, TypeError, AttributeError, ImportError)
FRAME = interpreter.PACKAGE / "run"  # code that runs every build: no undeclared read starts there


@dataclass(frozen=True)
class Denial:
    """path: relative to the project if it is inside; written: reading it was allowed."""

    path: Path
    written: bool

    @property
    def of_system(self) -> bool:
        """Can `numerics.system_files` allow it?"""
        outside = self.path.is_absolute() and installed.is_in(self.path.resolve()) is None
        return outside and not self.written and self.path.is_file()


def denied(error: BaseException, allowed: Allowed, root: Path) -> Denial | None:
    """The file whose denial caused an error; None if something else did.

    Libraries report it in three ways: in an attribute of the error, in its message, or as a bare
    "permission denied" whose path is in a variable of a caller.
    """
    for part in _chain(error):
        for name in _named(part):
            if _is_kept(name, allowed, root):
                return Denial(_relative(name, root), written=False)
        for name in _attributes(part) if isinstance(part, PermissionError) else ():
            if not allowed.writes(Path(name)) and not root.is_relative_to(os.path.realpath(name)):
                return Denial(_relative(name, root), written=True)
    return None


def _named(error: BaseException) -> list[str]:
    """Names of files, the most reliable first."""
    message = str(error)
    names = _attributes(error)
    # a program's own output says why it failed, and subprocess does not repeat it
    if type(error).__name__ == "CalledProcessError" or (
        FAILED.search(message) and not isinstance(error, OWN_FAULTS)
    ):
        names += _words(message)
    if "ermission denied" in message:
        names += _variables(error)
    return names


def _is_kept(name: str, allowed: Allowed, root: Path) -> bool:
    # OSError, ValueError: other text than a path, or one that must not even be looked at
    with contextlib.suppress(OSError, ValueError):
        real = Path(os.path.realpath(name))
        return real.exists() and not root.is_relative_to(real) and not allowed.reads(real)
    return False


def _relative(name: str, root: Path) -> Path:
    path = Path(name)
    return path.relative_to(root) if path.is_relative_to(root) else path


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Causes first. An LmspecError is left out: its message names files as places to look."""
    if error is not None:
        yield from _chain(error.__cause__ or error.__context__)
        if not isinstance(error, LmspecError):
            yield error


def _attributes(error: BaseException) -> list[str]:
    given = (getattr(error, name, None) for name in ("filename", "filename2"))
    names = [os.fsdecode(name) for name in given if isinstance(name, str | bytes)]
    # a program that could not be started is named as it was called
    files = [name if Path(name).exists() else shutil.which(name) or name for name in names]
    return files if isinstance(error, OSError) else []


def _words(message: str) -> list[str]:
    """Words that look like paths: they hold a slash or a dot."""
    quoted = [
        name for pair in re.findall(r"'([^'\n]+)'|\"([^\"\n]+)\"", message) for name in pair if name
    ]
    words = [*quoted, *(word.strip("'\"`.,:;") for word in re.split(r"[\s,()\[\]<>=]+", message))]
    return [word for word in words if ("/" in word or "." in word) and not Path(word).is_dir()]


def _variables(error: BaseException) -> list[str]:
    """Paths in variables and constants of the frames of its traceback, innermost first."""
    names: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        values = [*trace.tb_frame.f_locals.values(), *trace.tb_frame.f_code.co_consts]
        words = [
            value for value in values if isinstance(value, str) and ("/" in value or "." in value)
        ]
        names[:0] = [*words, *(str(value) for value in values if isinstance(value, os.PathLike))]
        trace = trace.tb_next
    return names


def not_found(error: BaseException | None) -> str | None:
    """The module whose absence caused an error; None if something else did."""
    name = None
    while isinstance(error, ImportError):
        name = error.name if isinstance(error, ModuleNotFoundError) else name
        error = error.__cause__ or error.__context__
    return name


def place(error: BaseException, root: Path, default: str) -> str:
    """File and line of the project's code where the error came from."""
    for part in _chain(error):
        innermost = default
        trace = part.__traceback__
        while trace is not None:
            file = Path(trace.tb_frame.f_code.co_filename)
            if file.is_relative_to(root) and installed.is_in(file) is None and file.parent != FRAME:
                innermost = f"{file.relative_to(root).as_posix()}:{trace.tb_lineno}"
            trace = trace.tb_next
        if innermost != default:
            return innermost
    return default


def as_error(denial: Denial, place: str, declared: Declaration) -> LmspecError:
    """What a user sees."""
    path = denial.path
    if denial.written:
        remedy = f"write to its output, {declared.folder}, or to a temporary file"
        return LmspecError(place, f"it writes {path}, which is not its own", remedy)
    remedy = f"{line_to_add(path)}; `lmspec trace {declared.stage}` lists all that is missing"
    return LmspecError(place, f"it opens {path}, which it does not declare", remedy)


def of_module(name: str, place: str, hidden: Collection[str]) -> LmspecError:
    """What a user sees of a module that a stage did not find. hidden: see `installed.Packages`."""
    top = name.partition(".")[0]
    if top in hidden:
        found = f"it imports {name}, which is installed, but not in its cache key"
        return LmspecError(place, found, installed.line_to_add(top))
    found = f"it imports {name}, which is neither in the project nor among the installed packages"
    remedy = "put it into the project, or install it as a package (PYTHONPATH does not count)"
    return LmspecError(place, found, remedy)


def line_to_add(path: Path) -> str:
    """How to declare a file."""
    module = installed.is_in(Path(os.path.realpath(path)))
    if module is not None:
        return installed.line_to_add(module)
    if path.suffix == ".py" and path.is_absolute():
        return "put it into the project, or install it as a package (not with -e)"
    if path.suffix == ".py":
        return "import it where `lmspec sync` can see it, then run `lmspec sync`"
    if path.parts[:1] == ("data",) and len(path.parts) > 2:
        return f"refer to {path.parts[1]}.{path.parts[2]} in params.yaml"
    source = "make it a source of kind `file` in params.yaml, and refer to that"
    if not path.is_absolute():
        return source
    copy = f"copy it into the project, {source}"
    return f"{copy}; or add it to `{system.FIELD}`" if path.is_file() else copy
