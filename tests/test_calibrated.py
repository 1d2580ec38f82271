"""calibrated: fitted probabilities as nodes of a graph, conformal thresholds, and `unsure`."""

import csv
import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec.errors import LmspecError
from lmspec.formats import calibrated as formats
from lmspec.formats import deployed, documents, examples, graph, manifest, predict
from lmspec.methods import abstaining, calibrating, conformal, metrics, reading
from lmspec.methods.abstaining import UNSURE
from lmspec.methods.calibrating import Rows
from tests import calibrating as made
from tests.serving import Client
from tests.test_inference import asked, infer
from tests.test_shadow import followed, of, until

METHODS: dict[str, Mapping[str, Any]] = {
    name: {"kind": name} for name in ("temperature", "isotonic", "none")
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A graph that is three times too sure, and 1,200 texts."""
    return made.make(tmp_path_factory.mktemp("calibrated"))


@pytest.fixture(scope="module")
def scored(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same with a calibrated graph that abstains, and its scores."""
    root = tmp_path_factory.mktemp("scored")
    made.build(root / "calibrated", folders)
    all_of = {**folders, "calibrated.a": root / "calibrated", "scores.a": root / "scores"}
    made.score(root / "scores", all_of)
    return all_of


def answers(folder: Path, splits: Path, part: str) -> tuple[Any, Any]:
    """(n, k) probabilities of a graph on a side, and (n,) the truth."""
    read = graph.read(folder, 1)
    side = examples.read(splits, part, read.reader, read.labels)
    return reading.predicted(read.forward, side.windows, 0, 1), side.truth


# --- probabilities


def test_a_temperature_undoes_what_logits_were_multiplied_by(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Labels were drawn from the probabilities of a third of the logits."""
    report = made.build(tmp_path / "out", folders, abstain=None)
    assert report.metrics["temperature"] == pytest.approx(made.SURE, rel=0.12)
    before, truth = answers(folders["exported.a"], folders["splits.a"], "test")
    after, _ = answers(tmp_path / "out", folders["splits.a"], "test")
    gap = [
        metrics.expected_calibration_error(p.max(1), p.argmax(1) == truth, 15)
        for p in (before, after)
    ]
    assert gap[0] > 0.1 and gap[1] < 0.06
    assert metrics.log_loss(truth, after) < metrics.log_loss(truth, before) - 0.1


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
def test_the_graph_computes_what_was_fitted(
    folders: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    """Its probabilities are those of the fitted function, in numpy, up to rounding."""
    report = made.build(tmp_path / "out", folders, method=METHODS[kind], abstain=None)
    source = graph.read(folders["exported.a"], 1)
    side = examples.read(folders["splits.a"], "dev", source.reader, source.labels)
    logits = reading.logits(source.forward, side.windows.ids, 0, 1)
    rows = Rows(logits, side.windows.of_text, side.truth)
    if kind == "temperature":
        each = reading.probabilities(logits / np.float32(report.metrics["temperature"]))
    else:
        shares = reading.probabilities(logits)
        fitted = calibrating.one_for_each(rows)
        each = np.stack([np.interp(shares[:, k], *f) for k, f in enumerate(fitted)], 1)
        each = each.clip(calibrating.least(rows), 1)
        each /= each.sum(1, keepdims=True)
        kept = [(row["probability"], row["calibrated"]) for row in report.tables["isotonic"]]
        assert kept == [tuple(pair) for f in fitted for pair in np.stack(f, 1).tolist()]
    after, _ = answers(tmp_path / "out", folders["splits.a"], "dev")
    assert np.abs(after - rows.means(each)).max() < 1e-3  # in 32 bits, a steep ramp moves a little
    assert len(side.windows.ids) > len(side.truth)  # windows of a long text share its answer


def test_isotonic_regression_is_scikit_learns() -> None:
    """Knots, values and weights, on draws with ties."""
    sklearn = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(3)
    for size in (5, 60, 2000):
        p = np.round(rng.random(size), 2 if size == 60 else 6)
        hit = rng.random(size) < p**2
        weight = rng.choice([0.5, 1.0], size)
        peer = sklearn.IsotonicRegression(out_of_bounds="clip").fit(p, hit, weight)
        at, value = calibrating.isotonic(p, hit, weight)
        grid = np.linspace(0, 1, 501)
        assert np.abs(np.interp(grid, at, value) - peer.predict(grid)).max() < 1e-9
        assert (np.diff(value) >= 0).all() and len(at) == len(peer.X_thresholds_)


def test_what_was_added_can_be_taken_off(folders: dict[str, Path], tmp_path: Path) -> None:
    """The logits before are the source's, bit for bit; without a method there are none."""
    source = graph.read(folders["exported.a"], 1)
    ids, mask = np.array([[5, 9, 11]]), np.ones((1, 3), np.int64)
    for kind in ("temperature", "isotonic"):
        made.build(tmp_path / kind, folders, method=METHODS[kind])
        before = formats.uncalibrated(tmp_path / kind, 1)
        assert before is not None
        assert (before(ids, mask) == source.forward(ids, mask)).all()
        assert not (graph.read(tmp_path / kind, 1).forward(ids, mask) == before(ids, mask)).all()
    made.build(tmp_path / "none", folders, method=METHODS["none"])
    assert formats.uncalibrated(tmp_path / "none", 1) is None


@pytest.mark.parametrize("kind", METHODS)
def test_bytes_repeat(folders: dict[str, Path], tmp_path: Path, kind: str) -> None:
    """Two builds are one."""
    for name in ("a", "b"):
        made.build(tmp_path / name, folders, method=METHODS[kind])
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["lmspec.json", "model.onnx", "tokenizer.json"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# --- thresholds and answers


@pytest.mark.parametrize("by", ["all", "label", "table"])
def test_the_true_label_is_kept_as_often_as_promised(
    folders: dict[str, Path], tmp_path: Path, by: str
) -> None:
    """On the test split, with 600 texts on either; of each label, or of each table, if it is by."""
    made.build(tmp_path / "out", folders, abstain={**made.ABSTAIN, "by": by})
    thresholds = formats.thresholds(tmp_path / "out")
    assert thresholds is not None and list(thresholds) == list(made.LABELS)
    p, truth = answers(tmp_path / "out", folders["splits.a"], "test")
    own = p[np.arange(len(truth)), truth]
    hits = own >= np.array(list(thresholds.values()))[truth]
    tables = documents.read_split(folders["splits.a"], "test", ["table"])["table"].to_numpy()
    parts = {"all": [truth >= 0], "label": [truth == k for k in range(3)]}
    parts["table"] = [tables == name for name in sorted(set(tables))]
    low = 0.8 if by == "label" else 0.865
    assert all(hits[part].mean() > low for part in parts[by])
    assert len(set(thresholds.values())) == (3 if by == "label" else 1)


def test_an_answer_is_unsure_unless_its_label_alone_is_kept() -> None:
    """Two are kept, none is, or another than the most probable one."""
    half = {"bad": 0.5, "good": 0.5}
    assert not abstaining.is_unsure({"good": 0.7, "bad": 0.3}, half)
    assert abstaining.is_unsure({"good": 0.6, "bad": 0.4}, {"bad": 0.3, "good": 0.3})
    assert abstaining.is_unsure({"good": 0.6, "bad": 0.4}, {"bad": 0.8, "good": 0.8})
    assert abstaining.is_unsure({"good": 0.6, "bad": 0.4}, {"bad": 0.3, "good": 0.7})
    assert abstaining.kept({"good": 0.5, "bad": 0.5}, half) == ["good", "bad"]


def test_scores_predict_and_the_service_are_unsure_of_the_same_texts(
    scored: dict[str, Path], tmp_path: Path
) -> None:
    """Each test text, in all ways that there are to ask; some are answered, some are not."""
    bundle = bundled(scored["calibrated.a"], tmp_path / "bundle")
    table = documents.read(scored["scores.a"] / "predictions.parquet")[:120]
    expected = [
        UNSURE if unsure else label
        for label, unsure in table.select("predicted", "unsure").iter_rows()
    ]
    assert 20 < expected.count(UNSURE) < 100
    classifier = predict.Classifier(bundle)
    texts = table["text"].to_list()
    assert [classifier.label(classifier.predict(text)) for text in texts] == expected
    assert [classifier.label(a) for a in classifier.predict_many(texts)] == expected
    client = Client(bundle)
    try:
        for start in range(0, len(texts), 40):
            some = texts[start : start + 40]
            reply = client.post({"texts": some}).values["answers"]
            assert [answer["label"] for answer in reply] == expected[start : start + 40]
            assert reply[0]["confidence"] == max(reply[0]["probabilities"].values())
            outputs = infer(client, asked(some), "bundle").values["outputs"]
            assert outputs[0]["data"] == expected[start : start + 40]
        answer = client.get("/openapi.json").values["components"]["schemas"]["Answer"]
        assert answer["properties"]["label"]["enum"] == [*made.LABELS, UNSURE, None]
        assert f'lmspec_answers_total{{label="{UNSURE}"}} {2 * expected.count(UNSURE)}' in (
            client.get("/metrics").body.decode()
        )
    finally:
        client.close()
    lines = "".join(f"{text}\n" for text in texts)
    for options in ([], ["--csv", "-", "--text", "text"]):
        given = lines if not options else pl.DataFrame({"text": texts}).write_csv()
        done = subprocess.run(
            [sys.executable, bundle / "predict.py", *options],
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )
        if options:
            found = [row["predicted"] for row in csv.DictReader(io.StringIO(done.stdout))]
        else:
            found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
        assert found == expected


def bundled(graph_of: Path, bundle: Path) -> Path:
    """A bundle of that graph."""
    bundle.mkdir()
    for name in predict.DATA:
        (bundle / name).write_bytes((graph_of / name).read_bytes())
    deployed.write(bundle)
    manifest.write(bundle, "Good or bad", {}, None)
    return bundle


def test_a_shadow_is_unsure_where_its_answer_is(scored: dict[str, Path], tmp_path: Path) -> None:
    """What is compared is the answer: with a bundle that is never unsure, they differ wherever one
    that abstains is; a bundle beside itself never does."""
    unsure = bundled(scored["calibrated.a"], tmp_path / "unsure")
    plain = bundled(scored["exported.a"], tmp_path / "plain")
    texts = documents.read(scored["scores.a"] / "predictions.parquet")["text"].to_list()[:60]
    classifiers = [predict.Classifier(folder) for folder in (unsure, plain)]
    labels = [tuple(each.label(each.predict(text)) for each in classifiers) for text in texts]
    pairs = Counter(pair for pair in labels if pair[0] != pair[1])
    assert sum(count for (label, _), count in pairs.items() if label == UNSURE) > 5
    for beside, differ in ((plain, pairs), (unsure, Counter[Any]())):
        client = Client(unsure)
        try:
            with followed(client, beside) as after:
                client.post({"texts": texts[:40]})
                client.post({"texts": texts[40:]})
                until(lambda after=after: sum(of(after).found.counts.values()) == len(texts))
            assert of(after).found.pairs == differ
        finally:
            client.close()


def test_thresholds_are_ranks_of_the_dev_split() -> None:
    """The k-th largest of n, where k is the coverage of n + 1, rounded up; none if k is more."""
    own = np.arange(1, 100) / 100
    assert conformal.threshold(own, 0.9) == 0.1  # the 90th of 99 from above
    assert conformal.threshold(own, 0.99) == 0.01
    assert conformal.threshold(own, 0.995) is None
    assert conformal.threshold(np.arange(1, 100) / 100, 0.07) == 0.93  # 7.000000000000001 in binary
    for coverage in (0.5, 0.9, 0.95, 0.99):
        n = conformal.least(coverage)
        assert conformal.threshold(np.linspace(0, 1, n), coverage) is not None
        assert conformal.threshold(np.linspace(0, 1, n - 1), coverage) is None


def test_isotonic_functions_and_thresholds_have_their_own_texts(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Halves of the documents, whatever others there are: the functions are those that the half
    alone would give, and the thresholds keep what they promise of new texts."""
    method = METHODS["isotonic"]
    made.build(tmp_path / "out", folders, method=method)
    source = graph.read(folders["exported.a"], 1)
    side = examples.read(folders["splits.a"], "dev", source.reader, source.labels)
    first = calibrating.halves(side.documents["id"].to_list())
    assert 0.4 < first.mean() < 0.6
    assert (calibrating.halves(side.documents["id"].to_list()[7:]) == first[7:]).all()
    rows = Rows(
        reading.logits(source.forward, side.windows.ids, 0, 1), side.windows.of_text, side.truth
    )
    own = calibrating.one_for_each(rows.part(first))
    report = made.build(tmp_path / "again", folders, method=method)
    kept = [(row["probability"], row["calibrated"]) for row in report.tables["isotonic"]]
    assert kept == [tuple(pair) for f in own for pair in np.stack(f, 1).tolist()]
    assert report.metrics["rows"] == first.sum()
    p, truth = answers(tmp_path / "out", folders["splits.a"], "dev")
    thresholds = formats.thresholds(tmp_path / "out")
    assert thresholds is not None
    rank = np.sort(p[np.arange(len(truth)), truth][~first])
    assert next(iter(thresholds.values())) in rank


def test_labels_are_kept_as_by_mapie() -> None:
    """Its split conformal classifier, with the same score, keeps the same labels of each text."""
    classification = pytest.importorskip("mapie.classification", reason="pip install -e '.[peers]'")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Fixed(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        """Its features are the probabilities."""

        classes_ = np.arange(3)

        def fit(self, x: Any, y: Any) -> "Fixed":
            return self

        def predict_proba(self, x: Any) -> Any:
            return x

        def predict(self, x: Any) -> Any:
            return x.argmax(1)

        def __sklearn_is_fitted__(self) -> bool:
            return True

    rng = np.random.default_rng(8)
    p = rng.dirichlet([0.6, 0.5, 0.4], 900)
    truth = (rng.random(900)[:, None] > p.cumsum(1)).sum(1)
    for coverage in (0.8, 0.9, 0.97):
        peer = classification.SplitConformalClassifier(
            Fixed(), confidence_level=coverage, conformity_score="lac", prefit=True
        ).conformalize(p[:500], truth[:500])
        _, sets = peer.predict_set(p[500:])
        found = conformal.thresholds(p[:500], truth[:500], "abc", (), coverage, "all")
        assert ((p[500:] >= np.array(found)) == sets[:, :, 0]).all()


def test_coverage_holds_over_draws(tmp_path: Path) -> None:
    """Over 300 draws of 99 and 400 texts, its mean is 0.9 to a standard error; with the plain
    quantile of the 99, which has no + 1, it is too small."""
    rng = np.random.default_rng(2)
    found, plain = [], []
    for _ in range(300):
        own = rng.beta(3, 1, 499)
        limit = conformal.threshold(own[:99], 0.9)
        assert limit is not None
        found.append((own[99:] >= limit).mean())
        plain.append((own[99:] >= np.quantile(own[:99], 0.1, method="higher")).mean())
    error = np.std(found) / 300**0.5
    assert abs(np.mean(found) - 0.9) < 2.5 * error
    assert np.mean(plain) < np.mean(found)


# --- scores


def test_scores_say_coverage_and_what_is_answered(scored: dict[str, Path]) -> None:
    """Counted again from the predictions; a threshold of half the value loses the coverage."""
    values = json.loads((scored["scores.a"] / "metrics.json").read_text())["metrics"]["a"]
    table = documents.read(scored["scores.a"] / "predictions.parquet")
    right = table["label"] == table["predicted"]
    found = values["abstention"]
    assert found["coverage"]["share"] == pytest.approx(table["kept"].mean(), abs=1e-6)
    assert found["unsure"]["share"] == pytest.approx(table["unsure"].mean(), abs=1e-6)
    assert found["accuracy"]["share"] == pytest.approx(
        right.filter(~table["unsure"]).mean(), abs=1e-6
    )
    assert found["accuracy"]["low"] > values["accuracy"]
    assert found["coverage"]["low"] < 0.9 < found["coverage"]["high"]
    assert set(values["table"]) == {"movies", "products"}
    for name, own in values["table"].items():
        part = table.filter(table["table"] == name)
        assert own["abstention"]["coverage"]["share"] == pytest.approx(
            part["kept"].mean(), abs=1e-6
        )
    before = values["uncalibrated"]
    assert before["log_loss"] > values["log_loss"] + 0.1
    assert before["expected_calibration_error"] > values["expected_calibration_error"] + 0.05


def test_risk_falls_as_less_is_answered(scored: dict[str, Path], tmp_path: Path) -> None:
    """The last row is the error of all; half of the texts have fewer errors."""
    report = made.score(tmp_path / "again", scored)
    rows = report.tables["risk"]
    assert [row["answered"] for row in rows] == [i / 20 for i in range(1, 21)]
    error = 1 - report.metrics["a"]["accuracy"]
    assert rows[-1]["risk"] == pytest.approx(error, abs=1e-6)
    assert rows[9]["risk"] < 0.7 * error


# --- what is refused


def test_too_few_texts_for_a_coverage_are_refused(tmp_path: Path) -> None:
    """With how many it takes; so of a label that is rare."""
    few = made.make(tmp_path / "few", rows=160)
    with pytest.raises(LmspecError, match=r"there are 80 texts, and 0\.99 takes 99"):
        made.build(tmp_path / "a", few, abstain={**made.ABSTAIN, "coverage": 0.99})
    with pytest.raises(LmspecError, match=r"label '.*' has \d+ texts, and 0.98 takes 49"):
        by_label = {**made.ABSTAIN, "coverage": 0.98, "by": "label"}
        made.build(tmp_path / "b", few, abstain=by_label)


def test_a_label_called_unsure_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    """No one could tell that answer from the other."""
    graphs = tmp_path / "graph"
    graphs.mkdir()
    for path in folders["exported.a"].iterdir():
        (graphs / path.name).write_bytes(path.read_bytes().replace(b"so so", b"unsure"))
    with pytest.raises(LmspecError, match="has a label 'unsure'"):
        made.build(tmp_path / "out", {**folders, "exported.a": graphs})


def test_a_coverage_below_the_accuracy_is_warned_of(
    folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is unsure of texts that it would answer right."""
    made.build(tmp_path / "out", folders, abstain={**made.ABSTAIN, "coverage": 0.2})
    assert "more than the coverage of 0.2" in capsys.readouterr().err
