"""The documentation: what is generated is up to date, and what it names is there."""

import ast
import re
import sys
from pathlib import Path

import pytest

from lmspec.cli.main import COMMANDS
from tests.test_laws import FLOORS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import generate  # noqa: E402  (a script, in no package)

README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
ROWS = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", ARCHITECTURE, re.M)


def test_the_command_line_reference_is_what_help_prints() -> None:
    """If not: `make docs`."""
    assert (ROOT / "docs/cli.md").read_text() == generate.cli_reference()


def test_the_tree_in_the_readme_has_the_captions_of_the_code() -> None:
    """If not: `make docs`. A stage or a room that it lacks, or that is gone, shows too."""
    assert generate.mapped(README, ARCHITECTURE) == README


def test_a_changed_caption_is_noticed() -> None:
    """The negative control of the tree."""
    assert generate.mapped(README, ARCHITECTURE.replace("the command line", "a window")) != README


def test_the_figures_in_the_readme_are_the_committed_ones() -> None:
    """Accuracies, and latency, size and memory. If not: `make docs`."""
    assert generate.results(README, ROOT / "data/metrics") == README


def test_a_changed_figure_is_noticed() -> None:
    """The negative control of the figures, one of each table."""
    for figure in re.search(
        r"`release` \|.*\| ([\d.]+) \|$.*^\| weights, MB \| ([\d.]+)", README, re.M | re.S
    ).groups():  # type: ignore[union-attr]
        changed = README.replace(f"| {figure} |", "| 0.1 |", 1)
        assert changed != README == generate.results(changed, ROOT / "data/metrics")


def test_the_tree_in_the_readme_names_what_is_in_git() -> None:
    """Its top level is written by hand."""
    block = re.search(r"<!-- tree.*?```\n(.*?)```", README, re.S)
    assert block
    names = [line.split()[0] for line in block[1].splitlines() if not line.startswith(" ")]
    assert names and all((ROOT / name).exists() for name in names)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    """Except for those that a recipe has the reader write."""
    path = r"(?<![\w/.])(?:lmspec|stages|tests|bench|docs)/[\w/.-]*\w"
    names = set(re.findall(path, (ROOT / page).read_text()))
    missing = {Path(name).stem for name in names if not (ROOT / name).exists()}
    assert missing <= ({"vocabulary", "myform", "mykind"} if "recipes" in page.parts else set())


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository, and to a heading of it where the link names one."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        path, _, heading = link.partition("#")
        target = (ROOT / page.parent / path) if path else ROOT / page
        assert target.exists(), link
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.M) if heading else []
        anchors = [re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings]
        assert not heading or heading in anchors, link


def test_the_index_links_every_page() -> None:
    """docs/README.md: what it does not link is not found."""
    index = (ROOT / "docs/README.md").read_text()
    links = {(ROOT / "docs" / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)", index)}
    pages = set((ROOT / "docs").rglob("*.md")) - {ROOT / "docs/README.md"}
    assert {path.relative_to(ROOT) for path in pages - links} == set()


def test_the_rooms_are_drawn_from_the_top_floor_down() -> None:
    """docs/architecture.md has every room that the laws know, in their order."""
    assert [name for name, _, _ in ROWS] == list(reversed(FLOORS))


def test_the_diagram_has_every_room_on_its_floor() -> None:
    """From the top floor down, and from left to right, as the laws have them."""
    diagram = ARCHITECTURE.split("```")[1]
    rooms = re.findall(rf"(?<=[| ] )({'|'.join(sorted(FLOORS, reverse=True))})(?=  )", diagram)
    assert rooms == list(reversed(FLOORS))


def test_a_room_has_the_caption_of_its_docstring() -> None:
    """Where it has one. If not: `make docs`."""
    assert generate.captioned(ARCHITECTURE) == ARCHITECTURE


@pytest.mark.parametrize(("room", "caption", "start"), ROWS)
def test_the_files_to_start_with_are_there(room: str, caption: str, start: str) -> None:
    """One at least for each room."""
    folder = ROOT / ("" if room == "stages" else "lmspec") / room
    names = re.findall(r"`([\w/]+\.py)`", start)
    assert names and caption
    assert all(((folder if folder.is_dir() else folder.parent) / name).exists() for name in names)


def test_what_the_architecture_names_is_there() -> None:
    """`pipeline/plan.py:plan` is a function of that module, `specs/checks/` a folder; below lmspec/
    or the root."""
    named = re.findall(r"`([\w./-]+/[\w./-]*|\w+\.py)(?::(\w+))?`", ARCHITECTURE)
    assert len(named) > 30
    for name, definition in named:
        if "<" in name or name.startswith("data/"):
            continue
        folders = [folder for folder in (ROOT / "lmspec", ROOT) if (folder / name).exists()]
        if not definition and "/" not in name:
            continue  # a file to start with in a room: see above
        assert folders, name
        if definition:
            tree = ast.parse((folders[0] / name).read_text())
            names = {getattr(node, "name", None) for node in tree.body}
            for node in tree.body:
                targets = getattr(node, "targets", [getattr(node, "target", None)])
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            assert definition in names, name


def test_the_glossary_defines_each_term_once_in_one_line() -> None:
    """So that a term has one meaning, and a reader finds it."""
    lines = (ROOT / "docs/glossary.md").read_text().splitlines()
    entries = [line for line in lines if line.startswith("- ")]
    terms = [re.match(r"- \*\*([\w -]+)\*\*: \S", entry) for entry in entries]
    assert len(entries) > 50 and all(terms)
    names = [term[1].lower() for term in terms if term]
    assert len(names) == len(set(names))
    assert all(line.startswith(("- ", "#")) or not line for line in lines[4:])


def test_the_readme_names_every_command_and_only_make_targets_that_exist() -> None:
    """Every `make` target and lmspec command in README.md is there, and every command is named."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"^make ([a-z-]+)", README, re.M)) <= targets
    assert set(re.findall(r"`lmspec ([a-z]+)[ `]", README)) == set(COMMANDS)
