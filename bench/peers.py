"""bench/peers: what a practitioner would try first, tuned on the dev split and run on its own.

    python bench/peers.py SPLITS_FOLDER tfidf|minilm OUT.json [WEIGHTS_FOLDER EMBEDDINGS.npz]

tfidf   TF-IDF and logistic regression, scikit-learn: words (1, 2) or characters within words
        (2, 5), and the inverse regularisation, by accuracy on dev
minilm  frozen embeddings of all-MiniLM-L6-v2 (mean of the tokens, length 1) and logistic
        regression, as SetFit does without its contrastive step; the same tuning. Embeddings are
        kept from run to run, by text
"""

import hashlib
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

SPLITS = ("train", "dev", "test")
INVERSE_REGULARIZATION = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
BATCH = 64
BATCHES_BETWEEN = 40  # until embeddings are kept, so that a run can resume
Texts = dict[str, list[str]]
Features = Iterator[tuple[str, dict[str, Any]]]


def main() -> None:
    """Write the answers on test and what was chosen."""
    folder, kind, out, *encoder = sys.argv[1:]
    parts = {name: pl.read_parquet(Path(folder, f"{name}.parquet")) for name in SPLITS}
    texts = {name: part["text"].to_list() for name, part in parts.items()}
    labels = {name: part["label"].to_list() for name, part in parts.items()}
    warnings.filterwarnings("ignore")  # of convergence: a practitioner's default is kept
    best = (-1.0, "", [""])
    ways = tfidf(texts) if kind == "tfidf" else minilm(texts, *map(Path, encoder))
    for name, features in ways:
        for c in INVERSE_REGULARIZATION:
            model = LogisticRegression(C=c, max_iter=1000).fit(features["train"], labels["train"])
            accuracy = float(np.mean(model.predict(features["dev"]) == labels["dev"]))
            if accuracy > best[0]:
                best = (accuracy, f"{name}, C={c:g}", model.predict(features["test"]).tolist())
    answers = dict(zip(parts["test"]["id"], best[2], strict=True))
    Path(out).write_text(json.dumps({"dev": best[0], "chosen": best[1], "answers": answers}))


def tfidf(texts: Texts) -> Features:
    """(name, features of each split) for both kinds of n-grams."""
    for analyzer, ngrams in (("word", (1, 2)), ("char_wb", (2, 5))):
        vectorizer = TfidfVectorizer(
            analyzer=analyzer, ngram_range=ngrams, sublinear_tf=True, min_df=2
        )
        vectorizer.fit(texts["train"])
        yield (
            f"{analyzer} {ngrams[0]} to {ngrams[1]}",
            {name: vectorizer.transform(part) for name, part in texts.items()},
        )


def minilm(texts: Texts, weights: Path, kept: Path) -> Features:
    """One kind of features: (n, 384) embeddings of at most 256 tokens."""
    known = embeddings([text for part in texts.values() for text in part], weights, kept)
    rows = {name: np.array([known[_key(text)] for text in part]) for name, part in texts.items()}
    yield "embeddings", rows


def embeddings(texts: list[str], weights: Path, kept: Path) -> dict[str, NDArray[np.float32]]:
    """Hash of a text -> (384,); what is not kept yet is computed and kept."""
    known: dict[str, NDArray[np.float32]] = {}
    if kept.exists():
        with np.load(kept) as arrays:
            known = dict(zip(arrays["texts"].tolist(), arrays["rows"], strict=True))
    new = {text for text in texts if _key(text) not in known}
    ordered = sorted(new, key=lambda text: (len(text), text))
    embed = _embedder(weights)
    for number, start in enumerate(range(0, len(ordered), BATCH), start=1):
        batch = ordered[start : start + BATCH]
        known.update(zip(map(_key, batch), embed(batch), strict=True))
        if number % BATCHES_BETWEEN == 0 or start + BATCH >= len(ordered):
            kept.parent.mkdir(parents=True, exist_ok=True)
            partial = kept.with_suffix(".partial.npz")
            np.savez(partial, texts=np.array(list(known)), rows=np.array(list(known.values())))
            partial.rename(kept)
    return known


def _embedder(weights: Path) -> Any:
    """A function of texts to (b, 384)."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    torch.set_num_threads(2)
    tokenizer = Tokenizer.from_file(str(weights / "tokenizer.json"))
    tokenizer.enable_truncation(256)
    tokenizer.enable_padding()
    encoder = AutoModel.from_pretrained(weights).eval()

    def embed(texts: list[str]) -> NDArray[np.float32]:
        encodings = tokenizer.encode_batch(texts)
        ids = torch.tensor([e.ids for e in encodings])  # (b, t)
        mask = torch.tensor([e.attention_mask for e in encodings])
        with torch.inference_mode():
            hidden = encoder(input_ids=ids, attention_mask=mask).last_hidden_state  # (b, t, h)
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        rows: NDArray[np.float32] = torch.nn.functional.normalize(pooled, dim=1).numpy()
        return rows

    return embed


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


if __name__ == "__main__":
    main()
