"""Names of artifacts and metrics, parsed and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspec.specs.names import ArtifactName, MetricName

NAMES = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
NOUNS = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
LABELS = st.text("abc.01* ", min_size=1, max_size=8)


@given(NOUNS, NAMES)
def test_an_artifact_name_is_parsed_from_each_of_its_forms(noun: str, name: str) -> None:
    """`noun.name` in params.yaml and `noun-name` in dvc.yaml lead back to the same name."""
    artifact = ArtifactName(noun, name)
    assert ArtifactName.parse(str(artifact)) == artifact == ArtifactName.of_stage(artifact.stage)
    assert artifact.folder == f"data/{noun}/{name}"


@given(NOUNS, NAMES, NAMES, st.sampled_from(["f1", "label"]), LABELS)
def test_a_label_may_hold_dots(noun: str, name: str, dataset: str, kind: str, label: str) -> None:
    """What follows `f1` or `label` is one step of the path, whatever it holds."""
    metric = MetricName(ArtifactName(noun, name), (dataset, kind, label))
    assert MetricName.parse(str(metric)) == metric
    assert metric.dotted == f"{dataset}.{kind}.{label}"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("speed.a.of.latency_ms.p50", ("of", "latency_ms", "p50")),
        ("scores.a.f1.accuracy", ("f1", "accuracy")),  # a dataset called f1
        ("corpus.a.table.x.label.1.5", ("table", "x", "label", "1.5")),
        ("scores.a.test.f1.label.x", ("test", "f1", "label.x")),
        ("scores.a.test.f1", ("test", "f1")),
        ("scores.a", ()),
        ("scores", ()),
    ],
)
def test_the_path_of_a_metric(text: str, path: tuple[str, ...]) -> None:
    """Steps are parted by dots, up to a label."""
    assert MetricName.parse(text).path == path
