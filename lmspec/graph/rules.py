"""rules: what no artifact can know by itself: disagreements between artifacts, found before any compute."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from lmspec.specs.base import Artifact, Ref
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.model import ModelSpec
from lmspec.specs.quantized import QuantizedSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.specs.speed import SpeedSpec
from lmspec.specs.splits import SplitsSpec
from lmspec.specs.student import StudentSpec
from lmspec.specs.updated import UpdatedSpec

Specs = Mapping[str, Artifact]


@dataclass(frozen=True)
class Disagreement:
    """steps: path of the field in params.yaml; found: what disagrees; remedy: what to do."""

    steps: tuple[str | int, ...]
    found: str
    remedy: str


Rule = Callable[[str, Artifact, Specs], Iterator[Disagreement]]


def check(specs: Specs) -> Iterator[Disagreement]:
    """Every rule on every artifact. The references must lead somewhere and in no circle."""
    for name, spec in specs.items():
        for rule in RULES:
            yield from rule(name, spec, specs)


def bundle_shows_its_own_scores(name: str, spec: Artifact, specs: Specs) -> Iterator[Disagreement]:
    """A card with the scores of another graph would be a lie."""
    if isinstance(spec, BundleSpec):
        scores = specs[spec.scores]
        if isinstance(scores, ScoresSpec) and scores.of != spec.of:
            found = f"{spec.scores} scores {scores.of}, and the bundle holds {spec.of}"
            yield Disagreement((*_at(name), "scores"), found, f"name scores of {spec.of}")


def teacher_is_a_transformer(name: str, spec: Artifact, specs: Specs) -> Iterator[Disagreement]:
    """A student starts from its teacher's layers."""
    if isinstance(spec, StudentSpec):
        first = _origin(specs[spec.teacher], specs)
        if isinstance(first, ModelSpec) and first.architecture.kind != "transformer":
            found = f"{spec.teacher} is of kind {first.architecture.kind}"
            yield Disagreement((*_at(name), "teacher"), found, "a teacher is a transformer")


def sides_are_not_empty(name: str, spec: Artifact, specs: Specs) -> Iterator[Disagreement]:
    """What trains needs a training and a dev side; what is scored or timed, a test side."""
    for path, ref, sides in _sides(spec):
        splits = specs[ref]
        for side in sides:
            if isinstance(splits, SplitsSpec) and getattr(splits, side) == 0:
                remedy = f"give `{side}` of {ref} a fraction above 0"
                yield Disagreement((*_at(name), *path), f"the {side} side of {ref} is empty", remedy)


def labels_agree(name: str, spec: Artifact, specs: Specs) -> Iterator[Disagreement]:
    """A model and whatever it is trained, checked or scored on have the same labels in the same order."""
    own = None if isinstance(spec, ModelSpec) else _labels(spec, specs)
    for path, ref, _ in _sides(spec):
        there = _labels(specs[ref], specs)
        if own is not None and there != own:
            found = f"the labels of {ref} are {list(there or ())}, and those of {name} are {list(own)}"
            yield Disagreement((*_at(name), *path), found, "give both corpora the same `labels`, in the same order")


RULES: tuple[Rule, ...] = (bundle_shows_its_own_scores, teacher_is_a_transformer, sides_are_not_empty, labels_agree)


def _at(name: str) -> tuple[str, str]:
    noun, _, key = name.partition(".")
    return noun, key


def _sides(spec: Artifact) -> Iterator[tuple[tuple[str | int, ...], Ref, tuple[str, ...]]]:
    """(path of the field, splits, sides that are read) of each splits that an artifact reads."""
    if isinstance(spec, ModelSpec | StudentSpec | UpdatedSpec):
        yield ("on",), spec.on, ("train", "dev")
    if isinstance(spec, UpdatedSpec):
        yield from ((("replay", i, "of"), replay.of, ("train", "dev")) for i, replay in enumerate(spec.replay))
    if isinstance(spec, QuantizedSpec):
        yield ("calibrate",), spec.calibrate, ("dev",)
    if isinstance(spec, ScoresSpec):
        yield from ((("on", i), ref, ("test",)) for i, ref in enumerate(spec.on))
    if isinstance(spec, SpeedSpec):
        yield ("on",), spec.on, ("test",)


def _origin(spec: Artifact, specs: Specs) -> Artifact:
    """The model that a chain of students, updates and graphs began with."""
    before = spec.reads_like()
    while before is not None:
        spec = specs[before]
        before = spec.reads_like()
    return spec


def _labels(spec: Artifact, specs: Specs) -> tuple[str, ...] | None:
    """Labels of an artifact that has some: of its corpus, over however many steps."""
    if isinstance(spec, CorpusSpec):
        return spec.labels
    if isinstance(spec, SplitsSpec | ScoresSpec | QuantizedSpec | SpeedSpec):
        return _labels(specs[spec.of], specs)
    if isinstance(spec, ModelSpec):
        return _labels(specs[spec.on], specs)
    before = spec.reads_like()
    return _labels(specs[before], specs) if before else None
