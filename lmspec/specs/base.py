"""base: what every spec is made of: frozen closed records, typed references to artifacts."""

import dataclasses
from collections.abc import Iterator, Mapping
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
from lmspec.specs.names import PARTS, ArtifactName, MetricPath
from lmspec.specs.results import Metric, Table

# DVC allows letters, digits, "-" and "_" in the name of a stage; ours are `noun-name`.
NAME_PATTERN = r"[a-z][a-z0-9_-]*"
# A relative path with forward slashes that stays inside: no part of it is "." or "..".
_PART = r"(?:[^./\\~\x00-\x1f][^/\\\x00-\x1f]*|\.[^./\\\x00-\x1f][^/\\\x00-\x1f]*)"


def matching(pattern: str, rule: str, max_length: int) -> Any:
    """Field of a text that matches a regular expression; `rule` says in words what that means."""
    return Field(pattern=pattern, max_length=max_length, json_schema_extra={"x-rule": rule})


NAME_RULE = "lower-case letters, digits, '-' and '_', starting with a letter"
Name = Annotated[str, matching(f"^{NAME_PATTERN}$", NAME_RULE, 60)]
SHA256_RULE = "64 lower-case hexadecimal digits, as `sha256sum FILE` prints"
Sha256 = Annotated[str, matching(r"^[0-9a-f]{64}$", SHA256_RULE, 64)]
INSIDE_RULE = "a relative path with forward slashes and without '..'"
Inside = Annotated[str, matching(f"^{_PART}(?:/{_PART})*$", INSIDE_RULE, 1000)]


class Spec(BaseModel):
    """A part of params.yaml. Strict: DVC does not tell 1, 1.0 and true apart, so a spec must."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
    holds: ClassVar[tuple[Check, ...]] = ()  # checks that compare its fields

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
    """The name of another artifact, as params.yaml has it: `noun.name`.

    reads  which parts of a splits artifact its field reads; see `To`
    """

    reads: tuple[str, ...] = ()
    section: bool = False

    @property
    def noun(self) -> str:
        """The part before the dot."""
        return ArtifactName.parse(self).noun

    @property
    def name(self) -> str:
        """The part after the dot."""
        return ArtifactName.parse(self).name

    @property
    def learned(self) -> tuple[str, ...]:
        """The parts that the field's owner may learn from; none unless it names texts."""
        return self.reads or PARTS.get(self.noun, ())


@dataclasses.dataclass(frozen=True)
class To:
    """Makes a field of type `Ref` an edge of the graph: a reference to an artifact of these nouns.

    reads    which splits of a splits artifact are read: train, dev, test
    section  the artifact's fields are read, not its output: with what that is made from
    """

    nouns: tuple[str, ...]
    reads: tuple[str, ...] = ()
    section: bool = False

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(
            self._ref, core_schema.str_schema(strict=True, pattern=self.pattern)
        )

    def _ref(self, text: str) -> Ref:
        ref = Ref(text)
        ref.reads, ref.section = self.reads, self.section
        return ref

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        written = {"type": "string", "pattern": self.pattern, "x-refers-to": list(self.nouns)}
        facts = {"x-reads": list(self.reads), "x-section": self.section}
        return written | {name: value for name, value in facts.items() if value}

    @property
    def pattern(self) -> str:
        """Regular expression of the names that it accepts."""
        return f"^(?:{'|'.join(self.nouns)})\\.{NAME_PATTERN}$"


class Artifact(Spec):
    """One thing to build. Its class says what holds for every artifact of the noun.

    numerics  seed, threads and precision decide its bytes
    measured  timed, not computed: a rebuild gives other numbers, so git keeps it and no cache does
    final     people look at it; an artifact of any other noun is there to be used by another
    is_data   part of the data of a commit, where `lmspec attribute` separates data, spec and code
    origin    the field that names the model or graph that it continues
    metrics   numbers in data/metrics/<noun>-<name>.json
    reports   small tables in data/metrics/<noun>-<name>/; `headlines` are beside them
    """

    noun: ClassVar[str]
    numerics: ClassVar[bool] = False
    measured: ClassVar[bool] = False
    final: ClassVar[bool] = False
    is_data: ClassVar[bool] = False
    origin: ClassVar[str | None] = None
    metrics: ClassVar[tuple[Metric, ...]] = ()
    reports: ClassVar[tuple[Table, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """With `x-noun`, from which language/nouns.py has these facts without pydantic."""
        written = super().__get_pydantic_json_schema__(schema, handler)
        facts = {name: getattr(cls, name) for name in FACTS if getattr(cls, name)}
        for name in {"metrics", "reports"} & facts.keys():
            facts[name] = [
                {
                    key: list(value) if isinstance(value, tuple) else value
                    for key, value in dataclasses.asdict(result).items()
                    if value
                }
                for result in facts[name]
            ]
        handler.resolve_ref_schema(written)["x-noun"] = facts
        return written

    def modules(self) -> tuple[str, ...]:
        """Modules of the variants (`kind:`) that build it, beside what its stage imports."""
        return ()

    def reader_modules(self) -> tuple[str, ...]:
        """Modules that a stage needs to load it, beside its format."""
        return ()

    def reads_like(self) -> Ref | None:
        """The artifact whose reader modules are this one's too."""
        return None

    def files(self) -> tuple[str, ...]:
        """Files or folders of the repository that it reads, relative to the root."""
        return ()

    def written(self) -> tuple[Table, ...]:
        """Those of `reports` that it writes."""
        return self.reports

    def headlines(self) -> Mapping[str, Mapping[str, MetricPath]]:
        """What `dvc metrics show` prints of it: name of a row -> its columns -> their metric."""
        return {}

    def examined(self) -> Ref | None:
        """The model or graph whose training data it needs, to look for its test texts there."""
        return None

    def section(self) -> Ref | None:
        """The artifact whose fields it reads, without its output."""
        return next((ref for _, ref in _refs(self) if ref.section), None)


FACTS = ("measured", "final", "is_data", "origin", "metrics", "reports")


def references(value: Any) -> Iterator[tuple[tuple[str | int, ...], Ref]]:
    """Every reference to an output inside a spec, with its field's path, in the order of fields."""
    yield from ((path, ref) for path, ref in _refs(value) if not ref.section)


def _refs(
    value: Any, path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Ref]]:
    if isinstance(value, Ref):
        yield path, value
    elif isinstance(value, Spec):
        for name in type(value).model_fields:
            yield from _refs(getattr(value, name), (*path, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _refs(item, (*path, index))
