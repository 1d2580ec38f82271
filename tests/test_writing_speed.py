"""A model that writes is timed in turn with another: tokens per second, and who else computed."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from lmspec import stage
from lmspec.architectures import causal
from lmspec.compare.artifact import Artifact
from lmspec.compare.evidence import ArtifactPair
from lmspec.compare.ratios import ratios
from lmspec.formats import writer
from lmspec.language import metric_names, resolved
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine
from lmspec.specs.speed import TIMED, SpeedSpec
from lmspec.writing import timing
from stages import exported, speed
from tests.decoders import Toy
from tests.history import TIMES, Project
from tests.specs import GOOD, WRITING
from tests.test_gate import PARAMS_YAML, held
from tests.test_gate import written as revision
from tests.test_training import NUMERICS
from tests.tinywriter import MOST, PAIR, pairs, spec_of, tokenizer, write_split, write_weights

SPEC = {
    "of": "exported.pairs",
    "against": "model.pairs",
    "on": "splits.pairs",
    "texts": 8,
    "rounds": 5,
    "batch_size": 3,
    "generation": {"prompt_tokens": 20, "new_tokens": 6},
}
COLUMNS = (
    "first_token_ms",
    "prefill_tokens_per_second",
    "decode_tokens_per_second",
    "batch_prefill_tokens_per_second",
    "batch_decode_tokens_per_second",
)


@pytest.fixture(scope="module")
def needs(tmp_path_factory: pytest.TempPathFactory) -> stage.Needs:
    """A model, its graph, and splits."""
    root = tmp_path_factory.mktemp("timed")
    for noun in ("model", "exported"):
        (root / noun).mkdir()
    weights = write_weights(root / "weights")
    model, words, pad_id, _ = causal.create(spec_of(), weights)
    own = writer.WriterModel(model, words, pad_id, PAIR, MOST, "leave_out", {})
    writer.write(own, root / "model")
    for part in ("dev", "test"):
        write_split(pairs()[:12], root / "splits", part)
    folders = {f"{noun}.pairs": root / noun for noun in ("model", "exported", "splits")}
    given = stage.Needs(folders, NUMERICS, Machine(device="cpu"))
    fields = {
        "of": "model.pairs",
        "opset": 20,
        "max_logit_difference": 1e-3,
        "format": {"kind": "cache", "max_past": 64, "prompts": "splits.pairs"},
    }
    exported.build(ExportedSpec.model_validate(fields), given, root / "exported")
    return given


def test_a_graph_is_timed_in_turn_with_its_model(needs: stage.Needs, tmp_path: Path) -> None:
    """Every declared metric, one row per round, and figures that agree with each other."""
    report = speed.build(SpeedSpec.model_validate(SPEC), needs, tmp_path)
    metrics, rows = report.metrics, report.tables["rounds"]
    for end in ("of", "against"):
        assert {path for path, _ in leaves(metrics[end])} == {
            path for path, metric in TIMED.items() if metric.of != ("labels",)
        }
        found = metrics[end]
        assert found["weights_bytes"] > 100_000 and found["peak_memory_bytes"] > 10**7
        first = 20 / found["prefill_tokens_per_second"] * 1e3
        assert first == pytest.approx(found["first_token_ms"]["p50"])
        middle = np.median([row[f"{end}_batch_decode_tokens_per_second"] for row in rows])
        assert found["batch"]["decode_tokens_per_second"] == pytest.approx(middle, rel=1e-5)
    quotients = [
        row["of_decode_tokens_per_second"] / row["against_decode_tokens_per_second"] for row in rows
    ]
    assert metrics["ratio"]["decode"]["median"] == pytest.approx(np.median(quotients), rel=1e-5)
    assert metrics["ratio"]["first_token"].keys() == {"median", "p5", "p95"}
    assert 0 <= metrics["others_share"] <= 1
    names = {f"{end}_{column}" for end in ("of", "against") for column in COLUMNS}
    assert len(rows) == 5 and {*rows[0]} == {"round", *names}
    assert {path for path, _ in leaves(metrics)} == {*known(WRITING)}
    json.dumps(metrics)


def leaves(values: dict[str, Any], before: str = "") -> Any:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def test_prompts_are_those_of_rows_in_one_length() -> None:
    """Each begins with its row, and goes on with the rows after it, then with the first ones."""
    rows = [np.arange(start, start + length) for start, length in ((0, 3), (10, 5), (20, 2))]
    made = [prompt.tolist() for prompt in timing.prompts(rows, 6)]
    assert made == [[0, 1, 2, 10, 11, 12], [10, 11, 12, 13, 14, 20], [20, 21, 0, 1, 2, 10]]
    long = timing.prompts(rows, 25)[2].tolist()
    assert long[:12] == [20, 21, 0, 1, 2, 10, 11, 12, 13, 14, 20, 21] and len(long) == 25


def test_an_end_does_not_shorten_what_is_timed() -> None:
    """Each of the prompts gets as many tokens as the spec says, one of them for its first."""
    toy = Toy()
    asked = [np.array([i + 1, 2]) for i in range(8)]
    timing.Contestant(toy, tokenizer(), asked, 5, 3).round(0)
    assert toy.companies == [1] * 4 + [3] * 4


def test_work_of_other_processes_is_seen() -> None:
    """Control: a process that computes meanwhile."""
    code = "import time; e = time.time() + 60\nwhile time.time() < e: pass"
    other = subprocess.Popen([sys.executable, "-c", code])
    before = timing.Work.until_now()
    time.sleep(0.5)
    after = timing.Work.until_now()
    other.kill()
    other.wait()
    assert before is not None and after is not None
    assert after.others_share(before) > 0.1 / (os.cpu_count() or 1)
    assert timing.Work(10, 8, 3).others_share(timing.Work(4, 2, 1)) == 0


def timed(root: Path, name: str, speeds: list[tuple[float, float]], share: float) -> Any:
    """A revision with rounds of (tokens per second, those of the model beside it)."""
    project = Project(root)
    project.write("params.yaml", PARAMS_YAML)
    middle = float(np.median([own for own, _ in speeds]))
    values = {"of": {"decode_tokens_per_second": middle}, "others_share": share}
    project.measure("speed.a", values, **{"data/model/cnn": "the model"})
    columns = ("of_decode_tokens_per_second", "against_decode_tokens_per_second")
    rows = [{"round": i, **dict(zip(columns, pair, strict=True))} for i, pair in enumerate(speeds)]
    project.table("speed.a", "rounds", rows)
    return revision(root, name)


def test_two_commits_are_compared_by_their_rounds(tmp_path: Path) -> None:
    """More tokens per second are better, relative to the other model; reports name company."""
    old = timed(tmp_path / "old", "old", [(1 / own, 1 / other) for own, other in TIMES], 0.01)
    fast = [(1.4 / own, 1 / other) for own, other in TIMES]
    new = timed(tmp_path / "new", "new", fast, 0.31)
    pair = ArtifactPair(*(Artifact(each, "speed.a", None) for each in (old, new)))
    (found,) = (each for each in ratios([pair]) if "decode" in each.name)
    assert found.verdict == "better" and found.ratio == pytest.approx(1.4)
    assert found.method.endswith(
        "new was not alone on the machine: others used 31% of the processors' time"
    )
    gate = {"kind": "ratio", "metric": "speed.a.of.decode_tokens_per_second", "confidence": 0.95}
    assert held(old, new, **gate, tolerance=0.0).verdict == "pass"
    assert held(new, old, **gate, tolerance=0.1).verdict == "fail"


def test_metrics_are_known_before_it_is_built() -> None:
    """Those of tokens for a model that writes, those of texts for any other."""
    for text in (WRITING, GOOD):
        names = known(text)
        assert ("of.decode_tokens_per_second" in names) == (text is WRITING)
        assert ("of.latency_ms.p50" in names) == (text is GOOD)
        assert ("others_share" in names) == (text is WRITING)


def known(text: str) -> list[str]:
    values = YAML(typ="safe").load(text)
    names = tuple(
        ArtifactName(noun, name)
        for noun in values
        if noun not in ("gates", "blocks", "numerics", "machine")
        for name in values[noun]
    )
    specs = resolved.Specs(values, values, names, (), {}, Path())
    speed_of = next(name for name in names if name.noun == "speed")
    return metric_names.names(specs, speed_of)
