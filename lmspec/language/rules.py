"""rules: what no artifact can know by itself: disagreements between artifacts, found before any compute.

A rule is one function: it looks at the artifacts that are sound so far and yields what disagrees. Its name, with '-', is
the name of the rule in every output; its docstring says why. docs/rules.md lists them all.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from lmspec.language import gate_rules, metric_names, on_disk, resolved
from lmspec.language.resolved import ORIGIN, Specs, at
from lmspec.specs.disagreement import Disagreement, Steps

ENDS = ("scores", "speed", "bundle")  # what people look at; everything else is made for something
Rule = Callable[[Specs], Iterator[Disagreement]]


def name_of(rule: Rule) -> str:
    """`bundle-shows-its-own-scores`."""
    return rule.__name__.replace("_", "-")


def file_sources_exist(specs: Specs) -> Iterator[Disagreement]:
    """A file that is not there, and that DVC does not bring either, cannot be read."""
    for name, source in specs.of("sources"):
        if source["kind"] == "file":
            path = Path(source["path"])
            tracked = any(
                _is_there(specs.root / f"{p}.dvc") for p in (path, *path.parents) if p.name
            )
            if not _is_there(specs.root / path) and not tracked:
                yield Disagreement(
                    (*at(name), "path"),
                    f"there is no file or folder {path}",
                    "correct the path, or add the file",
                )


def table_is_in_its_source(specs: Specs) -> Iterator[Disagreement]:
    """A file of the repository keeps its own name inside its source."""
    for name, corpus in specs.of("corpus"):
        for i, table in enumerate(corpus["tables"]):
            source = specs[table["of"]]
            path = specs.root / source.get("path", "")
            if source["kind"] == "file" and _is_there(path):
                there = path / table["file"] if path.is_dir() else path.parent / table["file"]
                if not _is_there(there) or (path.is_file() and path.name != table["file"]):
                    found = f"{table['of']} has no file {table['file']}"
                    remedy = (
                        f"it has {path.name}" if path.is_file() else "see what is in its folder"
                    )
                    others = (((*at(table["of"]), "path"), "where it is"),)
                    yield Disagreement((*at(name), "tables", i, "file"), found, remedy, others)


def length_fits_positions(specs: Specs) -> Iterator[Disagreement]:
    """A pretrained model has a vector for each position, and no more."""
    for name, model in specs.of("model"):
        config = resolved.config(specs, model)
        positions = on_disk.positions(config) if config else None
        length = model["architecture"]["max_length"]
        if positions is not None and length > positions:
            found = f"{length} is more than the {positions} positions of {model['architecture']['weights']}"
            yield Disagreement(
                (*at(name), "architecture", "max_length"),
                found,
                "lower it",
                resolved.weights(name, model),
            )


def teacher_is_a_transformer(specs: Specs) -> Iterator[Disagreement]:
    """A student starts from its teacher's layers."""
    for name, student in specs.of("student"):
        origin, model = specs.first(name)
        if model["architecture"]["kind"] != "transformer":
            found = f"{student['teacher']} is of kind {model['architecture']['kind']}"
            others = (((*at(origin), "architecture", "kind"), f"the kind of {origin}"),)
            yield Disagreement((*at(name), "teacher"), found, "a teacher is a transformer", others)


def layers_are_the_teachers(specs: Specs) -> Iterator[Disagreement]:
    """A student starts from layers that its teacher has."""
    for name, student in specs.of("student"):
        if specs.first(name)[1]["architecture"]["kind"] != "transformer":
            continue  # that is what teacher_is_a_transformer says
        depth, others = resolved.depth(specs, student["teacher"])
        for i, layer in enumerate(student["layers"]):
            if depth is not None and layer >= depth:
                found = f"{student['teacher']} has no layer {layer}: its last is {depth - 1}"
                yield Disagreement(
                    (*at(name), "layers", i), found, "layers are counted from 0", others
                )
                break


def layers_to_freeze_exist(specs: Specs) -> Iterator[Disagreement]:
    """No more layers are frozen than the model has."""
    for name, spec in specs.of("model", "updated"):
        inner = spec["architecture"] if name.startswith("model.") else spec
        frozen = inner.get("frozen_layers", 0)
        depth, others = resolved.depth(specs, name)
        if depth is not None and frozen > depth:
            steps = (*at(name), *(("architecture",) if inner is not spec else ()), "frozen_layers")
            kind = specs.first(name)[1]["architecture"]["kind"]
            found = (
                f"{frozen} is more than the {depth} layer{'' if depth == 1 else 's'} of the {kind}"
            )
            remedy = (
                "set it to 0: its convolutions stand side by side" if kind == "cnn" else "lower it"
            )
            yield Disagreement(steps, found, remedy, others)


def sides_are_not_empty(specs: Specs) -> Iterator[Disagreement]:
    """What trains needs a training and a dev split; what calibrates, a dev split; what is scored or timed, a test split."""
    for name in specs.names:
        for steps, splits, sides in resolved.sides(name, specs[name]):
            for split in sides:
                if specs[splits][split] == 0:
                    others = (((*at(splits), split), f"the {split} split of {splits}"),)
                    remedy = f"give `{split}` a fraction above 0, or name other splits"
                    yield Disagreement(
                        (*at(name), *steps),
                        f"the {split} split of {splits} is empty",
                        remedy,
                        others,
                    )


def labels_agree(specs: Specs) -> Iterator[Disagreement]:
    """A model and whatever it is trained, checked or scored on have the same labels in the same order.

    Said once for each pair of corpora, where they first meet.
    """
    told = set()
    for name in specs.names:
        if name.startswith("model."):
            continue
        for steps, splits, _ in resolved.sides(name, specs[name]):
            own, there = specs[specs.first(name)[1]["on"]]["of"], specs[splits]["of"]
            mine, other = specs[own]["labels"], specs[there]["labels"]
            if mine == other or (own, there) in told:
                continue
            told.add((own, there))
            new = [label for label in other if label not in mine]
            found = f"the labels of {there} are not those of {own}, which {specs.first(name)[0]} was trained on"
            remedy = "give both the same labels in the same order"
            if new and name.startswith("updated."):
                remedy = (
                    f"an update keeps its model's labels: {', '.join(new)} would need a new model"
                )
            others = (
                ((*at(there), "labels"), f"labels of {there}"),
                ((*at(own), "labels"), f"labels of {own}"),
            )
            yield Disagreement((*at(name), *steps), found, remedy, others)


def replay_is_what_it_learned_from(specs: Specs) -> Iterator[Disagreement]:
    """Replay keeps what a model knows: rows that it was trained on."""
    for name, updated in specs.of("updated"):
        learned = {
            splits: place
            for place, splits, split in resolved.seen(specs, updated["of"])
            if split == "train"
        }
        for i, replay in enumerate(updated["replay"]):
            if replay["of"] not in learned:
                found = f"{updated['of']} was not trained on {replay['of']}"
                remedy = f"it was trained on {' and '.join(learned)}"
                others = tuple(
                    (place, f"it was trained on {splits}") for splits, place in learned.items()
                )
                yield Disagreement((*at(name), "replay", i, "of"), found, remedy, others)


def test_rows_were_not_seen(specs: Specs) -> Iterator[Disagreement]:
    """No row that is scored was trained, tuned, calibrated or stopped on.

    Two different cuts of one corpus share rows for certain; for other splits that are built as the spec says, their ids tell.
    """
    for name, scores in specs.of("scores"):
        for i, splits in enumerate(scores["on"]):
            for place, seen, split in dict.fromkeys(resolved.seen(specs, scores["of"])):
                if (
                    seen != splits
                    and specs[seen][split]
                    and (found := resolved.shared(specs, splits, seen, split))
                ):
                    others = ((place, f"{seen} is used here, its {split} split"),)
                    yield Disagreement(
                        (*at(name), "on", i),
                        found,
                        f"score it on {seen}, or cut the corpus once",
                        others,
                    )
                    break


def scheme_suits_architecture(specs: Specs) -> Iterator[Disagreement]:
    """onnxruntime has int8 kernels for some operations alone; the others stay as they are, or get slower."""
    for name, quantized in specs.of("quantized"):
        origin, model = specs.first(name)
        if model["architecture"]["kind"] != "transformer" and any(
            n.startswith("student.") for n in specs.line(name)
        ):
            continue  # the teacher is at fault
        kind, scheme = model["architecture"]["kind"], quantized["scheme"]["kind"]
        cell = model["architecture"].get("cell")
        place: Steps = (*at(origin), "architecture", "cell" if cell else "kind")
        others = ((place, f"the architecture of {origin}"),)
        steps = (*at(name), "scheme", "kind")
        if kind == "cnn" and scheme == "dynamic":
            yield Disagreement(
                steps,
                "an int8 convolution with dynamic scales is slower than fp32",
                "static suits a cnn",
                others,
            )
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
            others = (((*at(bundle["scores"]), "of"), "what they score"),)
            yield Disagreement(
                (*at(name), "scores"), found, f"name scores of {bundle['of']}", others
            )


def artifact_is_used(specs: Specs) -> Iterator[Disagreement]:
    """What nothing is made from, scores or bundles is built for nobody."""
    for name in specs.names:
        if name.partition(".")[0] not in ENDS and name not in specs.used:
            remedy = (
                "score it, use it or remove it"
                if name.partition(".")[0] in ("model", *ORIGIN)
                else "use it or remove it"
            )
            yield Disagreement(at(name), "nothing refers to it", remedy)


def scores_are_read(specs: Specs) -> Iterator[Disagreement]:
    """Scores that no gate and no bundle reads can fall without a word."""
    gated = {metric_names.split(gate["metric"])[0] for _, gate in gate_rules.gates(specs)}
    for name, _ in specs.of("scores"):
        if name not in specs.used and name not in gated:
            yield Disagreement(
                at(name),
                "no gate and no bundle reads these scores",
                f"add a gate on {name}, or remove them",
            )


RULES: tuple[Rule, ...] = (
    file_sources_exist,
    table_is_in_its_source,
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
    gate_rules.gate_has_a_metric,
    gate_rules.gate_can_be_decided,
    gate_rules.gate_can_be_passed,
)
WARNINGS: tuple[Rule, ...] = (artifact_is_used, scores_are_read, gate_rules.waiver_holds)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False
