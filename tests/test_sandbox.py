"""The sandbox: a stage cannot read what it does not declare, whichever library opens the file, and
the error names it."""

import contextlib
import functools
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from onnx import TensorProto, helper
from ruamel.yaml import YAML
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models

from lmspec.pipeline.compiler import text_of
from lmspec.run import child, declaration, denial, installed
from lmspec.specs.names import ArtifactName
from tests import miniature, planting

SECRET = "outside/secret"
Plant = Callable[[str, int], str]  # (statement in the build of splits-old, exit code) -> its output
READS = {
    "open": ("txt", "open(SECRET).read()"),
    "numpy": ("npy", "__import__('numpy').load(SECRET)"),
    "safetensors": ("safetensors", "__import__('safetensors.numpy').numpy.load_file(SECRET)"),
    "tokenizers": ("json", "__import__('tokenizers').Tokenizer.from_file(SECRET)"),
    "onnxruntime": ("onnx", "__import__('onnxruntime').InferenceSession(SECRET)"),
    "polars": ("parquet", "pl.read_parquet(SECRET)"),
    "subprocess": (
        "txt",
        "__import__('subprocess').run([__import__('sys').executable, '-c', 'import sys;"
        " open(sys.argv[1]).read()', SECRET], check=True, capture_output=True)",
    ),
    "symbolic link": ("txt", "Path(SECRET).read_text()"),
}


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which splits-old can run, with a folder of files that nothing declares."""
    folder = planting.copied(built, tmp_path_factory.mktemp("project") / "project")
    write_secrets(folder / "outside")
    return folder


@pytest.fixture
def with_readers(project: Path) -> Iterator[None]:
    """Let splits-old import packages that its code does not."""
    text = (project / "dvc.yaml").read_text()
    document = declaration.load(project / "dvc.yaml")
    names = document["stages"]["splits-old"]["params"][-1]["toolchain.yaml"]
    names += [f"packages.{name}" for name in ("safetensors", "tokenizers", "onnxruntime")]
    (project / "dvc.yaml").write_text(text_of(document))
    yield
    (project / "dvc.yaml").write_text(text)


def write_secrets(outside: Path) -> None:
    """One valid file for each library."""
    outside.mkdir()
    secret = outside / "secret"
    secret.with_suffix(".txt").write_text("not declared")
    np.save(secret.with_suffix(".npy"), np.arange(3))
    save_file({"x": np.arange(3)}, secret.with_suffix(".safetensors"))
    Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(str(secret.with_suffix(".json")))
    pl.DataFrame({"x": [1]}).write_parquet(secret.with_suffix(".parquet"))
    shape = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", shape[:1], shape[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, str(secret.with_suffix(".onnx")))
    (outside / "link.txt").symlink_to(secret.with_suffix(".txt"))


@pytest.fixture
def plant(project: Path) -> Plant:
    """Put a statement into the build of splits, and run it; the stage is restored afterwards."""
    return functools.partial(planting.run, project)


@pytest.mark.usefixtures("with_readers")
@pytest.mark.parametrize("library", READS)
def test_an_undeclared_read_is_stopped_and_named(plant: Plant, library: str) -> None:
    """It ends in one error with the file, the line of the stage and what to do."""
    ending, read = READS[library]
    secret = "outside/link.txt" if library == "symbolic link" else f"{SECRET}.{ending}"
    output = plant(read.replace("SECRET", f"'{secret}'"), 1)
    assert f"it opens {secret}, which it does not declare" in output
    assert (
        "stages/splits.py:" in output
        and "lmspec trace splits-old" in output
        and "Traceback" not in output
    )


@pytest.mark.usefixtures("with_readers")
def test_a_sandbox_with_one_rule_too_many_is_caught(plant: Plant, project: Path) -> None:
    """The control of the test above: with the project's folder in the rules, each of the eight
    reads goes through."""
    rules = "            *surroundings.readable(),"
    loose = "lmspec/run/child.py", rules, f"            root,\n{rules}"
    reads = "; ".join(
        read.replace("SECRET", f"'{SECRET}.{ending}'") for ending, read in READS.values()
    )
    with edited(project, *loose):
        plant(reads, 0)
    assert "which it does not declare" in plant(reads, 1)


def test_what_is_another_stages_is_refused(plant: Plant) -> None:
    """Neither the output of an artifact that the spec does not name can be opened, nor anything be
    written but one's own."""
    output = plant("Path('data/corpus/new/labels.json').absolute().read_text()", 1)
    assert (
        "it opens data/corpus/new/labels.json" in output
        and "refer to corpus.new in params.yaml" in output
    )
    assert "it opens params.yaml" in plant("Path('params.yaml').read_text()", 1)
    for path in ("data/corpus/old/extra", "data/corpus/old/labels.json"):
        output = plant(f"Path('{path}').write_text('x')", 1)
        assert (
            f"it writes {path}, which is not its own" in output
            and "write to its output, data/splits/old" in output
        )


FAULTS = [
    KeyError("data"),
    NameError("name 'raw' is not defined"),
    TypeError("got an unexpected keyword argument 'data'"),
    AttributeError("module 'lmspec' has no attribute 'raw'"),
    pl.exceptions.ColumnNotFoundError('unable to find column "raw"'),
    ValueError("threads must be positive, see params.yaml"),
    RuntimeError("no kernel; see /home, data/corpus and params.yaml"),
    KeyError("raw/old.csv"),
]


def test_another_error_is_left_as_it_is(
    plant: Plant, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that merely names a file keeps its traceback."""
    root = project.resolve()
    monkeypatch.chdir(root)
    declared = declaration.read(root, ArtifactName("splits", "old"))
    job = child.Job(root, declared, declaration.values(root, declared), root / "temporary", "")
    allowed = child.allowed_to(job, installed.Packages(declared.packages))
    assert denial.denied(ValueError("cannot open params.yaml"), allowed, root)
    assert [error for error in FAULTS if denial.denied(error, allowed, root)] == []
    assert "it opens params.yaml" in plant("raise ValueError('cannot open params.yaml')", 1)
    for fault in ("{}['data']", "frame['raw']", "(lambda x: x)(data=1)"):
        output = plant(fault, 1)
        assert "Traceback" in output and "stages/splits.py" in output and "lmspec:" not in output


def test_code_that_nothing_watches_is_refused(
    plant: Plant, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that PYTHONPATH adds has no version and is in no key."""
    folder = project.parent / "aside"
    folder.mkdir()
    (folder / "strange.py").write_text("X = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    output = plant("import strange", 1)
    assert "it imports strange, which is neither in the project nor among" in output
    assert "install it as a package (PYTHONPATH does not count)" in output


PYTHON = "[__import__('sys').executable, '-c', {!r}]"
SLEEP = PYTHON.format("import time; time.sleep(3971)")
WRITES = """
import subprocess, sys, time
program = f"log = open('{out.resolve()}/log.txt', 'a')\\nwhile 1: print(3974, file=log, flush=True)"
subprocess.Popen([sys.executable, "-c", program])
time.sleep(0.5)
"""
HELPERS = f"""
import subprocess
from multiprocessing import resource_tracker
resource_tracker.ensure_running()
subprocess.Popen({PYTHON.format("import time; time.sleep(0.3)")})
subprocess.Popen({PYTHON.format("import time; time.sleep(3975)")}).kill()
"""


def test_what_a_stage_leaves_running_fails_it_and_ends_with_it(plant: Plant, project: Path) -> None:
    """A program and a forked worker are named, are gone when the stage is, and hold no lock."""
    fork = "__import__('os').fork() or __import__('time').sleep(3972)"
    output = plant(f"__import__('subprocess').Popen({SLEEP}); {fork}", 1)
    assert "splits-old: its build ended and left running: " in output
    assert "time.sleep(3971)" in output and "lmspec.run splits old" in output
    assert "let the build wait for each process" in output
    plant(
        "(__import__('os').fork() or __import__('time').sleep(3973)) and __import__('os').abort()",
        1,
    )
    commands = [
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.exists()
    ]
    assert [command for command in commands if b"397" in command] == []
    plant("pass", 0)


def test_a_program_that_goes_on_writing_cannot_change_an_output_that_was_hashed(
    plant: Plant, project: Path
) -> None:
    """The stage fails and writes nothing; without the check it succeeds, with a file that was cut
    anywhere (the control)."""
    log = project / "data/splits/old/log.txt"
    assert "left running: " in plant(WRITES, 1)
    assert not log.exists()
    with edited(
        project, "lmspec/run/supervisor.py", "            _require_alone(job.declared, record)", ""
    ):
        plant(WRITES, 0)
    assert log.stat().st_size
    plant("pass", 0)


THREAD = """
import threading, time
def write(path):
    with path.open("w") as stream:
        while True:
            stream.write("line\\n")
            time.sleep(0.001)
threading.Thread(target=write, args=(out / "log.txt",), daemon=True).start()
time.sleep(0.1)
"""


def test_a_thread_that_goes_on_writing_cannot_leave_half_a_file(
    plant: Plant, project: Path
) -> None:
    """A daemon thread ends with its process; without the check the stage succeeds (the control). A
    thread that Python waits for, and one of a library, fail no build."""
    assert "left a thread running" in plant(THREAD, 1)
    assert not (project / "data/splits/old/log.txt").exists()
    check = "    _require_no_thread(root, declared)\n"
    with edited(project, "lmspec/run/building.py", check, ""):
        plant(THREAD, 0)
    assert (project / "data/splits/old/log.txt").exists()
    plant(THREAD.replace("while True", "for _ in range(5)").replace("daemon=True", ""), 0)
    plant("t = __import__('threading'); t.Thread(target=t.Event().wait, daemon=True).start()", 0)


def test_helpers_that_end_by_themselves_fail_no_build(plant: Plant) -> None:
    """The resource tracker of multiprocessing, a program that is nearly done, one that was
    killed."""
    plant(HELPERS, 0)


SPAWNED = """
worker = __import__("multiprocessing").get_context("spawn").Process(target=int)
worker.start()
worker.join()
assert worker.exitcode == 0
"""


def test_a_worker_finds_an_lmspec_that_is_beside_the_project(project: Path, tmp_path: Path) -> None:
    """As one that is installed with `pip install -e`, whose finder no stage may read."""
    apart = planting.copied(project, tmp_path / "apart")
    shutil.rmtree(apart / "lmspec")
    subprocess.run([sys.executable, "-m", "lmspec", "sync"], cwd=apart, check=True)
    planting.run(apart, SPAWNED, 0)


def test_links_into_the_cache_of_dvc_are_inputs(plant: Plant, project: Path) -> None:
    """With `cache.type symlink` an input is elsewhere; it can be read, and nothing beside it."""
    file, elsewhere = project / "data/corpus/old/documents.parquet", project / ".dvc/elsewhere"
    elsewhere.mkdir()
    file.rename(elsewhere / file.name)
    file.symlink_to(elsewhere / file.name)
    (elsewhere / "other").write_text("another input's")
    plant("pass", 0)
    assert "it opens .dvc/elsewhere/other" in plant("Path('.dvc/elsewhere/other').read_text()", 1)
    file.unlink()
    (elsewhere / file.name).rename(file)


def test_the_network_is_refused(plant: Plant) -> None:
    """By name and by address, over TCP in its variants and UDP, in the build and in a program that
    it starts."""
    assert "may not reach the network" in plant(
        "__import__('socket').create_connection(('localhost', 9))", 1
    )
    assert "may not reach the network" in plant(
        "__import__('socket').create_connection(('127.0.0.1', 9))", 1
    )
    inner = [
        "import socket",
        "for kind in ((socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM), "
        "(socket.AF_INET, socket.SOCK_STREAM, 262), (socket.AF_INET6, socket.SOCK_STREAM)):",
        "    try: socket.socket(*kind)",
        "    except PermissionError: print('refused')",
        "socket.socket(socket.AF_UNIX)",
    ]
    code = "\n".join(inner)
    command = f"[__import__('sys').executable, '-c', {code!r}]"
    plant(
        f"output = __import__('subprocess').check_output({command}, text=True)\n"
        "assert output.split() == ['refused'] * 4",
        0,
    )


def test_home_and_temporary_folder_are_its_own(plant: Plant, project: Path) -> None:
    """A library that keeps a cache at home or writes a temporary file finds an empty folder, which
    is removed.

    The temporary one has a short path, since that of a socket in it must have at most 107
    characters.
    """
    write = (
        "(Path.home() / '.cache').mkdir(); tempfile.NamedTemporaryFile(delete=False).write(b'x')"
    )
    output = plant(f"import tempfile; {write}; stage.say(tempfile.gettempdir())", 0)
    folder = Path(output.strip().splitlines()[-1].strip())
    assert (
        folder.name.startswith("lmspec-")
        and folder.parent == Path(tempfile.gettempdir()).resolve()
        and not folder.exists()
    )
    assert list((project / ".lmspec/run").iterdir()) == []


@pytest.mark.parametrize(("value", "enforced_by"), [("7", "kernel"), ("0", "unenforced")])
def test_provenance_says_what_enforced_the_sandbox(
    plant: Plant, project: Path, value: str, enforced_by: str
) -> None:
    """Without Landlock, Python refuses what goes through it, and provenance says so."""
    with edited(project, "lmspec/run/sandbox.py", "    abi = version()", f"    abi = {value}"):
        plant("pass", 0)
        ((statement,),) = json.loads((project / "data/provenance/splits-old.json").read_text())
        assert (
            statement["predicate"]["buildDefinition"]["internalParameters"]["sandbox"]
            == enforced_by
        )
        assert f"it opens {SECRET}.txt" in plant(f"open('{SECRET}.txt')", 1)


def test_trace_lists_all_that_is_missing(project: Path) -> None:
    """A file, another artifact and a module, each with the line to add; the project is left as it
    is."""
    hidden = "__import__('importlib').import_module('lmspec.methods.sources.digest')"
    before = miniature.fingerprints(project)
    reads = (
        f"Path('{SECRET}.txt').read_text(); "
        f"documents.read_labels(Path('data/corpus/new')); {hidden}"
    )
    with planting.planted(project, reads):
        output = miniature.lmspec(project, "trace", "splits.old", code=1)
    assert f"{SECRET}.txt\n  -> make it a source of kind `file`" in output
    assert "data/corpus/new/labels.json\n  -> refer to corpus.new in params.yaml" in output
    assert (
        "lmspec/methods/sources/digest.py\n  -> import it where `lmspec sync` can see it" in output
    )
    assert "splits.old reads 3 undeclared files" in output
    assert miniature.fingerprints(project) == before
    assert "did you mean 'splits.old'" in miniature.lmspec(project, "trace", "split.old", code=1)


def test_an_input_that_moves_during_the_run_fails_it(plant: Plant, project: Path) -> None:
    """DVC takes hashes after the run: what was read must be what is there then (dvc#11058)."""
    before = (project / "data/provenance/splits-old.json").read_bytes()
    wait = "import time; (Path.home() / 'ready').touch(); time.sleep(2)"
    edits = {
        "params.yaml": ("seed: 1", "seed: true", "params.yaml: splits.old"),
        "lmspec/formats/documents.py": ('"""', '""" ', "lmspec/formats/documents.py"),
    }
    for path, (old, new, named) in edits.items():
        text = (project / path).read_text()
        assert old in text
        with during(
            project,
            lambda path=path, text=text, old=old, new=new: (project / path).write_text(
                text.replace(old, new, 1)
            ),
        ):
            output = plant(wait, 1)
        (project / path).write_text(text)
        assert f"{named}: it changed while splits-old was being built from it" in output
    assert (project / "data/provenance/splits-old.json").read_bytes() == before


def test_another_version_of_a_package_is_refused(plant: Plant, project: Path) -> None:
    """A stage runs with the packages that toolchain.yaml records, and says how to get them; a local
    label is no version."""
    recorded = YAML(typ="safe").load(project / "toolchain.yaml")["packages"]
    torch = importlib.metadata.version("torch")
    assert recorded["torch"] == torch.partition("+")[0]
    with edited(project, "toolchain.yaml", f"polars: {recorded['polars']}", "polars: 0.0.1"):
        output = plant("pass", 1)
    assert (
        f"polars is {recorded['polars']}, and 0.0.1 is recorded" in output
        and "pip install polars==0.0.1" in output
    )
    with edited(project, "toolchain.yaml", "python: '", "python: '2."):
        assert "python is 3." in plant("pass", 1)
    with edited(project, "toolchain.yaml", f"torch: {recorded['torch']}", "torch: 0.0.1"):
        plant("pass", 0)


def test_two_runs_of_a_stage_do_not_overlap(project: Path) -> None:
    """The second waits for the first, and builds after it."""
    wait = (
        "import time; (Path.home() / 'ready').touch(); time.sleep(1.5); metrics['at'] = time.time()"
    )
    second = []

    def again() -> None:
        second.append(
            subprocess.Popen(
                [sys.executable, "-m", "lmspec.run", "splits", "old"],
                cwd=project,
                env=miniature.environment(),
            )
        )

    with planting.planted(project, wait), during(project, again):
        command = (sys.executable, "-m", "lmspec.run", "splits", "old")
        miniature.run(project, *command)
        first = json.loads((project / "data/metrics/splits-old.json").read_text())["at"]
        assert second[0].wait(30) == 0
    assert json.loads((project / "data/metrics/splits-old.json").read_text())["at"] > first + 1.5


@contextlib.contextmanager
def edited(project: Path, path: str, old: str, new: str) -> Iterator[None]:
    """A file with other text, for a while."""
    text = (project / path).read_text()
    assert old in text, f"{old!r} is not in {path}"
    (project / path).write_text(text.replace(old, new, 1))
    try:
        yield
    finally:
        (project / path).write_text(text)


@contextlib.contextmanager
def during(project: Path, act: Callable[[], object]) -> Iterator[None]:
    """Act in the middle of the run of splits-old that starts meanwhile: once it has touched `ready`
    in its home."""

    def when_ready() -> None:
        until = time.monotonic() + 30
        while not (project / ".lmspec/run/splits-old/ready").exists() and time.monotonic() < until:
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=when_ready)
    thread.start()
    yield
    thread.join()
