"""Resume: a training that was killed goes on from its checkpoint and ends with the same bits."""

import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from lmspec.methods import folders
from lmspec.methods.resume import NAME, Reached, Resume
from lmspec.pipeline import stopped
from lmspec.run import resuming
from lmspec.run.declaration import PARAMS, TOOLCHAIN, Declaration
from lmspec.specs.names import ArtifactName
from lmspec.specs.training import GradientDescent
from lmspec.training import checkpoints, loop, optimizers, seeds, state, supervision, watching
from lmspec.training.stopping import Stopped
from lmspec.training.task import Fitted, Task
from tests import miniature
from tests.killing import CASES, PLACES
from tests.test_training import NUMERICS, SGD, TRUTH, alone, make, recipe
from tests.test_training_methods import ADAFACTOR, MUON

STOPPING = {"metric": "log_loss", "evaluation_steps": 4, "patience": 3}
RECIPES = {
    "adamw, averaged": recipe(
        early_stopping=STOPPING, averaging={"kind": "ema", "decay": 0.9}, micro_batch_size=5
    ),
    "adafactor, swa": recipe(
        early_stopping=STOPPING,
        optimizer=ADAFACTOR,
        averaging={"kind": "swa", "start_fraction": 0.2},
    ),
    "muon, focal": recipe(
        early_stopping=STOPPING, optimizer=MUON, loss={"kind": "focal", "gamma": 2.0}
    ),
    "sgd": recipe(early_stopping=STOPPING, optimizer=SGD | {"momentum": 0.9, "nesterov": True}),
}
Passed = Callable[[str, int], None]


class Kill(BaseException):
    """Ends a training at that point, as SIGKILL does: nothing of it is used afterwards."""


def place(folder: Path) -> Resume:
    return Resume(folder, lambda: True)


def train(
    kind: str,
    spec: GradientDescent,
    resume: Resume | None,
    at: Passed = lambda where, count: None,
    dev: Callable[[int], dict[str, float]] | None = None,
) -> tuple[str, Fitted]:
    """Digest of the weights, and what came of it.

    at   called in each loss and in the middle of each evaluation, with how many there were
    dev  the result of that evaluation, if not of the model
    """
    model, ids, pad = make(kind)
    supervised = supervision.supervised(TRUTH)
    evaluation = supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)
    passed = {"step": 0, "evaluation": 0}

    def pass_by(where: str) -> None:
        passed[where] += 1
        at(where, passed[where])

    def objective(*arguments: Any) -> torch.Tensor:
        pass_by("step")
        return supervised(*arguments)

    def evaluate() -> dict[str, float]:
        pass_by("evaluation")
        return dev(passed["evaluation"]) if dev else evaluation()

    task = Task(ids, pad, objective, evaluate, supervision.prior_log_loss(TRUTH))
    fitted = loop.fit(model, task, spec, NUMERICS, resume)
    held = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return hashlib.sha256(held).hexdigest(), fitted


def killed_at(where: str, count: int) -> Passed:
    def at(here: str, passed: int) -> None:
        if (here, passed) == (where, count):
            raise Kill

    return at


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)


@pytest.fixture
def disturbed(every_step: None, tmp_path: Path) -> Path:
    """A folder of checkpoints of the `sgd` training of a CNN, killed at its tenth step."""
    with pytest.raises(Kill):
        train("cnn", RECIPES["sgd"], place(tmp_path), killed_at("step", 10))
    return tmp_path


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("cnn", "adamw, averaged"),
        ("cnn", "sgd"),
        ("lstm", "adafactor, swa"),
        ("lstm", "muon, focal"),
    ],
)
def test_killed_over_and_over_it_ends_with_the_same_bits(
    kind: str, rule: str, tmp_path: Path
) -> None:
    """In a step, in an evaluation, again and again: weights, curve, best and steps are those of
    the training that nothing disturbed."""
    undisturbed = train(kind, RECIPES[rule], None)
    for where, count in (("step", 1), ("step", 3), ("evaluation", 1), ("step", 6)):
        with pytest.raises(Kill):
            train(kind, RECIPES[rule], place(tmp_path), killed_at(where, count))
    assert train(kind, RECIPES[rule], place(tmp_path)) == undisturbed


@pytest.mark.usefixtures("every_step")
def test_killed_on_two_threads_it_goes_on_to_the_same_bits(
    tmp_path: Path,
) -> None:
    """The number of threads is an input, so those who go on have as many."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        undisturbed = train("cnn", RECIPES["adamw, averaged"], None)
        with pytest.raises(Kill):
            train("cnn", RECIPES["adamw, averaged"], place(tmp_path), killed_at("step", 9))
        assert train("cnn", RECIPES["adamw, averaged"], place(tmp_path)) == undisturbed
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("moment", range(8))
def test_a_checkpoint_is_written_whole_or_not_at_all(
    moment: int, disturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each call that changes something on the disk, it goes on from the last one or
    from this one."""
    undisturbed = train("cnn", RECIPES["sgd"], None)
    left = [moment]

    def cut(known: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                monkeypatch.undo()  # whatever would tidy up
                raise Kill
            return known(*arguments, **named)

        return called

    changing: list[tuple[Any, str]] = [
        (state, "save_file"),
        (os, "fsync"),
        (Path, "replace"),
        (Path, "unlink"),
    ]
    for owner, name in changing:
        monkeypatch.setattr(owner, name, cut(getattr(owner, name)))
    # seven changes write a checkpoint; the eighth moment is in the next one
    with pytest.raises(Kill):
        train("cnn", RECIPES["sgd"], place(disturbed))
    reached = Reached.read(disturbed / "seed-5")
    assert reached and reached.step in (9, 10)
    assert train("cnn", RECIPES["sgd"], place(disturbed)) == undisturbed


# ---- what a training holds ----


def reachable(value: Any, path: str, seen: dict[int, Any]) -> Iterator[tuple[str, Any]]:
    """(path, leaf) of all that an object holds: attributes, items, what functions close over."""
    if isinstance(value, torch.Tensor):
        yield path, value.detach().contiguous().numpy().tobytes()
        yield from reachable(value.grad, f"{path}.grad", seen)
    elif isinstance(value, np.ndarray):
        yield path, value.tobytes()
    elif isinstance(value, Mapping):
        for i, (key, each) in enumerate(value.items()):
            name = key if isinstance(key, str) else i
            yield from reachable(each, f"{path}[{name}]", seen)
    elif isinstance(value, list | tuple | set | frozenset):
        for i, each in enumerate(value):
            yield from reachable(each, f"{path}[{i}]", seen)
    elif isinstance(value, MethodType):
        yield from reachable(value.__self__, path, seen)
    elif isinstance(value, FunctionType):
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            yield from reachable(cell.cell_contents, f"{path}({name})", seen)
    elif isinstance(value, str | bytes | int | float | bool | None):
        yield path, value
    elif not isinstance(value, type) and hasattr(value, "__dict__") and id(value) not in seen:
        seen[id(value)] = value  # kept, so that no other object gets its number
        yield from reachable(vars(value), path, seen)


# local names of the loop: signals and clocks, and what a step makes and drops
PASSING = {"resume", "checkpoints", "progress", "steps"}
PASSING |= {"step", "loss", "rows", "part", "objective", "epochs", "rate", "look"}


def held_at(step: int, resume: Resume, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """All that a training holds after so many steps, as a checkpoint of it is offered."""
    found: dict[str, Any] = {}
    offer = checkpoints.Checkpoints.offer

    def look(self: checkpoints.Checkpoints, done: int) -> None:
        offer(self, done)
        if done == step:
            names = sys._getframe(1).f_locals
            kept = {"model", "task", "order", "descent", "average", "watch", "parts", "done"}
            lasting = {name: names[name] for name in names if name not in PASSING}
            assert kept <= lasting.keys()
            found.update(reachable(lasting, "fit", {}))
            raise Kill

    with monkeypatch.context() as patched, pytest.raises(Kill):
        patched.setattr(checkpoints.Checkpoints, "offer", look)
        # it gets worse, so that the best is not the last, and patience is spent
        train("cnn", OFTEN, resume, dev=worse)
    return found


OFTEN = recipe(
    early_stopping=STOPPING | {"evaluation_steps": 2}, averaging={"kind": "ema", "decay": 0.9}
)


def worse(evaluation: int) -> dict[str, float]:
    return {"log_loss": evaluation / 100}


def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a training holds after six steps, and does not when it goes on from there."""
    whole = held_at(6, place(tmp_path), monkeypatch)
    back = held_at(6, place(tmp_path), monkeypatch)
    assert len(whole) > 100
    return sorted(name for name in {*whole, *back} if whole.get(name) != back.get(name))


@pytest.mark.usefixtures("every_step")
def test_all_that_a_training_holds_is_in_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every tensor and value that can be reached from the loop is there again, to the bit."""
    found = lost(tmp_path, monkeypatch)
    # counted by the test, and by torch; written before they are read: by a step, by an evaluation
    clocks = (
        "[holes][due]",
        "[progress][begin]",
        "[progress][printed]",
        "[progress][filed]",
        "[progress][marks]",
    )
    passing = ("(passed)", "[hook][id]", "[grad_scale]", "[whole]", "[progress][loss]", *clocks)
    assert [name for name in found if not any(part in name for part in passing)] == []


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("left_out", [*watching.HELD])
def test_without_a_part_of_it_the_loss_is_found(
    left_out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: one thing less is held."""
    fresh = tuple(name for name in watching.HELD if name != left_out)
    monkeypatch.setattr(watching, "HELD", fresh)
    found = lost(tmp_path, monkeypatch)
    assert any(left_out in name for name in found)


@pytest.mark.usefixtures("every_step")
def test_new_state_that_no_checkpoint_holds_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: an optimizer that counts its steps, as somebody may add it."""
    step = optimizers.Descent.step

    def counting(self: Any, number: int) -> None:
        self.taken = getattr(self, "taken", 0) + 1
        step(self, number)

    monkeypatch.setattr(optimizers.Descent, "step", counting)
    assert any("taken" in name for name in lost(tmp_path, monkeypatch))


def test_state_is_given_back_as_it_was(tmp_path: Path) -> None:
    """Numbers to the last digit, tuples as tuples, shared tensors, dtypes; what a file cannot hold
    is refused at once."""
    shared = torch.arange(6.0).reshape(2, 3)
    held: dict[str, Any] = {
        "numbers": [0.1 + 0.2, float("inf"), 1, True, None, "a", np.float64(1 / 3)],
        "pair": (1, [2.5]),
        "one": shared,
        "same": shared,
        "turned": shared.T,
        "half": torch.ones(2, dtype=torch.bfloat16),
        "empty": torch.zeros(0),
    }
    digest = state.write(held, tmp_path / "file")
    found = state.read(tmp_path / "file", digest)
    assert found["numbers"] == held["numbers"] and found["pair"] == (1, [2.5])
    for name in ("one", "same", "turned", "half", "empty"):
        assert torch.equal(found[name], held[name]) and found[name].dtype == held[name].dtype
    odds: tuple[Any, ...] = ({1: 2}, {"a": {1}}, {"a": np.float32(1)}, {"a": {"tensor": 1}})
    for odd in odds:
        with pytest.raises(TypeError, match="cannot be kept"):
            state.write(odd, tmp_path / "file")


# ---- damage, disks, signals ----


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    held = bytearray(file.read_bytes())
    held[len(held) // 2] ^= 1
    file.write_bytes(held)


def elsewhere(file: Path) -> None:
    file.write_text(json.dumps({"step": 1, "steps": 2, "file": "../x", "sha256": "0"}))


@pytest.mark.parametrize(
    ("which", "damage"),
    [
        ("*.safetensors", shorten),
        ("*.safetensors", flip),
        ("*.safetensors", Path.unlink),
        (NAME, shorten),
        (NAME, elsewhere),
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(
    which: str,
    damage: Callable[[Path], None],
    disturbed: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The training starts again, and ends with the same bits."""
    (file,) = (disturbed / "seed-5").glob(which)
    damage(file)
    capfd.readouterr()
    found = train("cnn", RECIPES["sgd"], place(disturbed))
    lines = [line for line in capfd.readouterr().err.splitlines() if "damaged" in line]
    assert len(lines) == 1 and "the training starts again" in lines[0]
    assert found == train("cnn", RECIPES["sgd"], None)


def full(*arguments: Any) -> str:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("fault", ["full", "no folder", "little space"])
def test_a_disk_that_takes_no_checkpoint_costs_a_warning(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The training goes on to the same bits."""
    folder = tmp_path / "kept"
    if fault == "full":
        monkeypatch.setattr(state, "write", full)
    elif fault == "no folder":
        folder.write_text("a file")
    else:
        monkeypatch.setattr(checkpoints, "SPARE", 10**9)
    found = train("cnn", RECIPES["sgd"], place(folder))
    assert found == train("cnn", RECIPES["sgd"], None)
    assert re.search(r"no checkpoint at step \d+: \w+", capfd.readouterr().err)
    assert not [*tmp_path.glob("kept/*/*")]


@pytest.mark.usefixtures("every_step")
def test_nothing_is_kept_under_a_key_that_is_not_true_any_more(tmp_path: Path) -> None:
    """An input that changed after its digest was taken may be what the training has read."""
    with pytest.raises(Kill):
        train("cnn", RECIPES["sgd"], Resume(tmp_path, lambda: False), killed_at("step", 9))
    assert list(tmp_path.glob("*/*")) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("where", ["step", "evaluation"])
def test_a_signal_is_answered_with_a_checkpoint_at_once(
    where: str, number: signal.Signals, tmp_path: Path
) -> None:
    """After the step; in the middle of an evaluation. A second signal changes nothing, and
    afterwards signals act as before."""
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    reached = []

    def send(here: str, passed: int) -> None:
        if (here, passed) == (where, 1):
            os.kill(os.getpid(), number)
            if here == "step":
                os.kill(os.getpid(), signal.SIGTERM)
            reached.append(here)

    with pytest.raises(Stopped, match=r"at step \d+ of \d+; `dvc repro` goes on from there"):
        train("cnn", RECIPES["sgd"], place(tmp_path), send)
    assert reached == (["step"] if where == "step" else [])
    kept = Reached.read(tmp_path / "seed-5")
    assert kept and kept.step == (1 if where == "step" else 4)
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before
    assert train("cnn", RECIPES["sgd"], place(tmp_path)) == train("cnn", RECIPES["sgd"], None)


def test_a_seed_that_is_done_is_not_trained_again(tmp_path: Path) -> None:
    """Each seed of a stage has checkpoints of its own, and its result is kept until the stage is
    done."""
    spec = recipe(early_stopping=STOPPING, seeds=3)
    losses: list[int] = []

    def all_seeds(kill: int) -> list[Fitted]:
        losses.clear()

        def one(numerics: Any) -> Fitted:
            model, ids, pad = make("cnn")
            supervised = supervision.supervised(TRUTH)

            def objective(*arguments: Any) -> torch.Tensor:
                losses.append(numerics.seed)
                if len(losses) == kill:
                    raise Kill
                return supervised(*arguments)

            evaluate = supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)
            task = Task(ids, pad, objective, evaluate)
            return loop.fit(model, task, spec, numerics, place(tmp_path))

        return [one(NUMERICS), *seeds.over_seeds(one, spec, NUMERICS)]

    whole = all_seeds(0)
    steps = len(losses)
    shutil.rmtree(tmp_path)
    with pytest.raises(Kill):
        all_seeds(steps)  # in the last step of the last seed
    assert all_seeds(0) == whole
    assert set(losses) == {7}


def test_writing_takes_at_most_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that takes a second is written once in fifty; a fast one every 25 s."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept: list[float] = []

    def slow(held: Any, file: Path) -> str:
        kept.append(now[0])
        now[0] += 1.0
        file.touch()
        return "0"

    monkeypatch.setattr(state, "write", slow)
    one = checkpoints.Checkpoints(place(tmp_path), 1, 1000, {})
    for step in range(1, 1000):
        now[0] += 0.25
        one.offer(step)
    assert kept[0] == 25.0
    assert {round(later - former) for former, later in itertools.pairwise(kept)} == {51}


# ---- the key ----

VALUES: dict[str, dict[str, Any]] = {
    PARAMS: {"model.a": {"rate": 1, "on": True}, "machine": {"device": "cpu"}, "numerics": {}},
    TOOLCHAIN: {"packages.torch": "2"},
}


def declared(**changes: Any) -> Declaration:
    watched = {PARAMS: ("model.a",), TOOLCHAIN: ("packages.torch",)}
    base = Declaration(
        ArtifactName("model", "a"), ("code.py", "data"), ("out",), watched, command="run"
    )
    return replace(base, **changes)


def key(root: Path, values: Any = VALUES, **changes: Any) -> str:
    stage = declared(**changes)
    return resuming.key(stage, values, resuming.digests(root, stage, folders.of_file))


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in ("code.py", "data/a", "data/b"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_the_key_holds_all_by_which_dvc_knows_a_run(inputs: Path) -> None:
    """Another value, type, version, command, output, device, or a byte of code or data: another
    key."""
    base = key(inputs)
    assert key(inputs) == base

    def other(file: str, name: str, value: Any) -> Any:
        return VALUES | {file: VALUES[file] | {name: value}}

    keys = [
        key(inputs, other(PARAMS, "model.a", {"rate": value, "on": True}))
        for value in (2, 1.0, True, "1", None)
    ]
    keys += [
        key(inputs, other(TOOLCHAIN, "packages.torch", "3")),
        key(inputs, other(PARAMS, "machine", {"device": "cuda"})),
        key(inputs, command="run it"),
        key(inputs, outs=("out", "other")),
        key(inputs, deps=("code.py",)),
    ]
    for file in ("code.py", "data/a"):
        (inputs / file).write_text("Code.py")
        keys.append(key(inputs))
    (inputs / "data/b").rename(inputs / "data/c")
    keys.append(key(inputs))
    assert len({base, *keys}) == len(keys) + 1


def test_only_what_trains_a_network_or_many_models_has_a_place() -> None:
    """Another stage would hash its inputs for nothing."""
    kinds = ("gradient_descent", "contrastive", "logistic")
    descent, pairs, solver = ({"training": {"kind": k}} for k in kinds)
    for name, section, wanted in (
        ("model.a", descent, True),
        ("model.a", pairs, True),
        ("folds.a", {"of": "model.a"}, True),
        ("mine.a", {"training": "blocks.descent"}, True),
        ("model.a", solver, False),
        ("scores.a", {"of": "model.a"}, False),
        ("sweep.a", {"of": "model.a"}, True),
        ("sources.a", descent, False),
    ):
        stage = declared(name=ArtifactName.parse(name))
        params = {name: section, "blocks.descent": descent["training"]}
        assert resuming.is_wanted(stage, {PARAMS: params}) == wanted, name


def test_a_change_of_the_inputs_is_seen_where_it_is_written(inputs: Path) -> None:
    """A file that was touched or copied over itself has not changed."""
    held = resuming.opened(inputs, declared(), VALUES, folders.of_file)
    assert held.unchanged()
    (inputs / "data/a").touch()
    assert held.unchanged()
    (inputs / "data/a").write_text("other")
    assert not held.unchanged()
    (inputs / "data/a").write_text("data/a")
    assert held.unchanged()


def test_folders_of_other_keys_are_few_and_go_when_the_stage_is_done(inputs: Path) -> None:
    """Those that are left of edits that were taken back; the newest stay."""
    made = []
    for second in range(5):
        values = VALUES | {TOOLCHAIN: {"packages.torch": str(second)}}
        place = resuming.opened(inputs, declared(), values, folders.of_file)
        (place.folder / "held").touch()
        os.utime(place.folder, (second, second))
        made.append(place.folder)
    assert [folder.exists() for folder in made] == [False, False, True, True, True]
    assert resuming.opened(inputs, declared(), values, folders.of_file).held
    values = VALUES | {TOOLCHAIN: {"packages.torch": "other"}}
    assert not resuming.opened(inputs, declared(), values, folders.of_file).held
    resuming.closed(inputs, declared(), done=False)
    assert len(list(resuming.place(inputs, declared()).iterdir())) == 2
    resuming.closed(inputs, declared(), done=True)
    assert not resuming.place(inputs, declared()).exists()


# ---- whole stages ----


def waited_for(line: str, process: "subprocess.Popen[str]") -> str:
    """What it printed until it printed that."""
    assert process.stderr
    read = ""
    for each in process.stderr:
        read += each
        if line in each:
            return read
    pytest.fail(f"it never printed {line!r}:\n{read}")


def test_a_stage_that_is_stopped_goes_on(built: Path, tmp_path: Path) -> None:
    """Through supervisor and sandbox: SIGTERM to the supervisor writes a checkpoint, `lmspec plan`
    knows its step, another parameter does not use it, and the next run does."""
    project = tmp_path / "project"
    shutil.copytree(built, project, symlinks=True)
    params = project / "params.yaml"
    changed = YAML(typ="safe").load(params)
    training = changed["model"]["cnn"]["training"]
    training["epochs"], training["early_stopping"]["patience"] = 999, 9999
    params.write_text(json.dumps(changed))
    place = project / ".lmspec/resume/model-cnn"

    def started() -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "lmspec.run", "model", "cnn"]
        env = miniature.environment()
        return subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE, text=True)

    with started() as first:
        written = project / ".lmspec/run/model-cnn"  # what it writes of itself
        while not any('"step": 12,' in file.read_text() for file in written.glob("*.jsonl")):
            assert first.poll() is None
            time.sleep(0.02)
        first.terminate()
        assert "goes on from there" in first.communicate()[1]
    assert first.returncode == 143
    reached = stopped.reached(project, "model-cnn")
    assert reached and reached.step >= 12 and len(list(place.iterdir())) == 1
    training["batch_size"] = 17
    params.write_text(json.dumps(changed))
    assert stopped.reached(project, "model-cnn") is None
    training["batch_size"] = 16
    params.write_text(json.dumps(changed))
    with started() as second:
        waited_for(f"goes on from step {reached.step:,} of", second)
        second.kill()
    assert len(list(place.iterdir())) == 1


@pytest.mark.slow
def test_forty_kills_over_all_kinds_leave_the_same_bits(built: Path) -> None:
    """In a step, in an evaluation and in the writing of a checkpoint: each training that was killed
    ends with the weights and metrics of the undisturbed one."""
    results = killing(built, "5")
    for name, found in results.items():
        print(name, found)
    where = [each for found in results.values() for each in found["where"]]
    assert len(where) >= 40
    assert {f"{at}, {how}" for at in PLACES.values() for how in ("SIGKILL", "SIGTERM")} <= {*where}
    assert all(all(found["same"]) for found in results.values())
    assert sum(begun > 0 for found in results.values() for begun in found["begun"]) > len(CASES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left_out", "name"),
    [
        ("weights", "lstm"),
        ("descent", "bert"),
        ("average", "bert, averaged"),
        ("watch", "cnn"),
        ("watch.losses", "student"),
    ],
)
def test_forty_kills_find_what_a_checkpoint_lacks(built: Path, left_out: str, name: str) -> None:
    """The control: one part is left out."""
    assert not all(killing(built, "6", left_out, name)[name]["same"])


def killing(built: Path, *arguments: str) -> dict[str, Any]:
    """What tests/killing.py prints."""
    command = [sys.executable, "-m", "tests.killing", str(built), "1", *arguments]
    done = subprocess.run(command, cwd=miniature.ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
