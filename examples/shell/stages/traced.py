"""traced: where a network decides, and what its layers know.   model, splits -> traced.parquet"""

import hashlib
import importlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import contrasts, documents, traces
from lmspec.methods import concordance, interchange, observing, weighing
from lmspec.methods.interchange import Interchange
from lmspec.methods.layered import EMBEDDINGS, Layered
from lmspec.methods.observing import Observed
from lmspec.methods.reading import Floats, Ids
from lmspec.methods.tracing import Traceable
from lmspec.specs import contrasts as paired
from lmspec.specs.contrasts import POSITIONS, Pair
from lmspec.specs.traced import TracedSpec
from lmspec.statistics import means

DIGITS = 4
OFF = 1e-3  # of the difference: how far the ends may be from 1 and 0, by rounding
SHARES, LOG_ODDS = (-1.0, 2.0), (0.0, 1000.0)  # within which an interval is shown
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Traced:
    """A pair of texts.

    tokens     of the other text
    at         position -> its tokens
    ends       (depths, 2) share of the log odds that nothing restores, and the whole text
    positions  (depths, positions) what the states at each restore
    each       (depths, tokens) the same of each token
    """

    pair: Pair
    tokens: Sequence[str]
    at: Mapping[str, Ids]
    log_odds: tuple[float, float]
    ends: Floats
    positions: Floats
    each: Floats


def build(spec: TracedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Exchange states within each pair; watch units, probe and erase concepts; weigh layers."""
    given = contrasts.read(needs.root, spec.pairs)
    model: Traceable = importlib.import_module(spec.modules()[0]).opened(spec, needs, given)
    require_layers(spec, model.network)
    started = time.process_time()
    asked = list(paired.pairs(given))
    traced, left_out = exchanged(model, asked, spec)
    seconds = time.process_time() - started
    stage.say(f"{len(traced)} pairs, {seconds / len(asked):.2f} CPU-s each")
    rows = {split: drawn(needs[spec.on], split, spec.texts) for split in model.splits}
    read = model.windows([row for some in rows.values() for row in some])
    if not len(read.ids):
        found = f"none of its {model.splits[-1]} texts is short enough to be read"
        raise LmspecError(str(needs[spec.on]), found, "raise `texts`, or name other splits")
    seen = observing.observed(model.network, read.ids, model.pad_id, spec.batch_size)
    layers = ["embeddings", *(f"layer_{layer}" for layer in spec.layers)]
    restored = summed(traced, layers)
    concepts: Rows = []
    if spec.concepts:
        known = importlib.import_module("stages.traced_concepts")
        concepts = known.measured(spec, needs, model, rows, read, seen)
    weights = parts(model, seen)
    differences = np.array([one.log_odds[0] - one.log_odds[1] for one in traced])
    traces.write([stored(one, layers) for one in traced], out)
    metrics = {
        "pairs": len(traced),
        "pairs_left_out": left_out,
        "log_odds": mean(differences, LOG_ODDS, traced),
        "ends": {name: _round(_ends(traced)[i]) for i, name in enumerate(("none", "whole"))},
        "restored": _nested(restored),
        "weights": _of_weights(weights),
        "units": {"dead": _round(_dead(weights))},
    }
    if concepts:
        metrics["concept"] = nested(concepts)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    tables: dict[str, Sequence[stage.Row]] = {"restored": restored, "weights": weights}
    tables["pairs"] = [line(one) for one in traced]
    if concepts:
        tables["concepts"] = concepts
    return stage.Report(metrics, tables)


def require_layers(spec: TracedSpec, network: Layered) -> None:
    """Raise LmspecError if a layer is not there."""
    count = len(network.layers)
    for layer in spec.layers:
        if layer >= count:
            found = f"{spec.of} has no layer {layer}"
            raise LmspecError("traced.layers", found, f"it has layers 0 to {count - 1}")


def exchanged(
    model: Traceable, asked: Sequence[Pair], spec: TracedSpec
) -> tuple[list[Traced], int]:
    """(the pairs of which something can be learned, the number of the others).

    Raises LmspecError if there is none.
    """
    found, reasons = [], []
    for pair in asked:
        one, other = (model.asked(text, pair) for text in (pair.one, pair.other))
        try:
            at = interchange.positions(one, other)
        except interchange.Unlike as error:
            reasons.append(f"{pair.one!r}, {pair.other!r}: {error}")
            continue
        within = Interchange(model.network, one, other, spec.batch_size)
        if within.difference < spec.least_difference:
            difference = f"the log odds differ by {within.difference:.2f}"
            reasons.append(f"{pair.one!r}, {pair.other!r}: {difference}")
            continue
        tokens = [model.token(int(number)) for number in other.sequences[0][: other.length]]
        found.append(traced(pair, within, at, tokens, spec))
    if reasons:
        stage.say(f"{len(reasons)} of {len(asked)} pairs are left out, such as {reasons[0]}")
    if not found:
        remedy = "write pairs that the model tells apart, or lower `least_difference`"
        raise LmspecError(f"traced: {spec.pairs}", f"no pair is left: {reasons[0]}", remedy)
    return found, len(reasons)


def traced(
    pair: Pair, within: Interchange, at: Mapping[str, Ids], tokens: Sequence[str], spec: TracedSpec
) -> Traced:
    """One pair. Raises LmspecError if the ends are not 1 and 0: then states are misplaced."""
    sets = interchange.sets(at, len(tokens))
    depths = (EMBEDDINGS, *spec.layers)
    shares = np.stack([within.restored(layer, sets) for layer in depths])  # (depths, sets)
    ends, rest = shares[:, :2], shares[:, 2:]
    by_construction = [(ends[:, 0], 0.0, "nothing"), (ends[:, 1], 1.0, "the whole text")]
    by_construction.append((rest[:1, list(at).index("word")], 1.0, "the embedding of the word"))
    for values, due, what in by_construction:
        if np.abs(values - due).max() > OFF:
            found = f"{pair.id}: {what} restores {values.tolist()} of the answer, not {due:g}"
            remedy = f"the hidden states of {spec.of} do not decide it alone; trace another model"
            raise LmspecError("traced.of", found, remedy)
    count = len(at)
    return Traced(pair, tokens, at, within.log_odds, ends, rest[:, :count], rest[:, count:])


def drawn(splits: Path, split: str, count: int) -> Rows:
    """The texts of the lowest hashes, in that order, which depends on no other text.

    Raises LmspecError if there is none.
    """
    frame = documents.read_split(splits, split)
    if frame.is_empty():
        found = f"its {split} split is empty"
        raise LmspecError(str(splits), found, "give it a fraction above 0")
    order = sorted(frame["id"], key=lambda name: hashlib.sha256(name.encode()).digest())
    place = {name: i for i, name in enumerate(order[:count])}
    some = [row for row in frame.rows(named=True) if row["id"] in place]
    return sorted(some, key=lambda row: place[row["id"]])


def summed(found: Sequence[Traced], layers: Sequence[str]) -> Rows:
    """A row for each layer and position: the mean share over the pairs, with its interval."""
    shares = np.stack([one.positions for one in found])  # (pairs, depths, positions)
    return [
        {"layer": layer, "position": position, "pairs": len(found)}
        | mean(shares[:, depth, place], SHARES, found)
        for depth, layer in enumerate(layers)
        for place, position in enumerate(POSITIONS)
    ]


def mean(values: Floats, limits: tuple[float, float], found: Sequence[Traced]) -> dict[str, float]:
    """Of the pairs; those of one template are sampled together."""
    groups = concordance.numbered([one.pair.template for one in found])
    estimate = means.mean(values, limits, groups)
    low, high = estimate.interval
    return {"mean": _round(estimate.value), "low": _round(low), "high": _round(high)}


def parts(model: Traceable, seen: Observed) -> Rows:
    """A row for each part of the network."""
    rows = []
    for part in weighing.weighed(model.network.network, model.against):
        place = int(part.part.removeprefix("layer_")) if part.part.startswith("layer_") else None
        peaks = None if place is None else seen.peaks[place]
        depth = 0 if part.part == "embeddings" else None if place is None else place + 1
        rows.append(
            {
                "part": part.part,
                "weights": part.weights,
                "norm": float(f"{part.norm:.5g}"),
                "zero": part.zero,
                "changed": None if part.changed is None else float(f"{part.changed:.5g}"),
                "state_norm": None if depth is None else float(f"{seen.norms[depth]:.5g}"),
                "units": None if peaks is None else len(peaks),
                "dead": None if peaks is None else int((peaks <= observing.IDLE).sum()),
            }
        )
    return rows


def _of_weights(rows: Rows) -> dict[str, float]:
    """Of the network: shares of its weights; the change is that of the part that changed most."""
    total = sum(row["weights"] for row in rows)
    found = {"zero": _round(sum(row["zero"] for row in rows) / total)}
    changed = [row["changed"] for row in rows if row["changed"] is not None]
    return found | ({"changed": max(changed)} if changed else {})


def _dead(rows: Rows) -> float:
    """Share of the units."""
    known = [(row["dead"], row["units"]) for row in rows if row["units"]]
    return float(sum(dead for dead, _ in known) / max(1, sum(units for _, units in known)))


def nested(concepts: Rows) -> dict[str, Any]:
    """Metrics of concepts, by name and layer."""
    found: dict[str, Any] = {}
    for row in concepts:
        of = found.setdefault(row["concept"], {"majority": row["majority"]})
        lost = {"mean": row["lost"], "low": row["lost_low"], "high": row["lost_high"]}
        of[row["layer"]] = {"probe": row["probe"], "erased": row["erased"], "lost": lost}
    return found


def _nested(rows: Rows) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        found.setdefault(row["layer"], {})[row["position"]] = row["mean"]
    return found


def _ends(found: Sequence[Traced]) -> Floats:
    """(2,) that of all pairs and layers which is farthest from 0, and from 1."""
    ends = np.concatenate([one.ends for one in found])
    farthest = np.abs(ends - (0.0, 1.0)).argmax(0)
    values: Floats = ends[farthest, (0, 1)]
    return values


def stored(one: Traced, layers: Sequence[str]) -> dict[str, Any]:
    """A row of traced.parquet."""
    pair = one.pair
    return {
        "id": pair.id,
        "one": pair.one,
        "other": pair.other,
        "answers": list(pair.answers),
        "log_odds": [_round(value) for value in one.log_odds],
        "tokens": list(one.tokens),
        "word": [int(place) for place in one.at["word"]],
        "layers": list(layers),
        "restored": [[_round(value) for value in row] for row in one.each],
    }


def line(one: Traced) -> stage.Row:
    """A row of the table that git keeps: shares by layer, and in each by position."""
    return {
        "id": one.pair.id,
        "group": hashlib.sha256(one.pair.template.encode()).hexdigest()[:8],
        "text": hashlib.sha256(f"{one.pair.one}\n{one.pair.other}".encode()).hexdigest()[:8],
        "difference": _round(one.log_odds[0] - one.log_odds[1]),
        "restored": "; ".join(" ".join(f"{v + 0.0:.3g}" for v in row) for row in one.positions),
    }


def _round(value: Any) -> float:
    return round(float(value), DIGITS) + 0.0  # no -0


STAGE = stage.Stage(TracedSpec, build)
