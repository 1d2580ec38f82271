"""model: a network, fitted to data.   splits (, sources) -> model.safetensors, tokenizer.json"""

import dataclasses
import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lmspec import stage
from lmspec.formats import checkpoint, documents, examples
from lmspec.methods import balancing, coverage, encoding, metrics
from lmspec.methods.resume import Resume
from lmspec.specs.checks.model import WRITERS, compares_on_dev
from lmspec.specs.model import ModelSpec
from lmspec.specs.numerics import Numerics
from lmspec.specs.training import Contrastive, GradientDescent, LogisticRegression, descent, head
from lmspec.training import loop, seeds, summary, supervision
from lmspec.training.task import Fitted, Task

# by their names: they are in the keys of those stages alone that use them
LOGISTIC, ADAPTERS = "lmspec.methods.logistic", "lmspec.architectures.adapters"
CONTRASTING, SELF_TRAINING = "lmspec.training.contrasting", "stages.self_training"
WRITING, PROMPTED = "stages.writing", "stages.prompted"
SPENT = ("epsilon", "noise_multiplier")


@dataclass(frozen=True)
class Model:
    """A model, and the texts that it learns from and is judged on."""

    model: checkpoint.Checkpoint
    new: examples.Examples
    dev: examples.Examples


@dataclass(frozen=True)
class Solved(Model):
    """A model whose last layer was fitted.

    layer  a logistic.Fitted
    pairs  how its encoder was trained before; None if it was not
    """

    layer: Any
    pairs: Fitted | None


@dataclass(frozen=True)
class Prepared(Model):
    """A network before it is trained, with its task.

    adapted  its adapter, which is not merged yet; None if it has none
    """

    task: Task
    adapted: Any


def build(spec: ModelSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Create the network, train it, keep the weights of the best evaluation on the dev split."""
    if spec.architecture.kind in WRITERS:
        written: stage.Report = importlib.import_module(WRITING).build(spec, needs, out)
        return written
    if spec.architecture.kind == "prompted":
        asked: stage.Report = importlib.import_module(PROMPTED).build(spec, needs, out)
        return asked
    if head(spec.training) is not None:
        return solved(spec, needs, out)
    kept, fitted = train(spec, needs, needs.bits)
    adapter = merged(kept, out) if kept.adapted else {}
    checkpoint.write(kept.model, out)
    others = seeds.over_seeds(
        lambda numerics: train(spec, needs, numerics)[1], descent(spec.training), needs.bits
    )
    report = summary.metrics(kept.model.model, fitted, others)
    report |= adapter | {"train": coverage.metrics(kept.new.windows)}
    if kept.model.private:
        report["private"] = {name: kept.model.private[name] for name in SPENT}
    warn(report["dev"], kept.dev)
    return stage.Report(report, {"curve": fitted.curve})


def merged(kept: Prepared, out: Path) -> dict[str, dict[str, float]]:
    """Add the adapter to the weights, and keep it beside them; returns its metrics."""
    apart = kept.adapted.merge(kept.dev.windows.ids, kept.model.pad_id, out)
    stage.say(f"adapter merged: logits at most {apart:.1g} apart")
    return {"adapter": {"trained_parameters": kept.adapted.trained, "max_logit_difference": apart}}


def solved(spec: ModelSpec, needs: stage.Needs, out: Path) -> stage.Report:
    """Fit a layer on features, and report what is in it."""
    architecture = importlib.import_module(spec.architecture.module)
    logistic = importlib.import_module(LOGISTIC)
    kept, report, tables = solution(spec, needs, needs.resume)
    model = kept.model
    checkpoint.write(model, out)
    parameters = sum(p.numel() for p in model.model.parameters())
    of_layer = logistic.report(kept.layer)
    if "dev" in of_layer:
        warn(of_layer["dev"], kept.dev)
    report = of_layer | {"parameters": parameters} | report
    tables = {"curve": kept.layer.curve} | tables
    if hasattr(architecture, "heaviest"):
        tables["ngrams"] = architecture.heaviest(model.model, model.tokenizer, model.labels)
    return stage.Report(report | {"train": coverage.metrics(kept.new.windows)}, tables)


def solution(
    spec: ModelSpec, needs: stage.Needs, resume: Resume | None
) -> tuple[Solved, dict[str, Any], dict[str, Any]]:
    """(model, metrics, tables): fitted to the train split, and to rows of a pool if it says so."""
    rule = spec.self_training
    if rule is None:
        kept = fitted_once(spec, needs, resume)
        return kept, of_pairs(kept), {}
    pooling = importlib.import_module(SELF_TRAINING)
    kept, found, table = pooling.fitted(
        spec, rule, needs, lambda further: fitted_once(spec, needs, resume, further)
    )
    return kept, of_pairs(kept) | {"self_training": found}, {"self_training": table}


def of_pairs(kept: Solved) -> dict[str, Any]:
    """Metrics of an encoder that was trained by pairs."""
    if kept.pairs is None:
        return {}
    loss = kept.pairs.best["train_loss"]
    return {"contrastive": {"steps": kept.pairs.steps, "loss": loss}}


def fitted_once(
    spec: ModelSpec, needs: stage.Needs, resume: Resume | None, further: Any = None
) -> Solved:
    """Train the encoder, if pairs do so, compute the features of each text, and fit the layer.

    further  rows of a pool: a self_training.Further
    """
    architecture = importlib.import_module(spec.architecture.module)
    logistic = importlib.import_module(LOGISTIC)
    recipe = head(spec.training)
    assert recipe is not None  # `build` has asked
    model = created(spec, needs, further.texts if further else ())
    new, dev = read(spec, needs, model)
    if further:
        new = further.beside(new, model)
    describe(model, new, dev, recipe)
    pairs = trained_by_pairs(spec, needs, resume, model, new, further.number if further else 0)

    def layer(train: Any, held_out: Any) -> Any:
        return logistic.fit(
            train,
            new.truth,
            held_out,
            dev.truth,
            len(model.labels),
            recipe,
            new.windows.of_text,
            dev.windows.of_text,
            balancing.of_texts(recipe, new.truth, new.documents),
        )

    drawn = (model.model, model.tokenizer, model.pad_id)
    (network, tokenizer, _), fitted = architecture.fit(
        spec.architecture, drawn, new.windows.ids, dev.windows.ids, layer
    )
    model = dataclasses.replace(model, model=network, tokenizer=tokenizer)
    return Solved(model, new, dev, fitted, pairs)


def trained_by_pairs(
    spec: ModelSpec,
    needs: stage.Needs,
    resume: Resume | None,
    model: checkpoint.Checkpoint,
    new: examples.Examples,
    number: int,
) -> Fitted | None:
    """Train the encoder if the spec says so. number: of the round of self-training, from 0."""
    if not isinstance(spec.training, Contrastive):
        return None
    contrasting = importlib.import_module(CONTRASTING)
    rounds = spec.self_training.rounds if spec.self_training else 0
    trained: Fitted = contrasting.fit(
        model.model,
        new.windows.ids,
        new.truth[new.windows.of_text],
        model.pad_id,
        spec.training,
        needs.bits.model_copy(update={"seed": needs.bits.seed + number}),
        resume,
        new.named,
        others=number < rounds,
    )
    return trained


def created(
    spec: ModelSpec, needs: stage.Needs, further: Sequence[str] = ()
) -> checkpoint.Checkpoint:
    """The network before it is fitted, with its tokenizer.

    further  texts beside the train split, of which n-grams are learned, too
    """
    labels = examples.labels_of(needs[spec.on])
    own = documents.Texts(needs[spec.on], "train")
    texts = [*own, *further] if further else own
    source = getattr(spec.architecture, "weights", None)
    weights = needs[source] if source else None
    architecture = importlib.import_module(spec.architecture.module)
    network, tokenizer, pad_id = architecture.create(spec.architecture, weights, texts, len(labels))
    network.to(needs.machine.device)
    return checkpoint.Checkpoint(
        spec.architecture.kind,
        network,
        tokenizer,
        labels,
        pad_id,
        getattr(spec.architecture, "long_texts", None),  # n-grams alone are of all
        documents.read_clean(needs[spec.on]),
    )


def read(
    spec: ModelSpec, needs: stage.Needs, model: checkpoint.Checkpoint
) -> tuple[examples.Examples, examples.Examples]:
    """The train and the dev split, as the model reads them."""
    may_be_empty = not compares_on_dev(spec.model_dump())
    further = {"train": balancing.columns(spec.training), "dev": ()}
    new, dev = (
        examples.read(
            needs[spec.on],
            split,
            model.reader,
            model.labels,
            columns,
            may_be_empty and split == "dev",
        )
        for split, columns in further.items()
    )
    new.require_two_labels(spec.on)
    return new, dev


def describe(
    model: checkpoint.Checkpoint,
    new: examples.Examples,
    dev: examples.Examples,
    recipe: GradientDescent | LogisticRegression,
) -> None:
    """Say how much of the texts the model reads, what it cannot learn, and what counts more."""
    for split, part in (("train", new), ("dev", dev)):
        if not len(part.truth):
            stage.say(f"{split}: no texts, so nothing is chosen or calibrated")
            continue
        for line in part.described(split, model.reader, model.labels):
            stage.say(line)
    for line in balancing.described(recipe, new.truth, new.documents):
        stage.say(line)


def warn(metrics_on_dev: dict[str, float], dev: examples.Examples) -> None:
    """Say so if the model is worth little."""
    for line in metrics.warnings(metrics_on_dev, dev.truth):
        stage.say(line)


def prepared(spec: ModelSpec, needs: stage.Needs, numerics: Numerics) -> Prepared:
    """One network, with one seed, and its task."""
    recipe = descent(spec.training)
    seeds.seed_weights(numerics)
    model = created(spec, needs)
    new, dev = read(spec, needs, model)
    if recipe.private:
        spent = importlib.import_module(loop.PRIVATE).spent(recipe, len(new.windows.ids))
        model = dataclasses.replace(model, private=spent)
    adapted = None
    if spec.adapter:
        adapters = importlib.import_module(ADAPTERS)
        adapted = adapters.Adapted(model.model, spec.architecture, numerics)
    objective = supervision.supervised(
        new.truth[new.windows.of_text],
        encoding.weights(balancing.of_texts(recipe, new.truth, new.documents), new.windows.of_text),
        recipe.loss,
    )
    evaluate = supervision.evaluation(model.model, dev.windows, dev.truth, model.pad_id)
    prior = supervision.prior_log_loss(dev.truth)
    task = Task(
        new.windows.ids,
        model.pad_id,
        objective,
        evaluate,
        prior,
        new.named,
        dev=dev.windows.ids,
    )
    return Prepared(model, new, dev, task, adapted)


def train(spec: ModelSpec, needs: stage.Needs, numerics: Numerics) -> tuple[Prepared, Fitted]:
    """One network, with one seed."""
    network = prepared(spec, needs, numerics)
    recipe = descent(spec.training)
    if numerics == needs.bits:
        describe(network.model, network.new, network.dev, recipe)
    fitted = loop.fit(network.model.model, network.task, recipe, numerics, needs.resume)
    return network, fitted


STAGE = stage.Stage(ModelSpec, build)
