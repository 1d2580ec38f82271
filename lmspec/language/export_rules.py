"""export_rules: rules of what models that write are exported as, and of what is made from that.

They are rules as those of language/rules.py.
"""

from lmspec.language import on_disk, resolved
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.checks.exported import DECODERS, IN_GGUF, is_gguf, not_a_decoder, not_in_gguf
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

EXPORTED, QUANTIZED = "exported", "quantized"


def format_suits_the_kind(specs: Specs) -> Disagreements:
    """A model that writes becomes a graph with a cache, or a GGUF; any other a graph without."""
    for name, exported in specs.of(EXPORTED):
        origin, model = specs.first(name)
        kind, form = model["architecture"]["kind"], exported.get("format")
        place = (*origin, "architecture", "kind"), f"the kind of {origin}"
        if kind == "causal" and form is None:
            found = f"a model of kind {kind} is exported with a cache, or as a GGUF"
            remedy = "write `format: {kind: cache, ...}`: `lmspec explain exported.format`"
            yield Disagreement(name, found, remedy, (place,))
        elif kind not in WRITERS and form is not None:
            found = f"a model of kind {kind} writes nothing: it is exported without a format"
            yield Disagreement((*name, "format"), found, "remove it", (place,))


def cache_fits_the_model(specs: Specs) -> Disagreements:
    """A graph reads the longest example, and no text that is longer than the model can read."""
    for name, exported in specs.of(EXPORTED):
        origin, model = specs.first(name)
        has_cache = exported.get("format") and not is_gguf(exported)
        if not has_cache or model["architecture"]["kind"] != "causal":
            continue
        most, architecture = exported["format"]["max_past"], model["architecture"]
        config, weights = resolved.config(specs, model), architecture["weights"]
        at, places = (*name, "format", "max_past"), (*origin, "architecture")
        positions = on_disk.positions(config)
        if most < (length := architecture["max_length"]):
            found = f"the longest example of {origin} has {length} tokens, more than {most}"
            place = (*places, "max_length"), f"max_length of {origin}"
            yield Disagreement(at, found, "raise it", (place,))
        elif positions is not None and most > positions:
            found = f"{most} exceeds the {positions} positions of {weights}"
            yield Disagreement(at, found, "lower it", (((*places, "weights"), "its weights"),))


def format_is_of_the_model(specs: Specs) -> Disagreements:
    """A graph and a GGUF are written for some types of models, whose layers are known."""
    for name, exported in specs.of(EXPORTED):
        origin, model = specs.first(name)
        if not exported.get("format") or model["architecture"]["kind"] != "causal":
            continue
        model_type = resolved.config(specs, model).get("model_type")
        own, why = (IN_GGUF, not_in_gguf) if is_gguf(exported) else (DECODERS, not_a_decoder)
        if isinstance(model_type, str) and model_type not in own:
            place = (*origin, "architecture", "weights"), "its weights"
            yield Disagreement((*name, "of"), *why(model_type), (place,))


def gguf_is_read_elsewhere(specs: Specs) -> Disagreements:
    """llama.cpp runs a GGUF; what is quantized, scored, timed or bundled here is a graph."""
    for name in specs.names:
        for reference in specs.edges[name]:
            target = ArtifactName.parse(reference.target)
            if target.noun == EXPORTED and is_gguf(specs[target]):
                found = f"{target} is a GGUF, which nothing of lmspec runs"
                remedy = "export the model with a cache as well, and name that"
                place = (*target, "format", "kind"), "its format"
                yield Disagreement(reference.steps, found, remedy, (place,))


def weight_only_is_of_writers(specs: Specs) -> Disagreements:
    """A classifier's time is not that of reading its weights."""
    for name, quantized in specs.of(QUANTIZED):
        origin, model = specs.first(name)
        kind = model["architecture"]["kind"]
        if quantized["scheme"]["kind"] == "weight_only" and kind not in WRITERS:
            found = f"weight_only is of models that write, not of kind {kind}"
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            remedy = "use dynamic or static"
            yield Disagreement((*name, "scheme", "kind"), found, remedy, (place,))


RULES = (
    format_suits_the_kind,
    format_is_of_the_model,
    cache_fits_the_model,
    gguf_is_read_elsewhere,
    weight_only_is_of_writers,
)
