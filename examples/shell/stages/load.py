"""load: a service under 1, 8 and 64 clients.   bundle, model, splits -> load-<name>.json"""

import functools
import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.methods import clients, reading
from lmspec.serving import measured, requirements
from lmspec.specs.checks.speed import company
from lmspec.specs.load import CLIENTS, ENDS, FIGURES, LoadSpec, column
from lmspec.specs.numerics import Machine, Numerics
from lmspec.writing import timing

ASKED = 9  # number of its stream of draws
Figures = dict[str, float]


def build(spec: LoadSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Throughput, latency, processor time, memory, and what was refused.

    Ratios above 1 favour the service.
    """
    requirements.require()
    for ref in (spec.of, spec.against):
        require_labels(needs[ref], ref)
    texts = documents.read_split(needs[spec.on], "test")["text"].to_list()
    rng = np.random.default_rng([needs.bits.seed, ASKED])
    drawn = rng.choice(len(texts), min(len(texts), spec.texts), replace=False)
    requests = [clients.request(measured.PATH, {"text": texts[i]}) for i in sorted(drawn)]
    (module,), model = spec.modules(), needs[spec.against]
    predict = functools.partial(predictor, module, model, needs.bits, needs.machine)
    serves: tuple[measured.Serve, ...] = (
        functools.partial(measured.service, needs[spec.of], needs.bits.threads),
        functools.partial(measured.plain, predict),
    )
    before = timing.Work.until_now()
    with measured.server(serves[0]) as own, measured.server(serves[1]) as other:
        rounds = in_turn((own, other), requests, spec.rounds)
        peaks = [end.used().peak for end in (own, other)]
    after = timing.Work.until_now()
    report: dict[str, Any] = {
        end: medians(rounds, end) | {"peak_memory_bytes": peak}
        for end, peak in zip(ENDS, peaks, strict=True)
    }
    report["ratio"] = ratios(rounds) | {"peak_memory": peaks[1] / peaks[0]}
    if before and after:
        report["others_share"] = after.others_share(before)
        if found := company(report["others_share"]):
            stage.say(f"warning: {found}; measure again when they are done")
    return stage.Report(report, {"rounds": rounds})


def require_labels(folder: Path, ref: str) -> None:
    """Raise LmspecError for a model that writes."""
    if "labels" not in json.loads((folder / "lmspec.json").read_text(encoding="utf-8")):
        found = f"{ref} writes, and the load of models that tell labels apart is measured"
        raise LmspecError("load", found, "name one that tells labels apart")


def predictor(
    module: str, folder: Path, numerics: Numerics, machine: Machine
) -> Callable[[str], dict[str, float]]:
    """A text -> the probability of each label, by a model or graph."""
    model = importlib.import_module(module).predictor(folder, numerics, machine)

    def predict(text: str) -> dict[str, float]:
        windows = model.reader.read([text])
        (row,) = reading.predicted(model.forward, windows, model.pad_id, 1).tolist()
        return dict(zip(model.labels, row, strict=True))

    return predict


def in_turn(
    ends: Sequence[measured.Server], requests: Sequence[bytes], rounds: int
) -> list[Figures]:
    """One row for each round; odd rounds reverse. One round before the first is not counted."""
    rows = []
    for number in range(-1, rounds):
        row: Figures = {"round": number + 1}
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            for count in CLIENTS:
                found = asked(ends[which], requests, count)
                row |= {f"{ENDS[which]}_{column(count, path)}": v for path, v in found.items()}
        rows.append(row)
    return rows[1:]


def asked(end: measured.Server, requests: Sequence[bytes], count: int) -> Figures:
    """What so many clients find. Raises LmspecError for what is neither answered nor refused."""
    before = end.used().seconds
    try:
        found = clients.ask(end.connect, requests, count)
    except (ConnectionError, TimeoutError) as error:
        remedy = "read what it printed above; `lmspec serve` of the bundle may show more"
        raise LmspecError("load", str(error), remedy) from None
    used = end.used().seconds - before
    answered = found.statuses == clients.OK
    p50, p99 = np.quantile(found.seconds[answered], (0.5, 0.99)) * 1e3
    return {
        "requests_per_second": float(answered.sum()) / found.wall,
        "latency_ms.p50": float(p50),
        "latency_ms.p99": float(p99),
        "cpu_ms": 1e3 * used / float(answered.sum()),
        "refused": 1 - float(answered.mean()),
    }


def medians(rounds: Sequence[Figures], end: str) -> dict[str, Any]:
    """Over the rounds, as metrics are nested; what is refused is a mean."""
    found: dict[str, Any] = {}
    for count in CLIENTS:
        inside = found[f"clients_{count}"] = {"latency_ms": {}}
        for path in (*(path for path, _ in FIGURES.values()), "refused"):
            values = [row[f"{end}_{column(count, path)}"] for row in rounds]
            middle = float(np.mean(values) if path == "refused" else np.median(values))
            outer, _, name = path.rpartition(".")
            (inside["latency_ms"] if outer else inside)[name] = middle
    return found


def ratios(rounds: Sequence[Figures]) -> dict[str, Any]:
    """Median, 5th and 95th percentile over the rounds."""
    found: dict[str, Any] = {}
    for count in CLIENTS:
        inside = found[f"clients_{count}"] = {}
        for name, (path, better) in FIGURES.items():
            of, against = (
                np.array([row[f"{end}_{column(count, path)}"] for row in rounds]) for end in ENDS
            )
            each = of / against if better == "higher" else against / of
            low, middle, high = np.quantile(each, (0.05, 0.5, 0.95)).tolist()
            inside[name] = {"median": middle, "p5": low, "p95": high}
    return found


STAGE = stage.Stage(LoadSpec, build)
