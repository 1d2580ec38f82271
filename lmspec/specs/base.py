"""base: what every spec is made of: a frozen, closed record, and typed references from one artifact to another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from lmspec.specs.disagreement import Check

# A DVC stage name allows letters, digits, "-" and "_"; a stage is called `noun-key`, and no noun holds a "-".
KEY_PATTERN = r"[a-z][a-z0-9_-]*"
# A relative path with forward slashes that stays inside: no part of it is "." or "..".
_PART = r"(?:[^./\\~\x00-\x1f][^/\\\x00-\x1f]*|\.[^./\\\x00-\x1f][^/\\\x00-\x1f]*)"


def matching(pattern: str, rule: str, max_length: int) -> Any:
    """A text that matches a regular expression; `rule` says in words what that means."""
    return Field(pattern=pattern, max_length=max_length, json_schema_extra={"x-rule": rule})


Name = Annotated[
    str, matching(f"^{KEY_PATTERN}$", "lower-case letters, digits, '-' and '_', a letter first", 60)
]
Inside = Annotated[
    str,
    matching(
        f"^{_PART}(?:/{_PART})*$", "a relative path that stays inside, with forward slashes", 1000
    ),
]


class Spec(BaseModel):
    """A part of params.yaml. Strict: DVC takes 1, 1.0 and true for the same value, so a spec must not."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    holds: ClassVar[tuple[Check, ...]] = ()  # what must hold among its fields

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        for check in self.holds:
            for disagreement in check(self.model_dump()):
                raise ValueError(disagreement.found)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        written = handler(schema)
        if cls.holds:
            handler.resolve_ref_schema(written)["x-holds"] = [
                f"{c.__module__}:{c.__name__}" for c in cls.holds
            ]
        return written


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

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def mark(text: str) -> Ref:
            ref = Ref(text)
            ref.nouns = self.nouns
            return ref

        return core_schema.no_info_after_validator_function(
            mark, core_schema.str_schema(strict=True, pattern=self.pattern)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.pattern, "x-refers-to": list(self.nouns)}

    @property
    def pattern(self) -> str:
        """Regular expression of the names that it admits."""
        return f"^(?:{'|'.join(self.nouns)})\\.{KEY_PATTERN}$"


class Artifact(Spec):
    """One thing to build: `noun.key` in params.yaml, `noun-key` in dvc.yaml, `data/noun/key/` on disk."""

    noun: ClassVar[str]
    numerics: ClassVar[bool] = False  # do seed, threads and precision decide its bytes?
    cached: ClassVar[bool] = True  # does it have a folder in DVC's cache?
    metrics: ClassVar[bool] = False  # does it write data/metrics/<noun>-<key>.json?
    reports: ClassVar[
        tuple[str, ...]
    ] = ()  # small tables that git keeps: data/metrics/<noun>-<key>/<report>.csv

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


def references(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Ref]]:
    """Every reference inside a spec, with the path of fields that leads to it, in the order of the fields."""
    if isinstance(value, Ref):
        yield path, value
    elif isinstance(value, Spec):
        for name in type(value).model_fields:
            yield from references(getattr(value, name), (*path, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from references(item, (*path, index))
