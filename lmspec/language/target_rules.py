"""target_rules: rules of what a bundle runs on, and of graphs for one kind of machine.

They are rules as those of language/rules.py.
"""

from collections.abc import Iterator

from lmspec.language.resolved import GRAPHS, Disagreements, Specs, Values
from lmspec.specs.checks.targets import BROWSER
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName

BUNDLE, QUANTIZED, CALIBRATED, FP16 = "bundle", "quantized", "calibrated", "fp16"
NGRAMS = ("linear", "hybrid")  # kinds of models that read n-grams


def _targets(specs: Specs) -> Iterator[tuple[Steps, Values, Values]]:
    """(place, target, its bundle)."""
    for name, bundle in specs.of(BUNDLE):
        for i, target in enumerate(bundle.get("targets") or ()):
            yield (*name, "targets", i), target, bundle


def _scheme(specs: Specs, graph: str) -> Values | None:
    """How its numbers were made smaller; None of a graph in fp32."""
    name = _smaller(specs, graph)
    scheme: Values | None = specs[name]["scheme"] if name else None
    return scheme


def _smaller(specs: Specs, graph: str) -> ArtifactName | None:
    """The quantized graph that it is, or that was calibrated; None of one in fp32."""
    return next((member for member in specs.line(graph) if member.noun == QUANTIZED), None)


def _place(specs: Specs, graph: str, field: str) -> tuple[Steps, str]:
    name = _smaller(specs, graph)
    assert name is not None
    return (*name, "scheme", field), f"the scheme of {name}"


def weights_do_not_overflow(specs: Specs) -> Disagreements:
    """x86 kernels without VNNI add products of int8 in 16 bits, which 8-bit weights exceed."""
    for at, graph, remedy in _without_vnni(specs):
        if (_scheme(specs, graph) or {}).get("reduce_range") is False:
            found = (
                f"the 8-bit weights of {graph} overflow in x86 kernels without VNNI,"
                " which changes answers silently"
            )
            remedy = f"name a graph with `reduce_range: true`, or {remedy}"
            place = _place(specs, graph, "reduce_range")
            yield Disagreement((*at, "of"), found, remedy, (place,))


def _without_vnni(specs: Specs) -> Iterator[tuple[Steps, str, str]]:
    """(place, graph that any processor runs or any with AVX2, how it would need VNNI)."""
    for name, bundle in specs.of(BUNDLE):
        if not bundle.get("targets"):
            listed = f"{{kind: cpu, instructions: vnni, of: {bundle['of']}}}"
            yield name, bundle["of"], f"write `targets: [{listed}]`"
    for at, target, _ in _targets(specs):
        if target["kind"] == "cpu" and target["instructions"] != "vnni":
            yield at, target["of"], "write `instructions: vnni`"


def cards_compute_floats(specs: Specs) -> Disagreements:
    """onnxruntime has no int8 kernels of these schemes for a card: the processor would compute."""
    for at, target, _ in _targets(specs):
        scheme = _scheme(specs, target["of"])
        if target["kind"] == "cuda" and scheme and scheme["kind"] != FP16:
            found = f"{target['of']} is in int8, which onnxruntime computes beside the card"
            remedy = "name the exported graph, or one of the scheme `{kind: fp16}`"
            yield Disagreement((*at, "of"), found, remedy, (_place(specs, target["of"], "kind"),))


def halves_are_for_cards(specs: Specs) -> Disagreements:
    """A processor, and a browser on it, converts fp16 to fp32 and back at each operation."""
    for at, target, _ in _targets(specs):
        scheme = _scheme(specs, target["of"])
        if target["kind"] != "cuda" and scheme and scheme["kind"] == FP16:
            found = f"{target['of']} is in fp16, which is slower than fp32 on a processor"
            remedy = "name a graph in int8 or fp32"
            yield Disagreement((*at, "of"), found, remedy, (_place(specs, target["of"], "kind"),))


def targets_are_of_one_model(specs: Specs) -> Disagreements:
    """The graphs of a bundle answer alike, but for rounding."""
    for at, target, bundle in _targets(specs):
        (*_, own), (*_, its) = (_exported(specs, one) for one in (bundle["of"], target["of"]))
        if own != its:
            found = f"{target['of']} is of {its}, and the bundle's own graph of {own}"
            yield Disagreement((*at, "of"), found, f"name a graph of {own}")


def targets_are_calibrated_alike(specs: Specs) -> Disagreements:
    """A probability means the same on each machine: all graphs are calibrated, or none is."""
    for at, target, bundle in _targets(specs):
        own, its = (_is_calibrated(name) for name in (bundle["of"], target["of"]))
        if own != its:
            which = "calibrated, and the bundle's own graph is not"
            if own:
                which = "not calibrated, and the bundle's own graph is"
            place = (*at[:2], "of"), "the bundle's own"
            remedy = "name a graph that is not" if its else "name one that is: `calibrated`"
            yield Disagreement((*at, "of"), f"{target['of']} is {which}", remedy, (place,))


def _is_calibrated(graph: str) -> bool:
    return ArtifactName.parse(graph).noun == CALIBRATED


def _exported(specs: Specs, graph: str) -> Iterator[str]:
    """Graphs of its line, then the model that was exported."""
    for member in specs.line(graph):
        yield str(member)
        if member.noun not in GRAPHS:
            return


def targets_show_their_own_scores(specs: Specs) -> Disagreements:
    """A row of the model card must not show the scores of another graph."""
    for at, target, _ in _targets(specs):
        scores = target.get("scores")
        if scores and (scored := specs[scores]["of"]) != target["of"]:
            found = f"{scores} scores {scored}, and the target runs {target['of']}"
            place = (*ArtifactName.parse(scores), "of"), "what they score"
            yield Disagreement((*at, "scores"), found, f"name scores of {target['of']}", (place,))


def browsers_read_tokens(specs: Specs) -> Disagreements:
    """N-grams have no reader in JavaScript."""
    for at, target, _ in _targets(specs):
        origin, model = specs.first(target["of"])
        kind = model["architecture"]["kind"]
        if target["kind"] == BROWSER and kind in NGRAMS:
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            found = f"{origin} is of kind {kind}, whose n-grams no browser reads"
            yield Disagreement((*at, "kind"), found, "remove the target", (place,))


def browsers_repair_alike(specs: Specs) -> Disagreements:
    """Look-alikes are folded, and personal data redacted, in Python alone."""
    for at, target, _ in _targets(specs):
        if target["kind"] != BROWSER:
            continue
        # an updated model has the rule of its new data
        on = next(specs[each]["on"] for each in specs.line(target["of"]) if "on" in specs[each])
        corpus = ArtifactName.parse(specs[specs.splits_of(on)]["of"])
        for steps, value in (
            (("clean", "look_alikes"), specs[corpus]["clean"].get("look_alikes")),
            (("redact",), specs[corpus].get("redact")),
        ):
            if value:
                found = f"the texts of {corpus} are repaired in a way that no browser repairs them"
                place = (*corpus, *steps), "how they are"
                yield Disagreement((*at, "kind"), found, "remove the target", (place,))
                break


RULES = (
    weights_do_not_overflow,
    cards_compute_floats,
    halves_are_for_cards,
    targets_are_of_one_model,
    targets_are_calibrated_alike,
    targets_show_their_own_scores,
    browsers_read_tokens,
    browsers_repair_alike,
)
