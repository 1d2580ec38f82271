"""exported, of a model that writes: a file for llama.cpp.   model, splits -> model.gguf

stages/exported.py begins it.
"""

import itertools
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from transformers import PreTrainedModel

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import conversations, converted, documents, gguf_written, writer
from lmspec.specs.exported import ExportedSpec, Gguf
from lmspec.writing import fidelity, llamacpp, parity
from lmspec.writing.generating import Ids
from lmspec.writing.prompting import PLAIN, USER, Turn, Writer
from lmspec.writing.torchdecoder import TorchDecoder

COMPARED = 16  # dev rows
REPORT = "do not ship it: report the model"


def build(spec: ExportedSpec, form: Gguf, needs: stage.Needs, out: Path) -> stage.Report:
    """Write the file, read it back as a source, and compare that with the model."""
    place, source = f"exported, of {spec.of}", writer.read(needs[spec.of])
    write(source, form.weights, out)
    with tempfile.TemporaryDirectory() as scratch:
        converted.convert(out, Path(scratch))
        read = causal.load(Path(scratch)).eval()
        words = Tokenizer.from_file(str(Path(scratch, "tokenizer.json")))
    require_stored(source.model, read, form.weights, place)
    model, made = TorchDecoder(source.model), TorchDecoder(read)
    splits, seed = needs[form.prompts], needs.bits.seed
    dev = conversations.read(splits, "dev", source.writer, COMPARED, seed)
    rows, learned = list(dev.ids[:COMPARED]), list(dev.learned[:COMPARED])  # of a text, windows
    worst = largest_difference(model, made, rows)
    if not worst <= spec.max_logit_difference:
        found = f"with weights in {form.weights}, a logit differs from the model's by {worst:.3g};"
        remedy = "raise max_logit_difference if you can bear it, or write more bits"
        found += f" {spec.max_logit_difference:g} is accepted"
        raise LmspecError(place, found, remedy)
    plain, longest = source.writer.kind == PLAIN, model.positions - parity.NEW_TOKENS
    prompts = fidelity.prompts(rows, learned, plain, longest)
    same, lines = parity.answered_alike(
        place,
        model,
        made,
        prompts,
        source.tokenizer,
        source.writer.end_id,
        spec.max_logit_difference,
    )
    for line in lines:
        stage.say(line)
    report = {
        "largest_logit_difference": worst,
        "greedy_same": same,
        "same_prompts": same_prompts(source.writer, words, turns_of(splits, plain, seed), place),
        "bytes": (out / gguf_written.FILE).stat().st_size,
    }
    return stage.Report(report)


def write(source: writer.WriterModel, weights: str, out: Path) -> None:
    """Write model.gguf, and lmspec.json, which says what the folder holds."""
    model, writes = source.model, source.writer
    rows = model.get_input_embeddings().num_embeddings
    ids = {
        "bos": writes.bos_id if writes.bos_id is not None else model.config.bos_token_id,
        "eos": writes.end_id,
        "padding": source.pad_id,
    }
    settings = llamacpp.settings(model.config)
    settings |= llamacpp.tokens(source.tokenizer, rows, ids, writes.bos_id is not None)
    if writes.kind != PLAIN:
        settings[converted.TEMPLATE] = writer.chat_template(source.prompt)
    shapes = {name: tensor.shape for name, tensor in llamacpp.expected(model).items()}
    file = out / gguf_written.FILE
    gguf_written.write(file, settings, shapes, llamacpp.tensors(model), weights)
    text = json.dumps({"kind": "gguf", "weights": weights}, indent=2) + "\n"
    (out / "lmspec.json").write_text(text, encoding="utf-8")


def require_stored(model: PreTrainedModel, read: PreTrainedModel, weights: str, place: str) -> None:
    """Raise LmspecError unless the weights that are read back are those of the model: bit for bit
    in 32 bits, else as near as they are rounded to."""
    state, back = model.state_dict(), read.state_dict()
    for tensor in llamacpp.expected(model).values():
        own, other = (each[tensor.name].float().cpu().numpy() for each in (state, back))
        if not (np.abs(other - own) <= gguf_written.furthest(own, weights)).all():
            found = f"{tensor.name} is read back with other numbers than the model has"
            raise LmspecError(place, found, REPORT)


def largest_difference(model: TorchDecoder, made: TorchDecoder, rows: Sequence[Ids]) -> float:
    """Of a logit, over all tokens of some rows."""
    both = zip(model.logits(rows), made.logits(rows), strict=True)
    return max(float(np.abs(one - other).max()) for one, other in both)


def turns_of(splits: Path, plain: bool, seed: int) -> list[list[Turn]]:
    """Dev prompts as they are, up to where an answer begins."""
    if plain:
        texts = itertools.islice(documents.Texts(splits, "dev"), COMPARED)
        return [[(USER, text)] for text in texts]
    return [row[:-1] for row in conversations.read_turns(splits, "dev", COMPARED, seed)]


def same_prompts(
    writes: Writer, words: Tokenizer, prompts: Iterable[Sequence[Turn]], place: str
) -> float:
    """Share of prompts that are the same tokens when they are read as one text, as llama.cpp does,
    template and contents together.

    words  the tokenizer that is read back. Raises LmspecError if it is another one.
    """
    same: list[bool] = []
    for turns in prompts:
        text = "".join(part for part, _ in writes.shown(turns))
        if writes.kind == PLAIN:
            text = text.removesuffix(writes.end)
        own, whole = (
            each.encode(text, add_special_tokens=False).ids for each in (writes.tokenizer, words)
        )
        if own != whole:
            found = f"{text[:60]!r} is read as other tokens than by the model"
            raise LmspecError(place, found, REPORT)
        if writes.kind == PLAIN:
            whole = words.encode(text).ids
        ids = writes.prompt_ids(turns).tolist()
        same.append(ids == whole)
        if not same[-1] and sum(same) == len(same) - 1:
            stage.say(f"read as one text, a prompt is other tokens: {parted(words, ids, whole)}")
    share = sum(same) / len(same)
    stage.say(f"{sum(same)} of {len(same)} dev prompts are the same tokens read as one text")
    return share


def parted(words: Tokenizer, ids: Sequence[int], whole: Sequence[int]) -> str:
    """The tokens where both differ first."""
    place = fidelity.common(ids, whole)
    one, other = (
        "".join(f"[{words.id_to_token(i)}]" for i in each[place : place + 3])
        for each in (whole, ids)
    )
    return f"{one} in place of {other}"
