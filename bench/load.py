"""bench/load: training beside other load: samples/s alone, and beside two busy processes.

    python bench/load.py [ROUNDS] > bench/load.md      (ten minutes on 2 cores; needs no data)

The networks of params.yaml, trained by a plain loop on drawn texts, as stages have threads,
instructions and precision. Each process has one setting, and measures alone and loaded in turn; the
settings take turns. Where the kernel allows it, each has the processors before all that this
bench did not start.

Fair shares: beside as many busy processes as there are threads, half of what it does alone.
"""

import contextlib
import hashlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from validate import processor  # beside this file

from lmspec.cli.loading import valid_project
from lmspec.run import determinism, environment
from lmspec.specs.numerics import Numerics

ROOT = Path(__file__).parent.parent
ROUNDS = 5
BUSY = 2
STEPS = {"textcnn": 40, "bilstm": 16, "minilm": 10}  # of the models in params.yaml
WARM_UP = 3
OWN = "OpenMP's own"
SETTINGS: dict[str, dict[str, str]] = {
    OWN: {},
    f"{determinism.SPINS_ALONE} looks": {determinism.SPINS: determinism.SPINS_ALONE},
    f"{determinism.SPINS_LOADED} looks": {determinism.SPINS: determinism.SPINS_LOADED},
}
Figures = dict[str, float]  # alone, loaded -> samples/s


def main() -> None:
    """Print the table; with `measure NAME`, the figures of one process as JSON."""
    if sys.argv[1:2] == ["measure"]:
        print(json.dumps(measured(sys.argv[2])))
        return
    rounds = int(sys.argv[1]) if sys.argv[1:] else ROUNDS
    runs: dict[tuple[str, str], list[Figures]] = {}
    weights: dict[str, set[str]] = {}
    for _ in range(rounds):
        for model in STEPS:
            for name, setting in SETTINGS.items():
                speed, digests = in_process(setting, model)
                runs.setdefault((model, name), []).append(speed)
                weights.setdefault(model, set()).update(digests)
    print("# Training beside other load\n")
    print(f"{os.cpu_count()} cores, {processor()}; samples/s, medians of {rounds} round(s);")
    print(f"loaded: beside {BUSY} busy processes. Shares are of OpenMP's own, alone; fair is 0.50.")
    print("A stage that starts alone has the second setting, one beside other load the third.\n")
    print("| model | threads wait | alone | share | loaded | share |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (model, name), figures in runs.items():
        alone, loaded = (statistics.median(each[w] for each in figures) for w in figures[0])
        whole = statistics.median(each["alone"] for each in runs[model, OWN])
        cells = f"{alone:,.0f} | {alone / whole:.2f} | {loaded:,.0f} | {loaded / whole:.2f}"
        print(f"| {model} | {name} | {cells} |")
    same = all(len(digests) == 1 for digests in weights.values())
    print(f"\nThe weights after the training are {'' if same else 'NOT '}the same in all runs of a")
    print("model, to the last bit.")


def in_process(setting: Mapping[str, str], model: str) -> tuple[Figures, list[str]]:
    """Samples/s of a new process with this setting, and hashes of the weights."""
    clean = environment.clean(os.environ, ROOT)
    threads = str(numerics().threads)
    variables = clean | dict.fromkeys(determinism.THREADS, threads) | setting
    command = [sys.executable, __file__, "measure", model]
    done = subprocess.run(command, env=variables, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    speed, digests = json.loads(done.stdout)
    return speed, digests


def numerics() -> Numerics:
    """Those of params.yaml."""
    return valid_project().numerics


def measured(model: str) -> tuple[Figures, list[str]]:
    """Samples/s alone and loaded, and hashes of the weights."""
    with contextlib.suppress(OSError):
        os.setsid()
        Path("/proc/self/autogroup").write_text("-19")
    import torch  # noqa: F401  (`fix` sets it up)

    determinism.fix(numerics())
    train = trainer(model, numerics())
    train(WARM_UP)
    speed, digests = {}, []
    for load, others in (("alone", 0), ("loaded", BUSY)):
        with busy(others):
            samples, seconds, digest = train(STEPS[model])
        speed[load] = samples / seconds
        digests.append(digest)
    return speed, digests


def trainer(model: str, numerics: Numerics) -> Callable[[int], tuple[int, float, str]]:
    """A function that trains so many steps: (samples, seconds, hash of the weights)."""
    import torch

    spec = valid_project().model[model]
    size = spec.training.batch_size

    def train(steps: int) -> tuple[int, float, str]:
        torch.manual_seed(1)
        network, vocabulary = created(spec)
        rng = np.random.default_rng(1)
        lengths = np.clip(rng.gamma(3, 9, steps * size).astype(int), 4, 64)
        trained = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
        network.train()
        begin = time.perf_counter()
        for step in range(steps):
            torch.manual_seed(step)
            longest = int(lengths[step * size : (step + 1) * size].max())
            ids = torch.from_numpy(rng.integers(5, vocabulary, (size, longest)))
            truth = torch.from_numpy(rng.integers(0, 2, size))
            with torch.autocast("cpu", torch.bfloat16, enabled=numerics.precision == "bf16"):
                logits = network(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
                loss = torch.nn.functional.cross_entropy(logits.float(), truth)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        seconds = time.perf_counter() - begin
        digest = hashlib.sha256()
        for value in network.state_dict().values():
            digest.update(value.numpy().tobytes())
        return steps * size, seconds, digest.hexdigest()

    return train


def created(spec: Any) -> tuple[Any, int]:
    """The network with drawn weights, and the size of its vocabulary."""
    if spec.architecture.kind != "transformer":
        words = [f"w{i}" for i in range(3000)]
        rng = np.random.default_rng(1)
        texts = [" ".join(rng.choice(words, 20)) for _ in range(500)]
        architecture = importlib.import_module(spec.architecture.module)
        network, tokenizer, _ = architecture.create(spec.architecture, None, texts, 2)
        return network, tokenizer.get_vocab_size()
    from transformers import BertConfig, BertForSequenceClassification

    shape = {"hidden_size": 384, "intermediate_size": 1536}
    config = BertConfig(num_hidden_layers=6, num_attention_heads=12, num_labels=2, **shape)
    network = BertForSequenceClassification(config)
    network.bert.embeddings.requires_grad_(False)
    for layer in network.bert.encoder.layer[: spec.architecture.frozen_layers]:
        layer.requires_grad_(False)
    return network, config.vocab_size


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


if __name__ == "__main__":
    main()
