"""beginning: what a new project begins with, decided from its table, a preset and weights."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lmspec.scaffold import choices, survey
from lmspec.scaffold import weights as pretrained
from lmspec.scaffold.choices import Choices, Preset
from lmspec.scaffold.survey import Lengths, Survey
from lmspec.scaffold.table import LabelledTable
from lmspec.scaffold.weights import Weights

SOURCE = "encoder"


@dataclass(frozen=True)
class Beginning:
    """What was seen and what was chosen.

    counted  tokens of a sample of texts, by the tokenizer of the weights; None without weights
    """

    table: LabelledTable
    preset: Preset
    seen: Survey
    choices: Choices
    weights: Weights | None
    counted: Lengths | None

    @property
    def source(self) -> str:
        """Name of the weights in `sources`."""
        return SOURCE

    def cut(self, length: int) -> float:
        """Share of the texts with more tokens than that."""
        return self.counted.cut(length) if self.counted else 0.0


@contextmanager
def begin(table: LabelledTable, preset: Preset, weights: str | None) -> Iterator[Beginning]:
    """Look at the table, and at the weights if there are any; their files exist inside the block.

    Raises LmspecError if the weights cannot be had.
    """
    seen = survey.survey(table.sample, table.distinct, table.labels)
    with tempfile.TemporaryDirectory() as scratch:
        encoder = pretrained.find(weights, Path(scratch)) if weights else None
        counted = survey.lengths(table.sample, encoder.count) if encoder else None
        chosen = choices.choices(seen, preset, encoder, counted)
        yield Beginning(table, preset, seen, chosen, encoder, counted)
