"""The nearest training prompt gives its answer: a baseline that a model has to beat."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from lmspec import stage
from lmspec.architectures import nearest
from lmspec.formats import kinds
from lmspec.formats import nearest as pairs_format
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Machine
from lmspec.writing.prompting import prompt_of
from stages import model as model_stage
from tests.test_training import NUMERICS
from tests.tinywriter import NAMES, pairs, write_split

PROMPTS = ["git-log: Show the last commits", "tar: Unpack an archive", "git-tag: List all tags"]
ANSWERS = ["git log -n 5", "tar -xf data.tar", "git tag"]


def test_the_answer_is_that_of_the_largest_cosine() -> None:
    """As scikit-learn computes it from the same words."""
    prompts = [turns[0][1] for turns in pairs()]
    model = nearest.fit(prompts, [f"{i}" for i in range(200)], (1, 2), False)
    asked = [f"say {name} and write {other}" for name, other in zip(NAMES, NAMES[3:], strict=False)]
    vectors = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True, ngram_range=(1, 2))
    cosine = (vectors.fit_transform(prompts) @ vectors.transform(asked).T).toarray()
    for place, answer in enumerate(model.answered(asked)):
        best = np.flatnonzero(cosine[:, place] > cosine[:, place].max() - 1e-6)
        assert int(answer) in best
    assert model.answered(prompts) == list(model.answers)


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("git-stash: Show the last commits", "git stash -n 5"),
        ("unzip: Unpack an archive", "unzip -xf data.tar"),  # not the end of a file's name
        ("git-branch: List all", "git branch"),
    ],
)
def test_the_first_word_is_swapped(prompt: str, answer: str) -> None:
    """In place of the nearest prompt's, as answers spell it; without the switch it is not."""
    model = nearest.fit(PROMPTS, ANSWERS, (1, 1), True)
    assert model.spaced and model.answered([prompt]) == [answer]
    assert nearest.fit(PROMPTS, ANSWERS, (1, 1), False).answered([prompt])[0] in ANSWERS


def test_hyphens_stay_where_answers_have_them() -> None:
    """A first word is put in as prompts have it, if answers mostly have it so."""
    prompts = ["apt-get: Install a package", "apt-cache: Search a package"]
    model = nearest.fit(prompts, ["apt-get install x", "apt-cache search x"], (1, 1), True)
    assert model.answered(["aptitude-ng: Install it"]) == ["aptitude-ng install x"]


def test_a_stage_keeps_the_pairs(tmp_path: Path) -> None:
    """Read again, they give the same answers; without a common word, that of the first row."""
    write_split(pairs()[:100], tmp_path / "splits", "train")
    spec = ModelSpec.model_validate(
        {
            "on": "splits.pairs",
            "rows": 60,
            "architecture": {"kind": "nearest", "words": [1, 1], "swap_first_word": False},
            "training": {"kind": "none"},
        }
    )
    needs = stage.Needs({"splits.pairs": tmp_path / "splits"}, NUMERICS, Machine(device="cpu"))
    (tmp_path / "out").mkdir()
    report = model_stage.build(spec, needs, tmp_path / "out")
    assert report.metrics == {"parameters": 0, "train": {"rows": 60}}
    assert kinds.kind_of(tmp_path / "out") == "nearest"
    model = pairs_format.read(tmp_path / "out").model
    assert len(model.prompts) == 60
    assert model.answered(model.prompts) == list(model.answers)
    assert model.answered(["???"]) == [model.answers[0]]
    known = {prompt_of(turns): turns[-1][1] for turns in pairs()}
    assert all(known[p] == a for p, a in zip(model.prompts, model.answers, strict=True))
