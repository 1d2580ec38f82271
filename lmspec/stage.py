"""stage: what a stage script sees of lmspec: what a build is given, and what it reports."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmspec.errors import harmless
from lmspec.methods.resume import Resume
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.results import Better

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Needs:
    """What a build may use beside its spec: the folders of the artifacts that the spec refers to.

    folders   `noun.name` -> folder
    numerics  None for a noun whose bytes they do not decide
    seen      of a noun that examines a model: `splits.name` -> its parts that the model, or what
              it was made from, was trained, stopped early or calibrated on
    section   of a noun that reads another artifact's section: that
    """

    folders: Mapping[str, Path]
    numerics: Numerics | None
    machine: Machine
    root: Path = field(default_factory=Path.cwd)
    seen: Mapping[str, Sequence[str]] = field(default_factory=dict)
    resume: Resume | None = None
    section: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, ref: str) -> Path:
        return self.folders[ref]

    @property
    def bits(self) -> Numerics:
        """The numerics of a noun that declares them."""
        if self.numerics is None:
            raise TypeError("this noun does not declare `numerics = True`, so its build has none")
        return self.numerics


@dataclass(frozen=True)
class Report:
    """What git keeps of a build: nested metrics, and small tables by name.

    better  direction of metrics that the spec does not declare: `{"auc": "higher"}`
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    better: Mapping[str, Better] = field(default_factory=dict)


@dataclass(frozen=True)
class Stage:
    """The declaration at the foot of a stage script: `STAGE = stage.Stage(ModelSpec, build)`.

    spec   type of the artifact's section in params.yaml
    build  writes the output into the folder that it is given
    """

    spec: Any
    build: Callable[[Any, Needs, Path], Report]

    def __post_init__(self) -> None:
        if self.build.__module__ == "__main__":
            noun, name = Path(sys.argv[0]).stem, " ".join(sys.argv[1:]) or "<name>"
            command = f"python -m lmspec.run {noun} {name}"
            sys.exit(f"lmspec: stages.{noun} is not run by itself\n  -> run `{command}`")


def say(line: str) -> None:
    """Print a line of progress; what it names cannot act on a terminal or a CI runner."""
    print(harmless(f"  {line}"), file=sys.stderr, flush=True)
