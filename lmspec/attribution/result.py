"""result: what `lmspec attribute` answers: factors that differ, mixes and their cost, effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lmspec.attribution.effects import Attribution
from lmspec.compare.report import RevisionId


@dataclass(frozen=True)
class MixBuild:
    """What building a mix takes.

    runs, may_run, ready  numbers of stages; ready: restored from the cache
    seconds, untimed      expected duration of those that run or may run; how many were never timed
    error                 why the mix cannot be built; None as far as known
    """

    factors: tuple[str, ...]
    runs: int = 0
    may_run: int = 0
    ready: int = 0
    seconds: float = 0.0
    untimed: int = 0
    error: str | None = None


@dataclass(frozen=True)
class AttributionReport:
    """factors: name -> what differs, in words; built: False if only the cost is known."""

    baseline: RevisionId
    candidate: RevisionId
    factors: Mapping[str, tuple[str, ...]]
    mixes: tuple[MixBuild, ...] = ()
    metrics: tuple[Attribution, ...] = ()
    built: bool = False
    notes: tuple[str, ...] = ()

    def mix_name(self, factors: Sequence[str]) -> str:
        """`main~5 with data and spec of main`."""
        return f"{self.baseline.name} with {' and '.join(factors)} of {self.candidate.name}"
