"""rules: what no artifact can know by itself: disagreements between artifacts.

A rule is a function: it looks at the artifacts that are sound so far, and yields disagreements.
Its name, with hyphens, is the name of the rule in every output; its docstring says why it exists.
docs/rules.md lists them all.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from lmspec.language import gate_rules, nouns, on_disk, resolved
from lmspec.language.resolved import Specs
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName, MetricName

Rule = Callable[[Specs], Iterator[Disagreement]]


def name_of(rule: Rule) -> str:
    """`bundle-shows-its-own-scores`."""
    return rule.__name__.replace("_", "-")


def file_sources_exist(specs: Specs) -> Iterator[Disagreement]:
    """A file that is neither there nor tracked by DVC cannot be read."""
    for name, source in specs.of("sources"):
        if source["kind"] == "file":
            path = Path(source["path"])
            parents = (part for part in (path, *path.parents) if part.name)
            tracked = any(_exists(specs.root / f"{part}.dvc") for part in parents)
            if not _exists(specs.root / path) and not tracked:
                found, remedy = (
                    f"there is no file or folder {path}",
                    "correct the path, or add the file",
                )
                yield Disagreement((*name, "path"), found, remedy)


def table_is_in_its_source(specs: Specs) -> Iterator[Disagreement]:
    """A table names a file of its source; a single file keeps its own name there."""
    for name, corpus in specs.of("corpus"):
        for i, table in enumerate(corpus["tables"]):
            source = specs[table["of"]]
            path = specs.root / source.get("path", "")
            if source["kind"] != "file" or not _exists(path):
                continue
            file = (path if path.is_dir() else path.parent) / table["file"]
            if not _exists(file) or (path.is_file() and path.name != table["file"]):
                found = f"{table['of']} has no file {table['file']}"
                remedy = f"it has {path.name}" if path.is_file() else "name a file of its folder"
                steps: Steps = (*name, "tables", i, "file")
                origin = ArtifactName.parse(table["of"])
                others = (((*origin, "path"), "the source's path"),)
                yield Disagreement(steps, found, remedy, others)


def length_fits_positions(specs: Specs) -> Iterator[Disagreement]:
    """A pretrained model has position embeddings for so many tokens and no more."""
    for name, model in specs.of("model"):
        config = resolved.config(specs, model)
        positions = on_disk.positions(config) if config else None
        length = model["architecture"]["max_length"]
        if positions is not None and length > positions:
            found = f"{length} exceeds the {positions} positions of"
            found += f" {model['architecture']['weights']}"
            steps = (*name, "architecture", "max_length")
            yield Disagreement(steps, found, "lower it", resolved.weights(name))


def teacher_is_a_transformer(specs: Specs) -> Iterator[Disagreement]:
    """A student is initialised from its teacher's layers."""
    for name, student in specs.of("student"):
        origin, model = specs.first(name)
        if model["architecture"]["kind"] != "transformer":
            found = f"{student['teacher']} is of kind {model['architecture']['kind']}"
            others = (((*origin, "architecture", "kind"), f"the kind of {origin}"),)
            remedy = "a teacher must be a transformer"
            yield Disagreement((*name, "teacher"), found, remedy, others)


def layers_are_the_teachers(specs: Specs) -> Iterator[Disagreement]:
    """A student starts from layers that its teacher has."""
    for name, student in specs.of("student"):
        if specs.first(name)[1]["architecture"]["kind"] != "transformer":
            continue  # teacher_is_a_transformer reports it
        depth, others = resolved.depth(specs, student["teacher"])
        for i, layer in enumerate(student["layers"]):
            if depth is not None and layer >= depth:
                found = f"{student['teacher']} has no layer {layer}: the last is {depth - 1}"
                remedy = "layers are counted from 0"
                yield Disagreement((*name, "layers", i), found, remedy, others)
                break


def layers_to_freeze_exist(specs: Specs) -> Iterator[Disagreement]:
    """No more layers are frozen than the model has."""
    for name, spec in specs.of("model", "updated"):
        steps = (*name, "architecture") if name.noun == "model" else (*name,)
        frozen = spec.get("architecture", spec).get("frozen_layers", 0)
        depth, others = resolved.depth(specs, name)
        if depth is not None and frozen > depth:
            kind = specs.first(name)[1]["architecture"]["kind"]
            found = f"{frozen} exceeds the {depth} layer{'' if depth == 1 else 's'} of the {kind}"
            remedy = "set it to 0: convolutions are not stacked" if kind == "cnn" else "lower it"
            yield Disagreement((*steps, "frozen_layers"), found, remedy, others)


def splits_are_not_empty(specs: Specs) -> Iterator[Disagreement]:
    """Training needs train and dev splits, calibration a dev split, scoring a test split."""
    for name in specs.names:
        for reference in specs.reads(name):
            splits = reference.target
            for split in reference.reads:
                if specs[splits][split] == 0:
                    found = f"the {split} split of {splits} is empty"
                    remedy = f"give `{split}` a fraction above 0, or name other splits"
                    place = (*ArtifactName.parse(splits), split)
                    others = ((place, f"the {split} split of {splits}"),)
                    yield Disagreement(reference.steps, found, remedy, others)


def labels_agree(specs: Specs) -> Iterator[Disagreement]:
    """What a model is trained, checked or scored on has its labels in the same order.

    Reported once per pair of corpora, where they first meet.
    """
    reported = set()
    for name in specs.names:
        if nouns.of(name.noun).origin is None:
            continue
        origin, model = specs.first(name)
        own = specs[model["on"]]["of"]
        for reference in specs.reads(name):
            corpus = specs[reference.target]["of"]
            labels, expected = specs[corpus]["labels"], specs[own]["labels"]
            if labels == expected or (own, corpus) in reported:
                continue
            reported.add((own, corpus))
            found = f"the labels of {corpus} differ from those of {own}, which {origin}"
            found += " was trained on"
            remedy = "give both the same labels in the same order"
            new = [label for label in labels if label not in expected]
            if new and name.noun == "updated":
                remedy = f"an update keeps the labels: {', '.join(new)} would need a new model"
            others = tuple(
                ((*ArtifactName.parse(c), "labels"), f"labels of {c}") for c in (corpus, own)
            )
            yield Disagreement(reference.steps, found, remedy, others)


def replay_was_trained_on(specs: Specs) -> Iterator[Disagreement]:
    """Replay preserves what a model knows: rows that it was trained on."""
    for name, updated in specs.of("updated"):
        learned = {
            splits: steps
            for steps, splits, split in resolved.learned_from(specs, updated["of"])
            if split == "train"
        }
        for i, replay in enumerate(updated["replay"]):
            if replay["of"] not in learned:
                found = f"{updated['of']} was not trained on {replay['of']}"
                remedy = f"it was trained on {' and '.join(learned)}"
                others = tuple(
                    (steps, f"it was trained on {splits}") for splits, steps in learned.items()
                )
                yield Disagreement((*name, "replay", i, "of"), found, remedy, others)


def test_rows_were_not_seen(specs: Specs) -> Iterator[Disagreement]:
    """No test row was used for training, tuning, calibration or early stopping.

    Two different cuts of one corpus always share rows; for other splits the ids on disk decide, if
    they were built from the present spec.
    """
    for name, scores in specs.of("scores"):
        for i, tested in enumerate(scores["on"]):
            for steps, learned, split in resolved.learned_from(specs, scores["of"]):
                if learned == tested or not specs[learned][split]:
                    continue
                if found := resolved.shared(specs, tested, learned, split):
                    others = ((steps, f"{learned} is used here, its {split} split"),)
                    remedy = f"score it on {learned}, or split the corpus once"
                    yield Disagreement((*name, "on", i), found, remedy, others)
                    break


def scheme_suits_architecture(specs: Specs) -> Iterator[Disagreement]:
    """onnxruntime has int8 kernels for some operations only; others stay fp32 or get slower."""
    for name, quantized in specs.of("quantized"):
        origin, model = specs.first(name)
        architecture, scheme = model["architecture"], quantized["scheme"]["kind"]
        if any(member.noun == "student" for member in specs.line(name)):
            continue  # a transformer, or teacher_is_a_transformer reports it
        cell = architecture.get("cell")
        if architecture["kind"] == "cnn" and scheme == "dynamic":
            found = "an int8 convolution with dynamic scales is slower than fp32"
            remedy = "use static for a cnn"
        elif cell == "gru":
            found = "onnxruntime has no int8 kernel for a GRU"
            remedy = "leave it in fp32, or use an lstm"
        elif cell == "lstm" and scheme == "static":
            found = "onnxruntime's int8 kernel for an LSTM supports dynamic scales only"
            remedy = "use dynamic for an lstm"
        else:
            continue
        place = (*origin, "architecture", "cell" if cell else "kind")
        others = ((place, f"the architecture of {origin}"),)
        yield Disagreement((*name, "scheme", "kind"), found, remedy, others)


def bundle_shows_its_own_scores(specs: Specs) -> Iterator[Disagreement]:
    """A model card must not show the scores of another graph."""
    for name, bundle in specs.of("bundle"):
        scored = specs[bundle["scores"]]["of"]
        if scored != bundle["of"]:
            found = f"{bundle['scores']} scores {scored}, and the bundle holds {bundle['of']}"
            place = (*ArtifactName.parse(bundle["scores"]), "of")
            remedy = f"name scores of {bundle['of']}"
            yield Disagreement((*name, "scores"), found, remedy, ((place, "what they score"),))


def artifact_is_used(specs: Specs) -> Iterator[Disagreement]:
    """An artifact that nothing is made from, that nothing scores or bundles, costs time only."""
    for name in specs.names:
        noun = nouns.of(name.noun)
        if not noun.final and str(name) not in specs.used:
            is_model = noun.origin or name.noun == "model"
            remedy = "score it, use it or remove it" if is_model else "use it or remove it"
            yield Disagreement(name, "nothing refers to it", remedy)


def scores_are_read(specs: Specs) -> Iterator[Disagreement]:
    """Scores that no gate and no bundle reads can drop unnoticed."""
    gated = {MetricName.parse(gate["metric"]).artifact for _, gate in gate_rules.gates(specs)}
    for name, _ in specs.of("scores"):
        if str(name) not in specs.used and name not in gated:
            remedy = f"add a gate on {name}, or remove them"
            yield Disagreement(name, "no gate and no bundle reads these scores", remedy)


RULES: tuple[Rule, ...] = (
    file_sources_exist,
    table_is_in_its_source,
    length_fits_positions,
    teacher_is_a_transformer,
    layers_are_the_teachers,
    layers_to_freeze_exist,
    splits_are_not_empty,
    labels_agree,
    replay_was_trained_on,
    test_rows_were_not_seen,
    scheme_suits_architecture,
    bundle_shows_its_own_scores,
    gate_rules.gate_names_a_metric,
    gate_rules.gate_can_be_decided,
    gate_rules.gate_can_be_passed,
)
WARNINGS: tuple[Rule, ...] = (artifact_is_used, scores_are_read, gate_rules.waiver_is_valid)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False
