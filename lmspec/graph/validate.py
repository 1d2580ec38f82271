"""validate: every problem of params.yaml at its place, before any compute."""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from lmspec.graph import rules
from lmspec.graph.document import Document, Problem, Steps
from lmspec.specs.base import Artifact, Spec, references
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.project import NOUNS, Key, Project

# what pydantic says in Python's terms, in YAML's
PLAIN = {
    "string_type": ("must be a text", "put it into quotes"),
    "tuple_type": ("must be a list", "such as [a, b]"),
    "dict_type": ("must map names to values", ""),
    "model_type": ("must map fields to values", ""),
    "model_attributes_type": ("must map fields to values", ""),
}
SINGLE: dict[str, type[Spec]] = {"numerics": Numerics, "machine": Machine}


def check(document: Document) -> tuple[Project | None, list[Problem]]:
    """(the project, no problems), or (None, all problems in the order of the file)."""
    values, problems = document.values, []
    specs: dict[str, Artifact] = {}
    for section in values:
        if section not in (*NOUNS, *SINGLE):
            hint = _meant(str(section), (*NOUNS, *SINGLE)) or f"the sections are {', '.join((*NOUNS, *SINGLE))}"
            problems.append(Problem(document.place((section,), key=True), str(section), "there is no such section", hint))
    for section, spec_type in SINGLE.items():
        if section not in values:
            wanted = ", ".join(spec_type.model_fields)
            problems.append(Problem(document.place(()), section, "this section is missing", f"it holds {wanted}"))
        else:
            problems += _faults(document, (section,), TypeAdapter(spec_type), values[section])[1]
    for noun in NOUNS:
        problems += _noun(document, noun, values.get(noun), specs)
    names = [f"{noun}.{key}" for noun in NOUNS if isinstance(values.get(noun), dict) for key in values[noun]]
    for name, spec in specs.items():
        problems += _references(document, name, spec, names)
    if not problems:
        problems += _cycles(document, specs)
    if not problems:
        problems += [Problem(document.place(d.steps), ".".join(map(str, d.steps)), d.found, d.remedy) for d in rules.check(specs)]
    problems.sort(key=lambda p: (p.span.line, p.span.column))
    return (None if problems else Project.model_validate({k: v for k, v in values.items() if v is not None})), problems


def _noun(document: Document, noun: str, section: Any, specs: dict[str, Artifact]) -> list[Problem]:
    """Checks each artifact of a noun by itself, so that one that is wrong hides no other; the good ones go to `specs`."""
    if section is None:
        return []
    if not isinstance(section, dict):
        return [Problem(document.place((noun,)), noun, "it must map keys to artifacts", f"such as `{noun}: {{name: ...}}`")]
    problems = []
    kind: Any = Project.model_fields[noun].annotation
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    for key in section:
        try:
            TypeAdapter(Key).validate_python(key, strict=True)
        except ValidationError:
            rule = "a key is lower-case letters, digits, '-' and '_', and starts with a letter"
            problems.append(Problem(document.place((noun, key), key=True), f"{noun}.{key}", "not a name", rule))
            continue
        spec, faults = _faults(document, (noun, key), adapter, {key: section[key]}, skip=1)
        problems += faults
        if spec is not None:
            specs[f"{noun}.{key}"] = spec[key]
    return problems


def _faults(
    document: Document, at: Steps, adapter: TypeAdapter[Any], value: Any, skip: int = 0
) -> tuple[Any | None, list[Problem]]:
    try:
        return adapter.validate_python(value), []
    except ValidationError as error:
        details = error.errors()
        # a list whose items are wrong is also called too short: pydantic counts the items that are right
        inner = [d["loc"] for d in details]
        kept = [d for d in details if d["type"] != "too_short" or not any(i[: len(d["loc"])] == d["loc"] != i for i in inner)]
        return None, _paired([(d, _fault(document, at, d, skip)) for d in kept])


def _paired(faults: list[tuple[ErrorDetails, Problem]]) -> list[Problem]:
    """A field that does not exist beside a missing one of nearly its name is one mistake, not two."""
    missing = {d["loc"]: p for d, p in faults if d["type"] == "missing"}
    problems, explained = [], set()
    for detail, problem in faults:
        if detail["type"] == "extra_forbidden":
            parent, name = detail["loc"][:-1], str(detail["loc"][-1])
            near = nearest(name, [str(loc[-1]) for loc in missing if loc[:-1] == parent])
            if near:
                explained.add((*parent, near))
                problem = replace(problem, hint=f"did you mean '{near}'?")
        problems.append((detail["loc"], problem))
    return [problem for loc, problem in problems if loc not in explained]


def _fault(document: Document, at: Steps, detail: ErrorDetails, skip: int) -> Problem:
    steps = _steps(document, at, detail["loc"][skip:])
    name = ".".join(str(s) for s in steps)
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return Problem(document.place(steps[:-1], key=True), name, "this field is missing", "")
    if kind == "extra_forbidden":
        return Problem(document.place(steps, key=True), name, "there is no such field", "")
    if kind == "union_tag_not_found":
        return Problem(document.place(steps, key=True), name, "the field 'kind' is missing", "")
    if kind == "union_tag_invalid":
        where = (*steps, "kind")
        hint = _meant(str(context["tag"]), str(context["expected_tags"]).replace("'", "").split(", "))
        found = f"there is no kind '{context['tag']}'; the kinds are {context['expected_tags']}"
        return Problem(document.place(where), f"{name}.kind", found, hint)
    if kind == "string_pattern_mismatch" and name.endswith("sha256"):
        hint = "`sha256sum FILE` prints it; or write sixty-four zeros in quotes, and the build says which it found"
        return Problem(document.place(steps), name, "a SHA-256 is 64 lower-case hexadecimal digits", hint)
    message, hint = PLAIN.get(kind, (detail["msg"].removeprefix("Value error, "), ""))
    return Problem(document.place(steps), name, message[0].lower() + message[1:], hint)


def _steps(document: Document, at: Steps, loc: Iterable[str | int]) -> Steps:
    """The path in the file of a pydantic location, which names the kinds of unions beside the fields."""
    steps, tagged = at, set()
    for step in loc:
        if steps not in tagged and step == _kind(document.values, steps):
            tagged.add(steps)
        else:
            steps = (*steps, step)
    return steps


def _kind(value: Any, steps: Steps) -> Any:
    """The `kind` of the mapping at that path, None if there is none."""
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value.get("kind") if isinstance(value, dict) else None


def _references(document: Document, name: str, spec: Artifact, names: list[str]) -> Iterable[Problem]:
    noun, _, key = name.partition(".")
    for path, ref in references(spec):
        steps = (noun, key, *path)
        span, what = document.place(steps), ".".join(str(s) for s in steps)
        if ref == name:
            yield Problem(span, what, "an artifact cannot be made from itself", "")
        elif ref.noun not in ref.nouns:
            fit = [n for n in names if n.partition(".")[0] in ref.nouns]
            wanted = " or ".join(ref.nouns)
            hint = _meant(ref, fit) or (f"such as '{fit[0]}'" if fit else f"there is no {wanted} yet")
            yield Problem(span, what, f"'{ref}' is not the name of a {wanted}", hint)
        elif ref not in names:
            fit = [n for n in names if n.partition(".")[0] in ref.nouns]
            yield Problem(span, what, f"there is no artifact '{ref}'", _where(document, nearest(ref, fit)))


def _cycles(document: Document, specs: dict[str, Artifact]) -> Iterable[Problem]:
    """One problem for each artifact that is made, over others, from itself."""
    edges = {name: [str(ref) for _, ref in references(spec)] for name, spec in specs.items()}
    for name in specs:
        trail = _way_back(name, edges)
        if trail and name == min(trail):
            noun, _, key = name.partition(".")
            found = f"it is made from itself: {' <- '.join([*trail, name])}"
            yield Problem(document.place((noun, key), key=True), name, found, "break the circle")


def _way_back(name: str, edges: dict[str, list[str]]) -> list[str] | None:
    queue, seen = [[name]], set()
    while queue:
        trail = queue.pop(0)
        for target in edges[trail[-1]]:
            if target == name:
                return trail
            if target not in seen:
                seen.add(target)
                queue.append([*trail, target])
    return None


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was probably meant, None if none is close."""
    return next(iter(difflib.get_close_matches(name, list(names), 1, 0.6)), None)


def _meant(name: str, names: Iterable[str]) -> str:
    near = nearest(name, names)
    return f"did you mean '{near}'?" if near else ""


def _where(document: Document, name: str | None) -> str:
    if name is None:
        return ""
    noun, _, key = name.partition(".")
    return f"did you mean '{name}' (line {document.place((noun, key), key=True).line})?"
