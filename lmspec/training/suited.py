"""suited: an update or a student has the fields of its kind, as `lmspec validate` says."""

from collections.abc import Mapping
from typing import Any

from lmspec.errors import LmspecError
from lmspec.specs.base import Artifact
from lmspec.specs.checks import further


def require_suited(spec: Artifact, architecture: Mapping[str, Any]) -> None:
    """Raise LmspecError if it begins from a model that it does not suit.

    architecture  its kind; of a model that writes also its max_length and its prompt
    """
    for found in further.suits(architecture, spec.model_dump()):
        place = ".".join((spec.noun, *map(str, found.steps)))
        raise LmspecError(place, found.found, found.remedy)
