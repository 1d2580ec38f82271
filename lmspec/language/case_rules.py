"""case_rules: the files of cases that `examined` reads are sound, and about labels that exist."""

from lmspec.errors import LmspecError
from lmspec.formats import cases
from lmspec.language import on_disk
from lmspec.language.resolved import Disagreements, Specs
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
    for name, examined in specs.of("examined"):
        origin, model = specs.first(name)
        kind, generates = model["architecture"]["kind"], examined.get("generation") is not None
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        if generates and kind not in WRITERS:
            found = f"a model of kind {kind} generates nothing"
            yield Disagreement((*name, "generation"), found, "remove it", (place,))
        elif not generates and kind == "causal":
            found = f"a model of kind {kind} has answers, no labels"
            yield Disagreement(name, found, "say in `generation` how they are generated", (place,))


RULES = (cases_are_sound, examined_writers_generate)
