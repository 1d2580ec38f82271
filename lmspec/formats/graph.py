"""graph: an ONNX classifier on disk, with tokenizer and labels: input_ids, mask -> logits."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument, RuntimeException
from tokenizers import Tokenizer

from lmspec.errors import LmspecError
from lmspec.methods import ngrams
from lmspec.methods.ngrams import AnyTokenizer
from lmspec.methods.predicting import Predictor
from lmspec.methods.reading import Reader
from lmspec.specs.numerics import Machine, Numerics

INPUTS = ("input_ids", "attention_mask")
UNLABELLED = "quantize it by weight_only, and score it with `generation`"


@dataclass(frozen=True)
class Graph:
    """A graph ready to run.

    labels      in the order of the logits
    masks       those it was checked with, of full, right, left, hole
    long_texts  what is read of a text beyond the length to which the tokenizer truncates
    clean       how the texts that the model was trained on were repaired
    private     what its private training has spent
    """

    path: Path
    session: ort.InferenceSession
    tokenizer: AnyTokenizer
    labels: tuple[str, ...]
    pad_id: int
    masks: tuple[str, ...]
    long_texts: str | None
    clean: Mapping[str, bool]
    private: Mapping[str, float] | None = None

    @functools.cached_property
    def reader(self) -> Reader:
        """Encodes texts as the model was trained on them."""
        return Reader(self.tokenizer, self.long_texts)

    def about(self) -> dict[str, object]:
        """What `write` needs of it, for a graph that is made from this one."""
        return {
            "labels": list(self.labels),
            "pad_id": self.pad_id,
            "masks": list(self.masks),
            "long_texts": self.long_texts,
            "clean": dict(self.clean),
        } | ({"private": dict(self.private)} if self.private else {})

    def forward(
        self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """input_ids, attention_mask (b, t) -> logits (b, k)."""
        (logits,) = self.session.run(
            None, dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        )
        return np.asarray(logits, np.float32)


def session(model: Path | bytes, threads: int) -> ort.InferenceSession:
    """Open a session on the CPU: threads within an operation, operations one after the other.

    model  a file, or what such a file holds
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # how long a thread looks for work before it sleeps: as fast alone as onnxruntime's own; beside
    # two busy processes 45 to 345 texts/s instead of 38 to 65 (docs/log.md); no bit depends on it
    options.add_session_config_entry("session.intra_op.spin_duration_us", "100")
    options.log_severity_level = 3
    source = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def read(folder: Path, threads: int) -> Graph:
    """Read what `write` wrote.

    Raises LmspecError if graph, tokenizer and labels are not of one model.
    """
    about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
    if "labels" not in about:
        found = "it is the graph of a model that writes, which has no labels"
        raise LmspecError(str(folder), found, UNLABELLED)
    graph = Graph(
        folder / "model.onnx",
        session(folder / "model.onnx", threads),
        ngrams.tokenizer(folder / "tokenizer.json"),
        tuple(about["labels"]),
        about["pad_id"],
        tuple(about["masks"]),
        about["long_texts"],
        about["clean"],
        about.get("private"),
    )
    _require_agreement(graph)
    return graph


def _require_agreement(graph: Graph) -> None:
    """The last token of the vocabulary, and the padding, each give one logit a label."""
    inputs = [value.name for value in graph.session.get_inputs()]
    if not isinstance(graph.tokenizer, Tokenizer):
        last = graph.tokenizer.get_vocab_size() - 1
    else:
        last = max(graph.tokenizer.get_vocab(with_added_tokens=True).values())
    found = "" if sorted(inputs) == sorted(INPUTS) else f"its inputs are {', '.join(inputs)}"
    for token in () if found else (last, graph.pad_id):
        try:
            shape = graph.forward(np.full((1, 1), token), np.ones((1, 1), np.int64)).shape
        except (ValueError, RuntimeException, InvalidArgument) as error:
            first_line = str(error).partition("\n")[0]
            found = f"it takes no token {token} of tokenizer.json: {first_line}"
            break
        if shape != (1, len(graph.labels)):
            found = f"it gives {shape[-1]} logits, and lmspec.json has {len(graph.labels)} labels"
    if found:
        remedy = "its files are not of one build: `dvc checkout` restores them"
        raise LmspecError(str(graph.path), found, remedy)


def predictor(folder: Path, numerics: Numerics, machine: Machine) -> Predictor:
    """Read a graph for prediction, always on the CPU."""
    graph = read(folder, numerics.threads)
    return Predictor(graph.forward, graph.reader, graph.labels, graph.pad_id)


def write(
    model: onnx.ModelProto,
    tokenizer: AnyTokenizer,
    about: dict[str, object],
    out: Path,
) -> None:
    """Write graph, tokenizer and lmspec.json. about: see Graph.

    The bytes hold no path, time or name of the machine that exported.
    """
    (out / "model.onnx").write_bytes(anonymous(model).SerializeToString(deterministic=True))
    tokenizer.save(str(out / "tokenizer.json"))
    (out / "lmspec.json").write_text(
        json.dumps(about, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without metadata: torch's exporter writes paths of site-packages into every node."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = [*copy.graph.node, *(node for function in copy.functions for node in function.node)]
    for part in [
        copy,
        copy.graph,
        *copy.functions,
        *nodes,
        *copy.graph.input,
        *copy.graph.output,
        *copy.graph.initializer,
    ]:
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    del copy.graph.value_info[:]
    return copy
