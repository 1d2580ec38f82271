"""project: the whole of params.yaml: nouns -> keys -> specs."""

from collections.abc import Iterator

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lmspec.specs.base import Artifact, Name, Ref, Spec
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.gates import Gate
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.quantized import QuantizedSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.specs.sources import SourceSpec
from lmspec.specs.speed import SpeedSpec
from lmspec.specs.splits import SplitsSpec
from lmspec.specs.student import StudentSpec
from lmspec.specs.updated import UpdatedSpec


class Project(Spec):
    """What to make. Any noun may have any number of keys, and only `numerics` and `machine` must be there."""

    sources: dict[Name, SourceSpec] = Field(
        default={}, description="raw inputs with a declared SHA-256"
    )
    corpus: dict[Name, CorpusSpec] = Field(default={}, description="cleaned, labelled documents")
    splits: dict[Name, SplitsSpec] = Field(
        default={}, description="train, dev and test splits of a corpus"
    )
    model: dict[Name, ModelSpec] = Field(default={}, description="candidates, fitted to data")
    student: dict[Name, StudentSpec] = Field(
        default={}, description="smaller models, taught by larger ones"
    )
    updated: dict[Name, UpdatedSpec] = Field(
        default={}, description="models carried on to new data"
    )
    exported: dict[Name, ExportedSpec] = Field(default={}, description="models as ONNX graphs")
    quantized: dict[Name, QuantizedSpec] = Field(default={}, description="graphs in int8")
    scores: dict[Name, ScoresSpec] = Field(
        default={}, description="what a model or graph gets right"
    )
    speed: dict[Name, SpeedSpec] = Field(
        default={}, description="how fast and how large a graph is, against another"
    )
    bundle: dict[Name, BundleSpec] = Field(default={}, description="what is deployed")
    gates: dict[Name, Gate] = Field(default={}, description="what a change must not do to a metric")
    numerics: Numerics = Field(
        description="seed, threads, precision: inputs of every computing stage"
    )
    machine: Machine = Field(description="device: an input of no stage")

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """With every other name refused: pydantic writes the pattern of the names so that one that does not match is free."""
        written = handler(schema)
        for section in handler.resolve_ref_schema(written)["properties"].values():
            for pattern, items in section.pop("patternProperties", {}).items():
                section |= {
                    "propertyNames": {**section["propertyNames"], "pattern": pattern},
                    "additionalProperties": items,
                }
        return written

    def artifacts(self) -> Iterator[tuple[str, Artifact]]:
        """Every artifact with its name `noun.key`, in the order of the nouns above and of the file."""
        for noun in NOUNS:
            for key, spec in getattr(self, noun).items():
                yield f"{noun}.{key}", spec

    def find(self, name: str) -> Artifact:
        """The artifact called `noun.key`. Raises KeyError if there is none."""
        ref = Ref(name)
        if ref.noun not in NOUNS:
            raise KeyError(name)
        spec: Artifact = getattr(self, ref.noun)[ref.key]
        return spec


NOUNS = tuple(name for name in Project.model_fields if name not in ("gates", "numerics", "machine"))
