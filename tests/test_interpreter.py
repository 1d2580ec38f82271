"""The interpreter of a stage: what it refuses, and what it sets before any library is imported."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lmspec.run import determinism, environment

CPUINFO = Path("/proc/cpuinfo")
has_avx512 = pytest.mark.skipif(
    not CPUINFO.exists() or "avx512f" not in CPUINFO.read_text(), reason="no AVX-512 here"
)
COMPUTE = """
import hashlib, json
import numpy as np
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

x = np.linspace(-20, 20, 100_003)
values = {"exp": np.exp(x), "log": np.log(np.abs(x) + 1e-3)}
print(json.dumps({
    "features": [name for name in __cpu_dispatch__ if __cpu_features__[name]],
    "bits": {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in values.items()},
}))
"""
# what lmspec.run does first
AS_A_STAGE = """
from pathlib import Path
from lmspec.run import interpreter
interpreter.prepare(Path.cwd())
"""


def computed(tmp_path: Path, code: str, **environment: str) -> Any:
    """What a new process says of numpy."""
    variables = {k: v for k, v in os.environ.items() if k != "NPY_DISABLE_CPU_FEATURES"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=variables | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


@has_avx512
def test_a_stage_computes_the_bits_of_a_processor_without_avx512(tmp_path: Path) -> None:
    """numpy's exp and log are those of AVX2; without the setting both differ in some last bit."""
    stage = computed(tmp_path, AS_A_STAGE + COMPUTE)
    avx2 = computed(tmp_path, COMPUTE, NPY_DISABLE_CPU_FEATURES=environment.AVX512)
    unset = computed(tmp_path, COMPUTE)
    assert stage["features"] == ["X86_V3"] and stage == avx2
    assert {"X86_V3", "X86_V4"} <= set(unset["features"])
    assert all(unset["bits"][name] != bits for name, bits in stage["bits"].items())


def test_numpy_accepts_the_setting_without_a_warning(tmp_path: Path) -> None:
    """Every warning is an error here, and numpy warns of a feature that it does not know."""
    assert "X86_V4" not in computed(tmp_path, AS_A_STAGE + COMPUTE)["features"]


# a network whose operations are divided among threads: convolution, matrix product, reduction
TRAIN = """
import hashlib, json, os
os.environ |= {"OMP_NUM_THREADS": "2", "OMP_DISPLAY_ENV": "verbose", "GOMP_SPINCOUNT": "SPINS"}
import torch
torch.manual_seed(1)
layer, head = torch.nn.Conv1d(64, 64, 3), torch.nn.Linear(64, 2)
rule = torch.optim.AdamW([*layer.parameters(), *head.parameters()], fused=True)
for _ in range(3):
    rule.zero_grad()
    head(layer(torch.randn(64, 64, 64)).relu().amax(2)).square().sum().backward()
    rule.step()
digest = hashlib.sha256(layer.weight.detach().numpy().tobytes()).hexdigest()
print(json.dumps([torch.get_num_threads(), digest]))
"""


def test_no_bit_depends_on_how_long_threads_wait(tmp_path: Path) -> None:
    """torch's OpenMP takes the setting, and the weights of a training are the same."""
    seen = []
    for spins in (determinism.SPINS_ALONE, determinism.SPINS_LOADED):
        code = AS_A_STAGE + TRAIN.replace("SPINS", spins)
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert f"GOMP_SPINCOUNT = '{spins}'" in done.stderr
        seen.append(json.loads(done.stdout))
    assert seen[0] == seen[1] and seen[0][0] == 2


@pytest.mark.parametrize(
    ("running", "threads", "spins"),
    [
        (1, 2, determinism.SPINS_ALONE),
        (2, 2, determinism.SPINS_ALONE),  # the stage itself
        (4, 2, determinism.SPINS_LOADED),
        (3, 1, determinism.SPINS_ALONE),  # one thread waits for no other
        (3, 64, determinism.SPINS_LOADED),
    ],
)
def test_threads_wait_briefly_where_others_use_the_processors(
    running: int, threads: int, spins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the number of running processes; a machine that does not say it counts as idle."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    loadavg = tmp_path / "loadavg"
    assert determinism.spins(threads, loadavg) == determinism.SPINS_ALONE
    loadavg.write_text(f"0.50 0.40 0.30 {running}/321 12345\n")
    assert determinism.spins(threads, loadavg) == spins
