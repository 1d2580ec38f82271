"""A tiny model that writes: its tokenizer, its weights, and what it learns."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from lmspec.formats import documents

NAMES = ("anna", "ben", "clara", "dora", "emil", "frida", "gustav", "hanna", "ivo", "jana")
START, END = "<|im_start|>", "<|im_end|>"
SAY = ("say", "write", "print", "show", "give")
MOST = 48  # tokens of an example
PAIR = {
    "kind": "pair",
    "template": f"{START}user\n{{prompt}}{END}\n{START}assistant\n",
    "end": END,
}
CHAT = {
    "kind": "chat",
    "before": "",
    "system": f"{START}system\n{{content}}{END}\n",
    "user": f"{START}user\n{{content}}{END}\n",
    "assistant": f"{START}assistant\n",
    "end": END,
    "between": "\n",
    "learn": "every_answer",
}
STOPPING = {"metric": "log_loss", "evaluation_steps": 8, "patience": 9}
Turns = list[tuple[str, str]]


def pairs(count: int = 200) -> list[Turns]:
    """Short prompts, and answers of other lengths."""
    rows: list[Turns] = []
    for i in range(count):
        name, times = NAMES[i % 10], 1 + (i // 10) % 3
        prompt = f"{SAY[(i // 30) % 5]} {name} {times} times{' now' * (i % 5)}, {i}"
        rows.append([("user", prompt), ("assistant", " ".join([name] * times))])
    return rows


def tokenizer() -> Tokenizer:
    """Byte-level BPE, with the special tokens of ChatML; the end is also the padding."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=[START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator((text for row in pairs() for _, text in row), trainer)
    return made


def write_weights(folder: Path, tied: bool = True, **settings: Any) -> Path:
    """A source: a Llama of two layers with weights large enough to tell texts apart."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer()
    config = LlamaConfig(
        vocab_size=words.get_vocab_size(),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        initializer_range=0.1,
        pad_token_id=words.token_to_id(END),
        eos_token_id=words.token_to_id(END),
        bos_token_id=words.token_to_id(START),
        **settings,
    )
    torch.manual_seed(3)
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save(str(folder / "tokenizer.json"))
    special = {"eos_token": END, "pad_token": END, "bos_token": START}
    (folder / "tokenizer_config.json").write_text(json.dumps(special))
    return folder


def write_split(rows: Sequence[Turns], splits: Path, split: str) -> None:
    """Rows of one split, as a corpus of conversations has them."""
    frame = {
        "id": [f"{split}-{i}" for i in range(len(rows))],
        "text": [" ".join(content for _, content in row) for row in rows],
        "label": [None] * len(rows),
        "group": [None] * len(rows),
        "table": ["pairs"] * len(rows),
        "turns": [[{"role": role, "content": content} for role, content in row] for row in rows],
    }
    splits.mkdir(exist_ok=True)
    table = pl.DataFrame(frame, schema=documents.CONVERSATION)
    documents.write(table, splits / f"{split}.parquet")
    documents.write_labels([], splits)
    documents.write_clean({"fix_unicode": False, "unescape_html": False}, splits)


def spec_of(**changes: Any) -> Any:
    """An architecture without dropout, of which all is trained."""
    from lmspec.specs.architecture import Causal

    fields: dict[str, Any] = {
        "kind": "causal",
        "weights": "sources.tiny",
        "max_length": MOST,
        "long_texts": "leave_out",
        "prompt": PAIR,
        "dropout": 0.0,
        "frozen_embeddings": False,
        "frozen_layers": 0,
    }
    return Causal.model_validate(fields | changes)


def training(**changes: Any) -> Any:
    """One short epoch, judged by the log loss."""
    from tests.test_training import ADAMW, recipe

    base: dict[str, Any] = {"early_stopping": STOPPING, "epochs": 1, "optimizer": ADAMW}
    return recipe(**base | changes)


def write_splits(splits: Path) -> Path:
    """160 rows to learn from, 40 to be judged on."""
    write_split(pairs()[:160], splits, "train")
    write_split(pairs()[160:], splits, "dev")
    return splits


class Killed:
    """A function that is interrupted when it is called for the time of that number.

    count  how often it was called
    """

    def __init__(self, own: Callable[..., Any], at: int) -> None:
        self.own, self.at, self.count = own, at, 0

    def __call__(self, *given: Any) -> Any:
        """What the function returns. Raises KeyboardInterrupt."""
        self.count += 1
        if self.count == self.at:
            raise KeyboardInterrupt
        return self.own(*given)
