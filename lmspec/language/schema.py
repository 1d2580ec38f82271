"""schema: the JSON Schema of params.yaml, read without pydantic, and put into words."""

import functools
import json
import math
import operator
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmspec.specs.names import NO_NOUNS

Schema = Mapping[str, Any]
Schemas = Mapping[str, Schema]  # name of a section, field or kind -> its schema
FieldPath = tuple[str, ...]  # noun, then kinds and fields
PATH = Path(__file__).parent / "params.schema.json"
TO_A_BLOCK = "#/$defs/BlockReference"


@functools.cache
def load() -> Schema:
    """The schema that `lmspec schema` wrote; a test keeps it equal to the specs."""
    schema: Schema = json.loads(PATH.read_text(encoding="utf-8"))
    return schema


def sections() -> Schemas:
    """Section of params.yaml -> its schema, in the order of the flow."""
    properties: Schemas = load()["properties"]
    return properties


def nouns() -> tuple[str, ...]:
    """The sections that hold artifacts."""
    return tuple(name for name in sections() if name not in NO_NOUNS)


def resolved(schema: Schema) -> Schema:
    """With a reference into `$defs` followed; keywords beside the reference take precedence."""
    while "$ref" in schema:
        schema = {
            **load()["$defs"][schema["$ref"].rpartition("/")[2]],
            **{k: v for k, v in schema.items() if k != "$ref"},
        }
    return schema


def concrete(schema: Schema) -> tuple[Schema, bool]:
    """(the schema without null and without a reference to a block, whether null is allowed)."""
    schema = resolved(schema)
    if "anyOf" not in schema or is_block(schema) or swept(schema):
        return schema, False
    null = any(option.get("type") == "null" for option in schema["anyOf"])
    other, *_ = (option for option in schema["anyOf"] if option.get("type") != "null")
    outer = {key: value for key, value in schema.items() if key in ("description", "title")}
    return {**resolved(other), **outer}, null


def is_block(schema: Schema) -> bool:
    """Is it that of a block itself, whose form depends on where it is used?"""
    return "x-block" in schema


def swept(schema: Schema) -> tuple[Schema, ...]:
    """(the list, the mapping) of a value that is either, as a sweep has them; else empty."""
    return tuple(map(resolved, schema["anyOf"][:2])) if "x-swept" in schema else ()


def takes_block(schema: Schema) -> bool:
    """May a reference to a block stand for the value?"""
    return any(option.get("$ref") == TO_A_BLOCK for option in resolved(schema).get("anyOf", ()))


def kinds(schema: Schema) -> Schemas:
    """Kind -> its schema, for a choice of kinds; empty for anything else."""
    mapping = schema.get("discriminator", {}).get("mapping", {})
    return {kind: resolved({"$ref": reference}) for kind, reference in mapping.items()}


def entries(schema: Schema) -> Schema | None:
    """The schema of the values of a mapping from free names; None if it is something else."""
    return schema.get("additionalProperties") or None


def inner(schema: Schema) -> Schema:
    """What is in a list or behind a free name: a mapping with fields, kinds, or a value."""
    schema, _ = concrete(schema)
    below = schema["items"] if schema.get("type") == "array" else entries(schema)
    return schema if below is None else inner(below)


def parts(schema: Schema, steps: FieldPath = ()) -> Iterator[tuple[FieldPath, Schema]]:
    """(path, schema) of a schema and all that it contains; kinds are steps of a path."""
    schema = inner(schema)
    yield steps, schema
    for kind, chosen in kinds(schema).items():
        yield from parts(chosen, (*steps, kind))
    for name, field in schema.get("properties", {}).items():
        yield from parts(field, (*steps, name))


def choices(schema: Schema) -> tuple[Any, ...]:
    """The words or numbers of a choice; empty for anything else."""
    return (schema["const"],) if "const" in schema else tuple(schema.get("enum", ()))


def rule(schema: Schema) -> str:
    """What a value must be, in words: `a whole number from 1 to 65536`."""
    block = ", or blocks.NAME" if takes_block(schema) else ""
    schema, nullable = concrete(schema)
    return _rule(schema) + (", or null" if nullable else "") + block


def _rule(schema: Schema) -> str:
    if is_block(schema):
        return "a mapping: the value of the fields that name it"
    if forms := swept(schema):
        return "a list of values, or a mapping with the fields " + listed(
            forms[1]["properties"], "and"
        )
    if "x-refers-to" in schema:
        return listed([f"{noun}.NAME" for noun in schema["x-refers-to"]], "or")
    if kinds(schema):
        return f"a mapping with a kind: {listed(kinds(schema), 'or')}"
    if choices(schema):
        return listed(map(str, choices(schema)), "or")
    match schema["type"]:
        case "integer" | "number" as kind:
            return f"a {'whole ' if kind == 'integer' else ''}number{_bounds(schema)}"
        case "string":
            return str(
                schema.get("x-rule") or f"text{_size(schema, 'Length', 'character', 'characters')}"
            )
        case "array":
            return (
                f"a list{_size(schema, 'Items', 'entry', 'entries')}, each {rule(schema['items'])}"
            )
        case "object" if fields := schema.get("properties"):
            many = "s" if len(fields) > 1 else ""
            return f"a mapping with the field{many} {listed(fields, 'and')}"
        case "object":
            return "a mapping"
    return "true or false"


BOUNDS = {
    "minimum": (operator.ge, "of at least"),
    "exclusiveMinimum": (operator.gt, "above"),
    "maximum": (operator.le, "at most"),
    "exclusiveMaximum": (operator.lt, "below"),
}


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    bounds = ((words, schema[key]) for key, (_, words) in BOUNDS.items() if key in schema)
    parts = [f"{words} {_number(bound)}" for words, bound in bounds]
    return f" {' and '.join(parts)}" if parts else ""


def _number(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _size(schema: Schema, what: str, unit: str, plural: str) -> str:
    least, most = schema.get(f"min{what}", 0), schema.get(f"max{what}")
    if most is not None:
        return f" of {f'{least} to {most}' if least else f'at most {most}'} {plural}"
    return f" of at least {least} {plural if least > 1 else unit}" if least else ""


def listed(names: Iterable[str], word: str) -> str:
    """`a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} {word} {last}" if most else last


def named(what: str, names: Collection[str]) -> str:
    """`the fields are a and b`, `the field is a`."""
    return f"{what}{'s are' if len(names) > 1 else ' is'} {listed(names, 'and')}"


TYPES = {
    "integer": int,
    "number": int | float,
    "string": str,
    "boolean": bool,
    "array": list,
    "object": dict,
}


def type_fits(value: Any, schema: Schema) -> bool:
    """Whether a value has the type that the schema asks for."""
    kind = schema["type"]
    return isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))


def fits(value: Any, schema: Schema) -> bool:
    """Whether a single value fits the schema in type, form and bounds."""
    if not type_fits(value, schema) or isinstance(value, list | dict):
        return False
    if isinstance(value, str):
        length_fits = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", math.inf)
        return length_fits and ("pattern" not in schema or matches(schema["pattern"], value))
    if isinstance(value, bool):
        return True
    # a nan fits no bounds; math.isnan raises for whole numbers beyond any float
    return value == value and all(
        holds(value, schema[key]) for key, (holds, _) in BOUNDS.items() if key in schema
    )


def matches(pattern: str, text: str) -> bool:
    """As JSON Schema defines it: `$` is the end of the text, not of a line."""
    end = r"\Z" if pattern.endswith("$") else ""
    return re.search(pattern.removesuffix("$") + end, text) is not None
