"""bench/generate_training: one trainer in a process of its own, which trains when it is asked to.

    python bench/generate_training.py TRAINER FOLDER INSTRUCTIONS THREADS

Each line of standard input is a seed; it is answered by JSON: real tokens per second (padding is
none), and the dev loss after the pass. The time is that from the third step to the last one.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from generate_data import LONGEST, PROMPT, Rows
from train import plain_recipe

BATCH, RATE, DECAY = 16, 3e-4, 0.01
# Of the steps. With a warm-up of one, ours has the peak rate in the first step, transformers' none.
WARMUP = 0.2
SKIPPED = 2  # first steps, in which memory is claimed and kernels are chosen
OURS, DEFAULTS, BEST = "lmspec", "TRL, defaults", "TRL, best"
TRAINERS = (OURS, DEFAULTS, BEST)


class Times:
    """When steps began, and how many tokens each had."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.tokens: list[int] = []

    def begin(self, tokens: int) -> None:
        """A step of so many tokens begins."""
        self.at.append(time.perf_counter())
        self.tokens.append(tokens)

    def end(self) -> float:
        """Tokens per second, now that the last step has ended."""
        seconds = time.perf_counter() - self.at[SKIPPED]
        return sum(self.tokens[SKIPPED:]) / seconds


def ours(folder: Path, instructions: str, threads: int, seed: int) -> dict[str, float]:
    """By lmspec's loop, as the stage `model` calls it."""
    from lmspec.architectures import causal
    from lmspec.run import determinism
    from lmspec.specs.architecture import Causal
    from lmspec.specs.numerics import Numerics
    from lmspec.training import descending, loop, seeds, writing
    from lmspec.training.task import Task

    numerics = Numerics.model_validate(
        {"seed": seed, "threads": threads, "precision": "bf16", "instructions": instructions}
    )
    determinism.fix(numerics)
    seeds.seed_weights(numerics)
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
    model, _, pad_id, _ = causal.create(spec, folder / "weights")
    train, times, found = Rows.read(folder / "train.npz"), Times(), {}
    collate, objective = writing.collated(train.learned, LONGEST), writing.imitating()

    def timed(network: Any, batch: Any, *given: Any) -> Any:
        times.begin(int(batch.attention_mask.sum()))
        return objective(network, batch, *given)

    recipe = plain_recipe(len(train.ids), BATCH, "log_loss", RATE, DECAY, WARMUP)

    def evaluate() -> dict[str, float]:
        found["tokens_per_second"] = times.end()
        found["loss"] = dev_loss(model, folder, pad_id)
        return {"log_loss": found["loss"]}

    weight = np.asarray([row.sum() for row in train.learned])
    task = Task(
        train.ids,
        pad_id,
        timed,
        evaluate,
        collate=collate,
        weight=weight,
        bucket_batches=descending.MIXED,
    )
    loop.fit(model, task, recipe, numerics)
    return found


def theirs(name: str, folder: Path, threads: int, seed: int) -> dict[str, float]:
    """By the SFTTrainer of TRL, on the same rows, whose tokens and labels are given."""
    import torch
    import transformers
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    times, train = Times(), Rows.read(folder / "train.npz")

    class Timed(SFTTrainer):
        def training_step(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
            mask = inputs.get("attention_mask")
            times.begin(int(inputs["input_ids"].numel() if mask is None else mask.sum()))
            return super().training_step(model, inputs, *given, **named)

    dataset = Dataset.from_list(
        [
            {"input_ids": ids.tolist(), "labels": np.where(learned > 0, ids, -100).tolist()}
            for ids, learned in zip(train.ids, train.learned, strict=True)
        ]
    )
    lines, line = packed(train)
    chosen: dict[str, Any] = {"per_device_train_batch_size": BATCH}
    if name == BEST:
        chosen = {
            "per_device_train_batch_size": lines,
            "packing": True,
            "max_length": line,
            "gradient_checkpointing": False,
        }
    model = AutoModelForCausalLM.from_pretrained(folder / "weights", dtype=torch.float32)
    words = PreTrainedTokenizerFast.from_pretrained(folder / "model")
    with tempfile.TemporaryDirectory() as out:
        arguments = SFTConfig(
            out,
            num_train_epochs=1,
            learning_rate=RATE,
            weight_decay=DECAY,
            warmup_steps=WARMUP,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **chosen,
        )
        Timed(model, arguments, train_dataset=dataset, processing_class=words).train()
    speed = times.end()
    return {"tokens_per_second": speed, "loss": dev_loss(model, folder, words.pad_token_id)}


def packed(train: Rows) -> tuple[int, int]:
    """(lines of a batch, tokens of each): together as many as 16 examples have."""
    lines = 2
    return lines, max(128, round(train.tokens / len(train.ids) * BATCH / lines))


def dev_loss(model: Any, folder: Path, pad_id: int) -> float:
    """Mean nats of the learned tokens of the dev rows, in fp32."""
    from lmspec.training import writing

    dev = Rows.read(folder / "dev.npz")
    model.eval()
    losses, _ = writing.each_loss(model, dev.ids, dev.learned, pad_id)
    return float(losses.sum()) / sum(int(row.sum()) for row in dev.learned)


def main() -> None:
    """Train for each seed on standard input."""
    here = Path(__file__).parent  # has a module `datasets`, as a package of TRL is called
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != here.resolve()]
    name, folder = sys.argv[1], Path(sys.argv[2])
    instructions, threads = sys.argv[3], int(sys.argv[4])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        if name == OURS:
            found = ours(folder, instructions, threads, int(line))
        else:
            found = theirs(name, folder, threads, int(line))
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
