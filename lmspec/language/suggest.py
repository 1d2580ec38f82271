"""suggest: what was probably meant: the nearest name, or the value as it should be written."""

import re
from collections.abc import Iterable
from typing import Any

from lmspec.language import schema as schemas
from lmspec.language.problems import printable
from lmspec.language.schema import Schema, Schemas, fits

TRUTHS = dict.fromkeys(("yes", "on", "y", "true"), True) | dict.fromkeys(
    ("no", "off", "n", "false"), False
)
LIKE = 0.7  # at 0.6 `gpu` would be taken for a misspelt `cpu`
# If a field is missing: an unknown `at_least` is `at_most`, but `filters` is not `layers`.
LIKE_ONE_MISSING = 0.65


def nearest(name: str, names: Iterable[str], likeness: float = LIKE) -> str | None:
    """The name that was probably meant, None if none is close. Case does not matter."""
    if len(name) > 100:
        return None
    import difflib  # slow to import, and needed only for a mistake

    plain = {candidate.lower(): candidate for candidate in names if len(candidate) <= 100}
    closest = difflib.get_close_matches(name.lower(), list(plain), 1, likeness)
    return plain[closest[0]] if closest else None


def did_you_mean(name: str | None) -> str:
    """As a hint; empty for None."""
    return f"did you mean '{name}'?" if name else ""


def value(given: Any, schema: Schema, nullable: bool) -> str:
    """What to write in place of a value that does not fit; empty if nothing suggests itself."""
    kind = schema.get("type")
    for better in _candidates(given, kind):
        if fits(better, schema):
            return f"write {_written(better, given)}"
    if nullable and isinstance(given, str) and given.lower() in ("none", "nil", ""):
        return "write null"
    scalar = not isinstance(given, str | list | dict | None)
    if kind == "string" and scalar and "x-refers-to" not in schema:
        if fits(str(given), schema):
            return "put it in quotes"
        return "put its digits in quotes" if given == 0 else ""
    if kind == "array" and isinstance(given, str | int | float):
        return f"put it in brackets: [{printable(str(given)[:40])}]"
    if kind == "array" and isinstance(given, dict):
        return "put it in brackets, or `- ` before it"
    if kind not in ("array", "object") and isinstance(given, list) and len(given) == 1:
        return "remove the brackets"
    return ""


def _candidates(given: Any, kind: Any) -> Iterable[Any]:
    """The value in the required type, as it may have been meant."""
    if kind == "boolean" and isinstance(given, str) and given.lower() in TRUTHS:
        yield TRUTHS[given.lower()]
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
    if kind == "number" and type(given) in (int, float) and 1 < given <= 100:
        yield given / 100


def _written(better: Any, given: Any) -> str:
    if isinstance(better, bool):
        return str(better).lower()
    text = f"{better:.10g}" if isinstance(better, float) else str(better)
    quoted = isinstance(given, str) and not isinstance(better, str) and text == given
    return f"{text}, without quotes" if quoted else text


def kind(given: str, kinds: Schemas) -> str:
    """For an unknown kind: the one that was meant, or the field of a kind that takes that word."""
    if near := nearest(given, kinds):
        return did_you_mean(near)
    for name, schema in kinds.items():
        for field, inner in schema["properties"].items():
            if field != "kind" and given.lower() in schemas.choices(schemas.concrete(inner)[0]):
                return f"did you mean `kind: {name}` with `{field}: {given.lower()}`?"
    return ""
