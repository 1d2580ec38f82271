"""Training: exact, in proportion, and the same for every kind of model."""

import re
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from lmspec.architectures import cnn, rnn, transformer
from lmspec.errors import LmspecError
from lmspec.methods import bytepair, encoding, firsttoken, metrics, reading, torchrun
from lmspec.specs.architecture import Cnn, Rnn
from lmspec.specs.numerics import Numerics
from lmspec.specs.student import Distillation
from lmspec.specs.training import GradientDescent
from lmspec.training import distilling, loop, seeds, supervision, teaching, updating
from lmspec.training.order import training_order
from lmspec.training.schedule import learning_rate_factor
from lmspec.training.task import Fitted, Task
from tests import miniature

TEXTS = [text for _, text, _ in miniature.sentences("")]
TRUTH = np.asarray([int(stars == 5) for *_, stars in miniature.sentences("")])
NUMERICS = Numerics(seed=5, threads=1, precision="fp32", instructions="avx2")
ADAMW = {
    "kind": "adamw",
    "peak_learning_rate": 3e-3,
    "weight_decay": 0.01,
    "beta1": 0.9,
    "beta2": 0.999,
    "epsilon": 1e-8,
}
SGD = {
    "kind": "sgd",
    "peak_learning_rate": 0.1,
    "weight_decay": 0.0,
    "momentum": 0.0,
    "nesterov": False,
}


def recipe(**changes: object) -> GradientDescent:
    """Two short epochs."""
    stopping = {"metric": "accuracy", "evaluation_steps": 5, "patience": 9}
    base = {
        "kind": "gradient_descent",
        "class_weights": "none",
        "epochs": 2,
        "batch_size": 16,
        "optimizer": ADAMW,
        "warmup_fraction": 0.1,
        "decay": "linear",
        "max_gradient_norm": 1.0,
        "seeds": 1,
    }
    return GradientDescent.model_validate(base | {"early_stopping": stopping} | changes)


def make(kind: str) -> tuple[torch.nn.Module, list[NDArray[np.int64]], int]:
    """A small network of that kind, the encoded texts, and the id of the padding."""
    seeds.seed_weights(NUMERICS)
    if kind == "cnn":
        spec = Cnn(
            kind="cnn",
            embedding_dim=12,
            filters=8,
            widths=(1, 2, 3),
            vocabulary=300,
            max_length=16,
            long_texts="truncate",
            dropout=0.2,
        )
        model, tokenizer, pad = cnn.create(spec, None, TEXTS, 2)
    else:
        shape = {
            "embedding_dim": 12,
            "hidden_dim": 8,
            "vocabulary": 300,
            "max_length": 16,
            "long_texts": "truncate",
            "dropout": 0.2,
            "layers": 2,
        }
        model, tokenizer, pad = rnn.create(
            Rnn.model_validate({"kind": "rnn", "cell": kind, "bidirectional": True} | shape),
            None,
            TEXTS,
            2,
        )
    return model, reading.Reader(tokenizer, "truncate").read(TEXTS).ids, pad


def alone(ids: list[NDArray[np.int64]]) -> reading.Windows:
    """Each the only window of a text."""
    tokens = np.asarray([len(i) for i in ids])
    return reading.Windows(ids, np.arange(len(ids)), tokens, 0 * tokens, None)


def fit(
    kind: str, spec: GradientDescent, numerics: Numerics = NUMERICS
) -> tuple[torch.nn.Module, Fitted]:
    model, ids, pad = make(kind)
    evaluate = supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)
    return model, loop.fit(
        model, Task(ids, pad, supervision.supervised(TRUTH), evaluate), spec, numerics
    )


def weights(model: torch.nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["cnn", "lstm", "gru"])
def test_the_same_seed_gives_the_same_bits(kind: str, precision: Literal["fp32", "bf16"]) -> None:
    """Twice the same; another seed of the order gives other weights (the negative control)."""
    numerics = NUMERICS.model_copy(update={"precision": precision})
    one, two = fit(kind, recipe(), numerics)[0], fit(kind, recipe(), numerics)[0]
    assert weights(one) == weights(two)
    other = fit(kind, recipe(), numerics.model_copy(update={"seed": 6}))[0]
    assert weights(one) != weights(other)


def test_a_draw_elsewhere_shifts_no_draw_of_training() -> None:
    """Dropout of a step follows from the seed and the step: drawing in between changes nothing."""
    model, ids, pad = make("cnn")

    def evaluate() -> dict[str, float]:
        torch.rand(17)
        return supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)()

    loop.fit(
        model,
        Task(ids, pad, supervision.supervised(TRUTH), evaluate),
        recipe(),
        NUMERICS,
    )
    assert weights(model) == weights(fit("cnn", recipe())[0])


def test_the_best_weights_are_kept() -> None:
    """The model ends with the dev metrics of its best row, and stops once nothing was better for
    long enough."""
    spec = recipe(
        epochs=8,
        early_stopping={"metric": "log_loss", "evaluation_steps": 10, "patience": 2},
        optimizer=ADAMW | {"peak_learning_rate": 0.3},
    )
    model, ids, pad = make("cnn")
    evaluate = supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)
    fitted = loop.fit(
        model, Task(ids, pad, supervision.supervised(TRUTH), evaluate), spec, NUMERICS
    )
    assert fitted.best["dev_log_loss"] == min(row["dev_log_loss"] for row in fitted.curve)
    assert evaluate()["log_loss"] == fitted.best["dev_log_loss"]
    after = [row["step"] for row in fitted.curve].index(fitted.best["step"])
    assert len(fitted.curve) - 1 - after == 2 or len(fitted.curve) == 8


def test_a_loss_that_is_not_finite_ends_the_build() -> None:
    """No model is written; the message names the texts, the step, the loss before and the largest
    gradient, and says what to lower."""
    model, ids, pad = make("cnn")
    known, steps = supervision.supervised(TRUTH), []

    def bursting(network: torch.nn.Module, batch: reading.Batch, *rest: torch.Tensor) -> object:
        steps.append(batch.rows)
        return known(network, batch, *rest) * (float("inf") if len(steps) == 3 else 1.0)

    def named(rows: reading.Ids) -> list[str]:
        return [f"text-{row}" for row in rows]

    def fitted() -> str:
        task = Task(ids, pad, bursting, dict, named=named)
        with pytest.raises(LmspecError) as error:
            loop.fit(model, task, recipe(optimizer=SGD), NUMERICS)
        return str(error.value)

    message = fitted()
    assert "inf at step 3" in message and "lower peak_learning_rate" in message
    assert f"text-{steps[2][0]}," in message and "and 8 more" in message
    assert re.search(
        r"it was 0\.\d+ at the step before, and the largest gradient .* 0?\.\d+", message
    )
    with torch.no_grad():
        model.head.weight.fill_(float("nan"))
    assert "nan at step 1" in (message := fitted()) and "weights to start from" in message


def test_the_schedule_rises_and_falls() -> None:
    """From a first small step to 1 at the end of warm-up, then to 0; constant stays."""
    linear = [learning_rate_factor(s, 100, recipe()) for s in range(101)]
    assert linear[0] == 0.1 and linear[9] == linear[10] == 1.0 and linear[100] == 0.0
    assert np.all(np.diff(linear[10:]) < 0)
    cosine = [
        learning_rate_factor(s, 100, recipe(warmup_fraction=0.0, decay="cosine"))
        for s in range(101)
    ]
    assert (
        cosine[0] == 1.0 and cosine[50] == pytest.approx(0.5) and cosine[100] == pytest.approx(0.0)
    )
    assert learning_rate_factor(73, 100, recipe(decay="constant")) == 1.0


def test_every_epoch_sees_every_row_once_in_another_order() -> None:
    """A permutation per epoch, a function of seed and epoch alone, with little padding."""
    lengths = np.random.default_rng(0).integers(3, 60, 500)
    one, two = (training_order(lengths, 16, 1, epoch) for epoch in (0, 1))
    for order in (one, two):
        assert sorted(i for batch in order for i in batch) == list(range(500))
    assert [b.tolist() for b in one] == [b.tolist() for b in training_order(lengths, 16, 1, 0)]
    assert [b.tolist() for b in one] != [b.tolist() for b in two]
    padded = sum(lengths[b].max() * len(b) for b in one)
    assert padded < 1.1 * lengths.sum()


@pytest.mark.parametrize("kind", ["cnn", "lstm", "gru"])
def test_padding_changes_no_logit(kind: str) -> None:
    """A text alone and the same text beside a longer one have the same logits, but for the last bit
    of a sum."""
    model, ids, pad = make(kind)
    forward = torchrun.forward(model.eval())
    longest = max(range(len(ids)), key=lambda i: len(ids[i]))
    for i in range(5):
        alone = reading.collate(ids, [i], pad)
        beside = reading.collate(ids, [i, longest], pad)
        assert beside.attention_mask[0].sum() < beside.attention_mask.shape[1]
        one = forward(alone.input_ids, alone.attention_mask)[0]
        two = forward(beside.input_ids, beside.attention_mask)[0]
        np.testing.assert_allclose(one, two, atol=1e-6)
        broken = forward(beside.input_ids, np.ones_like(beside.attention_mask))[0]
        assert np.abs(broken - one).max() > 1e-5


def test_a_bidirectional_rnn_is_torchs_own() -> None:
    """One layer, no dropout: the states are those of torch.nn.LSTM with packed sequences."""
    spec = {
        "kind": "rnn",
        "cell": "lstm",
        "bidirectional": True,
        "layers": 1,
        "embedding_dim": 6,
        "hidden_dim": 5,
    }
    model, *_ = rnn.create(
        Rnn.model_validate(
            spec | {"vocabulary": 300, "max_length": 16, "long_texts": "truncate", "dropout": 0.0}
        ),
        None,
        TEXTS,
        2,
    )
    reference = torch.nn.LSTM(6, 5, batch_first=True, bidirectional=True)
    for cell, suffix in zip(model.layers[0], ("", "_reverse"), strict=True):
        for name, value in cell.named_parameters():
            getattr(reference, name + suffix).data.copy_(value)
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        model.embedding(ids), mask.sum(1), batch_first=True
    )
    states = torch.nn.utils.rnn.pad_packed_sequence(
        reference(packed)[0], batch_first=True, padding_value=-1e9
    )[0]
    mean = torch.where(states > -1e8, states, 0.0).sum(1) / mask.sum(1, keepdim=True)
    expected = model.head(torch.cat([states.amax(1), mean], 1))
    torch.testing.assert_close(model.eval()(ids, mask).logits, expected)


def test_soft_cross_entropy_is_the_divergence_but_for_a_constant() -> None:
    """Its gradient is that of torch's KL divergence times temperature squared."""
    teacher = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    one, two = (torch.zeros(4, 3, requires_grad=True) for _ in range(2))
    distilling.soft_cross_entropy(one, teacher, 2.0).backward()
    target = torch.softmax(teacher / 2, -1)
    (
        torch.nn.functional.kl_div(torch.log_softmax(two / 2, -1), target, reduction="batchmean")
        * 4
    ).backward()
    torch.testing.assert_close(one.grad, two.grad)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    """A tiny BERT classifier with random weights."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = tmp_path_factory.mktemp("weights") / "bert"
    miniature.write_weights(folder)
    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(
        folder, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder, config=config).eval()
    firsttoken.only(model, model.bert.encoder.layer)  # as a stage reads one
    return model


def test_a_student_of_all_layers_is_its_teacher(teacher: torch.nn.Module) -> None:
    """Shrinking to every layer changes no logit; to fewer, it does; a wrong layer is an error that
    names the right ones."""
    ids = [np.arange(2, 9), np.arange(4, 20)]
    both = [
        reading.logits(torchrun.forward(m.eval()), ids, 0, 2)
        for m in (
            teacher,
            transformer.shrink(teacher, [0, 1, 2], 0.0, 0.0),
            transformer.shrink(teacher, [0, 2], 0.0, 0.0),
        )
    ]
    np.testing.assert_array_equal(both[0], both[1])
    assert np.abs(both[0] - both[2]).max() > 1e-4
    with pytest.raises(LmspecError, match="layers 0 to 2"):
        transformer.shrink(teacher, [0, 3], 0.0, 0.0)


def test_a_student_that_equals_its_teacher_has_no_hidden_loss(teacher: torch.nn.Module) -> None:
    """With the teacher's own layers the distance of the hidden states is 0, and the soft loss is
    the teacher's entropy."""
    ids = [np.arange(2, 9), np.arange(4, 20), np.arange(3, 6)]
    student = transformer.shrink(teacher, [0, 1, 2], 0.0, 0.0).eval()
    answers = distilling.answers(teacher, ids, 0, (0, 1, 2))
    batch = reading.collate(ids, [0, 1, 2], 0)
    for hidden_weight, expected in ((1.0, 0.0), (0.0, 0.0)):
        spec = Distillation(
            temperature=1.0, soft_weight=0.0, hidden_weight=hidden_weight, hard_weight=0.0
        )
        loss = teaching.taught(np.asarray([0, 1, 0]), None, answers, spec)
        value = loss(
            student,
            batch,
            torch.from_numpy(batch.input_ids),
            torch.from_numpy(batch.attention_mask),
        )
        assert float(value.detach()) == pytest.approx(expected, abs=1e-6)


def test_frozen_parts_do_not_move(teacher: torch.nn.Module) -> None:
    """Embeddings and the lower layers keep their bits; the upper layer does not."""
    model = transformer.shrink(teacher, [0, 1], 0.0, 0.0)
    transformer.freeze(model, embeddings=True, layers=1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ids = [np.arange(2, 9), np.arange(4, 20)]
    task = Task(ids, 0, supervision.supervised(np.asarray([0, 1])), lambda: {"accuracy": 0.0})
    loop.fit(model, task, recipe(), NUMERICS)
    moved = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved and not [n for n in moved if "embeddings" in n or "layer.0." in n]
    assert [n for n in moved if "layer.1." in n]
    with pytest.raises(LmspecError, match="frozen_layers"):
        transformer.freeze(model, embeddings=False, layers=3)


def test_replay_draws_without_repetition_and_by_seed() -> None:
    """As many as asked, each at most once, another sample for another seed or another splits; all
    if there are too few."""
    rows = updating.replayed(100, 40, 0.5, 1, 0)
    assert len(rows) == len(set(rows.tolist())) == 20 and np.all(np.diff(rows) > 0)
    assert rows.tolist() == updating.replayed(100, 40, 0.5, 1, 0).tolist()
    assert rows.tolist() != updating.replayed(100, 40, 0.5, 2, 0).tolist()
    assert rows.tolist() != updating.replayed(100, 40, 0.5, 1, 1).tolist()
    assert updating.replayed(10, 40, 2.0, 1, 0).tolist() == list(range(10))


def test_bytepair_is_the_same_every_time() -> None:
    """Trained twice on the same texts: the same bytes. [PAD] is 0, and length is bounded."""
    one, two = (bytepair.train(TEXTS, 300, 8) for _ in range(2))
    assert one.to_str() == two.to_str()
    assert one.token_to_id(bytepair.PAD) == bytepair.PAD_ID
    assert len(one.encode("was wonderful " * 30).ids) == 8


def watched(rows: list[tuple[float, float, int]], patience: int = 2, prior: float = 0.69) -> Fitted:
    """Training whose evaluations give (accuracy, log loss, predicted labels), one a step."""
    model, ids, pad = make("cnn")
    answers = iter(rows)

    def evaluate() -> dict[str, float]:
        accuracy, log_loss, labels = next(answers)
        return {"accuracy": accuracy, "log_loss": log_loss, "predicted_labels": labels}

    rule = {"metric": "accuracy", "evaluation_steps": 1, "patience": patience}
    objective = supervision.supervised(TRUTH)
    task = Task(list(ids), pad, objective, evaluate, prior)
    return loop.fit(model, task, recipe(epochs=1, early_stopping=rule), NUMERICS)


def test_log_loss_breaks_ties_of_the_watched_metric() -> None:
    """Of equal accuracies the lower log loss is best; an equal one does not replace the first."""
    rows = [(0.8, 0.6, 2), (0.8, 0.5, 2), (0.8, 0.5, 2), (0.7, 0.1, 2)]
    fitted = watched(rows)
    assert fitted.best["step"] == 2 and fitted.steps == 4


def test_patience_does_not_count_before_the_model_is_warm() -> None:
    """A constant answer, or a loss no better than the labels' shares, is a cold start."""
    constant = [(0.5, 0.68, 1)] * 5
    fitted = watched([*constant, (0.9, 0.4, 2), (0.8, 0.5, 2), (0.8, 0.5, 1)])
    assert (fitted.best["step"], fitted.steps) == (6, 8)  # warm once: a constant then counts too
    no_better = [(0.5, 0.70, 2)] * 5
    assert watched([*no_better, (0.9, 0.4, 2), (0.8, 0.5, 2), (0.8, 0.5, 2)]).best["step"] == 6
    assert watched([(0.5, 0.68, 2)] * 4).steps == 3  # the control: it was warm


def test_evaluations_fall_on_steps_and_on_the_end() -> None:
    """Every third step, and the last."""
    rule = {"metric": "accuracy", "evaluation_steps": 3, "patience": 100}
    _, fitted = fit("cnn", recipe(early_stopping=rule))
    steps = [row["step"] for row in fitted.curve]
    assert steps == [*range(3, fitted.steps, 3), fitted.steps]


def test_balanced_weights_make_labels_count_alike() -> None:
    """Summed over the texts of a label they are the same for each; `none` leaves the windows'."""
    truth = np.asarray([0] * 6 + [1] * 2)
    own = encoding.weights(encoding.balanced(truth), np.arange(8))
    assert own is not None and own[:6].sum() == own[6:].sum() == 4
    assert encoding.weights(None, np.arange(8)) is None
    of_text = np.asarray([0, 0, *range(1, 8)])  # the first text has two windows
    windows = encoding.weights(encoding.balanced(truth), of_text)
    assert windows is not None and windows[0] == windows[1] == pytest.approx(windows[2] / 2)


def test_a_worthless_model_is_reported() -> None:
    """One answer, or no better than the most frequent label; silence of any other."""
    truth = np.asarray([0, 0, 0, 1])
    (one,) = metrics.warnings({"predicted_labels": 1, "accuracy": 0.75}, truth)
    (two,) = metrics.warnings({"predicted_labels": 2, "accuracy": 0.5}, truth)
    assert "one label" in one and "0.500" in two and "0.750" in two
    assert not list(metrics.warnings({"predicted_labels": 2, "accuracy": 0.8}, truth))
    assert supervision.prior_log_loss(truth) == pytest.approx(0.5623, abs=1e-4)
