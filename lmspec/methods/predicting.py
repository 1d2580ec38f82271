"""predicting: what scores and speed need of a model or graph."""

from dataclasses import dataclass

from lmspec.methods.reading import Forward, Reader


@dataclass(frozen=True)
class Predictor:
    """The logits of a batch, and how texts become one.

    forward  input_ids, attention_mask (b, t) -> logits (b, k)
    labels   in the order of the logits
    """

    forward: Forward
    reader: Reader
    labels: tuple[str, ...]
    pad_id: int
