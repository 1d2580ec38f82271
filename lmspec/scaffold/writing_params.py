"""writing_params: the params.yaml of a new project of a model that writes."""

import dataclasses
import re
from typing import Any

from lmspec.methods.scalar import flow, quoted
from lmspec.scaffold import filling
from lmspec.scaffold.beginning import WritingBeginning
from lmspec.scaffold.filling import filled
from lmspec.scaffold.pairs import PairTable

NEAR = "{shingle_chars: 5, threshold: 0.9, permutations: 128}"
TOGETHER = "{shingle_chars: 5, threshold: 0.8, permutations: 128}"
ADAPTER = "{method: lora, rank: 16, alpha: 32, dropout: 0.0, targets: [all_linear], bias: none}"
CLOSING = re.compile(r"</[A-Za-z]\w*>")  # a tag of HTML or XML
MOST_TAGS = 0.01  # share of rows with one from which entities are part of them
PARTS = ("prompt", "sources", "models", "graph", "scores", "bundle", "gates")
LINE = 128  # tokens of a packed line, unless one example may have more
ENDS = 0.9  # of the answers that can end within new_tokens


def text(begun: WritingBeginning) -> str:
    """Its content."""
    table, chosen = begun.table, begun.choices
    read = chosen.reading
    values = {
        **filling.common(table.path, table.name),
        "format": flow(table.spec["format"]),
        "missing": flow(table.spec["missing"]),
        "turns": flow(table.spec["turns"]),
        "unescape_html": flow(not has_markup(table)),
        "max_chars": max(1000, *table.lengths),
        "contradictions": chosen.contradictions,
        "near_duplicates": "null" if chosen.alike else NEAR,
        "keep_together": "null" if chosen.alike else TOGETHER,
        "swaps": flow(table.swaps),
        "new_tokens": read.new_tokens,
        "unfinished": percent(read.unfinished),
        "answered": flow(read.answered),
        **dataclasses.asdict(chosen.shares),
    }
    return filled("writing.yaml.tmpl", values | _model(values, begun))


def has_markup(table: PairTable) -> bool:
    """Are rows HTML or XML, whose entities (`&amp;`) have to stay?"""
    tags = sum(any(CLOSING.search(turn.content) for turn in turns) for turns in table.sample)
    return tags > MOST_TAGS * len(table.sample)


def _model(values: dict[str, Any], begun: WritingBeginning) -> dict[str, str]:
    """Text of the models beside `nearest`, of what they need and of what compares them."""
    chosen, weights, shown = begun.choices, begun.weights, begun.shown
    tuned = chosen.tuned
    if tuned is None or weights is None or shown is None:
        return dict.fromkeys(PARTS, "")
    fill = {**values, **dataclasses.asdict(chosen.reading), **dataclasses.asdict(tuned)}
    fill |= {
        "weights": weights.label,
        "source": begun.source,
        "cut": percent(chosen.reading.cut),
        "how": "an adapter trained beside them" if tuned.adapted else "trained further",
        "rows": f"    rows: {tuned.rows} # of the train split, drawn\n" if tuned.rows else "",
        "frozen_embeddings": flow(tuned.adapted),
        "adapter": f"      adapter: {ADAPTER}\n" if tuned.adapted else "",
        "micro": f"      micro_batch_size: {tuned.micro_batch_size} # in memory at once\n"
        if tuned.micro_batch_size
        else "",
        "packing": f"      packing: {{max_tokens: {max(LINE, chosen.reading.max_length)}}}\n"
        if chosen.graph
        else "",
        "peak_learning_rate": flow(tuned.peak_learning_rate),
        "scored": values["name"] if chosen.graph else "finetuned",
        "ends": round(ENDS * (1 - chosen.reading.unfinished), 2),
    }
    fields = "".join(f"    {key}: {quoted(value)}\n" for key, value in shown.prompt.items())
    about = f"{shown.style}: what a model is shown, special tokens and all"
    return {
        "prompt": f"  prompt: # {about}\n{fields}",
        "sources": filling.source(begun.source, weights.source, "a model that writes"),
        "models": filled("causal.yaml.tmpl", fill),
        **_shipped(fill, begun),
        "gates": filled("writing_gates.yaml.tmpl", fill),
    }


def _shipped(fill: dict[str, Any], begun: WritingBeginning) -> dict[str, str]:
    """Text of the graph, of the bundle that holds it, and of the scores; these are of the model
    itself where no graph can be made of it."""
    graph, file, name = begun.choices.graph, begun.table.path.name, fill["name"]
    untrained = {"untrained": "model.untrained"}
    if graph is None:
        scores = _scores({"finetuned": "model.finetuned"} | untrained, fill)
        return {"graph": "", "scores": scores, "bundle": ""}
    shown = {
        "title": quoted(f"Answers to prompts like those of {file}"),
        "intended_use": quoted(f"Prompts like those of {file}, in their language."),
    }
    return {
        "graph": filled("writing_graph.yaml.tmpl", fill | dataclasses.asdict(graph)),
        "scores": _scores({name: f"quantized.{name}"} | untrained, fill),
        "bundle": filled("writing_bundle.yaml.tmpl", fill | shown),
    }


def _scores(of: dict[str, str], fill: dict[str, Any]) -> str:
    """of: name of scores -> of what they are."""
    return "".join(
        filled("writing_scores.yaml.tmpl", fill | {"scores": name, "of": artifact})
        for name, artifact in of.items()
    )


def percent(share: float) -> str:
    """For people: none, less than one, or whole ones."""
    if share == 0:
        return "none"
    return "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"
