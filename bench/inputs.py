"""bench/inputs: what it costs to hold inputs to the hashes of what was built.

    python bench/inputs.py > bench/inputs.md

Two copies of a small project, one without the check: there the inputs are hashed as well, for
provenance, but while the stage builds.
"""

import os
import platform
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from validate import processor

sys.path.insert(0, str(Path(__file__).parent.parent))
from lmspec.audit import agreement
from lmspec.language import validate
from lmspec.methods import folders
from lmspec.run import digests
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project
from tests import miniature

ROUNDS = 7
GIB = 1 << 30
CHECK = "inputs.as_made(root, declared, store.sha256)"
CORPUS = ArtifactName("corpus", "old")
BUILD = [sys.executable, "-m", "dvc", "repro", "--quiet", "--force", "splits-old"]
Seconds = dict[str, list[float]]  # project -> of each round
STAGE = [sys.executable, "-m", "lmspec.run", "splits", "old"]


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as scratch:
        checked, unchecked = Path(scratch, "checked"), Path(scratch, "unchecked")
        for folder in (checked, unchecked):
            folder.mkdir()
            make(folder, folder == checked)
        both = {"with the check": checked, "without it": unchecked}
        build = in_turn(BUILD, both)
        small = in_turn(STAGE, both)
        for folder in both.values():
            enlarge(folder)
        large = in_turn(STAGE, both)
        (checked / digests.STORE).unlink()
        first, again = verify(checked), verify(checked)
    print("# What it costs to hold inputs to the hashes of what was built\n")
    machine = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    print(
        f"{machine}; {ROUNDS} rounds.\n"
        "Seconds of processor time of all processes, which other work on the machine disturbs\n"
        "less than wall time: the hashes of new inputs come before the build, not beside it.\n"
    )
    table("a build of three stages: sources, corpus, splits", build)
    print(f"\nRatio {ratio(build):.3f} (at most 1.03).\n")
    table("one stage, 5 kB of inputs", small)
    print(f"\nRatio {ratio(small):.3f}.\n")
    table("the same, with 1 GiB more of inputs that did not change", large)
    added = statistics.median(large["with the check"]) - statistics.median(small["with the check"])
    print(f"\nRatio {ratio(large):.3f}. 1 GiB more adds {added:.2f} s (at most 0.3).\n")
    print("| the step `provenance` of `lmspec ci`, 1 GiB of outputs | s |\n| --- | ---: |")
    print(f"| hashed for the first time | {first:.2f} |\n| once more, unchanged | {again:.2f} |")


def ratio(seconds: Seconds) -> float:
    """The median of the first by that of the second."""
    one, two = map(statistics.median, seconds.values())
    return one / two


def table(title: str, seconds: Seconds) -> None:
    """One row for each project."""
    print(f"| {title} | median, s | range |\n| --- | ---: | ---: |")
    for name, times in seconds.items():
        print(f"| {name} | {statistics.median(times):.2f} | {min(times):.2f} to {max(times):.2f} |")


def in_turn(command: list[str], folders: Mapping[str, Path]) -> Seconds:
    """Processor time of a command in each folder, ROUNDS times, after one round of warm-up."""
    seconds: Seconds = {name: [] for name in folders}
    for number in range(ROUNDS + 1):
        for name, folder in folders.items():
            begin = children()
            miniature.run(folder, *command)
            if number:
                seconds[name].append(children() - begin)
    return seconds


def children() -> float:
    """Processor time of all that this process has started, and of what that has."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def make(folder: Path, checked: bool) -> None:
    """A project of the tests, with or without the check, built as far as splits.old."""
    miniature.make(folder)
    supervisor = folder / "lmspec/run/supervisor.py"
    text = supervisor.read_text()
    assert text.count(CHECK) == 1
    supervisor.write_text(text if checked else text.replace(CHECK, "[]"))
    miniature.dvc(folder, "repro", "--quiet", "splits-old")


def enlarge(project: Path) -> None:
    """Add 1 GiB to corpus.old, as if its stage had made it."""
    folder, statement = project / CORPUS.folder, project / CORPUS.provenance
    before = folders.sha256(folder)
    block = os.urandom(1 << 20)
    with (folder / "more").open("wb") as stream:
        for _ in range(GIB // len(block)):
            stream.write(block)
        os.fsync(stream.fileno())
    text = statement.read_text()
    assert before in text
    statement.write_text(text.replace(before, folders.sha256(folder)))
    time.sleep(digests.SETTLED_NS / 1e9 + 1)  # what was written just now is hashed each time


def verify(project: Path) -> float:
    """Seconds of `lmspec verify --provenance` of the corpus, without Python's start."""
    specs = Project.model_validate(validate.file(project / "params.yaml").values)
    begin = time.perf_counter()
    agreement.check(specs, project, [CORPUS.stage])
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
