"""deployed_writing: the code of a bundle that writes."""

from pathlib import Path

from lmspec.formats import manifest, predict_forms, predict_writing, shipping
from lmspec.methods import folding, redacting, repairing
from lmspec.writing import constraining, generating, growing, onnxdecoder, prompting, sampling

# As in formats/deployed.py.
SHARED = {
    "constraining": constraining.__file__,
    "folding": folding.__file__,
    "generating": generating.__file__,
    "growing": growing.__file__,
    "manifest": manifest.__file__,
    "onnxdecoder": onnxdecoder.__file__,
    "predict_forms": predict_forms.__file__,
    "prompting": prompting.__file__,
    "redacting": redacting.__file__,
    "repairing": repairing.__file__,
    "sampling": sampling.__file__,
}
PACKAGES = ("ftfy", "numpy", "onnxruntime", "tokenizers")


def write(out: Path, constrained: bool) -> bool:
    """Write it beside the graph. Are the hashes of the packages known?

    constrained  does it write under a constraint without being asked to?
    """
    packages = (*PACKAGES, *[shipping.OPTIONAL] * constrained)
    return shipping.write(out, code(), packages)


def code() -> dict[str, bytes]:
    """File -> content, of all that a bundle executes."""
    return shipping.code(predict_writing.__file__, SHARED)
