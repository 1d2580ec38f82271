"""project: the whole of params.yaml: nouns -> keys -> specs."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from lmspec.specs.base import KEY_PATTERN, Artifact, Ref, Spec
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.quantized import QuantizedSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.specs.sources import SourceSpec
from lmspec.specs.speed import SpeedSpec
from lmspec.specs.splits import SplitsSpec
from lmspec.specs.student import StudentSpec
from lmspec.specs.updated import UpdatedSpec

Key = Annotated[str, Field(pattern=f"^{KEY_PATTERN}$", max_length=60)]


class Project(Spec):
    """What to make. Any noun may have any number of keys, and only `numerics` and `machine` must be there."""

    sources: dict[Key, SourceSpec] = Field(default={}, description="raw inputs with a declared SHA-256")
    corpus: dict[Key, CorpusSpec] = Field(default={}, description="cleaned, labelled documents")
    splits: dict[Key, SplitsSpec] = Field(default={}, description="train, dev and test sides of a corpus")
    model: dict[Key, ModelSpec] = Field(default={}, description="candidates, fitted to data")
    student: dict[Key, StudentSpec] = Field(default={}, description="smaller models, taught by larger ones")
    updated: dict[Key, UpdatedSpec] = Field(default={}, description="models carried on to new data")
    exported: dict[Key, ExportedSpec] = Field(default={}, description="models as ONNX graphs")
    quantized: dict[Key, QuantizedSpec] = Field(default={}, description="graphs in int8")
    scores: dict[Key, ScoresSpec] = Field(default={}, description="what a model or graph gets right")
    speed: dict[Key, SpeedSpec] = Field(default={}, description="how fast and how large a graph is, against another")
    bundle: dict[Key, BundleSpec] = Field(default={}, description="what is deployed")
    numerics: Numerics = Field(description="seed, threads, precision: inputs of every computing stage")
    machine: Machine = Field(description="device: an input of no stage")

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


NOUNS = tuple(name for name in Project.model_fields if name not in ("numerics", "machine"))
