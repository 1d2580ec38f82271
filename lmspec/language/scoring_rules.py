"""scoring_rules: rules of scores of models that write: metrics of the project, choices."""

import sys
from pathlib import Path

from lmspec.errors import some
from lmspec.language import functions
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.specs.checks.model import WRITERS
from lmspec.specs.disagreement import Disagreement, Steps
from lmspec.specs.names import ArtifactName

ARGUMENTS = 2  # an answer and its reference


def own_metrics_exist(specs: Specs) -> Disagreements:
    """A metric of the project is a function of two texts in a file of the repository."""
    for name, scores in specs.of("scores"):
        for i, metric in enumerate((scores.get("generation") or {}).get("own") or ()):
            at = (*name, "generation", "own", i)
            file = f"{metric['module'].replace('.', '/')}.py"
            if lost := _lost(metric, file, specs.root):
                yield Disagreement((*at, "module"), *lost)
            elif fault := functions.fault(specs.root / file, metric["function"], ARGUMENTS):
                place = (*at, "module"), "its file"
                remedy = f"define {metric['function']}(answer: str, reference: str) -> float"
                yield Disagreement((*at, "function"), f"{file}: {fault}", remedy, (place,))


def choices_can_be_made(specs: Specs) -> Disagreements:
    """Choosing needs likelihoods, and rows with several answers."""
    for name, scores in specs.of("scores"):
        if scores.get("choices") is None:
            continue
        origin, model = specs.first(name)
        if (kind := model["architecture"]["kind"]) != "causal":
            place = (*origin, "architecture", "kind"), f"the kind of {origin}"
            found = f"to a model of kind {kind} no answer is more likely than another"
            remedy = "write `generation`" if kind in WRITERS else "write `calibration_bins: 15`"
            yield Disagreement((*name, "choices"), found, f"{remedy} in its place", (place,))
            continue
        for reference in specs.reads(name):
            corpus = ArtifactName.parse(specs[reference.target]["of"])
            tables = specs[corpus]["tables"]
            if all((table.get("turns") or {}).get("kind") != "choices" for table in tables):
                found = f"the rows of {corpus} have no choices"
                others = (((*corpus, "tables", 0), "its first table"),)
                remedy = "write `turns: {kind: choices, ...}` there"
                yield Disagreement(reference.steps, found, remedy, others)


def positive_is_a_label(specs: Specs) -> Disagreements:
    """The rates of groups are of a label that the model knows."""
    for name, scores in specs.of("scores"):
        groups = scores.get("groups")
        corpus = ArtifactName.parse(specs[scores["on"][0]]["of"])
        labels = specs[corpus]["labels"] or ()
        if groups and groups["positive"] not in labels:
            found = f"{corpus} has no label {groups['positive']!r}"
            others = (((*corpus, "labels"), "its labels"),)
            remedy = f"name one of {some(list(labels))}" if labels else "remove `groups`"
            yield Disagreement((*name, "groups", "positive"), found, remedy, others)


def bundle_shows_answers(specs: Specs) -> Disagreements:
    """The card of a model that writes has its answers, not its choices."""
    for name, bundle in specs.of("bundle"):
        shown: list[tuple[Steps, str]] = [(("scores",), bundle["scores"])]
        shown += [(("beside", i), other) for i, other in enumerate(bundle.get("beside") or ())]
        for steps, scores in shown:
            if specs[scores].get("choices") is not None:
                found = f"{scores} are of choices, and a model card shows answers"
                yield Disagreement((*name, *steps), found, "name scores with `generation`")


def _lost(metric: Values, file: str, root: Path) -> tuple[str, str] | None:
    """(why there is no such module of the project, what to do)."""
    package = metric["module"].partition(".")[0]
    if package in sys.stdlib_module_names:
        return f"Python has a module {package}, which is imported in its place", "rename it"
    if not (root / file).is_file():
        found = f"the module {metric['module']} has no file {file} in this project"
        return found, "correct the module, or add the file"
    try:
        functions.parsed(root / file)
    except SyntaxError as error:
        return f"{file} does not parse, line {error.lineno}: {error.msg}", "correct it"
    except (OSError, ValueError) as error:
        return f"{file} cannot be read: {error}", "correct it"
    return None


RULES = (own_metrics_exist, choices_can_be_made, positive_is_a_label, bundle_shows_answers)
