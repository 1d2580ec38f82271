"""tracing_rules: rules of `traced`: networks with layers, pairs, concepts and layers that exist."""

from lmspec.errors import LmspecError, some
from lmspec.formats import contrasts
from lmspec.language import on_disk, resolved
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement
from lmspec.specs.names import ArtifactName

KINDS = {"labels": "transformer", "answers": "causal"}  # what the answers are -> kind of model


def traced_has_layers(specs: Specs) -> Disagreements:
    """Hidden states are exchanged between layers that are alike: a transformer's."""
    for name, traced in specs.of("traced"):
        for field in ("of", "against"):
            if traced[field] is None:
                continue
            origin, model = specs.first(traced[field])
            kind, wanted = model["architecture"]["kind"], KINDS[traced["answers"]]
            if kind == wanted:
                continue
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            other = next((answers for answers, of in KINDS.items() if of == kind), None)
            if other is None:
                found = f"a model of kind {kind} has no layers whose states can be exchanged"
                remedy = "name one of kind transformer or causal"
                yield Disagreement((*name, field), found, remedy, (place,))
            else:
                found = f"the answers of a model of kind {kind} are {other}"
                others = (place, ((*name, "answers"), "what they are here"))
                yield Disagreement((*name, field), found, f"write `answers: {other}`", others)


def traced_layers_exist(specs: Specs) -> Disagreements:
    """Layers are counted from 0 to one below their number, and weights compared one by one."""
    for name, traced in specs.of("traced"):
        depth, place = resolved.depth(specs, traced["of"])
        if not depth:
            continue  # traced_has_layers reports a model without layers
        for i, layer in enumerate(traced["layers"]):
            if layer >= depth:
                found = f"{traced['of']} has no layer {layer}"
                remedy = f"it has layers 0 to {depth - 1}"
                yield Disagreement((*name, "layers", i), found, remedy, (place,))
        against = traced["against"]
        other, there = resolved.depth(specs, against) if against else (None, place)
        if other and other != depth:
            found = f"{against} has {other} layers, and {traced['of']} {depth}"
            remedy = "name a network of the same layers"
            yield Disagreement((*name, "against"), found, remedy, (there, place))


def pairs_are_sound(specs: Specs) -> Disagreements:
    """A mistake in a file of pairs is found before a model is built that they trace."""
    for name, traced in specs.of("traced"):
        found = on_disk.contrasts(specs.root, traced["pairs"])
        labels = specs[specs[traced["on"]]["of"]]["labels"]
        try:
            if isinstance(found, LmspecError):
                raise found
            if labels and traced["answers"] == "labels":
                contrasts.require_labels(found, labels)
        except LmspecError as error:
            problem = f"{error.place}: {error.found}"
            yield Disagreement((*name, "pairs"), problem, error.remedy)


def concepts_exist(specs: Specs) -> Disagreements:
    """What a probe tells apart are tables of the corpus, or terms of a suite of groups."""
    for name, traced in specs.of("traced"):
        corpus = ArtifactName.parse(specs[traced["on"]]["of"])
        tables = [table["name"] for table in specs[corpus]["tables"]]
        for i, concept in enumerate(traced["concepts"]):
            at = (*name, "concepts", i)
            for j, table in enumerate(concept.get("tables", ())):
                if table not in tables:
                    place = (*corpus, "tables"), f"the tables of {corpus}"
                    found = f"{corpus} has no table {table!r}"
                    remedy = f"it has {some(tables)}"
                    yield Disagreement((*at, "tables", j), found, remedy, (place,))
            if concept["kind"] == "terms":
                yield from _terms(specs, (*at, "suite"), concept["cases"], concept["suite"])


def _terms(specs: Specs, at: tuple[str | int, ...], file: str, suite: str) -> Disagreements:
    suites = on_disk.suites(specs.root, file)
    if isinstance(suites, LmspecError):
        found = f"{suites.place}: {suites.found}"
        yield Disagreement((*at[:-1], "cases"), found, suites.remedy)
        return
    known = [one.name for one in suites if one.is_gap and len(one.templates) > 1]
    if suite not in known:
        found = f"{file} has no suite {suite!r} of kind groups with two templates"
        remedy = f"name one of {some(known)}" if known else "write one: docs/examining.md says how"
        yield Disagreement(at, found, remedy)


RULES = (traced_has_layers, traced_layers_exist, pairs_are_sound, concepts_exist)
