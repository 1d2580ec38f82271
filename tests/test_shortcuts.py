"""What makes a training faster changes what it computes by no more than rounding."""

import numpy as np
import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from lmspec.errors import LmspecError
from lmspec.methods import bytepair, reading
from lmspec.run import determinism
from lmspec.training import dropping, loop, supervision, vocabulary
from lmspec.training.averaging import Average
from lmspec.training.optimizers import Descent
from lmspec.training.order import Order
from lmspec.training.schedule import learning_rate_factor
from lmspec.training.task import Task
from lmspec.training.watching import Watch
from tests.test_training import ADAMW, NUMERICS, SGD, TEXTS, alone, recipe

ROWS, WORDS, READ, PAD = 96, 400, range(5, 60), 0
DRAWS = np.random.default_rng(1)
IDS = [DRAWS.integers(READ.start, READ.stop, n) for n in DRAWS.integers(3, 12, ROWS)]
TRUTH = np.asarray([int(i[0] % 2) for i in IDS])
UNREAD = WORDS - 1


def encoder(dropout: float = 0.0) -> BertForSequenceClassification:
    """A tiny one, always with the same weights."""
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=2,
    )
    return BertForSequenceClassification(config)


def task(model: nn.Module) -> Task:
    """Learn the parity of the first token; evaluated on texts with words that training lacks."""
    dev = [np.append(i, UNREAD) for i in IDS[:20]]
    evaluate = supervision.evaluation(model, alone(dev), TRUTH[:20], PAD)
    return Task(IDS, PAD, supervision.supervised(TRUTH), evaluate)


def plain(spec: object, steps: int) -> tuple[list[float], nn.Module]:
    """Losses and model of a loop as in any tutorial: padded batches, clipped, torch's optimizer."""
    model = encoder().train()
    params = list(model.parameters())
    rule = spec.optimizer  # type: ignore[attr-defined]
    groups = [
        {"params": [p for p in params if p.ndim >= 2], "weight_decay": rule.weight_decay},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    if rule.kind == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(rule.beta1, rule.beta2))
    else:
        optimizer = torch.optim.SGD(groups, lr=1.0, momentum=rule.momentum)
    order = Order([len(i) for i in IDS], spec.batch_size, spec.epochs, NUMERICS.seed)  # type: ignore[attr-defined]
    losses = []
    for step, _ in zip(order.start(0), range(steps), strict=False):
        rows = [torch.from_numpy(IDS[i]) for i in step.rows]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)
        mask = nn.utils.rnn.pad_sequence([torch.ones_like(r) for r in rows], batch_first=True)
        loss = model(ids, attention_mask=mask, labels=torch.from_numpy(TRUTH[step.rows])).loss
        for group in optimizer.param_groups:
            factor = learning_rate_factor(step.number, order.steps, spec)  # type: ignore[arg-type]
            group["lr"] = rule.peak_learning_rate * factor
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(params, spec.max_gradient_norm)  # type: ignore[attr-defined]
        optimizer.step()
        losses.append(loss.item())
    return losses, model


@pytest.mark.parametrize(
    "rule", [ADAMW | {"weight_decay": 0.3}, SGD | {"weight_decay": 0.3, "momentum": 0.9}]
)
def test_the_losses_are_those_of_a_plain_loop(rule: dict[str, object]) -> None:
    """Without dropout, in fp32: 20 losses and all weights, those of words that no training text
    has included; these decay (the negative control)."""
    spec = recipe(
        epochs=4,
        optimizer=rule,
        max_gradient_norm=0.5,
        early_stopping={"metric": "log_loss", "evaluation_steps": 1, "patience": 99},
    )
    losses, other = plain(spec, 20)
    model = encoder()
    first = model.get_input_embeddings().weight[UNREAD].detach().clone()
    fitted = loop.fit(model, task(model), spec, NUMERICS)
    assert [row["train_loss"] for row in fitted.curve][:20] == pytest.approx(losses, abs=1e-5)
    # the model ends with the weights of its best evaluation
    _, other = plain(spec, fitted.best["step"])
    for name, value in model.state_dict().items():
        assert torch.allclose(value, other.state_dict()[name], atol=1e-5), name
    assert not torch.allclose(model.get_input_embeddings().weight[UNREAD], first, atol=1e-5)


def test_the_first_losses_are_those_of_the_trainer_of_transformers(tmp_path: object) -> None:
    """Likewise, on the same rows in the same order."""
    pytest.importorskip("accelerate")
    from transformers import Trainer, TrainingArguments

    spec = recipe(
        epochs=4,
        early_stopping={"metric": "log_loss", "evaluation_steps": 1, "patience": 99},
    )
    order = Order([len(i) for i in IDS], spec.batch_size, spec.epochs, NUMERICS.seed)
    batches = [step.rows for step in order.start(0)]

    theirs: list[float] = []

    class Same(Trainer):
        def training_step(self, *given: object, **named: object) -> torch.Tensor:
            loss = super().training_step(*given, **named)
            theirs.append(loss.item())
            return loss

        def get_train_dataloader(self) -> object:
            rows = [int(r) for batch in batches for r in batch]
            data = [{"input_ids": torch.from_numpy(IDS[r]), "labels": int(TRUTH[r])} for r in rows]

            def together(part: list[dict[str, object]]) -> dict[str, torch.Tensor]:
                ids = [row["input_ids"] for row in part]
                pad = nn.utils.rnn.pad_sequence
                return {
                    "input_ids": pad(ids, batch_first=True, padding_value=PAD),
                    "attention_mask": pad([torch.ones_like(i) for i in ids], batch_first=True),
                    "labels": torch.tensor([row["labels"] for row in part]),
                }

            return torch.utils.data.DataLoader(data, spec.batch_size, collate_fn=together)

    model = encoder()
    arguments = TrainingArguments(
        str(tmp_path),
        max_steps=20,
        learning_rate=spec.optimizer.peak_learning_rate,
        weight_decay=spec.optimizer.weight_decay,
        lr_scheduler_type="constant",
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    Same(model, arguments).train()
    own = encoder()
    constant = {"warmup_fraction": 0.0, "decay": "constant"}
    fitted = loop.fit(own, task(own), recipe(**spec.model_dump() | constant), NUMERICS)
    assert [row["train_loss"] for row in fitted.curve][:20] == pytest.approx(theirs, abs=1e-5)


def test_only_the_rows_that_occur_are_trained() -> None:
    """And the model has all of them for an evaluation, and in the end."""
    model, spec = encoder(), recipe()
    embedding = model.get_input_embeddings()
    whole = embedding.weight
    seen = []

    def evaluate() -> dict[str, float]:
        seen.append(len(embedding.weight))
        return {}

    given = Task(IDS, PAD, supervision.supervised(TRUTH), evaluate)
    with vocabulary.narrowed(model, given, spec) as narrow:
        assert len(embedding.weight) == len({*np.concatenate(IDS).tolist(), PAD}) + 1
        assert embedding.weight is Descent(model, spec, 1).trained[0]
        narrow.evaluate()
        assert len(embedding.weight) < WORDS
    assert seen == [WORDS]
    assert embedding.weight is whole and embedding.padding_idx == PAD
    assert torch.equal(whole, encoder().get_input_embeddings().weight)
    everything = Task([np.arange(WORDS)], PAD, given.objective, evaluate)
    with vocabulary.narrowed(model, everything, spec):
        assert embedding.weight is whole


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_drops_its_share_and_keeps_the_mean(dtype: torch.dtype) -> None:
    """In every quarter of a draw alike; the same seed drops the same, gradients too."""
    values = torch.ones(40_000, 8, dtype=dtype, requires_grad=True)
    torch.manual_seed(3)
    out = dropping.dropped(values, 0.3)
    zero = (out == 0).float()
    assert zero.view(-1, 4).mean(0).tolist() == pytest.approx([0.3] * 4, abs=0.006)
    # no draw has a part in another
    pairs = torch.corrcoef(zero.view(-1, 4).T) - torch.eye(4)
    assert pairs.abs().max() < 0.02
    assert out.detach().unique().float().tolist() == pytest.approx([0, 1 / 0.7], rel=0.005)
    out.float().sum().backward()
    assert torch.equal(values.grad, out.detach())
    torch.manual_seed(3)
    assert torch.equal(dropping.dropped(values, 0.3), out)


@pytest.mark.parametrize("padded", [False, True])
def test_attention_with_dropout_is_that_of_sdpa(padded: bool) -> None:
    """With a probability too small to drop anything, and a mask or none."""
    ids = torch.from_numpy(np.stack([i[:3] for i in IDS[:8]]))
    mask = torch.ones_like(ids)
    mask[0, 2] = 0 if padded else 1
    model = encoder(dropout=1e-9).train()
    expected = model(ids, attention_mask=mask).logits
    with dropping.quick(model):
        got = model(ids, attention_mask=mask).logits
        assert model.config._attn_implementation == dropping.ATTENTION
    assert model.config._attn_implementation == "sdpa"
    assert torch.allclose(got, expected, atol=1e-6)
    assert type(model.dropout) is nn.Dropout


def test_dropout_is_that_of_the_network_in_training_alone() -> None:
    """It changes the logits in training, not in an evaluation."""
    ids = torch.from_numpy(np.stack([i[:3] for i in IDS[:8]]))
    model = encoder(dropout=0.5)
    with dropping.quick(model):
        assert torch.equal(model.eval()(ids).logits, model(ids).logits)
        assert not torch.equal(model.train()(ids).logits, model(ids).logits)


def test_a_loss_that_is_not_finite_is_that_of_its_step() -> None:
    """Though losses are read several at once on a card."""
    model = encoder()
    watch = Watch(model, task(model), recipe(), Average([], recipe(), 9), 9)
    rows, largest = np.arange(2), torch.zeros(())

    def steps(first: int, *losses: float) -> list[tuple[object, ...]]:
        each = enumerate(losses, start=first)
        return [(step, rows, torch.tensor(value), largest) for step, value in each]

    for step in (1, 2):
        watch.add(step, rows, torch.tensor(0.5, device="meta"), largest)
    assert watch.losses == [] and len(watch.unread) == 2
    watch.unread = steps(1, 0.5, 0.4)
    assert watch.state()["losses"] == pytest.approx([0.5, 0.4]) and not watch.unread
    watch.unread = steps(3, 0.3, float("nan"), 0.2)
    with pytest.raises(LmspecError, match="the loss is nan at step 4"):
        watch.read()


def test_texts_that_are_encoded_in_parts_have_the_same_windows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Few encodings are held at once, wherever the parts end."""
    tokenizer = bytepair.train(TEXTS, 300, 16)
    whole = reading.Reader(tokenizer, "truncate").read(TEXTS)
    monkeypatch.setattr(reading, "ENCODED_AT_ONCE", 7)
    parts = reading.Reader(tokenizer, "truncate").read(TEXTS)
    assert len(TEXTS) % 7 and [i.tolist() for i in parts.ids] == [i.tolist() for i in whole.ids]
    assert np.array_equal(parts.tokens, whole.tokens)


def test_amx_is_refused_where_the_processor_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As other instructions that it lacks."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": False})
    for name in ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    with pytest.raises(LmspecError, match="it is 'amx'"):
        determinism.fix(NUMERICS.model_copy(update={"instructions": "amx"}))
