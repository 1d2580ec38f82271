"""The losses of TRL's SFTTrainer are ours, on the same examples: padded, and packed in a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmspec.architectures import causal
from lmspec.formats import conversations
from lmspec.training import writing
from lmspec.training.order import Order
from lmspec.training.schedule import learning_rate_factor
from lmspec.writing.prompting import Writer
from tests.test_training import NUMERICS
from tests.test_writing_training import fitted
from tests.tinywriter import MOST, PAIR, spec_of, tokenizer, training, write_splits, write_weights

pytestmark = pytest.mark.slow
trl = pytest.importorskip("trl", reason="pip install -e '.[peers]'")
STEPS = 20


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> conversations.Conversations:
    splits = write_splits(tmp_path_factory.mktemp("splits") / "pairs")
    return conversations.read(splits, "train", Writer(tokenizer(), PAIR, MOST, "leave_out"))


def examples(rows: conversations.Conversations, chosen: Any) -> list[dict[str, Any]]:
    """As a data set of TRL has them, whose tokens are known."""
    return [
        {"input_ids": rows.ids[int(i)].tolist(), "completion_mask": rows.learned[int(i)].tolist()}
        for i in chosen
    ]


def collator(**given: Any) -> Any:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    return DataCollatorForLanguageModeling(pad_token_id=1, completion_only_loss=True, **given)


def test_twenty_steps_have_the_same_losses(
    source: Path, rows: conversations.Conversations, tmp_path: Path
) -> None:
    """Ours packed, theirs padded, with the padding that is also the end."""
    import datasets
    from transformers import PreTrainedTokenizerFast

    rule, losses = training(batch_size=8), []
    ours, _ = fitted(causal.create(spec_of(), source)[0], rows, rule, 128)
    collate = collator()

    def batches() -> Iterator[Any]:
        for step in Order(rows.ids.lengths.tolist(), 8, 1, NUMERICS.seed).start(0):
            yield collate(examples(rows, step.rows))

    class Trainer(trl.SFTTrainer):  # type: ignore[name-defined,misc]
        def get_train_dataloader(self) -> Any:
            return list(batches())

        def compute_loss(self, *given: Any, **named: Any) -> Any:
            result = super().compute_loss(*given, **named)
            losses.append((result[0] if isinstance(result, tuple) else result).item())
            return result

    model = causal.create(spec_of(), source)[0]
    weights = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in weights if p.ndim >= 2], "weight_decay": 0.01},
            {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=3e-3,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_factor(step, STEPS, rule)
    )
    arguments = trl.SFTConfig(
        str(tmp_path), max_steps=STEPS, max_grad_norm=1.0, report_to=[], use_cpu=True, bf16=False,
        save_strategy="no", disable_tqdm=True, logging_strategy="no", gradient_checkpointing=False,
        completion_only_loss=True, per_device_train_batch_size=8, max_length=None,
    )  # fmt: skip
    Trainer(
        model,
        arguments,
        train_dataset=datasets.Dataset.from_list(examples(rows, range(16))),
        processing_class=PreTrainedTokenizerFast.from_pretrained(source),
        optimizers=(optimizer, schedule),
    ).train()
    np.testing.assert_allclose(ours, losses, rtol=0, atol=2e-5)


def test_a_packed_line_has_the_same_loss(source: Path, rows: conversations.Conversations) -> None:
    """Their examples are separated by positions, if no mask is given; with one of ones, as other
    collators give it, an example sees the one before."""
    model = causal.create(spec_of(), source)[0].eval()
    chosen = [3, 90, 41, 7]
    batch = writing.collated(rows.learned, 128)(rows.ids, chosen, 1)
    ids, mask = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
    ours = writing.imitating()(model, batch, ids, mask)
    line = collator(padding_free=True)(examples(rows, chosen))
    torch.testing.assert_close(model(**line).loss, ours, rtol=0, atol=1e-5)
    masked = model(**line, attention_mask=torch.ones_like(line["input_ids"])).loss
    assert (masked - ours).abs() > 1e-3
