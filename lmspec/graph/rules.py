"""rules: what no artifact can know by itself: disagreements between artifacts, found before any compute.

A rule is one function: it looks at the artifacts that are sound so far and yields what disagrees. Its name, with '-', is
the name of the rule in every output; its docstring says why. docs/rules.md lists them all.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec.graph import headers, measured
from lmspec.specs.disagreement import Disagreement, Steps

Values = Mapping[str, Any]
# the field that names what an artifact continues, shrinks, exports, quantizes, scores or times
ORIGIN = {"student": "teacher", "updated": "of", "exported": "of", "quantized": "of", "scores": "of", "speed": "of"}
ENDS = ("scores", "speed", "bundle")  # what people look at; everything else is made for something


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


Rule = Callable[[Specs], Iterator[Disagreement]]


def name_of(rule: Rule) -> str:
    """`bundle-shows-its-own-scores`."""
    return rule.__name__.replace("_", "-")


def file_sources_exist(specs: Specs) -> Iterator[Disagreement]:
    """A file that is not there, and that DVC does not bring either, cannot be read."""
    for name, source in specs.of("sources"):
        if source["kind"] == "file":
            path = Path(source["path"])
            tracked = any(_is_there(specs.root / f"{p}.dvc") for p in (path, *path.parents) if p.name)
            if not _is_there(specs.root / path) and not tracked:
                yield Disagreement(
                    (*_at(name), "path"), f"there is no file or folder {path}", "correct the path, or add the file"
                )


def length_fits_positions(specs: Specs) -> Iterator[Disagreement]:
    """A pretrained model has a vector for each position, and no more."""
    for name, model in specs.of("model"):
        config = _config(specs, model)
        positions = headers.positions(config) if config else None
        length = model["architecture"]["max_length"]
        if positions is not None and length > positions:
            found = f"{length} is more than the {positions} positions of {model['architecture']['weights']}"
            yield Disagreement((*_at(name), "architecture", "max_length"), found, "lower it", _weights(name, model))


def teacher_is_a_transformer(specs: Specs) -> Iterator[Disagreement]:
    """A student starts from its teacher's layers."""
    for name, student in specs.of("student"):
        origin, model = specs.first(name)
        if model["architecture"]["kind"] != "transformer":
            found = f"{student['teacher']} is of kind {model['architecture']['kind']}"
            others = (((*_at(origin), "architecture", "kind"), f"the kind of {origin}"),)
            yield Disagreement((*_at(name), "teacher"), found, "a teacher is a transformer", others)


def layers_are_the_teachers(specs: Specs) -> Iterator[Disagreement]:
    """A student starts from layers that its teacher has."""
    for name, student in specs.of("student"):
        if specs.first(name)[1]["architecture"]["kind"] != "transformer":
            continue  # that is what teacher_is_a_transformer says
        depth, others = _depth(specs, student["teacher"])
        for i, layer in enumerate(student["layers"]):
            if depth is not None and layer >= depth:
                found = f"{student['teacher']} has no layer {layer}: its last is {depth - 1}"
                yield Disagreement((*_at(name), "layers", i), found, "layers are counted from 0", others)
                break


def layers_to_freeze_exist(specs: Specs) -> Iterator[Disagreement]:
    """No more layers are frozen than the model has."""
    for name, spec in specs.of("model", "updated"):
        inner = spec["architecture"] if name.startswith("model.") else spec
        frozen = inner.get("frozen_layers", 0)
        depth, others = _depth(specs, name)
        if depth is not None and frozen > depth:
            steps = (*_at(name), *(("architecture",) if inner is not spec else ()), "frozen_layers")
            kind = specs.first(name)[1]["architecture"]["kind"]
            found = f"{frozen} is more than the {depth} layer{'' if depth == 1 else 's'} of the {kind}"
            remedy = "set it to 0: its convolutions stand side by side" if kind == "cnn" else "lower it"
            yield Disagreement(steps, found, remedy, others)


def sides_are_not_empty(specs: Specs) -> Iterator[Disagreement]:
    """What trains needs a training and a dev side; what calibrates, a dev side; what is scored or timed, a test side."""
    for name in specs.names:
        for steps, splits, sides in _sides(name, specs[name]):
            for side in sides:
                if specs[splits][side] == 0:
                    others = (((*_at(splits), side), f"the {side} side of {splits}"),)
                    remedy = f"give `{side}` a fraction above 0, or name other splits"
                    yield Disagreement((*_at(name), *steps), f"the {side} side of {splits} is empty", remedy, others)


def labels_agree(specs: Specs) -> Iterator[Disagreement]:
    """A model and whatever it is trained, checked or scored on have the same labels in the same order.

    Said once for each pair of corpora, where they first meet.
    """
    told = set()
    for name in specs.names:
        if name.startswith("model."):
            continue
        for steps, splits, _ in _sides(name, specs[name]):
            own, there = specs[specs.first(name)[1]["on"]]["of"], specs[splits]["of"]
            mine, other = specs[own]["labels"], specs[there]["labels"]
            if mine == other or (own, there) in told:
                continue
            told.add((own, there))
            new = [label for label in other if label not in mine]
            found = f"the labels of {there} are not those of {own}, which {specs.first(name)[0]} was trained on"
            remedy = "give both the same labels in the same order"
            if new and name.startswith("updated."):
                remedy = f"an update keeps its model's labels: {', '.join(new)} would need a new model"
            others = (((*_at(there), "labels"), f"labels of {there}"), ((*_at(own), "labels"), f"labels of {own}"))
            yield Disagreement((*_at(name), *steps), found, remedy, others)


def replay_is_what_it_learned_from(specs: Specs) -> Iterator[Disagreement]:
    """Replay keeps what a model knows: rows that it was trained on."""
    for name, updated in specs.of("updated"):
        learned = {splits: place for place, splits, side in _seen(specs, updated["of"]) if side == "train"}
        for i, replay in enumerate(updated["replay"]):
            if replay["of"] not in learned:
                found = f"{updated['of']} was not trained on {replay['of']}"
                remedy = f"it was trained on {' and '.join(learned)}"
                others = tuple((place, f"it was trained on {splits}") for splits, place in learned.items())
                yield Disagreement((*_at(name), "replay", i, "of"), found, remedy, others)


def test_rows_were_not_seen(specs: Specs) -> Iterator[Disagreement]:
    """No row that is scored was trained, tuned, calibrated or stopped on.

    Two different cuts of one corpus share rows for certain; for other splits that are built as the spec says, their ids tell.
    """
    for name, scores in specs.of("scores"):
        for i, splits in enumerate(scores["on"]):
            for place, seen, side in dict.fromkeys(_seen(specs, scores["of"])):
                if seen != splits and specs[seen][side] and (found := _shared(specs, splits, seen, side)):
                    others = ((place, f"{seen} is used here, its {side} side"),)
                    yield Disagreement((*_at(name), "on", i), found, f"score it on {seen}, or cut the corpus once", others)
                    break


def scheme_suits_architecture(specs: Specs) -> Iterator[Disagreement]:
    """onnxruntime has int8 kernels for some operations alone; the others stay as they are, or get slower."""
    for name, quantized in specs.of("quantized"):
        origin, model = specs.first(name)
        kind, scheme = model["architecture"]["kind"], quantized["scheme"]["kind"]
        cell = model["architecture"].get("cell")
        place: Steps = (*_at(origin), "architecture", "cell" if cell else "kind")
        others = ((place, f"the architecture of {origin}"),)
        steps = (*_at(name), "scheme", "kind")
        if kind == "cnn" and scheme == "dynamic":
            yield Disagreement(steps, "an int8 convolution with dynamic scales is slower than fp32", "static suits a cnn", others)
        elif cell == "gru":
            remedy = "leave it in fp32, or take an lstm"
            yield Disagreement(steps, "onnxruntime has no int8 kernel for a GRU", remedy, others)
        elif cell == "lstm" and scheme == "static":
            found = "onnxruntime's int8 kernel for an LSTM takes dynamic scales alone"
            yield Disagreement(steps, found, "dynamic suits an lstm", others)


def bundle_shows_its_own_scores(specs: Specs) -> Iterator[Disagreement]:
    """A card with the scores of another graph would be a lie."""
    for name, bundle in specs.of("bundle"):
        scored = specs[bundle["scores"]]["of"]
        if scored != bundle["of"]:
            found = f"{bundle['scores']} scores {scored}, and the bundle holds {bundle['of']}"
            others = (((*_at(bundle["scores"]), "of"), "what they score"),)
            yield Disagreement((*_at(name), "scores"), found, f"name scores of {bundle['of']}", others)


def gate_has_a_metric(specs: Specs) -> Iterator[Disagreement]:
    """A gate on what nobody computes would never close."""
    for key, gate in _gates(specs):
        artifact, path = measured.split(gate["metric"])
        steps = ("gates", key, "metric")
        if artifact not in specs.edges:
            near = measured.nearest(artifact, specs.edges)
            yield Disagreement(steps, f"there is no artifact '{artifact}'", f"did you mean '{near}'?" if near else "")
        elif artifact in specs.names and not measured.computes(specs, artifact, path):
            names = measured.names(specs, artifact)
            near = measured.nearest(path, names)
            remedy = f"did you mean '{artifact}.{near}'?" if near else f"it computes {measured.few(names)}"
            others = ((_at(artifact), f"what {artifact} is"),)
            yield Disagreement(steps, f"{artifact} computes no '{path}'", remedy, others)


def artifact_is_used(specs: Specs) -> Iterator[Disagreement]:
    """What nothing is made from, scores or bundles is built for nobody."""
    for name in specs.names:
        if name.partition(".")[0] not in ENDS and name not in specs.used:
            remedy = "score it, use it or remove it" if name.partition(".")[0] in ("model", *ORIGIN) else "use it or remove it"
            yield Disagreement(_at(name), "nothing refers to it", remedy)


def scores_are_read(specs: Specs) -> Iterator[Disagreement]:
    """Scores that no gate and no bundle reads can fall without a word."""
    gated = {measured.split(gate["metric"])[0] for _, gate in _gates(specs)}
    for name, _ in specs.of("scores"):
        if name not in specs.used and name not in gated:
            yield Disagreement(_at(name), "no gate and no bundle reads these scores", f"add a gate on {name}, or remove them")


RULES: tuple[Rule, ...] = (
    file_sources_exist,
    length_fits_positions,
    teacher_is_a_transformer,
    layers_are_the_teachers,
    layers_to_freeze_exist,
    sides_are_not_empty,
    labels_agree,
    replay_is_what_it_learned_from,
    test_rows_were_not_seen,
    scheme_suits_architecture,
    bundle_shows_its_own_scores,
    gate_has_a_metric,
)
WARNINGS: tuple[Rule, ...] = (artifact_is_used, scores_are_read)


def _gates(specs: Specs) -> Iterator[tuple[str, Values]]:
    yield from ((key, specs.values["gates"][key]) for key in specs.gates)


def _sides(name: str, spec: Values) -> Iterator[tuple[Steps, str, tuple[str, ...]]]:
    """(path of the field, splits, sides that are read) of each splits that an artifact reads."""
    noun = name.partition(".")[0]
    if noun in ("model", "student", "updated"):
        yield ("on",), spec["on"], ("train", "dev")
    if noun == "updated":
        yield from ((("replay", i, "of"), replay["of"], ("train", "dev")) for i, replay in enumerate(spec["replay"]))
    if noun == "quantized":
        yield ("calibrate",), spec["calibrate"], ("dev",)
    if noun == "scores":
        yield from ((("on", i), splits, ("test",)) for i, splits in enumerate(spec["on"]))
    if noun == "speed":
        yield ("on",), spec["on"], ("test",)


def _seen(specs: Specs, name: str) -> Iterator[tuple[Steps, str, str]]:
    """(place, splits, side) of all that an artifact and what it is made from were trained, stopped or calibrated on."""
    for member in specs.line(name):
        for steps, splits, sides in _sides(member, specs[member]):
            yield from (((*_at(member), *steps), splits, side) for side in sides if side != "test")


def _shared(specs: Specs, splits: str, seen: str, side: str) -> str | None:
    """Why test rows of one splits are among the rows of a side of another; None if they are not, or nobody can tell yet."""
    if specs[splits] == specs[seen]:
        return None  # the same cut under two names
    if specs[splits]["of"] == specs[seen]["of"]:
        return f"{splits} and {seen} cut {specs[splits]['of']} differently: test rows of the one are {side} rows of the other"
    test, there = (headers.ids(specs.root.joinpath("data", *_at(n)), s) for n, s in ((splits, "test"), (seen, side)))
    both = len(test & there)
    if both and all(_built_as_said(specs, name) for name in (splits, seen)):
        return f"{splits} shares {both} of its {len(test)} test rows with the {side} side of {seen}"
    return None


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def _at(name: str) -> tuple[str, str]:
    """Path of an artifact in params.yaml."""
    noun, _, key = name.partition(".")
    return noun, key


def _built_as_said(specs: Specs, splits: str) -> bool:
    """Are the splits on disk, and its corpus, those that params.yaml describes now?"""
    return all(
        headers.recorded(specs.root, name.replace(".", "-", 1)).get(name) == specs[name] for name in (splits, specs[splits]["of"])
    )


def _config(specs: Specs, model: Values) -> Mapping[str, Any] | None:
    """The configuration of a transformer's weights, if they are on disk."""
    if model["architecture"]["kind"] != "transformer":
        return None
    weights = model["architecture"]["weights"]
    source = specs[weights]
    return headers.config(specs.root / source["path"] if source["kind"] == "file" else specs.root.joinpath("data", *_at(weights)))


def _depth(specs: Specs, name: str) -> tuple[int | None, tuple[tuple[Steps, str], ...]]:
    """(number of layers above each other, where that is written); None if nobody can tell yet."""
    for member in specs.line(name):
        if member.startswith("student."):
            return len(specs[member]["layers"]), (((*_at(member), "layers"), f"the layers of {member}"),)
    origin, model = specs.first(name)
    architecture = model["architecture"]
    if architecture["kind"] == "rnn":
        return architecture["layers"], (((*_at(origin), "architecture", "layers"), f"the layers of {origin}"),)
    if architecture["kind"] == "cnn":
        return 0, (((*_at(origin), "architecture", "kind"), f"the kind of {origin}"),)
    config = _config(specs, model)
    return (headers.depth(config) if config else None), _weights(origin, model)


def _weights(name: str, model: Values) -> tuple[tuple[Steps, str], ...]:
    return (((*_at(name), "architecture", "weights"), "its weights"),)
