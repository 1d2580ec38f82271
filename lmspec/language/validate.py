"""validate: every problem of params.yaml at its place, before any compute."""

from collections import deque
from collections.abc import Collection, Mapping

from lmspec.errors import some
from lmspec.language import conformance as shapes
from lmspec.language import resolved as artifacts
from lmspec.language import rules, schema
from lmspec.language.conformance import Reference, Shape
from lmspec.language.document import Document
from lmspec.language.problems import Problem
from lmspec.specs.disagreement import Steps


def check(document: Document) -> list[Problem]:
    """All problems and warnings, in the order of the file."""
    shape = shapes.check(document)
    names = _names(document)
    shape.lost |= {
        noun for noun in schema.nouns() if not isinstance(document.values.get(noun) or {}, dict)
    }
    edges: dict[str, list[str]] = {name: [] for name in names}
    resolved = [
        reference for reference in shape.references if _leads_somewhere(shape, reference, edges)
    ]
    for reference in resolved:
        edges[_name(reference.steps)].append(reference.target)
    _report_circles(shape, edges)
    values = document.values
    specs = artifacts.Specs(
        values, tuple(_sound(shape, names, edges)), _gates(shape), edges, document.path.parent
    )
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
    sections = [(noun, document.values.get(noun)) for noun in schema.nouns()]
    return [
        f"{n}.{key}"
        for n, section in sections
        if isinstance(section, dict)
        for key in section
        if isinstance(key, str)
    ]


def _gates(shape: Shape) -> tuple[str, ...]:
    """Keys of the gates that are sound, and watch a section that can be read."""
    gates = shape.document.values.get("gates")
    if not isinstance(gates, dict):
        return ()
    sound = [key for key in gates if ("gates", key) not in shape.unsound]
    return tuple(key for key in sound if gates[key]["metric"].partition(".")[0] not in shape.lost)


def _name(steps: Steps) -> str:
    return f"{steps[0]}.{steps[1]}"


def _leads_somewhere(shape: Shape, reference: Reference, names: Collection[str]) -> bool:
    """Is it the name of another artifact of the right noun? Reports it if not."""
    target, noun, own = reference.target, reference.target.partition(".")[0], _name(reference.steps)
    if target == own:
        return shape.report(
            "cycle", reference.steps, "an artifact cannot be made from itself", "name another"
        )
    if target in names and noun in reference.nouns:
        return True
    if noun in shape.lost:
        shape.unsound.add(reference.steps[:2])
        return False
    hint = _hint(shape, reference, names)
    if noun in schema.nouns() and noun not in reference.nouns:
        wanted = schema.listed([f"{noun}.NAME" for noun in reference.nouns], "or")
        found = f"it must be {wanted}, and is {shapes.shown(target)}"
        return shape.report("wrong-noun", reference.steps, found, hint)
    found = f"there is no artifact {shapes.shown(target)}"
    return shape.report("no-such-artifact", reference.steps, found, hint)


def _hint(shape: Shape, reference: Reference, names: Collection[str]) -> str:
    """What was probably meant, or what there is; nothing if too many are wrong already."""
    if len(shape.problems) > shapes.MOST_SUGGESTIONS:
        return ""
    fit = [
        name
        for name in names
        if name.partition(".")[0] in reference.nouns and name != _name(reference.steps)
    ]
    near = [
        name for name in fit if name.partition(".")[0] == reference.target.partition(".")[0]
    ] or fit
    return _where(shape, _meant(shape, reference.target, fit)) or _there_is(near, reference.nouns)


def _meant(shape: Shape, target: str, fit: list[str]) -> str | None:
    """The artifact that was probably meant: of that key, of a key like it under the same noun, or of a name like it."""
    noun, *keys = target.split(".")
    same_key = [name for name in fit if name.partition(".")[2] == target.rpartition(".")[2]]
    if same_key:
        return same_key[0]
    under = {name.partition(".")[2]: name for name in fit if name.partition(".")[0] == noun}
    return (
        under.get(shape.near(keys[0] if keys else "", under) or "")
        if under
        else shape.near(target, fit)
    )


def _there_is(fit: list[str], nouns: tuple[str, ...]) -> str:
    if not fit:
        return f"nothing stands under {schema.listed(nouns, 'or')} yet"
    return f"there {'is' if len(fit) == 1 else 'are'} {some(fit)}"


def _where(shape: Shape, name: str | None) -> str:
    if name is None:
        return ""
    noun, _, key = name.partition(".")
    return f"did you mean '{name}' (line {shape.document.place((noun, key), key=True).line})?"


def _report_circles(shape: Shape, edges: Mapping[str, list[str]]) -> None:
    """One problem for each cycle, at its first artifact."""
    told: set[str] = set()
    for name in edges:
        if name in told:
            continue
        trail = _way_back(name, edges)
        if trail:
            told |= set(trail)
            noun, _, key = name.partition(".")
            found = f"it is made from itself: {' <- '.join([*trail, name])}"
            shape.report("cycle", (noun, key), found, "break the reference cycle", key=True)
            shape.unsound |= {tuple(member.split(".", 1)) for member in trail}


def _way_back(name: str, edges: Mapping[str, list[str]]) -> list[str] | None:
    """The shortest way from an artifact over what it is made from to itself."""
    queue, came_from = deque([name]), dict[str, str]()
    while queue:
        member = queue.popleft()
        for target in edges[member]:
            if target == name:
                trail = [member]
                while trail[-1] != name:
                    trail.append(came_from[trail[-1]])
                return trail[::-1]
            if target not in came_from:
                came_from[target] = member
                queue.append(target)
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
