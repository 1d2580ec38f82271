"""A sweep: the same table however it was interrupted, half of the epochs, values that apply."""

import contextlib
import copy
import csv
import dataclasses
import io
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.language import applying, document
from lmspec.methods import halving, proposing
from lmspec.methods.resume import Resume
from lmspec.pipeline import compiler
from lmspec.run import declaration, resuming
from lmspec.run.declaration import Declaration
from lmspec.specs.model import ModelSpec
from lmspec.specs.names import ArtifactName
from lmspec.specs.project import Project
from lmspec.specs.results import WATCHED
from lmspec.specs.sweep import SweepSpec
from lmspec.training import loop
from stages import model, sweep
from tests import history, miniature, specs
from tests.test_linear import LINE, stages

SECTION: dict[str, Any] = {
    "on": "splits.old",
    "architecture": {
        "kind": "cnn",
        "embedding_dim": 8,
        "filters": 8,
        "widths": [1, 2],
        "vocabulary": 300,
        "max_length": 8,
        "long_texts": "truncate",
        "dropout": 0.2,
    },
    "training": YAML(typ="safe").load(specs.GOOD)["model"]["cnn"]["training"] | {"epochs": 4},
}
SWEEP: dict[str, Any] = {
    "of": "model.cnn",
    "over": {
        "training.optimizer.peak_learning_rate": {"low": 1e-3, "high": 0.3, "log": True},
        "architecture.filters": {"low": 4, "high": 16, "log": False},
        "architecture.widths": [[1], [1, 2], [2, 3]],
    },
    "metric": "log_loss",
    "sampler": "tpe",
    "trials": 12,
    "rungs": [1.0, 2.0],
    "seed": 3,
}


class Bench:
    """A folder with splits, in which sweeps are run; it counts the trainings and their steps."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.fits = folder, 0
        self.needs = dataclasses.replace(
            stages(folder),
            section=SECTION,
            resume=Resume(folder / "kept", lambda: True),
        )
        fit = loop.fit

        def counted(*arguments: Any) -> Any:
            self.fits += 1
            self.before(self.fits)
            return fit(*arguments)

        self.before: Callable[[int], None] = lambda number: None
        monkeypatch.setattr(loop, "fit", counted)

    def run(self, **changes: Any) -> stage.Report:
        """The report of a sweep; `fits` counts the trainings, or parts of one, that it ran."""
        self.fits = 0
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        return sweep.build(SweepSpec.model_validate(SWEEP | changes), self.needs, out)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_a_killed_sweep_ends_as_an_undisturbed_one(bench: Bench) -> None:
    """Twelve trials, stopped between trials and inside of one: half of the epochs of all.

    What was done before is not done again, and a training that was cut short goes on.
    """
    whole = bench.run()
    cost = whole.metrics["epochs"], whole.metrics["epochs_without_halving"]
    assert cost[0] <= cost[1] / 2 == 24
    undisturbed = bench.fits
    assert undisturbed == 12 + 6 + 3
    assert bench.run() == whole and bench.fits == 0

    class Killed(Exception):
        pass

    def kill_at(number: int) -> Callable[[int], None]:
        def before(fits: int) -> None:
            if fits == number:
                raise Killed

        return before

    elsewhere = Resume(bench.folder / "elsewhere", lambda: True)
    bench.needs = dataclasses.replace(bench.needs, resume=elsewhere)
    done = 0
    for number in (4, 10, 5):
        bench.before = kill_at(number)
        with pytest.raises(Killed):
            bench.run()
        done += number - 1
    bench.before = lambda number: None
    assert bench.run() == whole and bench.fits == undisturbed - done


def test_without_what_was_kept_the_table_is_the_same(bench: Bench) -> None:
    """So nothing of a trial depends on where it was paused."""
    whole = bench.run(trials=4)
    bench.needs = dataclasses.replace(bench.needs, resume=None)
    assert bench.run(trials=4) == whole


def test_a_wider_sweep_trains_only_what_is_new(bench: Bench) -> None:
    """The first trials are the same ones, and what they reached is known."""
    first = bench.run(trials=4, rungs=[])
    again = bench.run(trials=6, rungs=[])
    assert bench.fits == 2
    old, new = ({row["trial"]: row for row in r.tables["rungs"]} for r in (first, again))
    assert all(new[trial] == row for trial, row in old.items()) and len(new) == 6


def test_a_damaged_or_foreign_result_runs_again(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line says so, and the table is the same."""
    whole = bench.run(trials=2, rungs=[])
    files = sorted((bench.folder / "kept").rglob("end.json"))
    text = files[0].read_text()
    for broken in (
        re.sub('"log_loss": 0', '"log_loss": 1', text),
        files[1].read_text(),
        text[:40],
        "[]",
    ):
        assert broken != text
        files[0].write_text(broken)
        capsys.readouterr()
        assert bench.run(trials=2, rungs=[]) == whole and bench.fits == 1
        assert "is damaged, so it runs again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"training.seeds": [1, 2]}, "the first seed alone"),
        ({"training.optimizer.kind": ["sgd", "adamw"]}, "no field 'training.optimizer.kind'"),
        ({"training.optimizer": [{"kind": "sgd"}, None]}, "no field 'training.optimizer'"),
        ({"training.averaging": [None, {"kind": "ema"}]}, "no field 'training.averaging'"),
        ({"training.optimiser.momentum": [0.1, 0.9]}, "no field 'training.optimiser.momentum'"),
        ({"training.batch_size.x": [1, 2]}, "no field 'training.batch_size.x'"),
        ({"training.batchsize": [1, 2]}, "training.batchsize"),
        ({"training.epochs": {"low": 1, "high": 5000, "log": False}}, "training.epochs"),
        ({"training.batch_size": [16, 32]}, "not before the end"),
    ],
)
def test_a_stage_refuses_a_sweep_before_its_first_trial(
    over: dict[str, Any], message: str, bench: Bench
) -> None:
    """In words, whatever a hand-written section asks for."""
    rungs = [9.0] if message == "not before the end" else []
    with pytest.raises(LmspecError) as caught:
        bench.run(over=over, rungs=rungs, trials=2)
    assert message in str(caught.value) and bench.fits == 0


def test_another_section_is_another_trial(bench: Bench) -> None:
    """What is kept of one batch size says nothing of another."""
    bench.run(trials=2, rungs=[])
    section = copy.deepcopy(SECTION)
    section["training"]["batch_size"] = 20
    bench.needs = dataclasses.replace(bench.needs, section=section)
    bench.run(trials=2, rungs=[])
    assert bench.fits == 2


def test_other_rungs_do_not_go_on_from_beyond(bench: Bench) -> None:
    """A trial whose weights are those of a later rung starts again."""
    whole = bench.run(trials=2, rungs=[1.0])

    class Killed(Exception):
        pass

    def kill(fits: int) -> None:
        if fits == 3:
            raise Killed

    bench.needs = dataclasses.replace(bench.needs, resume=Resume(bench.folder / "b", lambda: True))
    bench.before = kill
    with pytest.raises(Killed):
        bench.run(trials=2, rungs=[3.0])
    bench.before = lambda fits: None
    assert bench.run(trials=2, rungs=[1.0]) == whole


def test_the_best_trial_is_what_the_model_becomes(bench: Bench, tmp_path: Path) -> None:
    """With its values, the model's own stage reaches the same dev metrics, to the last bit."""
    report = bench.run(trials=4)
    section = json.loads((bench.folder / "out/best.json").read_text())
    bench.needs = dataclasses.replace(bench.needs, resume=None)
    _, fitted = model.train(ModelSpec.model_validate(section), bench.needs, bench.needs.bits)
    reached = {name: fitted.best[f"dev_{name}"] for name in WATCHED}
    assert report.metrics["best"] == reached
    best = {row["field"]: json.loads(row["value"]) for row in report.tables["best"]}
    assert best.keys() == SWEEP["over"].keys()
    assert section["architecture"]["widths"] == best["architecture.widths"]
    assert isinstance(best["architecture.filters"], int)


def test_a_model_on_fixed_features_is_searched_without_rungs(tmp_path: Path) -> None:
    """Each trial is fitted to its end; there are no epochs."""
    needs = dataclasses.replace(stages(tmp_path), section=LINE["model"])
    over = {"architecture.char_ngrams": [[2, 3], [2, 5], None], "training.max_iterations": [1000]}
    spec = SWEEP | {"over": over, "rungs": [], "sampler": "random", "trials": 3}
    (tmp_path / "out").mkdir()
    families = copy.deepcopy(LINE["model"])
    families["architecture"]["families"] = ["words"]
    needs = dataclasses.replace(needs, section=families)
    report = sweep.build(SweepSpec.model_validate(spec), needs, tmp_path / "out")
    assert sorted(row["architecture.char_ngrams"] for row in report.tables["trials"]) == [
        "[2, 3]",
        "[2, 5]",
        "null",
    ]
    assert report.metrics.keys() == {"best", "trials", "dev_examples"}


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_proposals_fit_and_begin_alike(sampler: str) -> None:
    """Bounds hold after rounding; whole numbers are such; a wider search begins the same way."""
    space = {
        "a": proposing.Span(1.2345e-4, 9.8765e-2, True, False),
        "b": proposing.Span(2, 9, True, True),
        "c": ["x", [1, 2], None],
    }

    def proposed(trials: int) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []

        def evaluate(values: dict[str, Any]) -> float:
            seen.append(values)
            return abs(values["a"] - 0.01) + values["b"]

        proposing.propose(space, sampler, 1, trials, "log_loss", evaluate)
        return seen

    wide = proposed(20)
    assert proposed(12) == wide[:12]
    assert all(1.2345e-4 <= v["a"] <= 9.8765e-2 and v["b"] in range(2, 10) for v in wide)
    assert all(type(v["b"]) is int and v["c"] in space["c"] for v in wide)


def test_of_lists_no_combination_is_drawn_twice() -> None:
    """As many trials as combinations are the whole grid."""
    seen = []
    space = {"a": [1, 2, 3], "b": ["x", "y"]}
    proposing.propose(space, "random", 1, 6, "accuracy", lambda v: seen.append(v) or 0.0)
    assert len({(v["a"], v["b"]) for v in seen}) == 6


def test_the_cost_of_halving_is_known_beforehand() -> None:
    """No rung costs more than the first, and one trial at least goes on."""
    assert halving.widths(12, [1, 2, 4]) == [12, 6, 3]
    assert halving.widths(12, [0.25, 0.5, 1, 2]) == [12, 6, 3, 1]
    assert halving.widths(2, [1, 100]) == [2, 1]
    assert halving.widths(7, [4]) == [7]


def test_the_pipeline_reads_the_section_and_not_the_weights() -> None:
    """With the blocks that the section names; not with those of others."""
    params = YAML(typ="safe").load(specs.GOOD)
    params["blocks"] = {"stop": params["model"]["cnn"]["training"]["early_stopping"]}
    params["model"]["cnn"]["training"]["early_stopping"] = "blocks.stop"
    project = Project.model_validate(params)
    code = compiler.Closure((), {}, frozenset())
    entry = compiler.stage_of(project, "sweep.cnn", code, ())
    assert entry["deps"] == ["data/splits/old"]
    watched = [name for name in entry["params"] if isinstance(name, str)]
    assert watched == ["sweep.cnn", "model.cnn", "blocks.stop", "numerics"]
    modules = compiler.code_of(project, project.find("sweep.cnn"), compiler.OnDisk(specs.ROOT))
    assert "lmspec/architectures/cnn.py" in modules.files
    assert "lmspec/architectures/rnn.py" not in modules.files


def test_a_block_of_the_section_must_be_watched(tmp_path: Path) -> None:
    """Else DVC would not see an edit of it."""
    params = "model: {cnn: {a: blocks.x}}\nsweep: {cnn: {of: model.cnn}}\nblocks: {x: {b: 1}}\n"
    (tmp_path / "params.yaml").write_text(params)
    watched = ("sweep.cnn", "model.cnn")
    stage = Declaration(ArtifactName("sweep", "cnn"), (), (), {"params.yaml": watched})
    with pytest.raises(LmspecError, match=r"blocks\.x, which it does not declare"):
        declaration.values(tmp_path, stage)
    stage = dataclasses.replace(stage, watched={"params.yaml": (*watched, "blocks.x")})
    assert declaration.values(tmp_path, stage)["params.yaml"]["model.cnn"] == {"a": "blocks.x"}


def test_what_is_kept_depends_on_everything_but_sections() -> None:
    """Of a sweep: its trials name their sections. Of a model its section counts as well."""

    def key(noun: str, **changes: Any) -> str:
        watched = {"params.yaml": (f"{noun}.cnn", "model.cnn.on", "blocks.x.y", "numerics")}
        watched["toolchain.yaml"] = ("python", "packages.torch")
        stage = Declaration(ArtifactName(noun, "cnn"), ("data/splits/old",), (), watched)
        values = dict.fromkeys(watched["params.yaml"], 1) | {"machine": {"device": "cpu"}}
        toolchain = dict.fromkeys(watched["toolchain.yaml"], "1")
        both = {"params.yaml": values | changes, "toolchain.yaml": toolchain | changes}
        return resuming.key(stage, both, {"data/splits/old": changes.get("digest", "0")})

    sections = ({"sweep.cnn": 2}, {"model.cnn.on": 2}, {"blocks.x.y": 2})
    others = ({"numerics": 2}, {"packages.torch": "2"}, {"python": "2"}, {"digest": "1"})
    assert {key("sweep", **each) for each in sections} == {key("sweep")}
    assert len({key("sweep", **each) for each in others} | {key("sweep")}) == 5
    assert key("model", **{"model.cnn.on": 2}) != key("model")


COMMENTED = (
    specs.GOOD.replace("filters: 16,", "filters: 16, ", 1)
    + """
blocks: # of several
  rule: {kind: sgd, peak_learning_rate: 0.3, weight_decay: 0.0, momentum: 0.9, nesterov: true} # R
"""
)
SGD = "{kind: sgd, peak_learning_rate: 0.3, weight_decay: 0.0, momentum: 0.9, nesterov: true}"
BEST = {"training.optimizer.peak_learning_rate": 2e-5, "architecture.hidden_dim": 24}


@pytest.mark.parametrize("users", [0, 1, 2])
def test_applied_values_change_one_model_alone(users: int, tmp_path: Path) -> None:
    """In place, in a block of its own, or in the place of a block that another one names too."""
    text = COMMENTED.replace(
        f"optimizer: {SGD}", "optimizer: blocks.rule" if users else "optimizer: " + SGD
    )
    if users == 2:
        rule = "{kind: adamw, peak_learning_rate: 1.0e-3,"
        start = text.index(rule)
        text = text[:start] + "blocks.rule" + text[text.index("}", start) + 1 :]
    elif users == 0:
        text = text[: text.index("\nblocks:")]
    path = specs.written(text, tmp_path)
    assert not specs.complaints(text, tmp_path), users
    before = document.read(path)
    written, made, validation = applying.applied(path, "model.gru", BEST)
    assert not validation.problems and len(made) == 2
    path.write_text(written)
    after = document.read(path)
    expected = copy.deepcopy(before.resolved)
    expected["model"]["gru"]["training"]["optimizer"]["peak_learning_rate"] = 2e-5
    expected["model"]["gru"]["architecture"]["hidden_dim"] = 24
    for values in (expected, after.resolved):
        values.pop("blocks", None)
    assert after.resolved == expected
    assert written.count("#") == text.count("#")
    assert "2.0e-5" in written
    assert applying.applied(path, "model.gru", BEST)[:2] == (written, [])


def test_values_are_written_as_people_write_them() -> None:
    """And read back as they were."""
    values = [
        1e-5,
        2.5e-4,
        0.0123,
        0.0,
        1e7,
        12,
        None,
        True,
        "linear",
        "none",
        "true",
        "a b",
        [1, 2.0],
    ]
    for value in [*values, {"kind": "adamw", "rates": values}]:
        assert YAML(typ="safe").load(applying.flow(value)) == value
    assert applying.flow(2.5e-4) == "2.5e-4" and applying.flow({"a": [1, "b"]}) == "{a: [1, b]}"


@pytest.fixture(scope="module")
def swept(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature with a sweep, built."""
    project = tmp_path_factory.mktemp("swept") / "project"
    shutil.copytree(built, project, symlinks=True)
    with (project / "params.yaml").open("a") as params:
        params.write(f"\n{specs.SWEEP}")
    miniature.lmspec(project, "sync")
    miniature.dvc(project, "repro", "sweep-cnn")
    return project


def test_a_built_sweep_is_shown_and_not_applied_when_out_of_date(swept: Path) -> None:
    """The stage kept its results outside of its sandbox's usual places."""
    project = history.Project(swept)
    text = project.run("sweep", "cnn").output
    rows = list(csv.DictReader(io.StringIO(project.text("data/metrics/sweep-cnn/trials.csv"))))
    assert [row["rank"] for row in rows] == ["1", "2"] and rows[0]["epochs"] == "3.0"
    assert "2 trials of model.cnn" in text and "optimistic" in text
    found = json.loads(project.run("sweep", "sweep.cnn", "--json").output)
    low, high = found["accuracy"]["interval"]
    assert low <= found["accuracy"]["value"] <= high
    assert len(list((swept / ".lmspec/sweep/sweep-cnn").rglob("*.json"))) == 3
    params = project.text("params.yaml")
    try:
        project.write(
            "params.yaml",
            params.replace(
                "vocabulary: 300, max_length: 8, long", "vocabulary: 290, max_length: 8, long"
            ),
        )
        refused = project.run("sweep", "cnn", "--apply")
        assert refused.exit_code == 1 and "out of date" in refused.output
    finally:
        project.write("params.yaml", params)


def test_the_best_values_are_applied(swept: Path) -> None:
    """What the trials reached depends on no value that is searched, so it is kept."""
    project = history.Project(swept)
    params = project.text("params.yaml")
    try:
        run = project.run("sweep", "cnn", "--apply")
        assert run.exit_code == 0, run.output
        best = json.loads(project.run("sweep", "cnn", "--json").output)["choices"]
        assert all(each["present"] == each["best"] for each in best)
        assert "next: `dvc repro sweep-cnn`" in run.output
    finally:
        project.write("params.yaml", params)


def stage_of(folder: Path, seconds: float | None = None) -> float:
    """Run the stage of the sweep, killed after some seconds; how long it took."""
    begin = time.monotonic()
    command = [sys.executable, "-m", "lmspec.run", "sweep", "cnn"]
    environment = miniature.environment() | {"PYTHONHASHSEED": "0"}
    stage = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        stage.wait(seconds)
    stage.kill()
    code = stage.wait()
    assert code == 0 or seconds is not None
    return time.monotonic() - begin


@pytest.mark.slow
def test_a_sweep_survives_kills_of_its_processes(swept: Path, tmp_path: Path) -> None:
    """SIGKILL at several instants, in its own processes and sandbox: the same tables."""
    folder = tmp_path / "project"
    shutil.copytree(swept, folder, symlinks=True)
    tables = folder / "data/metrics/sweep-cnn"

    def contents() -> dict[str, str]:
        return {path.name: path.read_text() for path in tables.iterdir()}

    undisturbed = contents()
    shutil.rmtree(folder / ".lmspec/sweep")
    seconds = stage_of(folder)
    assert contents() == undisturbed
    shutil.rmtree(folder / ".lmspec/sweep")
    for part in (0.6, 0.7, 0.8, 0.75):
        stage_of(folder, part * seconds)
    shutil.rmtree(tables)
    tables.mkdir()
    stage_of(folder)
    assert contents() == undisturbed
