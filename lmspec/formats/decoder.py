"""decoder: an ONNX graph that writes, on disk: its weights beside it, its tokenizer, its prompt."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NoSuchFile,
    RuntimeException,
)
from tokenizers import Tokenizer

from lmspec.errors import LmspecError
from lmspec.specs.checks.exported import GGUF
from lmspec.writing.onnxdecoder import OnnxDecoder
from lmspec.writing.onnxgraph import Graph
from lmspec.writing.prompting import PromptError, Writer

KIND = "cache"
GRAPH, WEIGHTS = "model.onnx", "model.onnx.data"
INLINE = 2**14  # bytes: larger constants are in WEIGHTS
PAGE = 4096  # bytes: where they begin, so that they can be mapped into memory
RESTORE = "its files are not of one build: `dvc checkout` restores them"
FAILURES = Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, RuntimeException


@dataclass(frozen=True)
class Decoding:
    """A graph ready to write.

    about  what lmspec.json says: see `write`
    """

    folder: Path
    decoder: OnnxDecoder
    tokenizer: Tokenizer
    about: Mapping[str, Any]

    @functools.cached_property
    def writer(self) -> Writer:
        """Encodes conversations as the model was trained on them.

        Raises LmspecError if the prompt does not suit the tokenizer.
        """
        own = self.about["prompt"], self.about["max_length"], self.about["long_texts"]
        try:
            return Writer(self.tokenizer, *own)
        except PromptError as error:
            raise LmspecError(str(self.folder), error.found, error.remedy) from error

    @property
    def bytes(self) -> int:
        """Of the graph and its weights."""
        files = (self.folder / name for name in (GRAPH, WEIGHTS))
        return sum(file.stat().st_size for file in files)


def write(graph: Graph, tokenizer: Tokenizer, about: Mapping[str, Any], out: Path) -> None:
    """Write graph, weights, tokenizer and lmspec.json. The same graph gives the same bytes.

    about  prompt, end_id, pad_id, max_length, long_texts and clean, as formats/writer.py has them;
           max_past: how many tokens the graph reads, prompt and answer
    """
    write_graph(graph, out)
    tokenizer.save(str(out / "tokenizer.json"))
    text = json.dumps({"kind": KIND} | dict(about), indent=2, ensure_ascii=False) + "\n"
    (out / "lmspec.json").write_text(text, encoding="utf-8")


def write_graph(graph: Graph, out: Path) -> None:
    """Write the graph, and its large constants in a file of their own, in their order."""
    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    del model.graph.initializer[:]
    with (out / WEIGHTS).open("wb") as file:
        for name, value in graph.constants.items():
            if value.nbytes <= INLINE:
                model.graph.initializer.append(numpy_helper.from_array(_whole(value), name))
                continue
            file.write(b"\0" * (-file.tell() % PAGE))
            place = {"location": WEIGHTS, "offset": file.tell(), "length": value.nbytes}
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            tensor = model.graph.initializer.add(name=name, data_type=kind, dims=value.shape)
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, text in place.items():
                tensor.external_data.add(key=key, value=str(text))
            file.write(_whole(value).data)
    (out / GRAPH).write_bytes(model.SerializeToString(deterministic=True))


def _whole(value: NDArray[Any]) -> NDArray[Any]:
    """The same numbers, in order and little-endian."""
    return np.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(value.shape)


def load(folder: Path) -> Graph:
    """The graph and its constants, those of the other file as maps into it."""
    model = onnx.load(folder / GRAPH, load_external_data=False)
    constants = {tensor.name: _constant(tensor, folder) for tensor in model.graph.initializer}
    del model.graph.initializer[:]
    return Graph(model, constants)


def _constant(tensor: onnx.TensorProto, folder: Path) -> NDArray[Any]:
    if tensor.data_location != onnx.TensorProto.EXTERNAL:
        return numpy_helper.to_array(tensor)
    place = {entry.key: entry.value for entry in tensor.external_data}
    kind = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    offset, shape = int(place["offset"]), tuple(tensor.dims)
    return np.memmap(folder / WEIGHTS, kind, "r", offset, shape)


def read(folder: Path, threads: int) -> Decoding:
    """Read what `write` wrote.

    Raises LmspecError if it is a classifier's graph, or its files are not of one model.
    """
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    if (kind := about.get("kind")) != KIND:
        found = "it is the graph of a classifier, which writes nothing"
        if kind == GGUF:
            found = "it is a GGUF, which nothing of lmspec runs"
        raise LmspecError(str(folder), found, "take a graph of a model of kind causal")
    try:
        decoder = OnnxDecoder(folder / GRAPH, about["max_past"], threads)
    except (ValueError, *FAILURES) as error:
        first_line = str(error).partition("\n")[0]
        raise LmspecError(str(folder / GRAPH), first_line, RESTORE) from error
    file = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # tokenizers raises plain Exception
        raise LmspecError(str(file), f"it cannot be read: {error}", RESTORE) from error
    last = max([about["pad_id"], *tokenizer.get_vocab(with_added_tokens=True).values()])
    if last >= decoder.vocabulary:
        found = f"it has token {last}, and the graph {decoder.vocabulary:,} logits"
        raise LmspecError(str(file), found, RESTORE)
    made = Decoding(folder, decoder, tokenizer, about)
    if made.writer.end_id != about["end_id"]:
        found = f"its end is token {about['end_id']}, which is {made.writer.end_id} here"
        raise LmspecError(str(file), found, RESTORE)
    return made
