"""kept_rules: columns that a corpus keeps, and what names them."""

from collections.abc import Iterator

from lmspec.errors import some
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.specs.checks.groups import OWN
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName

TABLE, LABEL = OWN


def kept_columns_are_there(specs: Specs) -> Disagreements:
    """Texts are grouped by their table, their label, or a column that their corpus keeps."""
    for name, spec in specs.of("scores", "model", "student", "updated"):
        for steps, column in _named(spec):
            corpora = dict.fromkeys(specs[ref.target]["of"] for ref in specs.reads(name))
            for corpus in map(ArtifactName.parse, corpora):
                kept = [
                    each for table in specs[corpus]["tables"] for each in table.get("keep") or ()
                ]
                if column not in kept:
                    listed = f"{TABLE}, and {some(kept)} that it keeps" if kept else TABLE
                    found = f"{corpus} keeps no column {column!r}: there is {listed}"
                    others = (((*corpus, "tables", 0), "its first table"),)
                    remedy = "add it to `keep` of its tables"
                    yield Disagreement((*name, *steps), found, remedy, others)
                    break


def _named(spec: Values) -> Iterator[tuple[Steps, str]]:
    """(field, column) of each further column that groups or a balance name."""
    for i, way in enumerate((spec.get("groups") or {}).get("by") or ()):
        if way["kind"] == "column" and way["column"] not in OWN:
            yield ("groups", "by", i, "column"), way["column"]
    by = ((spec.get("training") or {}).get("balance") or {}).get("by") or {}
    if by.get("kind") == "column" and by["column"] != TABLE:
        yield ("training", "balance", "by", "column"), by["column"]


RULES = (kept_columns_are_there,)
