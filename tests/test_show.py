"""`lmspec show` says what git holds: the same numbers as the statistics, and what is lacking."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from lmspec.compare import revision
from lmspec.compare.bounds import of_value
from lmspec.git.tree import WORKTREE
from lmspec.inspection.details import MISTAKES, detail
from lmspec.inspection.overview import ONE_SIDED, Inspection
from lmspec.reports import results, terminal
from tests.history import REVIEWS, Project, examples, make

LINEAR = (
    "  linear: {of: exported.cnn, on: [splits.reviews], batch_size: 16, calibration_bins: 5, "
    "accepted_overlap: []}\n"
)
CNN = "  cnn: {of: model.cnn, on:"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make(tmp_path_factory.mktemp("show"))


@pytest.fixture
def project(built: Project, tmp_path: Path) -> Project:
    """A copy that a test may change."""
    return Project(shutil.copytree(built.root, tmp_path / "project"))


def inspected(project: Project) -> Inspection:
    return Inspection(revision.read(WORKTREE, project.root))


def shown(project: Project, *arguments: str) -> Any:
    return json.loads(project.run("show", *arguments, "--json").stdout)


def test_values_and_intervals_are_those_of_the_statistics(built: Project) -> None:
    """A row for each scores artifact and dataset, with two-sided intervals at 95 %."""
    (row,) = shown(built)["scores"]
    looked_at = inspected(built)
    for name in ("accuracy", "macro_f1"):
        bounds = of_value(looked_at.artifact("scores.cnn"), ("reviews", name), ONE_SIDED)
        assert not isinstance(bounds, str)
        assert row[name]["value"] == bounds.value
        assert row[name]["interval"] == [bounds.low, bounds.high]
    assert row["accuracy"]["value"] == sum(each.right for each in REVIEWS) / len(REVIEWS)
    assert row["majority"]["interval"][0] > 0.3 and row["linear"] is None
    assert row["bytes"] == 20_000 and row["latency_ms"] is not None and not row["shipped"]


def test_gates_and_what_is_lacking_are_shown_with_a_command(project: Project) -> None:
    """A gate that fails, an artifact that is out of date, and one that was never built."""
    project.gate("good", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.99}")
    text = project.run("show").stdout
    assert "gates: 0 of 1 gates pass" in text and "at least 0.99" in text
    assert "to look at" not in text
    project.edit("params.yaml", CNN, f"{LINEAR}{CNN}")
    text = project.run("show").stdout
    assert "scores.linear  it is not built" in text and "run `dvc repro scores-linear`" in text
    project.edit("params.yaml", "epochs: 3", "epochs: 4")
    text = project.run("show").stdout
    assert "model.cnn of params.yaml is not what it was built with" in text
    assert "others" in text and "made from these: " in text


def test_a_constant_answer_is_no_success(project: Project) -> None:
    """It is named in the overview and in the details, and nothing is over the majority."""
    project.score("scores.cnn", {"reviews": [replace(row, predicted="good") for row in REVIEWS]})
    project.lock()
    text = project.run("show").stdout
    assert "scores.cnn on reviews answers 'good' to 100 % of the test texts" in text
    assert shown(project)["scores"][0]["answer"] == "good"
    assert shown(project)["scores"][0]["majority"]["value"] == 0
    assert "nearly every answer is 'good'" in project.run("show", "scores.cnn").stdout


def test_a_candidate_that_is_better_than_what_ships_is_named(project: Project) -> None:
    """With what ships it instead. What the graph was made from is no candidate, nor is one whose
    interval has 0 in it."""
    spec = (project.root / "params.yaml").read_text()
    model = spec.partition("model:\n")[2].partition("exported:\n")[0]
    project.edit("params.yaml", model, model + model.replace("  cnn:", "  wide:", 1))
    rest = "on: [splits.reviews], batch_size: 16, calibration_bins: 5, accepted_overlap: []}\n"
    ours, wide = f"  ships: {{of: exported.cnn, {rest}", f"  wide: {{of: model.wide, {rest}"
    project.edit("params.yaml", CNN, f"{ours}{wide}{CNN}")
    bundle = "bundle:\n  cnn: {of: exported.cnn, scores: scores.ships, title: A, license: MIT, "
    bundle += "intended_use: A., limitations: B.}\ngates:\n"
    project.edit("params.yaml", "gates:\n", bundle)
    for first, is_named in ((0, True), (190, False)):
        better = [
            replace(row, predicted=row.label) if i >= first else row
            for i, row in enumerate(REVIEWS)
        ]
        for name, rows in (("ships", REVIEWS), ("wide", better), ("cnn", better)):
            project.score(f"scores.{name}", {"reviews": rows})
        project.lock()
        problems = inspected(project).overview().problems
        named = [each for each in problems if "better than" in each.found]
        assert [each.artifact for each in named] == ["model.wide"] * is_named
        for each in named:
            assert "better than exported.cnn, which ships: macro F1 of reviews +0." in each.found
            assert each.remedy == "`lmspec set exported.cnn.of=model.wide`, then `dvc repro`"


def test_a_look_up_that_is_better_is_not_to_be_exported(project: Project) -> None:
    """No graph is made of it, so that nothing could ship it."""
    found = inspected(project)
    found.revision.artifacts["model.near"] = {"architecture": {"kind": "nearest"}}  # type: ignore[index]
    assert found._to_ship("exported.cnn", "model.near").startswith("no graph is made of")
    assert "exported.cnn.of=model.cnn" in found._to_ship("exported.cnn", "model.cnn")


@pytest.mark.parametrize("count", [2, 3, 50])
def test_details_add_up_for_few_and_many_labels(project: Project, count: int) -> None:
    """Confusion, classes, calibration and tables count every example once."""
    labels = tuple(f"label {i:02}" for i in range(count))
    rows = examples(200, wrong=range(0, 200, 7), labels=labels)
    project.score("scores.cnn", {"reviews": rows}, labels)
    project.lock()
    (on,) = detail(inspected(project), "scores.cnn", everything=False).datasets
    assert {one.label: one.examples for one in on.classes} == {
        label: sum(row.label == label for row in rows) for label in labels
    }
    values = [one.f1.value for one in on.classes if one.f1]
    assert values == sorted(values) and len(values) == count
    assert sum(one.examples for one in on.bins) == 200
    assert sum(one.examples for one in on.parts if one.kind == "table") == 200
    assert (on.matrix is None) == (count > 8)
    if on.matrix is not None:
        assert sum(map(sum, on.matrix)) == 200
    assert all(one.examples > 0 and one.label != one.predicted for one in on.confused)
    confidence = [one.confidence for one in on.mistakes]
    assert confidence == sorted(confidence, reverse=True) and len(confidence) == MISTAKES
    assert {one.text for one in on.mistakes} == {None}
    text = project.run("show", "scores.cnn").stdout
    assert ("most confused" in text) == (count > 2)
    assert "`dvc pull splits-reviews` brings their texts" in text


def test_texts_of_mistakes_are_shown_where_they_are(project: Project) -> None:
    """From data/splits; then there is accuracy by length, too. They cannot act on a terminal."""
    texts = [f"{row.id} \x1b[31mred \u202eback" + " long" * i for i, row in enumerate(REVIEWS)]
    frame = pl.DataFrame({"id": [row.id for row in REVIEWS], "text": texts})
    project.write(".gitignore", "/data/splits\n")
    (project.root / "data/splits/reviews").mkdir(parents=True)
    frame.write_parquet(project.root / "data/splits/reviews/test.parquet")
    (on,) = detail(inspected(project), "scores.cnn").datasets
    assert sum(one.examples for one in on.parts if one.kind == "length") == len(REVIEWS)
    assert all(one.text and one.text.startswith(one.id) for one in on.mistakes)
    text = project.run("show", "scores.cnn").stdout
    assert "red" in text and not {"\x1b", "\u202e"} & set(text)


def test_a_model_shows_its_scores_and_its_training(built: Project, project: Project) -> None:
    """A curve of numbers as a course; a table that is none is left out."""
    text = built.run("show", "model.cnn").stdout
    assert "scores.cnn" in text and "dev.accuracy" in text and "training" not in text
    rows = [{"step": i, "train_loss": 1 / (i + 1)} for i in range(5)]
    project.table("model.cnn", "curve", rows)
    project.table("model.cnn", "ngrams", [{"label": "bad", "ngram": "n't", "weight": 1.5}])
    text = project.run("show", "model.cnn").stdout
    assert "train_loss  1.0000  0.2000  █" in text and '"n\'t" +1.50' in text
    assert results.spark([1.0, float("nan")]) == ""
    assert results.spark([0.0, 1.0, 2.0]) == "▁▅█"


def test_a_model_of_several_seeds_shows_their_mean_with_its_interval(project: Project) -> None:
    """As its stage computed them; the values of each with --all."""
    own = project.metrics("model.cnn")
    assert "seeds" not in project.run("show", "model.cnn").stdout
    each = {str(n): {"accuracy": value} for n, value in enumerate((0.8, 0.84, 0.85), start=1)}
    estimates = {"mean": 0.83, "low": 0.7643, "high": 0.8957}
    over = {name: {"accuracy": value} for name, value in estimates.items()}
    project.measure("model.cnn", own | {"seeds": each, "over_seeds": over})
    text = project.run("show", "model.cnn").stdout
    assert "over 3 seeds, of which the first is kept" in text
    assert "0.830 [0.764..0.896]" in text and "seeds.2.accuracy" not in text
    assert "seeds.2.accuracy" in project.run("show", "model.cnn", "--all").stdout


@pytest.mark.parametrize("artifact", [None, "scores.cnn", "model.cnn"])
def test_a_narrow_terminal_wraps(built: Project, artifact: str | None) -> None:
    """80 columns are enough, and every number is whole."""
    looked_at = inspected(built)
    sections = (
        results.detail(detail(looked_at, artifact))
        if artifact
        else results.overview(looked_at.overview())
    )
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(terminal.drawn(sections))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert artifact == "model.cnn" or "0.885" in text


def test_an_unknown_artifact_is_named(built: Project) -> None:
    """With the nearest one."""
    found = built.run("show", "scores.cmm")
    assert found.exit_code == 1 and "did you mean 'scores.cnn'?" in found.stderr


def test_scores_without_predictions_keep_their_values(project: Project) -> None:
    """Without intervals, and with the reason; a metric that is no number is a dash."""
    project.remove("data/metrics/scores-cnn/predictions.csv")
    text = project.run("show", "scores.cnn").stdout
    assert "worktree keeps no predictions of reviews" in text and "classes" not in text
    assert shown(project)["scores"][0]["accuracy"] == {
        "value": 0.885,
        "interval": None,
        "why": "worktree keeps no predictions of reviews",
    }
    project.write("data/metrics/scores-cnn.json", '{"reviews": {"accuracy": NaN, "f1": []}}')
    assert shown(project)["scores"][0]["accuracy"]["value"] == "NaN"
    assert "nan" not in project.run("show").stdout


def test_rates_of_a_stage_are_shown_with_their_intervals(project: Project) -> None:
    """How often an answer is `unsure`, and the gaps of groups; not what no text has."""
    path = project.root / "data/metrics/scores-cnn.json"
    metrics = json.loads(path.read_text())
    unsure, nothing = ({"share": s, "low": s, "high": s} for s in (0.625, None))
    metrics["reviews"] |= {"abstention": {"unsure": unsure}, "groups": {"age": nothing}}
    project.write("data/metrics/scores-cnn.json", json.dumps(metrics))
    (on,) = detail(inspected(project), "scores.cnn").datasets
    assert {name: one.interval for name, one in on.rates.items()} == {
        "abstention.unsure": (0.625, 0.625)
    }
    assert "0.625 [0.625..0.625]" in project.run("show", "scores.cnn").stdout
