"""footprints: the memory that each training needs of a device, from configurations alone.

A step of each network is followed without weights and without computing anything: torch's fake
tensors have shapes, and nothing else. What the stage itself counts before its first step
(training/footprint.py) is counted here of texts that are as long as `max_length` allows.

Source: torch._subclasses.fake_tensor, as torch.export uses it.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from lmspec.architectures import adapters, causal, transformer
from lmspec.errors import LmspecError
from lmspec.language import on_disk
from lmspec.methods import configuring, firsttoken
from lmspec.methods import layers as parts
from lmspec.specs.architecture import Causal, Transformer
from lmspec.specs.checks.training import copies_of_weights
from lmspec.specs.names import ArtifactName
from lmspec.specs.numerics import Numerics
from lmspec.specs.project import Project
from lmspec.specs.student import Distillation
from lmspec.specs.training import GradientDescent
from lmspec.training import footprint, imitating, supervision, writing
from lmspec.training.footprint import GIB
from lmspec.training.task import Objective, Task

BEFORE = {"updated": "of", "student": "teacher"}  # the field that names what they come from
BYTES = 4  # of a weight: fp32


@dataclass(frozen=True)
class Needed:
    """Memory (bytes) of one device for a training.

    weights, learned  how many numbers the network has, and how many of them are trained
    network           its weights
    held              gradients, states of the optimizer, copies: what does not depend on a batch
    activations       of `rows` texts of `tokens` tokens, what is computed at once
    divided           among so many devices are the weights and what is held of each
    """

    name: str
    weights: int
    learned: int
    network: int
    held: int
    activations: int
    rows: int
    tokens: int
    divided: int

    @property
    def total(self) -> int:
        """Of a step; a divided network is whole before and after the training."""
        return max(self.network, self.network // self.divided + self.held + self.activations)


@dataclass(frozen=True)
class Unknown:
    """A training whose memory is not known, and why."""

    name: str
    why: str


def of(project: Project, root: Path) -> tuple[list[Needed], list[Unknown]]:
    """Of each network that is trained, what it needs, or why that is not known."""
    needed: list[Needed] = []
    unknown: list[Unknown] = []
    for name, spec in project.artifacts():
        recipe = getattr(spec, "training", None)
        if not isinstance(recipe, GradientDescent):
            continue
        own = ArtifactName.parse(name)
        architecture = getattr(_origin(project, own), "architecture", None)
        if not isinstance(architecture, Causal | Transformer):
            what = architecture.kind if architecture else "model that guesses masked tokens"
            unknown.append(Unknown(name, f"a {what} is counted before its first step"))
            continue
        folder, source = _weights(project, str(architecture.weights), root)
        if not on_disk.config(folder):
            remedy = f"`dvc repro {source.replace('.', '-')}`"
            unknown.append(Unknown(name, f"{source} is not here yet: {remedy}"))
            continue
        needed.append(_needed(project, own, recipe, architecture, folder))
    return needed, unknown


def require(needed: Sequence[Needed], limit: float | None) -> None:
    """Raise LmspecError if one needs more than so many GiB."""
    over = [one for one in needed if limit is not None and one.total > limit * GIB]
    if over:
        worst = max(over, key=lambda one: one.total)
        found = f"{worst.name} needs {worst.total / GIB:.1f} GiB, and machine.memory_gib is {limit}"
        remedy = (
            "lower micro_batch_size or max_length, write `checkpointing: layers`, add an adapter,"
            " or divide the weights: `sharding: full`"
        )
        raise LmspecError("params.yaml", found, remedy)


def _origin(project: Project, name: ArtifactName) -> Any:
    """The model that an update or a student comes from."""
    spec: Any = project.find(str(name))
    before = getattr(spec, BEFORE[name.noun]) if name.noun in BEFORE else None
    return _origin(project, ArtifactName.parse(str(before))) if before else spec


def _weights(project: Project, reference: str, root: Path) -> tuple[Path, str]:
    """The folder and the name of the source that weights come from."""
    while ArtifactName.parse(reference).noun == "pretrained":  # it has the shape of its source
        reference = str(project.find(reference).of)  # type: ignore[attr-defined]
    path = getattr(project.find(reference), "path", None)
    return root / (path or ArtifactName.parse(reference).folder), reference


def _needed(
    project: Project,
    name: ArtifactName,
    recipe: GradientDescent,
    architecture: Causal | Transformer,
    folder: Path,
) -> Needed:
    numerics = project.numerics
    world = numerics.world or 1
    divided = world if numerics.sharding else 1
    rows = math.ceil((recipe.micro_batch_size or recipe.batch_size) / world)
    with torch.device("meta"):
        network = _network(project, name, folder)
    # a step of fake tensors warns of kernels that it does not run
    with FakeTensorMode(allow_non_fake_inputs=True), warnings.catch_warnings(action="ignore"):
        _pretend(network)
        if recipe.checkpointing:
            network.activation_checkpointing_enable({"use_reentrant": False})
        task = _task(architecture, rows, name.noun in BEFORE)
        counted = footprint.estimated(network, task, recipe, numerics)
        weights = sum(p.numel() for p in network.parameters())
        learned = sum(p.numel() for p in network.parameters() if p.requires_grad)
    states = BYTES * learned * copies_of_weights(recipe.model_dump())
    return Needed(
        str(name),
        weights,
        learned,
        BYTES * weights,
        # what autocast casts of a layer is whole, and kept for its gradients
        states // divided + counted.held - states,
        counted.row * rows,
        rows,
        counted.tokens,
        divided,
    )


def _network(project: Project, name: ArtifactName, folder: Path) -> PreTrainedModel:
    """The network of an artifact, frozen and adapted as it is trained."""
    spec: Any = project.find(str(name))
    if name.noun == "model":
        return _first(spec.architecture, folder, project.numerics)
    before = _network(project, ArtifactName.parse(str(getattr(spec, BEFORE[name.noun]))), folder)
    for parameter in before.parameters():
        parameter.requires_grad_(True)
    writes = isinstance(_origin(project, name).architecture, Causal)
    kind: Any = causal if writes else transformer
    if name.noun == "student":
        dropouts = (spec.dropout,) if writes else (spec.dropout, spec.classifier_dropout)
        before = kind.shrink(before, spec.layers, *dropouts)
    kind.freeze(before, spec.frozen_embeddings, spec.frozen_layers)
    return before


def _first(spec: Causal | Transformer, folder: Path, numerics: Numerics) -> PreTrainedModel:
    """A model's network, as its stage creates it."""
    config = configuring.read(folder / "config.json")
    network: PreTrainedModel
    if isinstance(spec, Causal):
        task = "CAUSAL_LM"
        configuring.set_dropout(config, spec.dropout, 0.0)
        network = AutoModelForCausalLM.from_config(config)
        causal.freeze(network, spec.frozen_embeddings, spec.frozen_layers)
    else:
        task = "SEQ_CLS"
        configuring.set_dropout(config, spec.dropout, spec.classifier_dropout)
        network = AutoModelForSequenceClassification.from_config(config)
        firsttoken.only(network, parts.stack(network)[1])
        transformer.freeze(network, spec.frozen_embeddings, spec.frozen_layers)
    if spec.adapter:
        adapters.Adapted(network, spec, numerics, task)
    return network


def _pretend(network: PreTrainedModel) -> None:
    """Its tensors are on a processor now, in name: autocast knows nothing of `meta`."""
    made: dict[int, nn.Parameter] = {}  # a tied head stays tied
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            if id(weight) not in made:
                empty = torch.empty_like(weight, device="cpu")
                made[id(weight)] = nn.Parameter(empty, weight.requires_grad)
            setattr(module, name, made[id(weight)])
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty_like(buffer, device="cpu"))


def _task(architecture: Causal | Transformer, rows: int, is_taught: bool) -> Task:
    """Texts that are as long as they may be; of one that is written each token is learned.

    is_taught  with a loss against another model's outputs, too
    """
    tokens = architecture.max_length
    ids = [np.ones(tokens, np.int64)] * max(rows, 2)
    if isinstance(architecture, Causal):
        learned = [np.r_[0, np.ones(tokens - 1, np.int64)]] * len(ids)
        collate = writing.collated(learned)
        objective = _taught(len(ids), tokens - 1) if is_taught else writing.imitating()
        return Task(ids, 0, objective, dict, collate=collate)
    return Task(ids, 0, supervision.supervised(np.arange(len(ids)) % 2), dict)


def _taught(examples: int, tokens: int) -> Objective:
    """The loss of a student of a model that writes, as that of an update on old rows: of one logit
    of each token, since the tensors of the vocabulary's width are the same for more."""
    size = examples * tokens
    kept = imitating.Kept(
        np.arange(0, size, tokens), np.zeros((size, 1), np.int32), np.ones((size, 2), np.float32)
    )
    rule = Distillation(temperature=2.0, soft_weight=1.0, hidden_weight=0.0, hard_weight=1.0)
    return imitating.taught(kept, rule)
