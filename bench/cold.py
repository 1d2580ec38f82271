"""bench/cold: seconds of a whole `dvc repro` from nothing, at two commits in turn.

    python bench/cold.py BEFORE AFTER > bench/cold.md   (half an hour; nothing else should run)

Each is a clone at its commit with its environment in .venv (`make env`). A round removes outputs,
DVC's cache and what ran before, then builds; a stage takes from DVC's line about it to the next.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from validate import processor  # beside this file

LEFT_OVERS = (".dvc/cache", ".dvc/tmp", ".lmspec", "data")
LINE = re.compile(r"Running stage '(.+)':")


def main() -> None:
    """Build both, and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("before", type=Path)
    options.add_argument("after", type=Path)
    options.add_argument("--rounds", type=int, default=1)
    given = options.parse_args()
    clones = {"before": given.before.resolve(), "after": given.after.resolve()}
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in clones}
    for _ in range(given.rounds):
        for name, clone in clones.items():
            rounds[name].append(built(clone))
            print(name, rounds[name][-1], file=sys.stderr, flush=True)
    print(table(clones, rounds))


def built(clone: Path) -> dict[str, float]:
    """stage -> its seconds, of a build from nothing; `all` with what DVC does besides."""
    for name in LEFT_OVERS:
        shutil.rmtree(clone / name, ignore_errors=True)
    (clone / "dvc.lock").unlink(missing_ok=True)
    environment = {**os.environ, "PATH": f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(clone / ".venv/bin/dvc"), "repro"]
    began: dict[str, float] = {}
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if found := LINE.match(line):
                began[found[1]] = time.perf_counter()
    if process.returncode:
        raise SystemExit(f"dvc repro failed in {clone}")
    ends = [*began.values(), time.perf_counter()][1:]
    seconds = {stage: end - at for (stage, at), end in zip(began.items(), ends, strict=True)}
    return {**seconds, "all": time.perf_counter() - start}


def table(clones: dict[str, Path], rounds: dict[str, list[dict[str, float]]]) -> str:
    """Medians of the rounds of each stage, longest first."""
    medians = {
        name: {stage: statistics.median(one[stage] for one in each) for stage in each[0]}
        for name, each in rounds.items()
    }
    commits = {
        name: subprocess.check_output(
            ["git", "rev-parse", "--short", "HEAD"], cwd=clone, text=True
        ).strip()
        for name, clone in clones.items()
    }
    stages = sorted(
        set(medians["before"]) | set(medians["after"]),
        key=lambda stage: -medians["before"].get(stage, 0.0),
    )
    lines = [
        "# A cold `dvc repro` of this project",
        "",
        f"`python bench/cold.py` on {os.cpu_count()} cores of {processor()}: seconds from nothing,"
        f" commit {commits['before']} before and {commits['after']} after, built in turn, medians"
        f" of {len(rounds['before'])} round(s). `all` has DVC's own work and the download of"
        " sources in it.",
        "",
        "| stage | before, s | after, s | times as fast |",
        "| --- | ---: | ---: | ---: |",
    ]
    for stage in stages:
        one, other = (medians[name].get(stage) for name in ("before", "after"))
        ratio = f"{one / other:.2f}" if one and other else "-"
        lines.append(f"| {stage} | {cell(one)} | {cell(other)} | {ratio} |")
    return "\n".join(lines)


def cell(seconds: float | None) -> str:
    """A cell of the table."""
    return "-" if seconds is None else f"{seconds:.1f}"


if __name__ == "__main__":
    main()
