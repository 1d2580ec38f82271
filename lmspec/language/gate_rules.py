"""gate_rules: rules about gates: their metrics exist, and they can be decided and passed."""

import datetime
from collections.abc import Iterator

from lmspec.errors import some
from lmspec.language import metric_names, nouns, suggest
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName, MetricName, MetricPath
from lmspec.specs.results import EXACT

BOUNDS = {
    "floor": "at_least",
    "ceiling": "at_most",
    "gap": "at_most",
    "non_inferiority": "margin",
    "improvement": "by",
}
OF_ANSWERS = "use balanced_accuracy, accuracy or macro_f1"
BASELINE, MAJORITY = "baseline", "majority"  # specs/gates.py has them too, with pydantic
GAP = (
    "a gap is between the classes or the tables of one test split",
    "put `*` in the place of the class or table only",
)


def gates(specs: Specs) -> Iterator[tuple[str, Values, MetricName]]:
    """(name, fields, metric) of every sound gate; an optional field that is not given is null."""
    for name in specs.gates:
        gate = {"confidence": None, "waiver": None, **specs.values["gates"][name]}
        yield name, gate, MetricName.parse(gate["metric"])


def gate_names_a_metric(specs: Specs) -> Disagreements:
    """A gate on a metric that nothing computes would guard nothing."""
    for own, gate, metric in gates(specs):
        artifact, steps = metric.artifact, ("gates", own, "metric")
        if artifact not in specs.edges:
            by_dot = gate["metric"].replace("-", ".", 1)  # the stage's name, as files have it
            near = suggest.nearest(str(artifact), map(str, specs.edges))
            if MetricName.parse(by_dot).artifact in specs.edges:
                near = by_dot
            hint = suggest.did_you_mean(near)
            yield Disagreement(steps, f"there is no artifact '{artifact}'", hint)
        elif artifact in specs.names and not _watched(specs, gate, metric):
            place = artifact, f"what {artifact} is"
            yield Disagreement(steps, *_no_such_metric(specs, gate["kind"], metric), (place,))


def _no_such_metric(specs: Specs, kind: str, metric: MetricName) -> tuple[str, str]:
    """(what is missing, what was probably meant or what exists)."""
    artifact, path = metric.artifact, metric.dotted
    if kind == "negative_flip_rate":
        names = [".".join(part) for part in metric_names.flip_slices(specs, artifact)]
        related = (name for name in names if path.startswith(f"{name}."))
        found = f"{artifact} has no test split, class or table '{path}' to count flips in"
        existing = f"there is {some(names)}" if names else "only scores have them"
    else:
        names = metric_names.names(specs, artifact)
        related = (name for name in names if name.endswith(f".{path}"))
        found, existing = f"{artifact} computes no '{path}'", f"it computes {some(names)}"
    near = suggest.nearest(path, names) or next(related, None)
    return found, f"did you mean '{artifact}.{near}'?" if near else existing


def gate_can_be_decided(specs: Specs) -> Disagreements:
    """A comparison needs a direction, an interval predictions in git, a gap several slices."""
    for own, gate, metric in gates(specs):
        kind = gate["kind"]
        if kind == "negative_flip_rate" or metric.artifact not in specs.names:
            continue
        paths = _watched(specs, gate, metric)
        reasons = [_undecidable(gate, metric.artifact, path) for path in paths]
        if kind == "gap" and not _is_among_slices(metric.path):
            reasons = [GAP]
        if reason := next(filter(None, reasons), None):
            field = "confidence" if kind in ("floor", "ceiling") else "metric"
            yield Disagreement(("gates", own, field), *reason)


def _undecidable(gate: Values, artifact: ArtifactName, path: MetricPath) -> tuple[str, str] | None:
    """(why no amount of data would decide a gate on one metric, what to do)."""
    kind, name = gate["kind"], ".".join(path)
    declared = nouns.metric(artifact, path)
    evidence = declared.evidence if declared else None
    if kind in ("floor", "ceiling", "gap"):
        if (kind != "gap" and gate["confidence"] is None) or evidence == "predictions":
            return None
        found = f"git has no predictions of {artifact} for an interval of {name}"
        if kind == "gap":
            return found, "use accuracy, balanced_accuracy, macro_f1, log_loss or f1 of scores"
        return found, "write null to compare the value itself"
    if kind == "ratio":
        if evidence in ("rounds", "size", "peak"):
            return None
        found = (
            f"{name} is not a latency, throughput, size or memory that commits can be compared by"
        )
        return found, f"use `{'non_inferiority' if evidence == 'predictions' else 'ceiling'}`"
    if declared is None or declared.better is None:
        return f"{name} has no better or worse direction", "use a floor or a ceiling"
    if evidence == "predictions" or evidence in EXACT:
        return None
    found = f"git has no predictions of {artifact} to separate a change of {name} from noise"
    return found, "use `ratio`" if evidence else "use a floor or a ceiling"


def gate_is_held_against_the_same(specs: Specs) -> Disagreements:
    """What a gate is held against in its own commit must have the same metric, on the same data."""
    for own, gate, metric in gates(specs):
        held = gate.get("against", BASELINE)
        if held == BASELINE or metric.artifact not in specs.names:
            continue
        no_such = _no_majority if held == MAJORITY else _no_other
        if reason := no_such(specs, gate, metric):
            place = ("gates", own, "metric"), "the metric"
            yield Disagreement(("gates", own, "against"), *reason, (place,))


def _no_majority(specs: Specs, gate: Values, metric: MetricName) -> tuple[str, str] | None:
    """(why the most frequent label has no such metric, what to do); None if it has one."""
    if metric.artifact.noun != "scores" or gate["kind"] == "ratio":
        return "only scores have a majority label", "name another artifact, or `baseline`"
    scores = specs[metric.artifact]
    if scores.get("generation") or scores.get("choices"):
        return "answers in words have no majority label", "name other scores, or `baseline`"
    steps = metric_names.without_label(metric.path)
    if gate["kind"] == "negative_flip_rate":
        of_class = "class" in steps
        found = "the majority label is wrong on each text of any other class, so none can be lost"
        return (found, "count them in the test split or a table") if of_class else None
    if steps[-1] == "f1":
        return "the F1 of any other label is 0 if all answers are the majority label", OF_ANSWERS
    if steps[-1] in ("log_loss", "expected_calibration_error"):
        found = f"the answer of the majority label has no probabilities, and so no {steps[-1]}"
        return found, OF_ANSWERS
    return None


def _no_other(specs: Specs, gate: Values, metric: MetricName) -> tuple[str, str] | None:
    """(why the other artifact does not have the metric, what to do); None if it has."""
    other, artifact = ArtifactName.parse(gate["against"]), metric.artifact
    if other not in specs.edges:
        near = suggest.nearest(gate["against"], map(str, specs.edges))
        return f"there is no artifact '{other}'", suggest.did_you_mean(near)
    if other == artifact:
        return f"the gate is about {artifact} itself", "name another artifact, or `baseline`"
    if other not in specs.names:
        return None  # its own error is reported
    theirs = _watched(specs, gate, MetricName(other, metric.path))
    lost = [path for path in _watched(specs, gate, metric) if path not in theirs]
    if not lost:
        is_measured = nouns.of(artifact.noun).measured
        return _timed_apart(specs, artifact, other) if is_measured else None
    found = f"{other} has no '{'.'.join(lost[0])}' to compare with"
    if artifact.noun == other.noun == "scores" and lost[0][0] not in _datasets(specs, other):
        splits = next(s for s in specs[artifact]["on"] if s.endswith(f".{lost[0][0]}"))
        return found, f"add {splits} to `on` of {other}"
    having = [
        str(name)
        for name in specs.names
        if name != artifact and set(_watched(specs, gate, MetricName(name, metric.path))) >= {*lost}
    ]
    have = "have" if len(having) > 1 else "has"
    return found, f"{some(having)} {have} it" if having else "use `baseline`"


def _timed_apart(specs: Specs, one: ArtifactName, other: ArtifactName) -> tuple[str, str] | None:
    """(how the settings of two measurements differ, what to do); None if they do not."""
    for field in ("against", "on", "texts", "batch_size", "generation"):
        values = [specs[name].get(field) for name in (one, other)]
        if values[0] != values[1]:
            found = f"{field} is {values[0]} in {one}, and {values[1]} in {other}"
            return found, f"time both with the same {field}, so that the machine cancels out"
    return None


def _datasets(specs: Specs, scores: ArtifactName) -> list[str]:
    return [ArtifactName.parse(splits).name for splits in specs[scores]["on"]]


def _is_among_slices(path: MetricPath) -> bool:
    return all(i and path[i - 1] in ("f1", "table") for i, step in enumerate(path) if step == "*")


def _watched(specs: Specs, gate: Values, metric: MetricName) -> list[MetricPath]:
    """Paths that the pattern of a gate on a sound artifact names."""
    if gate["kind"] == "negative_flip_rate":
        slices = metric_names.flip_slices(specs, metric.artifact)
        return [path for path in slices if metric_names.matches(metric.path, path)]
    return metric_names.matching(specs, metric)


def gate_can_be_passed(specs: Specs) -> Disagreements:
    """A share is between 0 and 1: a bound or margin beyond that passes always or never."""
    for own, gate, metric in gates(specs):
        field = BOUNDS.get(gate["kind"])
        declared = nouns.metric(metric.artifact, metric.path)
        if field and declared and declared.share and not 0 <= (bound := gate[field]) <= 1:
            share = metric_names.without_label(metric.path)[-1]
            yield Disagreement(
                ("gates", own, field),
                f"{share} must be between 0 and 1, and {field} is {bound:g}",
                f"write {bound / 100:g}" if 1 < bound <= 100 else "use a number from 0 to 1",
                ((("gates", own, "metric"), "the metric"),),
            )


def waiver_is_valid(specs: Specs) -> Disagreements:
    """A gate whose waiver has ended fails again."""
    for own, gate, _ in gates(specs):
        until = gate["waiver"] and gate["waiver"]["until"]
        if until and datetime.date.fromisoformat(until) < datetime.date.today():
            steps = ("gates", own, "waiver", "until")
            yield Disagreement(steps, f"its waiver ended on {until}", "remove it, or renew it")
