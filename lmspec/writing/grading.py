"""grading: metrics of the project: what a Python function in its repository makes of an answer.

graders = grading.Graders(generation.own, root)
graders.grades(row, answer, reference)  # {"parses": 1.0}
"""

import importlib
import math
import numbers
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from lmspec.errors import LmspecError
from lmspec.specs.generation import OwnMetric

MOST = 1e12  # beyond it, six digits after the point are lost
SHOWN = 100  # characters of a text
SIGNATURE = "(answer: str, reference: str) -> float"


class Grader(NamedTuple):
    """A metric. file: where its function is, from the root."""

    name: str
    file: str
    called: str
    function: Callable[[str, str], Any]


class Graders:
    """The metrics of a project, in the order of its spec.

    Raises LmspecError if a module or a function is missing, or a module cannot be imported.
    """

    def __init__(self, own: Sequence[OwnMetric], root: Path) -> None:
        self.root = root
        self.all = [self._grader(metric) for metric in own]

    def grades(self, row: str, answer: str, reference: str) -> dict[str, float]:
        """Metric -> its number for an answer.

        row  of the answer, as an error names it
        Raises LmspecError if a function fails, or does not return a finite number.
        """
        return {each.name: self._grade(each, row, answer, reference) for each in self.all}

    def _grader(self, metric: OwnMetric) -> Grader:
        file = f"{metric.module.replace('.', '/')}.py"
        path = self.root / file
        if not path.is_file():
            found = f"the module {metric.module} has no file {file} in this project"
            raise LmspecError(f"own.{metric.name}", found, "correct `module`, or add the file")
        module = self._imported(metric, file)
        if Path(module.__file__ or "").resolve() != path.resolve():
            found = f"{metric.module} is an installed module, {module.__file__}"
            remedy = f"give {Path(file).parent.as_posix()}/ an __init__.py, or rename it"
            raise LmspecError(f"own.{metric.name}", found, remedy)
        function = getattr(module, metric.function, None)
        if not callable(function):
            found = f"it has no function {metric.function}"
            raise LmspecError(file, found, f"define {metric.function}{SIGNATURE}")
        return Grader(metric.name, file, metric.function, function)

    def _imported(self, metric: OwnMetric, file: str) -> ModuleType:
        try:
            return importlib.import_module(metric.module)
        except (ImportError, OSError):  # what the sandbox keeps from it: its own error names that
            raise
        except (Exception, SystemExit) as error:
            found = f"importing it raised {_shown(error)}"
            raise LmspecError(self._place(error, file), found, "correct it") from error

    def _grade(self, grader: Grader, row: str, answer: str, reference: str) -> float:
        texts = f"of {row}, answer {_cut(answer)}, reference {_cut(reference)}"
        try:
            value = grader.function(answer, reference)
        except ImportError:
            raise
        except (Exception, SystemExit) as error:
            found = f"{grader.called} raised {_shown(error)}: {texts}"
            remedy = "let it return a number for every answer, such as 0.0 for one that is no use"
            raise LmspecError(self._place(error, grader.file), found, remedy) from error
        if not isinstance(value, numbers.Real | np.bool_):
            found = f"{grader.called} returned {_cut(value)}, which is no number: {texts}"
            raise LmspecError(grader.file, found, f"it must be {grader.called}{SIGNATURE}")
        number = float(value)
        if not math.isfinite(number) or abs(number) > MOST:
            found = f"{grader.called} returned {number:g}: {texts}"
            remedy = f"let it return a number between {-MOST:g} and {MOST:g}"
            raise LmspecError(grader.file, found, remedy)
        return number

    def _place(self, error: BaseException, file: str) -> str:
        """The innermost line of the project that raised an error."""
        root, place = self.root.resolve(), file
        for frame in traceback.extract_tb(error.__traceback__):
            path = Path(frame.filename)
            if path == root / file or (path.is_relative_to(root) and _is_own(path, root)):
                place = f"{path.relative_to(root).as_posix()}:{frame.lineno}"
        return place


def _is_own(path: Path, root: Path) -> bool:
    """Is it code of the project, not of its environment or of lmspec?"""
    return path.relative_to(root).parts[0] not in (".venv", "venv", "lmspec", "stages")


def _shown(error: BaseException) -> str:
    message = str(error)
    return f"{type(error).__name__}: {_cut(message)}" if message else type(error).__name__


def _cut(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
