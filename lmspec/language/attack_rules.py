"""attack_rules: `attacked` compares texts that a model has seen with such that it has not."""

from lmspec.language import resolved
from lmspec.language.resolved import Disagreements, Specs
from lmspec.specs.disagreement import Disagreement


def members_were_trained_on(specs: Specs) -> Disagreements:
    """Train texts that a model has not seen are as new to it as the test texts."""
    for name, attacked in specs.of("attacked"):
        trained = {
            splits
            for _, splits, split in resolved.learned_from(specs, attacked["of"])
            if split == "train"
        }
        if attacked["on"] not in trained:
            found = f"{attacked['of']} was not trained on {attacked['on']}"
            hint = f"it was trained on {' and '.join(sorted(trained)) or 'none'}"
            yield Disagreement((*name, "on"), found, hint)


def references_saw_neither(specs: Specs) -> Disagreements:
    """A reference that has seen a text says nothing of how hard it is for others."""
    for name, attacked in specs.of("attacked"):
        if not attacked.get("reference"):
            continue
        seen = {splits for _, splits, _ in resolved.learned_from(specs, attacked["reference"])}
        corpus = specs[attacked["on"]]["of"]
        if corpus in {specs[splits]["of"] for splits in seen}:
            found = f"{attacked['reference']} has seen texts of {corpus}, too"
            yield Disagreement((*name, "reference"), found, "name a model of other texts")


def canaries_are_a_table(specs: Specs) -> Disagreements:
    """Canaries are rows of one table of the corpus, made for this."""
    for name, attacked in specs.of("attacked"):
        corpus = specs[specs[attacked["on"]]["of"]]
        tables = [table["name"] for table in corpus["tables"]]
        if attacked.get("canaries") and attacked["canaries"] not in tables:
            found = f"the corpus of {attacked['on']} has no table {attacked['canaries']}"
            yield Disagreement((*name, "canaries"), found, f"it has {', '.join(tables)}")


def extraction_is_of_writers(specs: Specs) -> Disagreements:
    """What is extracted is written; labels cannot be."""
    remedy = "say what it must not write: `extraction: {learned_rows: null, ...}`"
    writers, lacks = ("causal",), "writes no text"
    yield from resolved.unsuited_to_writers(specs, "attacked", "extraction", writers, lacks, remedy)
    for name, attacked in specs.of("attacked"):
        origin, model = specs.first(name)
        extraction = attacked.get("extraction")
        if not extraction or model["architecture"]["kind"] not in writers:
            continue
        if not extraction["prefix_tokens"] and not model["architecture"]["prompt"]:
            null = (*origin, "architecture", "prompt"), "null"
            found = f"{origin} has no prompt, so nothing is given of a text"
            at = (*name, "extraction", "prefix_tokens")
            yield Disagreement(at, found, "give it some tokens", (null,))


def learned_rows_are_the_models(specs: Specs) -> Disagreements:
    """Rows of a split that were not drawn for a training are as new to the model as test rows."""
    for name, attacked in specs.of("attacked"):
        extraction = attacked.get("extraction")
        if not extraction:
            continue
        for member in specs.line(name):
            if specs[member].get("on") != attacked["on"] or "training" not in specs[member]:
                continue
            rows, given = specs[member].get("rows"), extraction["learned_rows"]
            if rows != given:
                found = f"{member} learned {f'{rows:,} rows' if rows else 'all rows'} of it"
                others = (((*member, "rows"), "its rows"),) if rows else ()
                remedy = f"write {rows or 'null'}"
                yield Disagreement((*name, "extraction", "learned_rows"), found, remedy, others)


RULES = (
    members_were_trained_on,
    references_saw_neither,
    canaries_are_a_table,
    extraction_is_of_writers,
    learned_rows_are_the_models,
)
