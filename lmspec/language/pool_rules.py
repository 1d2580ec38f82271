"""pool_rules: rows that a model labels itself."""

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName


def pool_is_another_corpus(specs: Specs) -> Disagreements:
    """A model learns the whole pool: of the corpus of its splits, that has the test rows."""
    for name, model in specs.of("model"):
        rule = model.get("self_training")
        splits = specs.splits_of(model["on"])
        if rule is not None and rule["pool"] == specs[splits]["of"]:
            yield Disagreement(
                (*name, "self_training", "pool"),
                f"{rule['pool']} has the dev and test rows of {splits}",
                "name a corpus that is built `without` it",
                (((*ArtifactName.parse(splits), "of"), f"what {splits} cuts"),),
            )


def pool_holds_texts(specs: Specs) -> Disagreements:
    """Labels are of texts: a conversation has none."""
    for name, model in specs.of("model"):
        rule = model.get("self_training")
        if rule is not None and any(table.get("turns") for table in specs[rule["pool"]]["tables"]):
            yield Disagreement(
                (*name, "self_training", "pool"),
                f"the rows of {rule['pool']} are conversations",
                "name a corpus of texts",
                (((*ArtifactName.parse(rule["pool"]), "tables"), "here"),),
            )


RULES = (pool_is_another_corpus, pool_holds_texts)
