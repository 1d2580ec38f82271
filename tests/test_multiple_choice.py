"""Multiple choice by likelihood: which rows have choices, which one a model picks, and how two
models are compared by it."""

import itertools
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from jsonschema import Draft202012Validator
from scipy import stats

from lmspec import stage
from lmspec.compare import answers as committed
from lmspec.compare import expected, revision
from lmspec.compare.artifact import leaves
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.git.tree import WORKTREE
from lmspec.language import metric_names
from lmspec.methods import conversing, screening
from lmspec.reports import values
from lmspec.specs.corpus import CorpusSpec
from lmspec.specs.generation import Choosing
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.scores import ScoresSpec
from lmspec.statistics import predictions
from lmspec.statistics.answers import Choices, TextScale
from lmspec.statistics.paired import PairedSample, SplitMetric
from lmspec.writing import answers, choosing, measuring
from lmspec.writing.choosing import Chosen
from lmspec.writing.prompting import Writer
from stages import choosing_scores, corpus
from tests import tinywriter
from tests.history import Project, answered

COLUMNS = {"kind": "choices", "prompt": ["ask"], "joined_by": "", "system": None, "right": "right"}
LISTED = COLUMNS | {"choices": ["options"], "right_is": "number_from_0"}
APART = COLUMNS | {"choices": ["a", "b", "c"], "right_is": "letter"}
METRICS = ("accuracy", "accuracy_per_byte", "log_loss")


def spec_of(turns: Mapping[str, Any], form: str = "jsonl") -> CorpusSpec:
    table = {
        "name": "quiz",
        "of": "sources.quiz",
        "file": f"quiz.{form}",
        "format": {"kind": form},
        "missing": ["", "NA"],
        "text": None,
        "turns": dict(turns),
        "label": None,
        "group": None,
    }
    clean = {"fix_unicode": False, "unescape_html": False, "min_chars": 1, "max_chars": 900}
    fields = {"tables": [table], "labels": [], "clean": clean, "contradictions": "keep_all"}
    return CorpusSpec.model_validate(fields | {"near_duplicates": None, "without": []})


def row_of(turns: Mapping[str, Any], **cells: str | None) -> Any:
    spec = spec_of(turns)
    return screening.screened({"ask": "2 + 2?"} | cells, 1, spec.tables[0], spec)


@pytest.mark.parametrize(
    ("turns", "cells", "answer"),
    [
        (LISTED, {"options": '["3", "4 ", "5"]', "right": "1"}, "4"),
        (LISTED | {"right_is": "number_from_1"}, {"options": '["3", "4"]', "right": "2.0"}, "4"),
        (LISTED | {"right_is": "text"}, {"options": '["3", "4"]', "right": " 4"}, "4"),
        (APART, {"a": "3", "b": "4", "c": "5", "right": "b"}, "4"),
        (APART, {"a": None, "b": "3", "c": "4", "right": "C"}, "4"),  # places are those of columns
    ],
)
def test_a_row_says_which_choice_is_right(
    turns: Mapping[str, Any], cells: dict[str, str | None], answer: str
) -> None:
    """By its text, letter or number; it is the answer that a model would learn."""
    row = row_of(turns, **cells)
    assert row.turns == (("user", "2 + 2?"), ("assistant", answer))
    assert answer in row.choices and len(row.choices) == len(set(row.choices)) >= 2


@pytest.mark.parametrize(
    ("turns", "cells", "reason"),
    [
        (LISTED, {"options": '["4"]', "right": "0"}, conversing.NO_CHOICES),
        (LISTED, {"options": '"4"', "right": "0"}, conversing.NO_ANSWER),
        (LISTED, {"options": '["3", "4"]', "right": "2"}, conversing.NO_ANSWER),
        (LISTED, {"options": '["3", "4"]', "right": "B"}, conversing.NO_ANSWER),
        (LISTED, {"options": '["3", "4"]', "right": None}, conversing.NO_ANSWER),
        (LISTED, {"options": '["4", " 4"]', "right": "0"}, conversing.EQUAL_CHOICES),
        (LISTED, {"ask": None, "options": '["3", "4"]', "right": "0"}, conversing.NO_PROMPT),
        (APART, {"a": None, "b": "3", "c": "4", "right": "A"}, conversing.NO_ANSWER),
        (APART, {"a": "1", "b": "3", "c": "4", "right": "AB"}, conversing.NO_ANSWER),
    ],
)
def test_a_row_without_a_choice_is_left_out(
    turns: Mapping[str, Any], cells: dict[str, str | None], reason: str
) -> None:
    """With its reason. The control is the test above."""
    found = row_of(turns, **cells)
    assert isinstance(found, screening.Rejected) and found.reason == reason


def test_an_id_is_of_the_choices_in_any_order() -> None:
    """Other wrong ones make another question; as in a row of a pair, the right one counts."""
    one, turned, other = (
        row_of(LISTED, options=json.dumps(options), right=str(options.index("4")))
        for options in (["3", "4", "5"], ["5", "4", "3"], ["3", "4", "6"])
    )
    assert one.id == turned.id != other.id
    assert one.common == other.common and one.answer == other.answer
    assert one.id != conversing.row_id(one.turns)


def test_choices_reach_the_test_split(tmp_path: Path) -> None:
    """From a file of JSON lines; a row that repeats another one is dropped."""
    rows = [{"ask": f"{i} + 2?", "options": [str(i), str(i + 2)], "right": 1} for i in range(9)]
    lines = "".join(json.dumps(row) + "\n" for row in [*rows, rows[0]])
    (tmp_path / "quiz.jsonl").write_text(lines)
    (tmp_path / "out").mkdir()
    needs = stage.Needs({"sources.quiz": tmp_path}, None, Machine(device="cpu"))
    report = corpus.build(spec_of(LISTED), needs, tmp_path / "out")
    assert report.metrics["documents"] == 9 and report.metrics["rejected"] == {"exact duplicate": 1}
    frame = documents.read(tmp_path / "out/documents.parquet")
    assert {*frame.columns} == {*documents.MULTIPLE_CHOICE}
    assert all(turns[-1]["content"] in listed for turns, listed in frame["turns", "choices"].rows())


def some(count: int = 60, seed: int = 0, skill: float = 1.5) -> list[Chosen]:
    """Rows of two tables, of which a model picks more right ones than by chance."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        texts = [f"{'x' * (1 + (i * j) % 7)}{i}-{j}" for j in range(2 + i % 3)]
        right = i % len(texts)
        values = rng.normal(-9, 2, len(texts))
        values[right] += skill
        found.append(Chosen(f"q{i}", ("a", "b")[i % 2], None, texts, right, values.tolist()))
    return found


def table_of(rows: Sequence[Chosen]) -> dict[str, list[str]]:
    """As git has it."""
    written = choosing.rows("quiz", rows)
    return {name: [str(row[name]) for row in written] for name in choosing.COLUMNS}


def test_metrics_follow_from_the_table() -> None:
    """And are what lm-evaluation-harness calls acc and acc_bytes, by its formula."""
    rows = some()
    found = choosing.metrics(rows, choosing.rows("quiz", rows))
    values = [np.array(row.log_likelihoods) for row in rows]
    sizes = [np.array([float(len(text.encode())) for text in row.choices]) for row in rows]
    truth = [row.right for row in rows]
    assert found["accuracy"] == np.mean(
        [np.argmax(v) == t for v, t in zip(values, truth, strict=True)]
    )
    per_byte = [np.argmax(v / s) for v, s in zip(values, sizes, strict=True)]
    assert found["accuracy_per_byte"] == np.mean(np.equal(per_byte, truth)) != found["accuracy"]
    loss = [-(v - np.logaddexp.reduce(v))[t] for v, t in zip(values, truth, strict=True)]
    assert found["log_loss"] == pytest.approx(np.mean(loss), abs=1e-6)
    assert found["chance"] == pytest.approx(np.mean([1 / len(v) for v in values]))
    assert found["table"]["b"]["examples"] == 30
    side, scale = read(rows)
    assert isinstance(side, Choices) and {*scale.formulas} == {*METRICS}
    with pytest.raises(ValueError, match="no rows"):
        choosing.metrics([], [])


def test_equal_choices_are_ranked_by_their_text_alone() -> None:
    """A model that finds all alike is right by chance, wherever the right ones are in the file."""
    texts = ["a", "bb", "ccc"]
    for order in itertools.permutations(range(3)):
        turned = [texts[i] for i in order]
        row = Chosen("q", "t", None, turned, 0, [-1.0] * 3)
        assert turned[row.picked] == min(texts, key=measuring.digest)
        assert turned[row.picked_per_byte] == "ccc"  # the same for more bytes


@pytest.mark.parametrize(("column", "cell"), [("nll", "-1"), ("nll", "nan"), ("choices", "1")])
def test_a_damaged_table_is_no_table(column: str, cell: str) -> None:
    """Its numbers would be wrong ones."""
    table = table_of(some(6))
    assert committed.read(table) is not None
    assert committed.read(table | {column: [cell, *table[column][1:]]}) is None


def read(rows: Sequence[Chosen]) -> tuple[Any, TextScale]:
    found = committed.read(table_of(rows))
    assert found is not None
    return found[0]["quiz"], found[1]


@pytest.mark.parametrize("metric", ["accuracy", "accuracy_per_byte"])
def test_an_accuracy_is_tested_exactly(metric: str) -> None:
    """By the rows that one of two models has right: McNemar's test, of its own picks each."""
    (old, scale), (new, _) = read(some(200, 1, 0.5)), read(some(200, 2, 2.0))
    sample = PairedSample(predictions.pair(old, new), scale, same=False)
    part = SplitMetric(metric, None)
    estimate = sample.difference(part)
    p, method = sample.p(part, estimate)
    gained = new.rights(metric).astype(int) - old.rights(metric)
    better, worse = int((gained > 0).sum()), int((gained < 0).sum())
    assert method == "McNemar, exact" and estimate.value == pytest.approx((better - worse) / 200)
    assert p == pytest.approx(stats.binomtest(better, better + worse).pvalue)
    low, high = sample.interval(part, estimate, 0.95) or (0, 0)
    assert low < estimate.value < high and (p < 0.05) == (low > 0)
    assert (old.rights("accuracy") != old.rights("accuracy_per_byte")).any()  # two other questions


def test_a_change_per_byte_alone_is_seen() -> None:
    """The most likely choices stay the same. The control: nothing changes."""
    rows = some(80)
    apart = [i for i, row in enumerate(rows) if row.picked != row.picked_per_byte]
    flat = [
        Chosen(r.id, r.table, r.group, r.choices, r.right, [v - 30 for v in r.log_likelihoods])
        for r in rows
    ]
    assert [r.picked for r in flat] == [r.picked for r in rows] and apart
    (old, scale), (new, _) = read(rows), read(flat)
    sample = PairedSample(predictions.pair(old, new), scale, same=False)
    assert sample.unchanged(SplitMetric("accuracy", None))
    assert not sample.unchanged(SplitMetric("accuracy_per_byte", None))
    assert sample.unchanged(SplitMetric("log_loss", None))
    again = PairedSample(predictions.pair(old, old), scale, same=False)
    assert all(again.unchanged(SplitMetric(name, None)) for name in METRICS)


def test_choices_are_not_compared_with_texts() -> None:
    """Both have a log loss, and another one."""
    texts = answers.rows("quiz", [answers.Answer("q1", "a", None, "x", "x", 1.0, 2)])
    table = {name: ["" if r[name] is None else str(r[name]) for r in texts] for name in texts[0]}
    found = committed.read(table)
    assert found is not None and found[0]["quiz"].kind != read(some(4))[0].kind


class Spelling:
    """A decoder whose logits are known: of the next token, by the one before it."""

    vocabulary, positions = 400, 64

    def logits(self, rows: Sequence[Any]) -> Iterator[Any]:
        """(t, V) of each row."""
        for ids in rows:
            tokens = np.asarray(ids)[:, None] + np.arange(self.vocabulary)[None]
            yield np.sin(tokens * 0.37).astype(np.float32) * 3


def test_a_likelihood_is_that_of_the_tokens_of_a_choice() -> None:
    """With its end or without, whatever the prompt is cut to; one that cannot be read is last."""
    words = tinywriter.tokenizer()
    writer = Writer(words, tinywriter.PAIR, 24, "cut_prompt")
    unlimited = Writer(words, tinywriter.PAIR, 10**6, "leave_out")
    turns = [("user", "say " + "anna " * 9), ("assistant", "anna")]
    row = choosing_scores.Row("q", "t", None, turns, ["anna", "ben ben", "clara " * 60])
    examples = list(choosing_scores.encoded(row, writer, unlimited))
    for with_end in (True, False):
        found = choosing_scores.log_likelihoods(examples, Spelling(), with_end)  # type: ignore[arg-type]
        for (prompt, choice), value in list(zip(examples, found, strict=True))[:2]:
            assert choice[-1] == writer.end_id and len(prompt) == 18
            ids = np.concatenate([prompt, choice])
            total = 0.0
            for place in range(len(prompt), len(ids) - (not with_end)):
                row_of = np.sin((ids[place - 1] + np.arange(400)) * 0.37).astype(np.float32) * 3
                total += row_of[ids[place]] - np.logaddexp.reduce(row_of.astype(np.float64))
            assert value == pytest.approx(total, abs=1e-5)
        assert found[2] == -answers.WORST_TOKEN * (len(examples[2][1]) - (not with_end))
        assert math.isfinite(min(found)) and min(found) == found[2]


def test_the_stage_writes_what_git_and_people_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics, hashes in git, texts and likelihoods in the output; rows without choices are
    refused."""
    words = tinywriter.tokenizer()
    writer = Writer(words, tinywriter.PAIR, 48, "leave_out")
    model = type("Model", (), {"tokenizer": words, "writer": writer})
    monkeypatch.setattr(choosing_scores, "of_model", lambda *_: (model, Spelling()))
    talks = tinywriter.pairs(30)
    frame = pl.DataFrame(
        {
            "id": [f"q{i}" for i in range(30)],
            "text": ["-"] * 30,
            "label": [None] * 30,
            "group": [None] * 30,
            "table": ["quiz"] * 30,
            "turns": [[{"role": r, "content": c} for r, c in talk] for talk in talks],
            "choices": [[f"not {talk[-1][1]}", talk[-1][1], "neither"] for talk in talks],
        },
        schema=documents.MULTIPLE_CHOICE,
    )
    documents.write(frame, tmp_path / "test.parquet")
    (tmp_path / "counts.json").write_text("{}")
    numerics = {"seed": 1, "threads": 1, "precision": "fp32", "instructions": "avx2"}
    folders = {"splits.quiz": tmp_path, "model.a": tmp_path}
    needs = stage.Needs(folders, Numerics.model_validate(numerics), Machine(device="cpu"))
    fields = {"of": "model.a", "on": ["splits.quiz"], "batch_size": 4, "accepted_overlap": []}
    rule = Choosing(with_end=True, rows=20)
    spec = ScoresSpec.model_validate(fields | {"choices": rule.model_dump()})
    (tmp_path / "out").mkdir()
    report = choosing_scores.build(spec, rule, needs, [], tmp_path / "out")
    assert report.metrics["quiz"]["examples"] == len(report.tables["choices"]) == 20
    assert report.metrics["quiz"]["chance"] == pytest.approx(1 / 3)
    assert [table.name for table in spec.written()] == ["choices"]
    texts = pl.read_parquet(tmp_path / "out" / answers.FILE)
    for row, written in zip(report.tables["choices"], texts.rows(named=True), strict=True):
        assert measuring.digest(written["reference"]) == row["label"]
        assert measuring.digest(written["text"]) == row["predicted"]
    values = pl.read_parquet(tmp_path / "out" / choosing.FILE)
    assert len(values) == 60 and values["right"].sum() == 20
    best = values.group_by("id").agg(pl.col("choice").sort_by("log_likelihood").last())
    assert dict(best.iter_rows()) == dict(texts["id", "text"].iter_rows())
    documents.write(frame.drop("choices"), tmp_path / "test.parquet")
    with pytest.raises(LmspecError, match="have no choices"):
        choosing_scores.build(spec, rule, needs, [], tmp_path / "out")


PAIRS = (
    "turns: {kind: pair, prompt: [request], joined_by: ' ', answer: command, system: null, "
    "replace: []}"
)
QUIZ = (
    "turns: {kind: choices, prompt: [request], joined_by: ' ', choices: [options], right: command, "
    "right_is: text, system: null}"
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Scores of choices, and a gate on each kind of question; then a better model."""
    made = answered(tmp_path_factory.mktemp("quiz"))
    text = (
        made.text("params.yaml")
        .replace(PAIRS, QUIZ)
        .replace("format: {kind: csv, quoting: double, columns: null}", "format: {kind: jsonl}")
    )
    start, end = text.split("generation: {decode", 1)
    made.write(
        "params.yaml",
        f"{start}choices: {{with_end: true, rows: null}}{end[end.index('}, acc') + 1 :]}",
    )
    made.write("stages/choosing_scores.py", "")
    made.code = (*made.code, "stages/choosing_scores.py")
    of = "metric: scores.shell.pages"
    sure = "against: baseline, confidence: 0.95"
    made.gate("better", f"{{kind: improvement, {of}.accuracy_per_byte, by: 0.0, {sure}}}")
    made.gate("flips", f"{{kind: negative_flip_rate, {of}, at_most: 0.2, {sure}}}")
    for rows in (some(200, 1, 0.0), some(200, 1, 2.5)):
        written = choosing.rows("pages", rows)
        made.measure("scores.shell", {"pages": choosing.metrics(rows, written) | {"overlap": 0}})
        made.table("scores.shell", "choices", written)
        made.lock()
        made.commit()
    return made


def test_the_metrics_that_are_written_are_those_declared(project: Project) -> None:
    """A gate on any other could never be evaluated."""
    end = revision.read(WORKTREE, project.root)
    written = {path for path, _ in leaves(end.metrics("scores.shell"))}
    names = metric_names.paths(expected._specs(end), ArtifactName.parse("scores.shell"))
    by_table = {path for path in names if path[1] == "table"}
    assert {*names} - by_table == {path for path in written if path[1] != "table"}
    assert {path[3] for path in by_table} == {
        "accuracy",
        "accuracy_per_byte",
        "log_loss",
        "examples",
    }


def test_choices_are_compared_as_labels_are(project: Project) -> None:
    """Exact tests, flips, gates, history; a model that guesses is named. Control: the same."""
    report = project.report("HEAD~1", "HEAD")
    assert list(Draft202012Validator(json.loads(values.schema_text())).iter_errors(report)) == []
    found = {
        m["name"].rpartition("pages.")[2]: m for m in report["metrics"] if "pages." in m["name"]
    }
    for name in METRICS:
        assert found[name]["verdict"] == "better" and found[name]["family"] == "test sets"
    assert found["accuracy_per_byte"]["method"] == "McNemar, exact"
    assert found["log_loss"]["method"] == "paired bootstrap"
    assert {gate["gate"]: gate["verdict"] for gate in report["gates"]} == {
        "better": "pass",
        "flips": "pass",
    }
    (flips,) = report["flips"]
    assert flips["positive_flips"] > flips["negative_flips"] >= 0
    assert [
        m["verdict"]
        for m in project.report("HEAD", "HEAD")["metrics"]
        if "shell.pages" in m["name"] and m["better"]
    ] == ["same"] * 10
    (standing,) = (
        s for s in project.report("HEAD", "HEAD~1")["standings"] if "shell" in s["artifact"]
    )
    assert "scores.shell on pages may choose no better than chance" in standing["warnings"][0]
    assert not [s for s in report["standings"] if "shell" in s["artifact"] and s["warnings"]]
    shown = project.run("log", "scores.shell.pages.accuracy_per_byte").stdout
    assert "better" in shown.splitlines()[2]


def test_show_has_choices(project: Project) -> None:
    """In a table of their own, and in detail."""
    shown = project.run("show").stdout
    assert "multiple choice: 1" in shown and "generated answers: 1" in shown
    (score,) = json.loads(project.run("show", "--json").stdout)["choices"]
    low, high = score["metrics"]["accuracy_per_byte"]["interval"]
    assert low < score["metrics"]["accuracy_per_byte"]["value"] < high
    detail = project.run("show", "scores.shell").stdout
    assert "accuracy by table" in detail and "chance" in detail
