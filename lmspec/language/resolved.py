"""resolved: the sound artifacts of a params.yaml, and what they are made from, step by step."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.language import nouns, on_disk
from lmspec.language.nouns import Name
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName

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

    @property
    def owner(self) -> ArtifactName:
        """The artifact that has the field."""
        return ArtifactName(str(self.steps[0]), str(self.steps[1]))


@dataclass(frozen=True)
class Specs:
    """The artifacts that are sound and made from sound ones only.

    values  params.yaml
    names   of the sound artifacts, in the order of the file
    gates   names of the sound gates, in the order of the file
    edges   artifact -> its references, of all artifacts
    root    folder of params.yaml
    """

    values: Values
    names: tuple[ArtifactName, ...]
    gates: tuple[str, ...]
    edges: Mapping[ArtifactName, Sequence[Reference]]
    root: Path

    def __getitem__(self, name: Name) -> Values:
        noun, own = ArtifactName.parse(str(name))
        values: Values = self.values[noun][own]
        return values

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

    def reads(self, name: ArtifactName) -> Iterator[Reference]:
        """The references of an artifact that read a split."""
        return (reference for reference in self.edges[name] if reference.reads)

    @functools.cached_property
    def used(self) -> frozenset[str]:
        """Names that an artifact refers to."""
        return frozenset(
            reference.target for references in self.edges.values() for reference in references
        )


def learned_from(specs: Specs, name: Name) -> Iterator[tuple[Steps, str, str]]:
    """(field, splits, split) that an artifact and its line were trained or calibrated on."""
    for member in specs.line(name):
        for reference in specs.reads(member):
            for split in reference.reads:
                if split != "test":
                    yield reference.steps, reference.target, split


def shared(specs: Specs, tested: str, learned: str, split: str) -> str | None:
    """Why test rows of one splits artifact are in a split of another; None if not, or not known.

    It is not known before both are built.
    """
    if specs[tested] == specs[learned]:
        return None  # the same cut under two names
    corpus = specs[tested]["of"]
    if corpus == specs[learned]["of"]:
        return (
            f"{tested} and {learned} cut {corpus} differently:"
            f" test rows of one are {split} rows of the other"
        )
    test, seen = (
        on_disk.ids(specs.root / ArtifactName.parse(splits).folder, part)
        for splits, part in ((tested, "test"), (learned, split))
    )
    common = len(test & seen)
    if common and all(_is_built(specs, splits) for splits in (tested, learned)):
        rows = f"{common} of its {len(test)} test rows"
        return f"{tested} shares {rows} with the {split} split of {learned}"
    return None


def _is_built(specs: Specs, splits: str) -> bool:
    """Whether the splits on disk, and their corpus, are those that params.yaml describes."""
    return all(
        on_disk.recorded(specs.root, ArtifactName.parse(name).stage).get(name) == specs[name]
        for name in (splits, specs[splits]["of"])
    )


def config(specs: Specs, model: Values) -> Values:
    """The configuration of a transformer's weights; empty if they are not on disk."""
    if model["architecture"]["kind"] != "transformer":
        return {}
    name = model["architecture"]["weights"]
    source = specs[name]
    folder = source["path"] if source["kind"] == "file" else ArtifactName.parse(name).folder
    return on_disk.config(specs.root / folder)


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
    if architecture["kind"] == "cnn":
        return 0, ((*at, "kind"), f"the kind of {origin}")
    return on_disk.depth(config(specs, model)), ((*at, "weights"), "its weights")
