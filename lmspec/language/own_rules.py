"""own_rules: metrics that the project defines are functions in its files."""

import sys
from pathlib import Path

from lmspec.language import functions
from lmspec.language.resolved import Disagreements, Specs, Values
from lmspec.specs.disagreement import Disagreement

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


RULES = (own_metrics_exist,)
