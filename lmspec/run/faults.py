"""faults: a full disk, or another fault of the machine, found in the error that it caused."""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from lmspec.errors import LmspecError
from lmspec.methods.folders import shown

LEAST_BYTES = 1 << 20  # with less space a disk counts as full


class Fault(NamedTuple):
    """What is wrong, and what helps."""

    found: str
    remedy: str


ROOM = "make room: `dvc gc --all-commits` removes from the cache what no commit uses"
FAULTS = MappingProxyType(
    {
        errno.ENOSPC: Fault("no space is left on its disk", ROOM),
        errno.EDQUOT: Fault("your quota of its disk is used up", ROOM),
        errno.EFBIG: Fault("it is larger than a file may be", "raise the limit: see `ulimit -f`"),
        errno.EMFILE: Fault("too many files are open", "raise the limit: see `ulimit -n`"),
        errno.ENFILE: Fault("too many files are open on this machine", "close some programs"),
        errno.ENOMEM: Fault("no memory is left", "free some, or use a machine with more"),
        errno.EROFS: Fault("its file system is read-only", "mount it writable, or build elsewhere"),
        errno.EIO: Fault("reading or writing failed (I/O error)", "see the log of the system"),
        errno.EACCES: Fault("permission is denied", "see whose it is, and its mode"),
        errno.EPERM: Fault("permission is denied", "see whose it is, and its mode"),
    }
)
# what Python and compiled libraries say in errors of their own
WORDS = MappingProxyType(
    {
        errno.ENOSPC: r"no space left on device|os error 28\b|disk is full|no usable temporary"
        r"|requested and \d+ written",  # numpy
        errno.EDQUOT: r"disk quota exceeded|os error 122\b",
        errno.EFBIG: r"file too large|os error 27\b",
        errno.EMFILE: r"too many open files|os error 24\b",
        errno.ENOMEM: r"can(no|')t allocate memory|not enough memory|os error 12\b",
        errno.EROFS: r"read-only file system|os error 30\b",
        errno.EIO: r"input/output error|disk I/O error|os error 5\b",
    }
)
OF_A_FILE = frozenset({errno.EACCES, errno.EPERM})  # else refused by the sandbox, in its own words
OF_WRITING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS})
# elsewhere in a chain of errors these can be a remote's, or of an attempt that may fail
IF_LAST = frozenset({errno.EIO, errno.EACCES, errno.EPERM})


def of_stage(error: BaseException, folder: Path) -> LmspecError | None:
    """The error of a stage that writes to a folder, and to that of temporary files."""
    temporary = Path(os.environ.get("TMPDIR") or "/tmp")
    return explained(error, (folder, temporary), "`dvc repro`: what was built before is whole")


def explained(error: BaseException, folders: tuple[Path, ...], again: str) -> LmspecError | None:
    """The error as a user sees it if a fault of the machine caused it; else None.

    folders  where files were written: the place, where the error names none
    again    what to do once the fault is gone
    """
    for part in _chain(error):
        number = _number(part)
        named = number not in OF_A_FILE or getattr(part, "filename", None) is not None
        if number in FAULTS and named and (part is error or number not in IF_LAST):
            return _as_error(number, _place(number, part, folders), again)
    # torch and onnx do not say why they could not write
    full = _full(folders)
    unknown = not isinstance(error, LmspecError) and getattr(error, "errno", None) is None
    if full and unknown:
        first_line = str(error).strip().partition("\n")[0][:200]
        detail = f" ({type(error).__name__}: {first_line})"
        return _as_error(errno.ENOSPC, full[0], again, detail)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes, the first cause first."""
    if error is not None:
        yield from _chain(error.__cause__ or error.__context__)
        yield error


def _number(error: BaseException) -> int:
    """The number of its fault in the table; 0 if it is of none."""
    if isinstance(error, OSError) and error.errno is not None and error.errno in FAULTS:
        return error.errno
    if isinstance(error, MemoryError):
        return errno.ENOMEM
    message = "" if isinstance(error, LmspecError) else str(error)
    return next((n for n, words in WORDS.items() if re.search(words, message, re.I)), 0)


def _place(number: int, error: BaseException, folders: tuple[Path, ...]) -> Path:
    if isinstance(error, OSError):  # of a copy, the second is where it goes
        names = (error.filename2, error.filename)
        for name in names if number in OF_WRITING else names[::-1]:
            if isinstance(name, str | bytes):
                return Path(os.fsdecode(name))
    full = _full(folders)
    if number == errno.ENOSPC and not full:
        return Path("output")  # a stream, or a file on another disk: a failed write names neither
    return [*full, *folders][0]


def _full(folders: Iterable[Path]) -> list[Path]:
    """Those on a disk without space."""
    full = []
    for folder in folders:
        with contextlib.suppress(OSError):
            full += [folder] if shutil.disk_usage(folder).free < LEAST_BYTES else []
    return full


def _as_error(number: int, place: Path, again: str, detail: str = "") -> LmspecError:
    fault = FAULTS[number]
    return LmspecError(shown(place), f"{fault.found}{detail}", f"{fault.remedy}; then {again}")
