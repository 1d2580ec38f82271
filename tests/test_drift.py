"""Drift of explanations: two commits that look at other words, from the tables in git."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lmspec.compare import explanations, metrics, revision, verdicts
from lmspec.compare.evidence import Evidence
from lmspec.compare.report import Drift, Metric
from lmspec.formats import attributions, documents
from lmspec.git.tree import WORKTREE
from lmspec.methods.concordance import cut
from lmspec.methods.wordspans import spans
from tests.history import GATES, SPEC, Project, begin

EXPLAINED = (
    "explained:\n  cnn: {of: model.cnn, on: splits.reviews, rows: {split: test, texts: 100}, "
    "method: {kind: occlusion}, masking: remove, fractions: [0.1], batch_size: 8, "
    "control: {seed: 1, texts: 9}, beside: []}\n"
)
TEXTS = [
    f"{subject} was {word} and {other} today"
    for subject in ("film", "plot", "phone", "menu", "guide")
    for word in ("good", "fun", "dull", "sad")
    for other in ("long", "short")
]
DRAW = np.random.default_rng(4)
BEFORE = DRAW.normal(0, 0.2, (len(TEXTS), 6)).round(4)


def line(place: int, weights: Sequence[float], **changes: Any) -> dict[str, Any]:
    """What the stage keeps of a text."""
    return {
        "id": f"e{place:03}",
        "table": "movies",
        "group": "",
        "label": "good",
        "predicted": "good",
        "probability": 0.9,
        "comprehensiveness": round(0.5 + 0.01 * (place % 7), 4),
        "sufficiency": 0.05,
        "random_comprehensiveness": 0.1,
        "random_sufficiency": 0.3,
        "area": 0.4,
        "cut": cut(tuple(spans(TEXTS[place]))),
        "flipped": "1",
        "attributions": " ".join(f"{weight:.4g}" for weight in weights),
    } | changes


def explained(project: Project, rows: Sequence[dict[str, Any]], words: dict[str, float]) -> None:
    """Write what a stage would leave."""
    project.table("explained.cnn", "texts", rows)
    weights = [
        {"label": "good", "word": word, "texts": 8, "weight": weight}
        for word, weight in words.items()
    ]
    project.table("explained.cnn", "words", weights)
    mean = float(np.mean([row["comprehensiveness"] for row in rows]))
    ends = {"mean": round(mean, 6), "low": round(mean - 0.01, 6), "high": round(mean + 0.01, 6)}
    project.measure("explained.cnn", {"texts": len(rows), "comprehensiveness": ends})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Committed explanations of 40 texts."""
    made = Project(tmp_path_factory.mktemp("drift") / "project")
    begin(made, SPEC.replace("gates:\n", f"{EXPLAINED}gates:\n"))
    assert GATES in made.text("params.yaml")
    frame = pl.DataFrame(
        {
            "id": [f"e{i:03}" for i in range(len(TEXTS))],
            "text": TEXTS,
            "label": "good",
            "group": None,
            "table": "movies",
        },
        schema=documents.DOCUMENT,
    )
    folder = made.root / "data/splits/reviews"
    folder.mkdir(parents=True)
    documents.write(frame, folder / "test.parquet")
    made.write(".gitignore", "data/splits/\ndata/explained/\n")
    rows = [line(i, weights) for i, weights in enumerate(BEFORE)]
    explained(made, rows, {"good": 0.3, "dull": -0.2, "film": 0.0})
    made.commit("explained")
    return made


@pytest.fixture
def restored(project: Project) -> Iterator[Project]:
    yield project
    project.git("checkout", "-q", "HEAD", "--", "data/metrics")


def compared(project: Project) -> Evidence:
    ends = [revision.read(name, project.root) for name in ("HEAD", WORKTREE)]
    return Evidence(*ends)


def drift(project: Project) -> Drift:
    (found,) = explanations.drifts(compared(project).in_both, project.root)
    return found


def judged(project: Project) -> dict[str, Metric]:
    pair = compared(project).pair("explained.cnn")
    return {metric.name: metric for metric in verdicts.judged(list(metrics.rows(pair)))}


def test_the_same_explanations_have_not_drifted(restored: Project) -> None:
    """Not even if the order of the rows, or a line's end, is another."""
    evidence = compared(restored)
    assert list(explanations.drifts(evidence.in_both, restored.root)) == []
    rows = [line(i, weights) for i, weights in enumerate(BEFORE)]
    explained(restored, rows[::-1], {"good": 0.3})
    found = drift(restored)
    assert (found.texts, found.correlation, found.left_out) == (40, pytest.approx(1.0), 0)
    name = "explained.cnn.comprehensiveness.mean"
    assert judged(restored)[name].verdict == "same"


def test_what_moved_most_is_named(restored: Project) -> None:
    """The text whose words are ranked in the other order, with the words of most weight in both;
    words that gained and lost."""
    after = BEFORE.copy()
    after[7] = -after[7]
    rows = [line(i, weights) for i, weights in enumerate(after)]
    explained(restored, rows, {"good": 0.1, "dull": -0.2, "film": 0.25, "new": 0.9})
    found = drift(restored)
    assert found.artifact == "explained.cnn" and found.texts == 40
    assert found.interval[0] <= found.correlation <= found.interval[1]
    assert found.correlation == pytest.approx(38 / 40, abs=1e-9)
    moved = found.moved[0]
    words = TEXTS[7].split()
    assert (moved.id, moved.text, moved.correlation) == ("e007", TEXTS[7], pytest.approx(-1.0))
    assert moved.baseline_words[0] == words[int(BEFORE[7].argmax())]
    assert moved.candidate_words[0] == words[int(BEFORE[7].argmin())]
    assert [(one.word, one.candidate) for one in found.words] == [("film", 0.25), ("good", 0.1)]


def test_other_labels_and_words_are_handled(restored: Project) -> None:
    """Of two labels a turned explanation is the same; one of other words is counted as left out."""
    turned = line(0, -BEFORE[0], predicted="bad")
    other = line(1, BEFORE[1], cut="00000000")
    rest = [line(i, BEFORE[i]) for i in range(2, 40)]
    explained(restored, [turned, other, *rest], {"good": 0.3})
    found = drift(restored)
    assert (found.texts, found.left_out) == (39, 1)
    assert found.correlation == pytest.approx(1.0)


def test_weights_of_other_answers_are_left_out(
    restored: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a model that writes, whose answer is known by its hash alone; a label is shown."""
    monkeypatch.setattr(explanations, "_labels", lambda end: 0)
    rows = [line(i, weights, answer=f"{i:08x}") for i, weights in enumerate(BEFORE)]
    explained(restored, rows, {"good": 0.3})
    restored.git("add", "-A")
    restored.git("commit", "-qm", "answers")
    after = BEFORE.copy()
    after[7] = -after[7]
    rows = [line(i, weights, answer=f"{i:08x}") for i, weights in enumerate(after)]
    rows[8]["answer"] = "ffffffff"
    explained(restored, rows, {"good": 0.3})
    found = drift(restored)
    restored.git("reset", "-q", "--hard", "HEAD~1")
    assert (found.texts, found.left_out) == (39, 1)
    assert (found.moved[0].id, found.moved[0].candidate) == ("e007", "good")


def test_a_mean_over_texts_is_tested_on_pairs(restored: Project) -> None:
    """A loss in every text is worse, with an interval; the ends of intervals have no direction."""
    changes = np.random.default_rng(1).normal(-0.05, 0.01, 40).round(4)
    rows = [line(i, weights) for i, weights in enumerate(BEFORE)]
    for row, change in zip(rows, changes, strict=True):
        row["comprehensiveness"] = round(row["comprehensiveness"] + float(change), 4)
    explained(restored, rows, {"good": 0.3})
    found = judged(restored)
    metric = found["explained.cnn.comprehensiveness.mean"]
    assert metric.verdict == "worse" and metric.examples == 40
    assert metric.interval and metric.interval[0] < metric.difference < metric.interval[1] < 0
    assert metric.difference == pytest.approx(changes.mean())
    assert found["explained.cnn.comprehensiveness.low"].verdict == "changed"


def test_a_damaged_table_is_no_explanation(restored: Project) -> None:
    """Nothing is compared with it, and the metric has no verdict by it."""
    rows = [line(i, weights) for i, weights in enumerate(BEFORE)]
    rows[3]["attributions"] = "0.1 x"
    rows[4]["comprehensiveness"] = 0.1
    explained(restored, rows, {"good": 0.3})
    assert list(explanations.drifts(compared(restored).in_both, restored.root)) == []
    found = judged(restored)["explained.cnn.comprehensiveness.mean"]
    assert found.verdict == "untested"


def test_the_page_is_written_beside_another_revision(restored: Project, tmp_path: Path) -> None:
    """`lmspec show explained.cnn --html FILE --against HEAD`, and what it refuses."""
    lost = restored.run("show", "explained.cnn", "--html", str(tmp_path / "a.html"))
    assert lost.exit_code == 1 and "run `dvc repro explained-cnn`" in lost.output
    rows = []
    for place, weights in enumerate(-BEFORE):
        found = spans(TEXTS[place])
        rows.append(
            {
                "id": f"e{place:03}",
                "table": "movies",
                "group": None,
                "text": TEXTS[place],
                "label": "good",
                "predicted": "bad" if place == 3 else "good",
                "probability": 0.7,
                "cut": cut(tuple(found)),
                "starts": [start for start, _ in found],
                "ends": [end for _, end in found],
                "attributions": weights.tolist(),
                "flipped": [1],
                "comprehensiveness": 0.5,
                "sufficiency": 0.1,
            }
        )
    folder = restored.root / "data/explained/cnn"
    folder.mkdir(parents=True, exist_ok=True)
    attributions.write(rows, ("bad", "good"), folder)
    page = tmp_path / "b.html"
    done = restored.run("show", "explained.cnn", "--html", str(page), "--against", "HEAD")
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    assert "1 of 40 explained answers" in " ".join(text.split())
    assert "rank correlation -1.00" in text and "before" in text
    for arguments, message in (
        (["show", "--html", str(page)], "name explanations"),
        (["show", "model.cnn", "--html", str(page)], "model.cnn explains no text"),
        (["show", "explained.cnn", "--against", "HEAD"], "name its file"),
        (["show", "explained.cnn", "--html", str(page), "--against", "x"], "x"),
    ):
        refused = restored.run(*arguments)
        assert refused.exit_code == 1 and message in refused.output, refused.output


def test_the_page_has_every_answer_that_was_written(restored: Project, tmp_path: Path) -> None:
    """They have no labels, so none is wrong; the words of a prompt that are not read are shown."""
    text = "Peel the two apples now"
    row: dict[str, Any] = {
        **dict.fromkeys(("table", "group", "label", "reference")),
        "text": text,
        "predicted": "answer",
        "probability": 0.7,
        "cut": "",
        "starts": [text.index("apples")],
        "ends": [text.index("apples") + len("apples")],
        "attributions": [0.7],
        "flipped": [],
        "answer": "a1b2c3d4",
        "tokens": ["ok", "<end>"],
        "lost": [[1.0], [0.4]],
        "comprehensiveness": 0.5,
        "sufficiency": 0.1,
    }
    folder = restored.root / "data/explained/cnn"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row | {"id": f"e{place}", "table": "movies"} for place in range(3)]
    attributions.write(rows, ("answer",), folder)
    page = tmp_path / "a.html"
    done = restored.run("show", "explained.cnn", "--html", str(page))
    assert done.exit_code == 0, done.output
    shown = " ".join(page.read_text(encoding="utf-8").split())
    assert "3 explained answers" in shown and shown.count('class="example card"') == 3
    mark = '<mark class="for s3" title="+0.700">apples</mark>'
    unread = '<span class="unread" title="not read">{}</span>'
    two, now = unread.format("Peel the two"), unread.format("now")
    assert f'<bdi dir="auto">{two} {mark} {now}</bdi>' in shown
