"""What is hashed has the same bytes in every clone, or one message says why it does not."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from lmspec.errors import LmspecError
from lmspec.git import line_endings, merge_driver
from tests.history import Project, make

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed project whose raw data has CRLF in git, without .gitattributes."""
    made = make(tmp_path_factory.mktemp("template") / "project")
    made.write("raw/reviews.csv", b"text,stars\r\nfine,5\r\n")
    made.commit()
    return made.root


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Project:
    """A copy of it."""
    shutil.copytree(template, tmp_path / "project")
    return Project(tmp_path / "project")


def clone(project: Project, *settings: str, attributes: str = "") -> Project:
    """As git makes one with settings of its user."""
    place = project.root.parent / f"clone{len([*project.root.parent.iterdir()])}"
    chosen = [word for setting in settings for word in ("-c", setting)]
    run = ["git", "clone", "-q", "--no-checkout", *chosen, str(project.root), str(place)]
    subprocess.run(run, check=True)
    (place / ".git/info/attributes").write_text(attributes)
    subprocess.run(["git", "checkout", "-q", "main"], cwd=place, check=True)
    return Project(place)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_clone_has_the_bytes_that_were_hashed(project: Project, pinned: bool) -> None:
    """With what `init` writes, whatever a user's git converts by itself; without it, the control,
    every command says so."""
    if pinned:
        merge_driver.install(project.root)
        project.commit()
    converting = clone(project, "core.autocrlf=true")
    before = {path: (project.root / path).read_bytes() for path in ("params.yaml", "dvc.lock")}
    after = {path: (converting.root / path).read_bytes() for path in before}
    assert (before == after) is pinned
    for command, code in (("diff HEAD", 0), ("gate", 2), ("validate", 0)):
        found = converting.run(*command.split())
        message = "CRLF here and LF in git" in found.stderr
        assert message is not pinned, found.output
        assert not pinned or found.exit_code == code or command == "validate"


def test_this_repository_pins_its_bytes() -> None:
    """And so does a new project: both have the lines of the merge driver."""
    assert line_endings.PINNED in (ROOT / ".gitattributes").read_text().splitlines()
    assert line_endings.PINNED in merge_driver.ATTRIBUTES


@pytest.mark.parametrize(
    ("attributes", "remedy"),
    [
        (
            "* text=auto eol=crlf\n",
            "`text=auto eol=crlf` of .gitattributes or .git/info/attributes",
        ),
        ("*.lock text eol=crlf\n", "`text eol=crlf` of .gitattributes or .git/info/attributes"),
    ],
)
def test_an_attribute_of_the_clone_is_named(project: Project, attributes: str, remedy: str) -> None:
    """It beats .gitattributes; what has CRLF in git as well is as it should be."""
    merge_driver.install(project.root)
    project.commit()
    converting = clone(project, attributes=attributes)
    with pytest.raises(LmspecError, match="so their hashes differ") as error:
        line_endings.require_unconverted(converting.root, [*line_endings.HASHED, "raw"])
    assert remedy in error.value.remedy and "raw" not in error.value.found
    line_endings.require_unconverted(project.root, [*line_endings.HASHED, "raw"])


def test_the_remedy_writes_the_files_again(project: Project) -> None:
    """In a clone that was checked out before its attributes came."""
    converting = clone(project, "core.autocrlf=true")
    merge_driver.install(converting.root)
    with pytest.raises(LmspecError) as error:
        line_endings.require_unconverted(converting.root)
    converting.git("add", ".gitattributes")
    converting.git("commit", "-q", "-m", "attributes")
    assert line_endings.REWRITE in error.value.remedy
    for command in line_endings.REWRITE.split("`")[1].split(" && "):
        converting.git(*shlex.split(command)[1:])
    line_endings.require_unconverted(converting.root)
    assert converting.run("diff", "HEAD").exit_code == 0


def test_crlf_of_the_author_is_no_matter_of_git(project: Project, tmp_path: Path) -> None:
    """It is in git, or in no repository at all."""
    made = project
    text = made.text("params.yaml")
    made.write("params.yaml", text.replace("\n", "\r\n"))
    assert "CRLF" not in made.run("diff").stderr
    (made.root / ".git").rename(tmp_path / "gone")
    assert line_endings.converted(made.root, line_endings.HASHED) == {}
