"""params: the params.yaml of a new project that tells labels apart."""

import dataclasses
from typing import Any

from lmspec.methods.scalar import flow, quoted
from lmspec.scaffold import filling
from lmspec.scaffold.beginning import Beginning
from lmspec.scaffold.filling import filled

REGRESSION = """
    # of the values of inverse_regularization the one that is best on dev is kept
    kind: logistic_regression
    inverse_regularization: [1.0, 10.0, 100.0]
    class_weights: {class_weights}
    max_iterations: 1000"""


def text(begun: Beginning) -> str:
    """Its content."""
    return filled("params.yaml.tmpl", _values(begun))


def _values(begun: Beginning) -> dict[str, Any]:
    """What the template fills in."""
    table, chosen = begun.table, begun.choices
    values = {
        **filling.common(table.path, table.name),
        "title": quoted(f"Labels of {table.path.name}"),
        "intended_use": quoted(f"Texts like those of {table.path.name}, in their language."),
        "format": flow(table.spec["format"]),
        "missing": flow(table.spec["missing"]),
        "text": quoted(table.text),
        "label": flow(table.spec["label"]),
        "labels": ", ".join(quoted(label) for label in table.labels),
        "max_chars": max(1000, *table.lengths),
        **dataclasses.asdict(chosen.shares),
        **{key: flow(value) for key, value in dataclasses.asdict(chosen.linear).items()},
        "class_weights": chosen.class_weights,
        "regression": REGRESSION.format(class_weights=chosen.class_weights),
    }
    return values | _candidates(values, begun)


def _candidates(values: dict[str, Any], begun: Beginning) -> dict[str, str]:
    """Text of the models beside `linear`, and of what compares them with it."""
    chosen, weights = begun.choices, begun.weights
    models, scores, gates = [], [], []
    fill, sources = dict(values), ""
    if weights is not None:
        fill |= {"weights": weights.label, "source": begun.source}
        sources = filling.source(begun.source, weights.source, "a pretrained encoder")
    for name, model in (("hybrid", chosen.hybrid), ("finetuned", chosen.tuning)):
        if model is None:
            continue
        own = dataclasses.asdict(model)
        own |= own.pop("reading", {})
        own["cut"] = f"{100 * begun.cut(own['max_length']):.0f} %"
        models.append(filled(f"{name}.yaml.tmpl", fill | own))
    written = {"linear": True, "hybrid": chosen.hybrid, "finetuned": chosen.tuning}
    for name, fields in written.items():
        if fields and name != chosen.ships:
            scores.append(filled("scores.yaml.tmpl", fill | {"model": name}))
            gates.append(filled("gates.yaml.tmpl", fill | {"model": name}))
    common = chosen.hybrid is not None
    return {
        "shipped": f"model.{chosen.ships}",
        "blocks": filled("blocks.yaml.tmpl", values) if common else "",
        "trained": " blocks.regression" if common else filling.deeper(values["regression"]),
        "sources": sources if models else "",
        "models": "".join(models),
        "scores": "".join(scores),
        "gates": "".join(gates),
    }
