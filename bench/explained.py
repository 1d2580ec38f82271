"""bench/explained: what an explanation by gradients costs, beside captum's.

    pip install -e '.[peers]'
    python bench/explained.py DATA > bench/explained.md     (DATA: `data` of this project, built)

`explained.minilm` of params.yaml on the texts that it begins with, one thread, each way in turn for
each text. Captum's rule of Gauss and Legendre has 50 points, its default, or for each text the
fewest whose sum is within the limit of params.yaml; finding out how few is not counted.
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import captum
import numpy as np
import torch
from captum.attr import LayerIntegratedGradients
from ruamel.yaml import YAML
from validate import processor  # beside this file

from lmspec import stage
from lmspec.formats import checkpoint
from lmspec.methods import faithfulness
from lmspec.methods.reading import Floats
from lmspec.specs.explained import ExplainedSpec
from lmspec.specs.numerics import Machine, Numerics
from stages import explained, explained_model

TEXTS = 48
POINTS = (8, 12, 16, 24, 32, 50, 64, 96, 128)
DEFAULT = 50  # points
OURS, WHOLE = "weights of the words", "the whole explanation: how faithful it is, what flips"
BY_DEFAULT = f"captum, {DEFAULT} points"
FEWEST = "captum, the fewest points within the limit"


class Row(NamedTuple):
    """Seconds of the processor for a text, and how far its words are from summing to the change."""

    seconds: float
    off: float


class Captum:
    """Its integrated gradients of a network, summed over the tokens of each word."""

    def __init__(self, network: Any, instead: int) -> None:
        self.instead = instead
        self.network = network.requires_grad_(False)

    def __call__(self, text: Any, label: int, points: int) -> Floats:
        """(n,)"""
        words = text.words
        found = np.zeros(len(words))
        layer = LayerIntegratedGradients(
            lambda given, mask: torch.softmax(
                self.network(input_ids=given, attention_mask=mask).logits.double(), -1
            )[:, label],
            self.network.get_input_embeddings(),
        )
        for ids, place in zip(words.ids, words.places, strict=True):
            given = torch.from_numpy(ids)[None]
            masked = torch.where(torch.from_numpy(place >= 0), self.instead, given)
            tokens = layer.attribute(
                given,
                baselines=masked,
                additional_forward_args=(torch.ones_like(given),),
                n_steps=points,
                method="gausslegendre",
                internal_batch_size=32,
            )
            sums = tokens.detach().sum(-1)[0].double().numpy()
            np.add.at(found, place[place >= 0], sums[place >= 0])
        return found / len(words.ids)


def timed(way: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and seconds of the processor."""
    begin = time.process_time()
    found = way()
    return found, time.process_time() - begin


def ways(subject: Any, peer: Captum, row: Any, spec: ExplainedSpec) -> Iterator[tuple[str, Row]]:
    """Name of a way, and what it takes for a text."""
    text = subject.text(subject.words(row))
    label, name = int(text.whole.argmax()), str(row["id"])

    def off(found: Floats) -> float:
        return faithfulness.completeness_delta(text, label, found)

    found, seconds = timed(lambda: subject.attribution(text, label, name))
    yield OURS, Row(seconds, off(found))
    _, seconds = timed(lambda: explained.explain(subject, row, spec))
    yield WHOLE, Row(seconds, off(found))
    found, seconds = timed(lambda: peer(text, label, DEFAULT))
    yield BY_DEFAULT, Row(seconds, off(found))
    limit = spec.method.max_completeness_delta  # type: ignore[union-attr]
    for points in POINTS:
        found, seconds = timed(lambda points=points: peer(text, label, points))  # type: ignore[misc]
        if off(found) <= limit:
            break
    yield FEWEST, Row(seconds, off(found))


def main(data: Path) -> None:
    """The table."""
    torch.set_num_threads(1)
    section = YAML(typ="safe").load(Path("params.yaml"))["explained"]["minilm"]
    spec = ExplainedSpec.model_validate(section)
    folders = {name: data / name.replace(".", "/") for name in (str(spec.of), str(spec.on))}
    bits = Numerics(seed=1, threads=1, precision="fp32", instructions="default")
    needs = stage.Needs(folders, bits, Machine(device="cpu"))
    subject = explained_model.opened(spec, needs)
    model = checkpoint.read(needs[spec.of])
    instead = model.pad_id if subject.mask_id is None else subject.mask_id
    peer = Captum(model.model, instead)
    rows = explained.chosen(needs[spec.on], spec, subject.labels)[:TEXTS]
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        for name, one in ways(subject, peer, row, spec):
            found[name].append(one)
    print("# What an explanation by gradients costs\n")
    print(
        f"{processor()}, one thread; {len(rows)} texts of `{spec.on}`, `{spec.of}`; captum"
        f" {captum.__version__}. Processor seconds a text; *off*: how far the words of a text are"
        " from summing to the change of its probability. How: [bench/explained.py](explained.py).\n"
    )
    print("| | seconds | ratio | off, median | off, most |")
    print("| --- | ---: | ---: | ---: | ---: |")
    own = np.mean([one.seconds for one in found[OURS]])
    for name, of_texts in found.items():
        seconds = np.mean([one.seconds for one in of_texts])
        off = [one.off for one in of_texts]
        numbers = f"{seconds:.2f} | {seconds / own:.1f} | {np.median(off):.4f} | {max(off):.4f}"
        print(f"| {name} | {numbers} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
