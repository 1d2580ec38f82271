"""A private training: rows that count alike, noise from the seed, an epsilon of two accountants."""

import hashlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML
from torch import Tensor, nn

from lmspec.architectures import transformer
from lmspec.errors import LmspecError
from lmspec.methods import card, reading
from lmspec.methods.reading import Ids
from lmspec.methods.resume import Resume
from lmspec.pipeline import compiler, packages
from lmspec.pipeline.closure import OnDisk
from lmspec.specs.architecture import Transformer
from lmspec.specs.project import Project
from lmspec.specs.training import GradientDescent
from lmspec.training import checkpoints, loop, private, seeds, supervision
from lmspec.training.clipping import Rows
from lmspec.training.task import Fitted, Task
from tests import miniature, specs
from tests.test_training import NUMERICS, TEXTS, TRUTH, alone, recipe

pytest.importorskip("opacus")

GUARANTEE = {"epsilon": 8.0, "delta": 1e-4}
LIMIT = 0.1
# (noise multiplier, probability of a row, steps, delta) -> epsilon of dp-accounting 0.6.0: by
# privacy loss distributions, and by Rényi divergences
THEIRS = {
    (0.6209, 64 / 9292, 146, 1e-5): (2.98955, 3.89679),
    (0.4488, 64 / 9292, 146, 1e-5): (7.98716, 9.85236),
    (1.4192, 0.08, 100, 1e-3): (1.98960, 2.34286),
    (1.2421, 64 / 9292, 1460, 1e-5): (0.98983, 1.10736),
}
TOLERANCE = 0.02  # of epsilon; opacus gives an upper bound, 0.01 above what it computes


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private") / "weights"
    miniature.write_weights(folder)
    return folder


def created(folder: Path, **changes: Any) -> tuple[Any, list[Ids], int]:
    """The miniature's BERT, the encoded texts, and the id of the padding."""
    base = {
        "kind": "transformer",
        "weights": "sources.bert",
        "max_length": 24,
        "long_texts": "truncate",
        "dropout": 0.1,
        "classifier_dropout": 0.1,
        "frozen_embeddings": False,
        "frozen_layers": 0,
    }
    seeds.seed_weights(NUMERICS)
    spec = Transformer.model_validate(base | changes)
    model, tokenizer, pad = transformer.create(spec, folder, TEXTS, 2)
    return model, reading.Reader(tokenizer, "truncate").read(TEXTS).ids, pad


def loss_of(model: Any, ids: list[Ids], pad: int) -> Callable[[Ids], Tensor]:
    """The mean loss of some rows."""
    task = Task(ids, pad, supervision.supervised(TRUTH), dict)
    return lambda rows: loop._loss(task, NUMERICS, model, task.objective, rows)


def fit(
    folder: Path, spec: GradientDescent, resume: Resume | None = None, at: Any = None
) -> tuple[str, Fitted]:
    """Digest of the weights, and what came of the training."""
    model, ids, pad = created(folder, frozen_embeddings=True, frozen_layers=1)
    supervised = supervision.supervised(TRUTH)
    passed = [0]

    def objective(*given: Any) -> Tensor:
        passed[0] += 1
        if passed[0] == at:
            raise KeyboardInterrupt
        return supervised(*given)

    evaluate = supervision.evaluation(model, alone(ids[:40]), TRUTH[:40], pad)
    fitted = loop.fit(model, Task(ids, pad, objective, evaluate), spec, NUMERICS, resume)
    held = b"".join(value.numpy().tobytes() for value in model.state_dict().values())
    return hashlib.sha256(held).hexdigest(), fitted


@pytest.fixture
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise is given: to search for it takes seconds."""
    monkeypatch.setattr(private, "_least_noise", lambda *_: 0.74)
    monkeypatch.setattr(private, "epsilon", lambda *_: 7.99)


def private_recipe(**changes: Any) -> GradientDescent:
    return recipe(private=GUARANTEE, max_gradient_norm=LIMIT, **changes)


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("limit", [1e-3, 0.3, 1e6])
def test_the_sum_is_that_of_each_row_alone_clipped(
    weights: Path, frozen: bool, limit: float
) -> None:
    """As autograd has each row by itself: linear layers, norms, tokens, positions; in a batch of
    texts of different lengths. Few, some or all of them are clipped."""
    model, ids, pad = created(weights, frozen_embeddings=frozen, frozen_layers=int(frozen))
    model.eval()
    loss = loss_of(model, ids, pad)
    rows = np.asarray([0, 3, 17, 40, 41, 99])
    trained = [p for p in model.parameters() if p.requires_grad]
    expected = [torch.zeros_like(p) for p in trained]
    for row in rows:
        own = torch.autograd.grad(loss(np.asarray([row])), trained, materialize_grads=True)
        norm = math.sqrt(sum(float(g.square().sum()) for g in own))
        for total, gradient in zip(expected, own, strict=True):
            total += gradient * min(1.0, limit / norm)
    found, mean, norms = Rows(model).clipped(lambda: loss(rows), len(rows), limit)
    assert (norms > 0).all()
    assert float(mean) == pytest.approx(float(loss(rows).detach()), rel=1e-6)
    for parameter, total in zip(trained, expected, strict=True):
        torch.testing.assert_close(
            found.get(parameter, torch.zeros_like(parameter)), total, rtol=1e-4, atol=1e-6 * limit
        )


def test_one_row_moves_the_sum_by_no_more_than_the_limit(weights: Path) -> None:
    """Any row: one whose loss is a thousand times as large, too (without the limit it moves
    it by more)."""
    model, ids, pad = created(weights)
    model.eval()
    task = Task(ids, pad, supervision.supervised(TRUTH), dict)
    factor = torch.ones(len(ids))
    factor[7] = 1000.0

    def loss(rows: list[int]) -> Tensor:
        each = [loop._loss(task, NUMERICS, model, task.objective, np.asarray([r])) for r in rows]
        return torch.stack([x * factor[r] for x, r in zip(each, rows, strict=True)]).mean()

    def summed(rows: list[int], limit: float) -> Tensor:
        parts = [Rows(model).clipped(lambda r=r: loss([r]), 1, limit).gradients for r in rows]
        return torch.cat(
            [sum(part[p] for part in parts).flatten() for p in model.parameters() if p in parts[0]]
        )

    others = [0, 3, 17]
    for limit, moves_little in ((LIMIT, True), (1e6, False)):
        moved = (summed([*others, 7], limit) - summed(others, limit)).norm()
        assert (moved <= LIMIT * 1.001) == moves_little


@pytest.mark.usefixtures("cheap")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("layer", ["batch norm", "of the batch", "tied", "own kind"])
def test_rows_that_depend_on_each_other_are_refused(weights: Path, layer: str) -> None:
    """Before the first step: a norm over the batch, a weight of two layers, a kind of layer whose
    rows' gradients are not known."""
    model, ids, pad = created(weights)
    if layer == "batch norm":
        model.classifier = nn.Sequential(model.classifier, nn.BatchNorm1d(2, affine=False))
    elif layer == "of the batch":

        class Centred(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return x - x.mean(0, keepdim=True) / 2

        model.classifier = nn.Sequential(model.classifier, Centred())
    elif layer == "tied":
        one, two = model.bert.encoder.layer[0], model.bert.encoder.layer[1]
        one.output.dense.weight = two.output.dense.weight
    else:
        model.classifier = nn.Sequential(model.classifier, nn.GroupNorm(1, 2))
    order = private.PoissonOrder([*map(len, ids)], 16, 2, NUMERICS.seed)
    task = Task(ids, pad, supervision.supervised(TRUTH), dict)
    loss = partial(loop._loss, task, NUMERICS)
    with pytest.raises(LmspecError, match=r"row's gradient"):
        private.Learner(model, loss, private_recipe(), NUMERICS.seed, order, task.objective)


def test_each_row_is_drawn_by_itself() -> None:
    """In each step with the same probability, independent of the other rows, and of the steps that
    were done before."""
    order = private.PoissonOrder([1 + i % 7 for i in range(400)], 40, 50, seed=3)
    steps = [step.rows for step in order.start(0)]
    assert len(steps) == order.steps == 500
    drawn = np.zeros((len(steps), 400))
    for number, rows in enumerate(steps):
        assert len(set(rows.tolist())) == len(rows)
        drawn[number, rows] = 1
    sizes = drawn.sum(1)
    assert sizes.mean() == pytest.approx(40, abs=1)
    assert sizes.var() == pytest.approx(400 * 0.1 * 0.9, rel=0.2)  # binomial; of batches it is 0
    assert np.abs(drawn.mean(0) - 0.1).max() < 5 * math.sqrt(0.09 / 500)
    assert [*map(list, steps[123:])] == [[*step.rows] for step in order.start(123)]


@pytest.mark.usefixtures("cheap")
def test_the_noise_is_that_of_its_multiplier(weights: Path) -> None:
    """Without a row a step's gradient is noise alone, of that deviation, and other noise each
    step."""
    model, ids, pad = created(weights)
    order = private.PoissonOrder([*map(len, ids)], 16, 2, NUMERICS.seed)
    spec = private_recipe()
    task = Task(ids, pad, supervision.supervised(TRUTH), dict)
    learner = private.Learner(
        model,
        partial(loop._loss, task, NUMERICS),
        spec,
        NUMERICS.seed,
        order,
        task.objective,
    )
    noises = []
    for number in (0, 1):
        nothing = private.Step(number, np.asarray([], np.int64))
        assert float(learner.backward(task.objective, nothing)) == 0
        noises.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    deviation = 0.74 * LIMIT / spec.batch_size
    for noise in noises:
        assert float(noise.std()) == pytest.approx(deviation, rel=0.02)
        assert abs(float(noise.mean())) < 5 * deviation / math.sqrt(len(noise))
    assert abs(float(torch.corrcoef(torch.stack(noises))[0, 1])) < 0.05


@pytest.mark.usefixtures("cheap")
def test_killed_it_goes_on_to_the_same_bits(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the same without a kill, too; another epsilon's noise gives other weights."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    undisturbed = fit(weights, private_recipe())
    assert fit(weights, private_recipe()) == undisturbed
    resume = Resume(tmp_path, lambda: True)
    for at in (8, 15):
        with pytest.raises(KeyboardInterrupt):
            fit(weights, private_recipe(), resume, at)
    assert any(tmp_path.iterdir())
    assert fit(weights, private_recipe(), resume) == undisturbed
    monkeypatch.setattr(private, "_least_noise", lambda *_: 0.75)
    assert fit(weights, private_recipe())[0] != undisturbed[0]


@pytest.mark.parametrize("training", THEIRS)
def test_two_accountants_agree(training: tuple[float, float, int, float]) -> None:
    """opacus and Google's dp-accounting: within 0.02 of epsilon, and ours is never the lower one;
    so are their bounds by Rényi divergences."""
    from opacus.accountants import RDPAccountant

    noise, sampled, steps, delta = training
    by_losses, by_divergence = THEIRS[training]
    ours = private.epsilon(noise, sampled, steps, delta)
    assert by_losses <= ours <= by_losses + TOLERANCE
    accountant = RDPAccountant()
    accountant.history = [(noise, sampled, steps)]
    assert accountant.get_epsilon(delta) == pytest.approx(by_divergence, rel=1e-3)
    assert ours < by_divergence


@pytest.mark.parametrize("training", THEIRS)
def test_the_other_accountant_computes_what_is_written_here(
    training: tuple[float, float, int, float],
) -> None:
    """Where it is installed: pip install --no-deps dp-accounting==0.6.0 dm-tree."""
    theirs = pytest.importorskip("dp_accounting")
    pld, rdp = pytest.importorskip("dp_accounting.pld"), pytest.importorskip("dp_accounting.rdp")
    noise, sampled, steps, delta = training
    step = theirs.PoissonSampledDpEvent(sampled, theirs.GaussianDpEvent(noise))
    found = []
    for accountant in (pld.PLDAccountant(), rdp.RdpAccountant()):
        accountant.compose(theirs.SelfComposedDpEvent(step, steps))
        found.append(accountant.get_epsilon(delta))
    assert found == pytest.approx(THEIRS[training], rel=1e-4)


def test_the_least_noise_keeps_within_epsilon() -> None:
    """A thousandth less would not."""
    spec = recipe(private={"epsilon": 3.0, "delta": 1e-5}, batch_size=64, epochs=1)
    found = private.spent(spec, 9292)
    assert found["steps"] == 146
    assert 2.9 < found["epsilon"] <= 3.0
    less = found["noise_multiplier"] - 0.001
    assert private.epsilon(less, found["sampled"], 146, 1e-5) > 3.0


@pytest.mark.usefixtures("cheap")
def test_a_delta_that_would_publish_a_row_is_refused(weights: Path) -> None:
    """Of 160 rows: 1/160 is refused, a tenth of it is not."""
    with pytest.raises(LmspecError, match="allow to publish a row") as refused:
        fit(weights, recipe(private={"epsilon": 8.0, "delta": 0.00625}))
    assert refused.value.place == "training.private.delta"
    fit(weights, recipe(private={"epsilon": 8.0, "delta": 0.0006}, epochs=1))


@pytest.mark.usefixtures("cheap")
def test_all_rows_of_an_embedding_have_noise(weights: Path) -> None:
    """Also of tokens that no text has: else the weights would tell which those are. A plain
    training does not touch them."""
    moved = {}
    for name, spec in (("plain", recipe(epochs=1)), ("private", private_recipe(epochs=1))):
        model, ids, pad = created(weights)
        table = model.get_input_embeddings().weight
        before, absent = table.detach().clone(), [*{*range(len(table))} - {*np.concatenate(ids)}]
        absent = [row for row in absent if row != pad]
        task = Task(ids, pad, supervision.supervised(TRUTH), lambda: {"accuracy": 1.0})
        loop.fit(model, task, spec.model_copy(update={"warmup_fraction": 0.0}), NUMERICS)
        after = model.get_input_embeddings().weight.detach()
        turned = (after[absent] / before[absent]).std(1)  # weight decay alone moves all alike
        moved[name] = bool((turned > 1e-5).all())
    assert moved == {"plain": False, "private": True}


def test_only_a_private_stage_has_opacus_in_its_key() -> None:
    """No other model, and no stage that reads it."""
    text = specs.GOOD.replace(
        "      epochs: 8\n", "      epochs: 8\n      private: {epsilon: 8.0, delta: 1.0e-4}\n", 1
    )
    keys = {}
    for name, written in (("without", specs.GOOD), ("with", text)):
        project = Project.model_validate(YAML(typ="safe").load(written))
        files = OnDisk(specs.ROOT)
        keys[name] = {
            artifact
            for artifact, spec in project.artifacts()
            if "opacus" in packages.executed(compiler.code_of(project, spec, files).foreign)
        }
    assert keys == {"without": set(), "with": {"model.bert"}}


def test_the_card_has_epsilon_and_what_it_does_not_cover() -> None:
    """Of a private training; the card of another says nothing of privacy."""
    spent = {
        "epsilon": 7.996,
        "delta": 1e-5,
        "noise_multiplier": 0.62,
        "sampled": 0.0069,
        "steps": 146,
        "rows": 9292,
    }
    (text,) = card.privacy(spent)
    assert "epsilon 8.00 with\ndelta 1e-05" in text
    assert "one of the 9,292 rows" in text
    assert "dev split" in text
    assert "seed" in text
    assert not [*card.privacy(None)]
