"""calibrated: a graph fitted to dev splits.   graph, splits -> model.onnx, thresholds"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import calibrated, documents, examples, graph
from lmspec.methods import abstaining, calibrating, conformal, encoding, metrics, reading
from lmspec.methods.calibrating import Knots, Rows
from lmspec.methods.metrics import Floats
from lmspec.specs.calibrated import CalibratedSpec, Conformal, Isotonic, Temperature

Bools = NDArray[np.bool_]
BINS = 15  # of the calibration error


def build(spec: CalibratedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Fit, and set thresholds by what the new graph answers."""
    source = graph.read(needs[spec.of], needs.bits.threads)
    require_a_name(spec, source.labels)
    devs = [examples.read(needs[name], "dev", source.reader, source.labels) for name in spec.on]
    windows = encoding.joined([(dev.windows, np.arange(len(dev.truth))) for dev in devs])
    truth = np.concatenate([dev.truth for dev in devs])
    # one window at a time, as a bundle reads: in int8 those of a batch affect each other
    logits = reading.logits(source.forward, windows.ids, source.pad_id, 1)
    rows = Rows(logits, windows.of_text, truth)
    fits, sets = parts(spec, needs)
    fitted, knots, facts = fit(spec, rows.part(fits), onnx.load(source.path))
    graph.write(fitted, source.tokenizer, source.about(), out)
    result = graph.read(out, needs.bits.threads)
    probability = reading.predicted(result.forward, windows, result.pad_id, 1)
    before = rows.means(reading.probabilities(logits))
    facts |= compared(before[fits], probability[fits], truth[fits])
    if spec.abstain is not None:
        found = thresholds(
            spec, spec.abstain, needs, sets, probability[sets], truth[sets], result.labels
        )
        facts |= abstained(spec.abstain, found, probability[sets], truth[sets])
        graph.write(fitted, source.tokenizer, source.about() | {calibrated.THRESHOLDS: found}, out)
    stage.say(", ".join(f"{name} {value}" for name, value in facts.items()))
    tables = {"isotonic": list(functions(knots, result.labels))} if knots else {}
    return stage.Report(facts, tables)


def parts(spec: CalibratedSpec, needs: stage.Needs) -> tuple[Bools, Bools]:
    """(n,) which dev texts the method is fitted to, and (n,) which the thresholds.

    All, but for isotonic regression: its functions are surer of the texts that they were fitted to
    than of others, so that the thresholds would keep less than they promise. It has one half of
    the documents, and they the other.
    """
    frames = [documents.read_split(needs[name], "dev", ["id", "group"]) for name in spec.on]
    names = [group or name for frame in frames for name, group in frame.iter_rows()]
    every = np.ones(len(names), bool)
    if not isinstance(spec.method, Isotonic) or spec.abstain is None:
        return every, every
    first = calibrating.halves(names)
    if first.all() or not first.any():
        found = f"{len(names)} dev texts are too few to fit a method to some, thresholds to others"
        raise LmspecError("calibrated.on", found, "name more splits, or write `kind: temperature`")
    return first, ~first


def require_a_name(spec: CalibratedSpec, labels: tuple[str, ...]) -> None:
    """Raise LmspecError if a label is called as what is no label."""
    if spec.abstain is not None and abstaining.UNSURE in labels:
        found = f"{spec.of} has a label {abstaining.UNSURE!r}, as which no label would be answered"
        raise LmspecError("calibrated.abstain", found, "rename the label, or write `abstain: null`")


def fit(
    spec: CalibratedSpec, rows: Rows, model: onnx.ModelProto
) -> tuple[onnx.ModelProto, list[Knots], dict[str, Any]]:
    """The graph with nodes at its end, the functions of isotonic regression, and what to report."""
    facts: dict[str, Any] = {"rows": len(rows.truth)}
    if isinstance(spec.method, Temperature):
        by = calibrating.temperature(rows)
        if not calibrating.COLDEST * 1.01 < by < calibrating.HOTTEST / 1.01:
            stage.say(f"warning: the temperature is at its limit: {by}: are the texts too few?")
        return calibrating.divided(model, by), [], facts | {"temperature": by}
    if isinstance(spec.method, Isotonic):
        knots = calibrating.one_for_each(rows)
        return calibrating.mapped(model, knots, calibrating.least(rows)), knots, facts
    return model, [], facts


def compared(before: Floats, after: Floats, truth: reading.Ids) -> dict[str, float]:
    """On the texts that it was fitted to: how much there was to gain, not what was gained."""
    facts = {}
    for suffix, probability in (("_before", before), ("", after)):
        right = probability.argmax(1) == truth
        facts[f"log_loss{suffix}"] = metrics.log_loss(truth, probability)
        facts[f"expected_calibration_error{suffix}"] = metrics.expected_calibration_error(
            probability.max(1), right, BINS
        )
    return facts


def thresholds(
    spec: CalibratedSpec,
    abstain: Conformal,
    needs: stage.Needs,
    sets: Bools,
    probability: Floats,
    truth: reading.Ids,
    labels: tuple[str, ...],
) -> dict[str, float]:
    """Of each label. sets: (n,) which dev texts these are.

    Raises LmspecError if they are too few.
    """
    every = [
        f"{name.name}, {table}"
        for name in spec.on
        for table in documents.read_split(needs[name], "dev", ["table"])["table"]
    ]
    tables = list(itertools.compress(every, sets))
    try:
        found = conformal.thresholds(
            probability, truth, labels, tables, abstain.coverage, abstain.by
        )
    except ValueError as error:
        remedy = "lower the coverage, name more splits, or give their dev splits more texts"
        raise LmspecError("calibrated.abstain", str(error), remedy) from None
    return dict(zip(labels, found, strict=True))


def abstained(
    abstain: Conformal, found: dict[str, float], probability: Floats, truth: reading.Ids
) -> dict[str, Any]:
    """How often it is unsure of texts that the thresholds were fitted to."""
    answers = [dict(zip(found, row, strict=True)) for row in probability.tolist()]
    unsure = [abstaining.is_unsure(answer, found) for answer in answers]
    accuracy = float((probability.argmax(1) == truth).mean())
    if accuracy > abstain.coverage:
        stage.say(
            f"warning: it is right on {accuracy:.3f} of these texts, more than the coverage of"
            f" {abstain.coverage:g}: it will be unsure of texts that it would answer right"
        )
    return {"threshold": found, "unsure": float(np.mean(unsure))}


def functions(knots: list[Knots], labels: tuple[str, ...]) -> Iterator[stage.Row]:
    """The functions of isotonic regression, before all labels are divided by their sum."""
    for label, (at, value) in zip(labels, knots, strict=False):
        for point, share in zip(at.tolist(), value.tolist(), strict=True):
            yield {"label": label, "probability": point, "calibrated": share}


STAGE = stage.Stage(CalibratedSpec, build)
