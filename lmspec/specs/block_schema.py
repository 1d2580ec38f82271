"""block_schema: blocks in the JSON Schema: which fields take one, and what one may hold."""

from collections.abc import Iterable, Iterator
from typing import Any

from lmspec.specs.base import NAME_PATTERN
from lmspec.specs.blocks import SECTION

Schema = dict[str, Any]
REFERENCE = "BlockReference"  # its name in $defs
ABOUT = ("description", "default", "x-swept")
_TO_IT = {"$ref": f"#/$defs/{REFERENCE}"}


def added(written: Schema, nouns: Iterable[str]) -> Schema:
    """The schema of params.yaml, in which every mapping below an artifact may be a reference."""
    definitions = written["$defs"]
    section = written["properties"][SECTION]
    forms: dict[str, Schema] = {}  # by what they say, so that each is listed once
    seen: set[str] = set()
    sections = [written["properties"][noun] for noun in nouns]
    for owner, key in [place for part in sections for place in _fields(part, definitions, seen)]:
        about = {k: v for k, v in owner[key].items() if k in ABOUT}
        if options := _forms(owner[key], definitions):
            forms.setdefault(repr(options[0]), options[0])
            if "x-swept" in owner[key]:
                options = owner[key]["anyOf"]
            owner[key] = {"anyOf": [*options, _TO_IT]} | about
    section["additionalProperties"] = {"anyOf": list(forms.values()), "x-block": True}
    definitions[REFERENCE] = {
        "description": "the name of a block, whose values are meant",
        "type": "string",
        "pattern": f"^{SECTION}\\.{NAME_PATTERN}$",
        "maxLength": 67,
    }
    return written


def _fields(schema: Schema, definitions: Schema, seen: set[str]) -> Iterator[tuple[Schema, str]]:
    """(its owner, its key) of every field below a section, entries of lists too."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in seen:
            seen.add(name)
            yield from _fields(definitions[name], definitions, seen)
        return
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _fields(option, definitions, seen)
    for owner, key in (
        *((schema["properties"], name) for name in schema.get("properties", ())),
        *([(schema, "items")] if "items" in schema else ()),
    ):
        yield from _fields(owner[key], definitions, seen)
        yield owner, key
    if isinstance(below := schema.get("additionalProperties"), dict):
        yield from _fields(below, definitions, seen)
        if "x-swept" in below:
            yield schema, "additionalProperties"


def _forms(field: Schema, definitions: Schema) -> list[Schema]:
    """[the mapping that a field takes, null if it takes that too]; empty if it takes none."""
    plain = {k: v for k, v in field.items() if k not in ("description", "default")}
    options = plain.get("anyOf", [plain])
    mappings = [option for option in options if _is_mapping(option, definitions)]
    return mappings + [o for o in options if o.get("type") == "null"] if mappings else []


def _is_mapping(option: Schema, definitions: Schema) -> bool:
    while "$ref" in option:
        option = definitions[option["$ref"].rpartition("/")[2]]
    return option.get("type") == "object" or "discriminator" in option
