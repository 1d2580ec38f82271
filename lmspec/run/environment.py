"""environment: the variables that a stage sees: a few of its caller's, and fixed ones.

No cache key has the environment, and libraries read hundreds of variables: for threads (OMP_*,
GOMP_*, KMP_*, MKL_*, OPENBLAS_*, RAYON_*, POLARS_*), for instructions and algorithms (ATEN_*,
DNNL_*, ONEDNN_*, NPY_*, NVIDIA_TF32_OVERRIDE, GLIBC_TUNABLES), for debugging (TORCH_*, ORT_*), for
places (HF_*, XDG_*, LOCPATH), for language and time (LANG, LC_*, TZ), and Python's own. So none
passes that is not listed here. run/determinism.py sets what follows from `numerics`.
"""

import contextlib
import locale
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

PASSED = frozenset(
    {
        "PATH",
        "HOME",  # until run/child.py sets another
        "TMPDIR",
        "LD_LIBRARY_PATH",  # of what is there, a sandbox lets through the drivers of a GPU alone
        "DVC_STAGE",  # says that DVC started this
        "LMSPEC_TRACKING",  # for run/recorder.py; run/child.py removes it
        "PYTHONHASHSEED",  # dvc.yaml sets it
        "PYTHONUNBUFFERED",
        # which GPU, and how its memory is divided
        "CUDA_DEVICE_ORDER",
        "CUDA_VISIBLE_DEVICES",
        "HIP_VISIBLE_DEVICES",
        "HSA_OVERRIDE_GFX_VERSION",
        "PYTORCH_ALLOC_CONF",
        "PYTORCH_CUDA_ALLOC_CONF",
        "ROCR_VISIBLE_DEVICES",
        # where the ranks of several machines meet (run/ranks.py)
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        "GLOO_SOCKET_IFNAME",
        "NCCL_SOCKET_IFNAME",
    }
)
QUIET = MappingProxyType(
    {
        # no model hub is asked for what a stage did not declare
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        # a log stays readable
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
)
# Read before any code of Python runs, so dvc.yaml sets it, too: libraries get memory in pages of
# 2 MB, where the kernel has them for who asks. MiniLM trained at 1.06 to 1.1 times the speed.
HUGE_PAGES = MappingProxyType({"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"})
FIXED = MappingProxyType(
    {
        **HUGE_PAGES,
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "LOGNAME": "lmspec",  # a user may have no name in a container, and torch asks for it
        "USER": "lmspec",
        "OPENSSL_CONF": os.devnull,
        **QUIET,
    }
)
# What numpy dispatches to beyond AVX2. Its float64 exp and log differ there in the last bit, and
# with them log loss and calibration error: so no processor uses it. numpy ignores the names of
# features that a processor lacks. Its OpenBLAS takes the kernels of that name, for AVX2.
AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
# read by the dynamic loader, by the C library or by Python before any code of lmspec runs
READ_AT_START = ("LD_", "GLIBC_", "MALLOC_", "GCONV_", "LOCPATH", "PYTHON")


def clean(caller: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of a stage. home: the folder that holds lmspec."""
    kept = {name: value for name, value in caller.items() if name in PASSED}
    # the only place of PYTHONPATH that a stage may import from
    entries = caller.get("PYTHONPATH", "").split(os.pathsep)
    if any(entry and Path(entry).resolve() == home.resolve() for entry in entries):
        kept["PYTHONPATH"] = str(home)
    return {**kept, **FIXED, **_of_numpy()}


def enter(home: Path) -> None:
    """Replace this process's environment by that of a stage.

    Restarts Python where a variable that is not passed has acted on its start already.
    """
    variables = clean(os.environ, home)
    acted = {name for name in os.environ if name.startswith(READ_AT_START)}
    encoding = "utf-8" if sys.flags.utf8_mode else locale.getencoding().lower()
    other_text = encoding not in ("utf-8", "utf8") and os.environ.get("LC_ALL") != FIXED["LC_ALL"]
    if other_text or any(variables.get(name) != os.environ[name] for name in acted):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], variables)
    os.environ.clear()
    os.environ.update(variables)
    time.tzset()
    with contextlib.suppress(locale.Error):  # an old system has no C.UTF-8
        locale.setlocale(locale.LC_CTYPE, FIXED["LC_ALL"])


def keep() -> None:
    """For a stage that fetches: its caller's variables, with proxy and credentials, and QUIET.

    Whatever they do, the hash of what it fetches is declared.
    """
    os.environ.update({**QUIET, **_of_numpy()})


def detach() -> None:
    """Let no input through standard input, nor through another descriptor that is open already."""
    for entry in list(Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError):  # that of the folder itself
            if int(entry.name) > 2:
                os.close(int(entry.name))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    if null:
        os.close(null)


def _of_numpy() -> dict[str, str]:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {}
    processors = Path("/proc/cpuinfo")
    has_avx2 = processors.exists() and b" avx2 " in processors.read_bytes()
    kernels = {"OPENBLAS_CORETYPE": "Haswell"} if has_avx2 else {}
    return {"NPY_DISABLE_CPU_FEATURES": AVX512, **kernels}
