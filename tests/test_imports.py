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
