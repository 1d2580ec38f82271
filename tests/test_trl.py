"""Batches of TRL have our losses, on the same examples: padded, and packed in a line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmspec.architectures import causal
from lmspec.formats import conversations
from lmspec.training import writing
from lmspec.training.order import Order
from lmspec.writing.prompting import Writer
from tests.test_training import NUMERICS
from tests.tinywriter import MOST, PAIR, spec_of, tokenizer, write_splits, write_weights

pytestmark = pytest.mark.slow
trl = pytest.importorskip("trl", reason="pip install -e '.[peers]'")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> conversations.Conversations:
    splits = write_splits(tmp_path_factory.mktemp("splits") / "pairs")
    return conversations.read(splits, "train", Writer(tokenizer(), PAIR, MOST, "leave_out"))


def examples(rows: conversations.Conversations, chosen: Any) -> list[dict[str, Any]]:
    """As a data set of TRL has them, whose tokens and labels are known."""
    pairs = ((rows.ids[int(i)], rows.learned[int(i)]) for i in chosen)
    return [
        {"input_ids": ids.tolist(), "labels": np.where(learned > 0, ids, -100).tolist()}
        for ids, learned in pairs
    ]


def collator(**given: Any) -> Any:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    return DataCollatorForLanguageModeling(pad_token_id=1, **given)


def test_padded_batches_have_the_same_loss(source: Path, rows: conversations.Conversations) -> None:
    """With the padding that is also the end, which they learn where it ends an answer, too."""
    model = causal.create(spec_of(), source)[0].eval()
    collate = writing.collated(rows.learned)
    for step in Order(rows.ids.lengths.tolist(), 8, 1, NUMERICS.seed).start(0):
        batch = collate(rows.ids, step.rows, 1)
        ids, mask = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
        theirs = collator()(examples(rows, step.rows))
        assert torch.equal(theirs["input_ids"], ids)
        with torch.inference_mode():
            ours = writing.imitating()(model, batch, ids, mask)
            torch.testing.assert_close(model(**theirs).loss, ours, rtol=0, atol=1e-5)


def test_a_packed_line_has_the_same_loss(source: Path, rows: conversations.Conversations) -> None:
    """Their examples are separated by positions, if neither a mask nor a cache is given; with a
    mask of ones, as other collators give it, an example sees the one before."""
    model = causal.create(spec_of(), source)[0].eval()
    chosen = [3, 90, 41, 7]
    batch = writing.collated(rows.learned, 128)(rows.ids, chosen, 1)
    ids, mask = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
    ours = writing.imitating()(model, batch, ids, mask)
    line = collator(padding_free=True)(examples(rows, chosen))
    torch.testing.assert_close(model(**line, use_cache=False).loss, ours, rtol=0, atol=1e-5)
    masked = model(**line, attention_mask=torch.ones_like(line["input_ids"])).loss
    assert (masked - ours).abs() > 1e-3
