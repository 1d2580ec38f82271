"""light: which heavy libraries a command imports."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "numpy", "polars", "dvc", "onnx", "sklearn", "pydantic", "rich")


def output(*arguments: str, but: str = "") -> str:
    """What a command prints, which has to succeed without importing a heavy library.

    but  one that it may import
    """
    script = (
        "import sys; from lmspec.cli.main import main\n"
        f"try: main({list(arguments)!r})\n"
        f"finally: print(sorted(set({HEAVY!r}) & set(sys.modules) - {{{but!r}}}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    *lines, imported = run.stdout.splitlines()
    assert run.returncode == 0 and imported == "[]", run.stderr
    return "\n".join(lines)
