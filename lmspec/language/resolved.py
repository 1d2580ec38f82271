"""resolved: the sound artifacts of a params.yaml, and what they are made from, step by step."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.language import nouns, on_disk
from lmspec.language.nouns import Name
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import PARTS, ArtifactName

GRAPHS = ("exported", "quantized", "calibrated")  # nouns of what onnxruntime computes
Values = Mapping[str, Any]
Disagreements = Iterator[Disagreement]
Place = tuple[Steps, str]  # another place of a disagreement, and what is there


@dataclass(frozen=True)
class Reference:
    """A field that names another artifact: an edge of the graph, if that artifact exists.

    steps  path of the field, the owner's name first
    nouns  what it may name
    reads  which splits are read of the splits artifact that it names
    """

    steps: Steps
    target: str
    nouns: tuple[str, ...]
    reads: tuple[str, ...] = ()
    section: bool = False

    @property
    def owner(self) -> ArtifactName:
        """The artifact that has the field."""
        return ArtifactName(str(self.steps[0]), str(self.steps[1]))


@dataclass(frozen=True)
class Specs:
    """The artifacts that are sound and made from sound ones only.

    values  params.yaml, with blocks in place of the references to them
    written params.yaml as it is
    names   of the sound artifacts, in the order of the file
    gates   names of the sound gates, in the order of the file
    edges   artifact -> its references, of all artifacts
    root    folder of params.yaml
    """

    values: Values
    written: Values
    names: tuple[ArtifactName, ...]
    gates: tuple[str, ...]
    edges: Mapping[ArtifactName, Sequence[Reference]]
    root: Path

    def __getitem__(self, name: Name) -> Values:
        noun, own = ArtifactName.parse(str(name))
        values: Values = self.values[noun][own]
        return values

    def as_written(self, name: Name) -> Values:
        """An artifact as it is written, with its references to blocks."""
        noun, own = ArtifactName.parse(str(name))
        written: Values = self.written[noun][own]
        return written

    def section(self, name: str) -> Values:
        """`numerics` or `machine` as it is written; empty if it is no mapping."""
        section = self.values.get(name)
        return section if isinstance(section, Mapping) else {}

    def of(self, *nouns: str) -> Iterator[tuple[ArtifactName, Values]]:
        """(name, values) of every sound artifact of those nouns."""
        yield from ((name, self[name]) for name in self.names if name.noun in nouns)

    def line(self, name: Name) -> Iterator[ArtifactName]:
        """The artifact, the one that it continues, and so on back to a model."""
        member = ArtifactName.parse(str(name))
        yield member
        while (field := nouns.of(member.noun).origin) is not None:
            member = ArtifactName.parse(self[member][field])
            yield member

    def first(self, name: Name) -> tuple[ArtifactName, Values]:
        """(name, values) of the model at the end of that line."""
        *_, model = self.line(name)
        return model, self[model]

    def has_model(self, name: ArtifactName) -> bool:
        """Is it a model, or made from one, or its scores: does `first` give one?"""
        return name.noun == "model" or nouns.of(name.noun).origin is not None

    def reads(self, name: ArtifactName) -> Iterator[Reference]:
        """The references of an artifact that read a split, each to the splits that it is of."""
        return (
            dataclasses.replace(reference, target=self.splits_of(reference.target))
            for reference in self.edges[name]
            if reference.reads
        )

    def splits_of(self, name: str) -> str:
        """The splits, or those that an `augmented` artifact is made from."""
        return self[name]["of"] if ArtifactName.parse(name).noun == "augmented" else name

    @functools.cached_property
    def used(self) -> frozenset[str]:
        """Names of artifacts whose output another one reads."""
        return frozenset(
            reference.target
            for references in self.edges.values()
            for reference in references
            if not reference.section
        )


def learned_from(specs: Specs, name: Name) -> Iterator[tuple[Steps, str, str]]:
    """(field, splits, split) that an artifact and its line were trained or calibrated on."""
    for member in specs.line(name):
        for reference in specs.reads(member):
            for split in reference.reads:
                if split != "test":
                    yield reference.steps, reference.target, split


def encoders_of(specs: Specs, name: Name) -> Iterator[str]:
    """The `pretrained` artifacts that an artifact's weights come from, the last one first."""
    for member in specs.line(name):
        for reference in specs.edges[ArtifactName.parse(str(member))]:
            if ArtifactName.parse(reference.target).noun == "pretrained":
                yield reference.target
                yield from encoders_of(specs, reference.target)


def accepted_overlap(scores: Values) -> Sequence[Values]:
    """Overlaps that a scores artifact accepts; none if it does not say."""
    accepted: Sequence[Values] = scores.get("accepted_overlap") or ()
    return accepted


def seen_by(specs: Specs, name: Name) -> dict[str, None]:
    """Corpora and splits that an artifact, or what it was made from, refers to."""
    seen: dict[str, None] = {}
    for reference in specs.edges[ArtifactName.parse(str(name))]:
        is_data = ArtifactName.parse(reference.target).noun in PARTS
        seen |= {reference.target: None} if is_data else seen_by(specs, reference.target)
    return seen


def shared_on_disk(specs: Specs, tested: str, learned: str, split: str) -> tuple[int, int] | None:
    """(shared rows, test rows) of the test split of one splits artifact and a split of another.

    None if they share none, or if one was not built from the present params.yaml.
    """
    test, seen = (
        on_disk.ids(specs.root / ArtifactName.parse(splits).folder, part)
        for splits, part in ((tested, "test"), (learned, split))
    )
    common = sum(name in seen for name in test)
    if not common or not all(_is_built(specs, splits) for splits in (tested, learned)):
        return None
    return common, len(test)


def _is_built(specs: Specs, name: str) -> bool:
    """Whether what is on disk, and what it is made from, was built from the present params.yaml."""
    artifact = ArtifactName.parse(name)
    return on_disk.recorded(specs.root, artifact.stage).get(name) == specs[name] and all(
        _is_built(specs, reference.target) for reference in specs.edges[artifact]
    )


def unsuited_to_writers(
    specs: Specs, noun: str, field: str, kinds: Sequence[str], lacks: str, remedy: str
) -> Disagreements:
    """`field` says what a model that writes is asked: it has one, and models of other kinds none.

    kinds   those that may have it; of these `causal` must
    lacks   what a model of another kind does not do: "writes no answers"
    remedy  what to write where it is missing
    """
    for name, spec in specs.of(noun):
        origin, model = specs.first(name)
        kind, is_there = model["architecture"]["kind"], spec.get(field) is not None
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        if is_there and kind not in kinds:
            found = f"a model of kind {kind} {lacks}"
            yield Disagreement((*name, field), found, "remove it", (place,))
        elif not is_there and kind == "causal":
            found = f"a model of kind {kind} has answers, no labels"
            yield Disagreement(name, found, remedy, (place,))


def has_turns(corpus: Values) -> bool:
    """Are the rows of a corpus conversations?"""
    return any(table.get("turns") for table in corpus["tables"])


def config(specs: Specs, model: Values) -> Values:
    """The configuration of pretrained weights; empty if there are none, or they are not on disk."""
    folder = weights(specs, model)
    return on_disk.config(folder) if folder else {}


def weights(specs: Specs, model: Values) -> Path | None:
    """The folder of a model's pretrained weights, on disk or not yet; None if it has none."""
    name = model["architecture"].get("weights")
    if name is None:
        return None
    while (noun := ArtifactName.parse(name).noun) != "sources":  # it has the shape of its source
        of = specs[name] if noun == "pretrained" else specs[name]["architecture"]
        name = of.get("of" if noun == "pretrained" else "weights")
        if name is None:
            return None
    source = specs[name]
    folder = source["path"] if source["kind"] == "file" else ArtifactName.parse(name).folder
    return specs.root / folder


def depth(specs: Specs, name: Name) -> tuple[int | None, Place]:
    """(number of stacked layers, where that is written); None if it is not known yet."""
    for member in specs.line(name):
        if member.noun == "student":
            place = (*member, "layers"), f"the layers of {member}"
            return len(specs[member]["layers"]), place
    origin, model = specs.first(name)
    architecture = model["architecture"]
    at = (*origin, "architecture")
    if architecture["kind"] == "rnn":
        return architecture["layers"], ((*at, "layers"), f"the layers of {origin}")
    if architecture["kind"] in ("cnn", "nearest"):
        return 0, ((*at, "kind"), f"the kind of {origin}")
    return on_disk.depth(config(specs, model)), ((*at, "weights"), "its weights")
