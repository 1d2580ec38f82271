"""An adapter trains what peft trains, leaves the frozen weights alone, and merges into them."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers
from numpy.typing import NDArray
from ruamel.yaml import YAML
from transformers import AutoConfig, AutoModelForSequenceClassification

from lmspec.architectures import transformer
from lmspec.architectures.adapters import FOLDER, Adapted
from lmspec.errors import LmspecError
from lmspec.methods import reading, torchrun
from lmspec.methods.resume import Resume
from lmspec.pipeline import compiler, packages
from lmspec.pipeline.closure import OnDisk
from lmspec.specs.architecture import Transformer
from lmspec.specs.numerics import Numerics
from lmspec.specs.project import Project
from lmspec.specs.training import GradientDescent
from lmspec.training import checkpoints, loop, seeds, supervision
from lmspec.training.order import Order
from lmspec.training.schedule import learning_rate_factor
from lmspec.training.task import Task
from tests import miniature, specs
from tests.test_training import ADAMW, NUMERICS, recipe

SENTENCES = miniature.sentences("")[:160]
TRUTH = np.asarray([int(stars == 5) for *_, stars in SENTENCES])
LORA = {
    "method": "lora",
    "rank": 4,
    "alpha": 8,
    "dropout": 0.0,
    "targets": ["attention"],
    "bias": "none",
}
STEPS = 20


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source: a BERT of three layers, and its tokenizer."""
    folder = tmp_path_factory.mktemp("source") / "bert"
    miniature.write_weights(folder)
    return folder


def spec_of(frozen_layers: int = 0, **adapter: object) -> Transformer:
    """An architecture without dropout."""
    fields = {
        "kind": "transformer",
        "weights": "sources.bert",
        "max_length": 24,
        "long_texts": "truncate",
        "dropout": 0.0,
        "classifier_dropout": 0.0,
        "frozen_embeddings": True,
        "frozen_layers": frozen_layers,
        "adapter": LORA | adapter,
    }
    return Transformer.model_validate(fields)


def encoded(tokenizer: Any) -> list[NDArray[np.int64]]:
    return reading.Reader(tokenizer, "truncate").read([text for _, text, _ in SENTENCES]).ids


class Kill(BaseException):
    """Ends a training at that point."""


class Network:
    """One that is trained with an adapter."""

    def __init__(self, bert: Path, spec: Transformer, numerics: Numerics = NUMERICS) -> None:
        seeds.seed_weights(numerics)
        self.model, tokenizer, self.pad_id = transformer.create(spec, bert, [], 2)
        self.ids = encoded(tokenizer)
        self.before = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.adapted = Adapted(self.model, spec, numerics)
        self.numerics = numerics

    def fit(
        self, training: GradientDescent, resume: Resume | None = None, kill_at: int = 10**9
    ) -> list[float]:
        """Train; the loss of each step. kill_at: before that step."""
        plain, losses = supervision.supervised(TRUTH), []

        def objective(*given: Any) -> torch.Tensor:
            if len(losses) == kill_at:
                raise Kill
            loss = plain(*given)
            losses.append(loss.item())
            return loss

        task = Task(self.ids, self.pad_id, objective, lambda: {"accuracy": -losses[-1]})
        loop.fit(self.model, task, training, self.numerics, resume)
        return losses

    def logits(self) -> NDArray[np.float32]:
        """Of each text."""
        return reading.logits(torchrun.forward(self.model.eval()), self.ids, self.pad_id, 64)


def batches(ids: list[NDArray[np.int64]], training: GradientDescent) -> Iterator[dict[str, Any]]:
    """Those of our loop, as a Trainer takes them."""
    order = Order([len(i) for i in ids], training.batch_size, training.epochs, NUMERICS.seed)
    for step in order.start(0):
        batch = reading.collate(ids, step.rows, 0)
        yield {
            "input_ids": torch.from_numpy(batch.input_ids),
            "attention_mask": torch.from_numpy(batch.attention_mask),
            "labels": torch.from_numpy(TRUTH[step.rows]),
        }


def peft_model(bert: Path, adapter: dict[str, Any]) -> Any:
    """What a user of peft writes, with the draws of our seeds."""
    seeds.seed_weights(NUMERICS)
    config = AutoConfig.from_pretrained(
        bert, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )
    base = AutoModelForSequenceClassification.from_pretrained(bert, config=config)
    torch.manual_seed(seeds.derived_seed(NUMERICS.seed, "adapter", 0))
    return peft.get_peft_model(
        base,
        peft.LoraConfig(
            task_type="SEQ_CLS",
            r=adapter["rank"],
            lora_alpha=adapter["alpha"],
            target_modules=["query", "key", "value", "attention.output.dense"],
            modules_to_save=["pooler"],
            use_rslora=adapter["method"] == "rslora",
            use_dora=adapter["method"] == "dora",
        ),
    )


def optimizer_of(model: torch.nn.Module) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(
        [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": 0.01},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ],
        lr=3e-3,
    )


def factor(step: int) -> float:
    return learning_rate_factor(step, STEPS, recipe())


def by_a_plain_loop(model: Any, data: Iterator[dict[str, Any]]) -> list[float]:
    """The losses of a loop that any tutorial has."""
    optimizer, losses = optimizer_of(model), []
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    model.train()
    for batch in data:
        loss = model(**batch).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def by_the_trainer(model: Any, data: Iterator[dict[str, Any]], folder: Path) -> list[float]:
    """Those of the Trainer of `transformers`."""
    losses: list[float] = []

    class Trainer(transformers.Trainer):
        def get_train_dataloader(self) -> Any:
            return list(data)

        def compute_loss(self, *given: Any, **named: Any) -> Any:
            result = super().compute_loss(*given, **named)
            losses.append((result[0] if isinstance(result, tuple) else result).item())
            return result

    arguments = transformers.TrainingArguments(
        str(folder), max_steps=STEPS, max_grad_norm=1.0, report_to=[], use_cpu=True,
        save_strategy="no", disable_tqdm=True, logging_strategy="no",
    )  # fmt: skip
    optimizer = optimizer_of(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    Trainer(model, arguments, train_dataset=[0], optimizers=(optimizer, schedule)).train()
    return losses


@pytest.mark.parametrize("method", ["lora", "dora"])
def test_the_losses_are_those_of_peft(bert: Path, method: str, tmp_path: Path) -> None:
    """Of 20 steps, in a plain loop and in the Trainer; another alpha gives others (the negative
    control)."""
    training = recipe(optimizer=ADAMW)
    ours = Network(bert, spec_of(method=method))
    losses = ours.fit(training)
    assert len(losses) == STEPS
    same = LORA | {"method": method}
    plain = by_a_plain_loop(peft_model(bert, same), batches(ours.ids, training))
    np.testing.assert_allclose(losses, plain, rtol=0, atol=1e-5)
    trainer = by_the_trainer(peft_model(bert, same), batches(ours.ids, training), tmp_path)
    np.testing.assert_allclose(losses, trainer, rtol=0, atol=1e-5)
    other = by_a_plain_loop(peft_model(bert, same | {"alpha": 9}), batches(ours.ids, training))
    assert np.abs(np.subtract(losses, other)).max() > 1e-4


@pytest.mark.parametrize(
    "adapter",
    [
        {"targets": ["all_linear"], "dropout": 0.1},
        {"method": "rslora", "targets": ["query", "value"], "bias": "lora_only"},
        {"method": "dora"},
    ],
)
def test_only_the_adapter_and_the_head_are_trained(
    bert: Path, adapter: dict[str, Any], tmp_path: Path
) -> None:
    """Frozen weights keep their bits up to the merge, which changes those with an adapter; layers
    below `frozen_layers` have none."""
    network = Network(bert, spec_of(frozen_layers=1, **adapter))
    network.fit(recipe())
    state = network.model.state_dict()
    base = {name.replace(".base_layer.", "."): name for name in state}
    moved = {
        name
        for name, value in network.before.items()
        if name in base and not torch.equal(value, state[base[name]])
    }
    trained_biases = {
        f"bert.encoder.layer.{layer}.attention.self.{part}.bias"
        for layer in (1, 2)
        for part in ("query", "value")
    }
    assert moved == (trained_biases if adapter.get("bias") == "lora_only" else set())
    before = network.logits()
    apart = network.adapted.merge(network.ids, network.pad_id, tmp_path)
    merged = network.model.state_dict()
    assert merged.keys() == network.before.keys()
    assert 0 < np.abs(network.logits() - before).max() <= apart <= 1e-4
    changed = {
        name for name, value in merged.items() if not torch.equal(value, network.before[name])
    }
    assert {name.split(".")[0] for name in changed} == {"bert", "classifier"}
    assert not [name for name in changed if "embeddings" in name or ".layer.0." in name]
    of_layer = {n.split(".layer.2.")[1] for n in changed if ".layer.2." in n and "weight" in n}
    parts = {part.removesuffix(".weight") for part in of_layer}
    named = {f"attention.self.{part}" for part in ("query", "key", "value")}
    expected = {
        "all_linear": named | {"attention.output.dense", "intermediate.dense", "output.dense"},
        "query": {"attention.self.query", "attention.self.value"},
        "attention": named | {"attention.output.dense"},
    }
    assert parts == expected[adapter.get("targets", ["attention"])[0]]


def test_the_adapter_beside_the_weights_is_one_of_peft(bert: Path, tmp_path: Path) -> None:
    """On the source's own weights it gives the logits of the merged ones; its files hold no path of
    this machine."""
    network = Network(bert, spec_of())
    network.fit(recipe())
    network.adapted.merge(network.ids, network.pad_id, tmp_path)
    assert "sources.bert" in (tmp_path / FOLDER / "adapter_config.json").read_text()
    assert str(bert) not in (tmp_path / FOLDER / "adapter_config.json").read_text()
    base = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=2)
    loaded = peft.PeftModel.from_pretrained(base, str(tmp_path / FOLDER)).eval()
    theirs = reading.logits(torchrun.forward(loaded), network.ids, network.pad_id, 64)
    np.testing.assert_allclose(network.logits(), theirs, rtol=0, atol=1e-5)


def test_a_merge_that_is_wrong_fails(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that only removes the adapter."""
    network = Network(bert, spec_of())
    network.fit(recipe())
    monkeypatch.setattr(peft.LoraModel, "merge_and_unload", peft.LoraModel.unload)
    with pytest.raises(LmspecError, match="apart from its own on dev texts"):
        network.adapted.merge(network.ids, network.pad_id, tmp_path)


def test_the_same_seed_gives_the_same_bytes(bert: Path, tmp_path: Path) -> None:
    """Of weights and adapter; another seed draws another adapter and head."""
    found = []
    for i, seed in enumerate((5, 5, 6)):
        (tmp_path / str(i)).mkdir()
        numerics = NUMERICS.model_copy(update={"seed": seed})
        network = Network(bert, spec_of(dropout=0.1, targets=["all_linear"]), numerics)
        network.fit(recipe())
        network.adapted.merge(network.ids, network.pad_id, tmp_path / str(i))
        weights = b"".join(v.numpy().tobytes() for v in network.model.state_dict().values())
        adapter = tmp_path / str(i) / FOLDER
        found.append([weights, *(path.read_bytes() for path in sorted(adapter.iterdir()))])
    assert found[0] == found[1]
    assert found[0][0] != found[2][0] and found[0][2] != found[2][2]


def test_a_training_that_was_killed_goes_on(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the adapter and the head of its checkpoint: the same losses, the same weights."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    training, whole = recipe(), Network(bert, spec_of(dropout=0.1))
    losses = whole.fit(training)
    resume = Resume(tmp_path, lambda: True)
    with pytest.raises(Kill):
        Network(bert, spec_of(dropout=0.1)).fit(training, resume, kill_at=13)
    resumed = Network(bert, spec_of(dropout=0.1))
    rest = resumed.fit(training, resume)
    assert rest == losses[-len(rest) :] and 0 < len(rest) < STEPS
    state = whole.model.state_dict()
    assert all(torch.equal(value, state[n]) for n, value in resumed.model.state_dict().items())


def test_an_adapter_moves_no_draw_of_the_head(bert: Path) -> None:
    """The head starts as it would without one."""
    one = Network(bert, spec_of())
    two = Network(bert, spec_of(rank=8, targets=["all_linear"]))
    assert torch.equal(one.before["classifier.weight"], two.before["classifier.weight"])


def test_targets_that_are_not_there_are_named(bert: Path) -> None:
    """With those that are; so is a model without a layer for them."""
    with pytest.raises(LmspecError, match="no linear layer q_proj") as caught:
        Network(bert, spec_of(targets=["q_proj"]))
    assert "attention.self.query" in caught.value.remedy
    with pytest.raises(LmspecError, match="all 3 layers are frozen"):
        Network(bert, spec_of(frozen_layers=3))


def with_adapter(text: str) -> str:
    """The miniature's spec with an adapter."""
    flow = "{method: lora, rank: 4, alpha: 8, dropout: 0.1, targets: [all_linear], bias: none}"
    frozen = "      frozen_embeddings: {}\n      frozen_layers: 0\n"
    return text.replace(
        frozen.format("false"), f"{frozen.format('true')}      adapter: {flow}\n", 1
    )


def test_only_a_stage_with_an_adapter_has_peft_in_its_key() -> None:
    """No other model, and no stage that reads the merged weights."""
    keys = {}
    for name, text in (("without", specs.GOOD), ("with", with_adapter(specs.GOOD))):
        project = Project.model_validate(YAML(typ="safe").load(text))
        files = OnDisk(specs.ROOT)
        keys[name] = {
            artifact
            for artifact, spec in project.artifacts()
            if "peft" in packages.executed(compiler.code_of(project, spec, files).foreign)
        }
    assert keys == {"without": set(), "with": {"model.bert"}}


@pytest.mark.slow
def test_a_stage_with_an_adapter_runs_in_the_sandbox(built: Path, tmp_path: Path) -> None:
    """What is made from it reads the merged weights; a second build gives the same bytes."""
    project = shutil.copytree(built, tmp_path / "project", symlinks=True)
    path = project / "params.yaml"
    path.write_text(with_adapter(path.read_text()))
    miniature.lmspec(project, "sync")
    miniature.dvc(project, "repro", "student-small")
    first = miniature.fingerprints(project)
    files = {name for name in first if name.startswith("data/model/bert/adapter/")}
    assert len(files) == 2
    miniature.dvc(project, "repro", "-s", "-f", "model-bert")
    assert miniature.fingerprints(project) == first
