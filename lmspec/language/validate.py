"""validate: every problem of params.yaml at its place, before any compute."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from lmspec.errors import LmspecError, some
from lmspec.git import line_endings
from lmspec.language import conformance, rules, schema
from lmspec.language import document as documents
from lmspec.language.conformance import Findings
from lmspec.language.document import Document
from lmspec.language.problems import Problem, ProblemsFound, Span
from lmspec.language.resolved import Reference, Specs
from lmspec.specs.names import ArtifactName

Edges = Mapping[ArtifactName, Sequence[Reference]]


@dataclass(frozen=True)
class Validation:
    """The problems of a params.yaml. values: what it holds; None if it could not be parsed."""

    path: Path
    lines: Sequence[str]
    problems: tuple[Problem, ...]
    values: dict[str, Any] | None

    @property
    def errors(self) -> int:
        """Number of problems that are no warnings."""
        return sum(not problem.warning for problem in self.problems)


def file(path: Path) -> Validation:
    """Read and check a params.yaml."""
    try:
        document = documents.read(path)
        _require_unconverted(path)
    except ProblemsFound as error:
        return Validation(path, error.lines, tuple(error.problems), None)
    return of_document(document)


def of_document(document: Document) -> Validation:
    """Check a file that was read."""
    return Validation(document.path, document.lines, tuple(check(document)), document.values)


def _require_unconverted(path: Path) -> None:
    """Raises ProblemsFound if git converted the line endings of the file, and so of most others.

    Asks git only about a file with CRLF: that takes 30 ms.
    """
    if b"\r\n" not in path.read_bytes():
        return
    try:
        line_endings.require_unconverted(path.parent)
    except LmspecError as error:
        problem = Problem("file", Span(1, 1), path.name, error.found, error.remedy)
        raise ProblemsFound(path, [], [problem]) from None


def check(document: Document) -> list[Problem]:
    """All problems and warnings, in the order of the file."""
    findings = conformance.check(document)
    sections = {noun: document.values.get(noun) or {} for noun in schema.nouns()}
    findings.lost |= {noun for noun in sections if not isinstance(sections[noun], dict)}
    edges: dict[ArtifactName, list[Reference]] = {
        ArtifactName(noun, name): []
        for noun in sections
        if noun not in findings.lost
        for name in sections[noun]
        if isinstance(name, str)
    }
    for reference in findings.references:
        if _resolves(findings, reference, edges):
            edges[reference.owner].append(reference)
    _report_cycles(findings, edges)
    specs = Specs(
        document.resolved,
        document.values,
        _sound(findings, edges),
        _gates(findings),
        edges,
        document.path.parent,
    )
    for batch in (rules.RULES, rules.WARNINGS):
        warning = batch is rules.WARNINGS
        if warning and findings.problems:
            break
        for rule in batch:
            for disagreement in rule(specs):
                findings.disagrees(rules.name_of(rule), (), disagreement, warning)
    return sorted(findings.problems, key=attrgetter("span"))


def _gates(findings: Findings) -> tuple[str, ...]:
    """Names of the gates that are sound, and watch a noun whose section can be read."""
    gates: Any = findings.document.values.get("gates")
    return tuple(
        name
        for name in (gates if isinstance(gates, dict) else ())
        if ("gates", name) not in findings.unsound
        and ArtifactName.parse(gates[name]["metric"]).noun not in findings.lost
    )


def _resolves(findings: Findings, reference: Reference, names: Collection[ArtifactName]) -> bool:
    """Whether it names another artifact of a right noun; if not, a problem is reported."""
    target, steps = ArtifactName.parse(reference.target), reference.steps
    if target == reference.owner:
        findings.report("cycle", steps, "an artifact cannot be made from itself", "name another")
    elif target in names and target.noun in reference.nouns:
        return True
    elif target.noun in findings.lost:
        findings.unsound.add(steps[:2])
    else:
        shown = conformance.shown(reference.target)
        rule, found = "no-such-artifact", f"there is no artifact {shown}"
        if target.noun in schema.nouns() and target.noun not in reference.nouns:
            wanted = schema.listed([f"{noun}.NAME" for noun in reference.nouns], "or")
            rule, found = "wrong-noun", f"it must be {wanted}, not {shown}"
        findings.report(rule, steps, found, _hint(findings, reference, names))
    return False


def _hint(findings: Findings, reference: Reference, names: Collection[ArtifactName]) -> str:
    """What was probably meant, or what exists; nothing if there are too many problems already."""
    if len(findings.problems) > conformance.MOST_SUGGESTIONS:
        return ""
    fit = [name for name in names if name.noun in reference.nouns and name != reference.owner]
    near = _meant(findings, reference.target, fit)
    if near is not None:
        return f"did you mean '{near}' (line {findings.document.place(near, key=True).line})?"
    target = ArtifactName.parse(reference.target)
    existing = [name for name in fit if name.noun == target.noun] or fit
    if not existing:
        return f"there is no {schema.listed(reference.nouns, 'or')} yet"
    return f"there {'is' if len(existing) == 1 else 'are'} {some(list(map(str, existing)))}"


def _meant(findings: Findings, target: str, fit: list[ArtifactName]) -> ArtifactName | None:
    """The artifact that was probably meant.

    One of the same name; of a similar name under the same noun; else of a similar whole name.
    """
    last = target.rpartition(".")[2]
    if same := [name for name in fit if name.name == last]:
        return same[0]
    noun, name = ArtifactName.parse(target)
    under = {name.name: name for name in fit if name.noun == noun}
    if under:
        return under.get(findings.near(name.partition(".")[0], under) or "")
    whole = {str(name): name for name in fit}
    return whole.get(findings.near(target, whole) or "")


def _report_cycles(findings: Findings, edges: Edges) -> None:
    """One problem for each reference cycle, at its first artifact."""
    reported: set[ArtifactName] = set()
    for name in edges:
        cycle = _cycle(name, edges) if name not in reported else None
        if cycle:
            reported |= set(cycle)
            found = f"it is made from itself: {' <- '.join(map(str, [*cycle, name]))}"
            findings.report("cycle", name, found, "break the reference cycle", key=True)
            findings.unsound |= set(cycle)


def _cycle(start: ArtifactName, edges: Edges) -> list[ArtifactName] | None:
    """The shortest path along references from an artifact back to itself."""
    queue, came_from = deque([start]), dict[ArtifactName, ArtifactName]()
    while queue:
        member = queue.popleft()
        for reference in edges[member]:
            target = ArtifactName.parse(reference.target)
            if target == start:
                trail = [member]
                while trail[-1] != start:
                    trail.append(came_from[trail[-1]])
                return trail[::-1]
            if target not in came_from:
                came_from[target] = member
                queue.append(target)
    return None


def _sound(findings: Findings, edges: Edges) -> tuple[ArtifactName, ...]:
    """Artifacts without a problem, made from such ones only: rules may follow their references."""
    sound = {name for name in edges if name not in findings.unsound}
    while spoilt := {
        name
        for name in sound
        if any(ArtifactName.parse(reference.target) not in sound for reference in edges[name])
    }:
        sound -= spoilt
    return tuple(name for name in edges if name in sound)
