"""explaining_rules: rules of explanations: texts that exist, methods that the model allows."""

from lmspec.language.resolved import GRAPHS, Disagreements, Specs, unsuited_to_writers
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

# Methods that look into a network. specs/explained.py has their modules, with pydantic.
OF_GRADIENTS = ("integrated_gradients", "gradient_x_input")
OF_ATTENTION = "attention_rollout"
OF_NGRAMS = ("linear", "hybrid")
WITH_A_MASK = ("transformer", "embedding")  # kinds that begin from a pretrained encoder
MODEL_FREE = "use occlusion or shapley, which ask the model alone"


def explained_texts_exist(specs: Specs) -> Disagreements:
    """What is explained are texts of a split that has some, with the labels of the model."""
    for name, explained in specs.of("explained"):
        splits, split = ArtifactName.parse(explained["on"]), explained["rows"]["split"]
        if specs[splits][split] == 0:
            what = f"the {split} split of {splits}"
            remedy = f"give `{split}` a fraction above 0, or name another split"
            others = (((*splits, split), what),)
            yield Disagreement((*name, "rows", "split"), f"{what} is empty", remedy, others)
        origin, model = specs.first(name)
        if model["architecture"]["kind"] in WRITERS:
            continue  # they have no labels
        learned = specs.splits_of(model["on"])
        ours, theirs = (ArtifactName.parse(specs[s]["of"]) for s in (splits, learned))
        if (labels := specs[ours]["labels"]) != specs[theirs]["labels"]:
            found = f"the labels of {ours} differ from those of {theirs}, which {origin} learned"
            remedy = "give both the same labels in the same order"
            others = (((*ours, "labels"), f"labels of {ours}" if labels else "none"),)
            yield Disagreement((*name, "on"), found, remedy, others)


def method_suits_the_explained(specs: Specs) -> Disagreements:
    """Gradients and attention are of networks that read words in their order, not of graphs."""
    for name, explained in specs.of("explained"):
        at, method = (*name, "method", "kind"), explained["method"]["kind"]
        if method not in (*OF_GRADIENTS, OF_ATTENTION):
            continue
        origin, model = specs.first(name)
        kind, of = model["architecture"]["kind"], ArtifactName.parse(explained["of"])
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        if of.noun in GRAPHS:
            others = (((*name, "of"), "a graph"),)
            found = f"{method} looks into a network, and {of} is a graph"
            yield Disagreement(at, found, MODEL_FREE, others)
        elif kind in OF_NGRAMS:
            found = f"{method} needs embeddings of words in their order, and {origin} reads n-grams"
            yield Disagreement(at, found, MODEL_FREE, (place,))
        elif method == OF_ATTENTION and kind != "transformer":
            found = f"a model of kind {kind} has no attention that its head reads"
            yield Disagreement(at, found, MODEL_FREE, (place,))


def masking_suits_the_explained(specs: Specs) -> Disagreements:
    """Only a pretrained encoder has a token that stands for a hidden word."""
    for name, explained in specs.of("explained"):
        origin, model = specs.first(name)
        kind = model["architecture"]["kind"]
        if explained["masking"] == "mask" and kind not in (*WITH_A_MASK, *WRITERS):
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            found = f"a model of kind {kind} has no mask token"
            yield Disagreement((*name, "masking"), found, "write `masking: remove`", (place,))


def answers_are_explained(specs: Specs) -> Disagreements:
    """Of a model that writes, prompts and their answers are explained; of any other, texts."""
    remedy = "say which: `answers: {text: reference, tokens: 32}`"
    lacks = "writes no answers"
    yield from unsuited_to_writers(specs, "explained", "answers", WRITERS, lacks, remedy)


RULES = (
    explained_texts_exist,
    method_suits_the_explained,
    masking_suits_the_explained,
    answers_are_explained,
)
