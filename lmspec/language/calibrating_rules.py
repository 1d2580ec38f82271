"""calibrating_rules: rules of calibrated graphs. They are rules as those of language/rules.py."""

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

UNSURE = "unsure"  # that of methods/abstaining.py, which is copied into bundles


def no_label_is_unsure(specs: Specs) -> Disagreements:
    """A graph that abstains answers `unsure`, which must not be one of its labels."""
    for name, calibrated in specs.of("calibrated"):
        corpus = ArtifactName.parse(specs[calibrated["on"][0]]["of"])
        if calibrated["abstain"] is not None and UNSURE in (specs[corpus]["labels"] or ()):
            found = f"{corpus} has a label {UNSURE!r}, and so it answers where no label is sure"
            remedy = "rename the label, or write `abstain: null`"
            others = (((*corpus, "labels"), "the labels"),)
            yield Disagreement((*name, "abstain"), found, remedy, others)


RULES = (no_label_is_unsure,)
