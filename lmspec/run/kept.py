"""kept: what DVC keeps of a folder: nothing that `.dvcignore` names, no link, mode or empty folder.

DVC sees no edit of such a file, and `dvc checkout` does not bring it back. Source: dvc/ignore.py of
DVC 3.67; the patterns are those of `.gitignore`. DVC itself takes longer to import than most stages
run.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lmspec.errors import LmspecError
from lmspec.methods.folders import shown

FILE = ".dvcignore"
BUILT_IN = (".hg/", ".git/", ".git", ".dvc/")
EXECUTABLE = 0o111
GLOB = re.compile(
    r"\\(?P<escaped>.)|(?P<many>\*+)|(?P<one>\?)|\[(?P<set>[!^]?\]?[^\]]*)\]|(?P<plain>.)"
)


class Rule(NamedTuple):
    """A line of a `.dvcignore`, or a name that DVC never sees.

    folder   whose paths the pattern is about
    ignores  False for a line that begins with `!`, which takes others back
    line     how an error names it
    """

    folder: Path
    pattern: re.Pattern[str]
    ignores: bool
    folders_only: bool
    line: str


def settle(folder: Path, path: Path, root: Path) -> None:
    """Make a new output what a checkout will bring back: without links, empty folders and modes.

    folder  the output on disk
    path    where in the project DVC will find it
    Raises LmspecError as `require_seen` does, and if there is no file at all.
    """
    require_seen(folder, path, root)
    if not any(names for _, _, names in os.walk(folder)):
        remedy = "write the result into the folder that `build` is given"
        raise LmspecError(path.as_posix(), "the build left no file in it", remedy)
    for place, _, names in os.walk(folder, topdown=False):
        for file in (Path(place, name) for name in names):
            if file.is_symlink():
                target = os.path.realpath(file)
                file.unlink()
                shutil.copyfile(target, file)
            if file.stat().st_mode & EXECUTABLE:
                file.chmod(file.stat().st_mode & ~EXECUTABLE)
        if Path(place) != folder and not any(os.scandir(place)):
            Path(place).rmdir()


def require_seen(folder: Path, path: Path, root: Path) -> None:
    """Raise LmspecError for a file in a folder that DVC leaves out. Parameters as of `settle`."""
    rules = rules_for(root / path)
    for name, is_folder in _walk(folder, ""):
        rule = ignoring(root / path / name, is_folder, rules)
        line = FILE if name.rpartition("/")[2] == FILE else rule.line if rule else None
        if line is not None:
            raise LmspecError(
                shown(path / name),
                f"DVC does not keep it ({line}): a checkout would not bring it back",
                f"keep it out of the folder, or change the line of {FILE} if there is one",
            )


def rules_for(folder: Path) -> list[Rule]:
    """The rules that hold in a folder, the last one first: of two, the later one counts."""
    top = next((place for place in folder.parents if (place / ".dvc").is_dir()), folder.parent)
    rules = [rule for line in BUILT_IN for rule in parsed(line, top, "its own rule")]
    for place in reversed([place for place in folder.parents if place.is_relative_to(top)]):
        if (place / FILE).is_file():
            lines = (place / FILE).read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(map(str.strip, lines), 1):
                rules += parsed(line, place, f"{shown(place / FILE)}:{number}: {line}")
    return rules[::-1]


def ignoring(path: Path, is_folder: bool, rules: Sequence[Rule]) -> Rule | None:
    """The rule that hides a path from DVC; None if it is seen, as its folder must be."""
    for rule in rules:
        name = path.relative_to(rule.folder).as_posix() + "/" * is_folder
        if (is_folder or not rule.folders_only) and rule.pattern.match(name):
            return rule if rule.ignores else None
    return None


def parsed(line: str, folder: Path, source: str) -> Iterator[Rule]:
    """The rule of a line; none of a comment, an empty line, or a pattern that is not valid."""
    ignores, text = not line.startswith("!"), line.removeprefix("!")
    if line.startswith("#") or not text.strip("/"):
        return
    path = text.removesuffix("/")
    segments = path.removeprefix("/").split("/")
    if "/" not in path:
        segments.insert(0, "**")
    if path != text and re.fullmatch(r"(\*\*/)*\*\*|(\*\*/)+\*", "/".join(segments)):
        return  # `*/` and `**/`: DVC's expressions for them match nothing
    with contextlib.suppress(re.error):
        yield Rule(folder, re.compile(_expression(segments)), ignores, path != text, source)


def _walk(folder: Path, prefix: str) -> Iterator[tuple[str, bool]]:
    """(path in the folder, is it a folder?) of everything in it."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            is_folder = entry.is_dir(follow_symlinks=False)
            yield prefix + entry.name, is_folder
            if is_folder:
                yield from _walk(folder / entry.name, f"{prefix}{entry.name}/")


def _expression(segments: Sequence[str]) -> str:
    """Regular expression of a path, a folder's with a slash at its end, or of one beneath it."""
    *before, last = segments
    parts = ["(?:.+/)?" if segment == "**" else f"{_segment(segment)}/" for segment in before]
    return "".join(parts) + ("" if last == "**" else f"{_segment(last)}(?:/|$)")


def _segment(glob: str) -> str:
    def expression(match: re.Match[str]) -> str:
        if match["many"]:
            return "[^/]*"
        if match["one"]:
            return "[^/]"
        if match["set"]:
            negated = match["set"][0] in "!^"
            return f"[{'^' * negated}{match['set'][negated:]}]".replace("\\", "\\\\")
        if match["plain"] == "[":
            return "("  # not valid: a pattern whose bracket is not closed is discarded
        return re.escape(match["escaped"] or match["plain"])

    return "[^/]+" if glob == "*" else GLOB.sub(expression, glob)
