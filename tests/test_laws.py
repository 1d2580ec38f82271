"""The laws of the house, that no reviewer should have to remember."""

import ast
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lmspec.pipeline.closure import OnDisk, closure
from lmspec.specs.base import Spec
from lmspec.specs.project import NOUNS, Project

ROOT = Path(__file__).parent.parent
FILES = sorted(
    p.relative_to(ROOT) for package in ("lmspec", "stages") for p in (ROOT / package).rglob("*.py")
)
HEAVY = {
    "torch",
    "transformers",
    "numpy",
    "polars",
    "onnx",
    "onnxruntime",
    "sklearn",
    "tokenizers",
    "dvc",
}
VAGUE = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text())


def imported(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, anywhere in it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# The rooms from the ground up: a room imports those before it. docs/architecture.md says
# what each one holds.
FLOORS = (
    "errors",
    "specs",
    "statistics",
    "methods",
    "writing",
    "training",
    "architectures",
    "formats",
    "serving",
    "stage",
    "run",
    "stages",
    "tracking",
    "git",
    "language",
    "pipeline",
    "scaffold",
    "audit",
    "compare",
    "inspection",
    "annotation",
    "history",
    "attribution",
    "reports",
    "cli",
)
LARGEST_SHARE = 0.15  # of all lines, in one room


def room(module: str) -> str:
    """`lmspec.specs.base` -> `specs`; a module between the rooms is a room of its own."""
    package, *rest = module.split(".")
    return "stages" if package == "stages" else rest[0]


def module(path: Path) -> str:
    """`lmspec/specs/base.py` -> `lmspec.specs.base`."""
    return ".".join(path.with_suffix("").parts)


IN_ROOMS = [
    path for path in FILES if path not in (Path("lmspec/__init__.py"), Path("lmspec/__main__.py"))
]


def ours(path: Path) -> list[str]:
    """Modules of lmspec and of the stages that a file imports."""
    return [name for name in imported(path) if name.startswith(("lmspec.", "stages."))]


@pytest.mark.parametrize("path", IN_ROOMS, ids=str)
def test_imports_run_downwards(path: Path) -> None:
    """A file imports its own room or a lower one, so that no two rooms import each other."""
    own = FLOORS.index(room(module(path)))
    assert [name for name in ours(path) if FLOORS.index(room(name)) > own] == []


def test_every_floor_is_a_room() -> None:
    """A room that is gone, or has no floor, is noticed."""
    assert {room(module(path)) for path in IN_ROOMS} == set(FLOORS)


def test_every_room_is_in_the_wheel() -> None:
    """A folder that pyproject.toml does not list is missing wherever lmspec is installed."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {".".join(path.parent.parts) for path in FILES if path.parts[0] == "lmspec"}
    assert rooms == set(listed) - {"lmspec.recipes"}


def test_statistics_import_nothing_of_ours() -> None:
    """Arrays in, numbers out."""
    files = [path for path in IN_ROOMS if room(module(path)) == "statistics"]
    assert files
    assert [name for path in files for name in ours(path) if room(name) != "statistics"] == []


def test_no_two_files_import_each_other() -> None:
    """No reference cycle among modules, however long; what a function imports when it runs counts
    too."""
    names = {module(path.parent if path.name == "__init__.py" else path) for path in FILES}
    edges = {
        module(path): {name if name in names else name.rpartition(".")[0] for name in ours(path)}
        - {module(path)}
        for path in IN_ROOMS
    }
    left = dict(edges)
    while free := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in free:
            del left[name]
    assert sorted(left) == []


def test_no_room_outgrows_the_house() -> None:
    """A room that holds too much has no caption that says what it is about."""
    lines = Counter[str]()
    for path in IN_ROOMS:
        lines[room(module(path))] += len((ROOT / path).read_text().splitlines())
    total = sum(lines.values())
    assert {name for name, count in lines.items() if count > LARGEST_SHARE * total} == set()


@pytest.mark.parametrize("path", [p for p in FILES if p.parts[:2] == ("lmspec", "specs")], ids=str)
def test_specs_import_nothing_heavy(path: Path) -> None:
    """A spec is checked in a tenth of a second."""
    assert {name.split(".")[0] for name in imported(path)} & HEAVY == set()


@pytest.mark.parametrize("path", [p for p in FILES if p.name == "__init__.py"], ids=str)
def test_packages_hold_a_docstring_alone(path: Path) -> None:
    """A re-export would put its file into every stage's cache key."""
    (only,) = tree(path).body
    assert isinstance(only, ast.Expr) and isinstance(only.value, ast.Constant)


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_file_has_a_caption_and_a_telling_name(path: Path) -> None:
    """The first line says what it is; no file is called after nothing."""
    assert ast.get_docstring(tree(path))
    assert not VAGUE & {path.stem, *path.parts}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_nothing_runs_what_it_is_given(path: Path) -> None:
    """No pickle, no trust_remote_code, no eval or exec of text, no shell."""
    source = (ROOT / path).read_text()
    assert (
        re.search(
            r"\bpickle\.|\bimport pickle|trust_remote_code=True|shell=True|os\.system|"
            r"torch\.load\(",
            source,
        )
        is None
    )
    calls = {
        n.func.id
        for n in ast.walk(tree(path))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert not calls & {"eval", "exec", "compile", "__import__"}


# calls whose value nothing can change
IMMUTABLE = {"frozenset", "tuple", "MappingProxyType", "Path", "re.compile", "ctypes.CDLL"}


def mutable_state(code: ast.Module) -> Iterator[int]:
    """Lines of `global`, and of module-level assignments of None or of a value that can change."""
    yield from (node.lineno for node in ast.walk(code) if isinstance(node, ast.Global))
    for node in code.body:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign) and node.value:
            parts = [node.value, *getattr(node.value, "elts", ())]
            if any(is_mutable(part) for part in parts):
                yield node.lineno


def is_mutable(value: ast.expr) -> bool:
    """None counts, since it waits for another value."""
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) not in IMMUTABLE
    if isinstance(value, ast.IfExp):
        return is_mutable(value.body)  # `LIBC = ctypes.CDLL(None) if ... else None`
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    return isinstance(value, mutable) or (isinstance(value, ast.Constant) and value.value is None)


@pytest.mark.parametrize("path", [path for path in FILES if "run" in path.parts], ids=str)
def test_running_a_stage_keeps_no_state_in_a_module(path: Path) -> None:
    """What a build knows is passed to it; a worker or a second build finds nothing left behind."""
    assert list(mutable_state(tree(path))) == []


@pytest.mark.parametrize(
    "code",
    [
        "current = None",
        "current: int | None = None",
        "SEEN = []",
        "PAIR = 1, {}",
        "BY_NAME = dict(a=1)",
        "X = 1\n\ndef set():\n    global X\n    X = 2",
        "CACHE = collections.defaultdict(list)",
    ],
)
def test_state_in_a_module_is_found(code: str) -> None:
    """The negative control."""
    assert list(mutable_state(ast.parse(code)))


def test_provenance_has_one_reader() -> None:
    """As dvc.lock has (test_lockfile.py): no other module knows the keys of the file."""
    keys = {"predicate", "buildDefinition", "resolvedDependencies"}
    readers = {
        path.as_posix()
        for path in FILES
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and node.value in keys
    }
    assert readers == {"lmspec/run/provenance.py"}


def cached_methods(code: ast.Module) -> Iterator[str]:
    """Methods whose cache belongs to the class, and so keeps every instance alive."""
    for body in (node.body for node in ast.walk(code) if isinstance(node, ast.ClassDef)):
        for node in body:
            decorators = [ast.unparse(one) for one in getattr(node, "decorator_list", ())]
            if any(re.search(r"\b(lru_)?cache\b", one) for one in decorators):
                yield getattr(node, "name", "")


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_cache_belongs_to_an_instance(path: Path) -> None:
    """No method is cached for its class."""
    assert list(cached_methods(tree(path))) == []


@pytest.mark.parametrize(
    "decorator", ["functools.cache", "cache", "functools.lru_cache(maxsize=8)"]
)
def test_a_cache_of_a_class_is_found(decorator: str) -> None:
    """Each decorator that keeps instances alive is recognized."""
    code = f"class A:\n    @{decorator}\n    def b(self): ...\n"
    assert list(cached_methods(ast.parse(code))) == ["b"]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_only_pathlibs_path_is_called_path(path: Path) -> None:
    """A path of a metric is a `MetricPath`."""
    source = (ROOT / path).read_text()
    assert re.search(r"^Path\b.*=|\bas Path\b|^class Path\b", source, re.M) is None


@pytest.mark.parametrize("noun", NOUNS)
def test_a_stage_shows_its_arrow(noun: str) -> None:
    """The caption shows inputs and outputs."""
    assert "->" in (ast.get_docstring(tree(Path("stages", f"{noun}.py"))) or "")


def test_draws_have_streams_of_their_own() -> None:
    """Two uses of one seed never share a stream: each has another number."""
    pattern = re.compile(r"^[A-Z]+ = (\d+)  # number of its stream", re.M)
    numbers = [
        int(number) for path in FILES for number in pattern.findall((ROOT / path).read_text())
    ]
    assert len(numbers) == len(set(numbers)) == 17


def test_the_smallest_keys_stay_small() -> None:
    """A stage's key holds its own method and no other stage's: an edit of training reruns no
    corpus."""
    corpus = closure(("stages.corpus",), OnDisk(ROOT)).files
    assert not [
        f for f in corpus if "training" in f or "architectures" in f or f.startswith("lmspec/cli")
    ]
    assert "lmspec/methods/duplicates.py" in corpus
    graph = closure(("stages.scores", "lmspec.formats.graph"), OnDisk(ROOT)).files
    assert not [f for f in graph if "architectures" in f or "checkpoint" in f or "torchrun" in f]


# What is added only where the file shows it (docs/decisions/0012): without the field, nothing is.
ADDED = {
    **{f"{kind}Source": {"convert"} for kind in ("", "Pypi", "File", "Url", "Huggingface", "Npm")},
    "Machine": {"memory_gib", "tracking"},
    "Numerics": {"sharding", "system_files", "world"},
    "Transformer": {"adapter"},
    "GradientDescent": {
        "averaging",
        "balance",
        "checkpointing",
        "decay_fraction",
        "layerwise_decay",
        "loss",
        "micro_batch_size",
        "packing",
        "private",
    },
    "LogisticRegression": {"balance"},
    "ByColumn": {"values"},
    "Table": {"keep", "turns"},
    "Clean": {"look_alikes"},
    "CorpusSpec": {"corrections", "deleted", "redact"},
    "AttackedSpec": {"canaries", "extraction", "reference"},
    "Dynamic": {"float_operations"},
    "Card": {"attacked", "compute"},
    "ExaminedSpec": {"generation"},
    "ExplainedSpec": {"answers"},
    "SplitsSpec": {"accepted_test_corrections", "same_answers", "sides"},
    "ModelSpec": {"rows", "self_training"},
    "StudentSpec": {"rows"},
    "Distillation": {"top_logits", "teacher_answers"},
    "UpdatedSpec": {"rows"},
    "Retention": {"top_logits"},
    "Causal": {"adapter", "added_tokens"},
    "ScoresSpec": {"calibration_bins", "choices", "generation", "groups"},
    "Decoding": {"end_penalty"},
    "Generation": {"end_penalty", "own"},
    "ExportedSpec": {"format", "opset"},
    "BundleSpec": {"attribution", "beside", "card", "generation", "mistakes", "serving", "targets"},
    **{f"{kind}Target": {"scores"} for kind in ("Cpu", "Cuda", "Browser")},
    "SpeedSpec": {"generation"},
    "Contract": {"max_loss_increase", "min_greedy_prefix", "max_batch_difference"},
}


def test_what_decides_bits_has_no_default() -> None:
    """DVC can explain a rerun only by values that the file shows."""
    checked = set()
    queue = Spec.__subclasses__()
    while queue:
        spec = queue.pop()
        queue += spec.__subclasses__()
        # a gate decides no bits, and sections may be empty
        if issubclass(Project, spec) or spec.__module__ == "lmspec.specs.gates":
            continue
        for name, field in spec.model_fields.items():
            checked.add(spec)
            if name in ADDED.get(spec.__name__, ()) and field.default in (None, ()):
                continue
            assert field.is_required(), f"{spec.__name__}.{name} has a default"
    assert len(checked) > 30


def test_no_path_of_a_machine_is_committed() -> None:
    """What the project holds reads the same on every machine."""
    import subprocess

    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    marks = ["/" + part + "/" for part in ("root", "home/runner", "Users")]
    for name in names:
        if (
            Path(name).suffix
            in {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".txt", ".json", ""}
            and (ROOT / name).is_file()
        ):
            text = (ROOT / name).read_text(errors="replace")
            assert not [m for m in marks if m in text], name
