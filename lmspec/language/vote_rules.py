"""vote_rules: labelling functions can vote: their words are there, their patterns compile.

They are rules as those of language/rules.py.
"""

from collections.abc import Iterator
from typing import Any

from lmspec.errors import LmspecError
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement, Steps


def labelling_functions_can_vote(specs: Specs) -> Disagreements:
    """A file of words that cannot be read, or a pattern that is none, would stop the build."""
    for name, corpus in specs.of("corpus"):
        for i, table in enumerate(corpus["tables"]):
            if table["label"] and table["label"]["kind"] == "votes":
                for j, function in enumerate(table["label"]["functions"]):
                    at = (*name, "tables", i, "label", "functions", j)
                    yield from _fault(specs, at, function, corpus["labels"])


def _fault(
    specs: Specs, at: Steps, function: dict[str, Any], labels: list[str]
) -> Iterator[Disagreement]:
    from lmspec.formats import lexicon
    from lmspec.methods import voting  # here: polars takes 0.1 s

    try:
        if function["kind"] == "lexicon" and function["of"] is None:
            field, file = "file", function["file"]
            lexicon.read(specs.root / file, file, labels, weighted=function["bands"] is not None)
        elif function["kind"] == "pattern":
            field = "pattern"
            voting.matches(function["name"], function["pattern"], [""])
    except LmspecError as error:
        yield Disagreement((*at, field), f"{error.place}: {error.found}", error.remedy)


RULES = (labelling_functions_can_vote,)
