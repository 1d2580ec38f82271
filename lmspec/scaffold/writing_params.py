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
        return dict.fromkeys(("prompt", "sources", "models", "scores", "gates"), "")
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
        "peak_learning_rate": flow(tuned.peak_learning_rate),
        "ends": round(ENDS * (1 - chosen.reading.unfinished), 2),
    }
    fields = "".join(f"    {key}: {quoted(value)}\n" for key, value in shown.prompt.items())
    about = f"{shown.style}: what a model is shown, special tokens and all"
    return {
        "prompt": f"  prompt: # {about}\n{fields}",
        "sources": filling.source(begun.source, weights.source, "a model that writes"),
        "models": filled("causal.yaml.tmpl", fill),
        "scores": "".join(
            filled("writing_scores.yaml.tmpl", fill | {"model": model})
            for model in ("finetuned", "untrained")
        ),
        "gates": filled("writing_gates.yaml.tmpl", fill),
    }


def percent(share: float) -> str:
    """For people: none, less than one, or whole ones."""
    if share == 0:
        return "none"
    return "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"
