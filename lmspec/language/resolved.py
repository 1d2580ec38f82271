"""resolved: the artifacts of a params.yaml that are sound, and what they are made from, over however many steps."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.language import on_disk
from lmspec.specs.disagreement import Steps

Values = Mapping[str, Any]
# the field that names what an artifact continues, shrinks, exports, quantizes, scores or times
ORIGIN = {
    "student": "teacher",
    "updated": "of",
    "exported": "of",
    "quantized": "of",
    "scores": "of",
    "speed": "of",
}


@dataclass(frozen=True)
class Specs:
    """The artifacts that are sound, and made from sound ones alone.

    values  params.yaml
    names   of the sound artifacts, in the order of the file
    gates   of the sound gates, in the order of the file
    edges   name -> names that it refers to, of all artifacts
    root    folder of params.yaml
    """

    values: Values
    names: tuple[str, ...]
    gates: tuple[str, ...]
    edges: Mapping[str, list[str]]
    root: Path

    def __getitem__(self, name: str) -> Values:
        noun, _, key = name.partition(".")
        values: Values = self.values[noun][key]
        return values

    def of(self, *nouns: str) -> Iterator[tuple[str, Values]]:
        """(name, values) of every sound artifact of those nouns."""
        yield from ((name, self[name]) for name in self.names if name.partition(".")[0] in nouns)

    def line(self, name: str) -> Iterator[str]:
        """The artifact, what it is made from, and so on to the model that it began with."""
        yield name
        while (field := ORIGIN.get(name.partition(".")[0])) is not None:
            name = self[name][field]
            yield name

    def first(self, name: str) -> tuple[str, Values]:
        """(name, values) of the model that a line of students, updates and graphs began with."""
        *_, model = self.line(name)
        return model, self[model]

    @functools.cached_property
    def used(self) -> frozenset[str]:
        """Names that some artifact refers to."""
        return frozenset(target for targets in self.edges.values() for target in targets)


def sides(name: str, spec: Values) -> Iterator[tuple[Steps, str, tuple[str, ...]]]:
    """(path of the field, splits, sides that are read) of each splits that an artifact reads."""
    noun = name.partition(".")[0]
    if noun in ("model", "student", "updated"):
        yield ("on",), spec["on"], ("train", "dev")
    if noun == "updated":
        yield from (
            (("replay", i, "of"), replay["of"], ("train", "dev"))
            for i, replay in enumerate(spec["replay"])
        )
    if noun == "quantized":
        yield ("calibrate",), spec["calibrate"], ("dev",)
    if noun == "scores":
        yield from ((("on", i), splits, ("test",)) for i, splits in enumerate(spec["on"]))
    if noun == "speed":
        yield ("on",), spec["on"], ("test",)


def seen(specs: Specs, name: str) -> Iterator[tuple[Steps, str, str]]:
    """(place, splits, split) of all that an artifact and what it is made from were trained, stopped or calibrated on."""
    for member in specs.line(name):
        for steps, splits, read in sides(member, specs[member]):
            yield from (((*at(member), *steps), splits, split) for split in read if split != "test")


def shared(specs: Specs, splits: str, seen: str, split: str) -> str | None:
    """Why test rows of one splits are among the rows of a split of another; None if they are not, or nobody can tell yet."""
    if specs[splits] == specs[seen]:
        return None  # the same cut under two names
    if specs[splits]["of"] == specs[seen]["of"]:
        return f"{splits} and {seen} cut {specs[splits]['of']} differently: test rows of the one are {split} rows of the other"
    test, there = (
        on_disk.ids(specs.root.joinpath("data", *at(n)), s)
        for n, s in ((splits, "test"), (seen, split))
    )
    both = len(test & there)
    if both and all(_built_as_said(specs, name) for name in (splits, seen)):
        return (
            f"{splits} shares {both} of its {len(test)} test rows with the {split} split of {seen}"
        )
    return None


def at(name: str) -> tuple[str, str]:
    """Path of an artifact in params.yaml."""
    noun, _, key = name.partition(".")
    return noun, key


def _built_as_said(specs: Specs, splits: str) -> bool:
    """Are the splits on disk, and its corpus, those that params.yaml describes now?"""
    return all(
        on_disk.recorded(specs.root, name.replace(".", "-", 1)).get(name) == specs[name]
        for name in (splits, specs[splits]["of"])
    )


def config(specs: Specs, model: Values) -> Mapping[str, Any] | None:
    """The configuration of a transformer's weights, if they are on disk."""
    if model["architecture"]["kind"] != "transformer":
        return None
    name = model["architecture"]["weights"]
    source = specs[name]
    return on_disk.config(
        specs.root / source["path"]
        if source["kind"] == "file"
        else specs.root.joinpath("data", *at(name))
    )


def depth(specs: Specs, name: str) -> tuple[int | None, tuple[tuple[Steps, str], ...]]:
    """(number of layers above each other, where that is written); None if nobody can tell yet."""
    for member in specs.line(name):
        if member.startswith("student."):
            return len(specs[member]["layers"]), (
                ((*at(member), "layers"), f"the layers of {member}"),
            )
    origin, model = specs.first(name)
    architecture = model["architecture"]
    if architecture["kind"] == "rnn":
        return architecture["layers"], (
            ((*at(origin), "architecture", "layers"), f"the layers of {origin}"),
        )
    if architecture["kind"] == "cnn":
        return 0, (((*at(origin), "architecture", "kind"), f"the kind of {origin}"),)
    found = config(specs, model)
    return (on_disk.depth(found) if found else None), weights(origin, model)


def weights(name: str, model: Values) -> tuple[tuple[Steps, str], ...]:
    """Where the weights of a transformer are named, as another place of a disagreement."""
    return (((*at(name), "architecture", "weights"), "its weights"),)
