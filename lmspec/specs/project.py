"""project: the whole of params.yaml: nouns -> names -> specs."""

import importlib
from collections.abc import Iterator
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lmspec.specs import block_schema, blocks
from lmspec.specs.base import Artifact, Name, Spec
from lmspec.specs.gates import Gate
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine, Numerics

# In the order of the flow. A noun's type is `<Noun>Spec` in the module `lmspec.specs.<noun>`.
NOUNS = (
    "sources",
    "corpus",
    "splits",
    "augmented",
    "pretrained",
    "suspects",
    "queue",
    "model",
    "sweep",
    "folds",
    "student",
    "updated",
    "exported",
    "quantized",
    "calibrated",
    "scores",
    "explained",
    "examined",
    "traced",
    "attacked",
    "speed",
    "bundle",
    "load",
)


def _section(noun: str) -> tuple[object, object]:
    """(type, field) of a section; the caption of the module describes it."""
    module = importlib.import_module(f"lmspec.specs.{noun}")
    caption = (module.__doc__ or "").partition("\n")[0].removeprefix(f"{noun}: ")
    spec = getattr(module, f"{noun.capitalize()}Spec")
    return GenericAlias(dict, (Name, spec)), Field({}, description=caption.removesuffix("."))


if TYPE_CHECKING:
    Sections = Spec
else:
    Sections = create_model("Sections", __base__=Spec, **{n: _section(n) for n in NOUNS})


class Project(Sections):
    """What to build: any number of artifacts of each noun, with `numerics` and `machine`.

    References to blocks are resolved before the fields are checked.
    """

    blocks: dict[Name, dict[str, Any]] = Field(
        {}, description="values that fields refer to as `blocks.NAME`, written once"
    )
    gates: dict[Name, Gate] = Field({}, description="what a change must not do to a metric")
    numerics: Numerics = Field(
        description="seed, threads, precision: inputs of every stage that computes"
    )
    machine: Machine = Field(description="device: an input of no stage")
    _used: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _with_blocks(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(values, dict) or not all(isinstance(name, str) for name in values):
            return handler(values)
        if not blocks.of(values):
            return handler(values)
        named = {blocks.SECTION: values[blocks.SECTION]}
        project = handler(blocks.without(values) | named)
        for name, _ in project.artifacts():
            noun, own = ArtifactName.parse(name)
            project._used[name] = blocks.used(values[noun][own], blocks.of(values))
        return project

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """With a reference to a block as the other form of each field that takes one."""
        return block_schema.added(super().model_json_schema(*args, **options), NOUNS)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Reject every other name: the pattern that pydantic writes leaves those unchecked."""
        written = handler(schema)
        for section in handler.resolve_ref_schema(written)["properties"].values():
            for pattern, items in section.pop("patternProperties", {}).items():
                section |= {
                    "propertyNames": {**section["propertyNames"], "pattern": pattern},
                    "additionalProperties": items,
                }
        return written

    def artifacts(self) -> Iterator[tuple[str, Artifact]]:
        """Every artifact with its name, in the order of the nouns above and of the file."""
        for noun in NOUNS:
            for name, spec in getattr(self, noun).items():
                yield str(ArtifactName(noun, name)), spec

    def blocks_of(self, name: str) -> tuple[str, ...]:
        """Parameters of the blocks that an artifact uses: `blocks.finetune`."""
        return tuple(f"{blocks.PREFIX}{block}" for block in self._used.get(name, ()))

    def find(self, text: str) -> Artifact:
        """The artifact called `noun.name`. Raises KeyError if there is none."""
        noun, name = ArtifactName.parse(text)
        if noun not in NOUNS:
            raise KeyError(text)
        spec: Artifact = getattr(self, noun)[name]
        return spec
