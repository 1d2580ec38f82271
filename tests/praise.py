"""praise: two bundles that tell praise from blame by their words, for the pictures of the page."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from onnx import numpy_helper

from lmspec.formats import deployed, graph, manifest
from lmspec.methods import bytepair, evidence, shares
from lmspec.methods.evidence import Row
from tests import bundles

# word -> how much more probable it makes praise; of the second bundle in brackets, if it differs
WORDS: dict[str, tuple[float, float]] = {
    "warm": (1.4, 1.1),
    "great": (2.2, 1.9),
    "love": (1.1, 1.4),
    "worth": (0.9, 0.9),
    "funny": (1.2, 1.5),
    "fresh": (1.0, 1.2),
    "thin": (-2.6, -2.2),
    "not": (-1.9, -0.6),
    "slow": (-1.2, -0.5),
    "bore": (-2.5, -2.6),
    "but": (-0.7, -0.3),
    "wanted": (-0.6, -0.4),
    "waste": (-2.4, -2.3),
}
TEXT = (
    "I wanted to love this film, but the plot is thin and the jokes are not funny. Great cast, "
    "though."
)
REVIEWS = (
    "A warm and funny film, worth every minute.",
    "Not slow at all; the second half is great.",
    "What a waste of a great cast.",
    "The plot is thin and the end is slow.",
    "A fresh idea, but the jokes are a bore.",
    "Not a bore, and not thin either.",
    "I love the music; the rest is slow.",
)
CARD = """# Praise and blame in reviews

Labels: `negative`, `positive`.

## Intended use

Sorting short English reviews of films by what they say of the film.

## Limitations

It has no answer for a neutral review, and gives one all the same. Irony is where it errs most. Do
not let it decide about a person.

## Data

- reviews: 11,613 of 14,313 rows; left out: 2,682 score in no band, 18 others.
"""
MISTAKES = (
    ("reviews", "This is amusing for about three minutes.", "negative", "positive", 0.985),
    ("posts", "great, no train again today", "negative", "positive", 0.981),
    ("reviews", "Not for a moment did I want it to end.", "positive", "negative", 0.944),
    ("posts", "no bad seats, no long waits", "positive", "negative", 0.927),
)
RIGHT = {
    ("reviews", "films"): (949, 1101),
    ("reviews", "books"): (260, 292),
    ("posts", "x"): (481, 512),
}


def bundle_in(folder: Path, second: bool = False) -> Path:
    """One of the two, in an empty folder."""
    texts = [TEXT.lower(), *REVIEWS, *(f"{word} {word}" for word in WORDS)] * 20
    tokenizer = bytepair.train(texts, 700, 64)
    rows = np.zeros((tokenizer.get_vocab_size(), 2), np.float32)
    for word, weights in WORDS.items():
        encoded = tokenizer.encode(word).ids
        rows[encoded[0], 1] = weights[second]
    model = bundles.drawn(len(rows))
    none = np.zeros((2, bundles.WIDTH), np.float32)
    two = {"table": rows, "widen": none, "narrow": none.T.copy()}  # labels, where it has three
    for each in model.graph.initializer:
        if each.name in two:
            each.CopyFrom(numpy_helper.from_array(two[each.name], each.name))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 2
    about = {"labels": ["negative", "positive"], "pad_id": 0, "masks": ["full"]}
    about |= {"long_texts": "truncate", "clean": bundles.CLEAN}
    graph.write(model, tokenizer, about, folder)
    deployed.write(folder)
    (folder / "README.md").write_text(CARD, encoding="utf-8")
    (folder / "scores.json").write_text(json.dumps(scores(5 * second)), encoding="utf-8")
    manifest.write(folder, "Praise and blame in reviews", bundles.MADE_FROM, None)
    return folder


def scores(more: int) -> Mapping[str, object]:
    """As stages/bundle.py writes them. more: right answers in each table."""
    rows = [
        Row(dataset, table, None, "", "a", "a" if i < right + more else "b", 0.9)
        for (dataset, table), (right, all_) in RIGHT.items()
        for i in range(all_)
    ]
    fields = ("dataset", "text", "label", "predicted", "confidence")
    return {
        "of": "quantized.release",
        "scores": "scores.release",
        "confidence": shares.CONFIDENCE,
        "accuracies": evidence.accuracies(rows),
        "mistakes": [dict(zip(fields, one, strict=True)) for one in MISTAKES],
    }
