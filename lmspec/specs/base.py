"""base: what every spec is made of: a frozen, closed record, and typed references from one artifact to another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

# A DVC stage name allows letters, digits, "-" and "_"; a stage is called `noun-key`, and no noun holds a "-".
KEY_PATTERN = r"[a-z][a-z0-9_-]*"


class Spec(BaseModel):
    """A part of params.yaml. Strict: DVC takes 1, 1.0 and true for the same value, so a spec must not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Ref(str):
    """The name of another artifact, `noun.key`, and the nouns that its field admits."""

    nouns: tuple[str, ...]

    @property
    def noun(self) -> str:
        """The part before the dot."""
        return self.partition(".")[0]

    @property
    def key(self) -> str:
        """The part after the dot."""
        return self.partition(".")[2]


@dataclass(frozen=True)
class To:
    """Makes a field of type `Ref` a reference to an artifact of one of these nouns: an edge of the graph."""

    nouns: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def mark(text: str) -> Ref:
            ref = Ref(text)
            ref.nouns = self.nouns
            return ref

        return core_schema.no_info_after_validator_function(mark, core_schema.str_schema(strict=True))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": f"^({'|'.join(self.nouns)})\\.{KEY_PATTERN}$"}


class Artifact(Spec):
    """One thing to build: `noun.key` in params.yaml, `noun-key` in dvc.yaml, `data/noun/key/` on disk."""

    noun: ClassVar[str]
    numerics: ClassVar[bool] = False  # do seed, threads and precision decide its bytes?
    cached: ClassVar[bool] = True  # does it have a folder in DVC's cache?
    metrics: ClassVar[bool] = False  # does it write data/metrics/<noun>-<key>.json?
    reports: ClassVar[tuple[str, ...]] = ()  # small tables that git keeps: data/metrics/<noun>-<key>/<report>.csv

    def modules(self) -> tuple[str, ...]:
        """Modules of the variants (`kind:`) that build it, beside what its stage imports."""
        return ()

    def reader_modules(self) -> tuple[str, ...]:
        """Modules that whoever loads it needs, beside its format."""
        return ()

    def reads_like(self) -> Ref | None:
        """The artifact whose reader modules are this one's too."""
        return None

    def files(self) -> tuple[str, ...]:
        """Files or folders of the repository that it reads, relative to the root."""
        return ()


def references(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Ref]]:
    """Every reference inside a spec, with the path of fields that leads to it, in the order of the fields."""
    if isinstance(value, Ref):
        yield path, value
    elif isinstance(value, Spec):
        for name in type(value).model_fields:
            yield from references(getattr(value, name), (*path, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from references(item, (*path, index))
