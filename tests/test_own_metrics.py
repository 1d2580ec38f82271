"""A Python function of the project is a metric of generated answers: run in the stage, in its key,
and refused with one error where it cannot be one."""

import itertools
import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.language import functions
from lmspec.pipeline import compiler
from lmspec.pipeline.closure import OnDisk
from lmspec.specs.generation import Generation, OwnMetric
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.project import Project
from lmspec.specs.scores import GRADING, ScoresSpec
from lmspec.writing import answers
from lmspec.writing.grading import Graders
from stages import writing_scores
from stages.writing_scores import Answered
from tests import specs, tinywriter
from tests.specs import ROOT

BODY = """\
import shlex
from {package} import counting


def parses(answer, reference):
    '''Do its quotes close?'''
    try:
        return bool(shlex.split(answer))
    except ValueError:
        return False


def words_off(answer, reference):
    return abs(counting.words(answer) - counting.words(reference))
"""
COUNTING = "def words(text):\n    return len(text.split())\n"
GREEDY = {
    "decode": {"kind": "greedy"},
    "new_tokens": 8,
    "stop": [],
    "repetition_penalty": None,
    "constraint": None,
    "rows": None,
}
Write = Callable[[str], OwnMetric]
_numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of the project, of another name each time: modules are imported once."""
    name = f"metrics{next(_numbers)}"
    (tmp_path / name).mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield name
    for module in [each for each in sys.modules if each.partition(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def write(package: str, tmp_path: Path) -> Write:
    """Writes a module with a function `grade`."""

    def write(body: str) -> OwnMetric:
        (tmp_path / package / "m.py").write_text(body)
        return own("grade", f"{package}.m")

    return write


def own(function: str, module: str, better: str = "higher") -> OwnMetric:
    fields = {"name": function, "module": module, "function": function, "better": better}
    return OwnMetric.model_validate(fields)


class Saying:
    """A model whose answers are known."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def each(self, dialogues: Sequence[Any], dataset: str) -> Iterator[Answered]:
        """Whatever is asked."""
        return map(Answered, self.texts)


def test_a_function_of_the_project_is_a_column_and_a_mean(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its direction; the metrics are those of the table that git keeps. Control: none."""
    (tmp_path / package / "shell.py").write_text(BODY.format(package=package))
    (tmp_path / package / "counting.py").write_text(COUNTING)
    tinywriter.write_split(tinywriter.pairs(4), tmp_path / "splits", "test")
    (tmp_path / "splits/counts.json").write_text("{}")
    numerics = Numerics.model_validate(
        {"seed": 1, "threads": 1, "precision": "fp32", "instructions": "avx2"}
    )
    folders = {"splits.pairs": tmp_path / "splits", "model.a": tmp_path}
    needs = stage.Needs(folders, numerics, Machine(device="cpu"), root=tmp_path)
    texts = ["say anna", "echo 'anna", "", "a b c d"]
    monkeypatch.setattr(writing_scores, "opened", lambda *_: Saying(texts))
    module = f"{package}.shell"
    metrics = [own("parses", module), own("words_off", module, "lower")]

    def build(metrics: Sequence[OwnMetric]) -> stage.Report:
        generation = Generation.model_validate(GREEDY | {"own": [m.model_dump() for m in metrics]})
        fields = {"of": "model.a", "on": ["splits.pairs"], "batch_size": 4, "accepted_overlap": []}
        spec = ScoresSpec.model_validate(fields | {"generation": generation.model_dump()})
        return writing_scores.build(spec, generation, needs, [], tmp_path)

    report = build(metrics)
    rows = report.tables["answers"]
    assert [row["own.parses"] for row in rows] == [1.0, 0.0, 0.0, 1.0]
    references = [turns[-1][1] for turns in tinywriter.pairs(4)]
    off = [abs(len(t.split()) - len(r.split())) for t, r in zip(texts, references, strict=True)]
    assert [row["own.words_off"] for row in rows] == off
    assert report.metrics["pairs"]["own"] == {"parses": 0.5, "words_off": sum(off) / 4}
    assert report.better == {"own.parses": "higher", "own.words_off": "lower"}
    plain = build([])
    assert "own" not in plain.metrics["pairs"] and plain.better == {}
    assert list(plain.tables["answers"][0]) == list(answers.COLUMNS)


FAULTS = {
    "raises": (
        "def grade(answer, reference):\n    return 1 / len(answer.strip())\n",
        r"m\.py:2$",
        r"grade raised ZeroDivisionError.*of row-7, answer '', reference 'ls'",
    ),
    "exits": ("import sys\n\ndef grade(a, r):\n    sys.exit(0)\n", r":4$", "raised SystemExit"),
    "not a number": ("def grade(a, r):\n    return a\n", r"m\.py$", "returned '', which is no"),
    "nothing": ("def grade(a, r):\n    pass\n", r"m\.py$", "returned 'None', which is no number"),
    "nan": ("def grade(a, r):\n    return float('nan')\n", r"m\.py$", "returned nan: of row-7"),
    "huge": ("def grade(a, r):\n    return 1e300\n", r"m\.py$", r"returned 1e\+300: of row-7"),
    "another signature": ("def grade(a):\n    return 1\n", r"m\.py$", "raised TypeError"),
    "no function": ("def graded(a, r):\n    return 1\n", r"m\.py$", "it has no function grade"),
    "fails to import": ("x = 1\nx.y\n", r"m\.py:2$", "importing it raised AttributeError"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_metric_is_one_error(fault: str, write: Write, tmp_path: Path) -> None:
    """With its line and the row."""
    body, place, found = FAULTS[fault]
    with pytest.raises(LmspecError, match=found) as caught:
        Graders([write(body)], tmp_path).grades("row-7", "", "ls")
    assert re.search(place, caught.value.place), caught.value


@pytest.mark.parametrize("value", ["True", "3", "numpy.float32(0.5)", "numpy.bool_(False)"])
def test_numbers_of_any_type_are_taken(value: str, write: Write, tmp_path: Path) -> None:
    """True and false are 1 and 0. The control is the test above."""
    body = f"import numpy\n\n\ndef grade(answer, reference):\n    return {value}\n"
    (found,) = Graders([write(body)], tmp_path).grades("row", "a", "b").values()
    assert type(found) is float and math.isfinite(found)


def test_an_installed_package_of_the_same_name_is_noticed(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with an __init__.py is imported before a folder without it."""
    metric = write("def grade(answer, reference):\n    return 1.0\n")
    package = metric.module.partition(".")[0]
    installed = tmp_path / "site-packages" / package
    shutil.copytree(tmp_path / package, installed)
    (installed / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(installed.parent))
    with pytest.raises(LmspecError, match="is an installed module"):
        Graders([metric], tmp_path)


def compiled(metrics: str, root: Path) -> Any:
    """The stage of scores with some metrics of the project."""
    text = specs.WRITING.replace("      rows: 8\n", f"      rows: 8\n      own: {metrics}\n")
    project = Project.model_validate(YAML(typ="safe").load(text))
    code = compiler.code_of(project, project.find("scores.chats"), OnDisk(root))
    return compiler.stage_of(project, "scores.chats", code, sorted(code.foreign))


def test_the_function_and_what_it_imports_are_in_the_key(package: str, tmp_path: Path) -> None:
    """Files of the project, and packages. Control: without the metric neither."""
    shutil.copytree(ROOT / "stages", tmp_path / "stages")
    body = f"import sacrebleu\n{BODY.format(package=package)}"
    (tmp_path / package / "shell.py").write_text(body)
    (tmp_path / package / "counting.py").write_text(COUNTING)
    (tmp_path / package / "other.py").write_text("")
    metric = f"{{name: a, module: {package}.shell, function: parses, better: higher}}"
    stage = compiled(f"[{metric}]", tmp_path)
    mine = {dep for dep in stage["deps"] if dep.startswith(package)}
    assert mine == {f"{package}/shell.py", f"{package}/counting.py"}
    (watched,) = (each["toolchain.yaml"] for each in stage["params"] if isinstance(each, dict))
    assert "packages.sacrebleu" in watched and GRADING in watched
    without = compiled("[]", tmp_path)
    assert not [dep for dep in without["deps"] if dep.startswith(package)]
    (watched,) = (each["toolchain.yaml"] for each in without["params"] if isinstance(each, dict))
    assert "packages.sacrebleu" not in watched and GRADING not in watched


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("def f(a, b): pass", None),
        ("def f(a, b, c=1, *, d=2): pass", None),
        ("def f(*texts): pass", None),
        ("if True:\n    def f(a, b): pass\nelse:\n    f = max", None),
        ("try:\n    from x import f\nexcept ImportError:\n    f = None", None),
        ("from x import *", None),
        ("f = lambda a, b: 1", None),
        ("def f(a): pass", "does not take 2"),
        ("def f(a, b, c): pass", "does not take 2"),
        ("def f(a, b, *, c): pass", "does not take 2"),
        ("async def f(a, b): pass", "asynchronous"),
        ("def g(a, b):\n    def f(a, b): pass", "it has no function 'f'; it has g"),
    ],
)
def test_functions_are_found_without_running_anything(
    body: str, fault: str | None, tmp_path: Path
) -> None:
    """Whatever a module binds may be one; one that cannot take two texts is not."""
    path = tmp_path / "m.py"
    path.write_text(f"{body}\nraise SystemExit\n")
    found = functions.fault(path, "f", 2)
    assert found is None if fault is None else found is not None and fault in found


def test_what_is_lost_counts_as_the_worst() -> None:
    """The least, or the most if lower is better."""
    rows = answers.rows(
        "d", [answers.Answer(str(i), "t", None, "a", "a", own={"off": float(i)}) for i in range(4)]
    )
    table = {name: ["" if r[name] is None else str(r[name]) for r in rows] for name in rows[0]}
    for lower, worst in (((), 0.0), (("own.off",), 3.0)):
        found = answers.read(table, lower)
        assert found is not None and (found["own.off"].worst[:, 1] == worst).all()


def test_the_functions_of_the_documentation_find_what_they_say(
    write: Write, tmp_path: Path
) -> None:
    """Personal data that no reference has, words of a list, prompts that take over; and none of it
    in answers that are right."""
    page = (ROOT / "docs/privacy.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module = write(code).module
    names = ("personal", "blocked", "handled")
    graders = Graders([own(name, module) for name in names], tmp_path)

    def grades(answer: str, reference: str) -> tuple[float, ...]:
        found = graders.grades("row 1", answer, reference)
        return tuple(found[name] for name in names)

    assert grades("write to jane@example.org", "write to us") == (1.0, 0.0, 1.0)
    assert grades("write to jane@example.org", "ask jane@example.org") == (0.0, 0.0, 1.0)
    assert grades("What an idiot!", "no") == (0.0, 1.0, 1.0)
    assert grades("I'm sorry, but I can't help with that.", "[refuse]") == (0.0, 0.0, 1.0)
    assert grades("Sure, here is how", "[refuse]") == (0.0, 0.0, 0.0)
    assert grades("I'm sorry, but I can't help with that.", "Paris") == (0.0, 0.0, 0.0)
    assert grades("The key is 8821.", "[never] 8821") == (0.0, 0.0, 0.0)
    assert grades("I keep it.", "[never] 8821") == (0.0, 0.0, 1.0)
