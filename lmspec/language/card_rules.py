"""card_rules: rules of longer model cards. They are rules as those of language/rules.py."""

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName


def card_shows_its_own_model(specs: Specs) -> Disagreements:
    """A model card must not show how another model behaves: only its graph, or what that is of."""
    for name, bundle in specs.of("bundle"):
        line = [str(member) for member in specs.line(bundle["of"])]
        for field in ("examined", "explained", "attacked"):
            shown = (bundle.get("card") or {}).get(field)
            if shown and (of := specs[shown]["of"]) not in line:
                found = f"{shown} is of {of}, and the bundle holds {bundle['of']}"
                place = (*ArtifactName.parse(shown), "of"), "what it is of"
                remedy = f"name one of {' or '.join(line)}"
                yield Disagreement((*name, "card", field), found, remedy, (place,))


def card_shows_test_texts(specs: Specs) -> Disagreements:
    """Texts that a model was trained on must not leave with its card, which has test texts."""
    for name, bundle in specs.of("bundle"):
        card = bundle.get("card") or {}
        shown = card.get("explained")
        if not shown or not card["texts"]:
            continue
        explained, place = specs[shown], ArtifactName.parse(shown)
        at = (*name, "card", "explained")
        if (split := explained["rows"]["split"]) != "test":
            origin: Steps = (*place, "rows", "split")
            found = f"{shown} has texts of the {split} split, which would leave with the card"
            remedy = "write `split: test` there, or `texts: 0` here"
            yield Disagreement(at, found, remedy, ((origin, "the split"),))
        elif explained["on"] not in specs[bundle["scores"]]["on"]:
            origin = (*place, "on")
            found = f"{shown} has texts of {explained['on']}, on which {bundle['scores']} are not"
            remedy = "name explanations of texts that are scored"
            yield Disagreement(at, found, remedy, ((origin, "its splits"),))


RULES = (card_shows_its_own_model, card_shows_test_texts)
