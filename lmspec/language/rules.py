"""rules: what no artifact can know by itself: disagreements between artifacts.

A rule is a function: it looks at the artifacts that are sound so far, and yields disagreements.
Its name, with hyphens, is the name of the rule in every output; its docstring says why it exists.
docs/rules.md lists them all.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.language import (
    annotation_rules,
    attack_rules,
    augmentation_rules,
    calibrating_rules,
    card_rules,
    case_rules,
    clone_rules,
    explaining_rules,
    export_rules,
    folds_rules,
    gate_rules,
    kept_rules,
    memory_rules,
    model_rules,
    nouns,
    on_disk,
    pool_rules,
    prompted_rules,
    recorded,
    resolved,
    scoring_rules,
    sweep_rules,
    table_rules,
    target_rules,
    tracing_rules,
    vote_rules,
    world_rules,
    writing_rules,
)
from lmspec.language.resolved import Disagreements, Specs
from lmspec.methods import folders
from lmspec.methods.sources import digest
from lmspec.specs import blocks
from lmspec.specs.checks.exported import is_gguf
from lmspec.specs.checks.model import FIXED_FEATURES, compares_on_dev
from lmspec.specs.checks.quantized import UNSUITED
from lmspec.specs.checks.student import WITH_LAYERS
from lmspec.specs.checks.updated import FITTED_ONCE
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName

Rule = Callable[[Specs], Disagreements]
MOST_HASHED = 64 * 2**20  # bytes: a tenth of a second


def name_of(rule: Rule) -> str:
    """`bundle-shows-its-own-scores`."""
    return rule.__name__.replace("_", "-")


def file_sources_exist(specs: Specs) -> Disagreements:
    """A file that is neither there nor tracked by DVC cannot be read."""
    for name, source in specs.of("sources"):
        if source["kind"] == "file":
            path = Path(source["path"])
            files = (str(path), *clone_rules.tracking(path))
            if not any(on_disk.exists(specs.root / file) for file in files):
                yield Disagreement(
                    (*name, "path"),
                    f"there is no file or folder {path}",
                    "correct the path, or add the file",
                )


def file_sources_are_not_built(specs: Specs) -> Disagreements:
    """Name the artifact that builds it instead: lmspec does not know what a source has seen."""
    top = specs.root.resolve()
    for name, source in specs.of("sources"):
        if source["kind"] != "file" or not on_disk.exists(specs.root / source["path"]):
            continue
        path = (specs.root / source["path"]).resolve()  # it may be a link
        for made in specs.edges:
            folder = top / made.folder
            if path.is_relative_to(folder) or folder.is_relative_to(path):
                found, remedy = f"{made} builds {made.folder}", f"refer to {made} itself"
                yield Disagreement((*name, "path"), found, remedy)
                break


def file_sources_hold_files(specs: Specs) -> Disagreements:
    """With a FIFO, a device or a dangling link, DVC would wait for ever or lose the content."""
    for name, source in specs.of("sources"):
        path = specs.root / source.get("path", "")
        if source["kind"] == "file" and on_disk.exists(path):
            try:
                folders.require_files(path)
            except LmspecError as error:
                place = error.place.removeprefix(f"{specs.root}/")
                yield Disagreement((*name, "path"), f"{place}: {error.found}", error.remedy)
            except OSError as error:
                found = f"it cannot be read: {error.strerror}"
                yield Disagreement((*name, "path"), found, "check its owner and its mode")


def file_sources_have_their_hash(specs: Specs) -> Disagreements:
    """A changed file is another source: its stage refuses it, and what it made is out of date.

    Beyond 64 MiB only its stage and comparisons check this, to keep validation fast.
    """
    for name, source in specs.of("sources"):
        path = specs.root / source["path"] if source["kind"] == "file" else None
        if path is None or not on_disk.exists(path) or on_disk.size(path) > MOST_HASHED:
            continue
        try:
            sha256 = folders.sha256(path)
        except (OSError, LmspecError):  # its stage says why
            continue
        if sha256 != source["sha256"]:
            found = f"the SHA-256 of {source['path']} is {sha256}, so its stage would refuse it"
            remedy = "put it here if you want the new content; if not, `git checkout` the old one"
            if changed := digest.changed_by_git(path, source["sha256"], source["path"]):
                found, remedy = f"{changed.place}: {changed.found}", changed.remedy
            others = (((*name, "path"), "the file that is hashed"),)
            yield Disagreement((*name, "sha256"), found, remedy, others)


def table_is_in_its_source(specs: Specs) -> Disagreements:
    """A table names a file of its source; a single file keeps its own name there."""
    for name, corpus in specs.of("corpus"):
        for i, table in enumerate(corpus["tables"]):
            of, file = table["of"], table["file"]
            path = specs.root / specs[of].get("path", "")
            if specs[of]["kind"] != "file" or not on_disk.exists(path):
                continue
            if path.name != file if path.is_file() else not on_disk.exists(path / file):
                yield Disagreement(
                    (*name, "tables", i, "file"),
                    f"{of} has no file {file}",
                    f"it has {path.name}" if path.is_file() else "name a file of its folder",
                    (((*ArtifactName.parse(of), "path"), "the source's path"),),
                )


def teacher_has_layers(specs: Specs) -> Disagreements:
    """A student is initialised from its teacher's layers."""
    for name, student in specs.of("student"):
        origin, model = specs.first(name)
        if (kind := model["architecture"]["kind"]) not in WITH_LAYERS:
            yield Disagreement(
                (*name, "teacher"),
                f"{student['teacher']} is of kind {kind}",
                "a teacher is of kind transformer or causal",
                (((*origin, "architecture", "kind"), f"the kind of {origin}"),),
            )


def update_trains_a_network(specs: Specs) -> Disagreements:
    """An update trains weights further; logistic regression on fixed features has its minimum."""
    for name, _ in specs.of("updated"):
        origin, model = specs.first(name)
        if (kind := model["architecture"]["kind"]) in FIXED_FEATURES:
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            found, remedy = FITTED_ONCE
            yield Disagreement(
                (*name, "of"), f"{origin} is of kind {kind}: {found}", remedy, (place,)
            )


def layers_are_the_teachers(specs: Specs) -> Disagreements:
    """A student starts from layers that its teacher has."""
    for name, student in specs.of("student"):
        if specs.first(name)[1]["architecture"]["kind"] not in WITH_LAYERS:
            continue  # teacher_has_layers reports it
        depth, place = resolved.depth(specs, student["teacher"])
        for i, layer in enumerate(student["layers"]):
            if depth is not None and layer >= depth:
                found = f"{student['teacher']} has no layer {layer}: the last is {depth - 1}"
                remedy = "layers are counted from 0"
                yield Disagreement((*name, "layers", i), found, remedy, (place,))
                break


def splits_are_not_empty(specs: Specs) -> Disagreements:
    """Training needs train and dev splits, calibration a dev split, scoring a test split.

    A layer on features with one value of each setting has nothing to choose, so it needs no dev.
    """
    for name in specs.names:
        no_dev = name.noun == "model" and not compares_on_dev(specs[name])
        for reference in specs.reads(name):
            splits = reference.target
            of = str(specs[name].get("of"))
            if name.noun == "scores" and of.startswith("folds."):
                continue  # every row is scored, whatever its split
            for split in reference.reads:
                if specs[splits][split] == 0 and not (no_dev and split == "dev"):
                    what = f"the {split} split of {splits}"
                    yield Disagreement(
                        reference.steps,
                        f"{what} is empty",
                        f"give `{split}` a fraction above 0, or name other splits",
                        (((*ArtifactName.parse(splits), split), what),),
                    )


def texts_have_labels(specs: Specs) -> Disagreements:
    """Whatever tells labels apart needs some; pre-training and models that write do not."""
    for name in specs.names:
        has_labels = specs.has_model(name) and not writing_rules.writes(specs, name)
        for reference in specs.reads(name) if has_labels else ():
            corpus = ArtifactName.parse(specs[reference.target]["of"])
            if not specs[corpus]["labels"]:
                yield Disagreement(
                    reference.steps,
                    f"the texts of {corpus} have no labels",
                    "name splits that have some; `pretrained` and models of kind causal need none",
                    (((*corpus, "labels"), "none"),),
                )


def labels_agree(specs: Specs) -> Disagreements:
    """What a model is trained, checked or scored on has its labels in the same order.

    Reported once per pair of corpora, where they first meet.
    """
    reported = set()
    for name in specs.names:
        if nouns.of(name.noun).origin is None:
            continue
        origin, model = specs.first(name)
        own = specs[specs.splits_of(model["on"])]["of"]
        for reference in specs.reads(name):
            corpus = specs[reference.target]["of"]
            labels, expected = specs[corpus]["labels"], specs[own]["labels"]
            if labels == expected or not (labels and expected) or (own, corpus) in reported:
                continue  # texts_have_labels reports those without
            reported.add((own, corpus))
            new = ", ".join(label for label in labels if label not in expected)
            yield Disagreement(
                reference.steps,
                f"the labels of {corpus} differ from those of {own}, which {origin} was trained on",
                f"an update keeps the labels: {new} would need a new model"
                if new and name.noun == "updated"
                else "give both the same labels in the same order",
                tuple(
                    ((*ArtifactName.parse(c), "labels"), f"labels of {c}") for c in (corpus, own)
                ),
            )


def replay_was_trained_on(specs: Specs) -> Disagreements:
    """Replay preserves what a model knows: rows that it was trained on."""
    for name, updated in specs.of("updated"):
        learned = {
            splits: steps
            for steps, splits, split in resolved.learned_from(specs, updated["of"])
            if split == "train"
        }
        for i, replay in enumerate(updated["replay"]):
            if specs.splits_of(replay["of"]) not in learned:
                yield Disagreement(
                    (*name, "replay", i, "of"),
                    f"{updated['of']} was not trained on {replay['of']}",
                    f"it was trained on {' and '.join(learned)}",
                    tuple((at, f"it was trained on {splits}") for splits, at in learned.items()),
                )


def test_rows_were_not_seen(specs: Specs) -> Disagreements:
    """Two cuts of one corpus share rows: a model trained on one has seen test rows of the other.

    Whether other splits share rows is known once they are built: then their scores fail.
    """
    first: dict[Steps, Disagreement] = {}
    for steps, tested, (at, learned, split) in _tested_and_learned(specs):
        corpus = specs[tested]["of"]
        if corpus == specs[learned]["of"] and specs[tested] != specs[learned]:
            found = (
                f"{tested} and {learned} cut {corpus} differently:"
                f" test rows of one are {split} rows of the other"
            )
            remedy = f"score it on {learned}, or split the corpus once"
            place = at, f"{learned} is used here, its {split} split"
            first.setdefault(steps, Disagreement(steps, found, remedy, (place,)))
    yield from first.values()


def accepted_overlap_was_seen(specs: Specs) -> Disagreements:
    """A model cannot overlap with data that it was not trained, stopped early or calibrated on."""
    for name, scores in specs.of("scores"):
        seen = resolved.seen_by(specs, scores["of"])
        for i, overlap in enumerate(resolved.accepted_overlap(scores)):
            if overlap["of"] not in seen:
                yield Disagreement(
                    (*name, "accepted_overlap", i, "of"),
                    f"{scores['of']} has not seen {overlap['of']}",
                    f"remove it: it has seen {' and '.join(seen)}",
                    (((*name, "of"), "what is scored"),),
                )


def built_splits_are_apart(specs: Specs) -> Disagreements:
    """If splits that are already built share rows, scores will fail."""
    first: dict[Steps, Disagreement] = {}
    for steps, tested, (at, learned, split) in _tested_and_learned(specs):
        if specs[tested] == specs[learned]:
            continue  # the same cut under two names
        if common := resolved.shared_on_disk(specs, tested, learned, split):
            rows = f"{common[0]} of its {common[1]} test rows"
            found = f"{tested} shares {rows} with the {split} split of {learned}"
            remedy = "the build of these scores will fail and print what to do"
            place = at, f"{learned} is used here, its {split} split"
            first.setdefault(steps, Disagreement(steps, found, remedy, (place,)))
    yield from first.values()


def _tested_and_learned(specs: Specs) -> Iterator[tuple[Steps, str, tuple[Steps, str, str]]]:
    """(field, splits that it tests on, what its model learned from) unless the spec accepts it."""
    for name, scores in specs.of("scores"):
        accepted = {overlap["of"] for overlap in resolved.accepted_overlap(scores)}
        for i, tested in enumerate(scores["on"]):
            members = (scores["of"], *dict.fromkeys(resolved.encoders_of(specs, scores["of"])))
            for at, learned, split in chain.from_iterable(
                resolved.learned_from(specs, member) for member in members
            ):
                if learned not in (tested, *accepted) and specs[learned][split]:
                    yield (*name, "on", i), tested, (at, learned, split)


def scheme_suits_architecture(specs: Specs) -> Disagreements:
    """onnxruntime has int8 kernels for some operations only; others stay fp32 or get slower."""
    for name, quantized in specs.of("quantized"):
        origin, model = specs.first(name)
        is_student = any(member.noun == "student" for member in specs.line(name))
        if is_student and model["architecture"]["kind"] not in WITH_LAYERS:
            continue  # teacher_has_layers reports it
        field = "cell" if "cell" in model["architecture"] else "kind"
        pair = model["architecture"][field], quantized["scheme"]["kind"]
        if pair in UNSUITED:
            place = (*origin, "architecture", field), f"the architecture of {origin}"
            yield Disagreement((*name, "scheme", "kind"), *UNSUITED[pair], (place,))


def bundle_shows_its_own_scores(specs: Specs) -> Disagreements:
    """A model card must not show the scores of another graph."""
    for name, bundle in specs.of("bundle"):
        of, scores = bundle["of"], bundle["scores"]
        if (scored := specs[scores]["of"]) != of:
            yield Disagreement(
                (*name, "scores"),
                f"{scores} scores {scored}, and the bundle holds {of}",
                f"name scores of {of}",
                (((*ArtifactName.parse(scores), "of"), "what they score"),),
            )


def values_come_back(specs: Specs) -> Disagreements:
    """If DVC's lock file does not give a value back as it was, its stage is never up to date."""
    named = blocks.of(specs.written)
    used = {block for name in specs.names for block in blocks.used(specs.as_written(name), named)}
    for name in specs.names:
        yield from recorded.losses(specs.as_written(name), name)
    for block in sorted(used):
        yield from recorded.losses(named[block], (blocks.SECTION, block))


def artifact_is_used(specs: Specs) -> Disagreements:
    """An artifact that nothing is made from, that nothing scores or bundles, costs time only."""
    folded = {folds["of"] for _, folds in specs.of("folds")}  # which shows what it is worth
    for name in specs.names:
        noun = nouns.of(name.noun)
        final = noun.final or (name.noun == "exported" and is_gguf(specs[name]))
        if not final and str(name) not in specs.used | folded:
            is_model = noun.origin or name.noun == "model"
            remedy = "score it, use it or remove it" if is_model else "use it or remove it"
            yield Disagreement(name, "nothing refers to it", remedy)


def block_is_used(specs: Specs) -> Disagreements:
    """A block that no field names builds nothing, and its values are not checked."""
    named = blocks.of(specs.written)
    sections = {noun: v for noun, v in specs.written.items() if noun != blocks.SECTION}
    used = set(blocks.used(sections, named))
    for block in named:
        if block not in used:
            yield Disagreement((blocks.SECTION, block), "nothing refers to it", "remove it")


def scores_are_read(specs: Specs) -> Disagreements:
    """Scores that no gate and no bundle reads can drop unnoticed."""
    gated = {str(metric.artifact) for _, _, metric in gate_rules.gates(specs)}
    gated |= {str(gate.get("against")) for _, gate, _ in gate_rules.gates(specs)}
    for name, _ in specs.of("scores"):
        if str(name) not in specs.used and str(name) not in gated:
            remedy = f"add a gate on {name}, or remove them"
            yield Disagreement(name, "no gate and no bundle reads these scores", remedy)


RULES = (
    file_sources_exist,
    file_sources_are_not_built,
    file_sources_hold_files,
    file_sources_have_their_hash,
    table_is_in_its_source,
    *table_rules.RULES,
    *annotation_rules.RULES,
    *vote_rules.RULES,
    model_rules.length_fits_positions,
    teacher_has_layers,
    update_trains_a_network,
    layers_are_the_teachers,
    model_rules.layers_to_freeze_exist,
    world_rules.batch_suffices_for_the_world,
    world_rules.private_models_train_alone,
    world_rules.sharding_suits_the_optimizer,
    splits_are_not_empty,
    *augmentation_rules.RULES,
    texts_have_labels,
    labels_agree,
    replay_was_trained_on,
    test_rows_were_not_seen,
    accepted_overlap_was_seen,
    scheme_suits_architecture,
    bundle_shows_its_own_scores,
    *memory_rules.RULES,
    *sweep_rules.RULES,
    *folds_rules.RULES,
    *prompted_rules.RULES,
    *pool_rules.RULES,
    *writing_rules.RULES,
    *export_rules.RULES,
    *scoring_rules.RULES,
    *kept_rules.RULES,
    *explaining_rules.RULES,
    *target_rules.RULES,
    *case_rules.RULES,
    *calibrating_rules.RULES,
    *card_rules.RULES,
    *tracing_rules.RULES,
    *attack_rules.RULES,
    values_come_back,
    clone_rules.outputs_are_in_real_folders,
    gate_rules.gate_names_a_metric,
    gate_rules.gate_can_be_decided,
    gate_rules.gate_is_held_against_the_same,
    gate_rules.gate_can_be_passed,
)
WARNINGS = (
    artifact_is_used,
    block_is_used,
    scores_are_read,
    built_splits_are_apart,
    writing_rules.bundle_writes_as_scored,
    gate_rules.waiver_is_valid,
    clone_rules.git_keeps_what_a_clone_needs,
    clone_rules.git_keeps_the_bytes_of_sources,
)
