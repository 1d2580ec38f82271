"""Zero-shot: a model that writes is asked for a label, and no label is read."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, documents
from lmspec.methods import reading
from lmspec.methods.reading import Floats
from lmspec.specs.model import ModelSpec
from lmspec.specs.scores import ScoresSpec
from stages import model, scores
from tests import tinywriter
from tests.test_linear import LABELS, stages

MODEL: TypeAdapter[ModelSpec] = TypeAdapter(ModelSpec)
PROMPTED: dict[str, Any] = {
    "kind": "prompted",
    "weights": "sources.tiny",
    "max_length": 64,
    "long_texts": "truncate",
    "template": "say {text}\nanna:",
    "words": {"bad": [" ben"], "good": [" dora", " emil"]},
    "calibration": {"kind": "none"},
}
TEXTS = ["the film was a delight", "her voice made me angry", "", "so so"]
Build = Callable[..., tuple[checkpoint.Checkpoint, stage.Report]]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinywriter.write_weights(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def needs(weights: Path, tmp_path: Path) -> stage.Needs:
    """The miniature's splits, and a source that writes."""
    whole = stages(tmp_path)
    return dataclasses.replace(whole, folders={**whole.folders, "sources.tiny": weights})


@pytest.fixture
def build(needs: stage.Needs) -> Build:
    """Builds a prompted model, with changes of its architecture, and reads it."""

    def built(**changes: Any) -> tuple[checkpoint.Checkpoint, stage.Report]:
        architecture = PROMPTED | changes
        values = {"on": "splits.old", "architecture": architecture, "training": {"kind": "none"}}
        out = needs["model.x"]
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        report = model.build(MODEL.validate_python(values), needs, out)
        return checkpoint.read(out), report

    return built


def answers(kept: checkpoint.Checkpoint, texts: list[str], batch: int = 4) -> Floats:
    """(n, labels) probabilities, as scores compute them."""

    def forward(ids: Any, mask: Any) -> Any:
        with torch.inference_mode():
            out = kept.model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
        return out.logits.numpy()

    return reading.predicted(forward, kept.reader.read(texts), kept.pad_id, batch)


def likelihood(lm: Any, tokenizer: Any, prompt: list[int], word: str) -> float:
    """By one token after the other, alone, without padding or cache."""
    found, ids = 0.0, list(prompt)
    for token in tokenizer.encode(word).ids:
        with torch.inference_mode():
            logits = lm(input_ids=torch.tensor([ids])).logits[0, -1]
        found += float(logits.double().log_softmax(0)[token])
        ids.append(token)
    return float(np.exp(found))


def test_probabilities_are_those_of_the_words(build: Build, weights: Path) -> None:
    """Of words of one token and of several; in any company."""
    lm, tokenizer = causal.load(weights).eval(), tinywriter.tokenizer()
    words = {"bad": [" ben", " a bad one"], "good": [" dora", " a good one"]}
    kept, report = build(words=words)
    found = answers(kept, TEXTS)
    for text, own in zip(TEXTS, found, strict=True):
        parts = ("say", f" {text}" if text else "", "\nanna:")
        prompt = [number for part in parts for number in tokenizer.encode(part).ids]
        raw = [sum(likelihood(lm, tokenizer, prompt, w) for w in words[label]) for label in LABELS]
        assert own == pytest.approx(np.asarray(raw) / sum(raw), abs=1e-5)
        assert answers(kept, [text], 1)[0] == pytest.approx(own, abs=1e-5)
    assert len(tokenizer.encode(" a bad one").ids) > 1
    used = len(tokenizer.encode("say").ids) + len(tokenizer.encode("\nanna:").ids)
    assert report.metrics["prompt"] == {"tokens": used}


def test_words_that_begin_alike_differ_by_what_follows(build: Build) -> None:
    """The first token alone would give both labels the same."""
    tokenizer = tinywriter.tokenizer()
    words = {"bad": [" xa"], "good": [" xb"]}
    first = [tokenizer.encode(word[0]).ids for word in words.values()]
    assert first[0][0] == first[1][0] and first[0] != first[1]
    found = answers(build(words=words)[0], TEXTS)
    assert (np.abs(found[:, 0] - 0.5) > 1e-3).all()


def test_a_word_that_begins_another_is_refused(build: Build) -> None:
    """It is never less likely than the longer one."""
    with pytest.raises(LmspecError, match="begins with all tokens of ' x'"):
        build(words={"bad": [" x"], "good": [" xb"]})


def test_a_label_without_words_is_refused(build: Build) -> None:
    """And a prompt that leaves no room for the text."""
    with pytest.raises(LmspecError, match="the label 'good' has no word"):
        build(words={"bad": [" ben"]})
    with pytest.raises(LmspecError, match=r"the prompt has \d+ tokens, of the 7 that are read"):
        build(max_length=7)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"template": "is it good?"}, "0 slots {text}"),
        ({"template": "{text} or {text}"}, "2 slots {text}"),
        ({"words": {"bad": [" ben"], "good": [" emil", " ben"]}}, "stands for 'bad', too"),
        ({"words": {"bad": [], "good": [" emil"]}}, "at least 1 item"),
    ],
)
def test_prompts_that_ask_nothing_are_refused(changes: dict[str, Any], found: str) -> None:
    """By the spec, before any build."""
    values = {"on": "splits.old", "architecture": PROMPTED | changes, "training": {"kind": "none"}}
    with pytest.raises(ValidationError, match=found):
        MODEL.validate_python(values)


def test_the_prompt_is_whole_however_long_the_text_is(build: Build) -> None:
    """A text is cut; what is asked comes after it."""
    kept, _ = build(max_length=32)
    tokenizer = tinywriter.tokenizer()
    windows = kept.reader.read(["a " * 200, "a"])
    before, after = tokenizer.encode("say").ids, tokenizer.encode("\nanna:").ids
    one = len(tokenizer.encode(" a").ids)
    assert [len(ids) for ids in windows.ids] == [32, len(before) + one + len(after)]
    for ids in windows.ids:
        assert ids[: len(before)].tolist() == before and ids[-len(after) :].tolist() == after
    assert windows.unread[0] > 0 == windows.unread[1]


def test_what_the_prompt_prefers_is_taken_away(build: Build) -> None:
    """By a text that says nothing: of that, labels are equally probable. By train texts: the mean
    of their probabilities is the offset, and no other order of two texts results."""
    plain = answers(build()[0], TEXTS)
    kept, report = build(calibration={"kind": "contextual", "inputs": ["so so"]})
    found = answers(kept, TEXTS)
    assert found[3] == pytest.approx([0.5, 0.5], abs=1e-6)
    odds = np.log(odds_of(found) / odds_of(plain))
    assert odds == pytest.approx(np.full(4, odds[0]), abs=1e-4) and abs(odds[0]) > 1e-3
    assert report.metrics["prompt"]["prior"]["bad"] == pytest.approx(plain[3, 0], abs=1e-6)
    kept, report = build(calibration={"kind": "prior", "texts": 40})
    prior = report.metrics["prompt"]["prior"]
    odds = np.log(odds_of(answers(kept, TEXTS)) / odds_of(plain))
    expected = np.log(prior["good"] / prior["bad"])
    assert odds == pytest.approx(np.full(4, expected), abs=1e-4)


def odds_of(probabilities: Floats) -> Floats:
    """(n,) of the first of two labels."""
    odds: Floats = probabilities[:, 0] / probabilities[:, 1]
    return odds


def test_no_label_is_read(build: Build, needs: stage.Needs) -> None:
    """Others in their place make the same model, also where it is calibrated by train texts."""
    calibration = {"kind": "prior", "texts": 30}

    def written() -> dict[str, bytes]:
        build(calibration=calibration)
        return {path.name: path.read_bytes() for path in needs["model.x"].iterdir()}

    first = written()
    for split in ("train", "dev"):
        frame = documents.read_split(needs["splits.old"], split)
        label = pl.Series(["bad"] * frame.height)
        documents.write(frame.with_columns(label=label), needs["splits.old"] / f"{split}.parquet")
    assert written() == first
    train = documents.read_split(needs["splits.old"], "train")
    text = pl.Series([f"{text} indeed" for text in train["text"]])
    documents.write(train.with_columns(text=text), needs["splits.old"] / "train.parquet")
    assert written() != first


def test_its_scores_are_those_of_any_model(build: Build, needs: stage.Needs) -> None:
    """The test split, with probabilities of each row; the same ones twice."""
    kept, report = build(calibration={"kind": "prior", "texts": 50})
    needs["scores.x"].mkdir()
    spec = ScoresSpec.model_validate(
        {
            "of": "model.x",
            "on": ["splits.old"],
            "batch_size": 8,
            "calibration_bins": 5,
            "accepted_overlap": [],
        }
    )
    scored = scores.build(spec, needs, needs["scores.x"])
    test = documents.read_split(needs["splits.old"], "test")
    found = answers(kept, test["text"].to_list(), 8)
    table = scored.tables["predictions"]
    assert [row["confidence"] for row in table] == pytest.approx(found.max(1), abs=2e-6)
    assert [row["predicted"] for row in table] == [kept.labels[i] for i in found.argmax(1)]
    assert scored == scores.build(spec, needs, needs["scores.x"])
    assert {"parameters", "prompt"} == report.metrics.keys()
