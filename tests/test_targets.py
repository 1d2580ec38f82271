"""What a bundle runs on: a machine takes the first target that it can run, and says which."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest
from onnx import numpy_helper

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import documents, manifest, targets
from lmspec.formats.manifest import Damaged
from lmspec.formats.predict import Classifier
from lmspec.formats.targets import Unsuited
from lmspec.methods import evidence, halfprecision
from lmspec.scaffold import deployment
from lmspec.serving import opening
from lmspec.specs.bundle import BundleSpec
from lmspec.specs.numerics import Machine
from stages import bundle as stages_bundle
from tests import bundles, miniature
from tests.serving import Client

TEXTS = [text for _, text, _ in miniature.sentences("honestly ")]
TEXT = TEXTS[3]
FIELDS = {"of": "quantized.a", "scores": "scores.a", "title": "t", "license": "MIT"}
FIELDS |= {"intended_use": "u", "limitations": "l"}
ANY = {"kind": "cpu", "instructions": "any", "of": "quantized.a"}
VNNI = {"kind": "cpu", "instructions": "vnni", "of": "quantized.b", "scores": "scores.b"}
CUDA = {"kind": "cuda", "of": "exported.a"}


def rewritten(folder: Path, change: Any) -> None:
    """A graph with other numbers in its table of rows."""
    model = onnx.load(folder / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "table":
            tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), "table"))
    onnx.save(model, folder / "model.onnx")


def scored(graph: Path, out: Path, of: str) -> None:
    """Scores of a graph on the texts."""
    answers = [next(iter(a.items())) for a in Classifier(graph, check=False).predict_many(TEXTS)]
    rows = [
        evidence.Row("new", "reviews", None, text, label, label, round(p, 6))
        for text, (label, p) in zip(TEXTS, answers, strict=True)
    ]
    schema = {**dict.fromkeys(evidence.Row._fields, pl.String), "confidence": pl.Float64}
    out.mkdir()
    documents.write(pl.DataFrame(rows, schema=schema, orient="row"), out / "predictions.parquet")
    names = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss", "expected_calibration_error")
    values = {**dict.fromkeys(names, 0.875), "examples": len(rows), "overlap": 0}
    summary = {"of": of, "batch_size": 1, "metrics": {"new": values}, "accepted_overlap": []}
    (out / "metrics.json").write_text(json.dumps(summary))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> stage.Needs:
    """Shared by tests that change none of them."""
    return needs_of_graphs(tmp_path_factory.mktemp("graphs"))


def needs_of_graphs(root: Path) -> stage.Needs:
    """Three graphs that differ a little, scores of two, and their metrics."""
    folders = {}
    for name, change in (("quantized.a", 0.0), ("quantized.b", 1e-3), ("exported.a", 0.0)):
        folder = folders[name] = root / name
        folder.mkdir()
        bundles.make(folder)
        rewritten(folder, lambda table, change=change: (table + change).astype(np.float32))
        metrics = root / "data/metrics" / f"{name.replace('.', '-')}.json"
        metrics.parent.mkdir(parents=True, exist_ok=True)
        metrics.write_text(json.dumps({"disagreement_rate": 0.0125, "bytes": 5}))
    for name in "ab":
        folders[f"scores.{name}"] = root / f"scores.{name}"
        scored(folders[f"quantized.{name}"], folders[f"scores.{name}"], f"quantized.{name}")
    return stage.Needs(folders, None, Machine(device="cpu"), root)


def built(graphs: stage.Needs, out: Path, *wanted: dict[str, Any], **more: Any) -> Path:
    spec = BundleSpec.model_validate(FIELDS | {"targets": list(wanted)} | more)
    out.mkdir()
    stages_bundle.build(spec, graphs, out)
    return out


@pytest.fixture(scope="module")
def several(graphs: stage.Needs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for cards, for processors with VNNI, and for any."""
    return built(graphs, tmp_path_factory.mktemp("several") / "release", CUDA, VNNI, ANY)


@pytest.fixture
def bundle(several: Path, tmp_path: Path) -> Path:
    """One that a test may damage."""
    return shutil.copytree(several, tmp_path / "release")


@pytest.fixture(params=["any", "vnni"])
def processor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A machine without VNNI, and one that has it."""
    own = frozenset() if request.param == "any" else frozenset(["avx2", "vnni"])
    monkeypatch.setattr(targets, "instructions", lambda: own)
    return str(request.param)


def test_the_first_target_that_a_machine_runs_computes(several: Path, processor: str) -> None:
    """And no other graph: its probabilities are those of that graph alone."""
    classifier = Classifier(several)
    name, graph = {
        "any": ("cpu", "model.onnx"),
        "vnni": ("cpu-vnni", "targets/cpu-vnni/model.onnx"),
    }[processor]
    assert classifier.target and (classifier.target.name, classifier.target.graph) == (name, graph)
    options = onnxruntime.SessionOptions()
    session = onnxruntime.InferenceSession(str(several / graph), options)
    (window,) = classifier.reader.read(["the film"]).ids
    logits = session.run(None, {"input_ids": window[None], "attention_mask": window[None] * 0 + 1})
    best = classifier.labels[int(logits[0].argmax())]
    exact = np.exp(logits[0][0].astype(float) - logits[0].max().astype(float))
    assert next(iter(classifier.predict("the film").items())) == (best, (exact / exact.sum()).max())


def test_a_target_can_be_chosen(several: Path, processor: str) -> None:
    """One that the machine cannot run is refused, with why and what it runs."""
    assert Classifier(several, target="cpu").target
    with pytest.raises(Unsuited, match=r"cannot run cuda: this onnxruntime computes on no card"):
        Classifier(several, target="cuda")
    with pytest.raises(Unsuited, match=r"no target 'gpu': name one of cuda, cpu-vnni, cpu$"):
        Classifier(several, target="gpu")
    if processor == "any":
        with pytest.raises(Unsuited, match=r"lacks VNNI: leave the target out, and it runs cpu$"):
            Classifier(several, target="cpu-vnni")


def test_a_card_that_is_not_there_is_no_card(
    several: Path, processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """onnxruntime has CUDA and finds no device: it would go on with the processor, silently."""
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: [targets.ON_CARD, targets.ON_CPU]
    )
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        made = Classifier(several)
    assert made.target and made.target.kind == targets.CPU
    with (
        pytest.warns(UserWarning, match="CUDAExecutionProvider"),
        pytest.raises(Unsuited, match="onnxruntime found no card"),
    ):
        Classifier(several, target="cuda")


def test_a_machine_that_runs_none_refuses(
    graphs: stage.Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each target why, in one error; nothing runs a graph that is for others."""
    own = VNNI | {"of": "quantized.a", "scores": "scores.a"}
    made = built(graphs, tmp_path / "b", own)
    monkeypatch.setattr(targets, "instructions", lambda: frozenset(["avx2"]))
    with pytest.raises(Unsuited, match=r"cannot run cpu-vnni: .* lacks VNNI: run it on another"):
        Classifier(made)
    with pytest.raises(LmspecError, match="lacks VNNI"):
        opening.opened(made)


def test_without_targets_there_is_one_graph(graphs: stage.Needs, tmp_path: Path) -> None:
    """As ever: no file says anything of targets, and none can be named."""
    made = built(graphs, tmp_path / "b")
    assert not (made / targets.NAME).exists() and "runs on" not in (made / "README.md").read_text()
    assert Classifier(made).target is None
    with pytest.raises(Unsuited, match="leave it out: it has one graph"):
        Classifier(made, target="cpu")


@pytest.mark.parametrize(
    ("flags", "own"),
    [
        ("fpu sse2 avx", set()),
        ("fpu avx2 fma", {"avx2"}),
        ("avx2 avx512f avx512_vnni", {"avx2", "vnni"}),
        ("avx2 avx_vnni", {"avx2", "vnni"}),
        ("avx2 avx_vnni_int8", {"avx2"}),
    ],
)
def test_instructions_are_those_of_the_kernel(tmp_path: Path, flags: str, own: set[str]) -> None:
    """By whole words; a processor of another family has no such line."""
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: avx_vnni\n")
    assert targets.instructions(file) == own
    file.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert targets.instructions(file) == set()
    assert targets.instructions(tmp_path / "none") <= {"avx2", "vnni"}  # numpy is asked


def test_files_in_folders_are_hashed(bundle: Path) -> None:
    """A graph that is not the one that was built is refused, also one that is not used here."""
    listed = manifest.read(bundle).files
    found = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert found == {*listed, manifest.NAME} and "targets/cpu-vnni/model.onnx" in listed
    assert "targets/cuda/model.onnx" in listed
    with (bundle / "targets/cuda/model.onnx").open("ab") as graph:
        graph.write(b"\0")
    with pytest.raises(Damaged, match=r"^targets/cuda/model\.onnx: it is not the file"):
        Classifier(bundle)


@pytest.mark.parametrize("name", ["../x", "targets/../../x", "/x", "targets//x", "a\\x", "a/.x"])
def test_no_path_leaves_the_bundle(bundle: Path, name: str) -> None:
    """Whatever a manifest or targets.json says."""
    about = json.loads((bundle / manifest.NAME).read_text())
    about["files"][name] = "0" * 64
    (bundle / manifest.NAME).write_text(json.dumps(about))
    with pytest.raises(Damaged, match="is not the name of a file"):
        Classifier(bundle)


def test_targets_that_the_manifest_lacks_are_refused(tmp_path: Path) -> None:
    """Else a file put beside a bundle would choose another graph for it."""
    made = bundles.make(tmp_path)
    (made / targets.NAME).write_text('{"targets": []}')
    with pytest.raises(Damaged, match=r"^targets\.json: the manifest does not list it"):
        Classifier(made)
    with pytest.raises(LmspecError, match="does not list it"):
        opening.opened(made)


def test_the_card_says_which_scores_are_of_which_graph(several: Path) -> None:
    """And what was not tried."""
    card = (several / "README.md").read_text()
    section = card.partition("## What it runs on")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]*) \| `([\w.]+)` \|.*\| ([^|]*) \|$", section, re.M)
    assert rows == [
        ("cuda", "cards of NVIDIA's, with onnxruntime-gpu", "exported.a", "not scored"),
        ("cpu-vnni", "x86 processors with VNNI (AVX512-VNNI, AVX-VNNI)", "quantized.b",
         "`scores.b`: new 0.8750"),
        ("cpu", "any processor", "quantized.a", "`scores.a`: new 0.8750"),
    ]  # fmt: skip
    assert "not been tried on a card" in section and "are of `quantized.a` (`scores.a`)" in section
    assert "disagreement_rate 0.0125" in section
    assert "`targets/cpu-vnni/model.onnx`" in card.partition("## Files")[2]
    made_from = manifest.read(several).made_from
    assert {*made_from} == {"quantized.a", "scores.a", "exported.a", "quantized.b", "scores.b"}


def test_predict_py_says_which_target_computes(several: Path) -> None:
    """On standard error, so that answers are the same bytes; a wrong one is one line."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(several / "predict.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(TEXT)
    own = Classifier(several)
    assert own.target and done.returncode == 0
    assert done.stderr == f"predict.py: target {own.target.name}, graph {own.target.graph}\n"
    assert done.stdout.startswith(next(iter(own.predict(TEXT))))
    assert "target cpu, graph model.onnx" in run("--target", "cpu", TEXT).stderr
    refused = run("--target", "cuda", TEXT)
    assert refused.returncode == 1 and refused.stdout == ""
    assert refused.stderr.count("\n") == 1 and "cannot run cuda" in refused.stderr


@pytest.fixture
def client(several: Path, processor: str) -> Iterator[Client]:
    made = Client(several)
    yield made
    made.close()


def test_the_service_says_which_target_computes(several: Path, client: Client) -> None:
    """In /v1/bundle, and where clients of the Open Inference Protocol look for it."""
    own = Classifier(several)
    assert own.target
    about = client.get("/v1/bundle").values["target"]
    assert about["name"] == own.target.name and about["of"] == own.target.of
    config = client.get(f"/v2/models/{several.name}/config").values
    assert config["parameters"] == {"target": {"string_value": own.target.name}}
    answer = client.post({"text": TEXT}).values["answers"][0]
    assert answer["probabilities"] == own.predict(TEXT)
    assert opening.opened(several, target="cpu").target == "cpu"
    with pytest.raises(LmspecError, match="no target 'x'"):
        opening.opened(several, target="x")


def refused(graphs: stage.Needs, out: Path, *wanted: dict[str, Any], **more: Any) -> str:
    with pytest.raises(LmspecError) as caught:
        built(graphs, out, *wanted, **more)
    assert not (out / manifest.NAME).exists()
    return caught.value.found


def replaced(graphs: stage.Needs, tmp_path: Path, name: str) -> stage.Needs:
    """With a copy of one folder, which a test may change."""
    copy = shutil.copytree(graphs[name], tmp_path / "copy")
    return stage.Needs({**graphs.folders, name: copy}, None, graphs.machine, graphs.root)


def test_a_graph_of_another_model_is_no_target(graphs: stage.Needs, tmp_path: Path) -> None:
    """By its labels, by its tokens, and by its answers; and scores are of the graph."""
    other = replaced(graphs, tmp_path, "quantized.b")
    rewritten(other["quantized.b"], lambda table: -table)
    assert "test texts otherwise than quantized.a" in refused(other, tmp_path / "1", VNNI, ANY)
    about = json.loads((other["quantized.b"] / "lmspec.json").read_text())
    (other["quantized.b"] / "lmspec.json").write_text(json.dumps(about | {"labels": ["a"]}))
    assert "its lmspec.json is another" in refused(other, tmp_path / "2", VNNI, ANY)
    wrong = VNNI | {"scores": "scores.a"}
    assert "scores.a scores quantized.a" in refused(graphs, tmp_path / "3", wrong, ANY)


def test_a_target_that_answers_otherwise_than_scored_is_not_built(
    graphs: stage.Needs, tmp_path: Path, processor: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where this machine runs it; else the build says that it was not tried."""
    other = replaced(graphs, tmp_path, "quantized.b")
    rewritten(other["quantized.b"], lambda table: table * np.float32(1.5))
    if processor == "vnni":
        found = refused(other, tmp_path / "b", VNNI, ANY)
        assert "does not answer as scores.b has it" in found
    else:
        built(other, tmp_path / "b", VNNI, ANY)
        assert (
            "target cpu-vnni is not tried here: this processor lacks VNNI"
            in capsys.readouterr().err
        )


def halved() -> onnx.ModelProto:
    """A graph in fp16."""
    return halfprecision.halved(bundles.drawn(8))


def in_int8(most: int) -> onnx.ModelProto:
    """A graph with weights of up to so much."""
    model = bundles.drawn(8)
    values = np.full((4, 4), -most, np.int8)
    model.graph.initializer.append(numpy_helper.from_array(values, "weights"))
    return model


def test_numbers_of_weights_are_read_from_the_graph() -> None:
    """What a spec says does not count."""
    assert halfprecision.weights(bundles.drawn(8)) == halfprecision.Weights(False, 0)
    assert not halfprecision.weights(in_int8(64)).overflows
    assert halfprecision.weights(in_int8(65)).overflows
    assert halfprecision.weights(in_int8(128)).largest == 128
    assert halfprecision.weights(halved()).halves


@pytest.mark.parametrize(
    ("model", "target", "found"),
    [
        (in_int8(127), VNNI | {"instructions": "avx2"}, "overflow in x86 kernels without VNNI"),
        (in_int8(127), VNNI | {"instructions": "any"}, "overflow in x86 kernels without VNNI"),
        (in_int8(64), CUDA | {"of": "quantized.b"}, "in int8, which no card computes"),
        (halved(), VNNI, "in fp16, which is for cards"),
    ],
    ids=["avx2", "any", "cuda", "fp16"],
)
def test_a_graph_that_a_target_cannot_compute_is_refused(
    graphs: stage.Needs, tmp_path: Path, model: onnx.ModelProto, target: dict[str, Any], found: str
) -> None:
    """By its numbers. The controls are built above, and of 7 bits below."""
    other = replaced(graphs, tmp_path, "quantized.b")
    own = ANY if target.get("instructions") != "any" else VNNI | {"of": "quantized.a"}
    own = {key: value for key, value in own.items() if key != "scores"}
    onnx.save(model, other["quantized.b"] / "model.onnx")
    wanted = (own, target) if own["instructions"] == "vnni" else (target, own)
    assert found in refused(other, tmp_path / "b", *wanted)


def test_halves_give_nearly_the_same_logits() -> None:
    """Computed on a processor; inputs and outputs keep their types."""
    model = bundles.drawn(8)
    half = halfprecision.halved(model)
    feeds = {
        "input_ids": np.array([[1, 2, 3]], np.int64),
        "attention_mask": np.ones((1, 3), np.int64),
    }
    before, after = (
        onnxruntime.InferenceSession(one.SerializeToString()).run(None, feeds)[0]
        for one in (model, half)
    )
    assert after.dtype == np.float32 and 0 < np.abs(before - after).max() < 0.01
    assert len(half.SerializeToString()) < 0.6 * len(model.SerializeToString())


def test_a_deployment_has_all_graphs(several: Path, tmp_path: Path) -> None:
    """The folders of a bundle, too, as its manifest has them."""
    deployment.write(opening.opened(several), tmp_path / "there", 8000, ["--target", "cpu"])
    assert manifest.checked(tmp_path / "there/release", ()) == manifest.read(several)
    assert '"--target", "cpu"' in (tmp_path / "there/Dockerfile").read_text()
