"""sweep checks: ranges that hold numbers, rungs in their order, trials that differ."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from lmspec.specs.checks.model import FIXED_FEATURES
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.swept import UNUSED


def low_is_below_high(span: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A range holds more than one number."""
    low, high = span["low"], span["high"]
    if low >= high:
        found = f"low is {low}, and high is {high}: there is nothing between"
        yield Disagreement(("low",), found, "exchange or change them", ((("high",), "high"),))


def logarithms_exist(span: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Zero and negative numbers have no order of magnitude."""
    if span["log"] and span["low"] <= 0:
        found = f"low is {span['low']}, which has no logarithm"
        yield Disagreement(("low",), found, "raise it above 0, or write `log: false`")


def something_is_searched(sweep: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Without a field there is one trial."""
    if not sweep["over"]:
        found = "there is nothing to search"
        yield Disagreement(("over",), found, "name a field, with its values or a range")


def rungs_ascend(sweep: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each rung is later than the one before."""
    for i, (before, after) in enumerate(itertools.pairwise(sweep["rungs"]), start=1):
        if after <= before:
            found = f"rung {after:g} follows rung {before:g}"
            others = ((("rungs", i - 1), "the one before"),)
            yield Disagreement(("rungs", i), found, "list them in ascending order", others)


def rungs_compare_equal_trainings(sweep: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Trials of different epochs are at different places of their schedules."""
    if sweep["rungs"] and "training.epochs" in sweep["over"]:
        found = "trials of different epochs cannot be compared at a rung"
        others = ((("over", "training.epochs"), "the epochs"),)
        yield Disagreement(("rungs",), found, "write [], or sweep no epochs", others)


def trials_differ(sweep: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Of lists alone there are only so many combinations."""
    lists = [values for values in sweep["over"].values() if not isinstance(values, Mapping)]
    most = math.prod(map(len, lists))
    if lists and len(lists) == len(sweep["over"]) and sweep["trials"] > most:
        found = f"there are {most} combinations, and {sweep['trials']} trials"
        yield Disagreement(("trials",), found, f"lower it to {most}, or add values")


def rungs_are_reached(sweep: Mapping[str, Any], model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A rung is an epoch of a training that goes on beyond it.

    Other places are those of the model.
    """
    kind, rungs = model["architecture"]["kind"], sweep["rungs"]
    if rungs and kind in FIXED_FEATURES:
        found = f"a model of kind {kind} is fitted at once: it has no epochs"
        others = ((("architecture", "kind"), "the kind"),)
        yield Disagreement(("rungs",), found, "write []", others)
    elif rungs and rungs[-1] >= (epochs := model["training"]["epochs"]):
        found = f"a rung after {rungs[-1]:g} epochs is not before the end, after {epochs}"
        others = ((("training", "epochs"), "the epochs"),)
        hint = "lower it, or raise the model's epochs"
        yield Disagreement(("rungs", len(rungs) - 1), found, hint, others)


def no_model_is_private(model: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Each trial on the same rows spends epsilon again, which nothing counts."""
    if model["training"].get("private") is not None:
        found = "each trial of a private model would spend its epsilon again"
        others = ((("training", "private"), "the guarantee"),)
        remedy = "sweep a model without `private`, on rows of others"
        yield Disagreement(("of",), found, remedy, others)


def fields_take_values(
    sweep: Mapping[str, Any], model: Mapping[str, Any], references: Collection[str]
) -> Iterator[Disagreement]:
    """A sweep gives values to fields of its model that are no reference, kind or mapping.

    references  paths of those of the model
    Whether the model has a field of that name, and takes its values, its class says.
    """
    for path, values in sweep["over"].items():
        steps = ("over", path)
        if path in UNUSED:
            yield Disagreement(steps, UNUSED[path], "remove it")
            continue
        is_mapping = not isinstance(values, Mapping) and any(
            isinstance(value, Mapping) for value in values
        )
        is_fixed = path in references or path.rpartition(".")[2] == "kind" or is_mapping
        if is_fixed or not _is_value(path, model):
            found = f"the model has no field '{path}' that takes values"
            yield Disagreement(steps, found, "write a model and a sweep for each, or remove it")


def _is_value(path: str, model: Mapping[str, Any]) -> bool:
    """Is it, in the model's section, a value, or a field that is left out?"""
    *parents, last = path.split(".")
    owner: Any = model
    for name in parents:
        owner = owner.get(name)
        if not isinstance(owner, Mapping):
            return False
    return not isinstance(owner.get(last), Mapping)
