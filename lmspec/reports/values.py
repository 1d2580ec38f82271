"""values: a report as JSON, and the schema of that."""

import json
import math
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from lmspec.compare.report import Report

SCHEMA = "urn:lmspec:report:v1"
PATH = (
    Path(__file__).parents[1] / "compare/report.schema.json"
)  # what `schema` returns; a test keeps it so
NUMBER = {
    "description": "A number, or the name of one that JSON has none for: a loss can be infinite.",
    "anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}],
}
BESIDES = {
    "schema": {"const": SCHEMA, "title": "Schema"},
    "failures": {
        "description": "Why the change must not pass: one line each. Empty: it may.",
        "items": {"type": "string"},
        "title": "Failures",
        "type": "array",
    },
}


def as_json(report: Report) -> str:
    """One object, in ASCII, so that no terminal or locale can spoil it. Keys stand in the order of the fields.

    A float that is no number is the string "NaN", "Infinity" or "-Infinity": null would be one that is not there.
    """
    content = {"schema": SCHEMA, "failures": list(report.failures), **vars(report)}
    try:
        text = _written(content)
    except (
        ValueError
    ):  # seldom, and looking for it in each value takes longer than writing them all
        text = _written(finite(content))
    return text


def _written(content: dict[str, Any]) -> str:
    """Each entry of a top-level list on a line: read by line, by eye and by diff, and three times as fast as indented."""
    encode = json.JSONEncoder(default=_plain, allow_nan=False).encode
    parts = []
    for key, value in content.items():
        listed = isinstance(value, list | tuple) and value
        body = "[\n    " + ",\n    ".join(map(encode, value)) + "\n  ]" if listed else encode(value)
        parts.append(f"  {encode(key)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _plain(value: object) -> Any:
    """What JSON has no form for: a record by its fields, anything else (a date, a side that lacks a value) by its words."""
    return vars(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def finite(value: Any) -> Any:
    """As JSON can have it: a float that is no number by its name, a record by its fields."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    plain = value if isinstance(value, dict) else _plain(value)
    return {key: finite(part) for key, part in plain.items()} if isinstance(plain, dict) else plain


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of what `as_json` writes. A later version may have more properties."""
    from pydantic import TypeAdapter  # slow to import, and only this needs it

    found = _with_names(TypeAdapter(Report).json_schema(mode="serialization"))
    properties = {
        "schema": BESIDES["schema"],
        "failures": BESIDES["failures"],
        **found.pop("properties"),
    }
    definitions = {**found.pop("$defs"), "Number": NUMBER}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA}
    return {
        **head,
        **found,
        "properties": properties,
        "required": list(properties),
        "$defs": definitions,
    }


def schema_text() -> str:
    """The schema as report.schema.json has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _with_names(part: Any) -> Any:
    """The same schema, with every number a `Number`."""
    if isinstance(part, list):
        return [_with_names(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "number":
        return {
            **{key: value for key, value in part.items() if key != "type"},
            "$ref": "#/$defs/Number",
        }
    return {key: _with_names(value) for key, value in part.items()}
