"""rebuild: build an artifact again in another folder and environment, and compare the two."""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lmspec.audit import contents
from lmspec.errors import LmspecError
from lmspec.pipeline import compiler, repro
from lmspec.pipeline.closure import OnDisk
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project

# what a build must not depend on: the order of a set of strings, language, time zone
SURROUNDINGS = {
    "PYTHONHASHSEED": "4242",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "LANGUAGE": "tr",
    "TZ": "Pacific/Chatham",
}


@dataclass(frozen=True)
class Verdict:
    """How a rebuild compares. lines: what differs, in which file."""

    text: str
    lines: tuple[str, ...] = ()

    @property
    def different(self) -> bool:
        """Beyond the tolerance?"""
        return self.text == contents.DIFFERENT


def verdict(project: Project, name: ArtifactName, root: Path, tolerance: float) -> Verdict:
    """Rebuild an artifact and compare its output, metrics and tables with those that are here."""
    spec = project.find(str(name))
    if spec.measured:
        return Verdict("measured, not compared")
    if spec.noun == "sources":
        return Verdict("has its declared hash, not fetched again")
    places = [name.folder, *([name.metrics] if spec.metrics else [])]
    places += [name.table(report.name) for report in spec.written()]
    places += [name.headline(row) for row in spec.headlines()]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rebuild(project, name, root, folder)
        findings = [
            finding for path in places for finding in contents.findings(root / path, folder / path)
        ]
    if not findings:
        return Verdict("same bytes")
    lines = tuple(f"{finding.file}: {finding.what}" for finding in findings)
    largest = [f.largest for f in findings if f.verdict == contents.DIFFERENT]
    if not largest:
        return Verdict(contents.SAME, lines)
    if all(difference is not None and difference <= tolerance for difference in largest):
        return Verdict(f"within {tolerance:g}", lines)
    return Verdict(contents.DIFFERENT, lines)


def rebuild(project: Project, name: ArtifactName, root: Path, folder: Path) -> None:
    """Build an artifact in an empty folder, from copies of what its stage declares to read.

    Raises LmspecError if the build fails.
    """
    spec = project.find(str(name))
    needs = [ArtifactName.parse(need) for need in compiler.needs_of(project, spec)]
    for path in (
        "params.yaml",
        compiler.DVC_YAML,
        compiler.TOOLCHAIN,
        *(path for need in needs for path in (need.folder, need.provenance)),
        *spec.files(),
        *compiler.code_of(project, spec, OnDisk(root)).files,
    ):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / path).is_dir():
            shutil.copytree(root / path, target)
        elif (root / path).is_file():
            shutil.copyfile(root / path, target)
        else:
            raise LmspecError(str(name), f"{path} is missing", "run `dvc repro`, or `dvc checkout`")
    environment = {**os.environ, **SURROUNDINGS, "HOME": str(folder / "home")}
    environment.pop("DVC_STAGE", None)
    (folder / "home").mkdir()
    command = [sys.executable, "-m", "lmspec.run", *name]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        found = f"the rebuild failed: {repro.reason(run.stderr.splitlines())}"
        raise LmspecError(str(name), found, "see whether `dvc repro` builds it")
