"""Generated answers are compared as labels are: paired tests, intervals, flips, gates, and what is
lacking; BLEU, chrF and losses of a corpus follow from the committed counts of its texts."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from lmspec.attribution.design import Design
from lmspec.attribution.effects import Measurement, attribute
from lmspec.compare import answers as committed
from lmspec.compare import bounds, expected, gates, revision
from lmspec.compare import graded as shares
from lmspec.compare.artifact import leaves
from lmspec.git.tree import WORKTREE
from lmspec.history.metric_lookup import is_about, patterns
from lmspec.language import metric_names
from lmspec.reports import values
from lmspec.specs.names import ArtifactName
from lmspec.statistics import predictions
from lmspec.statistics.answers import Answers, TextScale
from lmspec.statistics.lacking import lacking
from lmspec.statistics.paired import PairedSample, Sample, SplitMetric
from lmspec.statistics.predictions import Predictions, Scale
from lmspec.writing import answers, measuring
from lmspec.writing.answers import Answer
from tests.history import REPLIES, Project, answered, looked_up, replies, rewritten

HEADLINES = ("exact_match", "bleu", "chrf")
LOSS = "log_loss"
METRICS = (*HEADLINES, "rouge_l", LOSS, "bits_per_byte")


def read(rows: Sequence[Answer], dataset: str = "pages") -> tuple[Answers, TextScale]:
    """As a comparison reads the committed table of them."""
    written = answers.rows(dataset, rows)
    table = {name: [str(row[name]) for row in written] for name in written[0]}
    empty = {"None": ""}
    found = committed.read({n: [empty.get(cell, cell) for cell in c] for n, c in table.items()})
    assert found is not None
    return found[0][dataset], found[1]


def paired(baseline: Sequence[Answer], candidate: Sequence[Answer]) -> PairedSample:
    (old, scale), (new, _) = read(baseline), read(candidate)
    return PairedSample(predictions.pair(old, new), scale, same=False)


def corpus(rows: Sequence[Answer], metric: str) -> float:
    """The metric of the texts, of which nothing is committed."""
    found: float = answers.metrics(rows, answers.rows("", rows))[metric]
    return found


BETTER = rewritten(REPLIES, [*range(0, 180, 6), 3, 9, 15])  # half of the misses are matches now
SURER = [replace(row, nll=(row.nll or 0) - 0.5 * (i % 2)) for i, row in enumerate(BETTER)]
NOISE = rewritten(rewritten(REPLIES, range(0, 30, 3)), range(1, 31, 3), "ls")


def test_an_exact_match_is_tested_as_an_accuracy() -> None:
    """Pages are groups for it too: the same p and interval as of labels that are as right."""
    texts = paired(REPLIES, NOISE)
    sides = []
    for side in (texts.pairs.baseline, texts.pairs.candidate):
        label = tuple("a" for _ in side.id)
        predicted = tuple("a" if right else "b" for right in side.right)
        sure = np.full(len(label), 0.9)
        sides.append(Predictions(side.id, side.table, side.group, label, predicted, sure, sure))
    labels = PairedSample(predictions.pair(*sides), Scale(("a", "b"), 5), same=False)
    one, other = SplitMetric("exact_match", None), SplitMetric("accuracy", None)
    estimates = texts.difference(one), labels.difference(other)
    assert texts.p(one, estimates[0]) == labels.p(other, estimates[1])
    assert "groups" in texts.p(one, estimates[0])[1]
    assert texts.interval(one, estimates[0], 0.95) == labels.interval(other, estimates[1], 0.95)
    assert estimates[0].value == 0 and estimates[0].error > 0


def test_a_metric_that_is_0_or_1_is_bounded_as_an_exact_match() -> None:
    """Of a model and of two, on all texts and on one table, by page. Controls: twice the metric is
    resampled, and so is one that is 0 or 1 of one model alone."""

    def graded(rows: Sequence[Answer], size: float = 1.0) -> list[Answer]:
        hits = [row.text == row.reference for row in rows]
        return [
            replace(row, own={"hit": float(hit), "size": size * hit})
            for row, hit in zip(rows, hits, strict=True)
        ]

    def shown(found: bounds.Bounds) -> tuple[float, ...]:
        return found.value, found.low, found.high, found.error, found.examples

    right = rewritten(REPLIES, range(200))
    for rows in (REPLIES, right, rewritten(right, [7], "ls")):
        sample = Sample(*read(graded(rows, 2.0)))
        for table in (None, "osx"):
            exactly, own, twice = (
                bounds.of_sample(sample, SplitMetric(name, table), 0.95)
                for name in ("exact_match", "own.hit", "own.size")
            )
            assert shown(own) == shown(exactly) and 0 <= own.low < own.value and own.high <= 1
            assert twice.low != 2 * own.low
    for old, new in ((REPLIES, NOISE), (right, right), (right, rewritten(right, [7], "ls"))):
        both = paired(graded(old), graded(new))
        exactly, own = (
            bounds.of_pairs(both, SplitMetric(name, None), 0.95)
            for name in ("exact_match", "own.hit")
        )
        assert shown(own) == shown(exactly) and own.low < 0 < own.high
    metric = SplitMetric("own.size", None)
    assert shares.of_pairs(paired(graded(right), graded(right)), metric)[1] != metric
    assert shares.of_pairs(paired(graded(right), graded(right, 2.0)), metric)[1] == metric


def test_differences_are_those_of_the_corpora() -> None:
    """On all texts, on one table, and without any one page: what the bootstrap is made of."""
    sample = paired(REPLIES, SURER)
    found = {name: sample.difference(SplitMetric(name, None)) for name in METRICS}
    pages = [page for table in ("linux", "osx") for page in _pages(table)]
    assert len(pages) == 100
    assert {name: each.value for name, each in found.items()} == changes(lambda row: True)
    for place in (0, 57, 99):
        left = changes(lambda row, page=pages[place]: (row.table, row.group) != page)
        assert {name: each.jackknife[place] for name, each in found.items()} == left
    part = {name: sample.difference(SplitMetric(name, "osx")).value for name in METRICS}
    assert part == changes(lambda row: row.table == "osx")


def changes(chosen: Callable[..., bool]) -> dict[str, Any]:
    """Metric -> how much it changes from REPLIES to SURER on some texts, up to rounding."""
    sides = ([row for row in rows if chosen(row)] for rows in (REPLIES, SURER))
    old, new = (answers.metrics(rows, answers.rows("", rows)) for rows in sides)
    return {name: pytest.approx(new[name] - old[name], abs=1e-9) for name in METRICS}


def _pages(table: str) -> list[tuple[str, str]]:
    """In the order in which units are numbered."""
    return sorted({(table, row.group or "") for row in REPLIES if row.table == table})


def test_chance_alone_is_rarely_significant() -> None:
    """chrF of two models that miss as often, not the same texts, 60 times: about 5 % at 5 %; and
    a model that misses half as often is found nearly always."""
    metric, rng = SplitMetric("chrf", None), np.random.default_rng(5)
    falsely = found = 0
    references = replies(60)
    wrong = rewritten(references, range(60), "git status .")
    sides = [read(rows)[0] for rows in (references, wrong)]
    scale = read(references)[1]

    def drawn(rate: float) -> Answers:
        missed = rng.random(60) < rate
        parts = {
            name: part._replace(
                numbers=np.where(missed[:, None], sides[1].parts[name].numbers, part.numbers)
            )
            for name, part in sides[0].parts.items()
        }
        own = [w if m else r for r, w, m in zip(*(s.predicted for s in sides), missed, strict=True)]
        alone = tuple("" for _ in own)
        return replace(sides[0], parts=parts, predicted=tuple(own), group=alone)

    for _ in range(60):
        old, alike, new = drawn(0.5), drawn(0.5), drawn(0.15)
        ends = (PairedSample(predictions.pair(old, n), scale, False) for n in (alike, new))
        chance, gain = (pair.p(metric, pair.difference(metric))[0] for pair in ends)
        falsely, found = falsely + (chance < 0.05), found + (gain < 0.05)
    assert falsely <= 8 and found >= 48


def test_what_is_gone_counts_as_wrong() -> None:
    """A test set that leaves out what a model misses shows no gain, in any metric; one that is
    complete does: the control."""
    right = [row for i, row in enumerate(REPLIES) if i % 3]
    old, new = read(REPLIES)[0], read(right)[0]
    lacks = lacking(old, new)
    assert lacks is not None and lacks.gone == 67
    whole = PairedSample(lacks.pairs, read(REPLIES)[1], same=False)
    common = paired(REPLIES, right)
    for name in (*HEADLINES, "rouge_l"):
        metric = SplitMetric(name, None)
        assert corpus(right, name) > corpus(REPLIES, name)
        assert whole.difference(metric).value <= 0 == common.difference(metric).value
    assert whole.difference(SplitMetric(LOSS, None)).value > 3
    assert "67 of the baseline's 200 test examples are gone" in (lacks.note(None) or "")
    assert lacking(old, read(BETTER)[0]) is None


def test_another_reference_is_another_example() -> None:
    """It is in no pair, and counts as wrong beside the former one, unless it matches that."""
    other = [replace(row, reference="cp a b") if i < 40 else row for i, row in enumerate(REPLIES)]
    pairs = paired(REPLIES, other).pairs
    assert pairs.relabelled == 40 and len(pairs.baseline.id) == 160
    left = PairedSample(pairs, read(other)[1], False).left_out(SplitMetric("bleu", None))
    assert left == "on the common examples; left out: 40 with another reference"
    lacks = lacking(read(REPLIES)[0], read(other)[0])
    assert lacks is not None and "40 with another reference count as wrong" in (
        lacks.note(None) or ""
    )
    counted = lacks.pairs.candidate
    assert isinstance(counted, Answers)
    assert counted.right[:40].sum() == 26 and not counted.parts["bleu"].numbers[:40, :4].any()
    numbers = counted.parts["bleu"].numbers[40:]
    assert (numbers == read(other)[0].parts["bleu"].numbers[40:]).all()


def test_models_with_and_without_a_loss_share_the_rest() -> None:
    """The nearest prompts' answers have no log loss; exact match, BLEU and chrF are compared."""
    _, nearest = read(looked_up(REPLIES))
    assert set(nearest.formulas) == {*HEADLINES, "rouge_l"}
    scale = read(REPLIES)[1].common(nearest)
    assert not scale.computes(LOSS) and scale.computes("chrf")
    assert scale.limits("bleu") == (0.0, 100.0)


def test_effects_on_a_metric_of_answers_add_up() -> None:
    """`lmspec attribute` splits a change of chrF, with the interval of the whole difference."""
    design = Design(("spec", "code"))
    rows = (REPLIES, NOISE, SURER, rewritten(SURER, range(0, 200, 15)))
    metric, measured = SplitMetric("chrf", None), {}
    for mix, texts in zip(design.mixes, rows, strict=True):
        measured[mix] = Measurement(corpus(texts, "chrf"), Sample(*read(texts)))
    found = attribute("m", metric, design, measured)
    sizes = [each.effect.value for each in found.effects if each.effect]
    assert sum(sizes) == pytest.approx(found.total.value) and len(sizes) == 2
    assert found.total.interval and found.total.interval[0] < found.total.value


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return answered(tmp_path_factory.mktemp("answers"))


@pytest.fixture
def project(made: Project, tmp_path: Path) -> Project:
    """A copy that a test may change."""
    root = shutil.copytree(made.root, tmp_path / "project")
    return Project(root, code=made.code)


def change(project: Project, rows: Sequence[Answer]) -> None:
    project.answer("scores.shell", {"pages": rows})
    project.lock()
    project.commit()


def metrics(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Of the whole test split of scores.shell, by name."""
    prefix = "scores.shell.pages."
    return {m["name"].removeprefix(prefix): m for m in report["metrics"] if prefix in m["name"]}


@pytest.mark.parametrize("scores", ["scores.shell", "scores.nearest"])
def test_the_metrics_that_are_written_are_those_declared(made: Project, scores: str) -> None:
    """Of a model with and without probabilities: a gate on any other could never be evaluated."""
    end = revision.read(WORKTREE, made.root)
    written = {path for path, _ in leaves(end.metrics(scores))}
    assert {*expected.wanted(gates.Artifact(end, scores), ("*", "*"))} <= written
    declared = metric_names.paths(expected._specs(end), ArtifactName.parse(scores))
    assert {*declared} == written


def test_diff_says_what_became_better(project: Project) -> None:
    """Exact match, BLEU, chrF and the loss with intervals and tests, corrected together; what says
    them again is corrected with the slices."""
    change(project, SURER)
    found = metrics(project.report("HEAD~1", "HEAD"))
    for name in (*HEADLINES, LOSS):
        assert found[name]["verdict"] == "better" and found[name]["family"] == "test sets"
        low, high = found[name]["interval"]
        assert low < found[name]["difference"] < high and low * high > 0
    assert found["exact_match"]["method"] == "sign flips of groups, exact"
    assert found["chrf"]["method"] == "paired bootstrap of groups"
    assert found["rouge_l"]["family"] == found["bits_per_byte"]["family"] == "slices"
    assert found["table.linux.chrf"]["verdict"] == "better"


def test_diff_of_the_same_answers_says_same(project: Project) -> None:
    """Control: nothing is better. A loss alone may change, and other texts leave it the same."""
    change(project, REPLIES)
    assert {each["verdict"] for each in metrics(project.report("HEAD~1", "HEAD")).values()} == {
        "same"
    }
    change(
        project, [replace(row, nll=(row.nll or 0) - 0.3 * (i % 3)) for i, row in enumerate(REPLIES)]
    )
    found = metrics(project.report("HEAD~1", "HEAD"))
    assert found[LOSS]["verdict"] == "better" and found["chrf"]["verdict"] == "same"
    change(project, NOISE)
    change(project, REPLIES)
    found = metrics(project.report("HEAD~1", "HEAD"))
    assert found["exact_match"]["verdict"] == "inconclusive" and found["exact_match"]["mde"] > 0
    assert found["bleu"]["mde"] > 1  # points of 100, and no reason to say that none can be shown
    assert found[LOSS]["verdict"] == "same"


GATES = (
    ("improvement", "exact_match", "against: baseline, by: 0.05", "pass"),
    ("improvement", "exact_match", "against: baseline, by: 0.3", "fail"),
    ("improvement", "bleu", "against: baseline, by: 1.0", "pass"),
    ("improvement", "bleu", "against: baseline, by: 9.0", "fail"),
    ("improvement", "chrf", "against: scores.nearest, by: 20.0", "pass"),
    ("improvement", "chrf", "against: scores.nearest, by: 60.0", "fail"),
    ("improvement", "log_loss", "against: baseline, by: 0.01", "pass"),
    ("improvement", "log_loss", "against: baseline, by: 0.2", "fail"),
    ("non_inferiority", "log_loss", "against: baseline, margin: 0.001", "pass"),
    ("non_inferiority", "table.*.bleu", "against: baseline, margin: 1.0", "pass"),
    ("non_inferiority", "exact_match", "against: scores.nearest, margin: 0.001", "pass"),
    ("floor", "chrf", "at_least: 95.0", "pass"),
    ("floor", "chrf", "at_least: 99.9", "fail"),
    ("floor", "exact_match", "at_least: 0.835", "undecided"),
    ("ceiling", "log_loss", "at_most: 2.5", "pass"),
    ("ceiling", "log_loss", "at_most: 1.0", "fail"),
    ("gap", "table.*.bleu", "at_most: 20.0", "pass"),
    ("gap", "table.*.exact_match", "at_most: 0.01", "fail"),
    ("negative_flip_rate", "", "against: baseline, at_most: 0.2", "pass"),
    ("negative_flip_rate", "", "against: scores.nearest, at_most: 0.001", "undecided"),
)


def gate(kind: str, metric: str, rest: str) -> str:
    name = ".".join(filter(None, ("scores.shell.pages", metric)))
    return f"{{kind: {kind}, metric: {name}, {rest}, confidence: 0.95}}"


def test_gates_are_decided_by_the_answers(project: Project) -> None:
    """Each kind, by each metric: one that passes, and controls that do not."""
    for i, (*fields, _) in enumerate(GATES):
        project.gate(f"g{i}", gate(*fields))
    assert project.run("validate").exit_code == 0
    change(project, SURER)
    found = project.report("HEAD~1", "HEAD")["gates"]
    verdicts = [(*fields, each["verdict"]) for (*fields, _), each in zip(GATES, found, strict=True)]
    assert verdicts == list(GATES)
    assert "against scores.nearest" in found[4]["observed"]
    assert project.run("gate", "HEAD~1", "HEAD").exit_code == 1


def test_no_majority_label_is_held_against_answers_in_words(project: Project) -> None:
    """Neither by `validate`, nor where a commit has such a gate."""
    project.gate("constant", gate("improvement", "exact_match", "against: majority, by: 0.0"))
    refused = project.run("validate")
    assert refused.exit_code == 1 and "answers in words have no majority label" in refused.output
    change(project, BETTER)
    (found,) = project.report("HEAD~1", "HEAD")["gates"]
    assert found["verdict"] == "not comparable" and not found["passed"]
    assert "answers in words have no majority label" in found["observed"]


def test_a_gain_by_a_smaller_test_set_is_none(project: Project) -> None:
    """The values rise to the best there are, and no verdict and no gate takes that for progress."""
    project.gate("loss", gate("ceiling", "log_loss", "at_most: 2.2"))
    project.gate("more", gate("improvement", "chrf", "against: baseline, by: 0.0"))
    change(project, [row for i, row in enumerate(REPLIES) if i % 3])
    report = project.report("HEAD~1", "HEAD")
    found = metrics(report)
    for name in (*HEADLINES, LOSS):
        assert found[name]["candidate"] != found[name]["baseline"]
        assert found[name]["verdict"] == "inconclusive"
        assert "left out: 67 gone, of 200" in found[name]["reason"]
    assert [gate["verdict"] for gate in report["gates"]] == ["undecided", "fail"]


def test_flips_show_prompt_reference_and_both_texts(project: Project) -> None:
    """Where the texts are here: a match that was lost, with what was written in its place. Those of
    other answers are not shown: the control."""
    worse = rewritten(BETTER, [1], "rm -rf /")
    change(project, BETTER)
    project.keep_texts("scores.shell", {"pages": worse})
    change(project, worse)
    (flips,) = project.report("HEAD~1", "HEAD")["flips"]
    assert (flips["negative_flips"], flips["positive_flips"]) == (1, 0)
    (example,) = flips["worst"]
    reference = REPLIES[1].reference
    assert example["text"] == "what is a00001?"
    assert example["label"] == example["baseline"] == reference
    assert example["candidate"] == "rm -rf /"
    probability = np.exp(-(REPLIES[1].nll or 0) / (REPLIES[1].tokens or 1))
    assert example["candidate_probability"] == pytest.approx(probability)
    change(project, rewritten(BETTER, [1], "git push --force"))
    (example,) = project.report("HEAD~2", "HEAD")["flips"][0]["worst"]
    assert example["text"] is None
    assert example["candidate"] == measuring.digest("git push --force")
    shown = project.run("diff", "HEAD~2", "HEAD~1").stdout
    assert "rm -rf /" in shown and reference in shown and "what is a00001?" in shown


def test_another_scorer_is_noticed(project: Project) -> None:
    """Metrics that do not follow from the committed counts are not compared."""
    project.answer("scores.shell", {"pages": BETTER})
    stated = project.metrics("scores.shell")
    stated["pages"]["chrf"] += 1
    project.measure("scores.shell", stated)
    project.lock()
    project.commit()
    found = metrics(project.report("HEAD~1", "HEAD"))
    assert found["chrf"]["verdict"] == "not comparable"
    assert "another scorer" in found["chrf"]["reason"]
    assert found["bleu"]["verdict"] == "better"


def test_labels_and_texts_are_not_compared(project: Project) -> None:
    """A scores artifact that changed its kind has nothing in common with what it was."""
    ends = [revision.read(name, project.root) for name in (WORKTREE, "HEAD")]
    one, other = (gates.Artifact(end, "scores.shell") for end in ends)
    label = Predictions(("a00001",), ("linux",), ("",), ("x",), ("x",), np.ones(1), np.ones(1))
    vars(one)["sample by argument"] = {"pages": Sample(label, Scale(("x",), 5))}
    pair = gates.ArtifactPair(one, other)
    assert pair.sample("pages").reason == "other answers: labels, and texts"  # type: ignore[union-attr]
    assert pair.lacking("pages") is None and len(pair.levels("pages")) == 1


def test_scores_worse_than_the_nearest_prompts_are_named(project: Project) -> None:
    """And a model that writes the same to every prompt. Better scores are not: the control."""
    report = project.report("HEAD", "HEAD")
    assert report["standings"] == []
    change(project, BETTER)
    (standing,) = project.report("HEAD~1", "HEAD")["standings"]
    assert [d["metric"] for d in standing["distances"]] == ["exact_match", "chrf"]
    assert standing["warnings"] == []
    assert {d["against"] for d in standing["distances"]} == {"scores.nearest"}
    change(project, rewritten(REPLIES, range(200), "git status"))
    (standing,) = project.report("HEAD~1", "HEAD")["standings"]
    same, worse = standing["warnings"]
    assert same == "scores.shell answers the same text to 100 % of the prompts of pages"
    assert worse.startswith("scores.shell on pages is worse than scores.nearest: exact match -0.33")


def test_reports_show_answers_in_every_form(project: Project) -> None:
    """A table of their own beside the nearest prompts, no empty one of labels, and valid JSON."""
    change(project, SURER)
    report = project.report("HEAD~1", "HEAD")
    schema = json.loads(values.schema_text())
    assert list(Draft202012Validator(schema).iter_errors(report)) == []
    assert report["confusion"] == report["calibration"] == report["front"] == []
    for form in ("text", "md", "html"):
        shown = project.run("diff", "HEAD~1", "HEAD", "--format", form).stdout
        assert "beside the nearest training prompt" in shown.lower()
        assert "beside a constant answer and the linear baseline" not in shown.lower()


def test_show_is_about_answers(project: Project) -> None:
    """Metrics with intervals; in detail why answers ended, and the worst of them."""
    shown = project.run("show").stdout
    assert "generated answers: 2" in shown and "the baseline" in shown
    assert "nothing has been scored" not in shown and "macro F1" not in shown
    overview = json.loads(project.run("show", "--json").stdout)
    first, second = overview["answers"]
    assert overview["scores"] == [] and first["metrics"]["bleu"]["value"] > 90
    low, high = first["metrics"][LOSS]["interval"]
    assert low < first["metrics"][LOSS]["value"] < high
    assert set(second["metrics"]) == set(HEADLINES) and second["nearest"] is None
    project.keep_texts("scores.shell", {"pages": REPLIES})
    detail = project.run("show", "scores.shell").stdout
    for part in ("stopped.end", "perplexity", "exact match by table", "what is a00003?"):
        assert part in detail
    worst = json.loads(project.run("show", "scores.shell", "--json").stdout)["prompts"][0]["worst"]
    assert len(worst) == 10 and worst[0]["similarity"] <= worst[-1]["similarity"] < 100
    assert worst[0]["reference"].endswith(worst[0]["text"])


def test_log_follows_a_metric_of_answers(project: Project) -> None:
    """Commit by commit, with intervals and verdicts."""
    change(project, SURER)
    shown = project.run("log", "scores.shell.pages.chrf").stdout
    assert "higher is better" in shown and "better" in shown.splitlines()[2]
    assert "lower is better" in project.run("log", "pages.log_loss").stdout


def test_a_gate_on_flips_is_about_exact_matches() -> None:
    """Where answers are texts; about accuracy where they are labels."""
    wanted = patterns("negative_flip_rate", "scores.shell.pages")
    assert is_about(wanted, ("scores", "shell", "pages", "exact_match"))
    assert is_about(wanted, ("scores", "shell", "pages", "accuracy"))
    assert not is_about(wanted, ("scores", "shell", "pages", "bleu"))


def test_accuracy_of_tokens_is_no_share_of_documents(project: Project) -> None:
    """A token accuracy on dev has no test by the number of its documents."""
    values = project.metrics("model.shell")
    values["dev"]["accuracy"] = 0.7
    project.measure("model.shell", values)
    project.lock()
    project.commit()
    report = project.report("HEAD~1", "HEAD")
    (found,) = (m for m in report["metrics"] if m["name"] == "model.shell.dev.accuracy")
    assert found["verdict"] == "untested" and found["p"] is None


OWN = ", own: [{metrics}]".format(
    metrics=", ".join(
        f"{{name: {name}, module: metrics.shell, function: {name}, better: {better}}}"
        for name, better in (("runs", "higher"), ("off", "lower"), ("fine", "higher"))
    )
)


def test_metrics_of_the_project_are_compared(project: Project) -> None:
    """A column of its own in the table, tested with the slices, in the direction of the spec, which
    may be called as another metric; by gates, log and show as well."""
    start, end = project.text("params.yaml").split("rows: null", 1)
    project.write("params.yaml", f"{start}rows: null{OWN}{end}")
    project.write("metrics/shell.py", "def runs(a, r):\n    return 1\n\n\noff = fine = runs\n")
    project.write("lmspec/writing/grading.py", "")
    project.code = (*project.code, "lmspec/writing/grading.py", "metrics/shell.py")
    of = "metric: scores.shell.pages.own"
    project.gate("runs", f"{{kind: floor, {of}.runs, at_least: 0.5, confidence: 0.95}}")
    project.gate(
        "off", f"{{kind: improvement, {of}.off, against: baseline, by: 0.0, confidence: 0.95}}"
    )
    for rows in (REPLIES, SURER):
        graded = [
            replace(row, own={"runs": float(hit), "off": 2.0 * (1 - hit), "fine": 1.0})
            for row in rows
            for hit in [row.text == row.reference]
        ]
        written = answers.rows("pages", graded)
        found = answers.metrics(graded, written) | {"overlap": 0}
        better = {"exact_match": "higher", "own": "higher"}
        better |= {"own.runs": "higher", "own.off": "lower", "own.fine": "higher"}
        project.measure("scores.shell", {"pages": found}, better)
        project.table("scores.shell", "answers", written)
        project.lock()
        project.commit()
    found = metrics(project.report("HEAD~1", "HEAD"))
    assert found["own.runs"]["verdict"] == "better" and found["own.runs"]["family"] == "slices"
    for key in ("difference", "p", "interval", "method"):
        assert found["own.runs"][key] == found["exact_match"][key]
    low, high = found["own.fine"]["interval"]  # of all answers before and after, not of any others
    assert low < 0 < high and found["own.fine"]["difference"] == 0
    assert found["own.off"]["verdict"] == "better" and found["own.off"]["difference"] < 0
    assert found["own.off"]["method"] == "paired bootstrap of groups"
    gates = project.report("HEAD~1", "HEAD")["gates"]
    assert {gate["gate"]: gate["verdict"] for gate in gates} == {"runs": "pass", "off": "pass"}
    shown = project.run("log", "scores.shell.pages.own.off").stdout
    assert "lower is better" in shown and "better" in shown.splitlines()[2]
    (on,) = json.loads(project.run("show", "scores.shell", "--json").stdout)["prompts"]
    assert on["metrics"]["own.off"]["interval"][1] < 2
    low, high = on["metrics"]["own.fine"]["interval"]
    assert 0.9 < low < high == 1
