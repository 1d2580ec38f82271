"""bisection: the first commit at which a gate fails, found from committed metrics alone."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from lmspec.compare import against, comparison, gates, out_of_date
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.report import GateVerdict, Report
from lmspec.compare.revision import PARAMS, Revision, require_project
from lmspec.errors import LmspecError, some
from lmspec.git import tree
from lmspec.git.tree import WORKTREE
from lmspec.history import commits
from lmspec.history.commits import Commit, Files
from lmspec.language.suggest import did_you_mean, nearest
from lmspec.specs import gates as specs
from lmspec.specs import names
from lmspec.specs.names import ArtifactName, MetricName

State = Literal["pass", "fail", "skipped"]
SKIPPED: tuple[GateVerdict, ...] = ("missing", "out of date", "not comparable")


@dataclass(frozen=True)
class Check:
    """A gate at one commit. observed: the finding in words; skipped: its metrics cannot decide."""

    commit: Commit
    state: State
    verdict: GateVerdict
    observed: str


@dataclass(frozen=True)
class FirstBadCommit:
    """Where the latest run of failures begins.

    good     the last commit before it that passes
    one_of   oldest first: the first commit seen to fail, after those before it that were skipped
    merged   the commits that it brought in, if it is one commit and a merge
    checked  every commit that was checked, newest first
    earlier  other commits at which the gate began to fail, newest first
    """

    good: Check
    one_of: tuple[Check, ...]
    merged: tuple[Commit, ...]
    checked: tuple[Check, ...]
    earlier: tuple[Check, ...]

    @property
    def bad(self) -> Check:
        """The first commit seen to fail."""
        return self.one_of[-1]


@dataclass(frozen=True)
class NotFound:
    """Why there is no first bad commit."""

    reason: str


@dataclass(frozen=True)
class Bisection:
    """A gate, and where it broke.

    report  of the last good commit and the first bad one, or why there is none
    notes   what was not checked
    """

    name: str
    gate: specs.Gate
    result: FirstBadCommit | NotFound
    report: Report | str
    notes: tuple[str, ...] = ()


def bisect(name: str, good: str | None, bad: str, root: Path) -> Bisection:
    """Find the first bad commit of a gate. good: None for the newest commit that passes.

    Raises LmspecError if the commits cannot be compared.
    """
    gate = gate_named(name, root)
    line = commits.line(bad, root)
    with Files(root) as files:
        search = _Search(name, gate, line, files)
        result = search.run(None if good is None else _ancestor(good, line[0], root))
        notes = tuple(commits.unchecked(len(search.unchecked)))
        return Bisection(name, gate, result, _report(result, files), notes)


def _report(result: FirstBadCommit | NotFound, files: Files) -> Report | str:
    if isinstance(result, NotFound):
        return result.reason
    baseline, candidate = (files.revision(c.commit) for c in (result.good, result.bad))
    try:
        return comparison.compare(baseline, candidate, files.root)
    except LmspecError as error:
        return f"{error.place}: {error.found}"


def gate_named(name: str, root: Path) -> specs.Gate:
    """The gate as params.yaml in the working tree has it, without its waiver.

    A waived failure has a first bad commit too. Raises LmspecError if there is no such gate.
    """
    now = Revision(tree.tree(WORKTREE, root, (PARAMS,)))
    require_project(now)
    known = gates.demanded(now)
    if name not in known:
        remedy = did_you_mean(nearest(name, known)) or f"it has {some(sorted(known))}"
        raise LmspecError(PARAMS, f"there is no gate '{name}'", remedy)
    return known[name].model_copy(update={"waiver": None})


def _ancestor(good: str, bad: Commit, root: Path) -> Commit:
    commit = commits.line(good, root)[0]
    if commit.hash == bad.hash:
        reason = "it is the bad commit itself"
    elif not commits.is_ancestor(commit.hash, bad.hash, root):
        reason = f"it is no ancestor of {bad.short}"
    else:
        return commit
    remedy = "name one from before the gate broke: `git log --first-parent` shows some"
    raise LmspecError(f"--good {good}", reason, remedy)


@dataclass
class _Search:
    """Checks commits against one gate.

    baseline   what a gate that compares compares with
    unchecked  commits that have no dvc.lock
    """

    name: str
    gate: specs.Gate
    line: Sequence[Commit]
    files: Files
    baseline: Commit | None = None
    unchecked: set[Commit] = field(default_factory=set)
    _known: dict[tuple[object, ...], Check] = field(default_factory=dict)

    def __post_init__(self) -> None:
        artifact, held = MetricName.parse(self.gate.metric).artifact, against.of(self.gate)
        others = [ArtifactName.parse(held)] if held and "." in held else []
        self.artifact, self.artifacts = str(artifact), tuple(map(str, (artifact, *others)))
        self.inputs: tuple[str, ...] = (PARAMS,)
        for each in (artifact, *others):
            tables = f"{names.METRICS}/{each.stage}/"
            self.inputs += each.metrics, each.provenance, tables

    def run(self, good: Commit | None) -> FirstBadCommit | NotFound:
        """Back from the bad commit, to the good one if it is named, else to the first that passes.

        A gate that compares has the good commit as its baseline.
        """
        tip, root = self.line[0], self.files.root
        if against.of(self.gate) == against.BASELINE:
            good = self.baseline = good or self._newest_baseline()
            if good is None:
                return NotFound(f"{tip.short} passes against each commit before it{self._end()}")
        # the good commit may be on a branch that was merged, off the first-parent line
        line = [*commits.line(tip.hash, root, since=good.hash), good] if good else self.line
        checks: list[Check] = []
        for commit in line:
            checks.append(self.check(commit))
            if checks[0].state == "pass":
                return NotFound(f"the gate passes at {tip.short}: {checks[0].observed}")
            _require_verdict(checks[0])
            if not good and checks[-1].state == "pass":
                break
        if any(check.state == "pass" for check in checks):
            return _first_bad(checks, root)
        if not good:
            return NotFound(f"no commit before {tip.short} passes it{self._end()}")
        _require_verdict(checks[-1])
        return NotFound(
            f"it does not pass at {good.short}, nor at any commit since: {checks[-1].observed}"
        )

    def _newest_baseline(self) -> Commit | None:
        """The newest commit against which the bad one fails."""
        if isinstance(self.gate, specs.Improvement):
            raise LmspecError(
                self.name,
                "an improvement needs a commit that it is to improve on",
                "name that commit: `--good REV`",
            )
        checks = []
        for baseline in self.line[1:]:
            self.baseline = baseline
            checks.append(self.check(self.line[0]))
            if checks[-1].state == "fail":
                return baseline
        if checks and all(check.state == "skipped" for check in checks):
            _require_verdict(checks[0])
        return None

    def _end(self) -> str:
        return "".join(f"; {note}" for note in commits.cut_off(self.line[-1], self.files.root))

    def check(self, commit: Commit) -> Check:
        """Check a commit; commits with the same files are evaluated once."""
        try:
            reasons = self._out_of_date(commit)
            ids = self.files.revision(commit).tree.ids
            # the files that the verdict depends on, and git's hashes of their content
            files = (item for item in ids.items() if item[0].startswith(self.inputs))
            key = (self.baseline, *reasons.items(), *files)
            if key not in self._known:
                self._known[key] = self._evaluated(commit, reasons)
            return replace(self._known[key], commit=commit)
        except LmspecError as error:
            return Check(commit, "skipped", "not comparable", f"{error.place}: {error.found}")

    def _evaluated(self, commit: Commit, reasons: Mapping[str, str]) -> Check:
        candidate = self.files.revision(commit)
        baseline = self.files.revision(self.baseline) if self.baseline else candidate
        pair = ArtifactPair(
            Artifact(baseline, self.artifact, self._out_of_date(self.baseline).get(self.artifact)),
            Artifact(candidate, self.artifact, reasons.get(self.artifact)),
        )
        gate = gates.evaluated(pair, self.name, self.gate, datetime.date.today(), reasons)
        state: State = "pass" if gate.passed else "skipped" if gate.verdict in SKIPPED else "fail"
        return Check(commit, state, gate.verdict, gate.observed)

    def _out_of_date(self, commit: Commit | None) -> dict[str, str]:
        """Of the artifacts that the gate is about: why one is not of its own spec and code."""
        if commit is None:
            return {}
        if out_of_date.unknown(self.files.revision(commit)):
            self.unchecked.add(commit)
        reasons = self.files.out_of_date(commit)
        return {name: reasons[name] for name in self.artifacts if name in reasons}


def _require_verdict(check: Check) -> None:
    if check.state == "skipped":
        remedy = "choose another `--good` or `--bad`: `lmspec log` shows which commits have metrics"
        raise LmspecError(check.commit.short, f"{check.verdict}: {check.observed}", remedy)


def _first_bad(checks: Sequence[Check], root: Path) -> FirstBadCommit:
    """checks: newest first, beginning with a failure, with a pass among them."""
    end = next(i for i, check in enumerate(checks) if check.state == "pass")
    begin = max(i for i, check in enumerate(checks[:end]) if check.state == "fail")
    one_of = tuple(reversed(checks[begin:end]))
    merged = tuple(commits.merged(one_of[0].commit, root)) if len(one_of) == 1 else ()
    decided = [check for check in checks[end:] if check.state != "skipped"]
    earlier = tuple(
        later
        for later, before in pairwise(decided)
        if (later.state, before.state) == ("fail", "pass")
    )
    return FirstBadCommit(checks[end], one_of, merged, tuple(checks), earlier)
