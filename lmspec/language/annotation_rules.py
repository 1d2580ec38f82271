"""annotation_rules: what files of annotations say: labels that there are, one for each row.

They are rules as those of language/rules.py.
"""

from lmspec.errors import LmspecError
from lmspec.formats import annotations, rowids
from lmspec.language.resolved import Disagreements, Specs
from lmspec.methods import annotating
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName


def corrections_can_be_read(specs: Specs) -> Disagreements:
    """A damaged line, an unknown label or two labels of one row would be lost, or win by chance."""
    for name, corpus in specs.of("corpus"):
        read = []
        for i, file in enumerate(corpus.get("corrections") or ()):
            try:
                read += annotations.read(specs.root / file, file)
            except (LmspecError, OSError) as error:
                yield _of((*name, "corrections", i), error, file)
                break
        else:
            try:
                annotating.settled(read, corpus["labels"])
            except LmspecError as error:
                yield _of((*name, "corrections"), error, "")


def deleted_rows_can_be_read(specs: Specs) -> Disagreements:
    """A file of ids that cannot be read would delete nothing."""
    for name, corpus in specs.of("corpus"):
        if file := corpus.get("deleted"):
            try:
                rowids.read(specs.root / file, file)
            except LmspecError as error:
                yield _of((*name, "deleted"), error, file)


def _of(steps: tuple[str | int, ...], error: LmspecError | OSError, file: str) -> Disagreement:
    if isinstance(error, LmspecError):
        return Disagreement(steps, f"{error.place}: {error.found}", error.remedy)
    found = f"{file} cannot be read: {error.strerror}"
    return Disagreement(steps, found, "check its owner and its mode")


def listed_texts_have_labels(specs: Specs) -> Disagreements:
    """Labels are judged, or learned from: there are some."""
    for name, one in specs.of("suspects", "queue"):
        corpus = ArtifactName.parse(one["of"])
        if corpus.noun == "splits":
            corpus = ArtifactName.parse(specs[corpus]["of"])
        if not specs[corpus]["labels"]:
            others = (((*corpus, "labels"), "none"),)
            found = f"the texts of {corpus} have no labels"
            yield Disagreement((*name, "of"), found, "name texts that have some", others)


RULES = corrections_can_be_read, deleted_rows_can_be_read, listed_texts_have_labels
