"""suggest: what was probably meant: the nearest name, or the value as it should have been written."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from lmspec.language import schema as schemas
from lmspec.language.problems import printable
from lmspec.language.schema import Schema, fits

TRUE, FALSE = {"yes", "on", "y", "true"}, {"no", "off", "n", "false"}
LIKE = 0.7  # from there a name is taken for another one misspelt: at 0.6 `gpu` is meant for `cpu`
LIKE_ONE_MISSING = 0.65  # a field that does not exist, where one is missing: `at_least` for `at_most`, not `filters` for `layers`


def nearest(name: str, names: Iterable[str], likeness: float = LIKE) -> str | None:
    """The name that was probably meant, None if none is close. Capitals make no difference."""
    if len(name) > 100:
        return None
    import difflib  # slow to import, and a spec without a mistake needs it not

    plain = {candidate.lower(): candidate for candidate in names if len(candidate) <= 100}
    found = difflib.get_close_matches(name.lower(), list(plain), 1, likeness)
    return plain[found[0]] if found else None


def value(given: Any, schema: Schema, nullable: bool) -> str:
    """What to write in the place of a value that does not fit; empty if nothing suggests itself."""
    for better in _otherwise(given, schema.get("type")):
        if fits(better, schema):
            return f"write {_written(better, given)}"
    kind = schema.get("type")
    if nullable and isinstance(given, str) and given.lower() in ("none", "nil", ""):
        return "write null"
    if (
        kind == "string"
        and not isinstance(given, str | list | dict | None)
        and "x-refers-to" not in schema
    ):
        return (
            "put it into quotes"
            if fits(str(given), schema)
            else "put its digits into quotes"
            if given == 0
            else ""
        )
    if kind == "array" and isinstance(given, str | int | float):
        return f"put it into brackets: [{printable(str(given)[:40])}]"
    if kind == "array" and isinstance(given, dict):
        return "put it into brackets, or `- ` before it"
    if (
        kind in ("integer", "number", "string", "boolean")
        and isinstance(given, list)
        and len(given) == 1
    ):
        return "remove the brackets"
    return ""


def _otherwise(given: Any, kind: Any) -> Iterable[Any]:
    """The value as it may have been meant, in the type that is wanted."""
    if kind == "boolean" and isinstance(given, str):
        yield from [True] if given.lower() in TRUE else [False] if given.lower() in FALSE else []
    if kind == "string" and isinstance(given, str):
        yield given.lower()
    if kind in ("integer", "number") and isinstance(given, str) and len(given) < 40:
        percent = re.fullmatch(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*%\s*", given)
        plain = given.replace("_", "").replace(",", ".").strip()
        if percent:
            yield round(float(percent[1].replace(",", ".")) / 100, 6)
        elif re.fullmatch(r"[+-]?[0-9]+", plain):
            yield int(plain)
        elif re.fullmatch(r"[+-]?[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?", plain):
            yield float(plain)
    if kind == "integer" and isinstance(given, float) and given.is_integer():
        yield int(given)
    if (
        kind == "number"
        and isinstance(given, int | float)
        and not isinstance(given, bool)
        and 1 < given <= 100
    ):
        yield given / 100


def _written(better: Any, given: Any) -> str:
    text = (
        str(better).lower()
        if isinstance(better, bool)
        else f"{better:.10g}"
        if isinstance(better, float)
        else str(better)
    )
    if isinstance(given, str) and not isinstance(better, str | bool) and text == given:
        return f"{text}, without quotes"
    return text


def kind(given: str, kinds: Mapping[str, Schema]) -> str:
    """For a kind that does not exist: the one that was meant, or the field of a kind that takes that word."""
    near = nearest(given, kinds)
    if near:
        return f"did you mean '{near}'?"
    for name, schema in kinds.items():
        for field, inner in schema["properties"].items():
            if field != "kind" and given.lower() in schemas.choices(schemas.concrete(inner)[0]):
                return f"did you mean `kind: {name}` with `{field}: {given.lower()}`?"
    return ""
