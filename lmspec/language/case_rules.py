"""case_rules: the files of cases that `examined` reads are sound, and about labels that exist."""

from lmspec.errors import LmspecError
from lmspec.formats import cases
from lmspec.language import on_disk
from lmspec.language.resolved import Disagreements, Specs, unsuited_to_writers
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement


def cases_are_sound(specs: Specs) -> Disagreements:
    """A mistake in a file of cases is found before a model is built that they examine."""
    for name, examined in specs.of("examined"):
        suites = on_disk.suites(specs.root, examined["cases"])
        labels = specs[specs[examined["on"]]["of"]]["labels"]
        try:
            if isinstance(suites, LmspecError):
                raise suites
            writes = specs.first(name)[1]["architecture"]["kind"] in WRITERS
            cases.require_kinds(suites, writes)
            if labels:  # texts_have_labels reports a corpus without any
                cases.require_labels(suites, labels)
        except LmspecError as error:
            found = f"{error.place}: {error.found}"
            yield Disagreement((*name, "cases"), found, error.remedy)


def examined_writers_generate(specs: Specs) -> Disagreements:
    """A model that writes is examined by its answers, any other by its labels."""
    remedy = "say in `generation` how they are generated"
    lacks = "generates nothing"
    yield from unsuited_to_writers(specs, "examined", "generation", WRITERS, lacks, remedy)


RULES = (cases_are_sound, examined_writers_generate)
