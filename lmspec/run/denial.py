"""denial: which file an error shows to have been kept from a stage, and what its author can do about it."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.run.declaration import Stage
from lmspec.run.sandbox import Allowed

FAILED = re.compile(
    r"permission denied|os error 13|no such file|not found|can ?not (open|read|load)|could ?n.t (open|read|load)"
    r"|could not (open|read|load)|(failed|unable) to (open|read|load)|load model|does ?n.t exist|does not exist",
    re.IGNORECASE,
)
OWN_FAULTS = (
    NameError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
)  # their messages quote names, not files


@dataclass(frozen=True)
class Refused:
    """path: relative to the project where it lies in it; written: it could have been read."""

    path: Path
    written: bool


def refused(error: BaseException, allowed: Allowed, root: Path) -> Refused | None:
    """The file that an error, or what led to it, shows to have been kept from this process; None if it is another error.

    Each library says it in its own way: in an attribute, in a message that a file could not be opened (or is not there), or
    only as "permission denied", with the path in a variable of whoever called it.
    """
    for part in _chain(error):
        for name in _named(part):
            if _is_kept(name, allowed, root):
                return Refused(_relative(name, root), written=False)
        for name in _attributes(part) if isinstance(part, PermissionError) else ():
            if not allowed.writes(Path(name)) and not root.is_relative_to(os.path.realpath(name)):
                return Refused(_relative(name, root), written=True)
    return None


def _named(error: BaseException) -> list[str]:
    """Names of files, the surest first."""
    said = str(error)
    names = _attributes(error)
    # a program that was started says why it failed on an output of its own
    if type(error).__name__ == "CalledProcessError" or (
        FAILED.search(said) and not isinstance(error, OWN_FAULTS)
    ):
        names += _words(said)
    if "ermission denied" in said:
        names += _variables(error)
    return names


def _is_kept(name: str, allowed: Allowed, root: Path) -> bool:
    with contextlib.suppress(
        OSError, ValueError
    ):  # no path, but some other text; or one that must not even be looked at
        real = Path(os.path.realpath(name))
        return real.exists() and not root.is_relative_to(real) and not allowed.reads(real)
    return False


def _relative(name: str, root: Path) -> Path:
    path = Path(name)
    return path.relative_to(root) if path.is_relative_to(root) else path


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The first cause first. A message of ours, which can name any file as a place to look, has no part in it."""
    if error is not None:
        yield from _chain(error.__cause__ or error.__context__)
        if not isinstance(error, LmspecError):
            yield error


def _attributes(error: BaseException) -> list[str]:
    names = (getattr(error, name, None) for name in ("filename", "filename2"))
    return (
        [os.fsdecode(name) for name in names if isinstance(name, str | bytes)]
        if isinstance(error, OSError)
        else []
    )


def _words(message: str) -> list[str]:
    """What looks like a path: with a slash or a dot."""
    quoted = [
        name for pair in re.findall(r"'([^'\n]+)'|\"([^\"\n]+)\"", message) for name in pair if name
    ]
    words = [*quoted, *(word.strip("'\"`.,:;") for word in re.split(r"[\s,()\[\]<>=]+", message))]
    return [word for word in words if ("/" in word or "." in word) and not Path(word).is_dir()]


def _variables(error: BaseException) -> list[str]:
    """Paths in the variables and constants of the frames that it passed, the innermost first. A bare word is no folder."""
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


def place(error: BaseException, root: Path, otherwise: str) -> str:
    """File and line of the project's code that the error came from."""
    found = otherwise
    for part in _chain(error):
        trace = part.__traceback__
        while trace is not None:
            file = Path(trace.tb_frame.f_code.co_filename)
            if (
                file.is_relative_to(root)
                and "site-packages" not in file.parts
                and file.parent.name != "lmspec"
            ):
                found = f"{file.relative_to(root).as_posix()}:{trace.tb_lineno}"
            trace = trace.tb_next
        if found != otherwise:
            return found
    return found


def as_error(refused: Refused, place: str, stage: Stage) -> LmspecError:
    """What a user sees."""
    path = refused.path
    if refused.written:
        remedy = f"write to its output, {stage.folder}, or to a temporary file"
        return LmspecError(place, f"it writes {path}, which is not its own", remedy)
    remedy = f"{line_to_add(path)}; `lmspec trace {stage.name}` lists all that is missing"
    return LmspecError(place, f"it opens {path}, which it does not declare", remedy)


def line_to_add(path: Path) -> str:
    """Where a file is declared."""
    if path.suffix == ".py" and path.is_absolute():
        return "put it into the project, or install it as a package (not with -e)"
    if path.suffix == ".py":
        return "import it where `lmspec sync` can see it, then run `lmspec sync`"
    if path.parts[:1] == ("data",) and len(path.parts) > 2:
        return f"refer to {path.parts[1]}.{path.parts[2]} in params.yaml"
    return "make it a source of kind `file` in params.yaml, and refer to that"
