"""metric_lookup: which metric of a branch an abbreviation means, and which ones its gates are about."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lmspec.compare import gates
from lmspec.compare.evidence import Evidence, leaves
from lmspec.compare.revision import Fault, Revision, number
from lmspec.errors import LmspecError, some
from lmspec.history import commits
from lmspec.history.commits import Commit, Files
from lmspec.language.suggest import nearest
from lmspec.pipeline.paths import METRICS
from lmspec.specs import gates as specs

FILE = re.compile(rf"{METRICS}/([a-z]+)-([^/]+)\.json")
LOOKED_AT = 100  # versions of the metrics, back from the tip, before a name is taken for a mistake


@dataclass(frozen=True)
class Name:
    """artifact: `scores.release`; path: within its metrics."""

    artifact: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.artifact, *self.path))


def known(revision: Revision) -> Iterator[Name]:
    """Every number in the metrics of a revision. What cannot be read has none."""
    for file in filter(None, map(FILE.fullmatch, revision.tree.ids)):
        artifact = f"{file[1]}.{file[2]}"
        try:
            values = revision.metrics(artifact)
        except LmspecError:
            continue
        if not isinstance(values, Fault):
            yield from (
                Name(artifact, path) for path, value in leaves(values) if number(value) is not None
            )


def metric(text: str, line: list[Commit], files: Files) -> Name:
    """The one that is meant: by its name, by its end, or with `*` for any part of it.

    The newest commit that knows such a name decides. Raises LmspecError if there is none, or several.
    """
    for commit in _versions(line, files):
        names = {str(name): name for name in known(files.revision(commit))}
        found = [text] if text in names else [name for name in names if _fits(text, name)]
        if len(found) == 1:
            return names[found[0]]
        if found:
            raise LmspecError(
                text,
                f"it may be one of {len(found)} metrics: {some(found)}",
                "write more of its name",
            )
    every = [str(name) for commit in line[:1] for name in known(files.revision(commit))]
    raise LmspecError(text, "no commit of this branch has such a metric", _advice(text, every))


def _advice(text: str, every: list[str]) -> str:
    """The nearest name, or those that end in the nearest end of one."""
    near = nearest(text, every)
    end = near or nearest(text, dict.fromkeys(name.split(".", 2)[2] for name in every))
    if end is None:
        like = difflib.get_close_matches(text, every, len(every) or 1, 0)
        return f"the nearest of {len(every)} are {some(like)}: `lmspec diff --all` shows each"
    found = [name for name in every if name == near or (near is None and name.endswith(f".{end}"))]
    return (
        f"did you mean '{found[0]}'?" if len(found) == 1 else f"did you mean one of {some(found)}?"
    )


def _versions(line: list[Commit], files: Files) -> Iterator[Commit]:
    """The tip, then older commits at which some metric changed."""
    yield line[0]
    changed = set(commits.touching(line[0], METRICS, files.root)[:LOOKED_AT])
    yield from (commit for commit in line[1:] if commit.hash in changed)


def _fits(text: str, name: str) -> bool:
    pattern = ".*".join(map(re.escape, text.split("*")))
    return (
        re.fullmatch(pattern if text.startswith("*") else rf"(?:.*\.)?{pattern}", name) is not None
    )


def of_gates(line: list[Commit], files: Files) -> list[Name]:
    """The metrics that the gates of the newest commit are about, each once. Raises LmspecError if there are none."""
    tip = files.revision(line[0])
    demanded = gates.demanded(Evidence(tip, tip, {}))
    if not demanded:
        remedy = "name a metric, such as scores.release.test.accuracy; `lmspec explain gates` shows how a gate is written"
        raise LmspecError(
            f"{tip.name}:params.yaml", "it has no gates that would say which metrics matter", remedy
        )
    names = list(known(tip))
    found = [name for gate in demanded.values() for name in _about(gate, names) or _literally(gate)]
    return list(dict.fromkeys(found))


def _about(gate: specs.Gate, names: list[Name]) -> list[Name]:
    noun, key, *path = pattern_of(gate)
    return [
        name
        for name in names
        if name.artifact == f"{noun}.{key}" and gates.matches(tuple(path), name.path)
    ]


def _literally(gate: specs.Gate) -> list[Name]:
    """Where the newest commit does not have it: an older one may."""
    noun, key, *path = pattern_of(gate)
    return [] if "*" in path else [Name(f"{noun}.{key}", tuple(path))]


def pattern_of(gate: specs.Gate) -> tuple[str, ...]:
    """The names of a gate's metric, as `pattern` has them."""
    return pattern(gate.kind, gate.metric)


def pattern(kind: str, metric: str) -> tuple[str, ...]:
    """The names of what a gate is about; accuracy stands for the flips of a test split or table, f1 for those of a class."""
    names = tuple(metric.split("."))
    if kind != "negative_flip_rate":
        return names
    return (*names[:3], "f1", *names[4:]) if names[3:4] == ("class",) else (*names, "accuracy")
