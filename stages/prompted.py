"""prompted: a model that writes, asked for labels.   sources or model, splits -> model.safetensors

`stages/model.py` calls it for such a model, by its name: no other stage has it in its key.
"""

from pathlib import Path

import numpy as np

from lmspec import stage
from lmspec.architectures import prompted
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import reading, torchrun
from lmspec.methods.metrics import Floats
from lmspec.specs.architecture import Prompted
from lmspec.specs.model import ModelSpec
from lmspec.specs.prompted import Contextual, Prior

TEXTS = 44  # number of its stream of draws
BATCH = 16  # texts at once; it can change the last digits of an offset


def build(spec: ModelSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Put a prompt around the texts, words in place of the labels, and calibrate them."""
    architecture = spec.architecture
    assert isinstance(architecture, Prompted)
    labels = examples.labels_of(needs[spec.on])
    network, tokenizer, pad_id = prompted.create(architecture, needs[architecture.weights], labels)
    network.to(needs.machine.device).eval()
    kept = checkpoint.Checkpoint(
        architecture.kind,
        network,
        tokenizer,
        labels,
        pad_id,
        architecture.long_texts,
        documents.read_clean(needs[spec.on]),
    )
    used = len(tokenizer.encode("").ids)
    stage.say(f"the prompt has {used} tokens; a text may have {architecture.max_length - used}")
    report: dict[str, object] = {"parameters": sum(p.numel() for p in network.parameters())}
    report["prompt"] = {"tokens": used}
    if texts := texts_of(spec, needs):
        prior = answers(kept, texts)
        network.offset = prompted.offset(prior)
        means = dict(zip(labels, prior.mean(0).tolist(), strict=True))
        shown = ", ".join(f"{label} {mean:.3f}" for label, mean in means.items())
        stage.say(f"before calibration, the mean of {len(texts):,} texts: {shown}")
        report["prompt"] = {"tokens": used, "prior": means}
    checkpoint.write(kept, out)
    return stage.Report(report)


def texts_of(spec: ModelSpec, needs: stage.Needs) -> list[str]:
    """The texts by which it is calibrated; none if it is not. No label is read."""
    assert isinstance(spec.architecture, Prompted)
    calibration = spec.architecture.calibration
    if isinstance(calibration, Contextual):
        return list(calibration.inputs)
    if not isinstance(calibration, Prior):
        return []
    texts = list(documents.Texts(needs[spec.on], "train"))
    draw = np.random.default_rng([needs.bits.seed, TEXTS])
    drawn = draw.choice(len(texts), min(calibration.texts, len(texts)), replace=False)
    return [texts[i] for i in sorted(drawn.tolist())]


def answers(kept: checkpoint.Checkpoint, texts: list[str]) -> Floats:
    """(n, labels) probabilities."""
    windows = kept.reader.read(texts)
    forward = torchrun.forward(kept.model)
    return reading.predicted(forward, windows, kept.pad_id, BATCH)
