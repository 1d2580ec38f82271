"""project: the whole of params.yaml: nouns -> names -> specs."""

import importlib
from collections.abc import Iterator
from types import GenericAlias
from typing import TYPE_CHECKING

from pydantic import Field, GetJsonSchemaHandler, create_model
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lmspec.specs.base import Artifact, Name, Spec
from lmspec.specs.gates import Gate
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine, Numerics

# In the order of the flow. A noun's type is `<Noun>Spec` in the module `lmspec.specs.<noun>`.
NOUNS = (
    "sources",
    "corpus",
    "splits",
    "model",
    "student",
    "updated",
    "exported",
    "quantized",
    "scores",
    "speed",
    "bundle",
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
    """What to build: any number of artifacts of each noun, with `numerics` and `machine`."""

    gates: dict[Name, Gate] = Field({}, description="what a change must not do to a metric")
    numerics: Numerics = Field(
        description="seed, threads, precision: inputs of every stage that computes"
    )
    machine: Machine = Field(description="device: an input of no stage")

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

    def find(self, text: str) -> Artifact:
        """The artifact called `noun.name`. Raises KeyError if there is none."""
        noun, name = ArtifactName.parse(text)
        if noun not in NOUNS:
            raise KeyError(text)
        spec: Artifact = getattr(self, noun)[name]
        return spec
