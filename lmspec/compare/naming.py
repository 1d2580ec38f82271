"""naming: which artifact of the candidate's spec is which of the baseline's, if it was renamed."""

from collections.abc import Mapping
from typing import Any

from lmspec.run import declaration
from lmspec.specs.names import ArtifactName


def renamed(baseline: Mapping[str, Any], candidate: Mapping[str, Any]) -> dict[str, str]:
    """New name -> former name of each artifact that changed its name and no field.

    A reference to a renamed artifact is no change. Where several artifacts could be meant, none is.
    """
    names: dict[str, str] = {}
    while True:  # a rename may make the artifacts that refer to it equal
        removed = {
            name: spec
            for name, spec in baseline.items()
            if name not in candidate and name not in names.values()
        }
        added = {
            name: translated(spec, names)
            for name, spec in candidate.items()
            if name not in baseline and name not in names
        }
        matched = {}
        for name, spec in added.items():
            former, rivals = _alike(removed, name, spec), _alike(added, name, spec)
            if len(former) == len(rivals) == 1:
                matched[name] = former[0]
        if not matched:
            return names
        names |= matched


def _alike(specs: Mapping[str, Any], name: str, spec: Any) -> list[str]:
    """Artifacts of the same noun with the same fields."""
    noun = ArtifactName.parse(name).noun
    return [
        other
        for other, fields in specs.items()
        if declaration.same(fields, spec) and ArtifactName.parse(other).noun == noun
    ]


def translated(value: Any, names: Mapping[str, str]) -> Any:
    """A spec with some of the names in it replaced."""
    if isinstance(value, dict):
        return {field: translated(item, names) for field, item in value.items()}
    if isinstance(value, list):
        return [translated(item, names) for item in value]
    return names.get(value, value) if isinstance(value, str) else value
