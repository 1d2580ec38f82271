"""The line, end to end: every noun, built by DVC from a spec."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests import miniature


@pytest.fixture
def project(built: Path) -> Iterator[Path]:
    """The built project, restored after each test from git and DVC's cache."""
    yield built
    miniature.run(built, "git", "reset", "-q", "--hard", "main")
    miniature.dvc(built, "checkout", "-q", "--force")


def edit(project: Path, old: str, new: str) -> None:
    """Replace text that occurs once in params.yaml, and sync."""
    path = project / "params.yaml"
    assert path.read_text().count(old) == 1, f"{old!r} does not occur once in params.yaml"
    path.write_text(path.read_text().replace(old, new))
    miniature.lmspec(project, "sync")


@pytest.mark.slow
def test_two_folders_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    """A fresh build elsewhere gives the same bytes and the same dvc.lock, except for `speed`."""
    other = miniature.make(tmp_path / "another" / "place")
    assert "speed-release" in miniature.ran(miniature.dvc(other, "repro"))
    one, two = miniature.fingerprints(built), miniature.fingerprints(other)
    for measured in (
        "data/metrics/speed-release.json",
        "data/metrics/speed-release/rounds.csv",
        "data/provenance/speed-release.json",
    ):
        assert one.pop(measured) != two.pop(measured)
    assert one == two and len(one) > 60
    assert unmeasured(built) == unmeasured(other)


def unmeasured(project: Path) -> dict[str, object]:
    """The stages of dvc.lock without the one that measures."""
    stages: dict[str, object] = YAML(typ="safe").load(project / "dvc.lock")["stages"]
    return {name: stage for name, stage in stages.items() if name != "speed-release"}


def test_a_second_repro_builds_nothing(project: Path) -> None:
    """Nothing changed, nothing runs, and git sees no change."""
    assert miniature.ran(miniature.dvc(project, "repro")) == []
    assert miniature.run(project, "git", "status", "--porcelain") == ""
    assert "0 will run, 0 may run" in miniature.lmspec(project, "plan", "--exit-code")


def test_a_candidates_setting_reruns_it_and_what_depends_on_it(project: Path) -> None:
    """An edit of model.cnn runs model-cnn and the stages downstream of it, and no other."""
    edit(project, "filters: 16", "filters: 12")
    plan = {
        s["stage"]: s for s in json.loads(miniature.lmspec(project, "plan", "--format", "json"))
    }
    assert {name for name, step in plan.items() if step["verdict"] == "run"} == {"model-cnn"}
    assert plan["model-cnn"]["reasons"] == ["model.cnn.architecture.filters: 16 -> 12"]
    table = miniature.lmspec(project, "plan", "--format", "md", "--exit-code", code=2)
    assert "| model-cnn | run | model.cnn.architecture.filters: 16 -&#62; 12 |" in table
    assert {name for name, step in plan.items() if step["verdict"] == "may run"} == {
        "exported-cnn",
        "quantized-cnn",
        "scores-cnn",
    }
    assert miniature.ran(miniature.dvc(project, "repro")) == [
        "model-cnn",
        "exported-cnn",
        "quantized-cnn",
        "scores-cnn",
    ]


def test_what_is_read_of_long_texts_is_in_a_models_key(project: Path) -> None:
    """So is the rule by which its corpus repairs texts, which the splits hand on."""
    edit(project, "long_texts: windows", "long_texts: head_tail")
    plan = json.loads(miniature.lmspec(project, "plan", "--format", "json"))
    (step,) = (step for step in plan if step["verdict"] == "run")
    assert step["stage"] == "model-cnn"
    assert step["reasons"] == ["model.cnn.architecture.long_texts: windows -> head_tail"]
    for folder in ("corpus/old", "splits/old"):
        rule = json.loads((project / "data" / folder / "clean.json").read_text())
        assert rule == {"fix_unicode": True, "unescape_html": True}
    for folder, long_texts in (
        ("model/cnn", "windows"),
        ("quantized/cnn", "windows"),
        ("model/gru", "head_tail"),
        ("bundle/release", "truncate"),
    ):
        about = json.loads((project / "data" / folder / "lmspec.json").read_text())
        assert about["clean"] == rule and about["long_texts"] == long_texts


def test_the_stages_count_what_is_not_read(project: Path) -> None:
    """Windows leave out nothing; a head and a tail do."""
    cut = {}
    for name in ("cnn", "gru"):
        cut[name] = json.loads((project / f"data/metrics/model-{name}.json").read_text())["train"]
    assert cut["cnn"] == {"cut_texts": 0, "unread_tokens": 0.0, "unknown_tokens": 0.0}
    assert cut["gru"]["cut_texts"] > 0 and 0 < cut["gru"]["unread_tokens"] < 1
    scored = json.loads((project / "data/metrics/scores-gru.json").read_text())["old"]
    assert scored["cut_texts"] > 0 and scored["unread_tokens"] > 0


def test_adding_an_update_trains_nothing_before_it(project: Path) -> None:
    """A second update, on top of the first, is the only stage that runs."""
    text = (project / "params.yaml").read_text()
    start, end = text.index("updated:\n") + len("updated:\n"), text.index("exported:\n")
    second = (
        text[start:end]
        .replace("  first:", "  second:")
        .replace("of: student.small", "of: updated.first")
    )
    (project / "params.yaml").write_text(text[:end].rstrip() + "\n" + second + text[end:])
    miniature.lmspec(project, "sync")
    assert miniature.ran(miniature.dvc(project, "repro")) == ["updated-second"]
    assert (project / "data/updated/second/model.safetensors").is_file()


def test_an_edit_of_the_cnn_module_concerns_cnns_alone(project: Path) -> None:
    """Only models of kind cnn, and what reads them, have the module of that kind in their key."""
    path = project / "lmspec/architectures/cnn.py"
    path.write_text(path.read_text() + "\nEXTRA = 1\n")
    plan = json.loads(miniature.lmspec(project, "plan", "--format", "json"))
    assert [s["stage"] for s in plan if s["verdict"] == "run"] == ["model-cnn", "exported-cnn"]


def test_a_comment_costs_no_training(project: Path) -> None:
    """`lmspec keep` keeps stages after an edit of comments; a rebuild gives the same outputs.

    A file that the bundle holds as text, and an edit of code, are left to `dvc repro`.
    """
    before = miniature.fingerprints(project)
    for name in ("architectures/cnn", "methods/exporting", "methods/grouping"):
        path = project / f"lmspec/{name}.py"
        path.write_text("# a comment that moves every line\n\n" + path.read_text())
    assert "kept corpus-old" in miniature.lmspec(project, "keep")
    assert miniature.ran(miniature.dvc(project, "repro")) == []
    miniature.dvc(project, "repro", "--force", "--single-item", "exported-cnn")
    after = miniature.fingerprints(project)
    assert before.pop("data/provenance/exported-cnn.json") != after.pop(
        "data/provenance/exported-cnn.json"
    )  # it names the new text
    assert after == before
    edits = {
        "lmspec/formats/predict.py": (
            "import argparse",
            "# why\nimport argparse",
            "left bundle-release: lmspec/formats/predict.py",
        ),
        "lmspec/methods/grouping.py": (
            "def group_of",
            "X = 1\n\n\ndef group_of",
            "changed statements outside its def",
        ),
    }
    for path, (old, new, output) in edits.items():
        text = (project / path).read_text()
        assert text.count(old) == 1
        (project / path).write_text(text.replace(old, new))
        assert output in miniature.lmspec(project, "keep", code=1)
    plan = {
        s["stage"]: s["reasons"]
        for s in json.loads(miniature.lmspec(project, "plan", "--format", "json"))
    }
    assert plan["corpus-old"] == [
        "lmspec/methods/grouping.py: changed statements outside its definitions"
    ]


def test_a_rebuild_elsewhere_gives_the_same_bytes_and_a_clock_is_found(project: Path) -> None:
    """`lmspec verify` confirms the build, and finds a planted clock and the hash seed."""
    output = miniature.lmspec(
        project, "verify", "corpus.old", "model.cnn", "exported-cnn", "speed.release", "sources.old"
    )
    assert output.count(": same bytes (") == 3 and "5 of 5 reproduced" in output
    path = project / "stages/splits.py"
    planted = 'metrics["planted"] = {"clock": time.time_ns(), "seed": hash("a")}'
    table = path.read_text().replace(
        "    return stage.Report(metrics)",
        f"    import time\n\n    {planted}\n    return stage.Report(metrics)",
    )
    path.write_text(table)
    assert "it is out of date" in miniature.lmspec(project, "verify", "splits.old", code=1)
    miniature.dvc(project, "repro", "--single-item", "splits-old")
    output = miniature.lmspec(project, "verify", "splits.old", code=1)
    assert (
        "splits.old: different" in output
        and "splits-old.json: planted.clock: " in output
        and "2 values differ" in output
    )


def test_a_stage_behind_one_that_was_built_alone_will_run(project: Path) -> None:
    """After `dvc repro model-cnn` that stage is up to date, and its graph is not."""
    edit(project, "filters: 16", "filters: 8")
    miniature.dvc(project, "repro", "model-cnn")
    plan = {
        s["stage"]: s["verdict"]
        for s in json.loads(miniature.lmspec(project, "plan", "--format", "json"))
    }
    assert (plan["model-cnn"], plan["exported-cnn"], plan["quantized-cnn"]) == (
        "hit",
        "run",
        "may run",
    )


def test_a_spec_that_was_not_synced_is_refused(project: Path) -> None:
    """Without `lmspec sync` a stage would read an undeclared file: it stops with the remedy."""
    path = project / "params.yaml"
    path.write_text(path.read_text().replace("gru: {of: model.gru", "gru: {of: model.bert"))
    output = miniature.dvc(project, "repro", "scores-gru", code=255)
    assert (
        "scores-gru uses data/model/bert" in output
        and "run `lmspec sync`" in output
        and "Traceback" not in output
    )
    assert "out of date" in miniature.lmspec(project, "sync", "--check", code=1)


def test_code_that_dvc_does_not_know_of_is_refused(project: Path) -> None:
    """An import hidden from the static search is caught at run time; nothing is built."""
    path = project / "lmspec/methods/grouping.py"
    hidden = '__import__("importlib").import_module("lmspec.methods.card")\n'
    path.write_text(path.read_text() + "\n" + hidden)
    output = miniature.dvc(project, "repro", "corpus-old", code=255)
    assert "it opens lmspec/methods/card.py, which it does not declare" in output
    assert not (project / "data/corpus/old").exists()


def test_an_experiment_with_a_changed_field_runs_that_model(project: Path) -> None:
    """`dvc exp run -S model.cnn...=` works, and the metrics show its effect."""
    output = miniature.dvc(project, "exp", "run", "-S", "model.cnn.training.epochs=1", "model-cnn")
    assert miniature.ran(output) == ["model-cnn"]
    record = "data/metrics/model-cnn.json"
    before = json.loads(miniature.run(project, "git", "show", f"HEAD:{record}"))
    assert json.loads((project / record).read_text())["steps"] < before["steps"]


def test_dvc_shows_a_few_metrics_of_each_dataset(built: Path) -> None:
    """A row for each scores artifact and dataset, with the numbers of its own metrics file."""
    shown = json.loads(miniature.dvc(built, "metrics", "show", "--json"))[""]["data"]
    assert set(shown) == {
        f"data/metrics/scores-{row}.json"
        for row in ("gru/old", "cnn/old", "release/old", "release/new")
    }
    record = json.loads((built / "data/metrics/scores-release.json").read_text())["new"]
    columns = ("accuracy", "macro_f1", "log_loss")
    headline = shown["data/metrics/scores-release/new.json"]["data"]
    assert headline == {name: record[name] for name in columns}
    assert max(map(len, miniature.dvc(built, "metrics", "show").splitlines())) < 100


def test_dvc_shows_graph_and_plots(project: Path, tmp_path: Path) -> None:
    """`dvc dag` names every stage; `dvc plots show` draws training curves and confusion tables."""
    dag = miniature.dvc(project, "dag", "--dot")
    assert '"student-small" -> "updated-first"' in dag
    miniature.dvc(project, "plots", "show", "--out", str(tmp_path / "plots"))
    page = (tmp_path / "plots/index.html").read_text()
    assert "model-bert: loss" in page and "scores-release: confusion" in page


def test_diff_between_commits_and_the_working_tree(project: Path) -> None:
    """A renamed artifact is compared under its new name; its metrics are missing until built."""
    assert re.search(
        r"^metrics: \d+ same ", miniature.lmspec(project, "diff", "HEAD", "HEAD", code=1), re.M
    )
    path = project / "params.yaml"
    path.write_text(
        path.read_text()
        .replace("scores:\n  gru:", "scores:\n  gru2:")
        .replace("scores.gru.", "scores.gru2.")
    )
    miniature.lmspec(project, "sync")
    missing = miniature.lmspec(project, "diff", code=1)
    assert (
        "scores.gru2.old.accuracy and " in missing
        and " more are missing: data/metrics/scores-gru2.json does not exist in worktree" in missing
    )
    miniature.dvc(project, "repro", "scores-gru2")
    report = json.loads(miniature.lmspec(project, "diff", "--format", "json", code=1))
    assert report["changes"]["renamed"] == {"scores.gru": "scores.gru2"}
    assert all(failure.startswith("gate ") for failure in report["failures"])
    metrics = {metric["name"]: metric for metric in report["metrics"]}
    assert (
        metrics["scores.gru2.old.accuracy"]["verdict"] == "same"
        and "scores.gru.old.accuracy" not in metrics
    )
    assert {metric["verdict"] for metric in report["metrics"]} == {"same"} and len(metrics) > 100
    assert "no-such-branch" in miniature.lmspec(project, "diff", "no-such-branch", code=2)


def test_diff_after_an_edit_and_after_its_build(project: Path) -> None:
    """What is out of date is not compared; once built, the model and its scores are, in pairs."""
    edit(project, "filters: 16", "filters: 12")
    output = miniature.lmspec(project, "diff", code=1)
    assert (
        "model.cnn is out of date in worktree: model.cnn of params.yaml is not what it was built "
        "with: run `dvc repro`" in output
    )
    assert "out of date, fails  cnn " in output
    miniature.dvc(project, "repro", "scores-cnn")
    report = json.loads(miniature.lmspec(project, "diff", "--format", "json", code=1))
    assert {change["name"] for change in report["changes"]["parameters"]} == {
        "model.cnn.architecture.filters"
    }
    assert report["changes"]["rebuilt"] == [
        "model.cnn",
        "exported.cnn",
        "quantized.cnn",
        "scores.cnn",
    ]
    verdicts = {metric["name"]: metric["verdict"] for metric in report["metrics"]}
    assert (
        verdicts["exported.cnn.bytes"] == "better" and verdicts["model.cnn.parameters"] == "changed"
    )
    assert verdicts["scores.cnn.old.log_loss"] in ("better", "worse", "inconclusive")
    assert not {"missing", "not comparable"} & set(verdicts.values())


def test_the_bundle_predicts_on_its_own(built: Path, tmp_path: Path) -> None:
    """The folder alone, far from the project, predicts; its answers are those of the scores."""
    folder = shutil.copytree(built / "data/bundle/release", tmp_path / "bundle")
    rows = (built / "data/metrics/scores-release/predictions.csv").read_text().splitlines()
    assert rows[0] == "dataset,id,table,group,label,predicted,confidence,label_probability"
    import polars as pl

    rows = pl.read_parquet(built / "data/scores/release/predictions.parquet").head(5)
    command = [sys.executable, "-I", str(folder / "predict.py"), *rows["text"]]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == rows["predicted"].to_list()
    card = (folder / "README.md").read_text()
    assert "# Good or bad" in card and "`model.onnx`" in card and "quantized.release" in card


def test_a_killed_or_failing_build_leaves_no_half_output(project: Path) -> None:
    """A stage that fails says why in one message, and its folder is not there."""
    edit(
        project,
        "opset: 18, max_logit_difference: 1.0e-4}\n  cnn",
        "opset: 18, max_logit_difference: 1.0e-12}\n  cnn",
    )
    output = miniature.dvc(project, "repro", "exported-release", code=255)
    assert "a logit of the graph differs" in output and "Traceback" not in output
    assert not (project / "data/exported/release").exists()
    assert not list((project / "data").rglob("*.partial"))


def test_another_python_is_refused_in_one_line(project: Path) -> None:
    """A stage run by an interpreter without the packages names the project's `.venv`."""
    (project / ".venv").mkdir(exist_ok=True)
    try:
        output = miniature.run(
            project, sys.executable, "-S", "-m", "lmspec.run", "corpus", "old", code=1
        )
    finally:
        (project / ".venv").rmdir()
    assert len(output.strip().splitlines()) == 1 and "make repro" in output


def test_the_miniature_learns(built: Path) -> None:
    """Far above chance, so that equal bytes are bytes of something that works."""
    metrics = json.loads((built / "data/metrics/scores-release.json").read_text())
    assert metrics["old"]["accuracy"] > 0.8 and metrics["new"]["accuracy"] > 0.8
