"""project: write a new project into a folder, with git and DVC set up."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.git import command as git
from lmspec.git import merge_driver
from lmspec.language import document, validate
from lmspec.language.problems import ProblemsFound
from lmspec.methods import folders
from lmspec.pipeline import subprocesses
from lmspec.scaffold import files
from lmspec.scaffold.table import LabelledTable

FORGES = (".github/", ".gitlab-ci")  # read only at the top of a repository


def require_empty(folder: Path) -> None:
    """Raises LmspecError unless a project can be written there; an empty repository will do."""
    if folder.exists() and not folder.is_dir():
        raise LmspecError(str(folder), "it is a file", "name an empty folder or a new one")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present := sorted(names - {".git", ".DS_Store"}):
        found = f"the folder is not empty: it holds {some(present)}"
        raise LmspecError(str(folder), found, "name a new one: `lmspec init FOLDER --data ...`")


def create(folder: Path, table: LabelledTable) -> bool:
    """Write and compile the project. Returns whether the folder is the top of a repository."""
    texts = list(files.texts(table))  # raises before anything is written
    _require_valid(dict(texts)["params.yaml"], folder, table)
    with _undone(folder):
        top = _init_git(folder)
        for path, content in texts:
            if top or not path.startswith(FORGES):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                folders.write(folder / path, content)
        (folder / "raw").mkdir()
        shutil.copyfile(table.path, folder / "raw" / table.path.name)
    subfolder = [] if top else ["--subdir"] if shutil.which("git") else ["--no-scm"]
    _run(folder, sys.executable, "-m", "dvc", "init", "--quiet", *subfolder)
    _run(folder, sys.executable, "-m", "lmspec", "sync")
    if shutil.which("git"):
        merge_driver.install(folder)
    return top


@contextlib.contextmanager
def _undone(folder: Path) -> Iterator[None]:
    """If writing fails, remove what was written, since `lmspec init` needs an empty folder."""
    before = set(folder.iterdir()) if folder.exists() else None
    try:
        yield
    except OSError:
        for path in set(folder.iterdir()) - (before or set()) if folder.exists() else ():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        if before is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _require_valid(text: str, folder: Path, table: LabelledTable) -> None:
    """Raise LmspecError if the names and labels of a table do not make a valid params.yaml."""
    try:
        problems = validate.check(document.parsed(text, folder / "params.yaml"))
    except ProblemsFound as error:
        problems = list(error.problems)
    for problem in problems:
        if not problem.warning and problem.rule != "file-sources-exist":  # it is not copied yet
            found = f"its names do not make a valid params.yaml: {problem.what}: {problem.found}"
            remedy = f"{problem.hint}: rename the file or its column, or change the label"
            raise LmspecError(folders.shown(table.path), found, remedy)


def install_merge_driver(folder: Path) -> bool:
    """For a clone of a project. Returns whether .gitattributes has to be committed."""
    if not (folder / "params.yaml").exists():
        raise LmspecError(
            str(folder / "params.yaml"),
            "there is no such file",
            "run it in a project, or begin one with --data",
        )
    merge_driver.install(folder)
    return bool(git.text(folder, "status", "--porcelain", "--", ".gitattributes"))


def _init_git(folder: Path) -> bool:
    """Make the folder, and a repository if it is in none. Is it the top of one?"""
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("git")
    if program:
        try:
            git.run(folder, "rev-parse", "--git-dir")
        except git.NoRepository:
            git.run(folder, "init", "--quiet", "--initial-branch=main")
    return (folder / ".git").exists()


def _run(folder: Path, *command: str) -> None:
    process = subprocess.run(
        command,
        cwd=folder,
        env=subprocesses.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        *_, line = (process.stderr or process.stdout).strip().splitlines() or ["no output"]
        remedy = f"the files in {folder} are written; run it there yourself"
        raise LmspecError(" ".join(command[-3:]), line, remedy)
