"""traced, of a model that writes: the answers of a pair are texts. stages/traced.py begins it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import kinds, writer
from lmspec.methods.interchange import Asked
from lmspec.methods.layered import Layered
from lmspec.methods.reading import Ids, Windows
from lmspec.methods.tracing import Traceable
from lmspec.specs.contrasts import Contrast, Pair
from lmspec.specs.traced import TracedSpec
from lmspec.writing.prompting import ASSISTANT, PLAIN, USER, PromptError, TooLong, Writer


def opened(spec: TracedSpec, needs: stage.Needs, given: Sequence[Contrast]) -> Traceable:
    """The network, ready to be asked. Raises LmspecError if it writes nothing."""
    torch.set_num_threads(needs.bits.threads)
    model = read(spec.of, needs[spec.of])

    def windows(rows: Sequence[Mapping[str, Any]]) -> Windows:
        ids = [one for row in rows for one in _examples(row, model.writer)]
        nothing = np.zeros(len(ids), np.int64)
        return Windows(ids, np.arange(len(ids)), nothing, nothing, None)

    return Traceable(
        Layered(model.model.to(needs.machine.device)),
        model.pad_id,
        lambda text, pair: asked(text, pair, model.writer),
        lambda number: str(model.tokenizer.decode([number], skip_special_tokens=False)),
        ("test",),
        windows,
        against=None if spec.against is None else read(spec.against, needs[spec.against]).model,
    )


def read(name: str, folder: Path) -> writer.WriterModel:
    """A model that writes token by token."""
    if (kind := kinds.kind_of(folder)) != writer.KIND:
        found = f"{name} is of kind {kind}, which writes no token after another"
        raise LmspecError("traced.of", found, "write `answers: labels`")
    return writer.read(folder)


def asked(text: str, pair: Pair, shown: Writer) -> Asked:
    """A prompt with its two answers, without their ends; the last token of each is not read."""
    try:
        prompt = shown.prompt_ids([(USER, text)])
        answers = [answer_ids(text, answer, shown) for answer in pair.answers]
    except PromptError as error:
        raise LmspecError("architecture.prompt", error.found, error.remedy) from error
    sequences = [np.concatenate([prompt, answer[:-1]]) for answer in answers]
    alike = len(sequences[0]) == len(sequences[1]) and bool((sequences[0] == sequences[1]).all())

    def log_odds(found: Sequence[Tensor]) -> Tensor:
        first, second = (
            _log_likelihood(logits, len(prompt), answer)
            for logits, answer in zip((found[0], found[-1]), answers, strict=True)
        )
        return first - second

    return Asked(tuple(sequences[:1] if alike else sequences), len(prompt), log_odds)


def answer_ids(prompt: str, answer: str, shown: Writer) -> Ids:
    """(t,) an answer as the model is trained to write it, without its end. Raises PromptError."""
    if shown.kind == PLAIN:
        ids = shown.prompt_ids([(USER, answer)])[int(shown.bos_id is not None) :]
    else:
        example = shown.example([(USER, prompt), (ASSISTANT, answer)])
        if isinstance(example, TooLong):
            found = f"{prompt!r} with {answer!r} has {example.tokens} tokens"
            raise PromptError(found, f"write less: {shown.max_length} are read")
        ids = example[0][len(shown.prompt_ids([(USER, prompt)])) : -1]
    if not len(ids):
        raise PromptError(f"the answer {answer!r} has no token", "write another")
    return ids


def _log_likelihood(logits: Tensor, start: int, answer: Ids) -> Tensor:
    """(b,) nats: of an answer (n,) after `start` tokens, by logits (b, t, V)."""
    each = torch.log_softmax(logits[:, start - 1 : start - 1 + len(answer)].double(), -1)
    wanted = torch.from_numpy(answer).to(each.device).expand(len(each), -1)[..., None]
    return each.gather(-1, wanted)[..., 0].sum(-1)


def _examples(row: Mapping[str, Any], shown: Writer) -> Iterator[Ids]:
    """What is read of a row; nothing of one that is too long."""
    if shown.kind == PLAIN:
        yield next(shown.windows(row["text"]))[0]
        return
    try:
        example = shown.example([(turn["role"], turn["content"]) for turn in row["turns"]])
    except PromptError as error:
        raise LmspecError("architecture.prompt", error.found, error.remedy) from error
    if not isinstance(example, TooLong):
        yield example[0]
