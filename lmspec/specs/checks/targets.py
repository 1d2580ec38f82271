"""targets checks: which graphs run where, within one bundle."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated

BROWSER = "browser"


def name_of(target: Mapping[str, Any]) -> str:
    """`cpu-vnni`, `cpu`, `cuda`, `browser`: by which it is chosen."""
    instructions = target.get("instructions", "any")
    return f"{target['kind']}" if instructions == "any" else f"{target['kind']}-{instructions}"


def targets_are_of_labels(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A model that writes has one graph, for processors."""
    if bundle.get("targets") and bundle.get("generation") is not None:
        found = "only a model that tells labels apart has targets"
        yield Disagreement(("targets",), found, "remove them")


def each_target_once(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A target is chosen by its name."""
    names = [name_of(target) for target in bundle.get("targets") or ()]
    for i, first, name in repeated(names):
        others = ((("targets", first), "the first"),)
        yield Disagreement(("targets", i), f"{name} is there twice", "remove one", others)


def own_graph_is_a_target(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Where targets are listed no other graph runs, and the card has the scores of `of`."""
    targets = [t for t in bundle.get("targets") or () if t["kind"] != BROWSER]
    if targets and bundle["of"] not in [target["of"] for target in targets]:
        found = f"no target runs {bundle['of']}, whose scores the card has"
        remedy = "add one, such as `{kind: cpu, instructions: any, of: ...}`, or name another `of`"
        yield Disagreement(("of",), found, remedy, ((("targets",), "the targets"),))


def each_target_is_reached(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A machine runs the first target that it can, so the more demanding ones come first."""
    targets = bundle.get("targets") or ()
    for i, target in enumerate(targets):
        for first, other in enumerate(targets[:i]):
            if other["kind"] == "cpu" and _demands(other) < _demands(target):
                found = f"{name_of(target)} is never chosen: what runs it runs {name_of(other)}"
                others = ((("targets", first), "which comes first"),)
                yield Disagreement(("targets", i), found, "move it up", others)
                break


def _demands(target: Mapping[str, Any]) -> int:
    """What runs a target also runs those for processors of a lower number; 0: is never chosen."""
    if target["kind"] == BROWSER:
        return 0
    # a machine with a card may lack AVX2
    return {"any": 0, "cuda": 1, "avx2": 2, "vnni": 3}[target.get("instructions", target["kind"])]


def own_scores_are_the_bundles(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """One graph has one row of scores in the card."""
    for i, target in enumerate(bundle.get("targets") or ()):
        scores = target.get("scores")
        if target["of"] == bundle["of"] and scores not in (None, bundle["scores"]):
            found = f"the scores of {bundle['of']} are {bundle['scores']} in this bundle"
            others = ((("scores",), "those of the bundle"),)
            yield Disagreement(("targets", i, "scores"), found, "remove them here", others)


CHECKS = (
    targets_are_of_labels,
    each_target_once,
    own_graph_is_a_target,
    each_target_is_reached,
    own_scores_are_the_bundles,
)
