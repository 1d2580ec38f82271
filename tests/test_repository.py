"""Git as users, hooks and containers leave it: the project's own commits, or git's own words."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lmspec.errors import LmspecError
from lmspec.git import command as git
from lmspec.git import committed, merge_driver, tree
from lmspec.pipeline import edits, subprocesses
from tests.history import Project, examples, make

KEPT = (
    "{kind: non_inferiority, metric: scores.cnn.reviews.accuracy, against: baseline, "
    "margin: 0.02, confidence: 0.95}"
)
OTHER_OWNER = "GIT_TEST_ASSUME_DIFFERENT_OWNER"  # of git's own tests: as another user's repository


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A commit with a gate, and a working tree that is 49 points worse."""
    made = make(tmp_path_factory.mktemp("template") / "project")
    made.gate("kept", KEPT)
    made.lock()
    made.commit("a gate")
    made.score("scores.cnn", {"reviews": examples(200, wrong=range(120))})
    made.lock()
    return made.root


@pytest.fixture
def project(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of it, in the current folder."""
    shutil.copytree(template, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return Project(tmp_path / "project")


def emptied(path: Path) -> None:
    """What a crash leaves of a file."""
    path.chmod(0o644)
    path.write_bytes(b"")


def loose(project: Project, name: str) -> Path:
    """The file of an object."""
    full = project.git("rev-parse", name)
    return project.root / ".git/objects" / full[:2] / full[2:]


def moved(project: Project) -> None:
    """As in a container that has the working tree of a `git worktree`, but not its repository."""
    shutil.rmtree(project.root / ".git")
    project.write(".git", "gitdir: /nowhere/.git/worktrees/project\n")


FAULTS: dict[str, tuple[Callable[[Project], object], str]] = {
    "another user's": (lambda project: os.environ.update({OTHER_OWNER: "1"}), "safe.directory"),
    "no HEAD": (lambda project: (project.root / ".git/HEAD").unlink(), "not a git repository"),
    "an empty branch": (
        lambda project: emptied(project.root / ".git/refs/heads/main"),
        "broken ref refs/heads/main",
    ),
    "an empty commit": (lambda project: emptied(loose(project, "HEAD")), "is corrupt"),
    "a lost commit": (lambda project: loose(project, "HEAD").unlink(), "git fsck"),
    "an empty tree": (lambda project: emptied(loose(project, "HEAD^{tree}")), "is corrupt"),
    "a moved repository": (moved, "not a git repository: /nowhere"),
    "no git": (lambda project: os.environ.update({"PATH": "/nowhere"}), "it is not installed"),
}


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restored afterwards, as are `PATH` and what a fault sets."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv(OTHER_OWNER, "0")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_gate_never_passes_because_git_failed(project: Project, fault: str) -> None:
    """It exits with 2 and git's own words; so do `diff`, `log`, `bisect` and `ci`."""
    break_it, words = FAULTS[fault]
    assert project.run("gate").exit_code == 1
    break_it(project)
    commands = ["gate", "diff", "log", "bisect kept"]
    for command in [*commands, *(["ci --base HEAD", "ci"] if "tree" not in fault else [])]:
        found = project.run(*command.split())
        assert found.exit_code == 2 and words in found.stderr, (command, found.output)
    found = project.run("attribute", "HEAD", "HEAD")
    assert found.exit_code == 1 and words in found.stderr
    if fault != "an empty branch":  # which git takes for one to come: all results differ from it
        with pytest.raises(LmspecError):
            committed.differing(project.root)


def test_the_gate_would_pass_if_a_failure_were_no_commit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the working tree as its own baseline."""
    monkeypatch.setattr(tree, "has_commit", lambda root: False)
    found = project.run("gate")
    assert found.exit_code == 0 and "1 of 1 gates pass" in found.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_another_user_is_refused_by_its_owner(project: Project) -> None:
    """The same without the variable of git's tests."""
    subprocess.run(["chown", "-R", "12345:12345", str(project.root)], check=True)
    found = project.run("gate")
    assert found.exit_code == 2
    assert f"git config --global --add safe.directory {project.root}" in found.stderr


@pytest.mark.parametrize("fault", ["another user's", "no HEAD", "a moved repository"])
def test_no_repository_is_made_inside_of_one_that_git_refuses(
    project: Project, tmp_path: Path, fault: str
) -> None:
    """`init` ends before it writes; the merge driver is not installed."""
    FAULTS[fault][0](project)
    rows = "".join(f"text number {i} here,{'ab'[i % 2]}\n" for i in range(60))
    (tmp_path / "x.csv").write_text(f"text,label\n{rows}")
    command = ("init", "sub", "--data", str(tmp_path / "x.csv"), "--text", "text")
    found = project.run(*command, "--label", "label")
    assert found.exit_code == 1 and "git" in found.stderr
    assert not (project.root / "sub").exists()
    assert project.run("init", "--merge-driver").exit_code == 1
    with pytest.raises(LmspecError):
        merge_driver.install(project.root)
    assert not (project.root / ".gitattributes").exists()


def test_outside_of_a_repository_and_before_the_first_commit_there_is_none(
    project: Project,
) -> None:
    """There the working tree is its own baseline, and nothing is ahead of a path."""
    shutil.rmtree(project.root / ".git")
    assert not tree.has_commit(project.root) and git.prefix(project.root) == ""
    assert "it is in no git repository" in project.run("diff").stderr
    assert project.run("gate").exit_code == 0
    project.git("init", "-q")
    assert not tree.has_commit(project.root) and project.run("gate").exit_code == 0
    assert "the repository has no commit yet" in project.run("diff").stderr
    assert committed.default_base(project.root) == "main"


@pytest.mark.parametrize("detached", [False, True])
def test_what_git_cannot_say_of_code_is_not_taken_for_no_commit(
    project: Project, detached: bool
) -> None:
    """A plan shows it as a reason; a detached HEAD is no failure."""
    if detached:
        project.git("checkout", "-q", "--detach")
        assert edits._text_then(project.root, "stages/model.py", "0" * 32) is None
        return
    edits.described.cache_clear()
    emptied(loose(project, "HEAD"))
    assert "not known" in edits.described(project.root, "stages/model.py", "0" * 32)


@pytest.mark.parametrize("kept", [False, True])
def test_a_hook_of_another_repository_changes_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Its GIT_DIR, index and objects are not the project's; nor do they reach DVC. kept: the
    control."""
    other = make(tmp_path / "other")
    before = project.run("diff", "HEAD", "--format", "json").stdout
    for name in ("GIT_DIR", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.root / ".git/index"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(other.root / ".git/objects"))
    if kept:
        monkeypatch.setattr(git, "LOCAL", set())
    assert (project.run("diff", "HEAD", "--format", "json").stdout == before) is not kept
    reached = [name for name in subprocesses.environment() if name.startswith("GIT_DIR")]
    assert bool(reached) is kept
    monkeypatch.undo()


def test_every_variable_that_names_a_repository_is_dropped() -> None:
    """Those that this git lists, less the settings that it hands on to submodules itself."""
    listed = git.text(Path.cwd(), "rev-parse", "--local-env-vars").split()
    assert {*listed} - git.LOCAL == {"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"}


@pytest.mark.parametrize("control", [False, True])
def test_a_repository_with_sha256_names_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, control: bool
) -> None:
    """Nothing was changed; with the other hash, all code would have been."""
    root = tmp_path / "project"
    root.mkdir()
    subprocess.run(["git", "init", "-q", "--object-format=sha256", str(root)], check=True)
    made = make(root)
    if control:
        monkeypatch.setattr(tree, "_index", lambda root, folders: ((), "sha1"))
    assert ("code" in made.run("diff").stdout) is control
    assert made.run("log", "model.cnn.dev.accuracy").exit_code == 0
    made.git("rm", "-q", "-r", "--cached", ".")  # an index that shows no hash
    assert tree.tree(tree.WORKTREE, root, ("params.yaml",)).algorithm == (
        "sha1" if control else "sha256"
    )


@pytest.mark.parametrize("reference", ["refs/heads/worktree", "refs/tags/worktree"])
def test_a_branch_called_worktree_is_not_the_working_tree(project: Project, reference: str) -> None:
    """An error says how to name each; by its full name it is compared."""
    project.git("update-ref", reference, "HEAD")
    for names in (("HEAD", "worktree"), ("worktree",), ("HEAD..worktree",), ("HEAD...worktree",)):
        found = project.run("gate", *names)
        assert found.exit_code == 2 and f"name it `{reference}`" in found.stderr
    assert "1 of 1 gates pass" in project.run("gate", "HEAD", reference).stdout
    assert project.run("gate").exit_code == 1  # the working tree, unnamed
    assert f"name it `{reference}`" in project.run("attribute", "HEAD", "worktree").stderr
    project.git("update-ref", "-d", reference)
    assert project.run("gate", "HEAD", "worktree").exit_code == 1


def test_odd_names_of_revisions(project: Project) -> None:
    """A branch and a tag of one name, a file of that name, an excluded commit, an option."""
    project.git("tag", "main", "HEAD~1")
    found = project.run("diff", "main")
    assert found.exit_code == 2 and "`refs/heads/main` or `refs/tags/main`" in found.stderr
    assert project.run("diff", "refs/tags/main").exit_code == 1
    project.git("update-ref", "refs/heads/HEAD", "HEAD~1")
    assert tree.commit_of("HEAD", project.root) == project.git("rev-parse", "--verify", "@")
    for name in ("^HEAD", "--all", "-x", "HEAD:params.yaml", "nope", "params.yaml", ""):
        found = project.run("diff", "--", name)
        assert found.exit_code == 2 and "there is no such commit" in found.stderr, name
    assert project.run("diff", "HEAD@{0}").exit_code == 1
    assert tree.baseline_and_candidate("@{0}..HEAD", None, project.root) == ("@{0}", "HEAD")


def test_settings_of_a_user_run_nothing_and_change_no_answer(
    project: Project, tmp_path: Path
) -> None:
    """A file system monitor, a pager, colours, signatures, other programs for `diff`; and a commit
    is what its hash says, whichever one replaces it."""
    before = project.report("HEAD"), committed.differing(project.root)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "diff.external", "pager.status", "gpg.program"):
        project.git("config", name, str(program))
    for name in ("log.showSignature", "color.ui", "color.status", "core.quotePath"):
        project.git("config", name, "always" if "color" in name else "true")
    project.git("config", "status.relativePaths", "true")
    project.git("replace", "-f", "HEAD", "HEAD~1")
    assert (project.report("HEAD"), committed.differing(project.root)) == before
    edits._text_then(project.root, "stages/model.py", "0" * 32)
    assert not (tmp_path / "ran").exists()
    project.git("status")
    assert (tmp_path / "ran").exists()  # the control


def test_a_corrupt_result_is_an_error_and_not_a_missing_metric(project: Project) -> None:
    """The error has the path and git's words, also where the content ends early."""
    path = "data/metrics/scores-cnn/predictions.csv"
    emptied(loose(project, f"HEAD:{path}"))
    found = project.run("diff", "HEAD")
    assert found.exit_code == 2 and f"HEAD:{path}: git cannot read it" in found.stderr


def test_a_clone_without_history_names_the_remedy(project: Project, tmp_path: Path) -> None:
    """`fetch-depth: 1`, for the merge base and for a commit that it lacks."""
    project.commit("worse")
    address = f"file://{project.root}"
    subprocess.run(["git", "clone", "-q", "--depth=1", address, str(tmp_path / "c")], check=True)
    clone = Project(tmp_path / "c")
    for name in ("HEAD~1", "HEAD~1..."):
        found = clone.run("gate", name)
        assert found.exit_code == 2 and "git fetch --unshallow" in found.stderr


@pytest.mark.parametrize("kind", ["worktree", "submodule", "bare"])
def test_other_kinds_of_repository_are_compared(
    project: Project, tmp_path: Path, kind: str
) -> None:
    """A `git worktree`, a submodule, and two commits of a bare repository."""
    project.commit("worse")
    place = tmp_path / "place"
    if kind == "worktree":
        project.git("worktree", "add", "-q", "--detach", str(place))
    elif kind == "bare":
        project.git("clone", "-q", "--bare", str(project.root), str(place))
    else:
        around = Project(place)
        place.mkdir()
        around.git("init", "-q")
        around.git("submodule", "--quiet", "add", str(project.root), "inner")
        place /= "inner"
    found = Project(place).run("diff", "HEAD~1", "HEAD", "--format", "json")
    assert found.exit_code == 1 and "non_inferiority" in found.stdout
