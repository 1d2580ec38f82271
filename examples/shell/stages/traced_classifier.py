"""traced, of a classifier: the answers of a pair are labels. stages/traced.py begins it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import checkpoint, contrasts
from lmspec.methods.interchange import Asked
from lmspec.methods.layered import Layered
from lmspec.methods.reading import Windows
from lmspec.methods.repairing import repair
from lmspec.methods.tracing import Traceable
from lmspec.specs.contrasts import Contrast, Pair
from lmspec.specs.traced import TracedSpec

KIND = "transformer"


def opened(spec: TracedSpec, needs: stage.Needs, given: Sequence[Contrast]) -> Traceable:
    """The network, ready to be asked. Raises LmspecError of another kind, or of other labels."""
    torch.set_num_threads(needs.bits.threads)
    model = read(spec.of, needs[spec.of])
    contrasts.require_labels(given, model.labels)
    tokens: Any = model.tokenizer

    def asked(text: str, pair: Pair) -> Asked:
        ids = model.reader.read([repair(text, **model.clean)]).ids[0]
        first, second = (model.labels.index(answer) for answer in pair.answers)
        return Asked((ids,), len(ids), lambda found: found[0][:, first] - found[0][:, second])

    def windows(rows: Sequence[Mapping[str, Any]]) -> Windows:
        return model.reader.read(row["text"] for row in rows)

    return Traceable(
        Layered(model.model.to(needs.machine.device)),
        model.pad_id,
        asked,
        lambda number: str(tokens.id_to_token(number)),
        ("train", "test"),
        windows,
        model.labels,
        None if spec.against is None else read(spec.against, needs[spec.against]).model,
    )


def read(name: str, folder: Path) -> checkpoint.Checkpoint:
    """A model of the kind whose layers can be looked into."""
    model = checkpoint.read(folder)
    if model.kind != KIND:
        found = f"{name} is of kind {model.kind}, whose hidden states are not exchanged"
        raise LmspecError("traced.of", found, f"name a model of kind {KIND}")
    return model
