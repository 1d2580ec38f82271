"""tracker: what the trackers have in common: the run, and what each of them does."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lmspec.methods import curves
from lmspec.run.recorder import BUILT, LINES, SPEC

KILLED = "killed"


@dataclass(frozen=True)
class Run:
    """A run of a stage that trains.

    folder  `.lmspec/runs/<stage>/<name>`
    spec    the artifact's section of params.yaml, numerics and machine
    first   the curve whose values have plain names; those of further seeds begin with theirs
    """

    folder: Path
    spec: Mapping[str, Any]
    first: str | None

    @classmethod
    def of(cls, folder: Path) -> "Run":
        """The run whose folder that is."""
        folder = folder.absolute()
        spec = json.loads((folder / SPEC).read_text("utf-8")) if (folder / SPEC).exists() else {}
        begun = curves.rows(folder / LINES)
        return cls(folder, spec, curves.name_of(begun[0]) if begun else None)

    @property
    def stage(self) -> str:
        """Its name in dvc.yaml."""
        return self.folder.parent.name

    @property
    def project(self) -> Path:
        """Root of the project, which has `.lmspec/runs`."""
        return self.folder.parents[3]

    @property
    def parameters(self) -> dict[str, Any]:
        """The spec, flat, with dotted names."""
        return dict(_flat("", self.spec))

    def prefix(self, row: curves.Row) -> str:
        """Of the names of a line's values."""
        name = curves.name_of(row)
        return "" if self.first in (None, name) else f"{name}/"


class Tracker(Protocol):
    """Opened for a run; raises whatever its library does."""

    def take(self, row: curves.Row) -> None:
        """A line of the run."""

    def close(self, status: str) -> None:
        """The run is over."""


def is_success(status: str) -> bool:
    """Has the stage its output?"""
    return status == BUILT


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    parts = ((f"{name}.{key}" if name else str(key), each) for key, each in value.items())
    return [pair for part in parts for pair in _flat(*part)]
