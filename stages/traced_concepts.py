"""traced, its concepts: what each layer knows, and what is left of the answers without it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lmspec import stage
from lmspec.errors import LmspecError
from lmspec.formats import cases
from lmspec.methods import erasing, observing, probing, reading, shares
from lmspec.methods.erasing import Eraser
from lmspec.methods.observing import Observed
from lmspec.methods.reading import Floats, Ids, Windows, collate, length_order, lengths
from lmspec.methods.tracing import Traceable
from lmspec.specs.suites import Suite, filled, slots
from lmspec.specs.traced import OfTables, OfTerms, TracedSpec
from lmspec.statistics import means

DIGITS = 4
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Examples:
    """Texts of a concept.

    vectors  (depths, n, d), of the embeddings and each layer
    classes  (n,)
    groups   (n,) of what was sampled together
    learn    (n,) does it teach the probe, or test it?
    """

    vectors: Floats
    classes: Ids
    groups: Ids
    learn: NDArray[np.bool_]

    def eraser(self, layer: int) -> Eraser:
        """Of the concept, from the output of a layer."""
        return erasing.fitted(self.vectors[layer + 1, self.learn], self.classes[self.learn])


def measured(
    spec: TracedSpec,
    needs: stage.Needs,
    model: Traceable,
    rows: Mapping[str, Rows],
    read: Windows,
    seen: Observed,
) -> Rows:
    """A row for each concept and layer.

    rows  of the train and the test split, in whose order they are read
    read  what is read of them; seen: and what was observed meanwhile
    """
    every = [row for some in rows.values() for row in some]
    vectors = per_text(seen.means, read.of_text)
    known = [
        (concept.name, layer, examples, examples.eraser(layer))
        for concept in spec.concepts
        for examples in [
            of_tables(concept, every, vectors, len(rows["train"]))
            if isinstance(concept, OfTables)
            else of_terms(concept, needs, model, spec.batch_size)
        ]
        for layer in spec.layers
    ]
    erasers = [(layer, eraser) for _, layer, _, eraser in known]
    right = answered(model, rows["test"], erasers, spec.batch_size)
    groups = shares.documents([row["group"] for row in rows["test"]])
    found: Rows = []
    for (name, layer, examples, eraser), after in zip(known, right[1:], strict=True):
        row = {"concept": name, "layer": f"layer_{layer}"} | probed(examples, layer, eraser)
        row |= _with_ends("accuracy", right[0], groups, (0.0, 1.0))
        row |= _with_ends("accuracy_without", after, groups, (0.0, 1.0))
        row |= _with_ends("lost", right[0] - after, groups, (-1.0, 1.0))
        found.append(row)
    for row in found:
        shown = f"probe {row['probe']:.3f}, erased {row['erased']:.3f}"
        stage.say(f"{row['concept']} after {row['layer']}: {shown}, accuracy {-row['lost']:+.3f}")
    return found


def per_text(windows: NDArray[np.float32], of_text: Ids) -> Floats:
    """(depths, w, d) of windows -> (depths, n, d) the mean of those of each text."""
    first = np.flatnonzero(np.diff(of_text, prepend=-1))
    number = np.diff(first, append=len(of_text))
    found: Floats = np.add.reduceat(windows.astype(np.float64), first, axis=1) / number[:, None]
    return found


def of_tables(concept: OfTables, rows: Rows, vectors: Floats, learned: int) -> Examples:
    """Texts of the tables of a concept. learned: so many rows, the first, are to learn from.

    Raises LmspecError if a part has texts of fewer than two of them.
    """
    place = {name: i for i, name in enumerate(concept.tables)}
    chosen = np.array([i for i, row in enumerate(rows) if row["table"] in place], np.int64)
    classes = np.array([place[rows[i]["table"]] for i in chosen], np.int64)
    learn = chosen < learned
    for part, some in (("train", classes[learn]), ("test", classes[~learn])):
        if len(np.unique(some)) < 2:
            found = f"{concept.name}: the {part} texts are of fewer than two of its tables"
            raise LmspecError("traced.concepts", found, "raise `texts`, or name other tables")
    groups = shares.documents([rows[i]["group"] for i in chosen])
    return Examples(vectors[:, chosen], classes, groups, learn)


def of_terms(concept: OfTerms, needs: stage.Needs, model: Traceable, batch_size: int) -> Examples:
    """The templates of a suite with each of its terms; every second template tests the probe."""
    suite = suite_of(concept, cases.read(needs.root, concept.cases))
    assert suite.vary is not None
    texts, classes, templates = [], [], []
    for number, template in enumerate(suite.templates):
        others = [slot for slot in slots(template) if slot != suite.vary]
        for choice in itertools.product(*(suite.words[slot] for slot in others)):
            words = dict(zip(others, choice, strict=True))
            for place, term in enumerate(suite.words[suite.vary]):
                texts.append({"text": filled(template, {**words, suite.vary: term})})
                classes.append(place)
                templates.append(number)
    read = model.windows(texts)
    seen = observing.observed(model.network, read.ids, model.pad_id, batch_size)
    groups = np.array(templates, np.int64)
    vectors = per_text(seen.means, read.of_text)
    return Examples(vectors, np.array(classes, np.int64), groups, groups % 2 == 0)


def suite_of(concept: OfTerms, suites: Sequence[Suite]) -> Suite:
    """The suite of a concept. Raises LmspecError if there is no such, or it has no terms."""
    suite = next((one for one in suites if one.name == concept.suite), None)
    if suite is None or not suite.is_gap or len(suite.templates) < 2:
        found = f"{concept.cases} has no suite {concept.suite} of groups with two templates"
        raise LmspecError("traced.concepts", found, "name one of kind groups")
    return suite


def answered(
    model: Traceable, rows: Rows, erasers: Sequence[tuple[int, Eraser]], batch_size: int
) -> Floats:
    """(1 + e, n) is each text right, as the model is, and with the states of a layer erased?

    erasers  (e) with their layers
    """
    read = model.windows(rows)
    network = model.network
    changes = [(layer, of_states(eraser, network.network.device)) for layer, eraser in erasers]
    logits = np.empty((1 + len(erasers), len(read.ids), len(model.labels)), np.float32)
    for some in length_order(lengths(read.ids), batch_size):
        batch = collate(read.ids, some, model.pad_id)
        given = batch.input_ids, batch.attention_mask
        whole, states = network.states(*given)
        logits[0, some] = whole.float().cpu().numpy()
        for number, (layer, change) in enumerate(changes, start=1):
            found = network.onward(layer, change(states[layer + 1]), *given)
            logits[number, some] = found.float().cpu().numpy()
    truth = np.array([model.labels.index(row["label"]) for row in rows])
    each = per_text(reading.probabilities(logits).astype(np.float32), read.of_text)
    right: Floats = (each.argmax(-1) == truth).astype(np.float64)
    return right


def of_states(eraser: Eraser, device: torch.device) -> Callable[[Tensor], Tensor]:
    """The same of tensors of states: as it is affine, what it does to each token it does to their
    mean."""
    mean, left, right = (
        torch.from_numpy(np.ascontiguousarray(part)).to(device, torch.float32)
        for part in (eraser.mean, eraser.left, eraser.right)
    )
    return lambda states: states - (states - mean) @ right.T @ left.T


def probed(examples: Examples, layer: int, eraser: Eraser) -> dict[str, Any]:
    """How well a linear reader tells the classes apart in the output of a layer."""
    learn, classes = examples.learn, examples.classes
    truth, groups = classes[~learn], examples.groups[~learn]
    majority = np.bincount(classes[learn]).argmax()
    row: dict[str, Any] = {"texts": len(truth)}
    row["majority"] = round(float((truth == majority).mean()), DIGITS)
    vectors = examples.vectors[layer + 1]
    for called, given in (("probe", vectors), ("erased", eraser(vectors))):
        guessed = probing.predicted(given[learn], classes[learn], given[~learn])
        row |= _with_ends(called, (guessed == truth).astype(np.float64), groups, (0.0, 1.0))
    return row


def _with_ends(
    called: str, values: Floats, groups: Ids, limits: tuple[float, float]
) -> dict[str, float]:
    """A mean with the ends of its 95 % interval."""
    found = means.mean(values, limits, groups)
    low, high = found.interval
    row = {called: found.value, f"{called}_low": low, f"{called}_high": high}
    return {name: round(float(value), DIGITS) + 0.0 for name, value in row.items()}
