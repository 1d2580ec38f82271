"""The model of examples/shell as it is built: which words of a request its commands rest on."""

from pathlib import Path

import pytest

from lmspec import stage
from lmspec.formats import attributions
from lmspec.specs.explained import ExplainedSpec
from lmspec.specs.numerics import Machine, Numerics
from stages import explained
from tests.specs import ROOT

DATA = ROOT / "examples/shell/data"
BUILT = (DATA / "quantized/release/model.onnx.data").is_file()
OF, ON = "quantized.release", "splits.common"
NUMERICS = Numerics(seed=1, threads=2, precision="bf16", instructions="avx512")


@pytest.mark.slow
@pytest.mark.skipif(not BUILT, reason="it is not built")
def test_a_command_rests_on_the_name_of_its_program(tmp_path: Path) -> None:
    """20 requests: in most of them it is the heaviest word, and without it a token of the command
    loses more than half a nat; the words of most weight decide more than random ones."""
    fields = {
        "of": OF,
        "on": ON,
        "rows": {"split": "test", "texts": 20},
        "method": {"kind": "occlusion"},
        "answers": {"text": "generated", "tokens": 40},
        "masking": "remove",
        "fractions": [0.1, 0.2, 0.3, 0.5],
        "batch_size": 1,
        "control": {"seed": 1, "texts": 1},
        "beside": [],
    }
    needs = stage.Needs(
        {name: DATA / name.replace(".", "/") for name in (OF, ON)}, NUMERICS, Machine(device="cpu")
    )
    metrics = explained.build(ExplainedSpec.model_validate(fields), needs, tmp_path).metrics
    weights = [row["attributions"] for row in attributions.read(tmp_path).rows(named=True)]
    assert len(weights) == 20 and metrics["over_random"]["comprehensiveness"]["low"] > 0
    assert sum(each[0] for each in weights) / 20 > 0.5
    assert sum(max(each) == each[0] for each in weights) > 10
