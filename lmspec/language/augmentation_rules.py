"""augmentation_rules: in which split rows were, and what may be made of training texts."""

from collections.abc import Iterator

from lmspec.errors import LmspecError
from lmspec.language import resolved
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName


def sides_can_be_read(specs: Specs) -> Disagreements:
    """The file of an earlier cut is there, and names splits."""
    from lmspec.formats import sides

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
    from lmspec.formats import phrases  # here: pydantic takes 0.1 s

    try:
        phrases.read(specs.root, file, kind, labels)
    except LmspecError as error:
        yield Disagreement(at, f"{error.place}: {error.found}", error.remedy)


RULES = (sides_can_be_read, only_labelled_texts_are_augmented, phrases_suit_the_corpus)
