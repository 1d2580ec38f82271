"""What only the baseline says counts too, and so does what git lacks of a build: no gate passes
because a commit dropped, renamed, turned or ignored something."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lmspec.cli import ci
from lmspec.compare import bounds, gates, out_of_date
from lmspec.git import committed
from lmspec.language import nouns
from lmspec.specs.results import directions
from tests.history import REVIEWS, SPEC, Example, Project, examples, flipped, make

ACCURACY = "scores.cnn.reviews.accuracy"
MOVIES = next(line for line in SPEC.splitlines() if "name: movies" in line)
SONGS = f"{MOVIES.replace('movies', 'songs')}\n"


def verdicts(project: Project) -> dict[str, str]:
    """Gate -> what it says of HEAD, compared with the commit before."""
    return {gate["gate"]: gate["verdict"] for gate in project.report("HEAD~1", "HEAD")["gates"]}


def build(
    project: Project, rows: Sequence[Example], labels: Sequence[str] = ("bad", "good")
) -> None:
    project.score("scores.cnn", {"reviews": rows}, labels)
    project.lock()
    project.commit()


# Which way is better


def test_a_stage_that_turns_a_direction_makes_no_loss_a_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracy falls by 46 points, and its stage says that lower is better."""
    project = make(tmp_path / "p")
    of = f"metric: {ACCURACY}, confidence: 0.95"
    project.gate("kept", f"{{kind: non_inferiority, {of}, against: baseline, margin: 0.05}}")
    project.gate("better", f"{{kind: improvement, {of}, against: baseline, by: 0.0}}")
    project.commit()
    project.score("scores.cnn", {"reviews": flipped(REVIEWS, range(120))})
    other = {"higher": "lower", "lower": "higher"}
    ways = {name: other[way] for name, way in directions(nouns.of("scores").metrics).items()}
    project.measure("scores.cnn", project.metrics("scores.cnn"), ways)
    project.lock()
    project.commit()
    found = project.report("HEAD~1", "HEAD")
    (metric,) = (row for row in found["metrics"] if row["name"] == ACCURACY)
    assert metric["verdict"] == "not comparable"
    assert metric["reason"] == "higher is better in HEAD~1, and lower in HEAD"
    assert verdicts(project) == {"kept": "not comparable", "better": "not comparable"}
    assert "not comparable" in project.run("log", ACCURACY).output
    declared = bounds._declared
    by_the_candidate_alone = lambda end, path: (  # noqa: E731
        declared(end, path) if end.revision.name == "HEAD" else None
    )
    monkeypatch.setattr(bounds, "_declared", by_the_candidate_alone)
    assert verdicts(project) == {"kept": "pass", "better": "pass"}


# Tables, classes and test splits that only the baseline has

ACCURACIES = "metric: scores.cnn.reviews.table.*.accuracy, confidence: 0.9"
EACH_TABLE = {
    "floor": "{kind: floor, metric: scores.cnn.reviews.table.*.accuracy, at_least: 0.6}",
    "sure": f"{{kind: floor, {ACCURACIES}, at_least: 0.5}}",
    "kept": f"{{kind: non_inferiority, {ACCURACIES}, against: baseline, margin: 0.3}}",
    "flips": f"{{kind: negative_flip_rate, {ACCURACIES}, against: baseline, at_most: 0.3}}".replace(
        ".accuracy", ""
    ),
    "gap": f"{{kind: gap, {ACCURACIES}, at_most: 0.8}}",
}


def of_three(worst: Callable[[int], bool]) -> list[Example]:
    """Three tables; songs are wrong at some places, and all else is right."""
    rows = [
        replace(row, table=("movies", "products", "songs")[i % 3], predicted=row.label)
        for i, row in enumerate(examples(300))
    ]
    at = [i for i, row in enumerate(rows) if row.table == "songs" and worst(i)]
    return flipped(rows, at)


def without_songs(project: Project) -> list[Example]:
    project.edit("params.yaml", SONGS, "")
    return [row for row in of_three(lambda i: i % 2 == 0) if row.table != "songs"]


def songs_in_movies(project: Project) -> list[Example]:
    project.edit("params.yaml", SONGS, "")
    rows = of_three(lambda i: False)
    return [replace(row, table=row.table.replace("songs", "movies")) for row in rows]


def songs_called_music(project: Project) -> list[Example]:
    project.edit("params.yaml", "name: songs", "name: music")
    rows = of_three(lambda i: i % 8 == 0)
    return [replace(row, table=row.table.replace("songs", "music")) for row in rows]


@pytest.mark.parametrize("change", [without_songs, songs_in_movies, songs_called_music])
def test_a_table_that_only_the_baseline_has_is_missed(
    tmp_path: Path,
    change: Callable[[Project], list[Example]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`*` is each table of either revision: dropped, merged or renamed, the worst one is not
    forgotten, and nothing is a traceback."""
    project = make(tmp_path / "p", spec=SPEC.replace(MOVIES, f"{MOVIES}\n{SONGS.rstrip()}"))
    for name, gate in EACH_TABLE.items():
        project.gate(name, gate)
    build(project, of_three(lambda i: False))
    build(project, change(project))
    found = verdicts(project)
    assert set(found) == set(EACH_TABLE) and not {"pass", "missing"} & set(found.values()), found
    monkeypatch.setattr(gates._Evaluation, "_former", lambda *_: iter(()))
    if change is not songs_called_music:
        assert "pass" in verdicts(project).values()


def test_a_class_that_only_the_baseline_has_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the labels with its five examples, which move no other class below its floor."""
    labels = ("bad", "good", "rare")
    spec = SPEC.replace("labels: [bad, good]", "labels: [bad, good, rare]")
    spec = spec.replace("'5': good}", "'5': good, '3': rare}")
    project = make(tmp_path / "p", spec=spec)
    project.gate("classes", "{kind: floor, metric: scores.cnn.reviews.f1.*, at_least: 0.7}")
    rare = [Example(f"r{i}", "movies", "rare", "rare") for i in range(5)]
    build(project, [*REVIEWS, *rare], labels)
    project.edit("params.yaml", ", rare]", "]")
    project.write("params.yaml", project.text("params.yaml").replace(", '3': rare}", "}"))
    build(project, REVIEWS)
    assert verdicts(project) == {"classes": "undecided"}
    monkeypatch.setattr(gates._Evaluation, "_former", lambda *_: iter(()))
    assert verdicts(project) == {"classes": "pass"}


# What git lacks


def floor(project: Project) -> dict[str, Any]:
    (found,) = project.report("HEAD~1", "HEAD")["gates"]
    return dict(found)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """With a gate that passes."""
    made = make(tmp_path / "p")
    made.gate("floor", f"{{kind: floor, metric: {ACCURACY}, at_least: 0.8}}")
    made.commit()
    return made


@pytest.mark.parametrize(
    "path", ["data/metrics/scores-cnn/predictions.csv", "data/metrics/model-cnn/curve.csv"]
)
def test_a_table_that_git_ignores_puts_its_artifact_out_of_date(
    project: Project, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`*.csv` is a common line of .gitignore, and git says nothing of such files."""
    project.write(".gitignore", "*.csv\n")
    project.git("rm", "-q", "--cached", path)
    project.commit()
    assert floor(project)["verdict"] == "out of date"
    assert not project.git("status", "--porcelain") and committed.differing(project.root) == [path]
    monkeypatch.setattr(out_of_date._Check, "_is_in_submodule", lambda *_: True)
    if "curve" in path:  # of predictions, that the baseline has them tells as well
        assert floor(project)["verdict"] == "pass"


def test_what_no_build_wrote_may_be_ignored(project: Project) -> None:
    """A file of an editor or of the system beside results is none of them."""
    project.write(".gitignore", "*.swp\n")
    project.commit()
    project.write("data/metrics/.x.json.swp", "")
    assert committed.differing(project.root) == []


def test_a_module_beside_stages_that_git_lost_is_missed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was built with `helpers.py`, and no clone has that."""
    project.write("stages/scores.py", f"import helpers\n{project.text('stages/scores.py')}")
    project.write("helpers.py", "")
    project.lock()
    entries = project.locked
    entries["scores-cnn"]["deps"].append(
        {"path": "helpers.py", "hash": "md5", "md5": "d41d8cd98f00b204e9800998ecf8427e"}
    )
    project.save_lock(entries)
    project.commit()
    assert floor(project)["verdict"] == "pass"
    project.remove("helpers.py")
    project.commit()
    assert floor(project)["observed"].startswith("helpers.py, which it was built with, is gone")
    monkeypatch.setattr(out_of_date, "_is_code", lambda path: not out_of_date.is_elsewhere(path))
    assert floor(project)["verdict"] == "pass"


# A base that has the change already


def test_ci_warns_if_the_base_has_the_change_already(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On main, `--base main` compares HEAD with itself, and every comparison passes."""
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(ci.subprocesses, "run_module", lambda *_: 0)
    for name, value in {"is_whole": True, "report": None, "gates": ()}.items():
        monkeypatch.setattr(ci.publishing, name, lambda *_, found=value: found)
    for base, is_merged in (("main", True), ("HEAD", True), ("HEAD~1", False)):
        ci._diff(ci.Options(base, project.root, locked=False, pull=False))
        assert ("has all commits of HEAD" in capsys.readouterr().err) == is_merged
