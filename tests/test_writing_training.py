"""A model learns to write what it is to write and nothing else, however its examples are laid."""

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import conversations
from lmspec.methods.resume import Resume
from lmspec.training import checkpoints, descending, footprint, loop, writing
from lmspec.training.order import Order, Step
from lmspec.training.schedule import learning_rate_factor
from lmspec.training.state import Weights
from lmspec.training.task import Task
from lmspec.training.world import World
from lmspec.writing.prompting import Writer
from tests.test_training import NUMERICS, SGD
from tests.tinywriter import (
    MOST,
    PAIR,
    spec_of,
    tokenizer,
    training,
    write_splits,
    write_weights,
)


@pytest.fixture(autouse=True)
def unestimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No loss is computed before the first step."""
    monkeypatch.setattr(footprint, "require_memory", lambda *given: None)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("source") / "tiny")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> conversations.Conversations:
    splits = write_splits(tmp_path_factory.mktemp("splits") / "pairs")
    return conversations.read(
        splits, "train", Writer(tokenizer(), PAIR, MOST, "leave_out"), None, 0
    )


def network(source: Path, **changes: Any) -> Any:
    return causal.create(spec_of(**changes), source)[0].eval()


def gpt2() -> Any:
    """One that adds an embedding of each position."""
    torch.manual_seed(4)
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=tokenizer().get_vocab_size(),
            n_embd=64,
            n_layer=2,
            n_head=4,
            n_positions=128,
            initializer_range=0.1,
        )
    ).eval()


def test_packed_padded_and_alone_lose_the_same(
    source: Path, rows: conversations.Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss of each example, within 1e-5; with a mask that only looks back, as other trainers
    have it on a CPU, it is another, which is noticed before the first step."""
    data = (rows.ids, rows.learned, 1)
    for model in (network(source), gpt2()):
        alone, right = writing.each_loss(model, *data, batch_size=1)
        padded, _ = writing.each_loss(model, *data, batch_size=16)
        packed, _ = writing.each_loss(model, *data, batch_size=16, max_tokens=128)
        np.testing.assert_allclose(padded, alone, rtol=0, atol=1e-5)
        np.testing.assert_allclose(packed, alone, rtol=0, atol=1e-5)
        assert (alone > 1).all() and 0 <= right.sum() < rows.weight.sum()
        writing.require_apart(model, *data, 128)
        with monkeypatch.context() as planted:
            planted.setattr(writing, "apart", _looking_back)
            packed, _ = writing.each_loss(model, *data, batch_size=16, max_tokens=128)
            assert np.abs(packed - alone).max() > 1e-2
            with pytest.raises(LmspecError, match="lets an example see another of its line"):
                writing.require_apart(model, *data, 128)


def test_positions_begin_again(rows: conversations.Conversations) -> None:
    """Of a model that learns each position; positions of the line would give another loss."""
    model = gpt2()
    batch = writing.collated(rows.learned, 128)(rows.ids, [0, 1, 2], 1)
    assert isinstance(batch, writing.Lines) and batch.is_packed
    ids = torch.from_numpy(batch.input_ids)
    of_line = np.arange(ids.shape[1])[None].repeat(len(ids), 0)
    with torch.inference_mode():
        right = writing.imitating()(model, batch, ids, ids)
        wrong = writing.imitating()(
            model, dataclasses.replace(batch, position_ids=of_line), ids, ids
        )
    each, _ = writing.each_loss(model, rows.ids[:3], rows.learned[:3], 1)
    assert float(right) == pytest.approx(each.sum() / rows.weight[:3].sum(), abs=1e-5)
    assert abs(float(wrong - right)) > 1e-2


def _looking_back(segments: torch.Tensor) -> torch.Tensor:
    length = segments.shape[1]
    return torch.ones(len(segments), 1, length, length, dtype=torch.bool).tril()


def test_a_packed_neighbour_changes_no_bit(
    source: Path, rows: conversations.Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tokens before an example, as many of them, leave its logits as they are."""
    model = network(source)
    ids = [rows.ids[0], rows.ids[1]]
    other = [(ids[0] + 7) % 250, ids[1]]
    collate = writing.collated(rows.learned, 128)

    def logits(examples: list[Any]) -> torch.Tensor:
        batch = collate(examples, [0, 1], 1)
        assert isinstance(batch, writing.Lines) and batch.is_packed and len(batch.input_ids) == 1
        with torch.inference_mode():
            guessed = writing.guessed(model, batch, torch.from_numpy(batch.input_ids))
        return guessed[batch.row_of == 1]

    assert torch.equal(logits(ids), logits(other))
    monkeypatch.setattr(writing, "apart", _looking_back)
    assert (logits(ids) - logits(other)).abs().max() > 1e-3


def test_a_window_that_a_line_would_widen_is_refused(
    source: Path, rows: conversations.Conversations
) -> None:
    """Of a model that sees its last tokens alone, whose mask a packed line replaces."""
    model = network(source)
    model.config.sliding_window = int(rows.ids.lengths.max())
    writing.require_apart(model, rows.ids, rows.learned, 1, 128)
    model.config.sliding_window -= 1
    with pytest.raises(LmspecError, match="tokens at a time, and an example has"):
        writing.require_apart(model, rows.ids, rows.learned, 1, 128)


def test_lines_hold_what_fits() -> None:
    """Each example is in the first line with room; without a limit, in one of its own."""
    assert writing.first_fit([5, 4, 3, 9, 2, 1], 8) == [[0, 2], [1, 4, 5], [3]]
    assert writing.first_fit([5, 4, 3], None) == [[0], [1], [2]]


def test_the_loss_is_that_of_transformers(source: Path, rows: conversations.Conversations) -> None:
    """Its mean over the learned tokens of the batch, of which ours is computed in packed lines, by
    a head that sees these alone."""
    model = network(source)
    chosen = [3, 90, 41, 7, 120, 66]
    theirs = model(**_labelled(rows, chosen)).loss
    for max_tokens in (None, 100):
        batch = writing.collated(rows.learned, max_tokens)(rows.ids, chosen, 1)
        ids, mask = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
        ours = writing.imitating()(model, batch, ids, mask)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def _labelled(rows: conversations.Conversations, chosen: Any) -> dict[str, torch.Tensor]:
    """A padded batch, with -100 for what is not learned."""
    width = max(len(rows.ids[int(i)]) for i in chosen)
    shape = len(chosen), width
    ids, labels, mask = np.ones(shape, int), np.full(shape, -100), np.zeros(shape, int)
    for place, row in enumerate(map(int, chosen)):
        own = rows.ids[row]
        ids[place, : len(own)], mask[place, : len(own)] = own, 1
        labels[place, : len(own)] = np.where(rows.learned[row] > 0, own, -100)
    tensors = map(torch.from_numpy, (ids, mask, labels))
    return dict(zip(("input_ids", "attention_mask", "labels"), tensors, strict=True))


@pytest.mark.parametrize("max_tokens", [None, 128])
def test_the_losses_are_those_of_a_plain_loop(
    source: Path, rows: conversations.Conversations, max_tokens: int | None
) -> None:
    """Of the first steps, as any tutorial has it; a template that is learned, too, gives others."""
    rule = training(batch_size=8)
    losses, _ = fitted(network(source), rows, rule, max_tokens)
    assert len(losses) == 20

    def plain(learned: Callable[[int], Any]) -> list[float]:
        model = network(source).train()
        weights = list(model.parameters())
        optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in weights if p.ndim >= 2], "weight_decay": 0.01},
                {"params": [p for p in weights if p.ndim < 2], "weight_decay": 0.0},
            ],
            lr=3e-3,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate_factor(step, 20, rule)
        )
        found = []
        for step in Order(rows.ids.lengths.tolist(), 8, 1, NUMERICS.seed).start(0):
            batch = _labelled(rows, step.rows)
            for place, row in enumerate(step.rows):
                batch["labels"][place, : len(rows.ids[int(row)])] = learned(int(row))
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            schedule.step()
            found.append(loss.item())
        return found

    def answers(row: int) -> torch.Tensor:
        return torch.from_numpy(np.where(rows.learned[row] > 0, rows.ids[row], -100))

    np.testing.assert_allclose(losses, plain(answers), rtol=0, atol=2e-5)
    assert losses[-1] < losses[0] - 0.5
    if max_tokens is None:
        everything = plain(lambda row: torch.from_numpy(rows.ids[row]))
        assert abs(everything[0] - losses[0]) > 1e-2


def fitted(
    model: Any,
    rows: conversations.Conversations,
    rule: Any,
    max_tokens: int | None = None,
    resume: Resume | None = None,
    kill_at: int = 10**9,
    weighted: bool = True,
) -> tuple[list[float], Any]:
    """Train; the loss of each batch that is computed."""
    losses: list[float] = []
    imitating = writing.imitating()

    def objective(*given: Any) -> torch.Tensor:
        if len(losses) == kill_at:
            raise KeyboardInterrupt
        loss = imitating(*given)
        losses.append(loss.item())
        return loss

    task = Task(
        rows.ids,
        1,
        objective,
        writing.evaluation(model, rows.ids[:16], rows.learned[:16], 100, 1),
        collate=writing.collated(rows.learned, max_tokens),
        weight=rows.weight if weighted else None,
    )
    return losses, loop.fit(model, task, rule, NUMERICS, resume)


def test_batches_have_examples_of_all_lengths(
    source: Path, rows: conversations.Conversations
) -> None:
    """Those of one length stand for no other, and cost a model that writes much of its loss."""
    read: list[np.ndarray[Any, Any]] = []
    imitating = writing.imitating()

    def objective(model: Any, batch: Any, *given: Any) -> torch.Tensor:
        read.append(rows.ids.lengths[batch.rows])
        return imitating(model, batch, *given)

    model, rule = network(source), training(batch_size=8)
    task = descending.task(model, rows, rows, 1, rule, objective)
    loop.fit(model, task, rule, NUMERICS)
    spread = np.mean([batch.std() for batch in read])
    assert spread > 0.7 * rows.ids.lengths.std()


def test_activations_that_are_computed_again_are_the_same(
    source: Path, rows: conversations.Conversations
) -> None:
    """With dropout, too: `checkpointing` changes memory, not losses."""
    losses = []
    for again in (False, True):
        model = network(source, dropout=0.1)
        if again:
            model.activation_checkpointing_enable({"use_reentrant": False})
        losses.append(fitted(model, rows, training(batch_size=32), 128)[0])
    assert losses[0] == losses[1]


def test_parts_of_a_batch_count_by_their_tokens(
    source: Path, rows: conversations.Conversations
) -> None:
    """Sixteen at once, or by three and one: the same weights after a step, within 1e-6. A mean of
    means gives others."""

    def after(size: int | None, weighted: bool = True) -> torch.Tensor:
        model = network(source)
        rule = training(optimizer=SGD, micro_batch_size=size, warmup_fraction=0.0, batch_size=16)
        few = conversations.Conversations(
            rows.ids[:16],
            rows.learned[:16],
            rows.of_row[:16],
            rows.documents,
            rows.tokens,
            0,
            0,
            (),
        )
        fitted(model, few, rule, 128, weighted=weighted)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    whole = after(None)
    assert (after(3) - whole).abs().max() <= 1e-6
    assert (after(3, weighted=False) - whole).abs().max() > 1e-5


def test_ranks_count_by_their_tokens() -> None:
    """Over the processes of a world, too: factors of means make the mean over all tokens."""
    weight = np.asarray([1, 9, 2, 4, 4])
    step = Step(0, np.arange(5))
    total = 0.0
    for rank in range(2):
        world = World(rank, 2, False, torch.device("cpu"))
        for part, factor in world.shares(step, 2, weight):
            mean = (weight[part] * part).sum() / weight[part].sum()  # of a loss that is the row
            total += factor * mean / 2
    assert total == pytest.approx((weight * np.arange(5)).sum() / weight.sum())


@pytest.mark.parametrize("tied", [True, False])
def test_a_killed_training_goes_on_to_the_same_bytes(
    tmp_path: Path,
    rows: conversations.Conversations,
    tied: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As two runs give the same; a tied head is in a checkpoint once, and stays tied."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    source = write_weights(tmp_path / "tiny", tied)
    resume = Resume(tmp_path / "resume", lambda: True)
    rule = training(batch_size=8, packing={"max_tokens": 128})

    def bytes_of(model: Any) -> str:
        held = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
        return hashlib.sha256(held).hexdigest()

    whole, again, killed, resumed = (network(source) for _ in range(4))
    fitted(whole, rows, rule, 128)
    fitted(again, rows, rule, 128)
    with pytest.raises(KeyboardInterrupt):
        fitted(killed, rows, rule, 128, resume, 13)
    losses, _ = fitted(resumed, rows, rule, 128, resume)
    assert len(losses) == 20 - 13
    assert bytes_of(whole) == bytes_of(again) == bytes_of(resumed)
    head, embedding = whole.lm_head.weight, whole.model.embed_tokens.weight
    assert (head is embedding) == tied
    assert ("lm_head.weight" in Weights(whole).state()) == (not tied)
    assert "model.embed_tokens.weight" in Weights(whole).state()


def test_frozen_weights_stay(source: Path, rows: conversations.Conversations) -> None:
    """A head that is tied to frozen embeddings, too; it is in no checkpoint then."""
    model = network(source, frozen_embeddings=True, frozen_layers=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert "lm_head.weight" not in Weights(model).state()
    fitted(model, rows, training(batch_size=32))
    moved = {n for n, value in model.state_dict().items() if not torch.equal(value, before[n])}
    assert moved and all(".layers.1." in n or n == "model.norm.weight" for n in moved)
    with pytest.raises(LmspecError, match="3 is more than the model's 2 layers"):
        network(source, frozen_layers=3)


def test_memory_counts_what_the_loss_keeps(source: Path, rows: conversations.Conversations) -> None:
    """As wide as the vocabulary for each learned token, and no wider for the others."""
    model = network(source)
    collate = writing.collated(rows.learned)
    task = Task(rows.ids, 1, writing.imitating(), dict, collate=collate, weight=rows.weight)
    longest = int(rows.ids.lengths.argmax())
    kept = footprint._kept(model, task, [longest], NUMERICS)
    learned = int(rows.weight[longest])
    width = model.config.vocab_size

    def summed(*given: Any) -> torch.Tensor:
        return functional.mse_loss(
            writing.guessed(given[0], given[1], given[2]).sum(), torch.zeros(())
        )

    plain = Task(rows.ids, 1, summed, dict, collate=collate)
    without = footprint._kept(model, plain, [longest], NUMERICS)
    assert learned * width * 4 <= kept - without < 3 * learned * width * 4
