"""bench/train_gpu: the same on one card: an encoder of BERT-base's size, with random weights.

    python bench/train.py gpu > bench/train-gpu.md      (under 8 minutes)
    python bench/train.py gpu small                     (a tiny encoder; where there is no card, on
                                                         the CPU: that the script runs)

Nothing is fetched. Texts are random, of the lengths of a corpus (log-normal, 8 to 256 tokens), in
batches of 64. The share of the card's peak counts six operations for each weight that is no
embedding and each token of a text: padding counts as nothing. It has not run on a card yet.
"""

import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from train import CONTESTANTS, MAX_LENGTH, Way, Worker, instructions

WORDS, LABELS, BATCH, STEPS, DEV, ROUNDS = 30_522, 2, 64, 120, 256, 2
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# bf16 without sparsity, from the makers' data sheets
PEAKS = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
BARS = "3 times the defaults, 1.3 times the tuned, 40 % of the peak, price of determinism 15 %"


def main() -> None:
    """Run all contestants, the deterministic one twice with the same seed; print the table."""
    import torch

    small = sys.argv[2:] == ["small"]
    card = torch.cuda.is_available()
    if not card and not small:
        sys.exit("torch finds no card here: nothing was measured")
    with tempfile.TemporaryDirectory() as scratch:
        weights, file = Path(scratch, "encoder"), Path(scratch, "data.npz")
        body = make(weights, small)
        tokens = texts(file, 8 if small else STEPS, small)
        device = "cuda" if card else "cpu"
        way = Way(weights, instructions(), 8 if card else 1, device, 4 if small else BATCH)
        rounds: dict[str, list[dict[str, Any]]] = {}
        for name in CONTESTANTS:
            worker = Worker(name, file, way)
            rounds[name] = [worker.train(1) for _ in range(ROUNDS)]
            worker.end()
            print(name, rounds[name], file=sys.stderr, flush=True)
    where = torch.cuda.get_device_name() if card else "a CPU"
    print(table(rounds, where, body, tokens))


def make(folder: Path, small: bool) -> int:
    """Write an encoder with its tokenizer; returns its weights beside the embeddings."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel

    names = [*SPECIAL, *(f"w{i}" for i in range(WORDS - len(SPECIAL)))]
    tokenizer = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    size = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(1)
    model = BertModel(BertConfig(vocab_size=WORDS, **(size if small else {})))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return sum(p.numel() for p in model.encoder.parameters())


def texts(file: Path, steps: int, small: bool) -> float:
    """Write random texts whose first word decides the label; returns tokens in the mean."""
    rng = np.random.default_rng(15)
    rows = steps * (4 if small else BATCH)
    count = rows + (8 if small else DEV)
    lengths = np.clip(rng.lognormal(4.2, 0.7, count), 8, MAX_LENGTH).astype(np.int64)
    ids = [rng.integers(len(SPECIAL), WORDS, n) for n in lengths]
    truth = np.asarray([int(i[0] % LABELS) for i in ids])
    np.savez(file, ids=np.concatenate(ids), lengths=lengths, truth=truth, rows=rows)
    return float(lengths[:rows].mean())


def table(rounds: dict[str, Any], where: str, body: int, tokens: float) -> str:
    """Speeds, their ratios, and whether two runs gave the same weights."""
    speed = {n: median(r["samples_per_second"] for r in each) for n, each in rounds.items()}
    peak = next((value for name, value in PEAKS.items() if name in where), None)
    lines = [
        f"# Training on {where}",
        "",
        f"`python bench/train.py gpu`: an encoder of {body:,} weights beside its embeddings, texts"
        f" of {tokens:.0f} tokens in the mean. Bars: {BARS}.",
        "",
        "| | samples/s | tokens/s | times the defaults | times the tuned | of the peak | repeats |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for name, each in rounds.items():
        per_second = speed[name] * tokens
        share = "-" if peak is None else f"{100 * 6 * body * per_second / peak:.1f} %"
        same = len({r["weights"] for r in each}) == 1
        lines.append(
            f"| {name} | {speed[name]:,.1f} | {per_second:,.0f} |"
            f" {speed[name] / speed['defaults']:.2f} | {speed[name] / speed['tuned']:.2f} |"
            f" {share} | {'to the bit' if same else 'no'} |"
        )
    price = 100 * (1 - speed["lmspec"] / speed["undeterministic"])
    return "\n".join([*lines, "", f"Price of determinism: {price:.1f} % of the speed."])
