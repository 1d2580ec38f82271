"""values: a report as JSON, and the schema of that."""

import json
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from lmspec.compare.report import Report

SCHEMA = "urn:lmspec:report:v1"
PATH = Path(__file__).parents[1] / "compare/report.schema.json"  # `schema`, as other tools read it
NUMBER = {
    "description": "A number, or the name of one that JSON lacks: a loss can be infinite.",
    "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
}
BESIDES = {
    "schema": {"const": SCHEMA, "title": "Schema"},
    "failures": {
        "description": "Why the change must not pass, one line each; empty if it may.",
        "items": {"type": "string"},
        "title": "Failures",
        "type": "array",
    },
}


def as_json(report: Report) -> str:
    """One object in ASCII, safe in every terminal and locale; keys in the order of the fields.

    Floats that JSON lacks are the strings "NaN", "Infinity" and "-Infinity"; null means absent.
    """
    content = {"schema": SCHEMA, "failures": list(report.failures), **vars(report)}
    try:
        return _written(content)
    except ValueError:  # rare, and checking every value takes longer than writing it
        return _written(finite(content))


def _written(content: dict[str, Any]) -> str:
    """One line per entry of a top-level list: greppable, and three times as fast as indented."""
    encode = json.JSONEncoder(default=_plain, allow_nan=False).encode
    parts = []
    for key, value in content.items():
        listed = isinstance(value, list | tuple) and value
        body = "[\n    " + ",\n    ".join(map(encode, value)) + "\n  ]" if listed else encode(value)
        parts.append(f"  {encode(key)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _plain(value: object) -> Any:
    """What JSON has no form for: a dataclass as its fields, anything else as its text."""
    return vars(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def finite(value: Any) -> Any:
    """The value as JSON holds it: NaN and infinities as strings, dataclasses as dictionaries."""
    return json.loads(json.dumps(value, default=_plain), parse_constant=str)


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what `as_json` writes; later versions may add properties."""
    from pydantic import TypeAdapter  # slow to import, and only this needs it

    text = json.dumps(TypeAdapter(Report).json_schema(mode="serialization"))
    generated = json.loads(text, object_hook=_with_name)
    definitions = generated.pop("$defs")
    properties = BESIDES | generated.pop("properties")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        **generated,
        "properties": properties,
        "required": list(properties),
        "$defs": definitions | {"Number": NUMBER},
    }


def _with_name(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the schema; a number as a `Number`."""
    if part.get("type") != "number":
        return part
    del part["type"]
    return part | {"$ref": "#/$defs/Number"}


def schema_text() -> str:
    """Content of report.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
