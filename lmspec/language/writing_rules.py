"""writing_rules: rules of models that write: conversations to learn, templates, what is made of
them.

They are rules as those of language/rules.py.
"""

import re
from collections.abc import Iterator

from lmspec.errors import some
from lmspec.language import on_disk, resolved
from lmspec.language.resolved import Disagreements, Place, Specs, Values
from lmspec.specs.checks import further
from lmspec.specs.checks.exported import is_gguf
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

SCORES, SPEED, EXPORTED, QUANTIZED = "scores", "speed", "exported", "quantized"
STUDENT, UPDATED = "student", "updated"
BUNDLE, TRACED, EXPLAINED = "bundle", "traced", "explained"
ATTACKED, EXAMINED = "attacked", "examined"
MADE = {  # nouns that take a model of a kind
    "causal": (
        *("model", STUDENT, UPDATED, SCORES, SPEED, EXPORTED, QUANTIZED),
        *(TRACED, EXPLAINED, ATTACKED, EXAMINED),
    ),
    "nearest": ("model", SCORES),
    "prompted": ("model", SCORES),
}
# That of writing/prompting.py, which is copied into bundles and imports tokenizers.
SPECIAL = re.compile(r"<\|[^|<>\s]+\|>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos)>")
WRITTEN_BY = {"causal": "tokens", "nearest": "answers"}  # kind -> what it writes at once
PARTS = {"all_linear", "attention"}  # targets of an adapter that name no layer


def writes(specs: Specs, name: ArtifactName) -> bool:
    """Is an artifact a model that writes, or made from one?"""
    return specs.has_model(name) and specs.first(name)[1]["architecture"]["kind"] in WRITERS


def writers_are_scored(specs: Specs) -> Disagreements:
    """Not every noun takes every kind of model that writes yet; a list of pairs is only scored.

    Nor is anything made of a prompted model.
    """
    for name in specs.names:
        if not specs.has_model(name):
            continue
        origin, model = specs.first(name)
        kind = model["architecture"]["kind"]
        if name.noun not in MADE.get(kind, (name.noun,)):
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            found = f"{origin} is of kind {kind}, from which no {name.noun} is made yet"
            yield Disagreement(name, found, "score the model itself", (place,))


def further_training_suits_the_kind(specs: Specs) -> Disagreements:
    """An update or a student is trained as the kind of model can be that it begins from."""
    for name, section in specs.of(STUDENT, UPDATED):
        origin, model = specs.first(name)
        architecture = model["architecture"]
        if name.noun not in MADE.get(architecture["kind"], (name.noun,)):
            continue  # writers_are_scored reports it
        for found in further.suits(architecture, section):
            others = tuple(((*origin, *at), f"the {at[-1]} of {origin}") for at, _ in found.others)
            yield Disagreement((*name, *found.steps), found.found, found.remedy, others)


def generation_suits_the_kind(specs: Specs) -> Disagreements:
    """A model that writes is scored by its answers, any other by its labels."""
    for name, scores in specs.of(SCORES):
        origin, model = specs.first(name)
        kind, generates = model["architecture"]["kind"], scores.get("generation") is not None
        if scores.get("choices") is not None:
            continue
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        if generates and kind not in WRITERS:
            found = f"a model of kind {kind} generates nothing"
            remedy = "write `calibration_bins: 15` in its place"
            yield Disagreement((*name, "generation"), found, remedy, (place,))
        elif not generates and kind in WRITERS:
            found = f"a model of kind {kind} has answers, no labels"
            remedy = "say in `generation` how they are generated, in place of calibration_bins"
            at = (*name, "calibration_bins") if "calibration_bins" in scores else (*name,)
            yield Disagreement(at, found, remedy, (place,))


def timed_alike(specs: Specs) -> Disagreements:
    """Two models that write are timed by their tokens, any others by their texts."""
    for name, speed in specs.of(SPEED):
        (origin, kind), (other, against) = (
            (first, model["architecture"]["kind"])
            for first, model in (specs.first(speed[field]) for field in ("of", "against"))
        )
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        generates = speed.get("generation") is not None
        if SPEED not in MADE.get(kind, (SPEED,)):
            continue  # writers_are_scored reports it
        if WRITTEN_BY.get(kind) != WRITTEN_BY.get(against):
            found = f"{other} is of kind {against}, and {origin} of kind {kind}"
            remedy = "compare two that write tokens, or two that tell labels apart"
            yield Disagreement((*name, "against"), found, remedy, (place,))
        elif kind == "causal" and not generates:
            found = f"a model of kind {kind} is timed by its tokens"
            remedy = "write `generation: {prompt_tokens: 64, new_tokens: 32}`"
            yield Disagreement(name, found, remedy, (place,))
        elif kind != "causal" and generates:
            found = f"a model of kind {kind} generates nothing"
            yield Disagreement((*name, "generation"), found, "remove it", (place,))


def timed_tokens_fit(specs: Specs) -> Disagreements:
    """Prompt and new tokens together are no more than a graph or a model reads."""
    for name, speed in specs.of(SPEED):
        generation = speed.get("generation") or {}
        for field in ("of", "against") if generation else ():
            tokens = generation["prompt_tokens"] + generation["new_tokens"]
            for most, place in _reads_at_most(specs, speed[field]):
                if most < tokens:
                    found = f"{tokens} tokens are more than the {most} that {speed[field]} reads"
                    at = (*name, "generation", "prompt_tokens")
                    yield Disagreement(at, found, "lower it, or `new_tokens`", (place,))


def load_is_of_labels(specs: Specs) -> Disagreements:
    """The service of a bundle that predicts labels is asked, beside a model that does so, too."""
    for name, load in specs.of("load"):
        held = specs[ArtifactName.parse(load["of"])]["of"]
        for field, model in (("of", held), ("against", load["against"])):
            if writes(specs, ArtifactName.parse(model)):
                found = f"{load[field]} writes, and the load of models that tell labels apart is"
                remedy = "name one that tells labels apart"
                yield Disagreement((*name, field), f"{found} measured", remedy)


def _reads_at_most(specs: Specs, name: str) -> Iterator[tuple[int, Place]]:
    """How many tokens a model or graph that writes can read, and where that is written."""
    for member in specs.line(name):
        form = specs[member].get("format")
        if form is not None and not is_gguf(specs[member]):
            yield form["max_past"], ((*member, "format", "max_past"), f"max_past of {member}")
            return
    origin, model = specs.first(name)
    positions = on_disk.positions(resolved.config(specs, model))
    if positions is not None:
        yield positions, ((*origin, "architecture", "weights"), "its weights")


def rows_suit_the_kind(specs: Specs) -> Disagreements:
    """A prompt needs prompts and answers; plain texts are learned without one."""
    for name in specs.names:
        if not writes(specs, name):
            continue
        origin, model = specs.first(name)
        architecture = model["architecture"]
        plain = architecture["kind"] == "causal" and architecture["prompt"] is None
        for reference in specs.reads(name):
            corpus = ArtifactName.parse(specs[reference.target]["of"])
            turns = resolved.has_turns(specs[corpus])
            if turns and plain:
                found = f"the rows of {corpus} are prompts and answers, and {origin} has no prompt"
                null = (*origin, "architecture", "prompt"), "null"
                yield Disagreement(reference.steps, found, "give it one", (null,))
            elif not turns and (not plain or name.noun == SCORES):
                found = f"the rows of {corpus} have no prompts and answers"
                remedy = "say in `turns` of its tables where they are"
                place = (*corpus, "tables", 0, "text"), "plain texts"
                yield Disagreement(reference.steps, found, remedy, (place,))


def prompt_has_the_turns(specs: Specs) -> Disagreements:
    """A prompt of one pair has no place for a system prompt or for earlier turns."""
    reported = set()
    for name in specs.names:
        if not writes(specs, name):
            continue
        origin, model = specs.first(name)
        prompt = model["architecture"].get("prompt")
        for reference in specs.reads(name) if prompt else ():
            corpus = ArtifactName.parse(specs[reference.target]["of"])
            for i, table in enumerate(specs[corpus]["tables"]):
                lacking = _lacking(prompt, table.get("turns") or {})
                if lacking and (origin, corpus) not in reported:
                    reported.add((origin, corpus))
                    what, remedy = lacking
                    found = f"{corpus} has {what}, and the prompt of {origin} no place for them"
                    place = (*corpus, "tables", i, "turns"), "where the turns are"
                    yield Disagreement(reference.steps, found, remedy, (place,))


def _lacking(prompt: Values, turns: Values) -> tuple[str, str] | None:
    """(what a prompt has no place for, what to do)."""
    if prompt["kind"] == "pair" and turns.get("kind") == "messages":
        return "conversations", "write `kind: chat`"
    system = turns.get("system") or (turns.get("roles") or {}).get("system")
    if system and (prompt["kind"] == "pair" or prompt["system"] is None):
        return "system prompts", "write `kind: chat` with a `system`, or do not read them"
    return None


def template_is_of_the_tokenizer(specs: Specs) -> Disagreements:
    """A special token that the vocabulary lacks would be read as its letters, and never end."""
    for name, model in specs.of("model"):
        architecture = model["architecture"]
        own = on_disk.special_tokens(resolved.weights(specs, model))
        if architecture["kind"] != "causal" or not architecture["prompt"] or not own:
            continue
        known = {*own, *(architecture.get("added_tokens") or ())}
        place = (*name, "architecture", "weights"), "its weights"
        for field, text in architecture["prompt"].items():
            if field == "end":
                unknown = [text] if text not in known else []
            else:
                shown = text if isinstance(text, str) else ""
                unknown = [found for found in SPECIAL.findall(shown) if found not in known]
            if unknown:
                at = (*name, "architecture", "prompt", field)
                found = f"{unknown[0]} is no special token of {architecture['weights']}"
                yield Disagreement(at, found, f"it has {some(sorted(known))}", (place,))


def adapter_targets_exist(specs: Specs) -> Disagreements:
    """An adapter is beside layers that the weights have."""
    for name, model in specs.of("model"):
        adapter = model["architecture"].get("adapter")
        tensors = on_disk.tensors(resolved.weights(specs, model)) if adapter else ()
        matrices = {path.split(".")[-2] for path in tensors if path.endswith(".weight")}
        for i, target in enumerate(adapter["targets"] if matrices else ()):
            if target not in PARTS and target.split(".")[-1] not in matrices:
                at = (*name, "architecture", "adapter", "targets", i)
                found = f"{model['architecture']['weights']} has no layer called '{target}'"
                place = (*name, "architecture", "weights"), "its weights"
                yield Disagreement(at, found, f"it has {some(sorted(matrices))}", (place,))


def bundle_suits_the_kind(specs: Specs) -> Disagreements:
    """The bundle of a model that writes says how it generates answers; no other one does."""
    for name, bundle in specs.of(BUNDLE):
        origin, model = specs.first(bundle["of"])
        kind, generates = model["architecture"]["kind"], bundle.get("generation") is not None
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        if generates and kind not in WRITERS:
            found = f"a model of kind {kind} generates nothing"
            yield Disagreement((*name, "generation"), found, "remove it", (place,))
        elif not generates and kind in WRITERS:
            found = f"a model of kind {kind} has answers, no labels"
            remedy = "say in `generation` how predict.py generates them, as the scores do"
            yield Disagreement(name, found, remedy, (place,))


def beside_is_of_the_same_splits(specs: Specs) -> Disagreements:
    """A table of a model card has answers to the same prompts."""
    for name, bundle in specs.of(BUNDLE):
        own = specs[bundle["scores"]]
        for i, other in enumerate(bundle.get("beside") or ()):
            scores, at = specs[other], (*name, "beside", i)
            if not writes(specs, ArtifactName.parse(other)):
                yield Disagreement(at, f"{other} has labels, no answers", "remove it")
            elif not {*scores["on"]} & {*own["on"]}:
                place = (*ArtifactName.parse(other), "on"), "its splits"
                found = f"{other} is not on {some(own['on'])}, as {bundle['scores']} is"
                yield Disagreement(at, found, "remove it", (place,))


def bundle_writes_as_scored(specs: Specs) -> Disagreements:
    """A model card has the scores of other texts than those that predict.py generates."""
    for name, bundle in specs.of(BUNDLE):
        own, scored = bundle.get("generation"), specs[bundle["scores"]].get("generation")
        if own is None or scored is None:
            continue
        for field in sorted({*scored, *own} - {"rows", "own"}):
            if scored.get(field) != own.get(field):
                at = (*name, "generation", *([field] if field in own else []))
                place = (*ArtifactName.parse(bundle["scores"]), "generation"), "what was scored"
                found = f"{bundle['scores']} are of answers that are generated in another way"
                remedy = "the model card will say so; write the same to score what it ships"
                yield Disagreement(at, found, remedy, (place,))
                break


RULES = (
    writers_are_scored,
    further_training_suits_the_kind,
    bundle_suits_the_kind,
    beside_is_of_the_same_splits,
    generation_suits_the_kind,
    timed_alike,
    timed_tokens_fit,
    load_is_of_labels,
    rows_suit_the_kind,
    prompt_has_the_turns,
    template_is_of_the_tokenizer,
    adapter_targets_exist,
)
