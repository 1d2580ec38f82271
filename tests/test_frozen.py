"""Frozen layers compute each window once: the losses stay, and so do the bits of a resumed run."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model

from lmspec.methods import firsttoken, layers
from lmspec.methods.resume import Resume
from lmspec.specs.student import Distillation
from lmspec.training import checkpoints, distilling, frozen, loop, supervision, teaching
from lmspec.training.task import Fitted, Task
from tests.test_shortcuts import IDS, PAD, TRUTH, WORDS
from tests.test_training import NUMERICS, alone, recipe

DEV, OTHER = IDS[:40], TRUTH[:40]
SPEC = recipe(
    epochs=3,
    early_stopping={"metric": "log_loss", "evaluation_steps": 3, "patience": 99},
)
SMALL = {
    "vocab_size": WORDS,
    "num_labels": 2,
    "pad_token_id": PAD,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
FEW = {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", {}),
    "roberta": ("Roberta", {"max_position_embeddings": 40}),
    "electra": ("Electra", {"embedding_size": 16}),
    "small electra": ("Electra", {"embedding_size": 8}),
    "distilbert": ("DistilBert", FEW | {"dropout": 0.0, "attention_dropout": 0.0}),
    "modernbert": (
        "ModernBert",
        {"attention_dropout": 0.0, "mlp_dropout": 0.0, "embedding_dropout": 0.0}
        | {"local_attention": 8, "global_attn_every_n_layers": 2},
    ),
    "roformer": ("RoFormer", {"embedding_size": 16}),
    "mpnet": ("MPNet", {}),
    "deberta": (
        "DebertaV2",
        {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 4},
    ),
}
# Of these something below the layers is trained, or a table that all share, so that no layer gives
# the same in every epoch; a layer of RoFormer gives more than states.
LEFT_ALONE = ("small electra", "mpnet", "deberta", "roformer")


def network(family: str = "bert", count: int = 2, **changes: object) -> Any:
    """A tiny one, always with the same weights, and that many frozen layers."""
    torch.manual_seed(7)
    name, own = FAMILIES[family]
    config = getattr(transformers, f"{name}Config")(**SMALL | own | changes)
    model = getattr(transformers, f"{name}ForSequenceClassification")(config)
    torch.nn.init.normal_(model.get_input_embeddings().weight)  # else layers have little to do
    getattr(model, model.base_model_prefix).embeddings.requires_grad_(False)
    layers.stack(model)[1][:count].requires_grad_(False)
    firsttoken.only(model, layers.stack(model)[1])  # as a stage has it
    return model


def task(model: Any, **changes: Any) -> Task:
    evaluate = supervision.evaluation(model, alone(DEV), OTHER, PAD)
    given = {"objective": supervision.supervised(TRUTH), "evaluate": evaluate, "dev": DEV}
    return Task(IDS, PAD, **given | changes)


def fitted(model: Any, given: Task | None = None, spec: Any = SPEC, **how: Any) -> Fitted:
    return loop.fit(model, given or task(model), spec, how.pop("numerics", NUMERICS), **how)


def passes(model: Any) -> list[int]:
    """Grows with each batch that the lowest layer computes: its windows."""
    seen: list[int] = []

    def note(_: object, given: Any, __: object) -> None:
        seen.append(len(given[0]))

    query = next(m for n, m in layers.stack(model)[1][0].named_modules() if "query" in n)
    query.register_forward_hook(note)
    return seen


def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing is kept."""
    monkeypatch.setattr(frozen, "MOST_BYTES", 0)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_losses_are_the_same(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And so are evaluations and weights; each window passes once instead of thrice and oftener.
    The control: states of a window too far do not give them."""
    numerics = NUMERICS.model_copy(update={"precision": precision})
    close = {"abs": 1e-6 if precision == "fp32" else 2e-3}
    one, two, three = network(), network(), network()
    seen = passes(one)
    curve = fitted(one, numerics=numerics).curve
    # what is tried, the estimate of memory, then each window
    assert sum(seen) - len(IDS) - len(DEV) <= 12
    assert "forward" not in vars(layers.stack(one)[1][0])
    with monkeypatch.context() as patched:
        own = frozen.States.padded
        patched.setattr(frozen.States, "padded", lambda s, rows, t: own(s, rows, t).roll(1, 0))
        wrong = fitted(three, numerics=numerics).curve
    plainly(monkeypatch)
    expected = fitted(two, numerics=numerics).curve
    for name in ("train_loss", "dev_log_loss"):
        losses = [row[name] for row in expected]
        assert [row[name] for row in curve] == pytest.approx(losses, **close)
        assert [row[name] for row in wrong] != pytest.approx(losses, **close)
    for weight, other in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.allclose(weight, other, atol=10 * close["abs"])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_fed_or_left_alone(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one and with all layers frozen, the losses are those without."""
    spec = recipe(
        epochs=2, early_stopping=SPEC.early_stopping.model_dump() | {"evaluation_steps": 6}
    )
    for count in (1, 3):
        one, two = network(family, count), network(family, count)
        with frozen.kept(one, task(one), spec, NUMERICS) as given:
            assert bool(given.kept_bytes) is (family not in LEFT_ALONE)
        if family in LEFT_ALONE:
            continue
        curve = fitted(one, spec=spec).curve
        with monkeypatch.context() as patched:
            plainly(patched)
            expected = fitted(two, spec=spec).curve
        for name in ("train_loss", "dev_log_loss"):
            losses = [row[name] for row in expected]
            assert [row[name] for row in curve] == pytest.approx(losses, abs=1e-6)


def test_a_network_that_uses_a_layers_output_twice_is_left_alone() -> None:
    """It is tried before it is fed, so that a family which is built otherwise trains as ever."""
    model = network()
    held: list[torch.Tensor] = []
    stack = layers.stack(model)[1]
    stack[0].register_forward_hook(lambda _, __, out: held.append(out))
    stack[2].register_forward_hook(lambda _, __, out: out + held.pop())
    with frozen.kept(model, task(model), SPEC, NUMERICS) as given:
        assert given.kept_bytes == 0


@pytest.mark.parametrize(
    ("changes", "train", "dev"),
    [
        ({}, True, True),
        ({"hidden_dropout_prob": 0.1}, False, True),
        ({"attention_probs_dropout_prob": 0.1}, False, True),
        ({"classifier_dropout": 0.1}, True, True),
        ({"count": 0}, False, False),
    ],
)
def test_dropout_below_leaves_training_windows_out(
    changes: dict[str, Any], train: bool, dev: bool
) -> None:
    """Evaluations have none, and dropout in the head is above."""
    model = network(**changes)
    plain = task(model)
    with frozen.kept(model, plain, SPEC, NUMERICS) as given:
        assert (given.objective is not plain.objective) is train
        assert (given.evaluate is not plain.evaluate) is dev


def test_only_what_is_read_again_is_kept() -> None:
    """Not in one epoch, not for one evaluation, an objective on single layers, or masked texts."""
    model = network()
    one_epoch = recipe(epochs=1, early_stopping=SPEC.early_stopping.model_dump())
    rare = recipe(
        epochs=3, early_stopping={"metric": "accuracy", "evaluation_steps": 18, "patience": 1}
    )
    cases: list[tuple[Any, dict[str, Any], bool, bool]] = [
        (SPEC, {}, True, True),
        (one_epoch, {}, False, True),
        (rare, {}, True, False),
        (SPEC, {"reads_layers": True}, False, True),
        (SPEC, {"dev": ()}, True, False),
        (SPEC, {"of_epoch": lambda epoch: supervision.supervised(TRUTH)}, False, False),
    ]
    for spec, changes, train, dev in cases:
        plain = task(model, **changes)
        with frozen.kept(model, plain, spec, NUMERICS) as given:
            assert (given.objective is not plain.objective) is train
            assert (given.evaluate is not plain.evaluate) is dev


def test_what_does_not_fit_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of training windows first; what is kept counts in the estimate of memory."""
    model = network()
    sizes = [sum(map(len, ids)) * 16 * 4 for ids in (IDS, DEV)]
    for room, train, dev in ((sum(sizes), True, True), (sizes[0], True, False)):
        monkeypatch.setattr(frozen, "MOST_BYTES", room)
        plain = task(model)
        with frozen.kept(model, plain, SPEC, NUMERICS) as given:
            assert given.kept_bytes == sizes[0] * train + sizes[1] * dev
            assert (given.evaluate is not plain.evaluate) is dev
            needs = loop.footprint.estimated(model, given, SPEC, NUMERICS)
        without = loop.footprint.estimated(model, plain, SPEC, NUMERICS)
        assert needs.held - without.held == given.kept_bytes


def test_an_adapter_above_leaves_the_frozen_layers_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With LoRA in the upper layer the lower two are kept; with it in the lowest, none."""

    def adapted(number: int) -> Any:
        model = network()
        targets = [f"bert.encoder.layer.{number}.attention.self.query"]
        get_peft_model(model, LoraConfig(r=2, target_modules=targets, lora_dropout=0.1))
        return model

    lowest = adapted(0)
    with frozen.kept(lowest, task(lowest), SPEC, NUMERICS) as given:
        assert given.kept_bytes == 0
    torch.manual_seed(3)
    kept = fitted(adapted(2)).curve
    plainly(monkeypatch)
    torch.manual_seed(3)
    expected = fitted(adapted(2)).curve
    losses = [row["train_loss"] for row in expected]
    assert [row["train_loss"] for row in kept] == pytest.approx(losses, abs=1e-6)


def test_a_student_of_hidden_states_has_its_evaluations_kept() -> None:
    """Its objective reads what every layer gives, which is the same as without."""
    answers = distilling.answers(network(count=0), IDS, PAD, (0, 1, 2))
    spec = Distillation(temperature=2.0, soft_weight=1.0, hidden_weight=1.0, hard_weight=1.0)
    model = network()
    given = task(model, objective=teaching.taught(TRUTH, None, answers, spec), reads_layers=True)
    seen = passes(model)
    fitted(model, given)
    epochs = SPEC.epochs * len(IDS)
    assert epochs + len(DEV) <= sum(seen) <= epochs + len(DEV) + 12


class Kill(BaseException):
    """Ends a training at that point, as SIGKILL does."""


def test_a_resumed_training_has_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in steps of different epochs and in an evaluation. The control: states that depend on
    where it goes on from end elsewhere."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)

    def train(folder: Path | None, at: int | None = None) -> tuple[bytes, Fitted]:
        model = network()
        known, counted = task(model), itertools.count(1)

        def killing(function: Any) -> Any:
            def called(*arguments: Any) -> Any:
                if next(counted) == at:
                    raise Kill
                return function(*arguments)

            return called

        given = task(model, objective=killing(known.objective), evaluate=killing(known.evaluate))
        place = Resume(folder, lambda: True) if folder else None
        result = fitted(model, given, resume=place)
        return b"".join(v.numpy().tobytes() for v in model.state_dict().values()), result

    undisturbed = train(None)
    for moment in (5, 12, 4):
        with pytest.raises(Kill):
            train(tmp_path / "a", moment)
    assert train(tmp_path / "a") == undisturbed
    with pytest.raises(Kill):
        train(tmp_path / "b", 9)
    own = frozen.States.padded
    monkeypatch.setattr(frozen.States, "padded", lambda s, rows, t: own(s, rows, t) * 1.001)
    assert train(tmp_path / "b") != undisturbed


def test_evaluations_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """States of dev windows are computed in the batches in which they are evaluated, so a training
    of one epoch ends with the same bits as without."""
    spec = recipe(epochs=1, early_stopping=SPEC.early_stopping.model_dump())
    one, two = network(), network()
    curve = fitted(one, spec=spec).curve
    plainly(monkeypatch)
    assert curve == fitted(two, spec=spec).curve
    for weight, other in zip(one.parameters(), two.parameters(), strict=True):
        assert np.array_equal(weight.detach(), other.detach())
