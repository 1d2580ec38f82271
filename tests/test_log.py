"""`lmspec log` and `lmspec bisect`: a metric over the commits of a branch, and the commit that
broke a gate."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lmspec.cli.main import main
from lmspec.reports.trends import sparkline
from lmspec.run import provenance
from tests import history

SIZE = 300  # examples of the test split
FLOOR = "{kind: floor, metric: scores.a.test.accuracy, at_least: 0.8}"
METRIC = "scores.a.test.accuracy"
SPEC = """\
model: {{a: {{width: {width}}}}}
quantized: {{a: {{of: model.a}}}}
scores: {{a: {{of: quantized.a, on: [splits.test], calibration_bins: 5}}}}
gates:
  floor: {gate}
"""


def recorded(subject: dict[str, Any]) -> str:
    """The provenance of a build, as far as it is read here."""
    return provenance.statement("scores.a", {}, (), (subject,), {})


@dataclass
class Project:
    """A repository with hand-written metrics of one scores artifact: no build, no dvc.lock."""

    folder: Path
    commits: int = 0

    def git(self, *arguments: str) -> str:
        """What git prints, as one author, on the day that has the number of the commit."""
        day = f"2031-01-{max(1, self.commits):02}T12:00:00Z"
        names = {
            f"GIT_{who}_{what}": name
            for who in ("AUTHOR", "COMMITTER")
            for what, name in (("NAME", "Ann"), ("EMAIL", "a@b.c"))
        }
        dates = {"GIT_AUTHOR_DATE": day, "GIT_COMMITTER_DATE": day, "GIT_CONFIG_GLOBAL": os.devnull}
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        run = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, **names, **dates},
            capture_output=True,
            text=True,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout.strip()

    def write(self, path: str, text: str) -> None:
        """A file, and the folders above it."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def spec(self, gate: str = FLOOR, width: int = 8) -> None:
        """A params.yaml with one gate, `floor`."""
        self.write("params.yaml", SPEC.format(gate=gate, width=width))

    def scored(self, accuracy: float, predictions: bool = True) -> None:
        """Metrics, their record, and the predictions that they follow from: the first ones are
        wrong."""
        wrong = round((1 - accuracy) * SIZE)
        values = {"test": {"accuracy": (SIZE - wrong) / SIZE, "examples": SIZE}}
        path = "data/metrics/scores-a.json"
        self.write(path, json.dumps(values))
        better = {"name": path, "annotations": {"better": {"accuracy": "higher"}}}
        self.write("data/provenance/scores-a.json", recorded(better))
        head = "dataset,id,table,group,label,predicted,confidence,label_probability\n"
        rows = (
            f"test,{i},s,,good,{'bad' if i < wrong else 'good'},0.9,{0.1 if i < wrong else 0.9}\n"
            for i in range(SIZE)
        )
        self.write(
            "data/metrics/scores-a/predictions.csv", head + "".join(rows) if predictions else ""
        )

    def commit(self, subject: str = "a change") -> str:
        """Its short hash."""
        self.commits += 1
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "--short", "HEAD")

    def history(self, accuracies: Iterable[float | None]) -> list[str]:
        """A commit for each; None: its file of metrics is broken."""
        found = []
        for i, accuracy in enumerate(accuracies):
            if accuracy is None:
                self.write("data/metrics/scores-a.json", f"{{{i} <<<<<<<")
            else:
                self.scored(accuracy)
            found.append(self.commit(f"change {i}"))
        return found


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A repository without commits, as the current folder."""
    made = Project(tmp_path / "project")
    made.folder.mkdir()
    made.git("init", "-q", "-b", "main")
    made.spec()
    monkeypatch.chdir(made.folder)
    return made


def run(*arguments: str, code: int = 0) -> Result:
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == code, found.output
    return found


def trend(*arguments: str) -> dict[str, Any]:
    (found,) = json.loads(run("log", *arguments, "--format", "json").stdout)["metrics"]
    return dict(found)


def verdicts(found: dict[str, Any]) -> list[str]:
    return [point["verdict"] for point in found["points"]]


def bisected(*arguments: str, code: int = 0) -> dict[str, Any]:
    return dict(
        json.loads(run("bisect", "floor", *arguments, "--format", "json", code=code).stdout)
    )


def one_of(found: dict[str, Any]) -> list[str]:
    return [held["commit"]["short"] for held in found["one_of"]]


def test_each_commit_has_value_interval_and_paired_verdict(project: Project) -> None:
    """Newest first: worse, a difference within noise, better, and the first commit."""
    hashes = project.history([0.8, 0.9, 0.91, 0.7])
    found = trend(METRIC)
    assert (
        verdicts(found) == ["worse", "inconclusive", "better", "new"]
        and found["better"] == "higher"
    )
    assert [point["commit"]["short"] for point in found["points"]] == hashes[::-1]
    assert [point["before"] for point in found["points"]] == [*hashes[-2::-1], None]
    for point in found["points"]:
        low, high = point["interval"]
        assert low < point["value"] < high and high - low < 0.15
    assert found["points"][0]["difference"] == pytest.approx(-0.21)


def test_all_shows_commits_that_did_not_change_the_metric(project: Project) -> None:
    """One row each, never with the verdict of another commit."""
    project.scored(0.9)
    project.commit("scored")
    for width in (9, 10, 11):
        project.spec(width=width)
        project.commit("wider")
    project.scored(0.5)
    project.commit("worse")
    assert verdicts(trend(METRIC)) == ["worse", "new"]
    everything = trend(METRIC, "--all")
    assert verdicts(everything) == ["worse", "same", "same", "same", "new"]
    assert {point["value"] for point in everything["points"][1:]} == {0.9}
    assert verdicts(trend(METRIC, "--max-count", "1")) == ["worse"]
    assert (
        trend(METRIC, "--max-count", "1")["notes"][0]
        == "1 older commits are not shown: `--max-count` shows more"
    )


def test_a_commit_that_put_its_metrics_out_of_date_is_not_comparable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It changed the spec without a build."""
    built = history.make(tmp_path / "built")
    monkeypatch.chdir(built.root)
    for old, new in (("batch_size: 16, cal", "batch_size: 32, cal"), ("size: 32,", "size: 16,")):
        built.edit("params.yaml", old, new)
        built.commit()
    found = trend("scores.cnn.reviews.accuracy", "--all")
    assert verdicts(found) == ["same", "not comparable", "new"] and {
        point["value"] for point in found["points"]
    } == {0.885}
    assert "scores.cnn of params.yaml is not what it was built with" in found["points"][1]["reason"]


def test_sizes_are_exact_and_metrics_without_predictions_untested(project: Project) -> None:
    """`bytes` of two graphs need no test; accuracies without predictions have no interval."""
    better = {
        "name": "data/metrics/quantized-a.json",
        "annotations": {"better": {"bytes": "lower"}},
    }
    project.write("data/provenance/quantized-a.json", recorded(better))
    for size, accuracy in ((1000, 0.9), (990, 0.5)):
        project.write("data/metrics/quantized-a.json", json.dumps({"bytes": size}))
        project.scored(accuracy, predictions=False)
        project.commit()
    sizes = trend("bytes")
    assert verdicts(sizes) == ["better", "new"] and sizes["points"][0]["interval"] == [990, 990]
    untested = trend(METRIC)
    assert verdicts(untested) == ["untested", "new"] and untested["points"][0]["interval"] is None


def test_a_commit_without_a_direction_takes_the_newest_one(
    project: Project,
) -> None:
    """A number without a direction anywhere is `changed`."""
    for accuracy in (0.7, 0.9):
        project.scored(accuracy)
        project.write(
            "data/provenance/scores-a.json", recorded({"name": "data/metrics/scores-a.json"})
        )
        project.write(
            "data/metrics/model-a.json",
            json.dumps({"dev": {"accuracy": accuracy}, "steps": round(10 * accuracy)}),
        )
        project.commit()
    assert (
        verdicts(trend("steps")) == verdicts(trend(METRIC)) == ["changed", "new"]
        and trend(METRIC)["better"] is None
    )
    project.scored(0.6)
    better = {
        "name": "data/metrics/model-a.json",
        "annotations": {"better": {"accuracy": "higher"}},
    }
    project.write("data/provenance/model-a.json", recorded(better))
    project.write("data/metrics/model-a.json", json.dumps({"dev": {"accuracy": 0.6}, "steps": 6}))
    project.commit()
    found = trend(METRIC)
    assert verdicts(found) == ["worse", "better", "new"] and found["better"] == "higher"
    dev = trend("model.a.dev.accuracy")
    assert (
        verdicts(dev) == ["untested", "untested", "new"]
        and "git keeps nothing" in dev["points"][0]["reason"]
    )
    assert verdicts(trend("steps")) == ["changed", "changed", "new"]


def test_summaries_of_rounds_refer_to_the_metric_that_is_compared(project: Project) -> None:
    """Each untested metric has a reason of its own."""
    path = "data/metrics/speed-a.json"
    project.write("params.yaml", "speed: {a: {of: quantized.a, against: model.a}}\n")
    project.write(
        "data/provenance/speed-a.json",
        recorded({"name": path, "annotations": {"better": {"ratio": "higher"}}}),
    )
    for value in (1.5, 2.5):
        ratio = {
            "latency_p95": {"p5": value},
            "throughput": {"median": value},
            "weights": value,
            "peak_memory": value,
        }
        project.write(path, json.dumps({"ratio": ratio}))
        project.commit()
    rounds = "it summarizes the rounds of one run; `{}` is compared by these rounds"
    reasons = {
        "latency_p95.p5": rounds.format("of.latency_ms.p95"),
        "throughput.median": rounds.format("of.texts_per_second"),
        "weights": "it is a quotient of two sizes; `of.weights_bytes` is exact",
        "peak_memory": "it was measured once in each commit",
    }
    for name, reason in reasons.items():
        found = trend(f"speed.a.ratio.{name}")
        assert (found["points"][0]["verdict"], found["points"][0]["reason"]) == ("untested", reason)


def test_a_commit_with_broken_metrics_is_missing(project: Project) -> None:
    """So is one without the file; the next verdict is against the last commit with the metric."""
    hashes = project.history([0.9, None, 0.6])
    (project.folder / "data/metrics/scores-a.json").unlink()
    project.commit("gone")
    found = trend(METRIC)
    assert verdicts(found) == ["missing", "worse", "missing", "new"]
    assert [point["reason"] for point in found["points"]][::2] == [
        "data/metrics/scores-a.json does not exist",
        "data/metrics/scores-a.json is not JSON",
    ]
    assert found["points"][1]["before"] == hashes[0]


def test_a_metric_can_be_a_suffix_or_contain_a_star(project: Project) -> None:
    """An ambiguous one is rejected with the matches, an unknown one with the nearest."""
    project.history([0.9])
    for text in (
        METRIC,
        "accuracy",
        "test.accuracy",
        "scores.*.accuracy",
        "*accuracy",
        "a.test.acc*",
    ):
        assert trend(text)["metric"] == METRIC
    assert (
        "it matches 2 metrics: scores.a.test.accuracy, scores.a.test.examples"
        in run("log", "test.*", code=2).stderr
    )
    assert f"did you mean '{METRIC}'?" in run("log", "test.acuracy", code=2).stderr
    project.write("data/metrics/corpus-a.json", json.dumps({f"rows_{i}": i for i in range(20)}))
    project.commit()
    printed = run("log", "good.acc", code=2).stderr
    assert (
        "no commit of this branch has such a metric" in printed
        and f"the nearest of 22 are {METRIC}, " in printed
    )


def test_a_project_that_has_no_metrics_yet_hears_what_to_do(project: Project) -> None:
    """No name is near."""
    project.commit()
    assert "none is committed: run `dvc repro`" in run("log", METRIC, code=2).stderr


def test_the_default_metrics_are_those_of_the_gates(project: Project) -> None:
    """Each once; without gates, the error says what to do."""
    project.spec(
        "{kind: negative_flip_rate, metric: scores.a.test, against: baseline, "
        "at_most: 0.1, confidence: 0.95}\n"
        f"  other: {FLOOR}"
    )
    project.history([0.9, 0.8])
    found = json.loads(run("log", "--format", "json").stdout)["metrics"]
    assert [each["metric"] for each in found] == [METRIC]
    project.write("params.yaml", "scores: {a: {of: model.a}}\n")
    project.commit()
    assert "it has no gates" in run("log", code=2).stderr


def test_a_note_says_where_a_name_begins(project: Project) -> None:
    """Renames are not followed."""
    project.commit("a spec alone")
    (first,) = project.history([0.9])
    found = trend(METRIC)
    assert found["notes"][0] == f"it begins at {first} (2031-01-02); renames are not followed"
    assert "1 of these commits have no dvc.lock" in found["notes"][1]


def test_a_hostile_subject_stays_on_its_aligned_line(project: Project) -> None:
    """Of text and of Markdown; no escape sequence reaches a terminal."""
    project.scored(0.9)
    project.commit("up")
    project.scored(0.5)
    project.commit("down \x1b[31m | <b>@all</b> ##[error]x")
    text = run("log", METRIC).stdout
    lines = text.splitlines()
    assert lines[0] == f"{METRIC}, higher is better" and lines[1].split()[:3] == [
        "commit",
        "date",
        "value",
    ]
    assert (
        "worse" in lines[2]
        and "0.5000" in lines[2]
        and "2031-01-02" in lines[2]
        and lines[3].rstrip().endswith("new      up")
    )
    assert "\x1b" not in text and "##[" not in text
    written = run("log", METRIC, "--format", "md").stdout
    assert (
        "| worse |" in written
        and "<b>" not in written
        and "@all" not in written.replace("&#64;all", "")
    )


def test_a_sparkline_is_scaled_and_shows_gaps() -> None:
    """A constant metric is level."""
    assert (
        sparkline([0.0, 0.5, None, 1.0]) == "▁▅·█"
        and len(set(sparkline([3.0, 3.0]))) == 1
        and sparkline([None]) == "·"
    )


def test_the_same_history_gives_the_same_svg(project: Project) -> None:
    """It holds no date; a file holds the same."""
    pytest.importorskip("matplotlib")
    project.history([0.9, None, 0.5])
    first = run("log", METRIC, "--format", "svg").stdout
    run("log", METRIC, "--format", "svg", "--output", str(project.folder.parent / "a.svg"))
    assert (project.folder.parent / "a.svg").read_text() == first and first.count("<svg") == 1
    assert METRIC in first and "dc:date" not in first


def test_a_shallow_clone_says_where_its_history_ends(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In `log`, and in `bisect` that finds no good commit."""
    hashes = project.history([0.9, 0.7, 0.6, 0.5])
    project.git("clone", "-q", "--depth", "2", project.folder.as_uri(), "../clone")
    monkeypatch.chdir(project.folder.parent / "clone")
    found = trend(METRIC)
    assert (
        verdicts(found) == ["worse", "new"]
        and f"this clone is shallow and ends at {hashes[2]}" in found["notes"][0]
    )
    answer = bisected(code=1)
    assert answer["first_bad_commit"] is None and "git fetch --unshallow" in answer["reason"]


def test_detached_head_another_branch_and_no_commit(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HEAD is what is checked out; without commits there is an error."""
    assert "has no commit yet" in run("log", METRIC, code=2).stderr
    assert "has no commit yet" in run("bisect", "floor", code=2).stderr
    hashes = project.history([0.9, 0.5])
    project.git("checkout", "-q", "--detach", "HEAD~1")
    assert [point["commit"]["short"] for point in trend(METRIC)["points"]] == hashes[:1]
    assert verdicts(trend(METRIC, "--branch", "main")) == ["worse", "new"]
    assert "there is no such commit" in run("log", METRIC, "--branch", "nowhere", code=2).stderr


@pytest.mark.parametrize(
    ("accuracies", "bad"),
    [
        ([0.9, 0.9, 0.85, 0.7, 0.7, 0.6], 3),  # once and for all
        ([0.9, 0.7, 0.9, 0.6, 0.5], 3),  # the second time counts
        ([0.7, 0.9, 0.7], 2),  # it did not pass at first
        ([0.9, 0.7], 1),
    ],
)
def test_the_latest_break_is_found(project: Project, accuracies: list[float], bad: int) -> None:
    """With the state before and after and a paired verdict; whether or not `--good` is given."""
    hashes = project.history(accuracies)
    found = bisected()
    assert found["first_bad_commit"]["commit"]["short"] == hashes[bad] and one_of(found) == [
        hashes[bad]
    ]
    assert (
        found["before"]["commit"]["short"] == hashes[bad - 1] and found["before"]["state"] == "pass"
    )
    assert bisected("--good", hashes[0])["first_bad_commit"] == found["first_bad_commit"]
    (metric,) = found["metrics"]
    assert (metric["name"], metric["verdict"], metric["candidate"]) == (
        METRIC,
        "worse",
        pytest.approx(accuracies[bad]),
    )


def test_a_note_lists_earlier_breaks(project: Project) -> None:
    """Those between the good commit that is named and the bad one."""
    hashes = project.history([0.9, 0.7, 0.9, 0.9, 0.6, 0.9, 0.5])
    found = bisected("--good", hashes[0])
    assert one_of(found) == [hashes[6]]
    assert [held["commit"]["short"] for held in found["earlier"]] == [hashes[4], hashes[1]]
    assert (
        "began to fail 3 times between these commits; "
        f"this is the latest, the earlier ones are {hashes[4]}, {hashes[1]}" in found["notes"][0]
    )


def test_a_first_bad_commit_among_skipped_ones_is_one_of_a_range(
    project: Project,
) -> None:
    """`first_bad_commit` is null then; commits skipped elsewhere do not matter."""
    hashes = project.history([0.9, None, 0.9, None, None, 0.6, None, 0.5])
    found = bisected()
    assert found["first_bad_commit"] is None and one_of(found) == hashes[3:6]
    assert [held["state"] for held in found["one_of"]] == ["skipped", "skipped", "fail"]
    text = run("bisect", "floor").stdout
    assert (
        "the first bad commit is one of these 3" in text
        and "6 commits checked: 1 pass, 2 fail, 3 skipped" in text
    )
    assert f"the changes are those between {hashes[2]} and {hashes[5]}" in text


def test_a_commit_with_out_of_date_metrics_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own dvc.lock shows it; such metrics say nothing about the commit."""
    built = history.make(tmp_path / "built")
    monkeypatch.chdir(built.root)
    built.gate("floor", "{kind: floor, metric: scores.cnn.reviews.accuracy, at_least: 0.8}")
    hashes = []
    for wrong, edited in ((20, False), (100, True), (80, False)):
        built.score("scores.cnn", {"reviews": history.examples(200, wrong=range(wrong))})
        if not edited:
            built.lock()
        built.commit()
        hashes.append(built.git("rev-parse", "--short", "HEAD"))
    assert one_of(bisected()) == hashes[1:]
    assert bisected()["one_of"][0]["verdict"] == "out of date"
    found = trend("scores.cnn.reviews.accuracy")
    assert verdicts(found)[:2] == ["not comparable", "not comparable"] and found["notes"] == []
    assert (
        f"out of date in {hashes[1]}: data/metrics/scores-cnn.json is not what the build wrote"
        in found["points"][0]["reason"]
    )


def test_a_bisection_notes_what_it_did_not_check(project: Project) -> None:
    """Without dvc.lock, out-of-date metrics go unnoticed; whether or not a commit is found."""
    printed = (
        "of these commits have no dvc.lock, "
        "so whether their metrics are out of date was not checked"
    )
    hashes = project.history([0.7, 0.9, 0.9, 0.6])
    assert (
        bisected()["notes"] == [f"2 {printed}"]
        and f"note: 2 {printed}" in run("bisect", "floor").stdout
    )
    assert bisected("--good", hashes[1])["notes"] == [f"3 {printed}"]
    assert bisected("--bad", hashes[0], code=1)["notes"] == [f"1 {printed}"]
    assert f"note: 1 {printed}" in run("bisect", "floor", "--bad", hashes[0], code=1).stdout


def test_what_the_first_bad_commit_changed_is_shown(project: Project) -> None:
    """A value in the spec, with author and date."""
    project.scored(0.9)
    project.commit("good")
    project.spec(width=2)
    project.scored(0.5)
    short = project.commit("half the width")
    project.spec(width=3)
    project.commit("later")
    text = run("bisect", "floor").stdout
    assert f"first bad commit: {short} (Ann, 2031-01-02): half the width" in text
    assert "parameters:\nparameter      baseline  candidate\nmodel.a.width  8         2" in text
    assert "before" in text and "accuracy is 0.9" in text and "later" not in text


def test_the_gate_is_taken_from_the_working_tree(project: Project) -> None:
    """Its present threshold counts for every commit, and its waiver does not."""
    hashes = project.history([0.9, 0.85, 0.83, 0.82])
    assert "the gate passes at" in bisected(code=1)["reason"]
    signed = "waiver: {reason: not now please, signed_off_by: Ann, until: '2999-01-01'}"
    project.spec(f"{{kind: floor, metric: {METRIC}, at_least: 0.84, {signed}}}")
    assert one_of(bisected()) == [hashes[2]]
    assert (
        "there is no gate 'flor'\n  -> did you mean 'floor'?"
        in run("bisect", "flor", code=2).stderr
    )


@pytest.mark.parametrize(
    "gate",
    [
        f"{{kind: non_inferiority, metric: {METRIC}, against: baseline, "
        "margin: 0.05, confidence: 0.95}",
        "{kind: negative_flip_rate, metric: scores.a.test, against: baseline, "
        "at_most: 0.1, confidence: 0.95}",
    ],
)
def test_a_comparing_gate_takes_the_good_commit_as_baseline(project: Project, gate: str) -> None:
    """One step that is too large, and two that are so together."""
    project.spec(gate)
    hashes = project.history([0.9, 0.89, 0.6, 0.59])
    assert one_of(bisected()) == [hashes[2]]
    assert one_of(bisected("--good", hashes[0])) == [hashes[2]]
    assert "passes at" in bisected("--good", hashes[2], code=1)["reason"]
    assert "passes against each commit before it" in bisected("--bad", hashes[1], code=1)["reason"]


@pytest.mark.parametrize(
    ("metric", "remeasured"), [("of.latency_ms.p50", True), ("of.weights_bytes", False)]
)
def test_a_measured_metric_has_a_note_that_it_may_be_chance(
    project: Project, metric: str, remeasured: bool
) -> None:
    """The note says how to find out; a size has none, since it is exact."""
    project.write(
        "params.yaml",
        "speed: {a: {of: quantized.a, against: model.a}}\n"
        f"gates: {{floor: {{kind: ceiling, metric: speed.a.{metric}, at_most: 5}}}}\n",
    )
    for value in (4, 6):
        values = {"of": {"latency_ms": {"p50": value}, "weights_bytes": value}}
        project.write("data/metrics/speed-a.json", json.dumps(values))
        project.commit()
    notes = [
        note for note in bisected()["notes"] if "differs from one measurement to the next" in note
    ]
    assert len(notes) == remeasured and all(
        "`dvc repro --force --single-item speed-a` at" in note for note in notes
    )
    assert ("from one measurement to the next" in run("bisect", "floor").stdout) == remeasured


def test_an_improvement_needs_a_good_commit(project: Project) -> None:
    """It needs a commit to improve on; with it, the commit that lost the progress is found."""
    project.spec(
        f"{{kind: improvement, metric: {METRIC}, against: baseline, by: 0.0, confidence: 0.95}}"
    )
    hashes = project.history([0.6, 0.9, 0.6])
    assert "--good REV" in run("bisect", "floor", code=2).stderr
    assert one_of(bisected("--good", hashes[0])) == [hashes[2]]


def test_a_bisection_without_a_result_says_why(project: Project) -> None:
    """Bad commit without metrics, no good commit, a good one that is no ancestor."""
    hashes = project.history([0.7, 0.6, None])
    assert "data/metrics/scores-a.json is not JSON" in run("bisect", "floor", code=2).stderr
    assert (
        f"no commit before {hashes[1]} passes it" in bisected("--bad", hashes[1], code=1)["reason"]
    )
    assert (
        "it does not pass at" in bisected("--bad", hashes[1], "--good", hashes[0], code=1)["reason"]
    )
    assert (
        "it is no ancestor"
        in run("bisect", "floor", "--bad", hashes[0], "--good", hashes[1], code=2).stderr
    )
    assert "it is the bad commit itself" in run("bisect", "floor", "--good", "HEAD", code=2).stderr


def test_a_merge_is_one_step_and_its_commits_are_listed(project: Project) -> None:
    """The first-parent line has only the merge; its commits are listed with it."""
    project.history([0.9])
    project.git("checkout", "-q", "-b", "side")
    brought = project.history([0.8, 0.6])
    project.git("checkout", "-q", "main")
    project.write("note.txt", "meanwhile")
    project.commit("meanwhile")
    project.git("merge", "-q", "--no-ff", "-m", "merge side", "side")
    assert [point["commit"]["subject"] for point in trend(METRIC)["points"]] == [
        "merge side",
        "change 0",
    ]
    found = bisected()
    assert found["first_bad_commit"]["commit"]["subject"] == "merge side"
    assert [commit["short"] for commit in found["merged"]] == brought[::-1]
    assert "a merge of 2 commits" in run("bisect", "floor").stdout


def test_the_working_tree_is_not_touched(project: Project) -> None:
    """Not a byte, not the index; uncommitted edits make no difference."""
    project.history([0.9, 0.5])
    project.write("data/metrics/scores-a.json", "edited")

    def state() -> dict[str, tuple[int, bytes]]:
        files = (p for p in project.folder.rglob("*") if p.is_file() and p.name != "index")
        return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in files}

    before, status = state(), project.git("status", "--porcelain")
    commands: list[Callable[[], object]] = [
        lambda: trend(METRIC),
        lambda: run("log", "--all"),
        bisected,
    ]
    for each in commands:
        each()
    assert (
        state() == before
        and project.git("status", "--porcelain") == status == "M data/metrics/scores-a.json"
    )


def test_in_a_long_history_only_commits_that_changed_the_metric_are_read(project: Project) -> None:
    """Two of 500 commits touch the file."""
    project.history([0.9])
    stream = "".join(
        f"commit refs/heads/main\ncommitter Ann <a@b.c> {1930000000 + i} +0000\ndata 4\nstep\n"
        + ("from refs/heads/main^0\n" if i == 0 else "")
        + f"M 100644 inline note.txt\ndata {len(str(i))}\n{i}\n"
        for i in range(500)
    )
    subprocess.run(
        ["git", "fast-import", "--quiet"], cwd=project.folder, input=stream, text=True, check=True
    )
    project.git("reset", "-q", "--hard")
    project.scored(0.5)
    short = project.commit("worse")
    assert verdicts(trend(METRIC)) == ["worse", "new"]
    found = bisected()
    assert one_of(found) == [short] and len(found["checked"]) == 2
