"""init: a new project for one's own texts and labels."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from lmspec.errors import LmspecError
from lmspec.git import command as git
from lmspec.git import merge_driver as merge

DRIVER_ELSEWHERE = "each other clone needs `lmspec init --merge-driver` once"


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option(
    "--data", type=click.Path(path_type=Path), help="CSV, TSV, JSONL or Parquet: one text a row."
)
@click.option("--text", help="Its column of texts.")
@click.option("--label", help="Its column of labels.")
@click.option(
    "--merge-driver",
    is_flag=True,
    help="In a project that is there: make git merge its dvc.lock stage by stage.",
)
def command(
    folder: Path, data: Path | None, text: str | None, label: str | None, merge_driver: bool
) -> None:
    """Write a new project into FOLDER (the current one, if not given), which must be empty.

    It looks at the file, copies it to raw/, and writes a spec that validates and builds: corpus, splits, a model, its int8
    graph, scores and a bundle. Without --text and --label it says which columns there are.

    With --merge-driver instead of --data it tells git of this clone how to merge dvc.lock, metrics and records; git configuration
    is not cloned, so each clone needs it once. The clone of a new project has it.

    \b
    Example:
      lmspec init sentiment --data reviews.csv --text review --label rating
      cd sentiment && dvc repro
      lmspec init --merge-driver      # once in each other clone
    """
    if merge_driver:
        _install_driver(folder)
    if data is not None:
        _begin(folder, data, text, label)
    elif not merge_driver:
        raise click.UsageError(
            "Missing option '--data': a new project begins with a table of texts and labels."
        )


def _install_driver(folder: Path) -> None:
    if not (folder / "params.yaml").exists():
        raise LmspecError(
            str(folder / "params.yaml"),
            "there is no such file",
            "run it in a project, or begin one with --data",
        )
    merge.install(folder)
    click.echo(f"git merges dvc.lock stage by stage in this clone; {DRIVER_ELSEWHERE}")
    if git.text(folder, "status", "--porcelain", "--", ".gitattributes"):
        click.echo("next: commit .gitattributes")


def _begin(folder: Path, data: Path, text: str | None, label: str | None) -> None:
    from lmspec.cli import scaffold

    _require_empty(folder)
    found = scaffold.look(data, text, label)
    texts = dict(scaffold.files(found))
    top = _begin_git(folder)
    if not top:  # a forge reads workflows at the top of a repository alone
        texts = {
            path: text
            for path, text in texts.items()
            if not path.startswith((".github/", ".gitlab-ci"))
        }
    for path, content in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    (folder / "raw").mkdir()
    shutil.copyfile(data, folder / "raw" / data.name)
    _begin_dvc(folder, top)
    _run(folder, sys.executable, "-m", "lmspec", "sync")
    if shutil.which("git"):
        merge.install(folder)
    counts = ", ".join(f"{name} {rows}" for name, rows in found.labels.items())
    click.echo(f"{len(found.lengths)} texts with a label: {counts}")
    ci = (
        "workflows for CI"
        if top
        else "no workflow for CI: the folder is not the top of a repository"
    )
    click.echo(
        f"wrote {folder}: params.yaml and dvc.yaml, stages/, raw/{data.name}, Makefile, requirements.txt, {ci}"
    )
    if shutil.which("git"):
        click.echo(f"git merges dvc.lock stage by stage here; {DRIVER_ELSEWHERE}")
    where = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    click.echo(f"next: read params.yaml; then `{where}dvc repro`, `lmspec gate`, and commit")


def _require_empty(folder: Path) -> None:
    """Nothing is overwritten. A repository without a file is empty."""
    if folder.exists() and not folder.is_dir():
        raise LmspecError(
            str(folder), "it is a file", "name a folder that is empty or not there yet"
        )
    there = (
        sorted(path.name for path in folder.iterdir() if path.name not in (".git", ".DS_Store"))
        if folder.exists()
        else []
    )
    if there:
        found = f"the folder is not empty: it holds {there[0]}" + (
            f" and {len(there) - 1} more" if len(there) > 1 else ""
        )
        raise LmspecError(str(folder), found, "name a new one: `lmspec init FOLDER --data ...`")


def _begin_git(folder: Path) -> bool:
    """Make the folder, and a repository of it if it is in none. Is it the top of one?"""
    folder.mkdir(parents=True, exist_ok=True)
    program = shutil.which("git")
    if program and git.run(folder, "rev-parse", "--git-dir").returncode:
        _run(folder, program, "init", "--quiet", "--initial-branch=main")
    return (folder / ".git").exists()


def _begin_dvc(folder: Path, top: bool) -> None:
    """DVC keeps to the repository, or, in a part of one or in none, to the folder."""
    alone = ["--subdir"] if shutil.which("git") else ["--no-scm"]
    _run(folder, sys.executable, "-m", "dvc", "init", "--quiet", *([] if top else alone))


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise LmspecError(
            " ".join(command[-3:]),
            lines[-1],
            f"the files in {folder} are written; run it there yourself",
        )
