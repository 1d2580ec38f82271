"""bisection: the commit at which a gate began to fail, found in committed metrics alone."""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from lmspec.compare import gates
from lmspec.compare.evidence import Evidence
from lmspec.compare.report import GateVerdict
from lmspec.compare.revision import PARAMS, WORKTREE, Revision
from lmspec.compare.stale import unknown
from lmspec.errors import LmspecError, some
from lmspec.git import tree
from lmspec.history import commits
from lmspec.history.commits import Commit, Files
from lmspec.language.suggest import nearest
from lmspec.pipeline import paths
from lmspec.specs import gates as specs

COMPARING = (specs.NonInferiority, specs.Improvement, specs.NegativeFlipRate, specs.Ratio)
State = Literal["pass", "fail", "skipped"]
SKIPPED: tuple[GateVerdict, ...] = ("missing", "stale", "not comparable")
OTHERS = "name others: `--good`, `--bad`; `lmspec log` shows which commits have whole metrics"


@dataclass(frozen=True)
class Held:
    """A commit against the gate. found: in words; a commit whose metrics say nothing of it is skipped."""

    commit: Commit
    state: State
    verdict: GateVerdict
    found: str


@dataclass(frozen=True)
class Culprit:
    """Where the last run of failures begins.

    good     the last that passes before it
    one_of   commits one of which broke the gate, oldest first: the first that fails, and those before it that were skipped
    brought  what came with it, if it is one commit and a merge
    line     every commit that was held, newest first
    earlier  other commits at which the gate began to fail, newest first
    notes    what was not checked
    """

    good: Held
    one_of: tuple[Held, ...]
    brought: tuple[Commit, ...]
    line: tuple[Held, ...]
    earlier: tuple[Held, ...]
    notes: tuple[str, ...] = ()

    @property
    def fails(self) -> Held:
        """The first that was seen to fail."""
        return self.one_of[-1]


@dataclass(frozen=True)
class Nothing:
    """Why there is no such commit. notes: what was not checked."""

    reason: str
    notes: tuple[str, ...] = ()


def gate_named(name: str, root: Path) -> specs.Gate:
    """As params.yaml in the working tree has it now, without its waiver: a failure that is signed off has a culprit too.

    Raises LmspecError if it has none of that name.
    """
    now = Revision(tree.tree(WORKTREE, root, (PARAMS,)))
    if PARAMS not in now.tree.ids:
        raise LmspecError(
            PARAMS, "there is no such file", "run lmspec in the folder that holds params.yaml"
        )
    known = gates.demanded(Evidence(now, now, {}))
    if name not in known:
        near = nearest(name, known)
        remedy = f"did you mean '{near}'?" if near else f"it has {some(sorted(known))}"
        raise LmspecError(PARAMS, f"there is no gate '{name}'", remedy)
    return known[name].model_copy(update={"waiver": None})


def culprit(
    name: str, gate: specs.Gate, good: str | None, bad: str, files: Files
) -> Culprit | Nothing:
    """Between two commits; good: None for the newest before that passes. Raises LmspecError if they cannot be compared."""
    line = commits.line(bad, files.root)
    search = _Search(name, gate, files)
    passing = None if good is None else _ancestor(good, line[0], files.root)
    if isinstance(gate, COMPARING):
        found = _compared(search, line, passing)
    else:
        found = _up_to(search, line, passing) if passing else _back(search, line)
    return replace(found, notes=tuple(commits.unchecked(len(search.unchecked))))


def _ancestor(good: str, bad: Commit, root: Path) -> Commit:
    found = commits.line(good, root)[0]
    if found.hash == bad.hash or not commits.holds(bad.hash, found.hash, root):
        said = (
            "it is the bad commit itself"
            if found.hash == bad.hash
            else f"it is no ancestor of {bad.short}"
        )
        raise LmspecError(
            f"--good {good}",
            said,
            "name one from before the gate broke: `git log --first-parent` shows some",
        )
    return found


def _back(search: "_Search", line: Sequence[Commit]) -> Culprit | Nothing:
    """From the bad commit to the newest that passes."""
    seen: list[Held] = []
    for commit in line:
        seen.append(search.hold(commit))
        if nothing := _nothing_at(seen[0]):
            return nothing
        if seen[-1].state == "pass":
            return _told(seen, search.files.root)
    return Nothing(f"no commit before {line[0].short} passes it{_end(line, search.files.root)}")


def _up_to(search: "_Search", line: Sequence[Commit], good: Commit) -> Culprit | Nothing:
    """From the bad commit to the good one, which may lie on a branch that was merged."""
    between = [*commits.line(line[0].hash, search.files.root, since=good.hash), good]
    seen = [search.hold(commit) for commit in between]
    if nothing := _nothing_at(seen[0]):
        return nothing
    if not any(held.state == "pass" for held in seen):
        _comparable(seen[-1])
        return Nothing(
            f"it does not pass at {good.short}, nor at any commit since: {seen[-1].found}"
        )
    return _told(seen, search.files.root)


def _compared(search: "_Search", line: Sequence[Commit], good: Commit | None) -> Culprit | Nothing:
    """A gate that compares has the good commit for its baseline: the newest, against which the bad one fails."""
    if good is None and isinstance(search.gate, specs.Improvement):
        remedy = "name the commit that was to be improved on: `--good REV`"
        raise LmspecError(
            search.name, "an improvement is one over some commit, and going back finds none", remedy
        )
    if good is not None:
        search.baseline = good
        return _up_to(search, line, good)
    seen = []
    for search.baseline in line[1:]:
        seen.append(search.hold(line[0]))
        if seen[-1].state == "fail":
            return _up_to(search, line, search.baseline)
    if seen and all(held.state == "skipped" for held in seen):
        _comparable(seen[0])
    return Nothing(
        f"{line[0].short} passes against each commit before it{_end(line, search.files.root)}"
    )


def _nothing_at(bad: Held) -> Nothing | None:
    """Is there nothing to find? Raises LmspecError if nobody can tell."""
    _comparable(bad)
    return (
        Nothing(f"the gate passes at {bad.commit.short}: {bad.found}")
        if bad.state == "pass"
        else None
    )


def _comparable(held: Held) -> None:
    if held.state == "skipped":
        raise LmspecError(held.commit.short, f"{held.verdict}: {held.found}", OTHERS)


def _end(line: Sequence[Commit], root: Path) -> str:
    if not commits.cut_off(line[-1], root):
        return ""
    return f"; this clone is shallow and ends at {line[-1].short}: `git fetch --unshallow` gets what came before"


def _told(seen: Sequence[Held], root: Path) -> Culprit:
    """seen: newest first, a failure at first, and one that passes among them."""
    end = next(i for i, held in enumerate(seen) if held.state == "pass")
    begin = max(i for i, held in enumerate(seen[:end]) if held.state == "fail")
    one_of = tuple(reversed(seen[begin:end]))
    brought = tuple(commits.brought(one_of[0].commit, root)) if len(one_of) == 1 else ()
    told = [held for held in seen[end:] if held.state != "skipped"]
    earlier = tuple(
        later for later, before in pairwise(told) if (later.state, before.state) == ("fail", "pass")
    )
    return Culprit(seen[end], one_of, brought, tuple(seen), earlier)


@dataclass
class _Search:
    """Holds commits against one gate.

    baseline   what a gate that compares compares with
    unchecked  commits that have no dvc.lock
    """

    name: str
    gate: specs.Gate
    files: Files
    baseline: Commit | None = None
    unchecked: set[Commit] = field(default_factory=set)
    _known: dict[tuple[object, ...], Held] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.artifact = ".".join(self.gate.metric.split(".")[:2])

    def hold(self, commit: Commit) -> Held:
        """One commit; of several that have the same files, once."""
        try:
            late = self._late(commit)
            key = (self.baseline, late, *self._files(commit))
            if key not in self._known:
                self._known[key] = self._held(commit, late)
            known = self._known[key]
        except LmspecError as error:
            return Held(commit, "skipped", "not comparable", f"{error.place}: {error.found}")
        finally:
            self.files.forget()
        return Held(commit, known.state, known.verdict, known.found)

    def _held(self, commit: Commit, late: str | None) -> Held:
        new = self.files.revision(commit)
        old = new if self.baseline is None else self.files.revision(self.baseline)
        before = {self.artifact: self.artifact} if self.artifact in old.artifacts else {}
        stale, old_stale = (
            {self.artifact: why} if why else {} for why in (late, self._late(self.baseline))
        )
        evidence, today = Evidence(old, new, before), datetime.date.today()
        found = gates.held(evidence, self.name, self.gate, stale, today, old_stale)
        state: State = "pass" if found.passed else "skipped" if found.verdict in SKIPPED else "fail"
        return Held(commit, state, found.verdict, found.found)

    def _late(self, commit: Commit | None) -> str | None:
        """Why its metrics are not of its own spec and code."""
        if commit is None:
            return None
        if unknown(self.files.revision(commit)):
            self.unchecked.add(commit)
        return self.files.stale(commit).get(self.artifact)

    def _files(self, commit: Commit) -> Iterator[tuple[str, str]]:
        """What the verdict depends on, as git names its content."""
        own = (PARAMS, paths.metrics(self.artifact), paths.provenance(self.artifact))
        for path, content in self.files.revision(commit).tree.ids.items():
            if path in own or path.startswith(
                f"{paths.METRICS}/{paths.stage_name(self.artifact)}/"
            ):
                yield path, content
