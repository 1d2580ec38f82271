"""case_rules: the files of cases that `examined` reads are sound, and about labels that exist."""

from lmspec.errors import LmspecError
from lmspec.formats import cases
from lmspec.language import on_disk
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement


def cases_are_sound(specs: Specs) -> Disagreements:
    """A mistake in a file of cases is found before a model is built that they examine."""
    for name, examined in specs.of("examined"):
        suites = on_disk.suites(specs.root, examined["cases"])
        labels = specs[specs[examined["on"]]["of"]]["labels"]
        try:
            if isinstance(suites, LmspecError):
                raise suites
            if labels:  # texts_have_labels reports a corpus without any
                cases.require_labels(suites, labels)
        except LmspecError as error:
            found = f"{error.place}: {error.found}"
            yield Disagreement((*name, "cases"), found, error.remedy)


RULES = (cases_are_sound,)
