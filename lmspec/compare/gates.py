"""gates: do the metrics of a revision pass what the spec demands of them?"""

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lmspec.specs.gates import Floor, Gate

PASS, FAIL, MISSING, STALE = "pass", "fail", "missing", "stale"


@dataclass(frozen=True)
class Verdict:
    """One gate. value: of the metric; None if it is missing. What is missing fails, and what is to be built anew."""

    gate: str
    verdict: str
    metric: str
    value: float | None
    bound: float

    @property
    def passed(self) -> bool:
        """Nothing but a value within its bound is."""
        return self.verdict == PASS


def verdicts(gates: Mapping[str, Gate], metrics: Mapping[str, Any], stale: Collection[str] = ()) -> Iterator[Verdict]:
    """A verdict for each gate.

    metrics  stage -> what it wrote, nested, as `compare.revision` reads them
    stale    names of artifacts of which params.yaml says something else than when they were built
    """
    for name, gate in gates.items():
        value = _value(metrics, gate.metric)
        bound = gate.at_least if isinstance(gate, Floor) else gate.at_most
        if ".".join(gate.metric.split(".")[:2]) in stale:
            yield Verdict(name, STALE, gate.metric, value, bound)
        elif value is None:
            yield Verdict(name, MISSING, gate.metric, None, bound)
        else:
            fine = value >= bound if isinstance(gate, Floor) else value <= bound
            yield Verdict(name, PASS if fine else FAIL, gate.metric, value, bound)


def _value(metrics: Mapping[str, Any], metric: str) -> float | None:
    """A finite number at that path; None for anything else. Names may hold dots: labels do."""
    noun, key, path = metric.split(".", 2)
    return _below(metrics.get(f"{noun}-{key}"), path)


def _below(value: Any, path: str) -> float | None:
    if not path:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if number else None
    if not isinstance(value, Mapping):
        return None
    for name in value:
        if path == name or path.startswith(f"{name}."):
            found = _below(value[name], path[len(name) + 1 :])
            if found is not None:
                return found
    return None
