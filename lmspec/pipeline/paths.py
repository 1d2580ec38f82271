"""paths: where the results of an artifact are, by its name as text."""

from lmspec.specs import names
from lmspec.specs.names import ArtifactName

METRICS, PROVENANCE = names.METRICS, names.PROVENANCE


def stage_name(name: str) -> str:
    """`model.minilm` -> `model-minilm`: DVC allows no dot."""
    return ArtifactName.parse(name).stage


def folder(name: str) -> str:
    """`model.minilm` -> `data/model/minilm`."""
    return ArtifactName.parse(name).folder


def metrics(name: str) -> str:
    """The file of its metrics."""
    return ArtifactName.parse(name).metrics


def provenance(name: str) -> str:
    """Its provenance: what it was made from."""
    return ArtifactName.parse(name).provenance


def table(name: str, report: str) -> str:
    """The file of one of its tables."""
    return ArtifactName.parse(name).table(report)
