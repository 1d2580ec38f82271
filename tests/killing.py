"""killing: trainings of a built miniature in processes that are killed, as a program.

`python -m tests.killing PROJECT SEED KILLS [LEFT_OUT]` kills each case as often as KILLS says, one
after the other, each time in another place, by SIGKILL or SIGTERM, and prints what came of it as
JSON. LEFT_OUT names a part of a training that no checkpoint holds: the control.

It forks instead of starting Python, so a training takes a second. For that it has only one thread.
"""

import contextlib
import copy
import functools
import hashlib
import io
import json
import mmap
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from lmspec import stage
from lmspec.methods import resume
from lmspec.run import building, declaration
from lmspec.specs.base import references
from lmspec.specs.names import ArtifactName
from lmspec.training import checkpoints, loop, watching
from tests.test_training_methods import ADAFACTOR

STEP, EVALUATION, WRITING = range(1, 4)  # where a training is, in a byte that both processes see
PLACES = {STEP: "step", EVALUATION: "evaluation", WRITING: "writing"}
EVERY_SECONDS = 0.02
LORA = {
    "method": "lora",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.1,
    "targets": ["all_linear"],
    "bias": "none",
}
STOPPING = {"metric": "log_loss", "evaluation_steps": 3, "patience": 2}
# name -> artifact of the miniature, and what its section has instead; all have buckets and dropout
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": (
        "model.bert",
        {"training": {"epochs": 4, "micro_batch_size": 5, "early_stopping": STOPPING}},
    ),
    "bert, lora": (
        "model.bert",
        {
            "architecture": {"adapter": LORA, "frozen_embeddings": True},
            "training": {"epochs": 4, "micro_batch_size": 5, "early_stopping": STOPPING},
        },
    ),
    "bert, averaged": (
        "model.bert",
        {"training": {"epochs": 3, "averaging": {"kind": "ema", "decay": 0.9}}},
    ),
    "gru, two seeds": ("model.gru", {"training": {"micro_batch_size": 7}}),
    "lstm": ("model.gru", {"architecture": {"cell": "lstm"}, "training": {"seeds": 1}}),
    "cnn": ("model.cnn", {"training": {"optimizer": ADAFACTOR, "early_stopping": STOPPING}}),
    "cnn, swa": (
        "model.cnn",
        {"training": {"averaging": {"kind": "swa", "start_fraction": 0.3}}},
    ),
    "student": ("student.small", {"dropout": 0.1, "training": {"micro_batch_size": 6}}),
    "updated": ("updated.first", {"training": {"early_stopping": STOPPING | {"patience": 1}}}),
}


def prepared(root: Path, ref: str, changes: dict[str, Any]) -> Callable[[Path, Path], str]:
    """(folder of checkpoints, output) -> digest of all that the stage makes and reports."""
    declared = declaration.read(root, ArtifactName.parse(ref))
    values = declaration.values(root, declared)[declaration.PARAMS]
    values = merged(copy.deepcopy(values), {ref: changes})
    script = building._script(declared)
    spec, numerics, machine = building._specs(script, declared, values)
    folders = {str(ref): Path("data", ref.noun, ref.name) for _, ref in references(spec)}

    def build(kept: Path, out: Path) -> str:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        needs = stage.Needs(folders, numerics, machine, resume=resume.Resume(kept, lambda: True))
        report = script.build(spec, needs, out)
        files = {file.name: file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}
        assert "model.safetensors" in files
        held = [repr((report.metrics, report.tables)).encode(), *files.values()]
        return hashlib.sha256(b"\0".join(held)).hexdigest()

    return build


def merged(values: Any, changes: Any) -> Any:
    """A tree with other leaves; a mapping with a `kind` replaces what was there."""
    if not isinstance(values, dict) or not isinstance(changes, dict) or "kind" in changes:
        return changes
    return values | {name: merged(values.get(name), each) for name, each in changes.items()}


def watched(place: mmap.mmap) -> None:
    """Have this process write where it is."""

    def during(number: int, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def noted(*arguments: Any, **named: Any) -> Any:
            former, place[0] = place[0], number
            place[1] = (place[1] + 1) % 256  # how often something began
            try:
                return work(*arguments, **named)
            finally:
                place[0] = former

        return noted

    loop._loss = during(STEP, loop._loss)
    watching.Watch.look = during(EVALUATION, watching.Watch.look)  # type: ignore[method-assign]
    checkpoints.Checkpoints._write_whole = during(  # type: ignore[method-assign]
        WRITING, checkpoints.Checkpoints._write_whole
    )
    checkpoints.EVERY_SECONDS, checkpoints.SHARE = EVERY_SECONDS, 1e9


def leave_out(part: str) -> None:
    """Let checkpoints lack a part of a training, or `part.name` of its state."""
    name, _, inner = part.partition(".")
    whole = checkpoints.Checkpoints._write_whole

    def write(self: checkpoints.Checkpoints, step: int, names: Any) -> None:
        if not inner:
            return whole(self, step, [each for each in names if each != name])
        held = self.parts[name].state
        fresh = {inner: loop_start[inner]}
        self.parts[name].state = lambda: held() | fresh  # type: ignore[method-assign]
        return whole(self, step, names)

    loop_start = {"waited": 0, "count": 0, "best": {}, "losses": [], "is_cold": True}
    checkpoints.Checkpoints._write_whole = write  # type: ignore[method-assign]


def forked(work: Callable[[], str], answer: Path) -> int:
    """A process that does it and writes its result to a file."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                answer.write_text(work())
            code = 0
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def kill(child: int, place: mmap.mmap, target: int, rng: random.Random) -> str | None:
    """End it while it is in such a place, after it has been in some; where it was, or None if it
    had ended by itself."""
    begun, wait = place[1], rng.randint(1, 12)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if place[0] == target and (place[1] - begun) % 256 >= wait:
            time.sleep(rng.uniform(0, 0.004))
            where = PLACES.get(place[0], "between")
            number = rng.choice([signal.SIGKILL, signal.SIGTERM])
            os.kill(child, number)
            os.waitpid(child, 0)
            return f"{where}, {number.name}"
        time.sleep(0.0001)
    return None


def case(
    build: Callable[[Path, Path], str], kills: int, place: mmap.mmap, rng: random.Random, at: Path
) -> dict[str, Any]:
    """Kill a training so often, in chains of one to three kills, and let it end after each."""
    answer = at / "answer"
    os.waitpid(forked(lambda: build(at / "never", at / "out"), answer), 0)
    undisturbed, where, same, begun, targets = answer.read_text(), [], [], [], list(PLACES)
    while len(where) < kills:
        shutil.rmtree(at / "kept", ignore_errors=True)
        hit = True
        for _ in range(min(rng.randint(1, 3), kills - len(where))):
            place[0] = place[1] = 0
            child = forked(lambda: build(at / "kept", at / "out"), answer)
            hit = kill(child, place, targets[len(where) % len(targets)], rng)
            if hit is None:
                break
            where.append(hit)
        found = [resume.Reached.read(folder) for folder in (at / "kept").glob("seed-*")]
        begun.append(max([each.step for each in found if each], default=0))
        answer.unlink(missing_ok=True)
        os.waitpid(forked(lambda: build(at / "kept", at / "out"), answer), 0)
        same.append(answer.exists() and answer.read_text() == undisturbed)
    return {"where": where, "same": same, "begun": begun, "undisturbed": undisturbed}


def main(project: str, seed: str, kills: str, left_out: str = "", *names: str) -> None:
    """Print what came of each case."""
    os.chdir(project)
    root, at = Path.cwd(), Path.cwd().parent / f"killing-{os.getpid()}"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    place = mmap.mmap(-1, 2)
    watched(place)
    if left_out:
        leave_out(left_out)
    results = {}
    for name, (ref, changes) in CASES.items():
        if names and name not in names:
            continue
        at.mkdir(parents=True)
        build = prepared(root, ref, changes)
        results[name] = case(build, int(kills), place, random.Random(f"{seed} {name}"), at)
        print(name, results[name], file=sys.stderr)
        shutil.rmtree(at)
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
