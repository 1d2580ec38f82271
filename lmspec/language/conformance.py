"""conformance: does each value of params.yaml fit the schema? Problems, and references."""

import json
import math
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lmspec.errors import some
from lmspec.language import schema as schemas
from lmspec.language import suggest
from lmspec.language.document import Document
from lmspec.language.problems import Problem, Span, clipped, dotted, printable
from lmspec.language.resolved import Reference
from lmspec.language.schema import Schema, Schemas, listed
from lmspec.specs import blocks
from lmspec.specs.disagreement import Check, Disagreement, Steps

MOST_USERS = 4  # of a block, beside the first
MOST_SUGGESTIONS = 200  # each costs a comparison with every name


@dataclass
class Findings:
    """What a walk through a document has seen so far.

    unsound  artifacts and gates with a problem, as paths
    lost     nouns whose section cannot be read: references to them are not at fault
    """

    document: Document
    problems: list[Problem] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    unsound: set[Steps] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    _reported: set[tuple[str, Span, str]] = field(default_factory=set)
    _suggestions: int = 0
    _noted: int = 0  # problems, those included that were reported before

    def report(
        self, rule: str, steps: Steps, found: str, hint: str = "", key: bool = False
    ) -> None:
        """Note a problem at the value (or key) of a path."""
        written = self.document.written(steps)
        place = self.document.place(steps, key or (len(written) == 2 and written != steps))
        self._note(rule, steps, place, found, hint)

    def disagrees(self, rule: str, base: Steps, found: Disagreement, warning: bool = False) -> None:
        """Note a disagreement among fields below `base`."""
        others = [(self._place((*base, *steps)), text) for steps, text in found.others]
        steps = (*base, *found.steps)
        self._note(rule, steps, self._place(steps), found.found, found.remedy, others, warning)

    def _note(
        self,
        rule: str,
        steps: Steps,
        span: Span,
        found: str,
        hint: str,
        others: Iterable[tuple[Span, str]] = (),
        warning: bool = False,
    ) -> None:
        """Keep it, unless the same was reported at that place through another use of it."""
        self.unsound.add(steps[:2])
        self._noted += 1
        if (rule, span, found) in self._reported:
            return
        self._reported.add((rule, span, found))
        detours = ((place, "used here") for place in self.document.detours(steps))
        # messages quote the file, whatever it holds
        places = tuple(
            (place, printable(text)) for place, text in (*others, *detours, *self._users(steps))
        )
        what = dotted(self.document.written(steps))
        found, hint = printable(found), printable(hint)
        self.problems.append(Problem(rule, span, what, found, hint, places, warning))

    def _users(self, steps: Steps) -> Iterator[tuple[Span, str]]:
        """The references on the way to a path into a block; of the last block, other users too."""
        trail = self.document.references(steps)
        yield from ((place, f"used by {dotted(user)}") for place, user in trail)
        block = self.document.written(steps)[1] if trail else ""
        others = [use for use in self.document.users.get(str(block), ()) if use not in trail]
        for i, (place, user) in enumerate(others[:MOST_USERS], 1):
            more = len(others) - i if i == MOST_USERS else 0
            yield place, f"used by {dotted(user)}" + (f", and {more:,} more" if more else "")

    def _place(self, steps: Steps) -> Span:
        """Of the value at a path; of the name, for a whole artifact or block."""
        return self.document.place(steps, key=len(self.document.written(steps)) == 2)

    def near(self, name: str, names: Iterable[str], likeness: float = suggest.LIKE) -> str | None:
        """The name that was probably meant; None if none is close, or after too many problems."""
        self._suggestions += 1
        if self._suggestions > MOST_SUGGESTIONS:
            return None
        return suggest.nearest(name, names, likeness)

    def check(self, value: Any, schema: Schema, steps: Steps) -> None:
        """Note what is wrong with a value."""
        whole, (schema, nullable) = schema, schemas.concrete(schema)
        if value is None and nullable:
            return
        takes_block = schemas.takes_block(whole)
        if isinstance(value, dict) and not takes_block and self._is_reference(steps):
            self._takes_no_block(whole, steps)
        elif takes_block and isinstance(value, str) and value.startswith(blocks.PREFIX):
            self._no_such_block(value, steps)
        elif schemas.is_block(schema):
            if not isinstance(value, dict):
                self.report("wrong-type", steps, _must_be(schema, value))
        elif forms := schemas.swept(schema):
            self._swept(value, forms, whole, steps)
        elif kinds := schemas.kinds(schema):
            self._choice_of_kinds(value, schema, kinds, steps)
        elif choices := schemas.choices(schema):
            if not any(value == choice and type(value) is type(choice) for choice in choices):
                words = [choice for choice in choices if isinstance(choice, str)]
                near = self.near(value, words) if isinstance(value, str) else None
                hint = suggest.did_you_mean(near)
                self.report("unknown-choice", steps, _must_be(whole, value), hint)
        elif isinstance(value, dict) and schema["type"] == "object":
            if schemas.entries(schema) is None:
                self.object(value, schema, steps, {})
            else:
                self._map(value, schema, steps)
        elif isinstance(value, list) and schema["type"] == "array":
            self._list(value, schema, whole, steps)
        elif isinstance(value, str) and "x-refers-to" in schema:  # validate.py resolves it
            nouns, reads = tuple(schema["x-refers-to"]), tuple(schema.get("x-reads", ()))
            section = bool(schema.get("x-section"))
            self.references.append(Reference(steps, value, nouns, reads, section))
        elif not schemas.fits(value, schema):
            rule, found = _misfit(value, schema, whole)
            self.report(rule, steps, found, suggest.value(value, schema, nullable))

    def _is_reference(self, steps: Steps) -> bool:
        """Does the text at a path name a block?"""
        return any(user == steps for _, user in self.document.references(steps))

    def _takes_no_block(self, schema: Schema, steps: Steps) -> None:
        place, _ = self.document.references(steps)[-1]
        name = dotted(self.document.written(steps))
        found = f"it must be {schemas.rule(schema)}; it is the block {name}"
        hint = "write the value; if it is no reference, rename the block"
        self.unsound.add(steps[:2])
        self._noted += 1
        what = dotted((*self.document.written(steps[:-1]), steps[-1]))
        self.problems.append(Problem("wrong-type", place, what, printable(found), hint))

    def _no_such_block(self, text: str, steps: Steps) -> None:
        """Report a reference that is not resolved."""
        known, name = blocks.of(self.document.values), text.removeprefix(blocks.PREFIX)
        section = self.document.values.get(blocks.SECTION)
        if name in known and isinstance(known[name], dict):
            self.report("cycle", steps, f"{text} is inside of itself", "write the value out")
        elif name in known or not isinstance(section, dict | None):
            self.unsound.add(steps[:2])  # the block or the section is reported itself
            self._noted += 1
        else:
            near = self.near(name, known)
            hint = suggest.did_you_mean(near and f"{blocks.PREFIX}{near}")
            hint = hint or (f"the blocks are {some([*known])}" if known else "there is none yet")
            self.report("no-such-block", steps, f"there is no block {shown(text)}", hint)

    def _choice_of_kinds(self, value: Any, schema: Schema, kinds: Schemas, steps: Steps) -> None:
        named = f"the kinds are {listed(kinds, 'and')}"
        if not isinstance(value, dict):
            is_kind = isinstance(value, str) and value in kinds
            hint = f"write `kind: {value}` and its fields" if is_kind else ""
            self.report("wrong-type", steps, _must_be(schema, value), hint)
        elif "kind" not in value:
            meant = self.near("kind", [name for name in value if isinstance(name, str)])
            if meant:
                found, hint = "there is no such field", suggest.did_you_mean("kind")
                self.report("unknown-field", (*steps, meant), found, hint, key=True)
            else:
                self.report("missing-field", steps, "the field 'kind' is missing", named, key=True)
        elif isinstance(value["kind"], dict) and self._is_reference((*steps, "kind")):
            self._takes_no_block({"enum": list(kinds)}, (*steps, "kind"))
        elif isinstance(value["kind"], str) and value["kind"] in kinds:
            self.object(value, kinds[value["kind"]], steps, kinds)
        else:
            found = f"there is no kind {shown(value['kind'])}; {named}"
            hint = suggest.kind(str(value["kind"]), kinds)
            self.report("unknown-kind", (*steps, "kind"), found, hint)

    def object(
        self,
        value: Mapping[Any, Any],
        schema: Schema,
        steps: Steps,
        kinds: Schemas,
    ) -> None:
        """Note what is wrong with a mapping with fields. kinds: those that it could be."""
        fields: Schemas = schema["properties"]
        before = self._noted
        missing = [name for name in schema.get("required", ()) if name not in value]
        explained = self._unknown(value, fields, missing, steps, kinds)
        if missing := [name for name in missing if name not in explained]:
            self._missing(missing, fields, steps)
        for name, item in value.items():
            if name in fields:
                self.check(item, fields[name], (*steps, name))
        if self._noted == before:  # the checks expect each field to be right by itself
            for name in schema.get("x-holds", ()):
                for disagreement in function(name)(value):
                    self.disagrees(name.rpartition(":")[2].replace("_", "-"), steps, disagreement)

    def _unknown(
        self,
        value: Mapping[Any, Any],
        fields: Schemas,
        missing: list[str],
        steps: Steps,
        kinds: Schemas,
    ) -> set[str]:
        """Report fields that do not exist.

        Returns the missing fields that were probably meant: one mistake, not two.
        """
        explained: set[str] = set()
        what = "field" if steps else "section"
        for name in value:
            if name in fields:
                continue
            owners = [kind for kind, schema in kinds.items() if name in schema["properties"]]
            free = [n for n in missing if n not in explained] or [
                n for n in fields if n not in value
            ]
            likeness = suggest.LIKE_ONE_MISSING if missing else suggest.LIKE
            near = self.near(str(name), free, likeness) if missing or not owners else None
            if owners and not near:
                hint = f"it is a field of {listed(owners, 'and')}; this is {value.get('kind')}"
            else:
                near = near or self.near(str(name), fields)
                hint = suggest.did_you_mean(near) or schemas.named(f"the {what}", fields)
            if near in missing:
                explained.add(str(near))
            if near and not steps and near not in value:
                self.lost.add(near)
            path = (*steps, name)
            self.report(f"unknown-{what}", path, f"there is no such {what}", hint, key=True)
        return explained

    def _missing(self, missing: list[str], fields: Schemas, steps: Steps) -> None:
        what = "field" if steps else "section"
        plural, verb = ("s", "are") if len(missing) > 1 else ("", "is")
        names = listed([f"'{name}'" for name in missing], "and")
        hint = f"{missing[0]}: {schemas.rule(fields[missing[0]])}"
        if len(missing) > 1:
            hint = f"`lmspec explain{f' {dotted(steps)}' if steps else ''}` describes each"
        found = f"the {what}{plural} {names} {verb} missing"
        self.report(f"missing-{what}", steps, found, hint, key=True)

    def _map(self, value: Mapping[Any, Any], schema: Schema, steps: Steps) -> None:
        names = {"type": "string", **schema.get("propertyNames", {})}
        for name, item in value.items():
            if schemas.fits(name, names):
                self.check(item, schema["additionalProperties"], (*steps, name))
            else:
                rule, found = _misfit(name, names, names)
                unquoted = not isinstance(name, str) and schemas.fits(str(name), names)
                hint = "put it in quotes" if unquoted else ""
                found = f"a name {found.removeprefix('it ')}"
                self.report(rule, (*steps, name), found, hint, key=True)

    def _swept(self, value: Any, forms: tuple[Schema, ...], whole: Schema, steps: Steps) -> None:
        """A list, or a range: sweep_rules.py holds what is in there against its field."""
        values, span = forms
        if isinstance(value, list) and not values["minItems"] <= len(value) <= values["maxItems"]:
            rule = schemas.rule({**values, "items": {"type": "boolean"}}).partition(", each")[0]
            found = f"it must be {rule}; it has {len(value) or 'none'}"
            self.report("out-of-bounds", steps, found)
        elif isinstance(value, dict):
            self.object(value, span, steps, {})
        elif not isinstance(value, list):
            self.report("wrong-type", steps, _must_be(whole, value), "put it in brackets")

    def _list(self, value: list[Any], schema: Schema, whole: Schema, steps: Steps) -> None:
        if schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", math.inf):
            for i, item in enumerate(value):
                self.check(item, schema["items"], (*steps, i))
        else:
            found = f"it must be {schemas.rule(whole)}; it has {len(value) or 'none'}"
            self.report("out-of-bounds", steps, found)


def check(document: Document) -> Findings:
    """Check the whole document against the schema."""
    findings = Findings(document)
    schema = schemas.load()
    given = {
        name: value
        for name, value in document.resolved.items()
        if value is not None or name in schema["required"]
    }
    findings.object(given, schema, (), {})
    return findings


def function(name: str) -> Check:
    """The function called `module:name`."""
    check: Check = pkgutil.resolve_name(name)
    return check


def _must_be(schema: Schema, value: Any) -> str:
    return f"it must be {schemas.rule(schema)}; it is {shown(value)}"


def _misfit(value: Any, schema: Schema, whole: Schema) -> tuple[str, str]:
    """(rule, found) of a value of a wrong type, form or size."""
    if not schemas.type_fits(value, schema):
        return "wrong-type", _must_be(whole, value)
    longest = schema.get("maxLength", math.inf)
    if isinstance(value, str) and len(value) > longest:
        return "out-of-bounds", f"it may have {longest:,} characters, and has {len(value):,}"
    return "out-of-bounds", _must_be(whole, value)


def shown(value: Any) -> str:
    """A value as messages show it: short, and without control characters."""
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return f"'{printable(clipped(value))}'"
        case int() if value.bit_length() > 128:
            return f"a number of more than {int(value.bit_length() * 0.30103)} digits"
        case int() | float():
            return repr(value)
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return "a date"
