"""A stage imports what its kind of model needs: each library costs it seconds of CPU time."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "sklearn", "onnx", "onnxruntime")


@pytest.mark.parametrize(
    ("modules", "needed"),
    [
        ("stages.model, lmspec.architectures.cnn, lmspec.architectures.rnn", {"torch"}),
        ("stages.updated, stages.scores, lmspec.architectures.linear", {"torch"}),
        ("stages.scores, lmspec.formats.graph", {"onnx", "onnxruntime"}),
        ("stages.corpus, stages.splits", set()),
    ],
)
def test_no_stage_imports_more_than_its_model_needs(modules: str, needed: set[str]) -> None:
    """Networks that are written here need no transformers, and scores no scikit-learn."""
    code = f"import sys, {modules}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == needed


FIXED = """
import os, sys
os.environ["ATEN_CPU_CAPABILITY"] = "default"
import torch
from lmspec.run import determinism
from lmspec.specs.numerics import Numerics
numerics = {"seed": 1, "threads": 1, "precision": "fp32", "instructions": "default"}
determinism.fix(Numerics.model_validate(numerics))
assert torch.are_deterministic_algorithms_enabled()
assert not torch.is_deterministic_algorithms_warn_only_enabled()
print("torch._inductor" in sys.modules, end=" ")
import torch._inductor.config
print(torch._inductor.config.deterministic)
"""


READ = """
import pathlib, sys, torch
from lmspec.architectures import linear
from lmspec.methods import torchrun
folder = pathlib.Path(sys.argv[1])
linear.LinearClassifier(linear.LinearConfig(ngrams=9, num_labels=2)).save_pretrained(folder)
torch.manual_seed(1)
drawn = torch.rand(1)
torch.manual_seed(1)
network = linear.load(folder).eval()
ids = torch.ones(1, 3, dtype=torch.int64).numpy()
torchrun.forward(network)(ids, ids)
print("torch._dynamo" in sys.modules, torch.equal(torch.rand(1), drawn))
"""


def test_reading_a_network_imports_no_compiler_and_draws_nothing(tmp_path: Path) -> None:
    """To score it takes torch alone."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["False", "True"]


def test_deterministic_algorithms_do_not_import_the_compiler() -> None:
    """A stage that compiles has a deterministic compiler all the same."""
    done = subprocess.run(
        [sys.executable, "-c", FIXED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True"]
