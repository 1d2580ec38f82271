"""trace: what a stage reads without declaring it, found by running it until nothing is missing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from lmspec.errors import LmspecError, harmless
from lmspec.methods import folders
from lmspec.pipeline.compiler import DVC_YAML, text_of
from lmspec.run import declaration, denial, system
from lmspec.specs.names import METRICS, ArtifactName

SKIPPED = {".git", ".dvc", ".venv", ".lmspec", "__pycache__", "node_modules"}
OPENS = re.compile(
    r"it opens (.+), which it does not declare$|uses (.+), which it does not declare$", re.MULTILINE
)
MOST = 100  # undeclared files before this gives up


def undeclared(name: ArtifactName, root: Path, scratch: Path) -> Iterator[tuple[str, str]]:
    """(path, remedy) of each file that a build reads without declaring it, in order of reading.

    Builds in `scratch`, an empty folder; the project is not changed. Raises LmspecError if the
    build fails for another reason.
    """
    _mirror(root, scratch, name)
    stage, document = name.stage, declaration.load(root / DVC_YAML)
    deps = document["stages"][stage]["deps"]
    if name.noun == "sources":  # it refuses links that leave the repository
        _copy(scratch, deps)
    for _ in range(MOST):
        (scratch / DVC_YAML).write_text(text_of(document), encoding="utf-8")
        error = _run(name, scratch)
        if error is None:
            return
        match = OPENS.search(error)
        if match is None:
            found = f"it fails for another reason:\n{error.strip()}"
            raise LmspecError(stage, found, "see whether `dvc repro` builds it")
        for path in (match[1] or match[2]).split(", "):
            path = os.path.relpath(path, scratch) if Path(path).is_relative_to(scratch) else path
            if path in deps:
                raise LmspecError(
                    stage, f"{path} is declared, but cannot be read", "check its permissions"
                )
            deps.append(path)
            yield path, _line_to_add(Path(path))
    raise LmspecError(
        stage, f"it reads more than {MOST} files that it does not declare", "declare these first"
    )


def _line_to_add(path: Path) -> str:
    line = denial.line_to_add(path)
    is_of_system = denial.Denial(path, written=False).of_system
    return f"{line}: {system.line(path)}" if is_of_system else line


def _mirror(root: Path, scratch: Path, name: ArtifactName) -> None:
    """Link every file of the project except metrics and the artifact's output and provenance.

    Files, since a link to a folder would hide which of its files are read.
    """
    for place, inner, files in os.walk(root):
        inside = Path(place).relative_to(root)
        inner[:] = [n for n in inner if n not in SKIPPED and (inside / n).as_posix() != name.folder]
        (scratch / inside).mkdir(parents=True, exist_ok=True)
        for file in files:
            path = (inside / file).as_posix()
            if path != name.provenance and not inside.is_relative_to(METRICS):
                (scratch / inside / file).symlink_to(root / inside / file)
    (scratch / DVC_YAML).unlink()


def _copy(scratch: Path, deps: Iterable[str]) -> None:
    """Replace links by copies of the files."""
    for dep in deps:
        place = scratch / dep
        for link in [place] if place.is_symlink() else [file for _, file in folders.files(place)]:
            target = os.path.realpath(link)
            link.unlink()
            shutil.copyfile(target, link)


def _run(name: ArtifactName, scratch: Path) -> str | None:
    """Run the stage and pass on its progress; its error output if it fails."""
    environment = {k: v for k, v in os.environ.items() if k != "DVC_STAGE"}
    command = [sys.executable, "-m", "lmspec.run", *name]
    with subprocess.Popen(
        command, cwd=scratch, env=environment, stderr=subprocess.PIPE, text=True
    ) as process:
        lines = []
        for line in process.stderr or ():
            lines.append(line)
            if line.startswith("  ") and not line.startswith("  ->"):
                sys.stderr.write(harmless(line))
    shutil.rmtree(scratch / name.folder, ignore_errors=True)
    return "".join(lines) if process.returncode else None
