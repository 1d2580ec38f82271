"""metric_lookup: which metric an abbreviation means, and which metrics the gates are about."""

import contextlib
import difflib
import re
from collections.abc import Iterator, Sequence

from lmspec.compare import gates
from lmspec.compare.artifact import leaves
from lmspec.compare.revision import Revision, number
from lmspec.errors import LmspecError, some
from lmspec.history import commits
from lmspec.history.commits import Commit, Files
from lmspec.language.metric_names import matches
from lmspec.language.suggest import nearest
from lmspec.specs.gates import Gate
from lmspec.specs.names import METRICS, ArtifactName, MetricName

FILE = re.compile(rf"{METRICS}/([a-z]+-[^/]+)\.json")
LOOKED_AT = 100  # versions of the metrics, back from the tip, before a name is taken for a mistake


def known(revision: Revision) -> Iterator[MetricName]:
    """Every number in the metrics of a revision; files that cannot be read are skipped."""
    for file in filter(None, map(FILE.fullmatch, revision.tree.ids)):
        artifact = ArtifactName.of_stage(file[1])
        with contextlib.suppress(LmspecError):
            for path, value in leaves(revision.metrics(str(artifact))):
                if number(value) is not None:
                    yield MetricName(artifact, path)


def metric(text: str, line: list[Commit], files: Files) -> MetricName:
    """The metric meant by its name, by a suffix of it, or by a pattern with `*`.

    The newest commit with a match decides. Raises LmspecError if it matches none, or several.
    """
    for commit in _versions(line, files):
        names = {str(name): name for name in known(files.revision(commit))}
        matching = [text] if text in names else [name for name in names if _fits(text, name)]
        if len(matching) == 1:
            return names[matching[0]]
        if matching:
            raise LmspecError(
                text,
                f"it matches {len(matching)} metrics: {some(matching)}",
                "write more of the name",
            )
    newest = [str(name) for name in known(files.revision(line[0]))]
    raise LmspecError(text, "no commit of this branch has such a metric", _advice(text, newest))


def _advice(text: str, names: list[str]) -> str:
    """The nearest name, or the names that end in the nearest suffix."""
    if not names:
        return "none is committed: run `dvc repro`, then commit data/metrics"
    near = nearest(text, names)
    end = near or nearest(text, dict.fromkeys(name.split(".", 2)[2] for name in names))
    if end is None:
        like = difflib.get_close_matches(text, names, len(names) or 1, 0)
        return f"the nearest of {len(names)} are {some(like)}: `lmspec diff --all` lists all"
    meant = [near] if near else [name for name in names if name.endswith(f".{end}")]
    return f"did you mean one of {some(meant)}?" if meant[1:] else f"did you mean '{meant[0]}'?"


def _versions(line: list[Commit], files: Files) -> Iterator[Commit]:
    """The tip, then older commits that changed some metric."""
    yield line[0]
    changed = set(commits.touching(line[0], METRICS, files.root)[:LOOKED_AT])
    yield from (commit for commit in line[1:] if commit.hash in changed)


def _fits(text: str, name: str) -> bool:
    pattern = ".*".join(map(re.escape, text.split("*")))
    prefix = "" if text.startswith("*") else r"(?:.*\.)?"
    return re.fullmatch(prefix + pattern, name) is not None


def of_gates(line: list[Commit], files: Files) -> list[MetricName]:
    """The metrics that the newest commit's gates are about, each once.

    Raises LmspecError if it has no gates, or an invalid one.
    """
    tip = files.revision(line[0])
    demanded = gates.demanded(tip)
    if not demanded:
        raise LmspecError(
            f"{tip.name}:params.yaml",
            "it has no gates, so which metrics matter is not known",
            "name a metric, such as scores.release.test.accuracy; "
            "`lmspec explain gates` shows how to write a gate",
        )
    names = list(known(tip))
    return list(dict.fromkeys(name for gate in demanded.values() for name in _of_gate(gate, names)))


def _of_gate(gate: Gate, names: list[MetricName]) -> list[MetricName]:
    """Its metric as the gate names it, if the newest commit lacks it: an older one may have it."""
    wanted = patterns(gate.kind, gate.metric)
    matching = [name for name in names if is_about(wanted, (*name.artifact, *name.path))]
    return matching or ([] if "*" in wanted[0] else [MetricName.parse(".".join(wanted[0]))])


def patterns(kind: str, metric: str) -> tuple[tuple[str, ...], ...]:
    """The metrics that a gate may be about, name by name.

    A gate on negative flips of a split or table is about its accuracy, or exact match where answers
    are texts; on those of a class about its f1.
    """
    names = tuple(metric.split("."))
    if kind != "negative_flip_rate":
        return (names,)
    if names[3:4] == ("class",):
        return ((*names[:3], "f1", *names[4:]),)
    return (*names, "accuracy"), (*names, "exact_match")


def is_about(wanted: Sequence[tuple[str, ...]], path: tuple[str, ...]) -> bool:
    """Is a metric, with its artifact, one of those patterns'?"""
    return any(matches(pattern, path) for pattern in wanted)
