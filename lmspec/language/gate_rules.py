"""gate_rules: the rules of `rules` that are about gates: each watches what is computed, and can be decided and passed."""

import datetime
from collections.abc import Iterator

from lmspec.language import metric_names, suggest
from lmspec.language.resolved import Specs, Values, at
from lmspec.specs.disagreement import Disagreement


def gates(specs: Specs) -> Iterator[tuple[str, Values]]:
    """(key, fields) of every sound gate; what need not be written is null."""
    yield from (
        (key, {"confidence": None, "waiver": None, **specs.values["gates"][key]})
        for key in specs.gates
    )


def gate_has_a_metric(specs: Specs) -> Iterator[Disagreement]:
    """A gate on what nobody computes would never close."""
    for key, gate in gates(specs):
        artifact, path = metric_names.split(gate["metric"])
        steps = ("gates", key, "metric")
        if artifact not in specs.edges:
            as_shown = gate["metric"].replace(
                "-", ".", 1
            )  # the name of the stage, as files are called
            near = (
                as_shown
                if metric_names.split(as_shown)[0] in specs.edges
                else suggest.nearest(artifact, specs.edges)
            )
            yield Disagreement(
                steps,
                f"there is no artifact '{artifact}'",
                f"did you mean '{near}'?" if near else "",
            )
        elif artifact in specs.names and not _watched(specs, gate):
            others = ((at(artifact), f"what {artifact} is"),)
            if gate["kind"] == "negative_flip_rate":
                names = [".".join(split) for split in metric_names.sides(specs, artifact)]
                near = suggest.nearest(path, names) or next(
                    (n for n in names if path.startswith(f"{n}.")), None
                )
                found = f"{artifact} has no test split, class or table '{path}' in which answers could flip"
                there = f"there is {metric_names.few(names)}"
            else:
                names = metric_names.names(specs, artifact)
                near = suggest.nearest(path, names) or next(
                    (n for n in names if n.endswith(f".{path}")), None
                )
                found, there = (
                    f"{artifact} computes no '{path}'",
                    f"it computes {metric_names.few(names)}",
                )
            yield Disagreement(
                steps, found, f"did you mean '{artifact}.{near}'?" if near else there, others
            )


def gate_can_be_decided(specs: Specs) -> Iterator[Disagreement]:
    """What has no direction is never worse; without predictions in git there is no interval; a gap is among classes or tables."""
    for key, gate in gates(specs):
        artifact, path = metric_names.split(gate["metric"])
        if gate["kind"] == "negative_flip_rate" or artifact not in specs.names:
            continue
        whole = gate["kind"] == "gap" and not _among_slices(path)
        found = (
            GAP
            if whole
            else next(
                filter(
                    None, (_undecidable(gate, artifact, each) for each in _watched(specs, gate))
                ),
                None,
            )
        )
        if found:
            steps = (
                "gates",
                key,
                "confidence" if gate["kind"] in ("floor", "ceiling") else "metric",
            )
            yield Disagreement(steps, *found)


GAP = (
    "a gap lies among the classes or the tables of one test split",
    "put `*` in the place of the class or table alone",
)


def _undecidable(gate: Values, artifact: str, path: metric_names.Path) -> tuple[str, str] | None:
    """(why no data would decide it, what to do), of one metric."""
    kind, name = gate["kind"], ".".join(path)
    if kind in ("floor", "ceiling", "gap"):
        if (kind != "gap" and gate["confidence"] is None) or metric_names.has_predictions(
            artifact, path
        ):
            return None
        remedy = (
            "write null: it is taken as it is"
            if kind != "gap"
            else "accuracy, macro_f1, log_loss or f1 of scores have one"
        )
        return (
            f"{artifact} has no predictions in git from which an interval of {name} would follow",
            remedy,
        )
    if kind == "ratio":
        remedy = f"`{'non_inferiority' if metric_names.has_predictions(artifact, path) else 'ceiling'}` suits it"
        found = (
            f"{name} is no latency, throughput, size or memory that two commits can be compared by"
        )
        return None if metric_names.has_ratio(artifact, path) else (found, remedy)
    if not metric_names.directed(artifact, path):
        return f"{name} is a fact that has no better and worse", "a floor or a ceiling suits it"
    if not (metric_names.has_predictions(artifact, path) or metric_names.is_exact(path)):
        remedy = (
            "`ratio` suits it"
            if metric_names.has_ratio(artifact, path)
            else "a floor or a ceiling suits it"
        )
        return (
            f"git has no predictions of {artifact}, so that a difference of {name} cannot be told from noise",
            remedy,
        )
    return None


def _among_slices(path: str) -> bool:
    steps = path.split(".")
    return all(i and steps[i - 1] in ("f1", "table") for i, step in enumerate(steps) if step == "*")


def _watched(specs: Specs, gate: Values) -> list[metric_names.Path]:
    """Paths that its pattern names, of an artifact that is sound."""
    artifact, path = metric_names.split(gate["metric"])
    if gate["kind"] == "negative_flip_rate":
        return [
            split
            for split in metric_names.sides(specs, artifact)
            if metric_names.matches(tuple(path.split(".")), split)
        ]
    return metric_names.matching(specs, artifact, path)


BOUNDS = {
    "floor": "at_least",
    "ceiling": "at_most",
    "gap": "at_most",
    "non_inferiority": "margin",
    "improvement": "by",
}


def gate_can_be_passed(specs: Specs) -> Iterator[Disagreement]:
    """A share lies between 0 and 1: a bound or a margin beyond that always passes, or never."""
    for key, gate in gates(specs):
        bound = BOUNDS.get(gate["kind"])
        share = set(gate["metric"].split(".")[2:]) & metric_names.SHARES
        if bound and share and not 0 <= gate[bound] <= 1:
            remedy = (
                f"write {gate[bound] / 100:g}" if 1 < gate[bound] <= 100 else "give one from 0 to 1"
            )
            found = f"{min(share)} lies between 0 and 1, and {bound} is {gate[bound]:g}"
            yield Disagreement(
                ("gates", key, bound), found, remedy, ((("gates", key, "metric"), "the metric"),)
            )


def waiver_holds(specs: Specs) -> Iterator[Disagreement]:
    """A gate whose waiver has ended fails again."""
    for key, gate in gates(specs):
        until = gate["waiver"] and gate["waiver"]["until"]
        if until and datetime.date.fromisoformat(until) < datetime.date.today():
            remedy = "remove it, or have it signed off anew"
            yield Disagreement(
                ("gates", key, "waiver", "until"), f"its waiver ended on {until}", remedy
            )
