"""beginning: what a new project begins with, decided from its table, a preset and weights."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lmspec.methods import conversing
from lmspec.methods.conversing import Turn
from lmspec.methods.minhash import shingles
from lmspec.scaffold import causal, choices, columns, pairs, prompts, survey, writing_choices
from lmspec.scaffold import table as labelled
from lmspec.scaffold import weights as pretrained
from lmspec.scaffold.causal import CausalWeights
from lmspec.scaffold.choices import Choices, Preset
from lmspec.scaffold.columns import Columns
from lmspec.scaffold.pairs import PairTable
from lmspec.scaffold.prompts import Shown
from lmspec.scaffold.survey import Lengths, Survey
from lmspec.scaffold.table import LabelledTable
from lmspec.scaffold.weights import Weights
from lmspec.scaffold.writing_choices import Counted, WritingChoices

SOURCE, OTHER = "encoder", "pretrained"
MOST_COUNTED = 3_000_000  # characters whose tokens are counted
COMPARED, ALIKE = 300, 0.7  # pairs of rows, and their similarity from which they share a template
MOST_ALIKE = 0.02


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
        return OTHER if self.table.name == SOURCE else SOURCE

    def cut(self, length: int) -> float:
        """Share of the texts with more tokens than that."""
        return self.counted.cut(length) if self.counted else 0.0


@dataclass(frozen=True)
class WritingBeginning:
    """The same of a model that writes.

    letters         scripts of prompts and answers, of a sample
    named           what `--weights` names; None without it
    shown, counted  how rows are shown, and their tokens; None without weights
    """

    table: PairTable
    preset: Preset
    letters: Survey
    choices: WritingChoices
    named: str | None
    weights: CausalWeights | None
    shown: Shown | None
    counted: Counted | None

    @property
    def source(self) -> str:
        """Name of the weights in `sources`."""
        return OTHER if self.table.name == "weights" else "weights"


@contextmanager
def of(
    path: Path, named: Columns, folder: Path, preset: Preset, weights: str | None
) -> Iterator[Beginning | WritingBeginning]:
    """Of a file: see `begin`. folder: of the new project, which messages name.

    Raises LmspecError if no project can begin with it.
    """
    columns.require_one_kind(named)
    if named.writes:
        with begin_writing(pairs.read(path, named), preset, weights) as writing:
            yield writing
    else:
        columns.require_labels(path, named, folder)
        with begin(labelled.read(path, named.text, named.label), preset, weights) as begun:
            yield begun


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


@contextmanager
def begin_writing(
    table: PairTable, preset: Preset, weights: str | None
) -> Iterator[WritingBeginning]:
    """The same of prompts and answers. With preset fast no model has time to learn, so that
    weights are not fetched."""
    texts = [conversing.text_of(turns) for turns in table.sample]
    letters = survey.survey(texts, table.distinct, {"": table.distinct})
    with tempfile.TemporaryDirectory() as scratch:
        found = shown = counted = None
        if weights and preset != "fast":
            found = causal.find(weights, Path(scratch))
            is_pair = table.spec["turns"]["kind"] == "pair"
            shown = prompts.choose(found.tokenizer, found.end, is_pair, found.label)
            counted = count(table.sample, shown)
        chosen = writing_choices.choices(table, alike(texts), preset, found, counted)
        yield WritingBeginning(table, preset, letters, chosen, weights, found, shown, counted)


def count(sample: Sequence[Sequence[Turn]], shown: Shown) -> Counted:
    """Tokens of rows and of their last answers, as the model is to see them."""
    characters = sum(len(turn.content) for turns in sample for turn in turns)
    rows, answers, tokens, words = [], [], 0, 0
    for turns in sample[:: max(1, characters // MOST_COUNTED)]:
        example = shown.writer.example(turns)
        assert isinstance(example, tuple)
        rows.append(len(example[0]))
        answers.append(len(example[0]) - len(shown.writer.prompt_ids(turns)))
        prompt = next(turn.content for turn in turns if turn.role == conversing.USER)
        tokens += len(shown.writer.tokenizer.encode(prompt, add_special_tokens=False).ids)
        words += len(prompt.split())
    per_word = tokens / max(1, words)
    lengths = (Lengths(tuple(sorted(found)), 0.0, per_word) for found in (rows, answers))
    return Counted(*lengths)


def alike(texts: Sequence[str]) -> bool:
    """Do rows share most of their text, as where each repeats the same instructions?

    Near-duplicates would be nearly all of them then.
    """
    draw, same = random.Random(1), 0
    for _ in range(COMPARED):
        one, other = (shingles(text[:4000], 5) for text in draw.sample(texts, 2))
        same += len(one & other) >= ALIKE * len(one | other)
    return same > MOST_ALIKE * COMPARED
