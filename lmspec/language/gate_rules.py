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
            return found, "use accuracy, macro_f1, log_loss or f1 of scores"
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
