"""explain: what a path into params.yaml means, by the JSON Schema: fields, kinds, checks, users."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lmspec.errors import LmspecError
from lmspec.language import schema as schemas
from lmspec.language.conformance import function
from lmspec.language.schema import FieldPath, Schema, Schemas, listed
from lmspec.language.suggest import did_you_mean, nearest


@dataclass(frozen=True)
class Meaning:
    """What a path means.

    steps   the path, with every kind on the way
    kinds   kinds under which it means that; empty: always
    schema  with the description of the field, if it is one
    """

    steps: FieldPath
    kinds: tuple[str, ...]
    schema: Schema


def meanings(path: str, names: Mapping[str, Collection[str]]) -> tuple[Meaning, ...]:
    """All that a path may mean: fields of two kinds can share a name.

    path   `noun.field.field`, with or without kinds; also `noun.name.field[0]`, as messages have it
    names  noun -> names of its artifacts, which are skipped
    Raises LmspecError if it leads nowhere.
    """
    noun, *steps = re.sub(r"\[\d*\]", "", path).split(".")
    sections = schemas.sections()
    if noun not in sections:
        raise _nowhere(path, f"params.yaml has no section '{noun}'", noun, sections)
    meanings: tuple[Meaning, ...] = (Meaning((noun,), (), sections[noun]),)
    reached = noun
    for i, step in enumerate(steps):
        below = _merged(deeper for meaning in meanings for deeper in _below(meaning, step))
        if not below and i == 0 and step in names.get(noun, ()):
            continue
        if not below:
            found = f"{reached} has no field or kind '{step}'"
            raise _nowhere(path, found, step, [n for m in meanings for n in _names(m.schema)])
        meanings, reached = below, f"{reached}.{step}"
    return meanings


def _nowhere(path: str, found: str, step: str, names: Iterable[str]) -> LmspecError:
    existing = tuple(dict.fromkeys(names))
    remedy = f"there is {listed(existing, 'and')}" if existing else "it is a value, without fields"
    hint = did_you_mean(nearest(step, existing))
    return LmspecError(f"explain {path}", found, f"{hint} {remedy}".strip())


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


def _merged(meanings: Iterable[Meaning]) -> tuple[Meaning, ...]:
    """Each meaning once, with all kinds that have it."""
    merged: list[Meaning] = []
    for meaning in meanings:
        i = next((i for i, other in enumerate(merged) if other.schema == meaning.schema), None)
        if i is None:
            merged.append(meaning)
        else:
            merged[i] = replace(merged[i], kinds=(*merged[i].kinds, *meaning.kinds))
    return tuple(merged)


def _names(schema: Schema) -> Iterator[str]:
    schema = schemas.inner(schema)
    yield from schemas.kinds(schema)
    for chosen in schemas.kinds(schema).values() or (schema,):
        yield from chosen.get("properties", {})


def docstring(schema: Schema) -> str:
    """What the class of a mapping says, beside the description of the field; else empty."""
    if "$ref" in schema:
        return str(schemas.resolved({"$ref": schema["$ref"]}).get("description", ""))
    below = schema.get("items") or schemas.entries(schema)
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    return docstring(below or options[0]) if below or options else ""


def fields(schema: Schema) -> dict[tuple[str, ...], Schemas]:
    """Kinds -> their fields by name; () -> fields, if there are no kinds. Empty for a value."""
    schema = schemas.inner(schema)
    if not (kinds := schemas.kinds(schema)):
        return {(): schema["properties"]} if "properties" in schema else {}
    alike = _merged(
        Meaning((), (kind,), {k: v for k, v in chosen["properties"].items() if k != "kind"})
        for kind, chosen in kinds.items()
    )
    return {meaning.kinds: meaning.schema for meaning in alike}


def checks(schema: Schema) -> Iterator[tuple[str, str, str]]:
    """(path, name, reason) of the checks that compare fields."""
    for steps, part in schemas.parts(schema):
        for name in part.get("x-holds", ()):
            reason, *_ = (function(name).__doc__ or "").splitlines()
            yield ".".join(steps), name.rpartition(":")[2].replace("_", "-"), reason


def referring(noun: str) -> Iterator[str]:
    """Paths of the fields that may refer to a noun."""
    for section, schema in schemas.sections().items():
        for steps, part in schemas.parts(schema, (section,)):
            if noun in part.get("x-refers-to", ()):
                yield ".".join(steps)
