"""suited: an update or a student has the fields of its kind, as `lmspec validate` says."""

from lmspec.errors import LmspecError
from lmspec.specs.base import Artifact
from lmspec.specs.checks import further


def require_suited(spec: Artifact, kind: str, max_length: int = 0) -> None:
    """Raise LmspecError if it begins from a model of a kind that it does not suit.

    max_length  tokens of an example, of a model that writes
    """
    for found in further.suits(kind, max_length, spec.model_dump()):
        place = ".".join((spec.noun, *map(str, found.steps)))
        raise LmspecError(place, found.found, found.remedy)
