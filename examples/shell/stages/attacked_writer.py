"""attacked, of a model that writes: how likely are its train texts, and does it write them again?

stages/attacked.py begins it.
"""

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents, kinds
from lmspec.methods import membership, shares
from lmspec.methods.membership import Side
from lmspec.methods.metrics import Floats
from lmspec.specs.attacked import WRITER, AttackedSpec, Extraction
from lmspec.specs.base import Ref
from lmspec.specs.scores import DECODER, MODELS
from lmspec.writing.generating import Decoder, Ids, Request, texts
from lmspec.writing.likelihood import nats
from lmspec.writing.prompting import PLAIN, PromptError, TooLong, Turn, Writer

SLOTS = 16  # texts that are written side by side
COLUMNS = ["id", "text", "group", "table", "turns"]
DIGITS = 6


@dataclass(frozen=True)
class Attacked:
    """A model that writes, ready to be asked.

    unlimited  encodes as `writer` does, and cuts nothing
    """

    decoder: Decoder
    writer: Writer
    unlimited: Writer

    def parts(self, row: Mapping[str, Any]) -> tuple[Ids, Ids] | None:
        """(tokens that are given, tokens that follow) of a text; None if it is read in part."""
        try:
            if self.writer.kind == PLAIN:
                ids = next(self.unlimited.windows(row["text"]))[0]
                given = int(self.unlimited.bos_id is not None) or 1
            else:
                turns: list[Turn] = [(turn["role"], turn["content"]) for turn in row["turns"]]
                example = self.unlimited.example(turns)
                assert not isinstance(example, TooLong)
                ids, given = example[0], len(self.unlimited.prompt_ids(turns))
        except PromptError as error:
            raise LmspecError("architecture.prompt", error.found, error.remedy) from error
        if len(ids) > min(self.decoder.positions, self.writer.max_length):
            return None
        return ids[:given], ids[given:]

    def likelihoods(self, rows: Sequence[tuple[Ids, Ids]]) -> Floats:
        """(n,) log probability of what follows in each, with its end."""
        logits = self.decoder.logits([np.concatenate(row) for row in rows])
        found = [
            -nats(each[len(given) - 1 : -1], rest)
            for each, (given, rest) in zip(logits, rows, strict=True)
        ]
        return np.array(found)

    def written(self, rows: Sequence[tuple[Ids, Ids]], rule: Extraction) -> Iterator[bool | None]:
        """Of each: does it write the tokens that follow? None if there are fewer."""
        known = [
            (np.concatenate([given, rest[: rule.prefix_tokens]]), wanted)
            for given, rest in rows
            for wanted in [rest[rule.prefix_tokens :][: rule.tokens]]
        ]
        asked = (Request(prompt, rule.tokens) for prompt, rest in known if len(rest) == rule.tokens)
        ends = [self.writer.end_id]
        found = iter(texts(self.decoder, asked, self.writer.tokenizer, ends, SLOTS))
        for _, rest in known:
            yield np.array_equal(next(found).ids, rest) if len(rest) == rule.tokens else None


def opened(of: Ref, needs: stage.Needs) -> Attacked:
    """A model or graph. Raises LmspecError if it writes nothing."""
    folder = needs[of]
    if of.noun in MODELS:
        if (kind := kinds.kind_of(folder)) != "causal":
            found = f"{of} is of kind {kind}, which writes no token after another"
            raise LmspecError("attacked.extraction", found, "remove it: it has labels")
        reader, decoding = map(importlib.import_module, WRITER)
        model = reader.read(folder)
        model.model.to(needs.machine.device)
        decoder = decoding.TorchDecoder(model.model)
    else:
        model = importlib.import_module(DECODER).read(folder, needs.bits.threads)
        decoder = model.decoder
    own = model.writer
    unlimited = Writer(model.tokenizer, own.prompt, sys.maxsize, "leave_out")
    return Attacked(decoder, own, unlimited)


def read(spec: AttackedSpec, splits: Path, split: str, seed: int) -> pl.DataFrame:
    """The rows of a split with their turns, if they have any; of train those that were learned."""
    assert spec.extraction is not None
    frame = documents.read_split(splits, split)
    frame = frame.select([name for name in COLUMNS if name in frame.columns])
    learned = spec.extraction.learned_rows if split == "train" else None
    return frame[conversations.drawn(len(frame), learned, seed)]


def asked(
    spec: AttackedSpec, rows: pl.DataFrame, needs: stage.Needs
) -> tuple[pl.DataFrame, dict[str, Floats]]:
    """Rows that are read whole, with whether each is written verbatim; numbers of each attack.

    `total` is the log probability of the whole text, by which canaries are ranked.
    """
    assert spec.extraction is not None
    model = opened(spec.of, needs)
    if model.writer.kind != PLAIN and "turns" not in rows.columns:
        found = f"the rows of {spec.on} are texts without prompts and answers"
        raise LmspecError("attacked.on", found, "name splits that have `turns`")
    parts = [model.parts(row) for row in rows.iter_rows(named=True)]
    whole = [part for part in parts if part is not None]
    rows = rows.filter(pl.Series([part is not None for part in parts]))
    if len(whole) < len(parts):
        stage.say(f"{len(parts) - len(whole):,} texts are longer than the model reads: left out")
    total = model.likelihoods(whole)
    tokens = np.array([len(rest) for _, rest in whole])
    numbers = {"confidence": total / tokens}
    if spec.reference is not None:
        numbers["reference"] = (total - _by_another(spec.reference, rows, needs)) / tokens
    written = pl.Series("extracted", list(model.written(whole, spec.extraction)), pl.Boolean)
    return rows.drop("turns", strict=False).with_columns(written), {**numbers, "total": total}


def _by_another(of: Ref, rows: pl.DataFrame, needs: stage.Needs) -> Floats:
    """(n,) log probability of each text by a reference. Raises LmspecError if it reads less."""
    other = opened(of, needs)
    parts = [other.parts(row) for row in rows.iter_rows(named=True)]
    if None in parts:
        found = f"{of} does not read all texts that the model reads"
        raise LmspecError("attacked.reference", found, "name one that reads as many tokens")
    return other.likelihoods([part for part in parts if part is not None])


def extracted(rows: pl.DataFrame, seed: int) -> dict[str, float]:
    """Shares that are written verbatim, with exact intervals, and how far they are apart.

    Raises LmspecError if no text of a split has as many tokens.
    """
    report: dict[str, float] = {}
    sides = []
    for split, is_member in (("train", True), ("test", False)):
        mine = rows.filter(
            (pl.col("member") == is_member) & ~pl.col("canary") & pl.col("extracted").is_not_null()
        )
        if mine.is_empty():
            found = f"no {split} text has as many tokens as are to be written"
            raise LmspecError("attacked.extraction.tokens", found, "lower it, or `prefix_tokens`")
        hits, groups = mine["extracted"].to_numpy(), mine["group"].to_list()
        share = shares.share(hits, shares.documents(groups))
        report[split] = share["share"] or 0.0
        report |= {f"{split}_{end}": share[end] or 0.0 for end in ("low", "high")}
        report[f"{split}_texts"] = len(mine)
        sides.append(Side(hits.astype(np.float64), tuple(group or "" for group in groups)))
    train, test = sides
    apart = membership.estimated(_difference, train, test, seed)
    for end, value in zip(("", "_low", "_high"), (apart.value, apart.low, apart.high), strict=True):
        report[f"difference{end}"] = round(value, DIGITS)
    return report


def _difference(one: Floats, other: Floats) -> float:
    return float(one.mean() - other.mean())
