"""attacked: train texts are known from answers as far as a model remembers them, and no further."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from lmspec import stage
from lmspec.formats import checkpoint, documents, graph
from lmspec.methods import cleaning, membership
from lmspec.methods.membership import Side
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Windows
from lmspec.specs.attacked import AttackedSpec
from lmspec.specs.numerics import Machine, Numerics
from stages import attacked
from tests.history import Project
from tests.test_gate import held, level, written
from tests.test_redacting import built as corpus_of

LABELS = ("bad", "good")
NUMERICS = Numerics(seed=1, threads=1, precision="fp32", instructions="avx2")
TRAIN, TEST = 60, 50
CANARIES = 8  # in each split


class Words:
    """Reads a text as one token, its number."""

    def __init__(self, texts: list[str]) -> None:
        self.ids = {text: i + 1 for i, text in enumerate(texts)}

    def read(self, texts: list[str]) -> Windows:
        """A window of one token each."""
        ids = [np.asarray([self.ids[text]]) for text in texts]
        ones = np.ones(len(ids), np.int64)
        return Windows(ids, np.arange(len(ids)), ones, 0 * ones, None)


def rows_of(split: str) -> pl.DataFrame:
    """Texts of a table, then canaries of another one."""
    count = (TRAIN if split == "train" else TEST) + CANARIES
    texts = [f"{split} {i}" for i in range(count)]
    return pl.DataFrame(
        {
            "id": [cleaning.document_id(text) for text in texts],
            "text": texts,
            "label": [LABELS[i % 2] for i in range(count)],
            "group": [None] * count,
            "table": ["t"] * (count - CANARIES) + ["canaries"] * CANARIES,
        },
        schema_overrides={"group": pl.String},
    )


def attack(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    right: Mapping[str, Callable[[str], float]],
    **changes: Any,
) -> stage.Report:
    """right: artifact -> the logit that it gives the label of a text."""
    frames = {split: rows_of(split) for split in ("train", "test")}
    whole = pl.concat(frames.values())
    (folder / "out").mkdir()
    for split, frame in frames.items():
        documents.write(frame, folder / f"{split}.parquet")
    reader = Words(whole["text"].to_list())
    for name in right:
        (folder / name).mkdir()
        seen = {"splits.a": ["dev", "train"]} if name == "model.m" else {}
        (folder / name / "seen.json").write_text(json.dumps(seen))

    def predictor(place: Path, *_: Any) -> Predictor:
        logits = np.zeros((len(whole) + 1, 2), np.float32)
        for text, label in whole.select("text", "label").iter_rows():
            logits[reader.ids[text], LABELS.index(label)] = right[place.name](text)

        def forward(ids: NDArray[np.int64], _: Any) -> NDArray[np.float32]:
            return logits[ids[:, 0]]

        return Predictor(forward, reader, LABELS, 0)  # type: ignore[arg-type]

    for module in (checkpoint, graph):
        monkeypatch.setattr(module, "predictor", predictor)
    values = {"of": "model.m", "on": "splits.a", "rows": 1000, "seed": 1}
    spec = AttackedSpec.model_validate(values | changes)
    needs = stage.Needs(
        {"splits.a": folder, **{name: folder / name for name in right}},
        NUMERICS,
        Machine(device="cpu"),
        root=folder,
    )
    return attacked.build(spec, needs, folder / "out")


def noise(text: str) -> float:
    """As hard as a text is for anyone: the same in each run."""
    return int(cleaning.document_id(text), 16) / 2**64 * 4


def by_heart(text: str) -> float:
    return noise(text) + 9 * text.startswith("train")


def a_little(text: str) -> float:
    return noise(text) + 0.6 * text.startswith("train")


def test_what_is_learned_by_heart_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it; of a model that treats all texts alike, the interval has one half."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    report = attack(tmp_path / "a", monkeypatch, {"model.m": by_heart})
    assert report.metrics["confidence"]["auc"] == 1.0
    assert report.metrics["confidence"]["tpr"] == 1.0
    assert report.metrics["members"] == TRAIN + CANARIES  # without `canaries` these are texts
    alike = attack(tmp_path / "b", monkeypatch, {"model.m": noise}).metrics["confidence"]
    assert alike["auc_low"] < 0.5 < alike["auc_high"]
    assert alike["auc"] == pytest.approx(0.5, abs=0.1)


def test_a_reference_takes_off_what_is_hard_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is learned a little is in the noise of how hard texts are; beside a model that has the
    same noise it is all found."""
    models = {"model.m": a_little, "model.r": noise}
    report = attack(tmp_path, monkeypatch, models, reference="model.r").metrics
    assert 0.5 < report["confidence"]["auc"] < 0.8
    assert report["reference"]["auc"] > 0.95
    assert report["reference"]["auc_low"] > report["confidence"]["auc_high"]


def test_a_planted_canary_is_exposed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault: one canary is learned by heart, the others are not. It has all the bits that there
    are, and is the worst of the table; the texts do not count it."""
    planted = f"train {TRAIN + 3}"

    def one(text: str) -> float:
        return 20.0 if text == planted else noise(text)

    report = attack(tmp_path, monkeypatch, {"model.m": one}, canaries="canaries")
    found = report.metrics["canaries"]
    assert found["highest"] == pytest.approx(math.log2(CANARIES + 1))
    assert (found["planted"], found["candidates"]) == (CANARIES, CANARIES)
    assert found["exposure_low"] < found["exposure"] < found["exposure_high"]
    assert (report.metrics["members"], report.metrics["others"]) == (TRAIN, TEST)
    rows = report.tables["texts"]
    worst = max((row for row in rows if row["canary"]), key=lambda row: row["confidence"])
    assert worst["id"] == cleaning.document_id(planted)
    assert "text" not in rows[0]


def test_the_area_is_that_of_scikit_learn() -> None:
    """Ties, too; and the share that is found has at most 1 % false positives."""
    draw = np.random.default_rng(1)
    members, others = draw.integers(0, 9, 70).astype(float), draw.integers(0, 8, 230).astype(float)
    truth = [1] * 70 + [0] * 230
    assert membership.auc(members, others) == pytest.approx(
        roc_auc_score(truth, np.concatenate([members, others]))
    )
    members, others = draw.normal(1, 1, 70), draw.normal(0, 1, 230)
    share = membership.found(members, others)
    threshold = np.sort(others)[-3]  # two of 230 are above it
    assert share == (members > threshold).mean()
    assert (others > threshold).sum() <= 2.3


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_interval_has_the_area_as_often_as_it_says(shift: float, monkeypatch: Any) -> None:
    """Of 100 draws, in which texts of one document are alike, about 95 hold it; intervals that
    take each text for itself hold it less often (the control)."""
    monkeypatch.setattr(membership, "DRAWS", 300)
    truth = 0.5 * (1 + math.erf(shift / 2))
    hits = {"groups": 0, "texts": 0}
    for seed in range(100):
        draw = np.random.default_rng(seed)
        sides = []
        for mean in (shift, 0.0):
            shared = draw.normal(0, math.sqrt(0.8), 30).repeat(5)
            score = mean + shared + draw.normal(0, math.sqrt(0.2), 150)
            sides.append(Side(score, tuple(f"d{i // 5}" for i in range(150))))
        for name in hits:
            given = [Side(s.score, s.group if name == "groups" else ("",) * 150) for s in sides]
            found = membership.estimated(membership.auc, *given, seed)
            hits[name] += found.low <= truth <= found.high
    assert hits["groups"] >= 88
    assert hits["texts"] < 80


@pytest.mark.parametrize("statistic", [membership.auc, membership.found])
def test_few_texts_do_not_pass_for_safety(statistic: Any) -> None:
    """Three train texts that look newer than three others show little, though all draws agree."""
    newer, older = (Side(np.arange(3.0) + start, ("",) * 3) for start in (0, 10))
    few = membership.estimated(statistic, newer, older, 1)
    assert few.value == few.low == 0 and few.high > 0.6
    most = membership.estimated(statistic, older, newer, 1)
    assert most.value == most.high == 1 and most.low < 0.4


def test_exposure_of_what_is_not_remembered_is_small() -> None:
    """log2 of a uniform rank: 1.44 bits on average among many, 1.36 among 50."""
    draw = np.random.default_rng(3)
    found = [membership.exposures(draw.normal(size=50), draw.normal(size=50)) for _ in range(40)]
    expected = np.log2(51 / np.arange(1, 52)).mean()
    assert np.concatenate(found).mean() == pytest.approx(expected, abs=0.2)


def test_noise_hides_what_an_overfitted_model_shows(tmp_path: Path) -> None:
    """Forty random texts with random labels: learned by heart they are found; with an epsilon of
    one half they hardly are."""
    pytest.importorskip("opacus")
    import torch

    from lmspec.methods import reading, torchrun
    from lmspec.training import loop, seeds, supervision
    from lmspec.training.task import Task
    from tests import miniature
    from tests.test_private import created
    from tests.test_training import ADAMW, alone, recipe
    from tests.test_training import NUMERICS as BITS

    weights = tmp_path / "weights"
    miniature.write_weights(weights)
    draw = np.random.default_rng(5)
    truth, picked = draw.integers(0, 2, 80), draw.permutation(160)[:80]
    areas = {}
    for guarantee in (None, {"epsilon": 0.5, "delta": 1e-3}):
        seeds.seed_weights(BITS)
        model, ids, pad = created(weights, frozen_embeddings=True, dropout=0.0)
        texts = [ids[i] for i in picked]
        windows = alone(texts)
        whole = {"metric": "log_loss", "evaluation_steps": 10**6, "patience": 1}
        spec = recipe(
            epochs=60,
            early_stopping=whole,
            optimizer=ADAMW | {"peak_learning_rate": 5e-3},
            private=guarantee,
            warmup_fraction=0.0,
        )
        objective = supervision.supervised(truth[:40])
        task = Task(texts[:40], pad, objective, lambda: {"log_loss": 1.0})
        loop.fit(model, task, spec, BITS)
        with torch.inference_mode():
            answers = reading.predicted(torchrun.forward(model), windows, pad, 40)
        confidence = answers[np.arange(80), truth]
        areas[bool(guarantee)] = membership.auc(confidence[:40], confidence[40:])
    assert areas[False] > 0.75
    assert areas[True] < areas[False] - 0.15


def decided(
    folder: Path,
    artifact: str,
    metrics: Mapping[str, Any],
    metric: str,
    limit: float,
    kind: str = "ceiling",
) -> str:
    """What a gate says of what a stage has reported."""
    project = Project(folder)
    project.write("params.yaml", json.dumps({artifact.partition(".")[0]: {"a": {}}}))
    project.measure(artifact, metrics)
    gate = level(kind, limit, f"{artifact}.{metric}")
    return held(written(folder), written(folder), **gate).verdict


def test_each_planted_fault_is_caught_by_its_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts that are learned by heart, a canary that is remembered, a handle in a corpus: the same
    gates pass without the fault."""
    planted = f"train {TRAIN + 3}"
    models = {
        "sound": noise,
        "by heart": by_heart,
        "canary": lambda text: 20.0 if text == planted else noise(text),
    }
    area, exposure = "confidence.auc_high", "canaries.highest"
    found = {}
    for name, model in models.items():
        (tmp_path / name).mkdir()
        report = attack(tmp_path / name, monkeypatch, {"model.m": model}, canaries="canaries")
        found[name] = tuple(
            decided(tmp_path / f"{name} {metric}", "attacked.a", report.metrics, metric, limit)
            for metric, limit in ((area, 0.65), (exposure, 3.1))
        )
    assert found == {
        "sound": ("pass", "pass"),
        "by heart": ("fail", "fail"),
        "canary": ("pass", "fail"),
    }
    handles = {}
    for name, text in (("sound", "It was nice"), ("handle", "It was nice, @jane")):
        rows = f"text\ty\tauthor\n{text}\t1\t\nIt was terrible\t0\t\n"
        report = corpus_of(tmp_path / f"corpus {name}", rows)
        handles[name] = decided(
            tmp_path / f"gate {name}", "corpus.a", report.metrics, "personal_data.handles", 0
        )
    assert handles == {"sound": "pass", "handle": "fail"}
