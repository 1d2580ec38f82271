"""validate: every problem of params.yaml at its place, before any compute."""

from collections import deque
from collections.abc import Mapping

from lmspec.graph import rules, schema
from lmspec.graph import shape as shapes
from lmspec.graph.document import Document
from lmspec.graph.problems import Problem, dotted
from lmspec.graph.shape import Reference, Shape
from lmspec.specs.disagreement import Steps


def check(document: Document) -> list[Problem]:
    """All problems and warnings, in the order of the file."""
    shape = shapes.check(document)
    names = _names(document)
    resolved = [reference for reference in shape.references if _leads_somewhere(shape, reference, names)]
    edges: dict[str, list[str]] = {name: [] for name in names}
    for reference in resolved:
        edges[_name(reference.steps)].append(reference.target)
    _report_circles(shape, edges)
    specs = rules.Specs(document.values, tuple(_sound(shape, names, edges)), edges, document.path.parent)
    for rule in rules.RULES:
        for disagreement in rule(specs):
            shape.disagrees(rules.name_of(rule), (), disagreement)
    if not shape.problems:
        for rule in rules.WARNINGS:
            for disagreement in rule(specs):
                shape.disagrees(rules.name_of(rule), (), disagreement, warning=True)
    return sorted(shape.problems, key=lambda p: (p.span.line, p.span.column))


def _names(document: Document) -> list[str]:
    """Every `noun.key` that the file has, sound or not."""
    values = document.values
    return [f"{noun}.{key}" for noun in schema.nouns() if isinstance(values.get(noun), dict) for key in values[noun]]


def _name(steps: Steps) -> str:
    return f"{steps[0]}.{steps[1]}"


def _leads_somewhere(shape: Shape, reference: Reference, names: list[str]) -> bool:
    """Is it the name of another artifact of the right noun? Reports it if not."""
    target, known = reference.target, set(names)
    fit = [name for name in names if name.partition(".")[0] in reference.nouns]
    wanted = schema.listed(reference.nouns, "or")
    if target == _name(reference.steps):
        return shape.report("circle", reference.steps, "an artifact cannot be made from itself", "name another")
    if target in known and target.partition(".")[0] in reference.nouns:
        return True
    if target.partition(".")[0] not in reference.nouns:
        same_key = [name for name in fit if name.partition(".")[2] == target.rpartition(".")[2]]
        near = same_key[0] if same_key else shape.near(target, fit)
        hint = _where(shape, near) or (f"such as '{fit[0]}'" if fit else f"there is no {wanted} yet")
        return shape.report("wrong-noun", reference.steps, f"'{dotted([target])}' is not the name of a {wanted}", hint)
    exist = f"there is {schema.listed(fit[:5], 'and')}" if fit else f"there is no {wanted} yet"
    hint = _where(shape, shape.near(target, fit)) or exist
    return shape.report("no-such-artifact", reference.steps, f"there is no artifact '{dotted([target])}'", hint)


def _where(shape: Shape, name: str | None) -> str:
    if name is None:
        return ""
    noun, _, key = name.partition(".")
    return f"did you mean '{name}' (line {shape.document.place((noun, key), key=True).line})?"


def _report_circles(shape: Shape, edges: Mapping[str, list[str]]) -> None:
    """One problem for each circle, at its first artifact."""
    told: set[str] = set()
    for name in edges:
        if name in told:
            continue
        trail = _way_back(name, edges)
        if trail:
            told |= set(trail)
            noun, _, key = name.partition(".")
            found = f"it is made from itself: {' <- '.join([*trail, name])}"
            shape.report("circle", (noun, key), found, "break the circle", key=True)
            shape.unsound |= {tuple(member.split(".", 1)) for member in trail}


def _way_back(name: str, edges: Mapping[str, list[str]]) -> list[str] | None:
    """The shortest way from an artifact over what it is made from to itself."""
    queue, seen = deque([[name]]), set()
    while queue:
        trail = queue.popleft()
        for target in edges[trail[-1]]:
            if target == name:
                return trail
            if target not in seen:
                seen.add(target)
                queue.append([*trail, target])
    return None


def _sound(shape: Shape, names: list[str], edges: Mapping[str, list[str]]) -> list[str]:
    """Artifacts without a problem that are made from such alone: a rule may look at all that they refer to."""
    bad = {_name(steps) for steps in shape.unsound if len(steps) == 2}
    makes: dict[str, list[str]] = {}
    for name, targets in edges.items():
        for target in targets:
            makes.setdefault(target, []).append(name)
    queue = deque(bad)
    while queue:
        for name in makes.get(queue.popleft(), ()):
            if name not in bad:
                bad.add(name)
                queue.append(name)
    return [name for name in names if name not in bad]
