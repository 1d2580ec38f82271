"""determinism: settings under which a build computes the same bits, and where."""

import os
import sys
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lmspec.errors import LmspecError
from lmspec.run.declaration import PARAMS, Declaration
from lmspec.specs.numerics import Machine, Numerics

# `numerics.instructions` in the words of torch, oneDNN and MKL, which honours it only on Intel CPUs
INSTRUCTIONS = MappingProxyType(
    {
        "default": ("default", "SSE41", "SSE4_2"),
        "avx2": ("avx2", "AVX2", "AVX2"),
        "avx512": ("avx512", "AVX512_CORE_BF16", "AVX512"),
        "amx": ("avx512", "AVX512_CORE_AMX", "AVX512"),
    }
)


# read when a library of linear algebra or of threads is loaded; without them it counts processors
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# How often a thread of OpenMP looks for work before it sleeps. By itself it does so for 16 ms, and
# beside other load uses up its share of a processor, while those that it waits for have none. No
# bit depends on it (bench/load.md).
SPINS = "GOMP_SPINCOUNT"
SPINS_ALONE, SPINS_LOADED = "20000", "1000"  # 1 ms, which costs nothing alone, and 50 us
OURS = 2  # processes of a stage that may be running: the supervisor and the build
LOOKS, LOOK_SECONDS = 3, 0.003


def limit_threads(params: Mapping[str, Any], declared: Declaration) -> None:
    """Before the first import: as many threads as `numerics` says, one if a stage has none.

    params: name -> value of the parameters in params.yaml
    """
    has_numerics = "numerics" in declared.watched[PARAMS]
    count = params["numerics"]["threads"] if has_numerics else 1
    os.environ.update(dict.fromkeys(THREADS, str(count)))
    os.environ[SPINS] = spins(count)


def spins(threads: int, loadavg: Path = Path("/proc/loadavg")) -> str:
    """How often so many threads may look for work: rarely if others are using the processors."""
    others = []
    for _ in range(LOOKS if threads > 1 and loadavg.exists() else 0):
        running = loadavg.read_text(encoding="ascii").split()[3].partition("/")[0]
        others.append(int(running) - OURS)
        time.sleep(LOOK_SECONDS)
    is_loaded = min(others, default=0) + threads > max(os.cpu_count() or 1, threads)
    return SPINS_LOADED if is_loaded else SPINS_ALONE


def same_bits_on(packages: Collection[str]) -> str:
    """Processors on which a build that imported these packages gives the same bits.

    onnxruntime chooses its kernels by processor, and no setting limits them. MKL, beneath torch,
    has other kernels for Intel's CPUs than for others. numpy's are limited by run/interpreter.py.
    """
    if "onnxruntime" in packages:
        return "processors with the same instructions"
    maker = " of the same maker" if "torch" in packages else ""
    return f"x86-64 processors{maker} with AVX2"


def fix(numerics: Numerics) -> None:
    """Fix instructions, threads, algorithms and seed, where the stage has imported torch.

    Raises LmspecError if this processor lacks the instructions.
    """
    aten, onednn, mkl = INSTRUCTIONS[numerics.instructions]
    os.environ["ATEN_CPU_CAPABILITY"] = aten
    os.environ["ONEDNN_MAX_CPU_ISA"], os.environ["MKL_ENABLE_INSTRUCTIONS"] = onednn, mkl
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    os.environ["TORCHINDUCTOR_DETERMINISTIC"] = "1"
    torch = sys.modules.get("torch")
    if torch is None:
        return
    capability = torch.backends.cpu.get_cpu_capability().lower()
    has_amx = numerics.instructions != "amx" or torch.cpu.get_capabilities().get("amx_bf16")
    if capability != aten or not has_amx:
        raise LmspecError(
            "params.yaml: numerics.instructions",
            f"it is '{numerics.instructions}', but torch uses '{capability}' on this processor",
            "build on a processor that has them, or change the field; the bits will differ",
        )
    torch.set_num_threads(numerics.threads)
    if "torch._inductor" in sys.modules:
        torch.use_deterministic_algorithms(True)
    else:  # the same without its import of the compiler, which has its setting above: a second
        torch.set_deterministic_debug_mode("error")
    # else each new tensor is filled before it is written to: a tenth of a training's time
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.manual_seed(numerics.seed)


def require_device(machine: Machine, card: int) -> None:
    """Take the card of that number for `cuda`, if params.yaml asks for one.

    Raises LmspecError if torch finds none, or too few for the processes that train together.
    """
    torch = sys.modules.get("torch")
    if machine.device != "cuda" or torch is None:
        return
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cards == 0:
        place = "params.yaml: machine.device"
        raise LmspecError(place, "it is 'cuda', but torch finds no such device", "set it to cpu")
    if card >= cards:
        place = "params.yaml: numerics.world"
        found = f"it needs {card + 1} or more cards of this machine, and torch finds {cards}"
        remedy = f"set it to {cards}; the bits will differ"
        raise LmspecError(place, found, remedy)
    torch.cuda.set_device(card)
