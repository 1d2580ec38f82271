"""bench/stage: the overhead of a cache that can be trusted, in wall time of whole processes.

    python bench/stage.py > bench/stage.md      (in a built repository: `dvc repro` does nothing)

Two peers: the same graph in DVC with trivial commands and no code among its inputs; and the same
build of the same artifact without sandbox, input checks and provenance.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from validate import processor  # beside this file

from lmspec.audit import rebuild
from lmspec.cli.loading import valid_project
from lmspec.specs.names import ArtifactName

ROOT = Path(__file__).parent.parent
ROUNDS = 9
ARTIFACT = "splits.editorials"  # the cheapest that reads and writes tables
PLAIN = """
import sys; sys.path.insert(0, ".")
from pathlib import Path
from pydantic import TypeAdapter
from ruamel.yaml import YAML
from stages import splits
from lmspec import stage
from lmspec.specs import blocks
from lmspec.specs.numerics import Machine
params = blocks.without(YAML(typ="safe").load(Path("params.yaml")))
YAML(typ="safe").load(Path("dvc.yaml"))
spec = TypeAdapter(splits.SplitsSpec).validate_python(params["splits"]["editorials"])
machine = Machine.model_validate(params["machine"])
out = Path(sys.argv[1]); out.mkdir()
splits.build(spec, stage.Needs({spec.of: Path("data/corpus/editorials")}, None, machine), out)
"""


def main() -> None:
    """Print both tables."""
    with tempfile.TemporaryDirectory() as scratch:
        trivial, alone = Path(scratch, "trivial"), Path(scratch, "alone")
        make_trivial(trivial)
        dvc = [sys.executable, "-m", "dvc", "repro"]
        noop = in_turn({"this repository": (dvc, ROOT), "the same graph, trivial": (dvc, trivial)})
        rebuild.rebuild(valid_project(), ArtifactName.parse(ARTIFACT), ROOT, alone)
        noun, _, name = ARTIFACT.partition(".")
        stage = in_turn(
            {
                "`python -m lmspec.run splits editorials`": (
                    [sys.executable, "-m", "lmspec.run", noun, name],
                    alone,
                ),
                "the same build, unguarded": (
                    [sys.executable, "-c", PLAIN, "plain-{round}"],
                    alone,
                ),
            }
        )
    print("# Overhead of a cache that can be trusted\n")
    print(
        f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}; "
        f"{ROUNDS} rounds, medians.\n"
    )
    ours, theirs = (statistics.median(seconds) for seconds in noop.values())
    table("`dvc repro` with nothing to do", noop)
    print(f"\nRatio {ours / theirs:.2f} (at most 1.5).\n")
    table(f"one stage, {ARTIFACT}", stage)
    more = statistics.median(one - other for one, other in zip(*stage.values(), strict=True))
    print(f"\nSandbox, input checks and provenance add {more:.2f} s (at most 0.3).")


def table(title: str, seconds: dict[str, list[float]]) -> None:
    """One row per command."""
    print(f"| {title} | median, s | 5 % to 95 % |\n| --- | ---: | ---: |")
    for name, times in seconds.items():
        low, *_, high = statistics.quantiles(times, n=20)
        print(f"| {name} | {statistics.median(times):.2f} | {low:.2f} to {high:.2f} |")


def in_turn(commands: dict[str, tuple[list[str], Path]]) -> dict[str, list[float]]:
    """Wall seconds of each command in its folder, ROUNDS times, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, (command, folder) in commands.items():
            begin = time.perf_counter()
            subprocess.run(
                [word.format(round=number) if "{round}" in word else word for word in command],
                cwd=folder,
                check=True,
                capture_output=True,
            )
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def make_trivial(folder: Path) -> None:
    """This repository's graph: its stages, folders, metrics and parameters, each made by `echo`."""
    stages: dict[str, Any] = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    for name, stage in stages.items():
        outs = [
            out if isinstance(out, str) else next(iter(out))
            for key in ("outs", "metrics", "plots")
            for out in stage.get(key, ())
        ]
        files = [out if Path(out).suffix else f"{out}/file" for out in outs]
        stage["cmd"] = [f"mkdir -p {Path(file).parent} && echo {name} > {file}" for file in files]
        stage["deps"] = [dep for dep in stage["deps"] if dep.startswith("data/")]
        stage["params"] = [param for param in stage["params"] if isinstance(param, str)]
        if not stage["deps"]:
            del stage["deps"]
    folder.mkdir()
    (folder / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    YAML().dump({"stages": stages}, folder / "dvc.yaml")
    for command in (
        ["git", "init", "-q"],
        [sys.executable, "-m", "dvc", "init", "-q"],
        [sys.executable, "-m", "dvc", "repro", "-q"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)


if __name__ == "__main__":
    main()
