"""model_rules: rules of one model beside its weights, which a sweep's trials keep, too."""

from lmspec.language import on_disk, resolved
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.checks.model import CONTRASTIVE
from lmspec.specs.disagreement import Disagreement


def length_fits_positions(specs: Specs) -> Disagreements:
    """A pretrained model has position embeddings for so many tokens and no more."""
    for name, model in specs.of("model"):
        positions = on_disk.positions(resolved.config(specs, model))
        architecture, at = model["architecture"], (*name, "architecture")
        if positions is not None and (length := architecture["max_length"]) > positions:
            yield Disagreement(
                (*at, "max_length"),
                f"{length} exceeds the {positions} positions of {architecture['weights']}",
                "lower it",
                (((*at, "weights"), "its weights"),),
            )


def layers_to_freeze_exist(specs: Specs) -> Disagreements:
    """No more layers are frozen than the model has."""
    for name, spec in specs.of("model", "updated"):
        at = (*name, "architecture") if name.noun == "model" else name
        training = spec["training"]
        if training["kind"] == CONTRASTIVE:
            at, frozen = (*name, "training"), training["frozen_layers"]
        else:
            frozen = spec.get("architecture", spec).get("frozen_layers", 0)
        depth, place = resolved.depth(specs, name)
        if depth is not None and frozen > depth:
            kind = specs.first(name)[1]["architecture"]["kind"]
            yield Disagreement(
                (*at, "frozen_layers"),
                f"{frozen} exceeds the {depth} layer{'' if depth == 1 else 's'} of the {kind}",
                "set it to 0: convolutions are not stacked" if kind == "cnn" else "lower it",
                (place,),
            )


RULES = (length_fits_positions, layers_to_freeze_exist)
