"""templates checks: what DVC would take for one of its templates in dvc.yaml."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement


def dvc_replaces_nothing(spec: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Paths of sources and titles of bundles go into dvc.yaml, where DVC replaces `${...}`."""
    for field in ("path", "title"):
        if "${" in spec.get(field, ""):
            yield Disagreement((field,), "DVC would replace `${`", "leave it out")
