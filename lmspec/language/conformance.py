"""conformance: is each value of params.yaml what the schema says? Every problem, and the references between artifacts."""

import dataclasses
import importlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lmspec.language import schema as schemas
from lmspec.language import suggest
from lmspec.language.document import Document
from lmspec.language.problems import Problem, Span, dotted, printable
from lmspec.language.resolved import Reference
from lmspec.language.schema import Schema
from lmspec.specs.disagreement import Check, Disagreement, Steps

MOST_SUGGESTIONS = 200  # each costs a comparison with every name


@dataclass
class Shape:
    """What the walk through a document found."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    unsound: set[Steps] = field(default_factory=set)
    lost: set[str] = field(
        default_factory=set
    )  # nouns whose section cannot be read: what refers to them is not at fault
    told: set[tuple[str, Span, str]] = field(default_factory=set)
    suggestions: int = 0

    def report(
        self, rule: str, steps: Steps, found: str, hint: str = "", key: bool = False
    ) -> bool:
        """Note a problem at a path; False, so that a check can return it."""
        self._note(
            Problem(rule, self.document.place(steps, key), dotted(steps), found, hint), steps
        )
        return False

    def disagrees(self, rule: str, base: Steps, found: Disagreement, warning: bool = False) -> bool:
        """Note a disagreement among fields below `base`."""
        others = tuple((self.place((*base, *steps)), said) for steps, said in found.others)
        steps = (*base, *found.steps)
        what, span = dotted(steps), self.place(steps)
        self._note(Problem(rule, span, what, found.found, found.remedy, others, warning), steps)
        return False

    def _note(self, problem: Problem, steps: Steps) -> None:
        """Keep it, unless an alias or a merged mapping made the same of the same words already."""
        self.unsound.add(steps[:2])
        said = (problem.rule, problem.span, problem.found)
        if said not in self.told:
            others = (
                *problem.others,
                *((span, "this takes it from there") for span in self.document.detours(steps)),
            )
            quoted = tuple(
                (span, printable(text)) for span, text in others
            )  # a check quotes what it found, whatever that is
            found, hint = printable(problem.found), printable(problem.hint)
            self.problems.append(
                dataclasses.replace(problem, found=found, hint=hint, others=quoted)
            )
        self.told.add(said)

    def place(self, steps: Steps) -> Span:
        """Of the value at a path; of the name, for a whole artifact."""
        return self.document.place(steps, key=len(steps) == 2)

    def near(self, name: str, names: Iterable[str], likeness: float = suggest.LIKE) -> str | None:
        """The name that was probably meant; None if none is close, or too many are wrong already."""
        self.suggestions += 1
        return (
            suggest.nearest(name, names, likeness) if self.suggestions <= MOST_SUGGESTIONS else None
        )

    def meant(self, name: str, names: Iterable[str]) -> str:
        """A hint at the name that was probably meant."""
        near = self.near(name, names)
        return f"did you mean '{near}'?" if near else ""


def check(document: Document) -> Shape:
    """Hold the whole document against the schema."""
    shape = Shape(document)
    values = document.values
    schema = schemas.load()
    noted = {
        name: value
        for name, value in values.items()
        if value is not None or name in schema["required"]
    }
    _object(shape, noted, schema, ())
    return shape


def _check(shape: Shape, value: Any, schema: Schema, steps: Steps) -> bool:
    """Note what is wrong with one value. False if anything is."""
    whole, (schema, nullable) = schema, schemas.concrete(schema)
    if value is None and nullable:
        return True
    if schemas.kinds(schema):
        return _kind(shape, value, schema, steps)
    if schemas.choices(schema):
        return _choice(shape, value, schema, whole, steps)
    kind = schema["type"]
    if kind == "object" and isinstance(value, dict):
        return (
            _map(shape, value, schema, steps)
            if schemas.entries(schema)
            else _object(shape, value, schema, steps)
        )
    if kind == "array" and isinstance(value, list):
        return _list(shape, value, schema, whole, steps)
    if "x-refers-to" in schema and isinstance(
        value, str
    ):  # of whatever form: validate.py resolves it
        nouns, reads = tuple(schema["x-refers-to"]), tuple(schema.get("x-reads", ()))
        shape.references.append(Reference(steps, value, nouns, reads))
        return True
    if schemas.fits(value, schema):
        return True
    return shape.report(*_wrong(value, schema, whole, steps))


def _wrong(value: Any, schema: Schema, whole: Schema, steps: Steps) -> tuple[str, Steps, str, str]:
    found = f"it must be {schemas.rule(whole)}, and is {shown(value)}"
    if (
        isinstance(value, str)
        and schemas.type_fits(value, schema)
        and len(value) > schema.get("maxLength", math.inf)
    ):
        found = f"it may have {schema['maxLength']:,} characters, and has {len(value):,}"
    rule = "out-of-bounds" if schemas.type_fits(value, schema) else "wrong-type"
    return rule, steps, found, suggest.value(value, schema, schemas.concrete(whole)[1])


def _kind(shape: Shape, value: Any, schema: Schema, steps: Steps) -> bool:
    kinds = schemas.kinds(schema)
    if not isinstance(value, dict):
        hint = (
            f"write `kind: {value}` and its fields"
            if isinstance(value, str) and value in kinds
            else ""
        )
        return shape.report(
            "wrong-type", steps, f"it must be {schemas.rule(schema)}, and is {shown(value)}", hint
        )
    if "kind" not in value:
        meant = shape.near("kind", [name for name in value if isinstance(name, str)])
        if meant:
            return shape.report(
                "unknown-field",
                (*steps, meant),
                "there is no such field",
                "did you mean 'kind'?",
                key=True,
            )
        hint = f"the kinds are {schemas.listed(tuple(kinds), 'and')}"
        return shape.report("missing-field", steps, "the field 'kind' is missing", hint, key=True)
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in kinds:
        found = (
            f"there is no kind {shown(kind)}; the kinds are {schemas.listed(tuple(kinds), 'and')}"
        )
        return shape.report("unknown-kind", (*steps, "kind"), found, suggest.kind(str(kind), kinds))
    return _object(shape, value, kinds[kind], steps, kinds)


def _choice(shape: Shape, value: Any, schema: Schema, whole: Schema, steps: Steps) -> bool:
    choices = schemas.choices(schema)
    if isinstance(value, str) and value in choices:
        return True
    found = f"it must be {schemas.rule(whole)}, and is {shown(value)}"
    hint = shape.meant(value, choices) if isinstance(value, str) else ""
    return shape.report("unknown-choice", steps, found, hint)


def _object(
    shape: Shape,
    value: Mapping[Any, Any],
    schema: Schema,
    steps: Steps,
    kinds: Mapping[str, Schema] | None = None,
) -> bool:
    """kinds: where it is one of several kinds, all of them."""
    fields: Mapping[str, Schema] = schema["properties"]
    before = len(shape.problems)
    missing = [name for name in schema.get("required", ()) if name not in value]
    explained = _unknown(shape, value, fields, missing, steps, kinds or {})
    missing = [name for name in missing if name not in explained]
    if missing:
        _missing(shape, missing, fields, steps)
    for name, item in value.items():
        if name in fields:
            _check(shape, item, fields[name], (*steps, name))
    if len(shape.problems) > before:
        return False
    for name in schema.get("x-holds", ()):
        for disagreement in _held(name)(value):
            shape.disagrees(name.rpartition(":")[2].replace("_", "-"), steps, disagreement)
    return len(shape.problems) == before


def _unknown(
    shape: Shape,
    value: Mapping[Any, Any],
    fields: Iterable[str],
    missing: list[str],
    steps: Steps,
    kinds: Mapping[str, Schema],
) -> set[str]:
    """Report the fields that do not exist. The missing fields that they were probably meant for: one mistake, not two."""
    explained: set[str] = set()
    what = "field" if steps else "section"
    for name in value:
        if name in fields:
            continue
        owners = [kind for kind, schema in kinds.items() if name in schema["properties"]]
        free = [n for n in missing if n not in explained] or [n for n in fields if n not in value]
        likeness = suggest.LIKE_ONE_MISSING if missing else suggest.LIKE
        near = shape.near(str(name), free, likeness) if missing or not owners else None
        if owners and not near:
            hint = f"it is a field of kind {schemas.listed(owners, 'and')}, and this is {value.get('kind')}"
        else:
            near = near or shape.near(str(name), fields)
            hint = (
                f"did you mean '{near}'?" if near else schemas.named(f"the {what}", tuple(fields))
            )
        if near in missing:
            explained.add(str(near))
        if near and not steps and near not in value:
            shape.lost.add(near)
        shape.report(f"unknown-{what}", (*steps, name), f"there is no such {what}", hint, key=True)
    return explained


def _missing(shape: Shape, missing: list[str], fields: Mapping[str, Schema], steps: Steps) -> None:
    what = "field" if steps else "section"
    names = schemas.listed([f"'{name}'" for name in missing], "and")
    found = f"the {what}{'s' if len(missing) > 1 else ''} {names} {'are' if len(missing) > 1 else 'is'} missing"
    path = dotted(steps) if steps else ""
    one = f"{missing[0]}: {schemas.rule(fields[missing[0]])}"
    hint = (
        one if len(missing) == 1 else f"`lmspec explain{' ' * bool(path)}{path}` tells what each is"
    )
    shape.report(f"missing-{what}", steps, found, hint, key=True)


def _held(name: str) -> Check:
    module, _, function = name.partition(":")
    check: Check = getattr(importlib.import_module(module), function)
    return check


def _map(shape: Shape, value: Mapping[Any, Any], schema: Schema, steps: Steps) -> bool:
    before = len(shape.problems)
    names, items = {"type": "string", **schema.get("propertyNames", {})}, schemas.entries(schema)
    assert items is not None
    for name, item in value.items():
        if schemas.fits(name, names):
            _check(shape, item, items, (*steps, name))
        else:
            rule, _, found, _ = _wrong(name, names, names, ())
            hint = (
                "put it into quotes"
                if not isinstance(name, str) and schemas.fits(str(name), names)
                else ""
            )
            shape.report(rule, (*steps, name), f"a key {found.removeprefix('it ')}", hint, key=True)
    return len(shape.problems) == before


def _list(shape: Shape, value: list[Any], schema: Schema, whole: Schema, steps: Steps) -> bool:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
        found = f"it must be {schemas.rule(whole)}, and has {len(value) or 'none'}"
        return shape.report("out-of-bounds", steps, found)
    before = len(shape.problems)
    for i, item in enumerate(value):
        _check(shape, item, schema["items"], (*steps, i))
    return len(shape.problems) == before


def shown(value: Any) -> str:
    """A value as a message shows it: short, and with nothing that a terminal would obey."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"'{printable(value if len(value) <= 60 else value[:57] + '...')}'"
    if isinstance(value, int):
        return (
            str(value)
            if value.bit_length() <= 128
            else f"a number of more than {int(value.bit_length() * 0.30103)} digits"
        )
    if isinstance(value, float):
        return repr(value)
    return (
        "a list"
        if isinstance(value, list)
        else "a mapping"
        if isinstance(value, dict)
        else "a date"
    )
