"""bench/seeds: is what this project releases as accurate as before, over several seeds?

    python bench/seeds.py BEFORE AFTER > bench/seeds.md   (an hour)

Each is a clone at its commit, built (`make repro`), with its environment in .venv. With each seed
in `numerics` both build `scores-release`; a text counts with the share of seeds that are right
about it, and the difference of the two is bootstrapped over groups of texts. The contract of int8
is widened: a seed that just fails it would have no release to count.
"""

import argparse
import csv
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from validate import processor  # beside this file

STAGE, PREDICTIONS = "scores-release", "data/metrics/scores-release/predictions.csv"
EDITS = (  # of params.yaml
    (re.compile(r"^(numerics: \{seed: )\d+", re.M), "{seed}"),
    (re.compile(r"(max_mean_probability_difference: )[\d.]+"), "0.1"),
    (re.compile(r"(max_disagreement_rate: )[\d.]+"), "0.1"),
)
MARGIN = 0.5  # points that it may be worse by
DRAWS = 10_000
Key = tuple[str, str, str]  # dataset, group, id


def main() -> None:
    """Build all, and print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("before", type=Path)
    options.add_argument("after", type=Path)
    options.add_argument("--seeds", type=int, default=5)
    given = options.parse_args()
    clones = {"before": given.before.resolve(), "after": given.after.resolve()}
    right: dict[str, list[dict[Key, bool]]] = {name: [] for name in clones}
    for seed in range(1, given.seeds + 1):
        for name, clone in clones.items():
            right[name].append(built(clone, seed))
            shown = f"{100 * np.mean([*right[name][-1].values()]):.2f}"
            print(f"seed {seed}, {name}: {shown} % right", file=sys.stderr, flush=True)
    print(table(clones, right))


def built(clone: Path, seed: int) -> dict[Key, bool]:
    """Which test texts the release of a seed is right about."""
    params = clone / "params.yaml"
    before = params.read_text(encoding="utf-8")
    path = f"{clone / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    try:
        changed = before
        for field, value in EDITS:
            changed, count = field.subn(rf"\g<1>{value.format(seed=seed)}", changed)
            assert count == 1, f"params.yaml has {count} of {field.pattern}"
        params.write_text(changed, encoding="utf-8")
        command = [str(clone / ".venv/bin/dvc"), "repro", "--quiet", STAGE]
        subprocess.run(command, cwd=clone, env={**os.environ, "PATH": path}, check=True)
    finally:
        params.write_text(before, encoding="utf-8")
    with (clone / PREDICTIONS).open(encoding="utf-8", newline="") as file:
        return {
            (row["dataset"], row["group"] or row["id"], row["id"]): row["label"] == row["predicted"]
            for row in csv.DictReader(file)
        }


def table(clones: dict[str, Path], right: dict[str, list[dict[Key, bool]]]) -> str:
    """Accuracy of each over the seeds, and the difference with its interval."""
    commits = [
        subprocess.check_output(["git", "rev-parse", "--short", "HEAD"], cwd=clone, text=True)
        for clone in clones.values()
    ]
    seeds = len(right["before"])
    lines = [
        "# What is released, before and after",
        "",
        f"`python bench/seeds.py` on {processor()}: accuracy of the int8 graph in percent, mean of"
        f" {seeds} seeds, commit {commits[0].strip()} before and {commits[1].strip()} after. The"
        f" interval has 95 %, by {DRAWS:,} draws of groups of texts; it has to stay above"
        f" -{MARGIN} points.",
        "",
        "| test texts | texts | before | after | points | interval | not worse |",
        "| --- | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    keys = [*right["before"][0]]
    assert all(set(one) == set(keys) for each in right.values() for one in each)
    for dataset in dict.fromkeys(key[0] for key in keys):
        own = [key for key in keys if key[0] == dataset]
        before, after = (
            np.mean([[one[key] for key in own] for one in right[name]], axis=0) for name in clones
        )
        low, high = interval(after - before, [key[1] for key in own])
        lines.append(
            f"| {dataset} | {len(own):,} | {100 * before.mean():.2f} | {100 * after.mean():.2f}"
            f" | {100 * (after - before).mean():+.2f} | {100 * low:+.2f} to {100 * high:+.2f}"
            f" | {'yes' if 100 * low >= -MARGIN else 'not shown'} |"
        )
    return "\n".join(lines)


def interval(differences: NDArray[np.float64], groups: list[str]) -> tuple[float, float]:
    """The middle 95 % of the mean over draws of groups."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for difference, group in zip(differences, groups, strict=True):
        sums[group][0] += difference
        sums[group][1] += 1
    total = np.array([*sums.values()])
    rng = np.random.default_rng(1)
    means = []
    for _ in range(DRAWS):
        drawn = total[rng.integers(0, len(total), len(total))].sum(0)
        means.append(drawn[0] / drawn[1])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
