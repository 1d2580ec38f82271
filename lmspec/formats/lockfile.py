"""lockfile: dvc.lock, stage by stage: the text of each entry, and the stage's last run as values.

The one reader of that file, and in no stage's cache key: run/supervisor, which only asks whether a
stage is named, looks at the text itself.
"""

import contextlib
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from lmspec.errors import LmspecError
from lmspec.formats import yamltext

NAME = "dvc.lock"
STAGES = "stages"
PLAIN = {"schema", STAGES}
INVALID = (YAMLError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
REMEDY = "resolve the merge, `git checkout dvc.lock`, or run `dvc repro`"
# The files of an entry, as DVC writes them unless a path needs quotes: three quarters of dvc.lock.
# With the rest alone left to YAML, 118 KB take 18 ms instead of 59.
FILES = re.compile(
    r"^    (deps|outs):\n((?:    - path: [\w./][\w./+-]*\n(?:      \w+: \w[\w.-]*\n)++)++)"
    r"(?=    \w|\Z)",
    re.MULTILINE,
)
FILE = re.compile(r"- path: (.*)\n(?:      (?!md5)\w+: .*\n)*(?:      md5: (.*)\n)?")


@dataclass(frozen=True)
class Run:
    """The last run of a stage.

    params      file -> name -> value
    deps, outs  path -> MD5, with `.dir` for a folder; empty where DVC recorded none
    """

    command: str
    params: Mapping[str, Mapping[str, Any]]
    deps: Mapping[str, str]
    outs: Mapping[str, str]


NEVER = Run("", {}, {}, {})
MD5 = re.compile(r"[0-9a-f]{32}(?:\.dir)?")


@dataclass(frozen=True)
class LockFile:
    """A dvc.lock as text.

    sections  name -> text of each top-level section; empty for `stages`
    stages    name -> text of its entry
    """

    sections: Mapping[str, str]
    stages: Mapping[str, str]

    def text(self) -> str:
        """The file as DVC writes it: byte for byte what was split, if nothing changed."""
        entries = "".join(self.stages.values())
        stages = f"{STAGES}:\n{entries}" if entries else f"{STAGES}: {{}}\n"
        sections = {**self.sections, STAGES: stages} if self.sections else {}
        return "".join(sections.values())

    def run(self, stage: str) -> Run | None:
        """The last run of one stage; None if it never ran. Raises LmspecError as `runs` does."""
        entry = self.stages.get(stage)
        return runs(f"{STAGES}:\n{entry}").get(stage) if entry else None


def text_in(root: Path) -> str:
    """The text of a project's dvc.lock; empty if it has none."""
    path = root / NAME
    return path.read_text(encoding="utf-8") if path.exists() else ""


@functools.lru_cache(maxsize=8)
def split(text: str) -> LockFile:
    """The pieces of a dvc.lock, unchecked."""
    sections = dict(_named(re.split(r"^(?=[^\s-])", text, flags=re.MULTILINE)))
    _, _, entries = sections.get(STAGES, "").partition("\n")
    stages = dict(_named(re.split(r"^(?=  [^\s-])", entries, flags=re.MULTILINE)))
    return LockFile({n: "" if n == STAGES else text for n, text in sections.items()}, stages)


def _named(pieces: list[str]) -> Iterator[tuple[str, str]]:
    for piece in filter(None, pieces):
        yield piece.partition(":")[0].strip(" '\""), piece


def runs(text: str, place: str = NAME) -> dict[str, Run]:
    """Stage -> its last run; empty if nothing ever ran.

    place  the file's name in an error
    Raises LmspecError if DVC did not write the text.
    """
    lock = split(text)
    if set(lock.sections) <= PLAIN and lock.text() == text:
        with contextlib.suppress(*INVALID):  # then the whole file gives the line
            return {
                stage: run for entry in lock.stages.values() for stage, run in _entry(entry).items()
            }
    try:
        document = yamltext.load(text) or {}
        return {stage: _run(entry) for stage, entry in (document.get(STAGES) or {}).items()}
    except INVALID as error:
        line, problem = "", ""
        if isinstance(error, MarkedYAMLError):
            line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
            problem = f": {error.problem}"
        elif isinstance(error, yamltext.Unbounded):
            problem = f": {error}"
        raise LmspecError(
            f"{place}{line}", f"it is not a valid lock file{problem}", REMEDY
        ) from None


@functools.lru_cache(maxsize=100_000)
def _entry(text: str) -> dict[str, Run]:
    """One stage. Cached, since most entries are the same in two commits."""
    files: dict[str, Any] = {}

    def take(block: re.Match[str]) -> str:
        files[block[1]] = [{"path": path, "md5": md5} for path, md5 in FILE.findall(block[2])]
        return ""

    ((stage, entry),) = yamltext.load(FILES.sub(take, text)).items()
    return {stage: _run({**(entry or {}), **files})}


def _run(entry: Mapping[str, Any]) -> Run:
    params = {file: dict(values or {}) for file, values in (entry.get("params") or {}).items()}
    command = str(entry.get("cmd", ""))
    return Run(command, params, _hashes(entry.get("deps")), _hashes(entry.get("outs")))


def _hashes(files: Sequence[Mapping[str, Any]] | None) -> dict[str, str]:
    hashes = {str(file["path"]): str(file.get("md5")) for file in files or ()}
    return {path: md5 if MD5.fullmatch(md5) else "" for path, md5 in hashes.items()}


def is_whole(text: str) -> bool:
    """Was DVC left to finish? It empties the file, then writes it in parts."""
    *_, last = text.rpartition("- path:")
    hashed = "- path:" not in text or re.search("md5:|etag:|checksum:", last)
    *_, command = text.rpartition("cmd: '")  # folded, so a line ends within it
    closed = "cmd: '" not in text or "'" in command
    ended = text.endswith("\n") and not text.endswith(":\n")
    return bool(text.strip() and ended and hashed and closed)
