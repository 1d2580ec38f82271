"""A project works wherever it is: below a repository with other rules, in a clone, without an
activated environment, for a user without a name; or one message says why not, and nothing is left.
"""

import getpass
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from lmspec.cli.main import main
from lmspec.errors import LmspecError
from lmspec.git import ignored
from lmspec.language import clone_rules, validate
from lmspec.methods import workers
from lmspec.methods.sources import digest
from lmspec.pipeline import compiler, subprocesses
from lmspec.scaffold import beginning, files, project, wheel
from lmspec.scaffold import table as table_of
from lmspec.scaffold.beginning import Beginning
from lmspec.specs.names import ArtifactName

ROOT = Path(__file__).parent.parent
AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "a"), ("EMAIL", "a@x.example"))
}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "core.safecrlf=false", *arguments]
    return subprocess.run(
        command, cwd=folder, env=os.environ | AUTHOR, check=True, capture_output=True, text=True
    ).stdout


def labelled(folder: Path) -> Beginning:
    """A table with CRLF, as spreadsheets write it."""
    rows = "".join(f"text number {i} of many,{'ab'[i % 2]}\r\n" for i in range(40))
    (folder / "x.csv").write_bytes(f"text,label\r\n{rows}".encode())
    return begun_with(folder / "x.csv")


def begun_with(file: Path) -> Beginning:
    """A project of that table, whose columns are `text` and `label`."""
    with beginning.begin(table_of.read(file, "text", "label"), "balanced", None) as begun:
        return begun


def repository(folder: Path, *options: str, **content: str) -> Path:
    """A repository with one commit. content: lines of .gitignore and .gitattributes."""
    git(folder, "init", "-q", "-b", "main", *options, "outer")
    for name, text in content.items():
        (folder / "outer" / f".{name}").write_text(text)
    git(folder / "outer", "add", "-A", "-f")
    git(folder / "outer", "commit", "-q", "--allow-empty", "-m", "one")
    return folder / "outer"


def warnings(root: Path) -> list[str]:
    return [problem.rule for problem in validate.file(root / "params.yaml").problems]


def test_a_clone_has_what_the_rules_of_an_outer_repository_would_take(tmp_path: Path) -> None:
    """Ignored tables, results and dot files, and converted line endings: the project's own files
    undo it, for itself alone."""
    rules = {"gitignore": ".*\n*.csv\n*.json\n*.whl\ndata/\n", "gitattributes": "* text=auto\n"}
    outer = repository(tmp_path, **rules)
    project.create(outer / "sub", labelled(tmp_path))
    git(outer, "add", "-A")
    git(outer, "commit", "-q", "-m", "two")
    git(tmp_path, "clone", "-q", "outer", "clone")
    clone = tmp_path / "clone/sub"
    assert (clone / "raw/x.csv").read_bytes() == (tmp_path / "x.csv").read_bytes()
    assert warnings(clone) == [] and warnings(outer / "sub") == []
    assert (clone / ".dvc/config").is_file() and list(clone.glob("vendor/*.whl"))
    kept = ignored.patterns(clone, ["data/metrics/a.json", "data/metrics/a/b.csv", "raw/y.csv"])
    left_out = ignored.patterns(clone, ["data/corpus/x/a.parquet", ".dvc/cache/files/md5/00"])
    assert kept == {} and len(left_out) == 2
    assert "../.gitignore:2: *.csv" in ignored.patterns(outer / "sub/..", ["y.csv"])["y.csv"] or (
        ignored.patterns(outer, ["y.csv"]) == {"y.csv": ".gitignore:2: *.csv"}
    )
    (outer / "sub/.gitignore").unlink()
    git(outer, "rm", "-q", "-r", "--cached", "sub")
    assert warnings(outer / "sub") == ["git-keeps-what-a-clone-needs"] * 2


def test_a_repository_with_sha256_names_gets_a_project(tmp_path: Path) -> None:
    """DVC cannot read it, so it works there without git; its cache is in no commit."""
    outer = repository(tmp_path, "--object-format=sha256")
    assert not project.create(outer / "sub", labelled(tmp_path))
    assert "no_scm" in (outer / "sub/.dvc/config").read_text()
    (outer / "sub/.dvc/cache").mkdir()
    (outer / "sub/.dvc/cache/object").touch()
    assert "cache" not in git(outer, "status", "--short", "--untracked-files=all")


def test_where_git_ignores_the_folder_dvc_says_so_and_nothing_is_left(tmp_path: Path) -> None:
    """DVC's own sentence; the same command is refused in the same way again."""
    outer, table = repository(tmp_path, gitignore="sub/\n"), labelled(tmp_path)
    for _ in range(2):
        with pytest.raises(LmspecError, match=r"ignored by your SCM tool.*adding '!.dvc'"):
            project.create(outer / "sub", table)
        assert not (outer / "sub").exists() and git(outer, "status", "--short") == ""


def test_whatever_fails_takes_back_what_git_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dvc init` adds files to the index; a failure after it leaves neither them nor the folder."""
    outer = repository(tmp_path)

    def fail(folder: Path, table: str) -> None:
        assert "sub/.dvc/config" in git(outer, "ls-files")
        raise KeyboardInterrupt

    monkeypatch.setattr(project, "_require_committed", fail)
    with pytest.raises(KeyboardInterrupt):
        project.create(outer / "sub", labelled(tmp_path))
    assert [path.name for path in outer.iterdir()] == [".git"] and git(outer, "ls-files") == ""


def test_pip_installs_the_vendored_lmspec_and_no_other(tmp_path: Path) -> None:
    """The same files give the same bytes; with another hash pip refuses it."""
    package = wheel.of_installed()
    assert package and package == wheel.of_installed()
    assert package.requirement in list(files.requirements(package))
    (tmp_path / "vendor").mkdir()
    (tmp_path / package.path).write_bytes(package.content)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["--no-deps", "--no-index", "--target", "site", "-r", "requirements.txt"]
    for requirement, fits in (
        (package.requirement[:-4] + "0000", False),
        (package.requirement, True),
    ):
        (tmp_path / "requirements.txt").write_text(f"{requirement}\n")
        done = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == fits and fits != ("HASHES" in done.stderr), done.stderr
    site = tmp_path / "site"
    for file in (ROOT / "lmspec").rglob("*.py"):
        assert (site / file.relative_to(ROOT)).read_bytes() == file.read_bytes()
    assert (site / "lmspec/recipes/model.py").read_bytes() == (
        ROOT / "stages/model.py"
    ).read_bytes()
    assert (site / "bin/lmspec").is_file()
    with zipfile.ZipFile(tmp_path / package.path) as archive:
        assert archive.testzip() is None


def command(folder: Path, path: str) -> "subprocess.CompletedProcess[str]":
    """What DVC runs for a stage, with another PATH."""
    return subprocess.run(
        ["/bin/sh", "-c", compiler.command_of(ArtifactName("model", "x"))],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stage_runs_in_the_environment_of_the_project(tmp_path: Path) -> None:
    """Where `make env` made one; else with the `python` of PATH."""
    for name in ("p/.venv/bin", "bin"):
        (tmp_path / name).mkdir(parents=True)
        python = tmp_path / name / "python"
        python.write_text(f"#!/bin/sh\necho {name} $*\n")
        python.chmod(0o755)
    tools = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    assert command(tmp_path / "p", tools).stdout == "p/.venv/bin -m lmspec.run model x\n"
    assert command(tmp_path, tools).stdout == "bin -m lmspec.run model x\n"
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/env").symlink_to("/usr/bin/env")
    assert command(tmp_path, str(tmp_path / "tools")).returncode == 127


def test_a_machine_without_python_on_its_path_gets_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `validate`, `plan` and `init`, since the command in dvc.yaml cannot; and only there."""
    arguments = ["validate", str(tmp_path / "p/params.yaml")]
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tools))
    labelled(tmp_path)
    table = ["--data", str(tmp_path / "x.csv"), "--text", "text", "--label", "label"]
    first = CliRunner().invoke(main, ["init", str(tmp_path / "p"), *table])
    note = subprocesses.no_python(tmp_path / "p")
    assert note is not None and "`lmspec build`" in note
    assert note in first.stderr and note in CliRunner().invoke(main, arguments).stderr
    python = tmp_path / "p/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\n")
    python.chmod(0o755)
    assert subprocesses.no_python(tmp_path / "p") is None
    assert CliRunner().invoke(main, arguments).stderr == ""


def run_stage(root: Path, *arguments: str) -> str:
    """What a stage prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_source_is_fetched_under_pythonsafepath(tmp_path: Path) -> None:
    """It hides the folder with stages/ from Python, and a stage that fetches keeps the variable."""
    project.create(tmp_path / "p", labelled(tmp_path))
    run_stage(tmp_path / "p", "-P", "-m", "lmspec.run", "sources", "x")
    assert (tmp_path / "p/data/sources/x/x.csv").read_bytes() == (tmp_path / "x.csv").read_bytes()


@pytest.mark.slow
def test_a_corpus_is_cleaned_on_all_processors_in_the_sandbox(tmp_path: Path) -> None:
    """8 MB are enough for workers, which see what the stage sees."""
    row = "a long text, " * 16_000
    rows = "".join(f'"{row}{i} {i}",{"ab"[i % 2]}\n' for i in range(40))
    (tmp_path / "x.csv").write_text(f"text,label\n{rows}")
    assert len(rows) > workers.WORTH_CHARS
    project.create(tmp_path / "p", begun_with(tmp_path / "x.csv"))
    run_stage(tmp_path / "p", "-m", "lmspec.run", "sources", "x")
    printed = run_stage(tmp_path / "p", "-m", "lmspec.run", "corpus", "x")
    assert "rejected: " in printed and (tmp_path / "p/data/corpus/x/documents.parquet").is_file()


def test_a_user_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC asks for it, and fails without; a user who has one keeps it."""
    assert subprocesses.user() == {}
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def nameless(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr("pwd.getpwuid", nameless)
    with pytest.raises((KeyError, OSError)):
        getpass.getuser()
    name = subprocesses.environment({})["LOGNAME"]
    monkeypatch.setenv("LOGNAME", name)
    assert getpass.getuser() == name == f"user-{os.getuid()}"


@pytest.mark.parametrize(
    ("here", "original", "words"),
    [
        (b"a\nb\n", b"a\r\nb\r\n", "line endings to LF"),
        (b"a\r\nb\r\n", b"a\nb\n", "line endings to CRLF"),
        (digest.POINTER + b"v1\n", b"x", "git lfs pull"),
        (b"a\nc\n", b"a\r\nb\r\n", "put its hash into params.yaml"),
    ],
)
def test_another_hash_is_advised_only_for_another_content(
    tmp_path: Path, here: bytes, original: bytes, words: str
) -> None:
    """What git changed on its way has the right hash in params.yaml already."""
    (tmp_path / "x.csv").write_bytes(here)
    with pytest.raises(LmspecError, match=words) as error:
        digest.require(tmp_path / "x.csv", hashlib.sha256(original).hexdigest(), "x.csv")
    assert ("put its hash" in str(error.value)) == ("put its hash" in words)


def test_a_project_tells_git_what_a_clone_needs() -> None:
    """The examples that are checked are of every kind that git keeps."""
    kinds = {Path(path).suffix for path in clone_rules.KEPT}
    assert {".yaml", ".lock", ".json", ".csv", ".py"} <= kinds
