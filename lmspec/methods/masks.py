"""masks: what a word leaves behind that is taken away."""

from lmspec.errors import LmspecError
from lmspec.methods.wordreader import WordReader
from lmspec.specs.explained import ExplainedSpec

NO_MASK = "its tokenizer has no mask token", "write `masking: remove`"


def of(spec: ExplainedSpec, reader: WordReader) -> int | None:
    """The token in its place; None if nothing is. Raises LmspecError if there is no such token."""
    if spec.masking == "remove":
        return None
    if reader.mask_id is None:
        raise LmspecError("explained.masking", f"{spec.of}: {NO_MASK[0]}", NO_MASK[1])
    return reader.mask_id
