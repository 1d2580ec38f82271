"""deployed: the code of a bundle that predicts labels."""

from pathlib import Path

from lmspec.formats import manifest, predict, predict_forms, shipping, targets
from lmspec.methods import abstaining, folding, ngrams, reading, redacting, repairing

# As the stages use them: copied, not written again. Each by its name, by which `lmspec keep` sees
# that their comments are in a bundle.
SHARED = {
    "abstaining": abstaining.__file__,
    "folding": folding.__file__,
    "manifest": manifest.__file__,
    "ngrams": ngrams.__file__,
    "predict_forms": predict_forms.__file__,
    "reading": reading.__file__,
    "redacting": redacting.__file__,
    "repairing": repairing.__file__,
    "targets": targets.__file__,
}
PACKAGES = ("ftfy", "numpy", "onnxruntime", "tokenizers")


def write(out: Path) -> bool:
    """Write it beside the graph. Are the hashes of the packages known?"""
    return shipping.write(out, code(), PACKAGES)


def code() -> dict[str, bytes]:
    """File -> content, of all that a bundle executes."""
    return shipping.code(predict.__file__, SHARED)
