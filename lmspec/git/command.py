"""command: run git on the project's own repository, and tell "there is none" from "git failed"."""

import os
import re
import shlex
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from lmspec.errors import LmspecError

# In a hook, these name the hook's repository, which may not be the project's.
# Source: `git rev-parse --local-env-vars`, without the two that carry settings of the command line:
# git itself passes those on to submodules, and a container may set `safe.directory` with them.
LOCAL = {
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_PREFIX"),
    *("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"),
    *("GIT_SHALLOW_FILE", "GIT_GRAFT_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE"),
    *("GIT_CONFIG", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE"),
}
# A commit is what its hash says, a path is no pattern, and nothing waits for an answer.
FIXED = {
    "LC_ALL": "C",  # messages are parsed
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}
# A user's settings that run programs or change what git prints.
SETTINGS = (
    *("-c", "core.fsmonitor=false", "-c", "log.showSignature=false"),
    *("-c", "core.warnAmbiguousRefs=true", "-c", "color.ui=false"),
    *("-c", "advice.graftFileDeprecated=false"),
)
DUBIOUS = re.compile("(?:dubious ownership in|unsafe) repository (?:at )?\\(?'(.*?)'")
NO_REPOSITORY = "not a git repository"


class NoRepository(LmspecError):
    """A folder is in no git repository; this is not a failure of git."""


class NotInstalled(LmspecError):
    """Git does not start; what needs no commits works without it."""


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Without the variables by which a caller names another repository."""
    kept = os.environ if base is None else base
    return {name: value for name, value in kept.items() if name not in LOCAL}


def start(place: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    """A git process to write to and read from; its standard error is dropped."""
    return subprocess.Popen(
        ["git", *SETTINGS, *arguments],
        cwd=place,
        env=environment() | FIXED,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def run(
    place: Path, *arguments: str, answers: Collection[int] = (0,), given: bytes | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git until it ends.

    answers  exit codes that are an answer; any other is a failure
    given    its standard input: paths of `check-ignore`, which refuses literal pathspecs
    Raises NotInstalled, NoRepository, or LmspecError with git's words.
    """
    try:
        process = subprocess.run(
            ["git", *SETTINGS, *arguments],
            cwd=place,
            env=environment() | FIXED | ({} if given is None else {"GIT_LITERAL_PATHSPECS": "0"}),
            input=given,
            capture_output=True,
            check=False,
        )
    except OSError as error:
        missing = isinstance(error, FileNotFoundError) and place.is_dir()
        found = "it is not installed" if missing else f"it does not start: {error.strerror}"
        remedy = "install git; lmspec compares committed results"
        raise NotInstalled("git", found, remedy) from None
    if process.returncode not in answers:
        raise failure(place, arguments[0], process.stderr.decode(errors="replace").strip())
    return process


def text(place: Path, *arguments: str) -> str:
    """What git prints; bytes that are not UTF-8 survive. Raises as `run` does."""
    return run(place, *arguments).stdout.decode("utf-8", "surrogateescape")


def failure(place: Path, command: str, words: str) -> LmspecError:
    """The error for a failure of git in a folder. words: git's message."""
    if dubious := DUBIOUS.search(words):
        owned = shlex.quote(dubious[1])
        return LmspecError(
            dubious[1],
            f"git refuses a repository that belongs to another user: {words.splitlines()[0]}",
            f"if you trust it: `git config --global --add safe.directory {owned}`",
        )
    above = repository_above(place)
    if NO_REPOSITORY in words and above is None:
        found = "it is in no git repository"
        return NoRepository(str(place), found, "`git init`, and commit what you have built")
    remedy = "run lmspec in an intact git repository: `git fsck` checks this one"
    if NO_REPOSITORY in words:
        return LmspecError(str(above), f"git cannot use this repository: {words}", remedy)
    if "Permission denied" in words:
        remedy = "run lmspec as a user who may read the whole repository"
    return LmspecError("git", words or f"`git {command}` failed", remedy)


def repository_above(place: Path) -> Path | None:
    """The `.git` of a folder or of its nearest parent that has one, whether git can use it or not.

    None beyond a mount point or a ceiling, where git would not look either.
    """
    place = place.resolve()
    around = () if "GIT_CEILING_DIRECTORIES" in os.environ else place.parents
    for folder in (place, *around):
        try:
            if folder.stat().st_dev != place.stat().st_dev:
                return None
            found = folder / ".git"
            if found.is_file() or any(found.iterdir()):
                return found
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:  # an unreadable repository is still one
            return folder / ".git"
    return None


def prefix(place: Path) -> str:
    """A folder's path in its repository, with a final slash; empty at the top or outside of one."""
    try:
        return text(place, "rev-parse", "--show-prefix").removesuffix("\n")
    except (NoRepository, NotInstalled):
        return ""
