"""exported, of a model that writes: a graph with a cache.   model, splits -> model.onnx, ...

stages/exported.py begins it.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, decoder, writer
from lmspec.specs.exported import Cache, ExportedSpec
from lmspec.writing import exporting, fidelity, parity
from lmspec.writing.generating import Floats, Ids
from lmspec.writing.onnxdecoder import OnnxDecoder
from lmspec.writing.prompting import PLAIN
from lmspec.writing.torchdecoder import TorchDecoder

PROBES = 7  # number of its stream of draws
ROWS, LONGEST = 8, 65  # of the probes, but for one that is as long as the graph reads
ANSWERED = 16  # dev prompts
Difference = tuple[float, str]  # of a logit, and where


def build(spec: ExportedSpec, form: Cache, needs: stage.Needs, out: Path) -> stage.Report:
    """Write the graph, then compare its logits and its answers with the model's."""
    assert spec.opset is not None  # operators_are_of_a_graph
    source = writer.read(needs[spec.of])
    graph = exporting.export(source.model, form.max_past, spec.opset)
    about = {
        "prompt": dict(source.prompt),
        "end_id": source.writer.end_id,
        "pad_id": source.pad_id,
        "max_length": source.max_length,
        "long_texts": source.long_texts,
        "clean": dict(source.clean),
        "max_past": form.max_past,
    }
    decoder.write(graph, source.tokenizer, about, out)
    made = decoder.read(out, needs.bits.threads)
    model = TorchDecoder(source.model)
    rows = probes(source.tokenizer.get_vocab_size(), form.max_past)
    worst, where = largest_difference(made.decoder, rows, list(model.logits(rows)))
    if not worst <= spec.max_logit_difference:
        raise LmspecError(
            f"exported, of {spec.of}",
            f"a logit of the graph differs from the model's by {worst:.3g} ({where});"
            f" {spec.max_logit_difference:g} is accepted",
            "do not ship it: try another opset, or report the model",
        )
    prompts = dev_prompts(needs[form.prompts], source, form.max_past, needs.bits.seed)
    same, lines = parity.answered_alike(
        f"exported, of {spec.of}",
        model,
        made.decoder,
        prompts,
        made.tokenizer,
        made.writer.end_id,
        spec.max_logit_difference,
    )
    for line in lines:
        stage.say(line)
    report = {
        "largest_logit_difference": worst,
        "greedy_same": same,
        "batch_difference": fidelity.batch_difference(made.decoder, rows),
        "nodes": len(graph.model.graph.node),
        "bytes": made.bytes,
    }
    return stage.Report(report)


def probes(vocabulary: int, max_past: int) -> list[Ids]:
    """Random rows of several lengths, and one as long as the graph reads."""
    rng = np.random.default_rng([PROBES, vocabulary])
    longest = min(LONGEST, max_past)
    lengths = [max(2, longest * (i + 1) // ROWS) for i in range(ROWS)]
    return [rng.integers(0, vocabulary, length) for length in (*lengths, max_past)]


def largest_difference(
    graph: OnnxDecoder, rows: Sequence[Ids], truth: Sequence[Floats]
) -> Difference:
    """(largest absolute difference of a logit, its case): each row alone, with a past and without;
    several rows, padded left and right; steps after pasts of their own lengths.

    truth  logits (t, V) of each row, by the model
    """
    worst, where = -1.0, ""
    for case, got, expected in _cases(graph, rows, truth):
        difference = float(np.abs(got - expected).max())
        if not difference <= worst:  # true for NaN too
            worst, where = difference, case
    return worst, where


def _cases(
    graph: OnnxDecoder, rows: Sequence[Ids], truth: Sequence[Floats]
) -> Iterator[tuple[str, Floats, Floats]]:
    """(its name, logits of the graph, those of the model)."""
    for ids, known, logits in zip(rows, truth, graph.logits(rows), strict=True):
        yield f"one row of {len(ids)} tokens", logits, known
        for new in sorted({1, min(7, len(ids) - 1), len(ids) // 2}):
            past = len(ids) - new
            _, arrays = graph.run(ids[None, :past], np.ones((1, past), np.int64))
            got, _ = graph.run(ids[None, past:], np.ones((1, len(ids)), np.int64), arrays)
            yield f"one row of {new} tokens after {past}", got[0], known[past:]
    for size, side in itertools.product((2, 3, ROWS), ("left", "right")):
        yield from _padded(graph, rows[:size], truth[:size], side)
    read = [graph.prefill(ids[:-1]) for ids in rows]
    for (_, logits), known in zip(read, truth, strict=True):
        yield "the last token of a prompt", logits, known[-2]
    for size in (1, 2, len(rows)):
        last = np.array([ids[-1] for ids in rows[-size:]], np.int64)
        _, logits = graph.step([past for past, _ in read[-size:]], last)
        known = np.stack([known[-1] for known in truth[-size:]])
        yield f"a step of {size} rows of several lengths", logits, known


def _padded(
    graph: OnnxDecoder, rows: Sequence[Ids], truth: Sequence[Floats], side: str
) -> Iterator[tuple[str, Floats, Floats]]:
    """All but the last token of several rows together, then, if that is possible, the last."""
    longest = max(map(len, rows)) - 1
    mask, ids = np.zeros((2, len(rows), longest + 1), np.int64)
    places = []
    for row, own in enumerate(rows):
        start = longest + 1 - len(own) if side == "left" else 0
        places.append(slice(start, start + len(own) - 1))
        ids[row, places[-1]], mask[row, places[-1]] = own[:-1], 1
    logits, arrays = graph.run(ids[:, :-1], mask[:, :-1])
    case = f"{len(rows)} rows, padded on the {side}"
    for got, place, known in zip(logits, places, truth, strict=True):
        yield case, got[place], known[:-1]
    last = np.array([[own[-1]] for own in rows], np.int64)
    if side == "left":
        mask[:, -1] = 1
    else:
        mask[np.arange(len(rows)), [place.stop for place in places]] = 1
    logits, _ = graph.run(last, mask, arrays)
    yield f"{case}, a step further", logits[:, 0], np.stack([known[-1] for known in truth])


def dev_prompts(splits: Path, source: writer.WriterModel, max_past: int, seed: int) -> list[Ids]:
    """Prompts of dev rows that leave room for an answer."""
    dev = conversations.read(splits, "dev", source.writer, ANSWERED, seed)
    is_plain, longest = source.prompt["kind"] == PLAIN, max_past - parity.NEW_TOKENS
    fitting = fidelity.prompts(dev.ids, dev.learned, is_plain, longest)[:ANSWERED]
    if len(fitting[0]) >= max_past:
        found = f"no dev prompt of {splits.name} is shorter than {max_past} tokens"
        raise LmspecError("exported.format.max_past", found, "raise it")
    return fitting
