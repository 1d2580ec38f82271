"""A spec's `generation` is one request, whichever stage asks."""

from pathlib import Path

import numpy as np
import pytest

from lmspec.specs.generation import Decoding
from lmspec.writing.generating import Request, key_of
from lmspec.writing.requesting import requested
from lmspec.writing.sampling import Sampling
from tests.specs import ROOT

SAMPLED = {
    "kind": "sample",
    "temperature": 0.8,
    "top_k": 40,
    "top_p": 0.9,
    "min_p": 0.05,
    "seed": 7,
}
IDS = np.array([5, 3, 8])


def rule(decode: object, end_penalty: float | None = 0.7) -> Decoding:
    fields = {"decode": decode, "new_tokens": 12, "stop": ["\n"], "repetition_penalty": 1.2}
    return Decoding.model_validate({**fields, "end_penalty": end_penalty, "constraint": None})


def test_each_field_is_asked_for() -> None:
    """Greedy and drawn; without an end penalty it is 0."""
    expected = Request(IDS, 12, None, ("\n",), key_of(IDS), 1.2, None, 0.7)
    assert vars(requested(IDS, rule({"kind": "greedy"}))) == vars(expected)
    drawn = requested(IDS, rule(SAMPLED, None), key=11)
    assert drawn.sampling == Sampling(0.8, top_p=0.9, top_k=40, min_p=0.05, seed=7)
    assert (drawn.key, drawn.end_penalty) == (11, 0.0)


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_no_stage_reads_how_tokens_are_drawn(path: Path) -> None:
    """A field that is added to `decode` is added once."""
    assert "Sampling" not in path.read_text()
