"""explained, of a model that writes: which words of a prompt its answer rests on."""

import importlib
from pathlib import Path

import torch

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import kinds, writer
from lmspec.methods import attributing, shuffled
from lmspec.specs.explained import ANSWER_GRADIENTS, COMPUTED_BY, ExplainedSpec
from lmspec.writing.prompted import Prompts
from lmspec.writing.torchdecoder import TorchDecoder
from lmspec.writing.wordwriter import WordWriter


def opened(spec: ExplainedSpec, needs: stage.Needs, scratch: Path | None = None) -> Prompts:
    """The model as it is; with `scratch`, whose folder it leaves empty, its weights shuffled.

    Raises LmspecError if it writes nothing.
    """
    torch.set_num_threads(needs.bits.threads)
    if (kind := kinds.kind_of(needs[spec.of])) != writer.KIND:
        found = f"{spec.of} is of kind {kind}, which writes no token after another"
        raise LmspecError("explained.answers", found, "remove it: labels are explained")
    model = writer.read(needs[spec.of])
    if scratch is not None:
        shuffled.shuffle(model.model, spec.control.seed)
    model.model.to(needs.machine.device)
    own = model.tokenizer, model.prompt, model.max_length, model.long_texts
    asked, kind = WordWriter(*own), spec.method.kind
    if kind in COMPUTED_BY:
        gradients = importlib.import_module(ANSWER_GRADIENTS)
        attribution = gradients.made(spec.method, model.model, asked.filler_id)
    else:
        attribution = attributing.MODEL_FREE[kind](spec.method, needs.bits.seed)
    assert spec.answers is not None
    leave_out = spec.masking == "remove"
    return Prompts(TorchDecoder(model.model), asked, spec.answers, leave_out, attribution)
