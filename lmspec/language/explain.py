"""explain: what a path into params.yaml means, from the JSON Schema alone: fields, kinds, checks, and who refers to it."""

import importlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lmspec.errors import LmspecError
from lmspec.language import schema as schemas
from lmspec.language.schema import Schema
from lmspec.language.suggest import nearest


@dataclass(frozen=True)
class Meaning:
    """What a path means.

    steps   the path, with every kind that it goes through
    kinds   under which of them it means that; empty: always
    schema  with the description of the field, if it is one
    """

    steps: tuple[str, ...]
    kinds: tuple[str, ...]
    schema: Schema


def meanings(path: str, keys: Mapping[str, Collection[str]]) -> tuple[Meaning, ...]:
    """All that a path may mean: a field of the same name can mean something else under another kind.

    path  `noun.field.field`, kinds among them or not; as in a message, `noun.key.field[0]`, too
    keys  noun -> keys of artifacts, which are skipped
    Raises LmspecError if it leads nowhere.
    """
    noun, *steps = re.sub(r"\[\d*\]", "", path).split(".")
    if noun not in schemas.sections():
        raise _nowhere(
            path, f"params.yaml has no section '{noun}'", noun, tuple(schemas.sections())
        )
    found: tuple[Meaning, ...] = (Meaning((noun,), (), schemas.sections()[noun]),)
    reached = noun
    for i, step in enumerate(steps):
        below = _merged([below for meaning in found for below in _below(meaning, step)])
        if not below and i == 0 and step in keys.get(noun, ()):
            continue
        if not below:
            there = tuple(
                dict.fromkeys(name for meaning in found for name in _names(meaning.schema))
            )
            raise _nowhere(path, f"{reached} has no field or kind '{step}'", step, there)
        found, reached = below, f"{reached}.{step}"
    return found


def _nowhere(path: str, found: str, step: str, there: tuple[str, ...]) -> LmspecError:
    near = nearest(step, there)
    listed = (
        f"there is {schemas.listed(there, 'and')}" if there else "it is a value, with nothing in it"
    )
    return LmspecError(
        f"explain {path}", found, f"did you mean '{near}'? {listed}" if near else listed
    )


def _below(meaning: Meaning, step: str) -> Iterator[Meaning]:
    schema = schemas.inner(meaning.schema)
    kinds = schemas.kinds(schema)
    if not kinds and step in schema.get("properties", {}):
        yield Meaning((*meaning.steps, step), meaning.kinds, schema["properties"][step])
    elif step in kinds:
        reference = {"$ref": schema["discriminator"]["mapping"][step]}
        yield Meaning((*meaning.steps, step), (*meaning.kinds, step), reference)
    elif kinds and step == "kind":
        yield meaning
    else:
        for kind, chosen in kinds.items():
            if step in chosen["properties"]:
                yield Meaning(
                    (*meaning.steps, kind, step), (*meaning.kinds, kind), chosen["properties"][step]
                )


def _merged(found: list[Meaning]) -> tuple[Meaning, ...]:
    """One for each meaning, with all kinds that have it."""
    merged: list[Meaning] = []
    for meaning in found:
        for i, other in enumerate(merged):
            if other.schema == meaning.schema:
                merged[i] = Meaning(other.steps, (*other.kinds, *meaning.kinds), other.schema)
                break
        else:
            merged.append(meaning)
    return tuple(merged)


def _names(schema: Schema) -> Iterator[str]:
    schema = schemas.inner(schema)
    yield from schemas.kinds(schema)
    for chosen in schemas.kinds(schema).values() or (schema,):
        yield from chosen.get("properties", {})


def docstring(schema: Schema) -> str:
    """What a mapping is, apart from what it is good for in the field that holds it; empty for a value or a choice."""
    if "$ref" in schema:
        return str(schemas.resolved({"$ref": schema["$ref"]}).get("description", ""))
    below = schema.get("items") or schemas.entries(schema)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return docstring(below or options[0]) if below or options else ""


def fields(schema: Schema) -> dict[tuple[str, ...], dict[str, Schema]]:
    """Kinds -> the fields that they have, by name; () -> fields, where there is no choice. Empty for a value."""
    schema = schemas.inner(schema)
    found: list[tuple[tuple[str, ...], dict[str, Schema]]] = []
    for kind, chosen in schemas.kinds(schema).items():
        own = {name: field for name, field in chosen["properties"].items() if name != "kind"}
        same = next((i for i, (_, other) in enumerate(found) if other == own), None)
        if same is None:
            found.append(((kind,), own))
        else:
            found[same] = ((*found[same][0], kind), own)
    return dict(found) or ({(): dict(schema["properties"])} if "properties" in schema else {})


def checks(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """(path below it, name of the check, why) of all that must hold among its fields."""
    for steps, part in schemas.parts(schema, ()):
        for name in part.get("x-holds", ()):
            module, _, function = name.partition(":")
            why = (getattr(importlib.import_module(module), function).__doc__ or "").partition(
                "\n"
            )[0]
            yield ".".join(steps), function.replace("_", "-"), why


def referring(noun: str) -> Iterator[str]:
    """Paths of the fields that may name an artifact of a noun."""
    for section, schema in schemas.sections().items():
        for steps, part in schemas.parts(schema, (section,)):
            if noun in part.get("x-refers-to", ()):
                yield ".".join(steps)
