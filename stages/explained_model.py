"""explained, of a torch model: its network, and the methods that look into it."""

import importlib
from pathlib import Path

import torch

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint
from lmspec.methods import attributing, masks, shuffled, torchrun
from lmspec.methods.attributing import Attribution
from lmspec.methods.network import Classifier
from lmspec.methods.predicting import Predictor
from lmspec.methods.subject import Subject
from lmspec.methods.wordreader import WordReader
from lmspec.specs.explained import COMPUTED_BY, ExplainedSpec


def opened(spec: ExplainedSpec, needs: stage.Needs, scratch: Path | None = None) -> Subject:
    """The model as it is; with `scratch`, whose folder it leaves empty, its weights shuffled."""
    torch.set_num_threads(needs.bits.threads)
    model = checkpoint.read(needs[spec.of])
    if scratch is not None:
        shuffled.shuffle(model.model, spec.control.seed)
    model.model.to(needs.machine.device)
    reader = WordReader(model.tokenizer, model.long_texts)
    mask_id = masks.of(spec, reader)
    instead = model.pad_id if mask_id is None else mask_id
    return Subject(
        Predictor(torchrun.forward(model.model), reader, model.labels, model.pad_id),
        reader,
        mask_id,
        spec.batch_size,
        _attribution(spec, model.model, reader, instead, needs.bits.seed),
    )


def _attribution(
    spec: ExplainedSpec, network: Classifier, reader: WordReader, instead: int, seed: int
) -> Attribution:
    """Raises LmspecError if the method looks at tokens, and the model reads n-grams."""
    kind = spec.method.kind
    if kind not in COMPUTED_BY:
        return attributing.MODEL_FREE[kind](spec.method, seed)
    if not reader.is_of_tokens or reader.beside_ngrams:
        found = f"{spec.of} reads n-grams, which have no embedding in the order of the words"
        raise LmspecError("explained.method", found, "use occlusion or shapley")
    made: Attribution = importlib.import_module(COMPUTED_BY[kind]).made(
        spec.method, network, instead
    )
    return made
