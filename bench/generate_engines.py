"""bench/generate_engines: one engine in a process of its own, which generates when it is asked to.

    python bench/generate_engines.py ENGINE THREADS FOLDER

Each line of standard input is answered in JSON: `speed` by the seconds in which one prompt of
PROMPT tokens was read, and NEW further tokens were written after the first one; `loss` by the mean
nats of the learned tokens of the dev rows. The time is that of what a user calls: `generate` of
ours, a loop over a model of transformers with its cache, the timings that llama.cpp reports (so
without its JSON), a loop over the generator of onnxruntime-genai.
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from generate_data import GGUF, Ids, Rows

PROMPT, NEW = 64, 32
LOSSES = 64  # dev rows whose loss is computed
ENGINES = ("torch", "int8", "fp32", "llama.cpp", "genai")


def nats(logits: Any, ids: Ids, learned: Ids) -> tuple[float, int]:
    """(minus the log probability of learned tokens, how many), by the logits (t, v) of a row."""
    places = np.flatnonzero(learned[1:])
    wide = np.asarray(logits)[places].astype(np.float64)
    wide -= wide.max(-1, keepdims=True)
    own = wide[np.arange(len(places)), ids[places + 1]] - np.log(np.exp(wide).sum(-1))
    return -float(own.sum()), len(places)


class Torch:
    """transformers in fp32, token by token with a cache."""

    def __init__(self, folder: Path, threads: int) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(threads)
        self.torch = torch
        self.model = AutoModelForCausalLM.from_pretrained(folder / "model").eval()

    def speed(self, prompt: Ids) -> tuple[float, float]:
        """(seconds of the prompt, of the tokens after the first one)."""
        torch = self.torch
        with torch.inference_mode():
            start = time.perf_counter()
            ids = torch.from_numpy(prompt[None])
            out = self.model(input_ids=ids, use_cache=True, logits_to_keep=1)
            token = out.logits[:, -1:].argmax(-1)
            int(token)
            between = time.perf_counter()
            for _ in range(NEW):
                out = self.model(
                    input_ids=token, past_key_values=out.past_key_values, use_cache=True
                )
                token = out.logits[:, -1:].argmax(-1)
                int(token)
        return between - start, time.perf_counter() - between

    def logits(self, ids: Ids) -> Any:
        """(t, v) after each token of a row."""
        with self.torch.inference_mode():
            return self.model(input_ids=self.torch.from_numpy(ids[None])).logits[0].numpy()


class Ours:
    """A graph, as scores, bundles and servers run it."""

    def __init__(self, folder: Path, threads: int) -> None:
        from lmspec.formats import decoder
        from lmspec.writing import timing

        self.graph = decoder.read(folder, threads)
        self.timing = timing

    def speed(self, prompt: Ids) -> tuple[float, float]:
        """(seconds of the prompt, of the tokens after the first one)."""
        decoder, words = self.graph.decoder, self.graph.tokenizer
        return self.timing.Contestant(decoder, words, [prompt], NEW + 1, 1).seconds([prompt])

    def logits(self, ids: Ids) -> Any:
        """(t, v) after each token of a row."""
        return next(self.graph.decoder.logits([ids]))


class LlamaCpp:
    """The wheel of xllamacpp, with the GGUF file as it was published."""

    def __init__(self, folder: Path, threads: int) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(folder / "gguf" / GGUF)
        params.n_ctx, params.n_parallel, params.verbosity = 512, 1, -1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self.server = xllamacpp.Server(params)

    def _complete(self, ids: Ids, **fields: Any) -> dict[str, Any]:
        asked = {"prompt": ids.tolist(), "temperature": 0.0, "n_predict": 1, **fields}
        answer = self.server.handle_completions(asked)
        found: dict[str, Any] = json.loads(answer) if isinstance(answer, str | bytes) else answer
        return found

    def speed(self, prompt: Ids) -> tuple[float, float]:
        """(seconds of the prompt, of the tokens after the first one)."""
        given = {"cache_prompt": False, "ignore_eos": True, "n_predict": NEW + 1}
        times = self._complete(prompt, **given)["timings"]
        assert times["prompt_n"] >= len(prompt) - 1, times
        assert times["predicted_n"] == NEW + 1, times  # the first one is the prompt's
        return times["prompt_ms"] / 1e3, times["predicted_ms"] / 1e3

    def loss(self, ids: Ids, learned: Ids) -> tuple[float, int]:
        """Of each learned token: it is made to be chosen, and its own log probability reported."""
        total, count = 0.0, 0
        for place in np.flatnonzero(learned).tolist():
            bias = {"logit_bias": [[int(ids[place]), 1000.0]], "n_probs": 1}
            (choice,) = self._complete(ids[:place], cache_prompt=True, **bias)["choices"]
            (found,) = choice["logprobs"]["content"]
            assert found["id"] == ids[place], (found, ids[place])
            total, count = total - found["logprob"], count + 1
        return total, count


class Genai:
    """onnxruntime-genai with the int4 graph that its builder makes by default."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime_genai as og

        own = folder / f"genai-{threads}-{os.getpid()}"
        shutil.copytree(folder / "genai", own, copy_function=os.link)
        path = own / "genai_config.json"
        config = json.loads(path.read_text())
        config["model"]["decoder"]["session_options"]["intra_op_num_threads"] = threads
        path.unlink()
        path.write_text(json.dumps(config))
        decoder = config["model"]["decoder"]
        self.cache = decoder["num_key_value_heads"], 0, decoder["head_size"]
        self.og, self.folder, self.threads = og, own, threads
        self.model = og.Model(str(own))

    def speed(self, prompt: Ids) -> tuple[float, float]:
        """(seconds of the prompt, of the tokens after the first one)."""
        start = time.perf_counter()
        params = self.og.GeneratorParams(self.model)
        length = len(prompt) + NEW + 1
        params.set_search_options(max_length=length, min_length=length, do_sample=False)
        generator = self.og.Generator(self.model, params)
        generator.append_tokens(prompt.astype(np.int32))
        generator.generate_next_token()
        between = time.perf_counter()
        for _ in range(NEW):
            generator.generate_next_token()
        return between - start, time.perf_counter() - between

    def logits(self, ids: Ids) -> Any:
        """(t, v) after each token of a row, by the same graph in plain onnxruntime."""
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = 3
        if not hasattr(self, "session"):
            file = str(self.folder / "model.onnx")
            self.session = ort.InferenceSession(file, options, ["CPUExecutionProvider"])
        feeds: dict[str, Any] = {"input_ids": ids[None], "attention_mask": np.ones_like(ids[None])}
        for value in self.session.get_inputs():
            if value.name.startswith("past_key_values"):
                feeds[value.name] = np.zeros((1, *self.cache), np.float32)
            elif value.name == "position_ids":
                feeds[value.name] = np.arange(len(ids))[None]
        return self.session.run(["logits"], feeds)[0][0]


def opened(name: str, folder: Path, threads: int) -> Any:
    """The engine of that name."""
    if name in ("int8", "fp32"):
        return Ours(folder / name, threads)
    return {"torch": Torch, "llama.cpp": LlamaCpp, "genai": Genai}[name](folder, threads)


def loss(engine: Any, rows: Rows) -> float:
    """Mean nats of the learned tokens."""
    both: Sequence[tuple[float, int]] = [
        engine.loss(ids, learned)
        if isinstance(engine, LlamaCpp)
        else nats(engine.logits(ids), ids, learned)
        for ids, learned in zip(rows.ids[:LOSSES], rows.learned, strict=False)
    ]
    return sum(total for total, _ in both) / sum(count for _, count in both)


def main() -> None:
    """Answer each line of standard input."""
    name, threads, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp prints, too
    rows = Rows.read(folder / "dev.npz")
    engine = opened(name, folder, threads)
    prompt = np.resize(np.concatenate(rows.ids), PROMPT)
    for line in sys.stdin:
        found = loss(engine, rows) if line.strip() == "loss" else engine.speed(prompt)
        print(json.dumps(found), file=out, flush=True)


if __name__ == "__main__":
    main()
