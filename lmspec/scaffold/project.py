"""project: write a new project into a folder, with git and DVC set up."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from lmspec.errors import LmspecError, some
from lmspec.git import command as git
from lmspec.git import ignored, merge_driver
from lmspec.language import clone_rules, document, validate
from lmspec.language.problems import ProblemsFound
from lmspec.methods import folders
from lmspec.pipeline import subprocesses
from lmspec.scaffold import files, wheel
from lmspec.scaffold.beginning import Beginning, WritingBeginning

FORGES = (".github/", ".gitlab-ci")  # read only at the top of a repository


def require_empty(folder: Path) -> None:
    """Raises LmspecError unless a project can be written there; an empty repository will do."""
    if folder.exists() and not folder.is_dir():
        raise LmspecError(str(folder), "it is a file", "name an empty folder or a new one")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    if present := sorted(names - {".git", ".DS_Store"}):
        found = f"the folder is not empty: it holds {some(present)}"
        raise LmspecError(str(folder), found, "name a new one: `lmspec init FOLDER --data ...`")


def create(folder: Path, begun: Beginning | WritingBeginning) -> bool:
    """Write and compile the project, or nothing. Is the folder the top of a repository?"""
    table = begun.table
    package = wheel.of_installed()
    texts = list(files.texts(begun, package))  # raises before anything is written
    _require_valid(dict(texts)["params.yaml"], folder, table.path)
    with _undone(folder):
        top = _init_git(folder)
        for path, content in texts:
            if top or not path.startswith(FORGES):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                folders.write(folder / path, content)
        if package:
            (folder / wheel.FOLDER).mkdir()
            (folder / package.path).write_bytes(package.content)
        (folder / "raw").mkdir()
        shutil.copyfile(table.path, folder / "raw" / table.path.name)
        if begun.weights is not None and begun.weights.local is not None:
            shutil.copytree(begun.weights.local, folder / begun.weights.source["path"])
        _run(folder, "dvc", "init", *_of_repository(folder, top))
        _run(folder, "lmspec", "sync")
        if shutil.which("git"):
            _require_committed(folder, f"raw/{table.path.name}")
            merge_driver.install(folder)
    return top


def _of_repository(folder: Path, top: bool) -> list[str]:
    """Options of `dvc init`; with names of SHA-256, which it cannot read, DVC does without git."""
    if not shutil.which("git"):
        return ["--no-scm"]
    # without a commit git says which format the next will have
    if git.text(folder, "rev-parse", "--show-object-format").strip() != "sha1":
        return ["--no-scm"]
    return [] if top else ["--subdir"]


def _require_committed(folder: Path, table: str) -> None:
    """Raise LmspecError if git would not commit the project: its own .gitignore was not enough."""
    patterns = ignored.patterns(folder, [table, *clone_rules.KEPT])
    for path, pattern in patterns.items():
        found = f"git ignores {path} there ({pattern}), so clones would lack it"
        raise LmspecError(str(folder), found, "change that line, or name a folder elsewhere")


@contextlib.contextmanager
def _undone(folder: Path) -> Iterator[None]:
    """If anything fails, remove what was written, since `lmspec init` needs an empty folder."""
    before = set(folder.iterdir()) if folder.exists() else None
    try:
        yield
    except BaseException:
        written = set(folder.iterdir()) - (before or set()) if folder.exists() else set()
        if folder / ".git" not in written:  # of a repository that was there
            with contextlib.suppress(LmspecError):  # `dvc init` adds its files to the index
                names = sorted(path.name for path in written)
                git.run(folder, "rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", *names)
        for path in written:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        if before is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _require_valid(text: str, folder: Path, table: Path) -> None:
    """Raise LmspecError if the names and labels of a table do not make a valid params.yaml."""
    try:
        problems = validate.check(document.parsed(text, folder / "params.yaml"))
    except ProblemsFound as error:
        problems = list(error.problems)
    for problem in problems:
        if not problem.warning and problem.rule != "file-sources-exist":  # it is not copied yet
            found = f"its names do not make a valid params.yaml: {problem.what}: {problem.found}"
            remedy = f"{problem.hint}: rename the file or its column, or change the label"
            raise LmspecError(folders.shown(table), found, remedy)


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
        [sys.executable, "-m", *command],
        cwd=folder,
        env=subprocesses.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        words = (process.stderr.strip() or process.stdout.strip()).partition("\n\n")[0]
        words = " ".join(line.strip() for line in words.splitlines())
        found = words.removeprefix("ERROR: ") or f"exit code {process.returncode}, no output"
        remedy = "nothing is written; correct this, and run `lmspec init` again"
        raise LmspecError(" ".join(command), found, remedy)
