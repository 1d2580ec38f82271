"""Files in git that no build would write: an error that says so, or no effect; no traceback."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lmspec.attribution import factors, question
from lmspec.compare import revision
from lmspec.compare.revision import Revision
from lmspec.errors import LmspecError
from lmspec.git import tree
from lmspec.history import commits, metric_lookup
from lmspec.pipeline import leftovers
from lmspec.reports.trends import sparkline
from lmspec.specs.names import ArtifactName
from lmspec.statistics import predictions
from tests.history import Project, examples, make

ROOT = Path(__file__).parent.parent
MD5 = "0123456789abcdef" * 2
LOCK = "schema: '2.0'\nstages:\n"
SPACES = (
    f"  model-a:\n    cmd: none\n    deps:\n    - path: stages/model.py\n    \n      md5: {MD5}\n"
)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A built one, in the current folder."""
    made = make(tmp_path / "project")
    monkeypatch.chdir(made.root)
    return made


def files(root: Path, **content: str) -> Revision:
    """A working tree of these files; `_` stands for the dot of their names."""
    for name, text in content.items():
        (root / name.replace("_", ".")).write_text(text)
    return Revision(tree.tree(tree.WORKTREE, root, revision.FOLDERS))


def test_other_files_are_read_after_one_that_is_too_large(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same commit and of the next one; whether or not git has ended meanwhile."""
    project.write("data/metrics/model-big.json", "[" + " " * 100_000 + "]")
    project.commit()
    monkeypatch.setattr(tree, "LARGEST_BYTES", 50_000)
    newest, before = commits.line("HEAD", project.root)
    with commits.Files(project.root) as held:
        with pytest.raises(LmspecError, match="a metric may have 50,000"):
            held.revision(newest).metrics("model.big")
        assert held.revision(before).metrics("model.cnn") == project.metrics("model.cnn")
        names = [str(name) for name in metric_lookup.known(held.revision(newest))]
        assert "model.cnn.steps" in names and "splits.reviews.train.documents" in names


def test_that_git_ended_is_an_error_and_no_silence(project: Project) -> None:
    """And git is started again for what is read next."""
    (newest,) = commits.line("HEAD", project.root)
    with commits.Files(project.root) as held:
        found = held.revision(newest)
        assert found.tree._objects is not None
        found.tree._objects.process.kill()
        found.tree._objects.process.wait()
        with pytest.raises(LmspecError, match="git ended before it was read"):
            found.metrics("model.cnn")
        assert found.metrics("exported.cnn") == project.metrics("exported.cnn")


@pytest.mark.parametrize("text", [None, "a: [", ""])
def test_a_commit_without_a_project_leaves_no_process(
    project: Project, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    """No params.yaml, one that does not parse, and an empty one."""
    begun: list[Any] = []

    class Watched(tree.Objects):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            begun.append(self.process)

    monkeypatch.setattr(tree, "Objects", Watched)
    project.remove("params.yaml") if text is None else project.write("params.yaml", text)
    project.commit()
    with pytest.raises(LmspecError):
        revision.read("HEAD", project.root)
    assert [process.returncode is not None for process in begun] == [True]


def test_a_line_of_spaces_in_a_lock_is_none(tmp_path: Path) -> None:
    """YAML takes it for an empty one."""
    (entry,) = files(tmp_path, dvc_lock=LOCK + SPACES).lock.values()
    assert entry.deps == {"stages/model.py": MD5}


@pytest.mark.parametrize("entry", ["x", "[x]", "3", "{deps: 3}", "{outs: x}", "{params: [x]}"])
def test_an_entry_of_a_lock_that_is_no_run_is_refused(tmp_path: Path, entry: str) -> None:
    """The error says that the file is not DVC's."""
    with pytest.raises(LmspecError, match="it is not a valid lock file"):
        _ = files(tmp_path, dvc_lock=f"{LOCK}  model-a: {entry}\n").lock


def asked(artifact: str, path: tuple[str, ...]) -> question.MetricPair:
    """A metric of an artifact that both commits call the same."""
    return question.MetricPair(*2 * (ArtifactName.parse(artifact),), path)


def test_sections_that_are_lists_are_passed_over(tmp_path: Path) -> None:
    """Sources and gates: `lmspec validate` tells of them."""
    odd = files(tmp_path, params_yaml="sources: [a]\ngates: [b, {kind: floor}]\n")
    assert (
        factors.raw_files(odd) == []
        and list(question._gated(odd, [asked("scores.a", ("test", "accuracy"))])) == []
    )


def test_metrics_of_gates_are_those_that_their_kinds_are_about(tmp_path: Path) -> None:
    """Flip rates are about accuracy, of a class about F1; no mix explains a measured metric."""
    paths = (
        ("t", "accuracy"),
        ("t", "f1", "good"),
        ("t", "f1", "bad"),
        ("t", "table", "s", "accuracy"),
        ("t", "log_loss"),
    )
    changed = [asked("scores.a", path) for path in paths]
    changed.append(asked("speed.a", ("of", "latency_ms", "p50")))
    about = {
        "{kind: negative_flip_rate, metric: scores.a.t, against: baseline}": [
            "scores.a.t.accuracy"
        ],
        "{kind: negative_flip_rate, metric: scores.a.t.class.good, against: baseline}": [
            "scores.a.t.f1.good"
        ],
        "{kind: negative_flip_rate, metric: scores.a.t.class.*, against: baseline}": [
            "scores.a.t.f1.good",
            "scores.a.t.f1.bad",
        ],
        "{kind: negative_flip_rate, metric: scores.a.t.table.s, against: baseline}": [
            "scores.a.t.table.s.accuracy"
        ],
        "{kind: ceiling, metric: scores.a.t.log_loss}": ["scores.a.t.log_loss"],
        "{kind: ratio, metric: speed.a.of.latency_ms.p50, against: baseline}": [],
        "{kind: floor}": [],
        "3": [],
    }
    for gate, names in about.items():
        side = files(tmp_path, params_yaml=f"gates: {{g: {gate}}}\n")
        assert [each.name for each in question._gated(side, changed)] == names, gate


@pytest.mark.parametrize(("count", "drawn"), [(50, True), (51, False)])
def test_a_matrix_is_counted_up_to_fifty_labels(project: Project, count: int, drawn: bool) -> None:
    """With a thousand a report would have a million cells; its labels are named all the same."""
    labels = [f"label-{i}" for i in range(count)]
    project.score("scores.cnn", {"reviews": examples(200, wrong=range(5), labels=labels)}, labels)
    project.lock()
    project.commit()
    project.score("scores.cnn", {"reviews": examples(200, wrong=range(50), labels=labels)}, labels)
    project.lock()
    (found,) = project.report()["confusion"]
    assert len(found["labels"]) == count and (
        found["baseline"] is not None,
        found["candidate"] is not None,
    ) == (drawn, drawn)


def test_a_stage_that_a_lock_has_twice_is_refused(tmp_path: Path) -> None:
    """A merge by hand leaves both, and neither is more true than the other."""
    entry = "  model-a:\n    cmd: none\n"
    assert len(files(tmp_path, dvc_lock=f"{LOCK}{entry}{entry.replace('-a', '-b')}").lock) == 2
    with pytest.raises(LmspecError, match="it is not a valid lock file"):
        _ = files(tmp_path, dvc_lock=f"{LOCK}{entry}{entry.replace('none', 'other')}").lock


def test_a_lock_that_is_no_utf_8_is_not_merged(project: Project) -> None:
    """Nothing is written."""
    for name, content in {
        "a": b"stages: {}\n",
        "b": b"stages: {}\n",
        "c": b"stages: {}\n\xff\n",
    }.items():
        project.write(name, content)
    found = project.run("merge-driver", "a", "b", "c", "dvc.lock")
    assert (
        found.exit_code == 1
        and "it is not UTF-8" in found.stderr
        and project.text("b") == "stages: {}\n"
    )


def test_a_number_that_is_written_another_way_is_the_same(project: Project) -> None:
    """A size of 20000.0 bytes is none that is better than 20000."""
    for size, verdict in ((20_000.0, "same"), (20_021.0, "worse")):
        project.measure(
            "exported.cnn", {"largest_logit_difference": 1e-6, "nodes": 20, "bytes": size}
        )
        project.lock()
        (found,) = [
            each for each in project.report()["metrics"] if each["name"] == "exported.cnn.bytes"
        ]
        assert (found["baseline"], found["candidate"], found["verdict"]) == (20_000, size, verdict)


def metric(project: Project, name: str, *sides: str) -> dict[str, Any]:
    """One of the report."""
    (found,) = [each for each in project.report(*sides)["metrics"] if each["name"] == name]
    return dict(found)


def test_a_number_where_ratios_should_be_is_one(project: Project) -> None:
    """Of its spread nothing is known."""
    for ratio in (2.0, 3.0):
        values = project.metrics("speed.cnn") | {"ratio": ratio}
        project.measure("speed.cnn", values, better={"ratio": "higher"})
        project.lock()
        project.commit()
    assert metric(project, "speed.cnn.ratio", "HEAD~1", "HEAD")["verdict"] == "untested"


def test_a_number_where_a_training_should_be_has_no_metrics(project: Project) -> None:
    """What is scored is compared without it."""
    project.measure("model.cnn", project.metrics("model.cnn") | {"seeds": {"1": 0.5}})
    project.score("scores.cnn", {"reviews": examples(200, wrong=range(80))})
    project.lock()
    found = metric(project, "scores.cnn.reviews.accuracy")
    assert (found["verdict"], found["seeds"]) == ("worse", None)


@pytest.mark.parametrize("column", ["confidence", "label_probability"])
@pytest.mark.parametrize("text", ["1e300", "-19000000", "1.000001", "nan", "inf"])
def test_a_table_of_what_is_no_probability_has_no_predictions(
    project: Project, column: str, text: str
) -> None:
    """It is as if there were none."""
    table = files(project.root).table("scores.cnn", "predictions")
    assert table is not None and predictions.read(table | {column: ["1", "0", *table[column][2:]]})
    assert predictions.read(table | {column: [text, *table[column][1:]]}) is None


def test_a_difference_beyond_the_largest_number_is_reported(project: Project) -> None:
    """By its name, in a plot by one that can be drawn."""
    for value in (1.7e308, -1.7e308):
        project.measure(
            "exported.cnn", project.metrics("exported.cnn") | {"largest_logit_difference": value}
        )
        project.lock()
        project.commit()
    asked = ("log", "exported.cnn.largest_logit_difference", "--format")
    (found,) = json.loads(project.run(*asked, "json").stdout)["metrics"]
    assert [point["difference"] for point in found["points"]] == ["-Infinity", 1.7e308, None]
    assert (
        "<svg" in project.run(*asked, "svg").stdout and sparkline([-1.7e308, 0.0, 1.7e308]) == "▁▅█"
    )


@pytest.mark.parametrize("command", ["diff", "log exported.cnn.bytes"])
def test_a_command_that_cannot_write_anything_ends_as_it_would(
    project: Project, command: str
) -> None:
    """Its standard output is closed, and it is asked for nothing but its exit code."""
    run = ["sh", "-c", f'exec "$0" -m lmspec {command} >&-', sys.executable]
    found = subprocess.run(
        run,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.parametrize("documents", [0, -3, None])
def test_a_dev_split_of_no_documents_has_no_test(project: Project, documents: object) -> None:
    """Of a count that is none nothing can be computed."""
    sizes = project.metrics("splits.reviews")
    project.measure("splits.reviews", sizes | {"dev": sizes["dev"] | {"documents": documents}})
    project.lock()
    project.commit()
    model = project.metrics("model.cnn")
    project.measure("model.cnn", model | {"dev": model["dev"] | {"accuracy": 0.9}})
    project.lock()
    assert metric(project, "model.cnn.dev.accuracy")["verdict"] == "untested"


@pytest.mark.parametrize(("examples", "verdict"), [(-200, "untested"), (200, "inconclusive")])
def test_a_test_split_of_no_examples_has_no_test(
    project: Project, examples: int, verdict: str
) -> None:
    """Where no predictions were kept either, which are compared without their number."""
    for accuracy in (0.88, 0.9):
        values = project.metrics("scores.cnn")
        project.measure(
            "scores.cnn",
            {"reviews": values["reviews"] | {"accuracy": accuracy, "examples": examples}},
        )
        (project.root / "data/metrics/scores-cnn/predictions.csv").unlink(missing_ok=True)
        project.lock()
        project.commit()
    assert metric(project, "scores.cnn.reviews.accuracy", "HEAD~1", "HEAD")["verdict"] == verdict


def test_a_gap_of_nothing_is_between_two(project: Project) -> None:
    """It names both, though their values are one."""
    project.score("scores.cnn", {"reviews": examples(200, wrong=(0, 2))})
    project.gate(
        "even", "{kind: gap, metric: scores.cnn.reviews.f1.*, at_most: 0.2, confidence: 0.95}"
    )
    project.lock()
    (found,) = project.report()["gates"]
    assert "reviews.f1.good is 0.99, reviews.f1.bad 0.99: 0 apart" in json.dumps(found)


def killed(root: Path, *stages: str) -> None:
    """What runs that were killed have left."""
    for stage in stages:
        for folder in (f".lmspec/run/{stage}/home", f"data/{stage.replace('-', '/.')}.partial"):
            (root / folder).mkdir(parents=True)


def test_what_could_not_be_removed_is_not_reported_as_removed(tmp_path: Path) -> None:
    """Each build would say it again."""
    killed(tmp_path, "model-a", "model-c")
    (tmp_path / ".lmspec/run/model-b").write_text("")  # no folder, so `rmtree` leaves it
    assert leftovers.sweep(tmp_path) == ["model-a", "model-c"]
    assert leftovers.sweep(tmp_path) == [] and (tmp_path / ".lmspec/run/model-b").exists()
    assert list((tmp_path / "data/model").iterdir()) == []


@pytest.mark.parametrize("odd", ["file", "folder", "no locks"])
def test_what_cannot_be_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    """A file instead of the locks, a folder instead of a lock, a file system without locks."""

    def refused(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    killed(tmp_path, "model-a", "model-b")
    if odd == "file":
        (tmp_path / ".lmspec/lock").write_text("")
    elif odd == "folder":
        (tmp_path / ".lmspec/lock/model-a").mkdir(parents=True)
    else:
        monkeypatch.setattr(leftovers.fcntl, "flock", refused)
    assert leftovers.sweep(tmp_path) == (["model-b"] if odd == "folder" else [])
    assert (tmp_path / ".lmspec/run/model-a").is_dir() and (
        tmp_path / "data/model/.a.partial"
    ).is_dir()


@pytest.mark.parametrize(
    "content",
    [
        b"<<<<<<< HEAD\npython: '3.11'\n=======\npython: '3.12'\n>>>>>>> other\n",
        b"- a list\n",
        b"packages:\n",
        b"packages: {1: 2, a: b}\n",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"",
    ],
    ids=["conflict", "list", "null", "numbers", "not UTF-8", "deep", "empty"],
)
def test_sync_repairs_what_a_merge_has_left_of_its_files(project: Project, content: bytes) -> None:
    """It is the remedy that every other command names."""
    assert project.run("sync").exit_code == 0
    texts = {name: project.text(name) for name in ("dvc.yaml", "toolchain.yaml")}
    for name in texts:
        project.write(name, content)
    assert project.run("sync", "--check").exit_code == 1
    assert project.run("sync").exit_code == 0
    assert {name: project.text(name) for name in texts} == texts
