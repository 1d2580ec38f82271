"""Folds: every row is answered by a model that has not seen it, and scored as a test row is."""

import csv
import dataclasses
import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec import stage
from lmspec.compare import bounds
from lmspec.compare.against import Majority
from lmspec.compare.artifact import WORTH_OF_FOLDS, Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.errors import LmspecError
from lmspec.formats import documents, foldanswers, outoffold
from lmspec.methods import crossvalidating
from lmspec.methods.crossvalidating import Fold, Rows
from lmspec.methods.resume import Resume
from lmspec.specs.folds import FoldsSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.statistics import bootstrap, exact, predictions
from lmspec.statistics.paired import PairedSample
from stages import folds, scores
from tests import miniature
from tests.test_linear import stages
from tests.test_sweep import SECTION as CNN

LINEAR: dict[str, Any] = {
    "on": "splits.old",
    "architecture": {
        "kind": "linear",
        "word_ngrams": [1, 1],
        "char_ngrams": None,
        "families": ["words"],
        "min_documents": 1,
        "max_features": 1000,
    },
    "training": {
        "kind": "logistic_regression",
        "inverse_regularization": [1e6],
        "class_weights": "none",
        "max_iterations": 1000,
    },
}
SPEC = {"of": "model.x", "folds": 5, "dev": 0.2, "keep_together": None, "seed": 1}
SCORES = {"of": "folds.x", "on": ["splits.old"], "batch_size": 8, "calibration_bins": 5}
CLUSTERS = {"shingle_chars": 4, "threshold": 0.8, "permutations": 64}


def needs(folder: Path, section: dict[str, Any] = LINEAR) -> stage.Needs:
    """The miniature's splits and a model of them."""
    whole = stages(folder)
    places = {**whole.folders, "folds.x": folder / "folds"}
    return dataclasses.replace(whole, folders=places, section=section)


def run(
    given: stage.Needs, scored: dict[str, Any] | None = None, **changes: Any
) -> tuple[stage.Report, stage.Report]:
    """Reports of the folds, and of their scores."""
    for name in ("folds.x", "scores.x"):
        given[name].mkdir(exist_ok=True)
    spec = FoldsSpec.model_validate(SPEC | changes)
    report = folds.build(spec, given, given["folds.x"])
    of = ScoresSpec.model_validate(SCORES | {"accepted_overlap": []} | (scored or {}))
    return report, scores.build(of, given, given["scores.x"])


def relabel(splits: Path, seed: int) -> None:
    """Labels by a coin: nothing can be learned of one row from another."""
    draw = np.random.default_rng(seed)
    for split in ("train", "dev", "test"):
        frame = documents.read_split(splits, split)
        labels = draw.choice(documents.read_labels(splits), frame.height)
        texts = [f"{text} {split}{i}" for i, text in enumerate(frame["text"])]  # a word of its own
        columns = {"label": pl.Series(labels), "text": pl.Series(texts)}
        documents.write(frame.with_columns(**columns), splits / f"{split}.parquet")


def test_no_row_is_answered_by_a_model_that_has_seen_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of labels by chance half are right; a model that remembers its rows has nearly all right."""
    given = needs(tmp_path)
    relabel(given["splits.old"], 3)
    fair = run(given)[1].metrics["old"]["accuracy"]
    assert 0.35 < fair < 0.65
    real = crossvalidating.each

    def leaking(*arguments: Any) -> Iterator[Fold]:
        for fold in real(*arguments):
            train = np.concatenate([fold.train, fold.held_out])
            yield dataclasses.replace(fold, train=train)

    monkeypatch.setattr(crossvalidating, "each", leaking)
    assert run(given)[1].metrics["old"]["accuracy"] > 0.9


def rows(labels: list[int], units: list[list[int]] | None = None, same: str = "") -> Rows:
    """Rows with those labels, a and b; `same` is the id of the first two."""
    ids = [f"{i:04x}" for i in range(len(labels))]
    if same:
        ids[:2] = [same, same]
    units = units or [[i] for i in range(len(labels))]
    return Rows(ids, np.asarray(labels), ("a", "b"), units)


def test_a_row_among_its_own_training_rows_is_refused() -> None:
    """By its text: another row that is the same counts, too."""
    few = rows([0, 1] * 10)
    fold = crossvalidating.assigned(few, 5, 1, "here")
    one, *_ = crossvalidating.each(few, fold, 0.2, 1, "here")
    spoilt = dataclasses.replace(one, train=np.append(one.train, one.held_out[0]))
    with pytest.raises(LmspecError, match="1 texts are both answered and learned"):
        crossvalidating.require_apart(few, spoilt, "here")
    twice = rows([0, 1] * 10, same="ffff")
    apart = np.arange(20) % 2  # rows 0 and 1, which are the same text
    with pytest.raises(LmspecError, match="both answered and learned: ffff"):
        list(crossvalidating.each(twice, apart, None, 1, "here"))


def test_rows_are_held_out_once_and_units_undivided() -> None:
    """Labels are in proportion in folds and dev parts; the same seed draws the same folds."""
    draw = np.random.default_rng(1)
    units = [[3 * i, 3 * i + 1, 3 * i + 2] for i in range(40)]
    truth = np.repeat(draw.permutation(np.arange(40) % 2), 3).tolist()
    many = rows(truth, units)
    fold = crossvalidating.assigned(many, 5, 7, "here")
    found = list(crossvalidating.each(many, fold, 0.25, 7, "here"))
    assert sorted(np.concatenate([part.held_out for part in found])) == list(range(120))
    for part in found:
        places = {"train": part.train, "dev": part.dev, "held out": part.held_out}
        assert sum(map(len, places.values())) == 120
        for unit in units:
            assert sum(set(unit) <= {*place.tolist()} for place in places.values()) == 1
        for place, size in zip(places.values(), (72, 24, 24), strict=True):
            assert abs(len(place) - size) <= 3
            assert abs(many.truth[place].mean() - 0.5) <= 0.13
    assert (fold == crossvalidating.assigned(many, 5, 7, "here")).all()
    assert (fold != crossvalidating.assigned(many, 5, 8, "here")).any()


def test_too_few_rows_of_a_label_are_refused() -> None:
    """And too few groups: each fold has every label, so the message says how many there can be."""
    rare = rows([0] * 30 + [1] * 3)
    with pytest.raises(LmspecError, match=r"5 folds have the label 'b' \(3\)\n.*`folds` to 3"):
        crossvalidating.assigned(rare, 5, 1, "here")
    with pytest.raises(LmspecError, match=r"too few groups .* label 'b'\n .*leave the label out"):
        crossvalidating.assigned(rows([0] * 30), 5, 1, "here")
    grouped = rows([0, 1] * 6, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    with pytest.raises(LmspecError, match=r"too few groups .* 'a' \(3\), 'b' \(3\)"):
        crossvalidating.assigned(grouped, 5, 1, "here")
    alone = rows([0] * 10 + [1] * 2)
    fold = crossvalidating.assigned(alone, 2, 1, "here")
    with pytest.raises(LmspecError, match=r"fold 1 learns from no text with the label 'b'"):
        list(crossvalidating.each(alone, np.where(alone.truth == 1, 0, fold), 0.3, 1, "here"))


def test_their_scores_are_those_of_test_rows(tmp_path: Path) -> None:
    """The same columns and metrics; every row of the three splits once, by its id."""
    given = needs(tmp_path)
    report, scored = run(given)
    assert report.metrics == {"rows": 160, "smallest_fold": 32, "fewest_training_rows": 103}
    table = scored.tables["predictions"]
    assert len(table) == len({row["id"] for row in table}) == 160
    columns = ["dataset", "id", "table", "group", "label", "predicted", "confidence"]
    assert [*table[0]] == [*columns, "label_probability"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*table[0]])
    writer.writeheader()
    writer.writerows(table)
    text = {name: [str(row[name] or "") for row in table] for name in table[0]}
    side = (predictions.read(text) or {})["old"]
    found = scored.metrics["old"]
    assert found["accuracy"] == side.right.mean() and found["overlap"] == 0
    by_fold = report.tables["folds"]
    assert sum(row["rows"] * row["accuracy"] for row in by_fold) / 160 == pytest.approx(
        found["accuracy"]
    )
    assert found["accuracy"] > 0.9  # the sentences are easy
    declared = {metric.path for metric in ScoresSpec.metrics}
    assert {f"{{dataset}}.{name}" for name in found} - declared == {
        "{dataset}.f1",
        "{dataset}.majority",
    }


def test_networks_and_the_dev_split(tmp_path: Path) -> None:
    """With `dev: null` a network stops early on the dev split, none of which is answered.

    Twice the same bits.
    """
    given = needs(tmp_path, CNN)
    report, _ = run(given, folds=3, dev=None)
    first = outoffold.read(given["folds.x"])
    assert report.metrics["rows"] == 130 == len(first.ids)
    assert not any(name.startswith("dev") for name in first.ids)
    assert {row["dev_rows"] for row in report.tables["folds"]} == {30}
    run(given, folds=3, dev=None)
    again = outoffold.read(given["folds.x"])
    assert (first.probabilities == again.probabilities).all()
    assert first.coverage.keys() == {"cut_texts", "unread_tokens", "unknown_tokens"}


def kept_in(given: stage.Needs, folder: Path) -> stage.Needs:
    """The same with a place that outlives a kill."""
    return dataclasses.replace(given, resume=Resume(folder, lambda: True))


def made(given: stage.Needs) -> dict[str, bytes]:
    """All bytes that the folds have written."""
    return {path.name: path.read_bytes() for path in sorted(given["folds.x"].iterdir())}


def killed(folder: Path, kind: str, fold: int) -> None:
    """In a process of its own: SIGKILL as the model of a fold has been trained."""
    trained = folds.trained

    def killing(*arguments: Any) -> Any:
        result = trained(*arguments)
        if arguments[2] == fold:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    folds.trained = killing
    given = kept_in(needs(folder, {"linear": LINEAR, "cnn": CNN}[kind]), folder / "kept")
    given["folds.x"].mkdir()
    folds.build(FoldsSpec.model_validate(SPEC | {"folds": 4}), given, given["folds.x"])


@pytest.mark.parametrize(("kind", "section"), [("linear", LINEAR), ("cnn", CNN)])
def test_folds_that_are_killed_go_on_to_the_same_bytes(
    kind: str, section: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the models are trained whose answers are not kept, or damaged."""
    call = f"import tests.test_folds as t; t.killed(t.Path({str(tmp_path)!r}), {kind!r}, 3)"
    done = subprocess.run([sys.executable, "-c", call], cwd=miniature.ROOT, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    shutil.rmtree(tmp_path / "splits")
    given = needs(tmp_path, section)
    undisturbed, _ = run(given, folds=4)
    bits, again = made(given), kept_in(given, tmp_path / "kept")
    trained, numbers = folds.trained, []

    def counted(*arguments: Any) -> Any:
        numbers.append(arguments[2])
        return trained(*arguments)

    monkeypatch.setattr(folds, "trained", counted)
    report, _ = run(again, folds=4)
    assert numbers == [3, 4]
    assert report == undisturbed and made(again) == bits
    answers = tmp_path / "kept/fold-2" / foldanswers.NAME
    answers.write_bytes(answers.read_bytes().replace(b"0.", b"1.", 1))
    numbers.clear()
    report, _ = run(again, folds=4)
    assert numbers == [2] and report == undisturbed and made(again) == bits


def test_answers_are_kept_only_of_inputs_that_have_not_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their place is named after the inputs."""
    given = needs(tmp_path)
    place = Resume(tmp_path / "kept", lambda: False)
    run(dataclasses.replace(given, resume=place))
    assert "is not kept: an input has changed" in capsys.readouterr().err
    assert not place.folder.exists()


def test_near_duplicates_share_a_fold(tmp_path: Path) -> None:
    """Also those of different splits, which no earlier stage has seen together."""
    given = needs(tmp_path)
    splits = given["splits.old"]
    test = documents.read_split(splits, "test")
    twin = documents.read_split(splits, "train")["text"][0] + "!"
    text = pl.Series([twin, *test["text"][1:]])
    documents.write(test.with_columns(text=text), splits / "test.parquet")

    def together(**changes: Any) -> list[bool]:
        found = []
        for seed in range(4):
            run(given, seed=seed, **changes)
            answers = outoffold.read(given["folds.x"])
            place = dict(zip(answers.ids, answers.fold.tolist(), strict=True))
            found.append(place["train0"] == place["test0"])
        return found

    assert all(together(keep_together=CLUSTERS | {"threshold": 0.9}))
    assert not all(together())


def test_scores_of_other_rows_are_refused(tmp_path: Path) -> None:
    """The folds know their rows by id."""
    given = needs(tmp_path)
    run(given)
    train = documents.read_split(given["splits.old"], "train")
    documents.write(train[1:], given["splits.old"] / "train.parquet")
    spec = ScoresSpec.model_validate(SCORES | {"accepted_overlap": []})
    with pytest.raises(LmspecError, match="1 of its rows are not in"):
        scores.build(spec, given, given["scores.x"])


def test_a_row_of_folds_counts_for_less(tmp_path: Path) -> None:
    """In the interval of a level, and of a difference, whose p is larger accordingly."""
    given = needs(tmp_path)
    _, scored = run(given)
    table = {
        name: [str(row[name] or "") for row in scored.tables["predictions"]]
        for name in scored.tables["predictions"][0]
    }
    made = {"folds.x": {"of": "model.x"}, "model.x": {}}

    class Committed:
        """A revision with those scores, once of the folds and once of a model."""

        name = "HEAD"
        artifacts = made | {
            "scores.folded": SCORES,
            "scores.plain": SCORES | {"of": "model.x"},
        }

        def metrics(self, name: str) -> Any:
            return dict(scored.metrics)

        def number(self, name: str, path: tuple[str, ...]) -> float | None:
            return float(scored.metrics[path[0]][path[1]])

        def table(self, name: str, report: str) -> Any:
            return table

        def table_id(self, name: str, report: str) -> str:
            return name

    folded, plain = (Artifact(Committed(), f"scores.{n}") for n in ("folded", "plain"))  # type: ignore[arg-type]
    wide, narrow = (
        bounds.of_value(scores, ("old", "accuracy"), 0.975) for scores in (folded, plain)
    )
    assert isinstance(wide, bounds.Bounds) and isinstance(narrow, bounds.Bounds)
    assert wide.value == narrow.value
    assert wide.low < narrow.low and wide.high >= narrow.high

    def beside(other: Artifact, scores: Artifact) -> float:
        paired = ArtifactPair(other, scores).sample("old")
        assert isinstance(paired, PairedSample)
        return paired.worth

    assert beside(Majority(folded), folded) == beside(plain, folded) == WORTH_OF_FOLDS
    assert beside(Majority(plain), plain) == 1.0


def test_a_p_value_of_fewer_examples_is_larger() -> None:
    """By the square root of the worth in standard deviations, as the interval is wider by it."""
    assert exact.of_fewer(0.05, 1.0) == 0.05 and exact.of_fewer(1.0, 0.8) == 1.0
    deviate = -exact.NORMAL.inv_cdf(exact.of_fewer(0.05, 0.64) / 2)
    assert deviate == pytest.approx(0.8 * 1.959964)
    draw = np.random.default_rng(1)
    before = bootstrap.Estimate(0.1, draw.normal(0.1, 0.05, 4000), draw.normal(0.1, 0.01, 50))
    after = before.stretched(0.64)
    assert after.error == pytest.approx(before.error / 0.8) and after.p > before.p
    wide, narrow = after.interval(0.95), before.interval(0.95)
    assert wide[1] - wide[0] == pytest.approx((narrow[1] - narrow[0]) / 0.8)
