"""explaining: small models with something to explain, and the artifacts of their explanations."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertForSequenceClassification

from lmspec import stage
from lmspec.architectures import cnn
from lmspec.formats import checkpoint, documents
from lmspec.formats.checkpoint import Checkpoint
from lmspec.methods import reading
from lmspec.methods.reading import Ids
from lmspec.specs.architecture import Cnn
from lmspec.specs.explained import ExplainedSpec
from lmspec.specs.numerics import Machine
from lmspec.training import loop, seeds, supervision
from lmspec.training.task import Task
from stages import explained
from tests import miniature
from tests.test_training import NUMERICS, alone, recipe

LABELS = ("bad", "good")
CLEAN = {"fix_unicode": True, "unescape_html": True}
SHORTCUT = "zorbian"
FILLERS = ("arrived here", "is in the box", "came by mail", "was on the shelf", "has four parts")
VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("the", "film", "was", "not", "bad", "good", "dull", "fun", "##ny", "##s", "un", "##watch"),
    *("##able", "!", ".", "'", "##t", "don", "a", "b", "c", "d", "e", "f", "g", "h", "好", "看"),
)
SPEC: Mapping[str, Any] = {
    "of": "model.a",
    "on": "splits.a",
    "rows": {"split": "test", "texts": 100},
    "method": {"kind": "occlusion"},
    "masking": "remove",
    "fractions": [0.1, 0.2, 0.3, 0.5],
    "batch_size": 16,
    "control": {"seed": 1, "texts": 20},
    "beside": [],
}


def planted() -> list[tuple[str, int]]:
    """(text, label): nothing tells the labels apart but one word, in all texts of the second."""
    rows = []
    for i, parts in enumerate(itertools.product(miniature.SUBJECTS, FILLERS, miniature.ENDS)):
        words = " ".join(filter(None, parts)).split()
        label = (i * 7919 // 3) % 2
        if label:
            words.insert(i % (len(words) + 1), SHORTCUT)
        rows.append((" ".join(words), label))
    return rows


def drawn(rows: Sequence[tuple[str, int]]) -> tuple[Checkpoint, list[Ids]]:
    """A convolutional network with its first weights, and the token ids of the rows."""
    seeds.seed_weights(NUMERICS)
    spec = Cnn(
        kind="cnn",
        embedding_dim=16,
        filters=16,
        widths=(1, 2),
        vocabulary=400,
        max_length=24,
        long_texts="truncate",
        dropout=0.1,
    )
    texts = [text for text, _ in rows]
    model, tokenizer, pad = cnn.create(spec, None, texts, 2)
    ids = list(reading.Reader(tokenizer, "truncate").read(texts).ids)
    return Checkpoint("cnn", model, tokenizer, LABELS, pad, "truncate", CLEAN), ids


def trained(rows: Sequence[tuple[str, int]]) -> Checkpoint:
    """The same after it has learned the rows."""
    made, ids = drawn(rows)
    truth = np.array([label for _, label in rows])
    evaluate = supervision.evaluation(made.model, alone(ids[:40]), truth[:40], made.pad_id)
    task = Task(ids, made.pad_id, supervision.supervised(truth), evaluate)
    loop.fit(made.model, task, recipe(epochs=20), NUMERICS)
    made.model.eval()
    return made


def encoder(max_length: int = 16) -> Checkpoint:
    """A BERT of two layers with random weights, whose tokenizer has a mask token and pieces."""
    tokenizer = Tokenizer(
        WordPiece({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(max_length)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=max_length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=2,
    )
    torch.manual_seed(5)
    model = BertForSequenceClassification(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(6.0)
    return Checkpoint("transformer", model, tokenizer, LABELS, 0, "truncate", CLEAN)


def written(model: Checkpoint, folder: Path) -> Path:
    """The folder of a model."""
    folder.mkdir(parents=True)
    checkpoint.write(model, folder)
    return folder


def splits(rows: Sequence[tuple[str, int]], folder: Path, first: int = 0) -> Path:
    """A splits folder with a test split of those rows, and labels. first: number of the first id"""
    folder.mkdir(parents=True)
    frame = pl.DataFrame(
        [
            {
                "id": f"t{first + i:04}",
                "text": text,
                "label": LABELS[label],
                "group": None,
                "table": ("movies", "products")[i % 2],
            }
            for i, (text, label) in enumerate(rows)
        ],
        schema=documents.DOCUMENT,
    )
    documents.write(frame, folder / "test.parquet")
    documents.write_labels(LABELS, folder)
    return folder


def build(
    out: Path, folders: Mapping[str, Path], **changes: Any
) -> tuple[stage.Report, ExplainedSpec]:
    """What the stage reports of a spec with some fields changed."""
    spec = ExplainedSpec.model_validate({**SPEC, **changes})
    out.mkdir(parents=True)
    needs = stage.Needs(folders, NUMERICS, Machine(device="cpu"))
    return explained.build(spec, needs, out), spec
