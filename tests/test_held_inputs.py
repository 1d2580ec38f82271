"""Inputs are held to the cache key: of the machine a stage sees a listed minimum, by its hash."""

import hashlib
import importlib.metadata
import importlib.util
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lmspec.run import declaration, environment, installed, surroundings
from tests import miniature, planting

LIMITED = "from lmspec.run import installed; installed.limit(['numpy']); "
ENTERED = "from lmspec.run import interpreter as i; i.prepare(i.Path.cwd(), 'corpus'); "


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which splits-old can run."""
    return planting.copied(built, tmp_path_factory.mktemp("project") / "project")


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A package that is installed, in no key and holds data."""
    name = "lmspec_test_words"
    site = installed.folders()[0]
    if not os.access(site, os.W_OK):
        pytest.skip("the folder of installed packages cannot be written")
    module, record = site / name, site / f"{name}-1.0.dist-info"
    for folder in (module, record):
        folder.mkdir()
    files = {
        module / "__init__.py": "WORDS = 3",
        module / "words.txt": "not declared",
        record / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        record / "RECORD": f"{name}/__init__.py,,\n{name}/words.txt,,\n{record.name}/RECORD,,\n",
    }
    for file, text in files.items():
        file.write_text(text)
    yield name
    for folder in (module, record):
        for file in sorted(folder.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        folder.rmdir()


def python(folder: Path, code: str, *options: str, **variables: str) -> str:
    """What a new process prints, in that folder."""
    done = subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        env=miniature.environment() | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def outside_of_keys() -> list[str]:
    """Files of this machine that no key has, from folders where data are."""
    homes = [Path(name) for name in ("/usr/share", "/usr/local", "/opt", "/var/lib", "/etc")]
    base = Path(sys.base_prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages")
    places = [*homes, base, Path("/usr/bin")]
    allowed = tuple(surroundings.SYSTEM)
    found = []
    for place in (place for place in places if place.is_dir()):
        own = (path for path in place.rglob("*") if not str(path).startswith(allowed))
        files = (p for p in own if p.is_file() and ".so" not in p.name and os.access(p, os.R_OK))
        python3 = Path(sys.executable).resolve().parent
        file = next((f for f in files if not f.resolve().is_relative_to(python3)), None)
        found += [str(file)] if file else []
    return found


TRY = """
for name in {names}:
    try:
        open(name, "rb").read(1)
        stage.say(f"read {{name}}")
    except PermissionError:
        pass
"""


def test_the_files_of_the_machine_are_refused(project: Path, package: str, tmp_path: Path) -> None:
    """Dictionaries, corpora, configuration, programs, the data of other packages, temporary files:
    none can be read. The control: a wider list lets them
    through."""
    data = installed.folders()[0] / package / "words.txt"
    (tmp_path / "file").write_text("not declared")
    names = [*outside_of_keys(), str(data), str(tmp_path / "file")]
    assert len(names) > 4
    assert "read" not in planting.run(project, TRY.format(names=names), 0)
    file = project / "lmspec/run/surroundings.py"
    text = file.read_text()
    file.write_text(text.replace("SYSTEM = (", 'SYSTEM = (\n    "/",', 1))
    try:
        output = planting.run(project, TRY.format(names=names), 0)
    finally:
        file.write_text(text)
    assert [name for name in names if f"read {name}" not in output] == []


def test_no_folder_of_the_system_is_readable_as_a_whole() -> None:
    """Wherever Python itself is, as in /usr/local: of that folder, Python alone. The control: its
    standard library as a whole would hold what is installed into it."""
    standard = surroundings.standard_library()
    data = [Path(name, "data") for name in ("/usr/share", "/usr/lib", "/usr/local", "/opt", "/etc")]
    data += [folder / "site-packages/data" for folder in standard]
    data += [Path(sys.base_prefix, name) for name in ("data", "lib/data", "share/data")]
    data += [folder / "data" for folder in installed.folders()]
    readable = set(surroundings.readable())
    assert [file for file in data if not readable.isdisjoint((file, *file.parents))] == []
    assert {Path(os.__file__).resolve(), Path(sys.executable).resolve()} <= readable
    readable |= set(standard)
    assert [file for file in data if not readable.isdisjoint((file, *file.parents))] != []


def test_a_system_file_is_read_once_it_is_declared_by_its_hash(
    project: Path, tmp_path: Path
) -> None:
    """The error has the line to add; with it the file is in the key of every stage but sources, and
    another file in its place is refused."""
    words = tmp_path / "words"
    words.write_text("one\ntwo\n")
    read = f"assert open('{words}').read() == 'one\\ntwo\\n'"
    output = planting.run(project, read, 1)
    line = f"{{path: {words}, sha256: {hashlib.sha256(words.read_bytes()).hexdigest()}}}"
    assert f"it opens {words}" in output and "or add it to `numerics.system_files`" in output
    assert line in output
    params, dvc_yaml = project / "params.yaml", project / "dvc.yaml"
    texts = params.read_text(), dvc_yaml.read_text()
    assert "numerics: {" in texts[0]
    params.write_text(texts[0].replace("numerics: {", f"numerics: {{system_files: [{line}], ", 1))
    try:
        miniature.lmspec(project, "sync")
        stages = declaration.load(dvc_yaml)["stages"]
        assert "numerics.system_files" in stages["splits-old"]["params"]
        assert "numerics.system_files" not in stages["sources-old"]["params"]
        planting.run(project, read, 0)
        words.write_text("another\n")
        assert f"{words} is not the file that was declared" in planting.run(project, read, 1)
        words.unlink()
        assert f"there is no file {words} on this machine" in planting.run(project, read, 1)
    finally:
        params.write_text(texts[0])
        dvc_yaml.write_text(texts[1])


def test_a_program_is_named_by_its_file(project: Path) -> None:
    """It is called `env`, and the line to add is that of /usr/bin/env."""
    output = planting.run(project, "__import__('subprocess').run(['env'], check=True)", 1)
    program = shutil.which("env")
    assert f"it opens {program}, which it does not declare" in output
    assert f"{{path: {program}, sha256: " in output


def test_a_package_outside_of_the_key_does_not_exist(project: Path, package: str) -> None:
    """Whether its name is in the code or made at run time; a library that asks whether it is there
    learns that it is not. The control: without the limit it is there."""
    name = f"'{package[:7]}' + '{package[7:]}'"
    output = planting.run(project, f"__import__('importlib').import_module({name})", 1)
    assert f"it imports {package}, which is installed, but not in its cache key" in output
    assert (
        f"write `import {package}` into the stage's code" in output and "stages/splits.py" in output
    )
    ask = (
        "import importlib.metadata as m, importlib.util as u; "
        f"print(u.find_spec('{package}') is not None,"
        f" '{package}' in m.packages_distributions(), 'numpy' in m.packages_distributions())"
    )
    assert python(project, LIMITED + ask).split() == ["False", "False", "True"]
    assert python(project, ask).split() == ["True", "True", "True"]
    version = f"import importlib.metadata as m; print(m.version('{package}'))"
    assert "PackageNotFoundError" in python(project, LIMITED + version)
    assert python(project, version).strip() == "1.0"


def test_what_a_module_cannot_hide_behind_is_found_after_the_build(package: str) -> None:
    """A module that came past the finder is refused by its file."""
    packages = installed.Packages(["numpy"])
    packages.require(["numpy"])
    with pytest.raises(Exception, match=f"a stage imported {package}, which is not in its cache"):
        packages.require(["numpy", package])


def test_a_folder_is_no_place_of_packages_for_its_name(project: Path, tmp_path: Path) -> None:
    """`PYTHONPATH=/opt/ros/humble/lib/python3.10/site-packages`: what is there is in no key, and
    does not come before what is installed. The control: Python takes it from there."""
    ros = tmp_path / "opt/ros/site-packages"
    ros.mkdir(parents=True)
    (ros / "polars.py").write_text("VERSION = 'of ros'")
    (ros / "sitecustomize.py").write_text("print('sitecustomize of ros')")
    show = "stage.say(pl.__file__)"
    output = planting.run(project, show, 0, PYTHONPATH=str(ros))
    assert str(installed.folders()[0] / "polars") in output
    assert "of ros" not in output.partition("sitecustomize of ros")[2]
    assert "of ros" in python(tmp_path, "import polars; print(polars.VERSION)", PYTHONPATH=str(ros))


def test_standard_input_and_open_files_are_no_input(project: Path, tmp_path: Path) -> None:
    """A stage finds standard input empty, and no descriptor that its caller left open."""
    (tmp_path / "file").write_text("not declared")
    code = (
        "import os, sys; from lmspec.run import environment\n"
        "number = os.open('file', os.O_RDONLY); os.set_inheritable(number, True)\n"
        "environment.detach()\n"
        "os.execv(sys.executable, [sys.executable, '-c',"
        " f'import os; print(repr(os.read({number}, 20)))'])"
    )
    assert "Bad file descriptor" in python(tmp_path, code)
    assert "not declared" in python(tmp_path, code.replace("environment.detach()", ""))
    read = "import os; assert os.read(0, 9) == b'' and not __import__('sys').stdin.read()"
    planting.run(project, read, 0, stdin="not declared")


HOSTILE = {
    "OMP_THREAD_LIMIT": "1",
    "OMP_NUM_THREADS": "7",
    "GOMP_CPU_AFFINITY": "0",
    "KMP_AFFINITY": "disabled",
    "MKL_CBWR": "COMPATIBLE",
    "MKL_DEBUG_CPU_TYPE": "4",
    "DNNL_MAX_CPU_ISA": "SSE41",
    "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENBLAS_NUM_THREADS": "7",
    "ATEN_CPU_CAPABILITY": "default",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1",
    "NVIDIA_TF32_OVERRIDE": "1",
    "ORT_DISABLE_ALL_OPTIMIZATIONS": "1",
    "RAYON_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "AVX2",
    "TRANSFORMERS_CACHE": "/nowhere",
    "HF_HOME": "/nowhere",
    "TOKENIZERS_PARALLELISM": "true",
    "LANG": "tr_TR.ISO-8859-9",
    "LANGUAGE": "tr",
    "LC_ALL": "C",
    "TZ": "Pacific/Chatham",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=1",
    "MALLOC_PERTURB_": "1",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "ignore",
    "PYTHONDEVMODE": "1",
    "PYTHONPYCACHEPREFIX": "/nowhere",
    "COLUMNS": "40",
    "HTTPS_PROXY": "http://nowhere:1",
    "AWS_SECRET_ACCESS_KEY": "x",
}
SHOW = (
    "import json, locale, os, sys, time; print(json.dumps({'variables': dict(os.environ), "
    "'optimize': sys.flags.optimize, 'dev': sys.flags.dev_mode, 'zone': time.tzname[0], "
    "'text': locale.getencoding().lower()}))"
)


def test_no_variable_reaches_a_stage_that_is_not_listed(tmp_path: Path) -> None:
    """Not those of libraries, and those that act on Python's start have no effect. The control:
    without this, they are there and have one."""
    import json

    stage = json.loads(python(tmp_path, ENTERED + SHOW, **HOSTILE))
    known = {*environment.PASSED, *environment.FIXED, "NPY_DISABLE_CPU_FEATURES"}
    assert stage["variables"].keys() <= known | {"OPENBLAS_CORETYPE", "LC_CTYPE"}
    kept = HOSTILE.items() & stage["variables"].items()
    assert kept == set()
    assert (stage["optimize"], stage["dev"], stage["zone"]) == (0, False, "UTC")
    assert stage["text"] in ("utf-8", "utf8")
    plain = json.loads(python(tmp_path, SHOW, **HOSTILE))
    assert HOSTILE.items() - {("LC_CTYPE", "")} <= plain["variables"].items() | {("LC_ALL", "C")}
    assert (plain["optimize"], plain["dev"]) == (2, True)


def test_sources_keep_their_callers_variables(tmp_path: Path) -> None:
    """They need proxies and credentials, and what they fetch has a declared hash."""
    show = "import os; print(os.environ)"
    fetching = ENTERED.replace("corpus", "sources")
    assert "HTTPS_PROXY" in python(tmp_path, fetching + show, HTTPS_PROXY="x")
    assert "HTTPS_PROXY" not in python(tmp_path, ENTERED + show, HTTPS_PROXY="x")


def test_code_that_runs_whenever_python_starts_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A `sitecustomize` of the environment is in no key."""
    from lmspec.run import interpreter

    interpreter.refuse_startup_code()
    module = ModuleType("sitecustomize")
    module.__file__ = str(tmp_path / "sitecustomize.py")
    monkeypatch.setitem(sys.modules, "sitecustomize", module)
    with pytest.raises(SystemExit, match="runs whenever Python starts, and no cache key has it"):
        interpreter.refuse_startup_code()


ONLY_SOURCE = "import os; from lmspec.run import source; source.only(os.getcwd()); "
HELPER = "import helper; print(helper.X)"


def test_the_source_is_what_runs(tmp_path: Path) -> None:
    """Not byte code that says that it need not be compared, nor that of an edit within a second,
    nor any without a source. The control: Python alone runs it."""
    helper = tmp_path / "helper.py"
    cached = Path(importlib.util.cache_from_source(str(helper)))
    helper.write_text("X = 'old'\n")
    py_compile.compile(str(helper), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    helper.write_text("X = 'new'\n")
    assert python(tmp_path, HELPER) == "old\n"
    assert python(tmp_path, ONLY_SOURCE + HELPER) == "new\n"
    cached.unlink()
    helper.write_text("X = 'old'\n")
    py_compile.compile(str(helper))
    times = (helper.stat().st_atime_ns, helper.stat().st_mtime_ns)
    helper.write_text("X = 'new'\n")
    os.utime(helper, ns=times)
    assert python(tmp_path, HELPER) == "old\n"
    assert python(tmp_path, ONLY_SOURCE + HELPER) == "new\n"
    cached.replace(tmp_path / "helper.pyc")
    helper.unlink()
    assert python(tmp_path, HELPER) == "old\n"
    assert "No module named 'helper'" in python(tmp_path, ONLY_SOURCE + HELPER)


def test_old_byte_code_of_the_launcher_itself_is_replaced(project: Path) -> None:
    """The modules that see to the above cannot see to themselves: they compare what they came from
    with their source, and start again."""
    names = ("lmspec/__init__.py", "lmspec/run/__main__.py", "lmspec/run/source.py")
    others = ("lmspec/run/interpreter.py", "lmspec/run/inputs.py", "stages/splits.py")
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for name in (*names, *others):
        text = (project / name).read_text()
        old = f"{text}\nprint('OLD CODE', __name__)\n"
        if name.endswith("__main__.py"):
            old = text.replace("if __name__", "print('OLD CODE', __name__)\nif __name__")
        (project / name).write_text(old)
        py_compile.compile(str(project / name), invalidation_mode=mode)
        (project / name).write_text(text)
    lines = planting.run(project, "pass", 0).splitlines()
    seen = [line for line in lines if line.startswith("OLD CODE")]
    assert {line.split()[-1] for line in seen} <= {"lmspec", "__main__", "lmspec.run.source"}
    assert "OLD CODE" not in planting.run(project, "pass", 0)
