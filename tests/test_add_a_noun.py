"""The recipe for a new noun, followed literally in a copy of the code with a small project."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lmspec.methods.folders import sha256
from tests import miniature
from tests.miniature import ROOT, dvc, lmspec, run

RECIPE = (ROOT / "docs/recipes/add-a-noun.md").read_text(encoding="utf-8")
PARAMS = """\
sources:
  raw: {{kind: file, path: raw/old.csv, sha256: '{raw}'}}

corpus:
  reviews:
    tables:
      - name: old
        of: sources.raw
        file: old.csv
        format: {{kind: csv, quoting: double, columns: null}}
        missing: ['']
        text: text
        label: {{kind: column, column: stars, values: text, rename: {{'1': bad, '5': good}}}}
        group: null
    labels: [bad, good]
    clean: {{fix_unicode: true, unescape_html: true, min_chars: 3, max_chars: 200}}
    contradictions: keep_first
    near_duplicates: null
    without: []

numerics: {{seed: 1, threads: 1, precision: fp32, instructions: avx2}}
machine: {{device: cpu}}
"""


def blocks(language: str) -> list[str]:
    """The code blocks of the recipe."""
    return re.findall(rf"^```{language}\n(.*?)^```$", RECIPE, re.M | re.S)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus, built and committed; then the steps of the recipe, up to its last command."""
    folder = tmp_path_factory.mktemp("recipe")
    for package in ("lmspec", "stages"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in (".gitignore", ".dvcignore"):
        shutil.copyfile(ROOT / name, folder / name)
    (folder / "raw").mkdir()
    miniature.write_texts(folder / "raw/old.csv", miniature.sentences(""))
    params = PARAMS.format(raw=sha256(folder / "raw/old.csv"))
    (folder / "params.yaml").write_text(params)
    for setting in ("user.name", "user.email"):
        run(folder, "git", "init", "-q", "-b", "main")
        run(folder, "git", "config", setting, "t@example.org")
    dvc(folder, "init", "-q")
    lmspec(folder, "sync")
    dvc(folder, "repro")
    commit(folder, "a corpus")
    follow(folder)
    return folder


def follow(folder: Path) -> None:
    """Write what the recipe writes, and run its commands."""
    paths = re.findall(r"`((?:lmspec/specs/(?!base|project)|stages/)\w+\.py)`:", RECIPE)
    (spec, stage), (listed,) = blocks("python"), blocks("text")
    for path, text in zip(paths, (spec, stage), strict=True):
        (folder / path).write_text(text)
    path = folder / "lmspec/specs/project.py"
    path.write_text(path.read_text().replace('    "corpus",\n', f'    "corpus",\n{listed}', 1))
    with (folder / "params.yaml").open("a") as params:
        params.write("\n" + blocks("yaml")[0])
    for command in blocks("sh")[0].splitlines():
        words, _, output = command.partition(" > ")
        name, *arguments = words.split()
        printed = run(folder, sys.executable, "-m", name, *arguments)
        if output:
            (folder / output).write_text(printed)
        if arguments == ["plan"]:
            (folder / ".plan").write_text(printed)


def commit(folder: Path, message: str) -> None:
    """Everything."""
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-q", "-m", message)


def test_one_line_lists_a_noun(project: Path) -> None:
    """Its own files, its section and one line; the rest is written by commands."""
    commit(project, "a noun")
    changed = run(project, "git", "diff", "--numstat", "HEAD~1", "HEAD", "--", "lmspec", "stages")
    rows = [line.split("\t") for line in changed.splitlines()]
    assert sorted(
        (path, int(added), int(removed)) for added, removed, path in rows if "json" not in path
    ) == [
        ("lmspec/specs/project.py", 1, 0),
        ("lmspec/specs/vocabulary.py", blocks("python")[0].count("\n"), 0),
        ("stages/vocabulary.py", blocks("python")[1].count("\n"), 0),
    ]


def test_a_table_of_its_own_name_is_a_plain_plot(project: Path) -> None:
    """`lmspec sync` needs to know nothing of it."""
    stage = YAML(typ="safe").load(project / "dvc.yaml")["stages"]["vocabulary-reviews"]
    assert {"data/metrics/vocabulary-reviews/frequent.csv": {"cache": False}} in stage["plots"]
    rows = (project / "data/metrics/vocabulary-reviews/frequent.csv").read_text().splitlines()
    assert rows[0] == "word,count" and len(rows) > 20
    assert "index.html" in dvc(project, "plots", "show")
    shutil.rmtree(project / "dvc_plots")


def test_a_plan_runs_the_new_stage_alone(project: Path) -> None:
    """No other stage has the new files in its cache key."""
    lines = [line.split()[:2] for line in (project / ".plan").read_text().splitlines()[:3]]
    stages = ("sources-raw", "corpus-reviews", "vocabulary-reviews")
    assert lines == [[stage, "run" if stage == stages[-1] else "hit"] for stage in stages]


def test_explain_knows_the_noun_and_shows_the_example_of_the_project(project: Path) -> None:
    """Without an entry in examples.yaml."""
    text = lmspec(project, "explain", "vocabulary")
    assert "How many words a corpus has" in text and "rarer words are left out" in text
    assert "  vocabulary:\n    reviews: {of: corpus.reviews, min_count: 2}" in text
    assert "vocabulary.of" in lmspec(project, "explain", "corpus")


def test_a_diff_and_a_gate_know_its_metrics(project: Path) -> None:
    """Their directions, what is exact, and a gate that fails by it."""
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("min_count: 2", "min_count: 60"))
    dvc(project, "repro")
    commit(project, "frequent words only")
    text = lmspec(project, "diff", "HEAD~1", "HEAD", code=1)
    rows = {line.split()[0]: line for line in text.splitlines() if line.startswith("vocabulary.")}
    assert "better" in rows["vocabulary.reviews.bytes"]
    assert "untested" in rows["vocabulary.reviews.coverage"]
    assert "changed" in rows["vocabulary.reviews.words"]
    assert "vocabulary-covers" in lmspec(project, "gate", "HEAD~1", "HEAD", code=1)


def test_a_gate_on_it_is_checked_beforehand(project: Path) -> None:
    """A misspelt metric, a metric without a direction and a share above 1 are rejected."""
    path = project / "params.yaml"
    before = path.read_text()
    for old, new, message in (
        ("reviews.coverage", "reviews.coverag", "did you mean 'vocabulary.reviews.coverage'?"),
        ("at_least: 0.5", "at_least: 50", "coverage must be between 0 and 1"),
        (
            "{kind: floor, metric: vocabulary.reviews.coverage, at_least: 0.5}",
            "{kind: improvement, metric: vocabulary.reviews.words, against: baseline, "
            "by: 0, confidence: 0.95}",
            "words has no better or worse direction",
        ),
    ):
        path.write_text(before.replace(old, new))
        assert message in lmspec(project, "validate", code=1)
    path.write_text(before)
    assert "is valid" in lmspec(project, "validate")
