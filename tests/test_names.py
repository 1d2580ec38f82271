"""Names of artifacts and metrics, and what nouns declare about metrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmspec.language import nouns
from lmspec.specs.corpus import PERSONAL, CorpusSpec
from lmspec.specs.model import ModelSpec
from lmspec.specs.names import ArtifactName, MetricName
from lmspec.specs.results import WATCHED, directions
from lmspec.specs.scores import ScoresSpec

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


def test_provenance_records_directions_by_the_fixed_end_of_a_path() -> None:
    """As `lmspec diff` matches them: placeholders of datasets, labels or seeds are left out."""
    assert directions(ScoresSpec.metrics) == {
        "accuracy": "higher",
        "accuracy_per_byte": "higher",
        "macro_f1": "higher",
        "exact_match": "higher",
        "bleu": "higher",
        "chrf": "higher",
        "rouge_l": "higher",
        "bits_per_byte": "lower",
        "log_loss": "lower",
        "balanced_accuracy": "higher",
        "expected_calibration_error": "lower",
        "f1": "higher",
        "own": "higher",
        "overlap": "lower",
    }
    tokens = {"bits_per_byte": "lower"}
    assert directions(ModelSpec.metrics) == {
        **{f"dev.{name}": way for name, way in (WATCHED | tokens).items()},
        **WATCHED,
        **tokens,
        "private.epsilon": "lower",
        "contrastive.loss": "lower",
    }
    personal = {f"personal_data.{kind}": "lower" for kind in PERSONAL}
    assert directions(CorpusSpec.metrics) == personal | {"alpha": "higher"}


@pytest.mark.parametrize(
    ("noun", "path", "declared"),
    [
        ("scores", ("test", "f1", "a.b"), "{dataset}.f1.{label}"),
        ("scores", ("test", "table", "x", "f1", "*"), "{dataset}.table.{table}.f1.{label}"),
        ("scores", ("test", "f2"), None),
        ("corpus", ("rejected", "too short"), "rejected.{reason}"),
        ("quantized", ("bytes",), "bytes"),
        ("unknown", ("bytes",), None),
    ],
)
def test_a_path_belongs_to_a_declared_metric(
    noun: str, path: tuple[str, ...], declared: str | None
) -> None:
    """With labels that hold dots, and with `*` as gates write it."""
    metric = nouns.metric(ArtifactName(noun, "a"), path)
    assert (metric and metric.path) == declared


def test_the_dev_split_of_a_noun_is_the_only_one_that_it_reads() -> None:
    """An update reads the dev splits of its replay too, so its accuracy is of no single one."""
    fields = {noun: nouns.of(noun).dev_field for noun in ("model", "student", "updated", "scores")}
    assert fields == {"model": "on", "student": "on", "updated": None, "scores": None}
