"""The project's own models, from the metrics that are committed with them."""

import json
from collections.abc import Iterator
from pathlib import Path

from lmspec.language import document, metric_names, resolved, schema
from lmspec.specs.names import ArtifactName

ROOT = Path(__file__).parent.parent


def accuracy(scores: str, dataset: str, table: str | None = None) -> float:
    """On the test split of a dataset, or on one of its tables."""
    metrics = json.loads((ROOT / f"data/metrics/scores-{scores}.json").read_text())[dataset]
    value: float = (metrics["table"][table] if table else metrics)["accuracy"]
    return value


def test_candidates_are_as_good_as_they_should_be() -> None:
    """On held-out movie reviews."""
    assert accuracy("minilm", "reviews", "movies") >= 0.855
    assert accuracy("textcnn", "reviews", "movies") >= 0.72
    assert accuracy("bilstm", "reviews", "movies") >= 0.72


def test_the_student_is_close_to_its_teacher() -> None:
    """Within two points, with half of the layers."""
    assert (
        accuracy("student", "reviews", "movies") >= accuracy("minilm", "reviews", "movies") - 0.02
    )


def test_the_update_learns_and_does_not_forget() -> None:
    """Better on tweets, and at most a point worse on movie reviews."""
    assert accuracy("updated", "tweets") > accuracy("student", "tweets")
    assert (
        accuracy("updated", "reviews", "movies") >= accuracy("student", "reviews", "movies") - 0.01
    )


def test_the_graphs_answer_as_the_model_does() -> None:
    """fp32 to the example, int8 within half a point, on movie reviews."""
    assert accuracy("graph", "reviews", "movies") == accuracy("updated", "reviews", "movies")
    assert (
        abs(accuracy("release", "reviews", "movies") - accuracy("graph", "reviews", "movies"))
        <= 0.005
    )


def test_every_prediction_is_for_a_test_text_and_adds_up() -> None:
    """The per-example tables give the committed accuracies."""
    import csv

    with (ROOT / "data/metrics/scores-release/predictions.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == "tweets"]
    right = sum(row["label"] == row["predicted"] for row in rows)
    assert right / len(rows) == accuracy("release", "tweets")


def test_the_metrics_that_a_gate_may_name_are_those_that_are_written() -> None:
    """Of every artifact, each leaf of its metrics and no other; the reasons of a corpus alone are
    not known before."""
    read = document.read(ROOT / "params.yaml")
    values = read.resolved
    names = [ArtifactName(noun, name) for noun in schema.nouns() for name in values.get(noun, ())]
    specs = resolved.Specs(
        values, read.values, tuple(names), (), {name: [] for name in names}, ROOT
    )
    for name in names:
        path = ROOT / f"data/metrics/{name.stage}.json"
        written = set(leaves(json.loads(path.read_text()))) if path.exists() else set()
        known = set(metric_names.names(specs, name))
        assert {leaf for leaf in written if not leaf.startswith("rejected.")} == known, name


def leaves(value: object, path: str = "") -> Iterator[str]:
    """Paths of all leaves of nested mappings."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}".removeprefix("."))
    else:
        yield path
