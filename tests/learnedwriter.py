"""learnedwriter: a tiny model that writes what one word of its prompt says, trained in seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from lmspec.formats import writer
from lmspec.writing.prompting import Writer
from tests.tinywriter import NAMES, PAIR, Turns, tokenizer, write_split, write_weights

MOST = 96  # tokens of an example
BEFORE = ("please", "now", "could you", "i want to", "you may")
AFTER = ("for me", "if you can", "in the morning", "and stop", "with care")
ANSWER = {name: f"{name[:2]}{i}{name[-2:]}" for i, name in enumerate(NAMES)}


def asked(count: int = 50) -> list[Turns]:
    """Prompts in which a name alone decides the answer, wherever it is."""
    rows: list[Turns] = []
    for i in range(count):
        name, before, after = NAMES[i % 10], BEFORE[i // 10 % 5], AFTER[(i // 10 + i) % 5]
        words = f"{before} call {name} {after}" if i % 2 else f"{name}, {before} call {after}"
        rows.append([("user", words), ("assistant", ANSWER[name])])
    return rows


def learned(rows: Sequence[Turns], steps: int, prompt: Any = PAIR) -> writer.WriterModel:
    """A Llama of two layers after that many steps over all rows, which it learns by heart."""
    import tempfile

    words = tokenizer()
    with tempfile.TemporaryDirectory() as folder:
        model = AutoModelForCausalLM.from_pretrained(write_weights(Path(folder)))
    shown = Writer(words, prompt, MOST, "leave_out")
    examples: list[Any] = [shown.example(row) for row in rows]
    longest = max(len(ids) for ids, _ in examples)
    ids, labels = np.zeros((2, len(rows), longest), np.int64)
    labels[:] = -100
    for i, (tokens, is_learned) in enumerate(examples):
        ids[i, : len(tokens)] = tokens
        labels[i, : len(tokens)] = np.where(is_learned, tokens, -100)
    given, truth = torch.from_numpy(ids), torch.from_numpy(labels)
    torch.set_num_threads(1)  # else its threads wait for each other where others compute, too
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), 4e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(input_ids=given, labels=truth).loss.backward()
        optimizer.step()
    end = words.token_to_id(prompt["end"])
    return writer.WriterModel(model.eval(), words, end, prompt, MOST, "leave_out", CLEAN)


CLEAN = {"fix_unicode": False, "unescape_html": False}


def written(model: writer.WriterModel, folder: Path, splits: str = "splits.a") -> Path:
    """The folder of a model that was trained on some splits."""
    folder.mkdir(parents=True)
    writer.write(model, folder)
    return folder


def parted(splits: Path, **parts: Sequence[Turns]) -> Path:
    """Splits with these rows."""
    splits.mkdir(parents=True)
    for split, rows in parts.items():
        write_split(rows, splits, split)
    return splits
