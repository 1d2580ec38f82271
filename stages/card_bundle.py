"""card_bundle: what a longer card has beside its scores, from artifacts; and the card as a page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import attributions, documents
from lmspec.methods import evidence, factsheet, folders
from lmspec.methods.factsheet import Explained
from lmspec.specs.base import Ref, references
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.names import ArtifactName

PAGE = "card.html"
COLUMNS = ("suite", "id", "group", "term", "passed", "probability")
# No script, no picture, nothing of elsewhere: what authors write is text.
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Model card</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid #8888; padding: .2rem .5rem; text-align: left; overflow-wrap: normal; }
code { font-size: .9em; }
pre { overflow-x: auto; padding: .5rem; border: 1px solid #8888; }
li strong { background: #fd08; padding: 0 .1em; }
</style>
</head>
<body>
<main>
"""
FOOT = "</main>\n</body>\n</html>\n"


def sections(
    spec: BundleSpec, needs: stage.Needs, labels: list[str], metrics: Mapping[str, Any]
) -> list[str]:
    """In the order of the card. metrics: those of the scores, by dataset"""
    card = spec.card
    assert card is not None
    table = documents.read(needs[spec.scores] / "predictions.parquet", evidence.Row._fields)
    rows = [evidence.Row(*row) for row in table.select(evidence.Row._fields).iter_rows()]
    cases = [] if card.examined is None else _cases(needs[card.examined])
    texts = [] if card.explained is None else texts_of(card.explained, spec, needs)
    attacks = {} if card.attacked is None else _metrics(card.attacked, needs)
    return [
        factsheet.groups(rows, labels),
        *factsheet.ways(metrics),
        factsheet.behaviour(card.examined, cases),
        factsheet.explanations(card.explained, texts, card.texts),
        factsheet.membership(card.attacked, attacks),
        *factsheet.stated(card),
        factsheet.unmeasured(),
        factsheet.origin(drawn_on(spec, needs)),
    ]


def _metrics(ref: Ref, needs: stage.Needs) -> dict[str, Any]:
    """What git has of an artifact."""
    path = needs.root / ArtifactName.parse(ref).metrics
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _cases(folder: Path) -> list[dict[str, object]]:
    table = documents.read(folder / "cases.parquet", COLUMNS)
    return [dict(row) for row in table.select(COLUMNS).iter_rows(named=True)]


def texts_of(ref: Ref, spec: BundleSpec, needs: stage.Needs) -> list[Explained]:
    """Explained test texts. Raises LmspecError if others would leave with the card."""
    assert spec.card is not None
    table = attributions.read(needs[ref])
    scored = documents.read(needs[spec.scores] / "predictions.parquet", ["id"])["id"]
    others = table.filter(~table["id"].is_in(scored.implode()))
    if spec.card.texts and others.height:
        found = f"{others.height} of its {table.height} texts are no test texts of {spec.scores}"
        remedy = "explain its test split, or write `texts: 0`: no other texts leave with a card"
        raise LmspecError(f"bundle.card.explained, {ref}", found, remedy)
    names = [name if name != "weights" else "attributions" for name in Explained._fields]
    return [Explained(*row) for row in table.select(names).iter_rows()]


def drawn_on(spec: BundleSpec, needs: stage.Needs) -> Mapping[str, str]:
    """Artifact -> SHA-256 of its folder."""
    named = [spec.of, spec.scores, *(ref for _, ref in references(spec.card))]
    return {str(ref): folders.sha256(needs[ref]) for ref in dict.fromkeys(named)}


def page(markdown: str) -> str:
    """The card without its front matter, as HTML: tags that a text holds are shown as they are."""
    _, _, text = markdown.partition("---\n")[2].partition("---\n")
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return f"{HEAD}{made.render(text)}{FOOT}"
