"""bench/generate: models that write, trained and run, beside what people use for it.

    python bench/generate.py > bench/generate.md                 (15 minutes; nothing else may run)
    python bench/generate.py --rounds 1 --seeds 1 --rows 48      (to try it)

Needs `pip install -e '.[peers]'`, and xllamacpp and onnxruntime-genai (`--no-deps`). Everybody has
the same weights and pairs (generate_data.py). Each contestant is a process of its own, which waits
until it is its turn; a round has a turn of each. Ratios are medians of those of the rounds.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from generate_data import LONGEST, Rows, prepare
from generate_engines import ENGINES, LOSSES, NEW, PROMPT
from generate_training import BATCH, BEST, DEFAULTS, OURS, TRAINERS, packed
from onnx import TensorProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from train import computes_bf16, instructions

from lmspec.run import environment, interpreter
from lmspec.specs.checks.speed import company
from lmspec.writing import timing

ROOT = Path(__file__).parent.parent
THREADS = (1, 2)
INT8 = {"kind": "weight_only", "bits": 8, "block": 32, "symmetric": True, "activations": "int8"}
WHOLE = {"head_bits": 8, "embedding_bits": 8}
SCHEMES = {
    "int8, blocks of 32": INT8 | WHOLE,
    "int4, blocks of 16, zero points; head and embedding int8": INT8
    | WHOLE
    | {"bits": 4, "block": 16, "symmetric": False},
    "int4, blocks of 32; head and embedding int8": INT8 | WHOLE | {"bits": 4},
}
DYNAMIC = "dynamic int8, as for classifiers"
COMPARED = 64  # dev rows of the quantization table
TRAINING_BARS = {DEFAULTS: (1.5, 2.0), BEST: (1.2, 1.3)}  # bar and goal, times
# what is compared, against whom, threads -> bar and goal
DECODING_BARS = {
    ("decode", "torch", 1): (3.5, 4.0),
    ("decode", "torch", 2): (6.0, 7.0),
    ("decode", "llama.cpp", 1): (0.85, 1.0),
    ("decode", "llama.cpp", 2): (1.2, 1.5),
    ("prefill", "llama.cpp", 1): (2.0, 2.0),
    ("prefill", "llama.cpp", 2): (2.0, 2.0),
    ("decode", "genai", 1): (0.65, 0.8),
    ("decode", "genai", 2): (0.65, 0.8),
}
NAMES = {
    "torch": "torch, fp32",
    "int8": "**lmspec, int8 graph**",
    "fp32": "lmspec, fp32 graph",
    "llama.cpp": "llama.cpp, Q4_1 as published",
    "genai": "onnxruntime-genai, int4",
}


def main() -> None:
    """Measure, and print the tables."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--rounds", type=int, default=7, help="of generating")
    options.add_argument("--seeds", type=int, default=3, help="rounds of training")
    options.add_argument("--rows", type=int, default=320, help="to train on")
    options.add_argument("--dev", type=int, default=64)
    options.add_argument("--parts", default="training,decoding,quantizing")
    options.add_argument("--keep", type=Path, help="a folder to use again")
    given = options.parse_args()
    parts = given.parts.split(",")
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        begin(folder, given)
        before = timing.Work.until_now()
        print("\n".join(head()))
        if "training" in parts:
            print("\n".join(trained(folder, given)))
        if "decoding" in parts:
            print("\n".join(decoded(folder, given)))
        after = timing.Work.until_now()
        if before and after and {"training", "decoding"} & {*parts}:
            print(f"\n{alone(before, after)}", flush=True)
        if "quantizing" in parts:
            print("\n".join(quantized(folder)))


def begin(folder: Path, given: argparse.Namespace) -> None:
    """Data, weights, graphs in fp32 and int8, and that of genai's builder."""
    if (folder / "genai").exists():
        return
    prepare(folder, given.rows, given.dev)
    export(folder)
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    where = ["-m", str(folder / "model"), "-o", str(folder / "genai"), "-c", str(folder / "cache")]
    offline = {"HF_HUB_OFFLINE": "1"}
    command = [*builder, *where, "-p", "int4", "-e", "cpu"]
    subprocess.run(command, check=True, stdout=sys.stderr, env={**os.environ, **offline})


def export(folder: Path) -> None:
    """The graph in fp32, and that in int8 blocks."""
    from lmspec.formats import decoder, writer
    from lmspec.specs.quantized import WeightOnly
    from lmspec.writing import blockwise, exporting

    model = writer.read(folder / "model")
    graph = exporting.export(model.model, 256, 20)
    about = json.loads((folder / "model/lmspec.json").read_text()) | {"max_past": 256}
    about.pop("kind")
    for name in ("fp32", "int8"):
        (folder / name).mkdir()
    decoder.write(graph, model.tokenizer, about, folder / "fp32")
    scheme = WeightOnly.model_validate(INT8 | WHOLE)
    rewritten = blockwise.rewritten(decoder.load(folder / "fp32"), scheme)
    decoder.write(rewritten, model.tokenizer, about, folder / "int8")


class Worker:
    """A process that answers lines with JSON."""

    def __init__(self, script: str, *given: object, **variables: str) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "bench")])
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "bench" / script), *map(str, given)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        )

    def ask(self, line: object) -> Any:
        """Its answer."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"a contestant ended: {self.process.args}")
        return json.loads(answer)

    def end(self) -> None:
        """No more lines."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def in_turn(workers: Mapping[Any, Worker], lines: Sequence[object]) -> dict[Any, list[Any]]:
    """Contestant -> its answer to each line; every second round is in reverse order."""
    answers: dict[Any, list[Any]] = {name: [] for name in workers}
    try:
        for number, line in enumerate(lines):
            for name in [*workers][:: -1 if number % 2 else 1]:
                answers[name].append(workers[name].ask(line))
                print(line, name, answers[name][-1], file=sys.stderr, flush=True)
    finally:
        for worker in workers.values():
            worker.end()
    return answers


def head() -> Iterator[str]:
    """What was measured, and with what."""
    packages = ("torch", "transformers", "onnxruntime", "trl", "xllamacpp", "onnxruntime-genai")
    shown = ", ".join(f"{name} {version(name)}" for name in packages)
    yield "# Models that write, beside what people use for it"
    yield ""
    yield (
        f"`python bench/generate.py`, on {interpreter.machine()}: {shown}. SmolLM2-135M-Instruct"
        " and pairs of tldr-pages (CC BY 4.0); every contestant in a process of its own, in turn."
        " Ratios are medians of those of the rounds, with the lowest and the highest."
    )


def trained(folder: Path, given: argparse.Namespace) -> Iterator[str]:
    """Tokens per second of trainings."""
    width, threads = instructions(), os.cpu_count() or 1
    if not computes_bf16(width):
        yield "\nThis processor multiplies no bf16 in hardware; all train in it all the same."
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in TRAINERS}
    for seed in range(1, given.seeds + 1):
        for name in TRAINERS[:: -1 if seed % 2 else 1]:  # one at a time: each takes gigabytes
            huge = environment.HUGE_PAGES if name == OURS else {}  # as dvc.yaml starts a stage
            script = "generate_training.py"
            worker = Worker(script, name, folder, width, threads, **huge)
            rounds[name].append(worker.ask(seed))
            worker.end()
            print(seed, name, rounds[name][-1], file=sys.stderr, flush=True)
    yield from compared(folder, rounds)


def compared(folder: Path, rounds: Mapping[str, Sequence[Mapping[str, float]]]) -> Iterator[str]:
    """The table of trainings. rounds: trainer -> what each seed gave."""
    width, threads = instructions(), os.cpu_count() or 1
    seeds = len(rounds[OURS])
    train, dev = Rows.read(folder / "train.npz"), Rows.read(folder / "dev.npz")
    lines, line = packed(train)
    yield "\n## Training\n"
    yield (
        f"{len(train.ids)} pairs of {train.tokens / len(train.ids):.0f} tokens in the mean, once,"
        f" in batches of {BATCH}, on {threads} threads; {seeds} seeds. The same weights,"
        " rows, tokens, learned tokens, learning rate, schedule and decay, in bf16 (autocast):"
        f" `lmspec` with `instructions: {width}`, several pairs in a line of {LONGEST} tokens, TRL"
        f" with whatever torch takes, which is the widest there is. `{DEFAULTS}`: of `SFTConfig`,"
        " so with checkpointing of gradients."
        f" `{BEST}`: without it, and packed: {lines} lines of {line} tokens a step. Tokens without"
        " padding, from the third step on; loss in nats for each learned token of"
        f" {len(dev.ids)} pairs of other pages.\n"
    )
    yield "| | tokens/s | times TRL's defaults | times TRL's best | dev loss |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    speeds = {name: [found["tokens_per_second"] for found in rounds[name]] for name in TRAINERS}
    for name in TRAINERS:
        against = " | ".join(ratio(speeds[name], speeds[other]) for other in TRAINING_BARS)
        losses = [found["loss"] for found in rounds[name]]
        yield (
            f"| {name} | {median(speeds[name]):.0f} | {against} | {np.mean(losses):.3f}"
            f" ({min(losses):.3f} to {max(losses):.3f}) |"
        )
    yield ""
    for other, (bar, goal) in TRAINING_BARS.items():
        yield verdict(f"{OURS} / {other}", speeds[OURS], speeds[other], bar, goal)
    for other in TRAINING_BARS:
        more = [a["loss"] - b["loss"] for a, b in zip(rounds[OURS], rounds[other], strict=True)]
        yield (
            f"- dev loss, {OURS} - {other}: {np.mean(more):+.3f}"
            f" ({min(more):+.3f} to {max(more):+.3f}, each seed)"
        )


def decoded(folder: Path, given: argparse.Namespace) -> Iterator[str]:
    """Tokens per second of prompts and of what follows."""
    losers = {name: Worker("generate_engines.py", name, 1, folder) for name in ENGINES}
    losses = {name: found[0] for name, found in in_turn(losers, ["loss"]).items()}
    yield "\n## Generating\n"
    yield (
        f"One prompt of {PROMPT} tokens, then {NEW} tokens after the first new one, greedy;"
        f" {given.rounds} rounds. `lmspec`: `generate`, as scores and bundles call it, with the"
        " probability and the text of each token. torch: a loop over the model of transformers with"
        f" its cache. llama.cpp: its own timings; its build is {llama_build()}. All have memory"
        " in pages of 2 MB (`GLIBC_TUNABLES`), as `dvc.yaml` starts a stage. Loss in nats for"
        f" each learned token of {LOSSES} pairs, of the untuned weights.\n"
    )
    heads = ("", "threads", "prompt, tokens/s", "decode, tokens/s", "times torch")
    yield f"| {' | '.join((*heads, 'first token, ms', 'loss'))} |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    verdicts = []
    for threads in THREADS:
        workers = {
            name: Worker("generate_engines.py", name, threads, folder, **environment.HUGE_PAGES)
            for name in ENGINES
        }
        found = in_turn(workers, ["speed"] * (given.rounds + 1))
        times = {name: np.array(rounds[1:]).T for name, rounds in found.items()}  # one to warm up
        speed: dict[str, dict[str, list[float]]] = {"prefill": {}, "decode": {}}
        for name, (first, rest) in times.items():
            speed["prefill"][name] = (PROMPT / first).tolist()
            speed["decode"][name] = (NEW / rest).tolist()
        for name in ENGINES:
            decode = speed["decode"]
            yield (
                f"| {NAMES[name]} | {threads} | {median(speed['prefill'][name]):.0f} |"
                f" {median(decode[name]):.1f} | {ratio(decode[name], decode['torch'])} |"
                f" {np.median(times[name][0]) * 1e3:.0f} | {losses[name]:.3f} |"
            )
        for (what, other, count), bars in DECODING_BARS.items():
            if count == threads:
                title = f"{what}, int8 graph / {other}, {threads} threads"[
                    : None if threads > 1 else -1
                ]
                verdicts.append(verdict(title, speed[what]["int8"], speed[what][other], *bars))
    yield ""
    yield from verdicts


def quantized(folder: Path) -> Iterator[str]:
    """What each way to quantize costs."""
    from lmspec.formats import decoder
    from lmspec.specs.quantized import WeightOnly
    from lmspec.writing import blockwise, fidelity

    source = decoder.read(folder / "fp32", os.cpu_count() or 1)
    dev = Rows.read(folder / "dev.npz")
    ids, learned = dev.ids[:COMPARED], dev.learned[:COMPARED]
    yield "\n## Weights in whole numbers\n"
    yield (
        f"The untuned weights, {len(ids)} pairs: the loss beyond that in fp32 (95 % interval), how"
        " often the most probable token is the same, and by how much a logit of a step changes with"
        " seven others beside it.\n"
    )
    yield "| weights | MB | more loss | same top token | batch difference |"
    yield "| --- | ---: | --- | ---: | ---: |"
    alone = fidelity.batch_difference(source.decoder, ids)
    loss = fidelity.lost(source.decoder, source.decoder, ids, learned).metrics([None] * len(ids))
    yield f"| fp32 (loss {loss['loss']:.3f}) | {source.bytes / 1e6:.1f} | | | {alone:g} |"
    for name, rule in {**SCHEMES, DYNAMIC: None}.items():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            out = Path(scratch)
            if rule is None:
                dynamic(folder / "fp32", out)
            else:
                graph = decoder.load(folder / "fp32")
                rewritten = blockwise.rewritten(graph, WeightOnly.model_validate(rule))
                decoder.write(rewritten, source.tokenizer, source.about, out)
            made = decoder.read(out, os.cpu_count() or 1)
            lost = fidelity.lost(source.decoder, made.decoder, ids, learned)
            found = lost.metrics([None] * len(ids))
            low, high = found["loss_increase_low"], found["loss_increase_high"]
            yield (
                f"| {name} | {made.bytes / 1e6:.1f} | {found['loss_increase']:+.3f} ({low:.3f} to"
                f" {high:.3f}) | {1 - found['disagreement_rate']:.1%} |"
                f" {fidelity.batch_difference(made.decoder, ids):.3g} |"
            )


def dynamic(source: Path, out: Path) -> None:
    """By onnxruntime's quantize_dynamic, which `lmspec validate` refuses for such a model."""
    for name in ("tokenizer.json", "lmspec.json"):
        shutil.copy(source / name, out / name)
    quantize_dynamic(
        str(source / "model.onnx"),
        str(out / "model.onnx"),
        op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        use_external_data_format=True,
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": TensorProto.FLOAT},
    )


def ratio(ones: Sequence[float], others: Sequence[float]) -> str:
    """Median of the rounds, lowest and highest."""
    each = [one / other for one, other in zip(ones, others, strict=True)]
    return f"{median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def verdict(
    title: str, ones: Sequence[float], others: Sequence[float], bar: float, goal: float
) -> str:
    """A line: is the bar met?"""
    value = median(one / other for one, other in zip(ones, others, strict=True))
    met = "goal met" if value >= goal else "bar met" if value >= bar else "**missed**"
    return f"- {title}: {value:.2f}; bar {bar:g}, goal {goal:g}: {met}"


def llama_build() -> str:
    """What its wheel was built with, and for which processors."""
    import xllamacpp

    info = xllamacpp.BUILD_INFO
    has = " ".join(
        part.split("=")[0].strip()
        for part in xllamacpp.get_system_info().split("|")
        if "= 1" in part
    )
    return f"`{info['compiler']}, {info['build_target']}; {has}`"


def alone(before: timing.Work, after: timing.Work) -> str:
    """Whether others used the processors meanwhile: contestants are children that have ended."""
    share = after.others_share(before)
    found = company(share)
    return (
        f"**{found}.**" if found else f"Others used {share:.1%} of the processors' time meanwhile."
    )


if __name__ == "__main__":
    main()
