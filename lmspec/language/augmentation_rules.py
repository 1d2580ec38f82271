"""augmentation_rules: in which split rows were, and what may be made of training texts."""

from collections.abc import Iterator

from lmspec.errors import LmspecError, some
from lmspec.formats import phrases, sides
from lmspec.language import resolved
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName


def sides_can_be_read(specs: Specs) -> Disagreements:
    """The file of an earlier cut is there, and names splits."""
    for name, splits in specs.of("splits"):
        if file := splits.get("sides"):
            try:
                sides.read(specs.root, file)
            except LmspecError as error:
                found = f"{error.place}: {error.found}"
                yield Disagreement((*name, "sides"), found, error.remedy)


def only_labelled_texts_are_augmented(specs: Specs) -> Disagreements:
    """What is made from a text has its label; a conversation has none."""
    for name, augmented in specs.of("augmented"):
        corpus = ArtifactName.parse(specs[augmented["of"]]["of"])
        turns = resolved.has_turns(specs[corpus])
        if turns or not specs[corpus]["labels"]:
            what = "are conversations" if turns else "have no labels"
            steps = (*corpus, "tables") if turns else (*corpus, "labels")
            yield Disagreement(
                (*name, "of"),
                f"the rows of {corpus} {what}",
                "name splits of labelled texts",
                ((steps, "here"),),
            )


def phrases_suit_the_corpus(specs: Specs) -> Disagreements:
    """A file of phrases is there, has what a kind reads of it, and names labels of the corpus."""
    for name, augmented in specs.of("augmented"):
        labels = specs[specs[augmented["of"]]["of"]]["labels"]
        for i, kind in enumerate(augmented["add"]):
            if labels and "file" in kind:
                at = (*name, "add", i, "file")
                yield from _fault(specs, at, kind["file"], kind["kind"], labels)


def _fault(
    specs: Specs, at: Steps, file: str, kind: str, labels: list[str]
) -> Iterator[Disagreement]:
    try:
        phrases.read(specs.root, file, kind, labels)
    except LmspecError as error:
        yield Disagreement(at, f"{error.place}: {error.found}", error.remedy)


def synonyms_can_be_read(specs: Specs) -> Disagreements:
    """A file of synonyms in the repository is there, and each of its lines is a pair of words."""
    from lmspec.formats import synonyms

    for name, augmented in specs.of("augmented"):
        for i, kind in enumerate(augmented["add"]):
            words = kind.get("words") or {}
            source = specs[words["of"]] if words else {}
            if words.get("kind") != "table" or source["kind"] != "file":
                continue
            path = specs.root / source["path"]
            folder = path if path.is_dir() else path.parent
            try:
                if path.is_file() and path.name != words["file"]:
                    found = f"{words['of']} is the file {path.name}"
                    raise LmspecError(words["file"], found, f"write `file: {path.name}`")
                synonyms.read_table(folder, words["file"], words["separator"], words["of"])
            except LmspecError as error:
                at = (*name, "add", i, "words", "file")
                yield Disagreement(at, f"{error.place}: {error.found}", error.remedy)


def paraphrases_can_be_written(specs: Specs) -> Disagreements:
    """A model that writes says a text in other words; what judges them knows their labels."""
    for name, augmented in specs.of("augmented"):
        corpus = ArtifactName.parse(specs[augmented["of"]]["of"])
        for i, kind in enumerate(augmented["add"]):
            if kind["kind"] != "paraphrase":
                continue
            at = (*name, "add", i)
            origin, model = specs.first(kind["of"])
            if (found := model["architecture"]["kind"]) != "causal":
                others = (((*origin, "architecture", "kind"), f"the kind of {origin}"),)
                what = f"a model of kind {found} writes no paraphrases"
                yield Disagreement((*at, "of"), what, "name one of kind causal", others)
            if kind["agrees"]:
                yield from _judge(specs, (*at, "agrees"), kind["agrees"], corpus)


def _judge(specs: Specs, at: Steps, judge: str, corpus: ArtifactName) -> Iterator[Disagreement]:
    """What is wrong with the classifier that must agree."""
    origin, model = specs.first(judge)
    if model["architecture"]["kind"] in WRITERS:
        others = (((*origin, "architecture", "kind"), f"the kind of {origin}"),)
        found = f"{judge} writes, and tells no labels apart"
        yield Disagreement(at, found, "name a classifier, or write null", others)
        return
    own = specs[specs.splits_of(model["on"])]["of"]
    if unknown := [label for label in specs[corpus]["labels"] if label not in specs[own]["labels"]]:
        place = (*ArtifactName.parse(own), "labels"), f"labels of {own}"
        found = f"{judge} knows no label {some([repr(label) for label in unknown])}"
        yield Disagreement(at, found, "name a classifier of the same labels", (place,))


RULES = (
    sides_can_be_read,
    only_labelled_texts_are_augmented,
    phrases_suit_the_corpus,
    synonyms_can_be_read,
    paraphrases_can_be_written,
)
