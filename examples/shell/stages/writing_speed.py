"""speed of models that write: tokens per second.   graph, model, splits -> speed-<name>.json

stages/speed.py begins it.
"""

import functools
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents, kinds
from lmspec.methods import peakmemory
from lmspec.specs.checks.speed import company
from lmspec.specs.numerics import Machine, Numerics
from lmspec.specs.scores import DECODER
from lmspec.specs.speed import TORCH, Continued, SpeedSpec
from lmspec.writing import timing
from lmspec.writing.prompting import PLAIN, USER, Turn
from stages.speed import weights_bytes

WRITER = "lmspec.formats.writer"  # by its name: a graph beside a graph needs no torch
DIGITS = 6


def build(spec: SpeedSpec, generation: Continued, needs: stage.Needs) -> stage.Report:
    """Tokens per second of prompts and of what follows them, alone and `batch_size` together.

    Ratios above 1 favour the graph.
    """
    refs = (spec.of, spec.against)
    loads = [
        functools.partial(
            contestant, module, needs[ref], needs[spec.on], spec, needs.bits, needs.machine
        )
        for module, ref in zip(spec.modules()[1:], refs, strict=True)
    ]
    of, against = (make() for make in loads)
    before = timing.Work.until_now()
    taken = timing.in_turn(of, against, spec.rounds)
    after = timing.Work.until_now()
    memory = [peakmemory.peak_bytes(functools.partial(use, make)) for make in loads]
    sizes = [weights_bytes(needs[ref]) for ref in refs]
    rates = [timing.rates(rounds, end) for rounds, end in zip(taken, (of, against), strict=True)]
    report: dict[str, Any] = {
        name: medians(rates[i]) | {"weights_bytes": sizes[i], "peak_memory_bytes": memory[i]}
        for i, name in enumerate(("of", "against"))
    }
    report["ratio"] = ratios(*rates)
    report["ratio"] |= {"weights": sizes[1] / sizes[0], "peak_memory": memory[1] / memory[0]}
    if before and after:
        report["others_share"] = after.others_share(before)
        if found := company(report["others_share"]):
            stage.say(f"warning: {found}; measure again when they are done")
    for name, ref in zip(("of", "against"), refs, strict=True):
        stage.say(described(ref, report[name], spec.batch_size))
    return stage.Report(report, {"rounds": table(*rates)})


def contestant(
    module: str,
    folder: Path,
    splits: Path,
    spec: SpeedSpec,
    numerics: Numerics,
    machine: Machine,
) -> timing.Contestant:
    """The model or graph in a folder, with its prompts."""
    assert spec.generation is not None
    if module == TORCH:
        if (kind := kinds.kind_of(folder)) != "causal":
            found = f"a model of kind {kind} generates nothing"
            raise LmspecError("speed.generation", found, "compare two models that write")
        model = importlib.import_module(WRITER).read(folder)
        model.model.to(machine.device)
        decoder = importlib.import_module(TORCH).TorchDecoder(model.model)
    else:
        model = importlib.import_module(DECODER).read(folder, numerics.threads)
        decoder = model.decoder
    reads, writes = spec.generation.prompt_tokens, spec.generation.new_tokens
    timing.require_room(decoder.positions, reads, writes, str(folder))
    plain = model.writer.kind == PLAIN
    rows = [model.writer.prompt_ids(t) for t in read(splits, plain, spec.texts, numerics.seed)]
    prompts = timing.prompts(rows, reads)
    return timing.Contestant(decoder, model.tokenizer, prompts, writes, spec.batch_size)


def read(splits: Path, plain: bool, rows: int, seed: int) -> Sequence[Sequence[Turn]]:
    """Test rows, drawn by the seed: conversations, or plain texts as such."""
    if not plain:
        return list(conversations.read_turns(splits, "test", rows, seed))
    texts = documents.read_split(splits, "test", ["text"])["text"].to_list()
    if not texts:
        raise LmspecError(str(splits), "its test split is empty", "give it a fraction above 0")
    return [[(USER, texts[i])] for i in conversations.drawn(len(texts), rows, seed)]


def use(make: functools.partial[timing.Contestant]) -> None:
    """Load it, and continue prompts for one round."""
    make().round(0)


def medians(rates: timing.Rates) -> dict[str, Any]:
    """Over the rounds, as metrics are nested."""
    middle = {name: float(np.median(values)) for name, values in rates.items()}
    found: dict[str, Any] = {"first_token_ms": {"p50": middle.pop("first_token_ms")}, "batch": {}}
    for name, value in middle.items():
        inside = found["batch"] if name.startswith("batch_") else found
        inside[name.removeprefix("batch_")] = value
    return found


def ratios(of: timing.Rates, against: timing.Rates) -> dict[str, Any]:
    """Median, 5th and 95th percentile over the rounds, of how many times as fast the graph is."""
    found = {}
    for name, own in of.items():
        quotient = against[name] / own if name.endswith("_ms") else own / against[name]
        low, middle, high = np.quantile(quotient, (0.05, 0.5, 0.95)).tolist()
        short = name.removesuffix("_ms").removesuffix("_tokens_per_second")
        found[short] = {"median": middle, "p5": low, "p95": high}
    return found


def table(of: timing.Rates, against: timing.Rates) -> list[dict[str, float]]:
    """One row per round, of both."""
    columns = {
        f"{end}_{name}": values
        for end, rates in (("of", of), ("against", against))
        for name, values in rates.items()
    }
    return [
        {"round": i + 1, **{name: round(float(v[i]), DIGITS) for name, v in columns.items()}}
        for i in range(len(of["first_token_ms"]))
    ]


def described(ref: str, found: dict[str, Any], together: int) -> str:
    """A line for people."""
    return (
        f"{ref}: reads {found['prefill_tokens_per_second']:.0f} tokens a second and writes"
        f" {found['decode_tokens_per_second']:.1f}, {together} texts together"
        f" {found['batch']['decode_tokens_per_second']:.1f}; first token after"
        f" {found['first_token_ms']['p50']:.0f} ms"
    )
