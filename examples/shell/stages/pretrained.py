"""pretrained: an encoder, trained on texts of a domain.   sources, splits -> model.safetensors"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec import stage
from lmspec.architectures import masked
from lmspec.errors import LmspecError
from lmspec.formats import documents
from lmspec.methods import coverage, packing, reading
from lmspec.specs.numerics import Numerics
from lmspec.specs.pretrained import PretrainedSpec
from lmspec.specs.training import descent
from lmspec.training import loop, masking, seeds, summary
from lmspec.training.task import Fitted, Task


@dataclass(frozen=True)
class Trained:
    """An encoder, how it was trained, its metrics before, and the windows that it learned from."""

    encoder: masked.Masked
    fitted: Fitted
    before: dict[str, float]
    windows: reading.Windows


def build(spec: PretrainedSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Guess masked tokens of the texts; keep the weights that guess best on the dev split."""
    kept = train(spec, needs, needs.bits)
    masked.write(kept.encoder, needs[spec.of], out)
    others = seeds.over_seeds(
        lambda numerics: train(spec, needs, numerics).fitted, descent(spec.training), needs.bits
    )
    report = summary.metrics(kept.encoder.model, kept.fitted, others)
    report["dev"] = with_perplexity(report["dev"])
    report["before"] = with_perplexity(kept.before)
    report["train"] = coverage.metrics(kept.windows)
    return stage.Report(report, {"curve": kept.fitted.curve})


def train(spec: PretrainedSpec, needs: stage.Needs, numerics: Numerics) -> Trained:
    """One encoder, with one seed; the dev split is masked alike for all."""
    seeds.seed_weights(numerics)
    encoder = masked.create(spec, needs[spec.of])
    network = encoder.model.to(needs.machine.device)
    reader = reading.Reader(encoder.tokenizer, "windows")
    (new, names), (dev, _) = (read(spec, needs, split, reader) for split in ("train", "dev"))
    learned, watched = (
        [i for i, ids in enumerate(part.ids) if masking.has_ordinary(ids, encoder.words)]
        for part in (new, dev)
    )
    if not (learned and watched):
        found = "its texts have no token to guess: the tokenizer knows none of their words"
        raise LmspecError(str(needs[spec.on]), found, "take an encoder of their language")
    training, fixed = (
        masking.Masks(spec.masking, encoder.words, seed, stream)
        for seed, stream in ((numerics.seed, masking.MASKS), (needs.bits.seed, masking.DEV_MASKS))
    )
    evaluate = masking.evaluation(network, packing.taken(dev.ids, watched), encoder.pad_id, fixed)
    network.eval()
    before = evaluate()
    if numerics == needs.bits:
        stage.say(f"train: {coverage.described(new, reader, names)}")
        stage.say(f"before: accuracy {before['accuracy']:.4f}, log loss {before['log_loss']:.4f}")
        if not encoder.has_head:
            stage.say(f"{spec.of} has no head that guesses tokens: `before` is that of a new one")
    of_epoch = masking.guessing(training)
    task = Task(
        packing.taken(new.ids, learned),
        encoder.pad_id,
        of_epoch(0),
        evaluate,
        named=lambda rows: [names[int(new.of_text[learned[row]])] for row in rows],
        of_epoch=of_epoch,
    )
    fitted = loop.fit(network, task, descent(spec.training), numerics, needs.resume)
    return Trained(encoder, fitted, before, new)


def read(
    spec: PretrainedSpec, needs: stage.Needs, split: str, reader: reading.Reader
) -> tuple[reading.Windows, list[str]]:
    """All windows of the texts of a split, whatever their labels, and the ids of the texts."""
    frame = documents.read_split(needs[spec.on], split, ["id"])
    if frame.is_empty():
        remedy = f"give `{split}` a fraction above 0, or more documents"
        raise LmspecError(str(needs[spec.on]), f"its {split} split is empty", remedy)
    texts = documents.Texts(needs[spec.on], split)
    return reader.read(texts, packing.of(reader)), frame["id"].to_list()


def with_perplexity(metrics: dict[str, Any]) -> dict[str, Any]:
    """With e to the log loss: between how many tokens it hesitates."""
    return metrics | {"perplexity": math.exp(metrics["log_loss"])}


STAGE = stage.Stage(PretrainedSpec, build)
