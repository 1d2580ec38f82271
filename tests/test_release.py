"""The project's own models, from the metrics that are committed with them."""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent


def accuracy(scores: str, split: str, source: str | None = None) -> float:
    """On the test side of a split, or on one of its sources."""
    metrics = json.loads((ROOT / f"data/metrics/scores-{scores}.json").read_text())[split]
    value: float = (metrics["source"][source] if source else metrics)["accuracy"]
    return value


def test_candidates_are_as_good_as_they_should_be() -> None:
    """On held-out movie reviews."""
    assert accuracy("minilm", "reviews", "movies") >= 0.855
    assert accuracy("textcnn", "reviews", "movies") >= 0.72
    assert accuracy("bilstm", "reviews", "movies") >= 0.72


def test_the_student_is_close_to_its_teacher() -> None:
    """Within two points, with half of the layers."""
    assert accuracy("student", "reviews", "movies") >= accuracy("minilm", "reviews", "movies") - 0.02


def test_the_update_learns_and_does_not_forget() -> None:
    """Better on tweets, and at most a point worse on movie reviews."""
    assert accuracy("updated", "tweets") > accuracy("student", "tweets")
    assert accuracy("updated", "reviews", "movies") >= accuracy("student", "reviews", "movies") - 0.01


def test_the_graphs_answer_as_the_model_does() -> None:
    """fp32 to the example, int8 within half a point, on movie reviews."""
    assert accuracy("graph", "reviews", "movies") == accuracy("updated", "reviews", "movies")
    assert abs(accuracy("release", "reviews", "movies") - accuracy("graph", "reviews", "movies")) <= 0.005


def test_every_outcome_is_of_a_test_text_and_adds_up() -> None:
    """The per-example tables give the committed accuracies."""
    import csv

    with (ROOT / "data/metrics/scores-release/outcomes.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "tweets"]
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right / len(rows) == accuracy("release", "tweets")
