"""self_training: rows of a pool that a model is sure of, learned too.   model, corpus -> rounds

stages/model.py begins it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from lmspec import stage
from lmspec.errors import LmspecError, some
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import encoding, reading, sureness, torchrun
from lmspec.methods.reading import Ids
from lmspec.specs.model import ModelSpec, SelfTraining

BATCH = 64  # texts at once, as in evaluations
SHOWN = 3  # texts in a message
DIGITS = 4


@dataclass(frozen=True)
class Further:
    """Rows of a pool with the labels that a model gave them.

    texts  (m,), labels (m,) positions, ids (m,) their names
    number of the round
    """

    texts: list[str]
    labels: Ids
    ids: list[str]
    number: int

    def beside(self, own: examples.Examples, model: checkpoint.Checkpoint) -> examples.Examples:
        """Training texts, and these."""
        windows = model.reader.read(self.texts)
        names = [model.labels[i] for i in self.labels]
        columns = {"id": self.ids, "label": names}
        columns |= {"text": self.texts} if "text" in own.documents.columns else {}
        both = [(own.windows, np.arange(len(own.truth))), (windows, np.arange(len(self.texts)))]
        return examples.Examples(
            encoding.joined(both),
            np.concatenate([own.truth, self.labels]),
            # a column that the pool is not read with is null: a group of its own
            pl.concat([own.documents, pl.DataFrame(columns)], how="diagonal"),
        )


@dataclass(frozen=True)
class Pool:
    """Rows of a corpus that a model may learn from.

    frame  columns id, text and label, in the order of the corpus
    known  number of its other rows, whose texts are in the train split
    """

    frame: pl.DataFrame
    known: int

    def truth(self, labels: tuple[str, ...]) -> Ids | None:
        """(n,) positions of its own labels, -1 of others; None if it has none."""
        if self.frame["label"].is_null().all():
            return None
        position = {label: i for i, label in enumerate(labels)}
        return np.asarray([position.get(label, -1) for label in self.frame["label"]], np.int64)


def fitted(
    spec: ModelSpec, rule: SelfTraining, needs: stage.Needs, fit: Callable[[Further | None], Any]
) -> tuple[Any, dict[str, Any], list[stage.Row]]:
    """(model, metrics, table) after the last round.

    fit  fits the model to the train split and to further rows, if any
    """
    pool = read(spec, rule, needs)
    model = fit(None)
    labels = model.model.labels
    truth = pool.truth(labels)
    found: sureness.Taken | None = None
    table: list[stage.Row] = []
    for number in range(1, rule.rounds + 1):
        before, found = found, taken(model.model, pool, rule)
        table += [{"round": number} | row for row in sureness.by_label(found, truth, labels)]
        say(number, rule, found, len(pool.frame), labels)
        if found.is_as(before):
            stage.say("the same rows as in the round before: nothing would change")
            break
        if not len(found.rows):
            break
        rows = pool.frame[found.rows]
        texts, ids = rows["text"].to_list(), rows["id"].to_list()
        model = fit(Further(texts, found.labels, ids, number))
    assert found is not None  # there is a round
    metrics = {"pool": len(pool.frame), "known": pool.known, "rows": len(found.rows)}
    shares = {"agreement": sureness.agreement(found, truth)}
    shares["mean_confidence"] = float(found.confidence.mean()) if len(found.rows) else None
    return model, metrics | {k: v for k, v in shares.items() if v is not None}, rounded(table)


def read(spec: ModelSpec, rule: SelfTraining, needs: stage.Needs) -> Pool:
    """The rows whose text has no label yet.

    Raises LmspecError if it has a dev or test text of the splits, conversations, or no row.
    """
    folder = needs[rule.pool]
    frame = documents.read(folder / "documents.parquet")
    if "turns" in frame.columns:
        found = f"{rule.pool} has conversations, and labels are of texts"
        raise LmspecError("self_training.pool", found, "name a corpus of texts")
    common = documents.read_ids(folder, "documents")
    for part in ("dev", "test"):
        if not (needs[spec.on] / f"{part}.ids").is_file():
            continue  # `augmented` has no test split: `scores` compares that of its splits
        held_out = set(documents.read_ids(needs[spec.on], part))
        if rows := [i for i, name in enumerate(common) if name in held_out]:
            shown = ", ".join(repr(frame["text"][i][:60]) for i in rows[:SHOWN])
            found = f"{len(rows):,} of its rows are {part} texts of {spec.on}: {shown}"
            corpus = documents.read_corpus(needs[spec.on])
            remedy = f"add {corpus} to `without` of {rule.pool}, and run `dvc repro`"
            raise LmspecError(str(rule.pool), found, remedy)
    own = set(documents.read_ids(needs[spec.on], "train"))
    new = [i for i, name in enumerate(common) if name not in own]
    if not new:
        found = f"none of its {len(common):,} rows is without a label in {spec.on}"
        raise LmspecError(str(rule.pool), found, "name a corpus with other rows")
    return Pool(frame[new].select("id", "text", "label"), len(common) - len(new))


def taken(model: checkpoint.Checkpoint, pool: Pool, rule: SelfTraining) -> sureness.Taken:
    """What the model is sure of."""
    windows = model.reader.read(pool.frame["text"].to_list())
    forward = torchrun.forward(model.model.eval())
    probability = reading.predicted(forward, windows, model.pad_id, BATCH)
    return sureness.taken(probability, rule.confidence, rule.per_label)


def say(
    number: int, rule: SelfTraining, found: sureness.Taken, pool: int, labels: tuple[str, ...]
) -> None:
    """A line of the round, and a warning of labels that no row got."""
    stage.say(
        f"round {number} of {rule.rounds}: {len(found.rows):,} of {pool:,} rows of {rule.pool}"
        f" reach {rule.confidence:g}"
    )
    absent = [repr(label) for i, label in enumerate(labels) if i not in found.labels]
    if absent:
        stage.say(f"warning: no row of the pool gets the label {some(absent)}")


def rounded(table: list[stage.Row]) -> list[stage.Row]:
    """Shares with few digits."""
    return [
        {k: round(v, DIGITS) if isinstance(v, float) else v for k, v in row.items()}
        for row in table
    ]
