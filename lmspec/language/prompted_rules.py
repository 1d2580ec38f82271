"""prompted_rules: words for the labels of the corpus, by a model that writes; no search."""

from lmspec.errors import some
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

PROMPTED = "prompted"


def words_are_of_the_labels(specs: Specs) -> Disagreements:
    """Each label of the corpus has words, and nothing else has."""
    for name, model in specs.of("model"):
        if model["architecture"]["kind"] != PROMPTED:
            continue
        corpus = ArtifactName.parse(specs[specs.splits_of(model["on"])]["of"])
        labels, words = specs[corpus]["labels"] or [], model["architecture"]["words"]
        others = (((*corpus, "labels"), "its labels"),)
        at = (*name, "architecture", "words")
        if lacking := [label for label in labels if label not in words]:
            found = f"no words stand for {some(lacking)}"
            yield Disagreement(at, found, "give each label words", others)
        for word in words:
            if labels and word not in labels:
                found = f"{corpus} has no label {word!r}"
                remedy = f"its labels are {some(list(labels))}"
                yield Disagreement((*at, word), found, remedy, others)


def what_is_prompted_writes(specs: Specs) -> Disagreements:
    """Only a model of kind causal says how likely a word is after a prompt."""
    for name, model in specs.of("model"):
        weights = ArtifactName.parse(str(model["architecture"].get("weights", "sources.none")))
        if model["architecture"]["kind"] != PROMPTED or weights.noun != "model":
            continue
        kind = specs[weights]["architecture"]["kind"]
        if kind != "causal":
            others = (((*weights, "architecture", "kind"), f"the kind of {weights}"),)
            found = f"{weights} is of kind {kind}, which writes no words"
            at = (*name, "architecture", "weights")
            yield Disagreement(at, found, "name a model of kind causal, or a source", others)


def nothing_prompted_is_searched(specs: Specs) -> Disagreements:
    """A sweep is judged on the dev split while a model is trained, and a prompted one is not."""
    for name, sweep in specs.of("sweep"):
        if specs[sweep["of"]]["architecture"]["kind"] == PROMPTED:
            found = f"{sweep['of']} is prompted: nothing of it is trained"
            yield Disagreement(
                (*name, "of"), found, "write a model for each prompt, and score them"
            )


RULES = words_are_of_the_labels, what_is_prompted_writes, nothing_prompted_is_searched
