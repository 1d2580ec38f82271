"""bench/validate: time to check a spec. Whole processes, interleaved.

    python bench/validate.py > bench/validate.md

For comparison: the imports of a training tool before it can read its configuration, DVC on the same
repository, and Python itself, which is the minimum. Medians over 20 rounds; a round runs each
command once, so that a drift of the machine's speed cancels out.
"""

import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lmspec.specs.names import NO_NOUNS

ROOT = Path(__file__).parent.parent
ROUNDS = 20
BIN = Path(sys.executable).parent


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        large, broken = Path(scratch, "large.yaml"), Path(scratch, "broken.yaml")
        large.write_text(many(1000), encoding="utf-8")
        broken.write_text(
            (ROOT / "params.yaml").read_text(encoding="utf-8").replace("minilm", "minlm", 1),
            encoding="utf-8",
        )
        lmspec = str(BIN / "lmspec")
        commands = {
            "`python -c pass`": [sys.executable, "-c", "pass"],
            "`lmspec validate`, this repository": [lmspec, "validate"],
            "`lmspec validate`, a reference broken": [lmspec, "validate", str(broken)],
            "`lmspec validate`, 1,000 artifacts": [lmspec, "validate", str(large)],
            "`dvc stage list`, this repository": [sys.executable, "-m", "dvc", "stage", "list"],
            '`python -c "import pydantic"`': [
                sys.executable,
                "-c",
                "import pydantic; pydantic.BaseModel",
            ],
            '`python -c "import transformers, torch"`': [
                sys.executable,
                "-c",
                "import transformers, torch",
            ],
        }
        seconds = measured(commands)
    own = statistics.median(seconds["`lmspec validate`, this repository"])
    print("# Time to check a spec\n")
    print(
        f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}; "
        f"{ROUNDS} rounds.\n"
    )
    print(
        "| whole process | median, s | 5 % to 95 % | times `lmspec validate` |\n"
        "| --- | ---: | ---: | ---: |"
    )
    for name, times in seconds.items():
        low, *_, high = statistics.quantiles(times, n=20)
        print(
            f"| {name} | {statistics.median(times):.3f} | {low:.3f} to {high:.3f} | "
            f"{statistics.median(times) / own:.2f} |"
        )


def measured(commands: dict[str, list[str]]) -> dict[str, list[float]]:
    """Wall seconds of each command, ROUNDS times, interleaved, after one round of warm-up."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            begin = time.perf_counter()
            subprocess.run(
                command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
            )
            if number:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def many(artifacts: int) -> str:
    """Copies of the project's spec; the names and references of each copy get its number."""
    from ruamel.yaml import YAML

    values = YAML(typ="safe").load(ROOT / "params.yaml")
    nouns = [noun for noun in values if noun not in NO_NOUNS]
    each = sum(len(values[noun]) for noun in nouns)
    text = {section: [] for section in values}
    names = {f"{noun}.{name}" for noun in nouns for name in values[noun]}
    for copy in range(-(-artifacts // each)):
        for noun, key in itertools.chain.from_iterable(
            ((n, k) for k in values[n]) for n in (*nouns, "gates")
        ):
            text[noun].append(
                _flow(_renamed({key: values[noun][key]}, names, copy), f"-{copy}" if noun else "")[
                    1:-1
                ]
            )
    plain = {section: _flow(values[section], "") for section in ("numerics", "machine")}
    return (
        "\n".join(f"{s}: {plain.get(s, '')}" + "".join(f"\n  {e}" for e in text[s]) for s in values)
        + "\n"
    )


def _renamed(value: object, names: set[str], copy: int) -> object:
    """The value with artifacts and metrics renamed to those of the copy."""
    if isinstance(value, dict):
        return {key: _renamed(item, names, copy) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names, copy) for item in value]
    if isinstance(value, str) and ".".join(value.split(".")[:2]) in names:
        noun, key, *rest = value.split(".")
        if noun == "scores" and rest:
            rest[0] += f"-{copy}"
        return ".".join([noun, f"{key}-{copy}", *rest])
    return value


def _flow(value: object, suffix: str) -> str:
    """YAML in flow style; the keys of the outermost mapping get the suffix."""
    import json

    if isinstance(value, dict) and suffix:
        return (
            "{"
            + ", ".join(f"{key}{suffix}: {json.dumps(item)}" for key, item in value.items())
            + "}"
        )
    return json.dumps(value)


def processor() -> str:
    """Name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")),
        platform.machine(),
    )


if __name__ == "__main__":
    main()
