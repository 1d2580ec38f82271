"""quantized, of a model that writes: weights in blocks.   exported, splits -> model.onnx, ...

stages/quantized.py begins it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, decoder
from lmspec.specs.quantized import Contract, QuantizedSpec, WeightOnly
from lmspec.writing import blockwise, fidelity
from lmspec.writing.generating import Ids
from lmspec.writing.prompting import PLAIN

ANSWERED, NEW_TOKENS = 32, 24  # prompts of calibration rows, and tokens of the answers to them
SHOWN = 3  # rows that lose most


def build(spec: QuantizedSpec, scheme: WeightOnly, needs: stage.Needs, out: Path) -> stage.Report:
    """Quantize, then compare both graphs on rows of the dev split."""
    source = decoder.read(needs[spec.of], needs.bits.threads)
    graph = blockwise.rewritten(decoder.load(needs[spec.of]), scheme)
    decoder.write(graph, source.tokenizer, source.about, out)
    made = decoder.read(out, needs.bits.threads)
    dev = conversations.read(
        needs[spec.calibrate], "dev", source.writer, spec.calibration_rows, needs.bits.seed
    )
    fitting = [i for i, ids in enumerate(dev.ids) if len(ids) <= made.decoder.positions]
    rows, learned = [dev.ids[i] for i in fitting], [dev.learned[i] for i in fitting]
    prompts = prompts_of(source, rows, learned)
    lost = fidelity.lost(source.decoder, made.decoder, rows, learned)
    own = dev.documents[dev.of_row[fitting]]
    report = lost.metrics(groups_of(dev, own["group"].to_list(), fitting))
    report["greedy_prefix"] = kept(source, made, prompts)
    report["batch_difference"] = fidelity.batch_difference(made.decoder, rows)
    for line in described(report):
        stage.say(line)
    names = own["id"].to_list()
    require(report, spec.contract, spec.of, furthest(lost, names))
    report |= {
        "bytes": made.bytes,
        "bytes_before": source.bytes,
        "quantized_operations": blockwise.operations(graph),
    }
    return stage.Report(report)


def groups_of(
    dev: conversations.Conversations, groups: Sequence[str | None], fitting: Sequence[int]
) -> list[str]:
    """What counts as one: the group of an example, else its row."""
    rows = dev.of_row[list(fitting)].tolist()
    return [f"row {r}" if g is None else f"group {g}" for r, g in zip(rows, groups, strict=True)]


def prompts_of(source: decoder.Decoding, rows: Sequence[Ids], learned: Sequence[Any]) -> list[Ids]:
    """Prompts of rows that leave room for an answer."""
    positions, is_plain = source.decoder.positions, source.writer.kind == PLAIN
    fitting = fidelity.prompts(rows, learned, is_plain, positions - NEW_TOKENS)[:ANSWERED]
    if not fitting or len(fitting[0]) >= positions:
        found = f"no dev prompt is shorter than the {positions} tokens that the graph reads"
        raise LmspecError("exported.format.max_past", found, "raise it")
    return fitting


def kept(source: decoder.Decoding, made: decoder.Decoding, prompts: Sequence[Ids]) -> float:
    """Mean share of an answer of the first graph before the second's has another token."""
    room = min(NEW_TOKENS, *(made.decoder.positions - len(ids) for ids in prompts))
    end = source.writer.end_id
    both = (fidelity.greedy(g.decoder, prompts, end, room) for g in (source, made))
    pairs = zip(*both, strict=True)
    return float(np.mean([fidelity.prefix(one, other) for one, other in pairs]))


def described(lost: dict[str, float]) -> Sequence[str]:
    """Lines for people."""
    return (
        f"loss {lost['loss']:.4f} nats a token, {interval(lost)} more in blocks",
        f"the most probable token is the same for {1 - lost['disagreement_rate']:.1%} of the"
        f" tokens; answers are the same for {lost['greedy_prefix']:.1%} of their length",
        f"a logit beside others differs from the one alone by {lost['batch_difference']:g}",
    )


def interval(lost: dict[str, float]) -> str:
    """What is lost, and its interval of 95 %."""
    low, high = lost["loss_increase_low"], lost["loss_increase_high"]
    return f"{lost['loss_increase']:.4g} ({low:.4g} to {high:.4g})"


def furthest(lost: fidelity.Lost, names: Sequence[str]) -> list[str]:
    """The rows that lose most, with both losses."""
    order = np.argsort(lost.before - lost.after, kind="stable")[:SHOWN].tolist()
    means = [(lost.before[i] / lost.tokens[i], lost.after[i] / lost.tokens[i]) for i in order]
    return [
        f"row {names[i]}: {one:.3f} -> {other:.3f} nats a token"
        for i, (one, other) in zip(order, means, strict=True)
    ]


def require(lost: dict[str, float], contract: Contract, of: str, worst: Sequence[str] = ()) -> None:
    """Raise LmspecError if the graph lost more than the contract allows. It names each figure.

    worst  rows that lose most
    """
    broken = []
    for name, limit in contract.model_dump().items():
        figure = name.removeprefix("max_").removeprefix("min_")
        value = lost["loss_increase_high" if figure == "loss_increase" else figure]
        if not (value >= limit if name.startswith("min_") else value <= limit):
            shown = interval(lost) if figure == "loss_increase" else f"{lost[figure]:.4g}"
            broken.append(f"{figure} is {shown}; the contract allows {limit:g}")
    if broken:
        raise LmspecError(
            f"quantized, of {of}",
            "; ".join(broken) + "".join(f"\n  {row}" for row in worst),
            "take 8 bits, smaller blocks or other activations; or loosen the contract, if you can"
            " bear the loss",
        )
