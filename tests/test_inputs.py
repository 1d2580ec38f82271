"""Inputs: each one is declared; changing it puts the stage out of date, and nothing else does."""

import contextlib
import copy
import functools
import hashlib
import importlib.metadata
import json
import modulefinder
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dvc.dependency.param  # type: ignore[import-untyped]
import pytest
from dvc.repo import Repo  # type: ignore[import-untyped]
from ruamel.yaml import YAML

from lmspec.run.installed import canonical
from lmspec.specs.base import Artifact
from lmspec.specs.project import Project
from tests import miniature
from tests.nested import children

PARAMS, TOOLCHAIN, DVC_YAML = "params.yaml", "toolchain.yaml", "dvc.yaml"
SECTIONS = ("numerics", "machine", "gates")  # what is no artifact
WATCHED = "splits-old"  # the stage that the tests below run with something left out
CODE, VALUE, VERSION = "code", "value", "version"

Names = dict[str, set[str]]  # stage -> what it declares


def load(path: Path) -> dict[str, Any]:
    """A YAML file."""
    found: dict[str, Any] = YAML(typ="safe").load(path)
    return found


def write(path: Path, values: Any) -> None:
    """A YAML file with those values, and no comment."""
    yaml = YAML(typ="safe")
    yaml.width = 4096
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)


# What a stage must declare, from its section of params.yaml and from its code, without a look at
# dvc.yaml


def artifacts(project: Path) -> dict[str, Artifact]:
    """Stage -> the spec of what it makes."""
    return {
        name.replace(".", "-", 1): spec
        for name, spec in Project.model_validate(load(project / PARAMS)).artifacts()
    }


def texts(value: Any) -> Iterator[str]:
    """All texts in a section."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def section(values: dict[str, Any], stage: str) -> Any:
    """Of params.yaml, that of the artifact which a stage makes."""
    noun, _, name = stage.partition("-")
    return values[noun][name]


def data_of(project: Path, stage: str) -> set[str]:
    """Folders of other artifacts, and files of the project, that its section names."""
    values = load(project / PARAMS)
    named = set(texts(section(values, stage)))
    folders = {
        f"data/{noun}/{name}"
        for noun in values
        for name in values[noun]
        if f"{noun}.{name}" in named
    }
    return folders | {text for text in named if "/" in text and (project / text).exists()}


def roots(project: Path, stage: str) -> set[str]:
    """The modules that a build starts from: its script, and those which it imports by a name that
    its spec gives."""
    specs = artifacts(project)
    spec: Artifact | None = specs[stage]
    found = {"lmspec.run.__main__", f"stages.{stage.partition('-')[0]}", *specs[stage].modules()}
    while spec is not None:
        of = spec.reads_like()
        spec = specs[of.replace(".", "-", 1)] if of else None
        found |= set(spec.reader_modules()) if spec else set()
    return found


def code_of(project: Path, stage: str) -> tuple[set[str], set[str]]:
    """(files, top-level names of foreign modules) that they import, as `modulefinder` of the
    standard library has it."""
    return imports(project, frozenset(roots(project, stage)))


@functools.cache
def imports(project: Path, modules: frozenset[str]) -> tuple[set[str], set[str]]:
    """As above.

    It knows no folder without `__init__.py` for a package, so it looks at a copy in which each has
    one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch).resolve()
        for package in ("lmspec", "stages"):
            shutil.copytree(project / package, copy / package)
        for folder in [path for path in (copy / "lmspec").rglob("*") if path.is_dir()]:
            (folder / "__init__.py").touch()
        for file in copy.rglob("*.py"):  # what only a type checker reads is compiled to nothing
            file.write_text(file.read_text().replace("if TYPE_CHECKING:", "if False:"))
        finder = modulefinder.ModuleFinder(path=[scratch])
        for module in modules:
            finder.import_hook(module)
            parent, _, name = module.rpartition(".")
            finder.import_hook(parent, None, [name])
    places = [
        Path(module.__file__).resolve()
        for module in finder.modules.values()
        if getattr(module, "__file__", None)
    ]
    files = {place.relative_to(copy).as_posix() for place in places}
    files = {file for file in files if (project / file).exists()}
    foreign = (
        {name.partition(".")[0] for name in finder.badmodules}
        - {"lmspec", "stages"}
        - sys.stdlib_module_names
    )
    return files, foreign


@functools.cache
def needed(project: Path) -> Names:
    """Stage -> files and folders that it must declare."""
    return {
        stage: code_of(project, stage)[0] | data_of(project, stage) for stage in artifacts(project)
    }


@functools.cache
def watched(project: Path) -> dict[str, Names]:
    """File -> stage -> names in it of the parameters that the stage declares in dvc.yaml."""
    found: dict[str, Names] = {PARAMS: {}, TOOLCHAIN: {}}
    for stage, entry in load(project / DVC_YAML)["stages"].items():
        for item in entry["params"]:
            for file, names in (item if isinstance(item, dict) else {PARAMS: [item]}).items():
                found[file].setdefault(stage, set()).update(names)
    return found


@functools.cache
def packages_with(module: str) -> set[str]:
    """Names of the installed packages that have files of a top-level module."""
    names = set(importlib.metadata.packages_distributions().get(module, ()))
    records = {
        name: importlib.metadata.distribution(name).read_text("RECORD") or "" for name in names
    }
    return {
        canonical(name)
        for name, files in records.items()
        if re.search(rf"^{module}[/.]", files, re.MULTILINE)
    }


def requirements(name: str) -> tuple[set[str], set[str]]:
    """(what a package requires without a condition, all that it may require)."""
    texts = importlib.metadata.requires(distribution_of(name)) or []
    names = {text: canonical(re.split(r"[^\w.-]", text)[0]) for text in texts}
    return {name for text, name in names.items() if ";" not in text}, set(names.values())


def distribution_of(name: str) -> str:
    """What a package is called where it is installed: with a GPU, onnxruntime-gpu."""
    return name if here(name) else f"{name}-gpu"


def here(name: str) -> bool:
    """Is it installed, by that name?"""
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


# What DVC finds out of date


def changed_files(project: Path) -> tuple[Names, Names]:
    """(stage -> its inputs that DVC finds changed, stage -> its outputs), of the whole project."""
    inputs: Names = {}
    outputs: Names = {}
    with contextlib.chdir(project):  # DVC names all relative to where it is
        status = Repo().status()
    for stage, reasons in status.items():
        for reason in reasons:
            inputs.setdefault(stage, set()).update(reason.get("changed deps", {}))
            outputs.setdefault(stage, set()).update(reason.get("changed outs", {}))
    return {s: names for s, names in inputs.items() if names}, {
        s: names for s, names in outputs.items() if names
    }


class Values:
    """Which parameters DVC finds changed, again and again; it reads a file once for each content,
    not once for each stage."""

    def __init__(self, project: Path, patch: pytest.MonkeyPatch) -> None:
        parse, read = dvc.dependency.param.load_path, dvc.dependency.param.read_param_file
        parsed: dict[str, tuple[bytes, Any]] = {}
        found: dict[tuple[str, str], tuple[bytes, Any]] = {}

        def once(
            memory: dict[Any, tuple[bytes, Any]], key: Any, content: bytes, value: Callable[[], Any]
        ) -> Any:
            if memory.get(key, (None,))[0] != content:
                memory[key] = content, value()
            return memory[key][1]

        def parse_once(path: str, fs: Any, **options: Any) -> Any:
            return once(parsed, path, Path(path).read_bytes(), lambda: parse(path, fs, **options))

        def read_once(fs: Any, path: str, names: list[str], **options: Any) -> Any:
            return once(
                found,
                (path, str(names)),
                Path(path).read_bytes(),
                lambda: read(fs, path, names, **options),
            )

        patch.setattr(dvc.dependency.param, "load_path", parse_once)
        patch.setattr(dvc.dependency.param, "read_param_file", read_once)
        stages = list(Repo(str(project)).index.stages)
        self.watching = [
            (stage.name, dep)
            for stage in stages
            for dep in stage.deps
            if hasattr(dep, "read_params")
        ]

    def changed(self) -> Names:
        """Stage -> names of its parameters that are not what they were."""
        found: Names = {}
        for stage, dep in self.watching:
            for names in dep.status().values():
                found.setdefault(stage, set()).update(names)
        return found


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Path:
    """A copy of the built project, to be spoilt."""
    folder = tmp_path / "project"
    shutil.copytree(built, folder, symlinks=True)
    return folder.resolve()


def everything(project: Path) -> list[str]:
    """All files of the project that no stage writes: git's, DVC's and lmspec's own left out."""
    files = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    own = (".git", ".dvc", ".lmspec", "data")
    ours = (PARAMS, TOOLCHAIN, DVC_YAML, "dvc.lock", ".dvcignore")
    return sorted(
        path.as_posix()
        for path in files
        if path.parts[0] not in own and path.as_posix() not in ours
    )


def touch(path: Path) -> Callable[[], object]:
    """Change a file, or the first one of a folder. What it returns puts it back."""
    file = (
        path
        if path.is_file()
        else min(
            file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts
        )
    )
    before = file.read_bytes()
    file.write_bytes(before + b"\n")
    return lambda: file.write_bytes(before)


def add_bystanders(project: Path) -> list[str]:
    """Files that are no input of anything, some of them inside of what is; their paths."""
    names = [
        "README.md",
        "tests/test_one.py",
        "lmspec/methods/unused.py",
        "lmspec/__pycache__/stage.cpython-311.pyc",
        "stages/__pycache__/new.pyc",
        "data/corpus/old/__pycache__/x.pyc",
        "data/splits/.old.partial/half",
        ".lmspec/runs/splits-old.jsonl",
    ]
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("0")
    return names


def test_dvc_yaml_declares_what_section_and_code_name_and_no_more(built: Path) -> None:
    """Each stage's files and folders are those that its section of params.yaml names and that its
    code imports, as another
    search than lmspec's own finds them; its packages are those that the code imports, and all that
    they require."""
    numerics = {stage for stage, spec in artifacts(built).items() if spec.numerics}
    stages, values, versions = (
        load(built / DVC_YAML)["stages"],
        watched(built)[PARAMS],
        watched(built)[TOOLCHAIN],
    )
    assert stages.keys() == artifacts(built).keys()
    for stage, entry in stages.items():
        assert set(entry["deps"]) == needed(built)[stage] and len(entry["deps"]) == len(
            set(entry["deps"])
        )
        assert values[stage] == {
            stage.replace("-", ".", 1),
            *(["numerics"] if stage in numerics else []),
        }
        packages = {name.removeprefix("packages.") for name in versions[stage] - {"python"}}
        direct = {name for module in code_of(built, stage)[1] for name in packages_with(module)}
        assert direct <= packages and "python" in versions[stage]
        required = {name: requirements(name) for name in packages}
        assert {n for always, _ in required.values() for n in always if here(n)} <= packages
        assert packages - direct <= {name for _, any_ in required.values() for name in any_}


@pytest.mark.parametrize("half", [0, 1])
def test_a_changed_file_puts_those_out_of_date_that_declare_it(project: Path, half: int) -> None:
    """One half of all files of the project is changed, then the other: each stage is out of date
    for exactly those that it must declare, and a file that none must declare puts none out of date.
    """
    folders = {
        name for names in needed(project).values() for name in names if (project / name).is_dir()
    }
    bystanders = add_bystanders(project)
    files = [
        name
        for name in everything(project)
        if not any(Path(name).is_relative_to(folder) for folder in folders)
    ]
    inputs = sorted({*files, *folders, *bystanders})
    random.Random(3).shuffle(inputs)
    changed = set(inputs[half::2])
    for name in changed:
        touch(project / name)
    expected = {
        stage: names & changed for stage, names in needed(project).items() if names & changed
    }
    reported, outputs = changed_files(project)
    assert reported == expected
    assert sum(map(len, expected.values())) > 200
    assert {out for names in outputs.values() for out in names} == {
        name for name in changed & folders if "data/" in name
    }


@pytest.mark.slow
def test_each_file_alone_puts_those_out_of_date_that_declare_it(project: Path) -> None:
    """As above, one after the other."""
    bystanders = add_bystanders(project)
    for name in sorted(
        {
            *everything(project),
            *bystanders,
            *(name for names in needed(project).values() for name in names),
        }
    ):
        put_back = touch(project / name)
        declaring = {stage: {name} for stage, names in needed(project).items() if name in names}
        inside = {
            s: {n for n in names if Path(name).is_relative_to(n)}
            for s, names in needed(project).items()
        }
        if name not in bystanders:
            declaring |= {stage: names for stage, names in inside.items() if names}
        assert changed_files(project)[0] == declaring, name
        put_back()
    assert changed_files(project) == ({}, {})


def test_what_is_no_input_puts_nothing_out_of_date(project: Path) -> None:
    """Changed alone: files that no stage must declare, machine, gates, comments and layout of
    params.yaml, artifacts to come."""
    declared = {name for names in needed(project).values() for name in names}
    inside = {
        name
        for name in everything(project)
        if any(Path(name).is_relative_to(other) for other in declared)
    }
    others = set(everything(project)) - inside
    assert "lmspec/cli/main.py" in others and "lmspec/pipeline/compiler.py" in others
    for name in (*add_bystanders(project), *others):
        touch(project / name)
    values = load(project / PARAMS)
    values["machine"]["device"] = "cuda"
    values["gates"] = {}
    values["splits"]["third"] = values["splits"]["old"]
    write(project / PARAMS, values)
    assert changed_files(project) == ({}, {})
    touch(project / min(inside))
    assert changed_files(project)[0]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all values that hold no other."""
    if not isinstance(value, dict | list) or not value:
        yield path
    for key, item in children(value):
        yield from leaves(item, (*path, key))


def other(value: Any) -> Any:
    """Another value, of the same type where there is one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1 if isinstance(value, int) else value * 1.001 or 0.001
    return f"{value or ''}x"


def changed(values: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """A copy in which one leaf has another value."""
    found = copy.deepcopy(values)
    holder = functools.reduce(lambda item, key: item[key], path[:-1], found)
    holder[path[-1]] = other(holder[path[-1]])
    return found


def test_a_changed_value_puts_those_out_of_date_that_declare_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each leaf of params.yaml and of toolchain.yaml, one after the other: its own stage, those
    with numerics, those that
    execute the package, or, for machine and gates, none."""
    numerics = {stage for stage, spec in artifacts(project).items() if spec.numerics}
    observed = Values(project, monkeypatch)
    count: Counter[str] = Counter()
    for file in (PARAMS, TOOLCHAIN):
        values = load(project / file)
        for path in leaves(values):
            write(project / file, changed(values, path))
            if file == TOOLCHAIN:
                name = ".".join(path)
                expected = {
                    stage: {name}
                    for stage, names in watched(project)[TOOLCHAIN].items()
                    if name in names
                }
                assert expected, f"no stage has {name} in its cache key"
            elif path[0] in SECTIONS:
                expected = {stage: {"numerics"} for stage in numerics if path[0] == "numerics"}
            else:
                expected = {f"{path[0]}-{path[1]}": {f"{path[0]}.{path[1]}"}}
            assert observed.changed() == expected, f"{file}: {path}"
            count.update([file])
        write(project / file, values)
        assert observed.changed() == {}
    assert count[PARAMS] > 200 and count[TOOLCHAIN] > 20


# What really runs


def contents(project: Path, stages: list[str]) -> dict[str, str]:
    """Stage -> all that it is made from, as it is now."""
    values, toolchain, specs = load(project / PARAMS), load(project / TOOLCHAIN), artifacts(project)
    found = {}
    for stage in stages:
        files = {name: fingerprint(project / name) for name in sorted(needed(project)[stage])}
        numerics = values["numerics"] if specs[stage].numerics else None
        versions = {
            name: at(toolchain, name) for name in sorted(watched(project)[TOOLCHAIN][stage])
        }
        found[stage] = json.dumps([files, section(values, stage), numerics, versions])
    return found


def fingerprint(path: Path) -> str:
    """Of a file or of a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return " ".join(f"{file.relative_to(path)} {fingerprint(file)}" for file in files)


def at(values: dict[str, Any], name: str) -> Any:
    """The value under a dotted name."""
    return functools.reduce(lambda item, key: item[key], name.split("."), values)


def ancestors(project: Path, stage: str) -> list[str]:
    """The stage and all that it is made from."""
    before = [
        name.removeprefix("data/").replace("/", "-")
        for name in needed(project)[stage]
        if name.startswith("data/")
    ]
    return list(
        dict.fromkeys([stage, *(name for other in before for name in ancestors(project, other))])
    )


def cheap(project: Path) -> list[str]:
    """Stages that compute nothing: no torch and no onnxruntime in what they execute."""
    heavy = {"packages.torch", "packages.onnxruntime"}
    return [stage for stage, names in watched(project)[TOOLCHAIN].items() if not names & heavy]


def rarest(project: Path, stage: str, names: set[str]) -> str:
    """Of its inputs, one that as few other stages as possible have."""
    shared = Counter(
        name
        for used in (*needed(project).values(), *watched(project)[TOOLCHAIN].values())
        for name in used
    )
    return min(sorted(names), key=lambda name: shared[name])


def apply(project: Path, stage: str, kind: str) -> str:
    """Change one input of a stage, in a way that lets it run; says which."""
    if kind == CODE:
        name = rarest(project, stage, code_of(project, stage)[0])
        path = project / name
        # by the stage's name: of an edit that was built before, DVC's cache has the result
        path.write_text(path.read_text() + f"\nCHANGED = {stage!r}\n")
        return name
    file = PARAMS if kind == VALUE else TOOLCHAIN
    values = load(project / file)
    if kind == VERSION:
        name = rarest(project, stage, watched(project)[TOOLCHAIN][stage] - {"python"})
        path_in = tuple(name.split("."))
    else:
        noun, _, name = stage.partition("-")
        path_in = next(
            (noun, name, *path)
            for path in leaves(section(values, stage))
            if is_valid(values, (noun, name, *path))
        )
    write(project / file, changed(values, path_in))
    return f"{file}: {'.'.join(map(str, path_in))}"


def is_valid(values: dict[str, Any], path: tuple[Any, ...]) -> bool:
    """Is the spec still a spec, and another one, with another number, switch or prose in this
    place?"""
    value = functools.reduce(lambda item, key: item[key], path, values)
    if not isinstance(value, int | float) and " " not in str(value):
        return False
    with contextlib.suppress(ValueError):
        return Project.model_validate(changed(values, path)) != Project.model_validate(values)
    return False


def require_reruns(project: Path, goals: list[str], stage: str, kind: str) -> None:
    """After a change of an input, `dvc repro` runs the stages whose inputs are not what they were,
    and no other."""
    concerned = list(dict.fromkeys(name for goal in goals for name in ancestors(project, goal)))
    before = contents(project, concerned)
    name = apply(project, stage, kind)
    declaring = {
        other for other, content in contents(project, concerned).items() if content != before[other]
    }
    assert stage in declaring
    if (
        kind == VERSION
        # they start, and refuse, since this environment has another; what is behind them is not
        # tried
    ):
        output = miniature.dvc(project, "repro", "--keep-going", *goals, code=255)
        first = [other for other in declaring if not {*ancestors(project, other)[1:]} & declaring]
        assert sorted(miniature.ran(output)) == sorted(first) and output.count(
            "is recorded"
        ) == len(first), name
        return
    ran = miniature.ran(miniature.dvc(project, "repro", *goals))
    after = contents(project, concerned)
    assert sorted(ran) == sorted(other for other in concerned if after[other] != before[other]), (
        name
    )
    assert declaring <= set(ran)


@pytest.mark.parametrize("kind", [CODE, VALUE, VERSION])
def test_repro_runs_what_a_change_concerns(project: Path, kind: str) -> None:
    """For a stage that computes nothing, drawn by a seed: it runs, and so does what is downstream
    if what it reads changed."""
    goals = cheap(project)
    stage = random.Random(kind).choice(
        [name for name in goals if not name.startswith("sources-") or kind != VALUE]
    )
    require_reruns(project, goals, stage, kind)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [CODE, VALUE, VERSION])
def test_repro_runs_what_a_change_concerns_in_every_stage(project: Path, kind: str) -> None:
    """The same for every stage; sources have no value that could be another and still be theirs."""
    miniature.run(project, "git", "checkout", "-q", "-b", "spoilt")
    for stage in artifacts(project):
        if kind != VALUE or not stage.startswith("sources-"):
            require_reruns(project, [stage], stage, kind)
            miniature.run(project, "git", "reset", "-q", "--hard", "main")
            miniature.dvc(project, "checkout", "-q", "--force")


def test_a_damaged_input_is_restored_and_its_reader_does_not_rerun(project: Path) -> None:
    """What another stage made is made again, or taken from DVC's cache, and is then what it was."""
    before = miniature.fingerprints(project)
    (folder,) = data_of(project, WATCHED)
    touch(project / folder)
    assert miniature.fingerprints(project) != before
    assert WATCHED not in miniature.ran(miniature.dvc(project, "repro", WATCHED))
    assert miniature.fingerprints(project) == before


WITNESS = """
import atexit, json, runpy, sys


def tell():
    if any(name.startswith("stages.") for name in sys.modules):  # the supervisor imports none
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        print("WITNESS " + json.dumps([file for file in files if file]), file=sys.stderr)


atexit.register(tell)
runpy.run_module("lmspec.run", run_name="__main__", alter_sys=True)
"""


def imported(project: Path, stage: str) -> set[str]:
    """Files of the project that the process of a stage has imported when it ends; Python itself
    keeps the list."""
    output = miniature.run(project, sys.executable, "-c", WITNESS, *stage.split("-", 1))
    (line,) = re.findall(r"^WITNESS (.*)$", output, re.MULTILINE)
    files = [Path(file) for file in json.loads(line)]
    inside = {
        file.relative_to(project).as_posix() for file in files if file.is_relative_to(project)
    }
    return inside | {"lmspec/run/__main__.py"}


def require_imported(project: Path, stage: str) -> None:
    """What it has imported is declared, and of what is declared it has imported at least all
    modules that its spec names."""
    found = imported(project, stage)
    assert found <= needed(project)[stage], stage
    assert {f"{module.replace('.', '/')}.py" for module in roots(project, stage)} <= found, stage


def test_a_stage_imports_what_it_declares(project: Path) -> None:
    """For one stage of each noun that computes nothing: what its process really imported."""
    by_noun = {stage.partition("-")[0]: stage for stage in cheap(project)}
    for stage in by_noun.values():
        require_imported(project, stage)


@pytest.mark.slow
def test_every_stage_imports_what_it_declares(project: Path) -> None:
    """The same for all."""
    for stage in artifacts(project):
        require_imported(project, stage)


def leave_out(project: Path, name: str) -> str:
    """Output of the stage with one of its inputs left out of dvc.yaml; it must not run."""
    values = load(project / DVC_YAML)
    without = copy.deepcopy(values)
    without["stages"][WATCHED]["deps"].remove(name)
    write(project / DVC_YAML, without)
    noun, _, name = WATCHED.partition("-")
    output = miniature.run(project, sys.executable, "-m", "lmspec.run", noun, name, code=1)
    write(project / DVC_YAML, values)
    return output


def test_a_stage_refuses_to_run_without_one_of_its_inputs(project: Path) -> None:
    """The control of the law: three files that it imports, drawn by a seed, and what it reads, each
    left out of dvc.yaml."""
    used = sorted(imported(project, WATCHED))
    before = miniature.fingerprints(project)
    for name in (*random.Random(4).sample(used, 3), *sorted(data_of(project, WATCHED))):
        require_refused(project, name)
    assert miniature.fingerprints(project) == before


@pytest.mark.slow
def test_a_stage_refuses_to_run_without_any_of_its_inputs(project: Path) -> None:
    """The same for every file that it imports."""
    used = imported(project, WATCHED)
    assert len(used) > 20
    for name in sorted(used):
        require_refused(project, name)


def require_refused(project: Path, name: str) -> None:
    """One message that names it."""
    output = leave_out(project, name)
    assert (
        re.search(rf"{re.escape(name)}\b.*, which it does not declare", output)
        and "Traceback" not in output
    ), f"{name}: {output}"


def test_sync_reports_a_declaration_too_many_and_one_too_few(project: Path) -> None:
    """`lmspec sync --check` finds a dvc.yaml that declares what the code does not import, or the
    other way round."""
    text = (project / DVC_YAML).read_text()
    assert "up to date" in miniature.lmspec(project, "sync", "--check")
    line = "    - stages/splits.py\n"
    for spoilt in (f"{line}    - lmspec/methods/card.py\n", ""):
        (project / DVC_YAML).write_text(text.replace(line, spoilt, 1))
        assert "dvc.yaml: out of date" in miniature.lmspec(project, "sync", "--check", code=1)
