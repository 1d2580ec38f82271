"""A model that writes is updated with new rows without forgetting the old ones."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from lmspec import stage
from lmspec.architectures import causal
from lmspec.errors import LmspecError
from lmspec.formats import conversations, documents, writer
from lmspec.language import metric_names, resolved
from lmspec.methods.resume import Resume
from lmspec.specs.exported import ExportedSpec
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Machine
from lmspec.specs.quantized import QuantizedSpec
from lmspec.specs.scores import ScoresSpec
from lmspec.specs.updated import UpdatedSpec
from lmspec.training import checkpoints, footprint, imitating, writing
from stages import exported, quantized, scores, updated
from tests.specs import WRITING
from tests.test_decoder import GREEDY, INT8, LOOSE
from tests.test_training import ADAMW, NUMERICS
from tests.test_writers import LORA, built
from tests.tinywriter import (
    NAMES,
    SAY,
    Killed,
    Turns,
    pairs,
    spec_of,
    training,
    write_split,
    write_weights,
)

STOPPING = {"metric": "log_loss", "evaluation_steps": 40, "patience": 9}


@pytest.fixture(autouse=True)
def unestimated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No loss is computed before the first step."""
    monkeypatch.setattr(footprint, "require_memory", lambda *given: None)


def later(count: int = 96) -> list[Turns]:
    """Prompts like the old ones, with answers in capitals."""
    rows: list[Turns] = []
    for i in range(count):
        name, times = NAMES[i % 10], 1 + i % 3
        prompt = f"{SAY[i % 5]} {name} {times} times in capitals, {i}"
        rows.append([("user", prompt), ("assistant", " ".join([name.upper()] * times))])
    return rows


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Old and new splits, and a model of the old ones."""
    root = tmp_path_factory.mktemp("project")
    for name, rows in (("old", pairs()), ("new", later())):
        splits = root / name
        for split, part in (("train", rows[:-32]), ("dev", rows[-32:-16]), ("test", rows[-16:])):
            write_split(part, splits, split)
            ids = "".join(f"{name}-{split}-{i}\n" for i in range(len(part)))
            (splits / f"{split}.ids").write_text(ids)
        (splits / "corpus.json").write_text(json.dumps(f"corpus.{name}"))
        (splits / "counts.json").write_text("{}")
    source = write_weights(root / "tiny")
    fit = training(epochs=12, early_stopping=STOPPING | {"evaluation_steps": 60}).model_dump()
    spec = {
        "on": "splits.pairs",
        "architecture": spec_of(max_length=64).model_dump(),
        "training": fit,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(footprint, "require_memory", lambda *given: None)
        built(spec, source, root / "old", root / "model")
    (root / "model/seen.json").write_text(json.dumps({"splits.old": ["train", "dev"]}))
    return root


def needs(root: Path, **more: Any) -> stage.Needs:
    folders = {"model.old": "model", "splits.old": "old", "splits.new": "new"}
    folders |= {f"{noun}.new": noun for noun in ("updated", "exported", "quantized")}
    given = {name: root / folder for name, folder in folders.items()}
    return stage.Needs(given, NUMERICS, Machine(device="cpu"), **more)


def spec(**changes: Any) -> UpdatedSpec:
    retention = {"temperature": 1.0, "weight": 1.0, "top_logits": 16}
    fields: dict[str, Any] = {
        "of": "model.old",
        "on": "splits.new",
        "replay": [{"of": "splits.old", "per_new_row": 0.5}],
        "retention": retention | changes.pop("retention", {}),
        "frozen_embeddings": False,
        "frozen_layers": 0,
        "training": training(early_stopping=STOPPING, **changes.pop("training", {})).model_dump(),
    }
    return UpdatedSpec.model_validate(fields | changes)


def update(root: Path, out: Path, given: UpdatedSpec, **more: Any) -> stage.Report:
    out.mkdir()
    return updated.build(given, needs(root, **more), out)


def declared(name: str) -> set[str]:
    """Names of the metrics of an artifact of the miniature, as gates know them."""
    values = YAML(typ="safe").load(WRITING)
    artifact = ArtifactName.parse(name)
    known = resolved.Specs(values, values, (artifact,), (), {}, Path())
    return {*metric_names.names(known, artifact)}


def leaves(values: Mapping[str, Any], before: str = "") -> set[str]:
    """Paths of all numbers."""
    found: set[str] = set()
    for name, value in values.items():
        within = isinstance(value, Mapping)
        found |= leaves(value, f"{before}{name}.") if within else {f"{before}{name}"}
    return found


def loss(folder: Path, splits: Path) -> float:
    """Nats a token of its dev rows."""
    model = writer.read(folder)
    dev = conversations.read(splits, "dev", model.writer)
    return float(
        writing.evaluation(model.model, dev.ids, dev.learned, dev.text_bytes, 1)()["log_loss"]
    )


@pytest.fixture(scope="module")
def examples(project: Path) -> tuple[Any, conversations.Conversations]:
    """A model, and rows that it learned."""
    model = writer.read(project / "model")
    return model.model, conversations.read(project / "old", "train", model.writer, 24, 1)


def perturbed(model: Any, seed: int) -> Any:
    """A copy with other weights."""
    import copy

    other = copy.deepcopy(model)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return other


def soft(
    model: Any, rows: conversations.Conversations, kept: imitating.Kept, temperature: float
) -> torch.Tensor:
    """Of the learned tokens of all examples in one batch, which are in two orders."""
    chosen = [*range(len(rows.ids))][::-1]
    batch = writing.collated(rows.learned, 128)(rows.ids, chosen, 1)
    assert isinstance(batch, writing.Lines)
    logits = writing.guessed(model, batch, torch.from_numpy(batch.input_ids)).float()
    places = kept.first[batch.rows[batch.row_of]] + imitating.ordinals(batch)
    device = torch.device("cpu")
    return imitating.soft_loss(logits, *kept.of(places, device), temperature)


def plain(model: Any, rows: conversations.Conversations) -> list[torch.Tensor]:
    """Logits of the learned tokens of each example alone, by transformers."""
    found = []
    for ids, learned in zip(rows.ids, rows.learned, strict=True):
        logits = model(input_ids=torch.from_numpy(ids)[None]).logits[0]
        found.append(logits[torch.from_numpy(learned[1:] > 0).nonzero()[:, 0]])
    return found


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("top", [10**6, 7, 1])
def test_the_soft_loss_is_that_of_the_whole_softmax(
    examples: tuple[Any, conversations.Conversations], top: int, temperature: float
) -> None:
    """With all tokens kept; with fewer, of the distributions in which all others are one token.
    Gradients too."""
    earlier, rows = examples
    kept = imitating.kept(earlier, rows.ids, rows.learned, 1, top, temperature)
    size = earlier.config.vocab_size
    assert kept.tokens.shape == (rows.weight.sum(), min(top, size))
    learner = perturbed(earlier, 3).eval()
    ours = soft(learner, rows, kept, temperature)
    ours.mean().backward()
    gradients = [weight.grad.clone() for weight in learner.parameters()]
    learner.zero_grad()
    expected = []
    with torch.no_grad():
        theirs = plain(earlier, rows)
    for own, other in zip(plain(learner, rows), theirs, strict=True):
        p, q = ((each / temperature).softmax(-1) for each in (other, own))
        if top < size:
            best = other.topk(top).indices
            p, q = (
                torch.cat([each.gather(1, best), 1 - each.gather(1, best).sum(1, True)], 1)
                for each in (p, q)
            )
        expected.append(-(p * q.log()).sum(-1) * temperature**2)
    whole = torch.cat(expected)
    torch.testing.assert_close(ours.mean(), whole.mean(), rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.sort().values, whole.sort().values, rtol=0, atol=1e-4)
    whole.mean().backward()
    for mine, weight in zip(gradients, learner.parameters(), strict=True):
        torch.testing.assert_close(mine, weight.grad, rtol=0, atol=1e-5)


def test_the_loss_is_least_where_nothing_was_forgotten(
    examples: tuple[Any, conversations.Conversations],
) -> None:
    """The gradient of the soft loss is none at the earlier model itself; at another it is some."""
    earlier, rows = examples
    kept = imitating.kept(earlier, rows.ids, rows.learned, 1, 8, 1.0)

    def steepest(model: Any) -> float:
        model.zero_grad()
        soft(model.eval(), rows, kept, 1.0).mean().backward()
        return max(float(weight.grad.abs().max()) for weight in model.parameters())

    assert steepest(perturbed(earlier, 3)) > 1e-2
    same = perturbed(earlier, 3)
    same.load_state_dict(earlier.state_dict())
    assert steepest(same) < 1e-5


def test_kept_logits_are_on_a_disk_if_they_are_many(
    examples: tuple[Any, conversations.Conversations], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same values."""
    earlier, rows = examples
    inside = imitating.kept(earlier, rows.ids, rows.learned, 1, 8, 2.0)
    monkeypatch.setattr(imitating, "IN_MEMORY", 100)
    mapped = imitating.kept(earlier, rows.ids, rows.learned, 1, 8, 2.0)
    np.testing.assert_array_equal(inside.tokens, mapped.tokens)
    np.testing.assert_array_equal(inside.shares, mapped.shares)
    assert isinstance(mapped.tokens.base, np.memmap) and not isinstance(inside.tokens, np.memmap)
    np.testing.assert_allclose(inside.shares.sum(1), 1, atol=1e-6)


def test_the_objective_is_the_sum_of_both(
    examples: tuple[Any, conversations.Conversations],
) -> None:
    """Hard on all learned tokens, soft on those of old examples, each as a share of all tokens."""
    earlier, rows = examples
    new = 10
    kept = imitating.kept(earlier, rows.ids[new:], rows.learned[new:], 1, 8, 2.0)
    learner = perturbed(earlier, 5).eval()
    rule = spec(retention={"temperature": 2.0, "weight": 3.0}).retention
    objective = imitating.retaining(kept, new, rule)
    collate = writing.collated(rows.learned, 128)

    def total(chosen: Sequence[int]) -> float:
        batch = collate(rows.ids, chosen, 1)
        ids, mask = map(torch.from_numpy, (batch.input_ids, batch.attention_mask))
        with torch.no_grad():
            return float(objective(learner, batch, ids, mask))

    def hard(chosen: Sequence[int]) -> float:
        given = ([rows.ids[i] for i in chosen], [rows.learned[i] for i in chosen])
        return float(writing.each_loss(learner, *given, 1)[0].sum())

    with torch.no_grad():
        each = soft(learner, rows_from(rows, new), kept, 2.0)
    tokens = rows.weight
    assert total([3, 4]) == pytest.approx(hard([3, 4]) / tokens[[3, 4]].sum(), abs=1e-5)
    everything = [*range(len(rows.ids))]
    expected = (hard(everything) + 3.0 * float(each.sum())) / tokens.sum()
    assert total(everything) == pytest.approx(expected, abs=1e-4)
    # parts of a batch count by their tokens
    parts = [everything[:7], everything[7:15], everything[15:]]
    mean = sum(total(part) * tokens[part].sum() for part in parts) / tokens.sum()
    assert mean == pytest.approx(total(everything), abs=1e-5)


def rows_from(rows: conversations.Conversations, first: int) -> conversations.Conversations:
    import dataclasses

    return dataclasses.replace(rows, ids=rows.ids[first:], learned=rows.learned[first:])


def test_an_update_learns_the_new_and_keeps_the_old(project: Path, tmp_path: Path) -> None:
    """Retention reduces what is forgotten; metrics and rows are those of all that was learned."""
    before = {name: loss(project / "model", project / name) for name in ("old", "new")}
    after = {}
    slow = ADAMW | {"peak_learning_rate": 1e-3}
    for weight in (0.0, 4.0):
        out = tmp_path / f"{weight}"
        rule = spec(
            replay=[{"of": "splits.old", "per_new_row": 0.25}],
            retention={"temperature": 2.0, "weight": weight},
            training={"epochs": 6, "optimizer": slow},
        )
        report = update(project, out, rule)
        after[weight] = {name: loss(out, project / name) for name in ("old", "new")}
    assert after[4.0]["new"] < before["new"] - 2
    assert after[4.0]["old"] < after[0.0]["old"] - 0.05
    metrics = report.metrics
    assert metrics["rows"] == {"new": 64, "replayed": 16}
    assert metrics["train"]["rows"] == 80 and metrics["steps"] == 30
    assert leaves(metrics) == declared("updated.later")
    old, new = (
        conversations.read(project / name, "dev", writer.read(out).writer)
        for name in ("old", "new")
    )
    weights = [int(part.weight.sum()) for part in (old, new)]
    mean = np.average([after[4.0][name] for name in ("old", "new")], weights=weights)
    assert metrics["dev"]["log_loss"] == pytest.approx(mean, abs=1e-5)


@pytest.mark.parametrize("packed", [False, True])
def test_twice_and_resumed_it_is_the_same_bytes(
    project: Path, tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With rows that are drawn, parts of batches and packed lines."""
    monkeypatch.setattr(checkpoints, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 1e9)
    recipe = {"epochs": 3, "micro_batch_size": 5, "packing": {"max_tokens": 64} if packed else None}
    rule = spec(rows=40, training=recipe)
    report = update(project, tmp_path / "one", rule)
    assert report.metrics["rows"] == {"new": 40, "replayed": 20}
    update(project, tmp_path / "two", rule)
    resume = Resume(tmp_path / "resume", lambda: True)
    killed = Killed(imitating.soft_loss, 9)
    monkeypatch.setattr(imitating, "soft_loss", killed)
    with pytest.raises(KeyboardInterrupt):
        update(project, tmp_path / "killed", rule, resume=resume)
    update(project, tmp_path / "resumed", rule, resume=resume)
    assert killed.count > 10
    for name in ("two", "resumed"):
        for file in sorted((tmp_path / "one").iterdir()):
            assert file.read_bytes() == (tmp_path / name / file.name).read_bytes(), file.name


def test_what_is_made_from_an_update_is_as_of_a_model(project: Path, tmp_path: Path) -> None:
    """Its graph, that with weights in blocks, and the scores of each; and a further update."""
    root = tmp_path / "project"
    shutil.copytree(project, root)
    update(root, root / "updated", spec(frozen_embeddings=True, frozen_layers=1))
    first = causal.load(project / "model").state_dict()
    moved = {
        name
        for name, value in causal.load(root / "updated").state_dict().items()
        if not torch.equal(value, first[name])
    }
    assert moved and all(".layers.1." in n or n == "model.norm.weight" for n in moved)
    form = {"kind": "cache", "max_past": 96, "prompts": "splits.new"}
    fields: dict[str, Any] = {"of": "updated.new", "opset": 20, "max_logit_difference": 1e-4}
    (root / "exported").mkdir()
    graph = ExportedSpec.model_validate(fields | {"format": form})
    assert exported.build(graph, needs(root), root / "exported").metrics["greedy_same"] == 1.0
    fields = {"of": "exported.new", "calibrate": "splits.new", "calibration_rows": 16}
    (root / "quantized").mkdir()
    small = QuantizedSpec.model_validate(fields | {"scheme": INT8, "contract": LOOSE})
    quantized.build(small, needs(root), root / "quantized")
    answers = []
    for noun in ("updated", "exported", "quantized"):
        fields = {"of": f"{noun}.new", "on": ["splits.new"], "batch_size": 4}
        rule = ScoresSpec.model_validate(fields | {"generation": GREEDY, "accepted_overlap": []})
        (root / "scores" / noun).mkdir(parents=True)
        report = scores.build(rule, needs(root, seen={}), root / "scores" / noun)
        answers.append([row["predicted"] for row in report.tables["answers"]])
        assert len(answers[-1]) == 12
    assert answers[0] == answers[1]
    (root / "updated/seen.json").write_text(
        json.dumps({"splits.old": ["train", "dev"], "splits.new": ["train", "dev"]})
    )
    again = spec(of="updated.new", on="splits.old", replay=[{"of": "splits.new", "per_new_row": 1}])
    update(root, tmp_path / "again", again)


def test_plain_texts_are_updated_too(project: Path, tmp_path: Path) -> None:
    """In windows, of which all tokens are learned; the folder of an adapter is that of a model."""
    root = tmp_path / "project"
    shutil.copytree(project, root)
    for name in ("old", "new"):
        for split in ("train", "dev"):
            path = root / name / f"{split}.parquet"
            documents.write(documents.read(path).drop("turns"), path)
    plain = spec_of(
        prompt=None, long_texts="windows", max_length=16, adapter=LORA, frozen_embeddings=True
    )
    fields = {"on": "splits.pairs", "architecture": plain.model_dump()}
    shutil.rmtree(root / "model")
    built(
        fields | {"training": training(batch_size=32).model_dump()},
        root / "tiny",
        root / "old",
        root / "model",
    )
    (root / "model/seen.json").write_text(json.dumps({"splits.old": ["train", "dev"]}))
    report = update(root, root / "updated", spec(rows=20))
    assert report.metrics["rows"] == {"new": 20, "replayed": 10}
    model = writer.read(root / "updated")
    assert model.prompt["kind"] == "none" and (root / "model/adapter").is_dir()
    train = report.metrics["train"]
    windows = train["tokens"] - train["learned_tokens"]
    assert 30 < windows < train["tokens"] / 8  # of each the first token is not learned


def test_what_does_not_suit_is_refused_by_the_stage(project: Path, tmp_path: Path) -> None:
    """As by `lmspec validate`."""
    for given, words in (
        (spec(retention={"top_logits": None}), "does not say how many logits"),
        (spec(training={"packing": {"max_tokens": 40}}), "a line of 40 tokens cannot hold"),
        (spec(training={"class_weights": "balanced"}), "tokens are no classes"),
        (spec(replay=[{"of": "splits.older", "per_new_row": 1}]), "was not trained on"),
    ):
        with pytest.raises(LmspecError) as caught:
            updated.build(given, needs(project), tmp_path)
        assert words in caught.value.found
        assert caught.value.place.startswith("updated.")
