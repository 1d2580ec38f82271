"""rebuild: one stage again, in another folder and other surroundings, from the same inputs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lmspec.errors import LmspecError
from lmspec.pipeline import compiler, paths
from lmspec.specs.base import Artifact
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project

# what a build must not depend on: the order of sets and dicts of strings, language, time zone, home
SURROUNDINGS = {
    "PYTHONHASHSEED": "4242",
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "LANGUAGE": "tr",
    "TZ": "Pacific/Chatham",
}


def rebuild(project: Project, name: str, root: Path, folder: Path) -> None:
    """Build an artifact in an empty folder from copies of its inputs. Raises LmspecError if the build fails."""
    spec = project.find(name)
    for path in inputs(project, spec, root):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / path).is_dir():
            shutil.copytree(root / path, target)
        elif (root / path).is_file():
            shutil.copyfile(root / path, target)
        else:
            raise LmspecError(name, f"{path} is missing", "run `dvc repro`, or `dvc checkout`")
    environment = {**os.environ, **SURROUNDINGS, "HOME": str(folder / "home")}
    environment.pop("DVC_STAGE", None)
    (folder / "home").mkdir()
    command = [sys.executable, "-m", "lmspec.run", *ArtifactName.parse(name)]
    run = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if run.returncode:
        lines = run.stderr.strip().splitlines() or ["it said nothing"]
        raise LmspecError(
            name, f"the rebuild failed: {lines[-1]}", "see whether `dvc repro` builds it"
        )


def inputs(project: Project, spec: Artifact, root: Path) -> list[str]:
    """Paths of all that a stage declares that it reads, with the files that say what to do."""
    code = compiler.code_of(project, spec, root)
    needs = [paths.folder(need) for need in compiler.needs_of(project, spec)]
    return [
        "params.yaml",
        compiler.DVC_YAML,
        compiler.TOOLCHAIN,
        *needs,
        *spec.files(),
        *code.files,
    ]
