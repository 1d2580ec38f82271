"""project: the whole of params.yaml: nouns -> names -> specs."""

from collections.abc import Iterator

from pydantic import Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from lmspec.specs.base import Artifact, Name, Spec
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.gates import Gate
from lmspec.specs.model import ModelSpec
from lmspec.specs.names import NO_NOUNS, ArtifactName
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.quantized import QuantizedSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.specs.sources import SourceSpec
from lmspec.specs.speed import SpeedSpec
from lmspec.specs.splits import SplitsSpec
from lmspec.specs.student import StudentSpec
from lmspec.specs.updated import UpdatedSpec


class Project(Spec):
    """What to build: any number of artifacts of each noun, with `numerics` and `machine`."""

    sources: dict[Name, SourceSpec] = Field({}, description="raw inputs with a declared SHA-256")
    corpus: dict[Name, CorpusSpec] = Field({}, description="cleaned, labelled documents")
    splits: dict[Name, SplitsSpec] = Field({}, description="train, dev and test splits of a corpus")
    model: dict[Name, ModelSpec] = Field({}, description="networks, fitted to data")
    student: dict[Name, StudentSpec] = Field({}, description="smaller models taught by larger ones")
    updated: dict[Name, UpdatedSpec] = Field({}, description="models trained further on new data")
    exported: dict[Name, ExportedSpec] = Field({}, description="models as ONNX graphs")
    quantized: dict[Name, QuantizedSpec] = Field({}, description="graphs in int8")
    scores: dict[Name, ScoresSpec] = Field({}, description="how often a model or graph is right")
    speed: dict[Name, SpeedSpec] = Field(
        {}, description="how fast and how large a graph is, compared with another"
    )
    bundle: dict[Name, BundleSpec] = Field({}, description="what is deployed")
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


NOUNS = tuple(section for section in Project.model_fields if section not in NO_NOUNS)
