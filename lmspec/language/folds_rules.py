"""folds_rules: what can be trained on folds, and on which rows its answers are scored."""

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.checks import folds as checks
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName


def folds_suit_the_model(specs: Specs) -> Disagreements:
    """Folds are of models that tell labels apart, and that have learned from no row before."""
    for name, folds in specs.of("folds"):
        of = ArtifactName.parse(folds["of"])
        for found in checks.suits(specs[of]):
            others = tuple(((*of, *steps), f"{what} of {of}") for steps, what in found.others)
            yield Disagreement((*name, *found.steps), found.found, found.remedy, others)


def folds_keep_together_what_splits_do(specs: Specs) -> Disagreements:
    """A row of one fold may be nearly the same as one of another, unless these share a fold, too.

    What is kept together in the splits is not in their output.
    """
    for name, folds in specs.of("folds"):
        splits = ArtifactName.parse(specs.splits_of(specs[folds["of"]]["on"]))
        if folds["keep_together"] != specs[splits]["keep_together"]:
            found = f"{splits} keeps other rows together"
            others = (((*splits, "keep_together"), "theirs"),)
            remedy = "write the same there and here"
            yield Disagreement((*name, "keep_together"), found, remedy, others)


def folds_are_scored_on_their_rows(specs: Specs) -> Disagreements:
    """Folds have answered the rows that their model is trained on, and none that they have seen."""
    for name, scores in specs.of("scores"):
        of = ArtifactName.parse(scores["of"])
        if of.noun != "folds":
            continue
        splits = specs.splits_of(specs[specs[of]["of"]]["on"])
        others = (((*of, "of"), "the model"),)
        if scores["on"] != [splits]:
            found = f"{of} have answered the rows of {splits} alone"
            yield Disagreement((*name, "on"), found, f"write `on: [{splits}]`", others)
        if scores["accepted_overlap"]:
            found = f"no row of {of} was answered by a model that has seen it"
            yield Disagreement((*name, "accepted_overlap"), found, "write []")


RULES = folds_suit_the_model, folds_keep_together_what_splits_do, folds_are_scored_on_their_rows
