"""bundle checks: what programs read of a model card, and which scores it has."""

from collections.abc import Iterator, Mapping
from typing import Any

from lmspec.specs.disagreement import Disagreement, repeated


def license_is_an_spdx_expression(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """Programs read the license in the model card."""
    from packaging import licenses  # takes longer than the other checks together

    try:
        licenses.canonicalize_license_expression(bundle["license"])
    except licenses.InvalidLicenseExpression:
        yield Disagreement(
            ("license",),
            "it is not an SPDX license expression",
            "write an identifier from https://spdx.org/licenses, such as Apache-2.0, or "
            "LicenseRef-NAME for a license of your own",
        )


def each_of_beside_once(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A model card has each scores artifact in one row."""
    beside = bundle.get("beside") or ()
    for i, first, name in repeated(beside):
        others = ((("beside", first), "the first"),)
        yield Disagreement(("beside", i), f"{name} is named twice", "remove one", others)
    for i, name in enumerate(beside):
        if name == bundle["scores"]:
            own = ((("scores",), "the bundle's own"),)
            yield Disagreement(("beside", i), f"{name} is in the card anyway", "remove it", own)


def beside_is_of_answers(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """The card of a model that tells labels apart has its own scores alone."""
    if bundle.get("beside") and bundle.get("generation") is None:
        found = "only the card of a model that writes has further scores"
        yield Disagreement(("beside",), found, "remove it")


def mistakes_are_of_labels(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A generated answer is not simply right or wrong."""
    if bundle.get("mistakes") is not None and bundle.get("generation") is not None:
        found = "only a model that tells labels apart has texts that it gets wrong"
        yield Disagreement(("mistakes",), found, "remove it")


def card_is_of_labels(bundle: Mapping[str, Any]) -> Iterator[Disagreement]:
    """A model that writes has another card; half of the texts shown are right answers."""
    card = bundle.get("card")
    if card is None:
        return
    if bundle.get("generation") is not None:
        found = "only the bundle of a model that tells labels apart has a longer card"
        yield Disagreement(("card",), found, "remove it")
    elif card["texts"] and card["explained"] is None:
        found = f"{card['texts']} explained texts are shown, and there are no explanations"
        others = ((("card", "explained"), "none"),)
        yield Disagreement(("card", "texts"), found, "name `explained`, or show 0", others)
