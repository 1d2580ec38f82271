"""card_rules: rules of longer model cards. They are rules as those of language/rules.py."""

from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName


def card_shows_its_own_model(specs: Specs) -> Disagreements:
    """A model card must not show how another model behaves: only its graph, or what that is of."""
    for name, bundle in specs.of("bundle"):
        line = [str(member) for member in specs.line(bundle["of"])]
        for field in ("examined", "explained"):
            shown = (bundle.get("card") or {}).get(field)
            if shown and (of := specs[shown]["of"]) not in line:
                found = f"{shown} is of {of}, and the bundle holds {bundle['of']}"
                place = (*ArtifactName.parse(shown), "of"), "what it is of"
                remedy = f"name one of {' or '.join(line)}"
                yield Disagreement((*name, "card", field), found, remedy, (place,))


RULES = (card_shows_its_own_model,)
