"""bench/serve_peers: one way to answer over HTTP, on 127.0.0.1, until it is stopped.

    python bench/serve_peers.py fastapi|direct FOLDER PORT
    python bench/serve_peers.py raw FOLDER THREADS

raw      onnxruntime in a loop, without a server: the first line of standard input has the texts,
         and each further one is answered by the seconds of processors and of the clock for all of
         them, shared by so many threads
fastapi  what one writes first: transformers.pipeline (torch) behind FastAPI. FOLDER: a model
direct   Starlette, one onnxruntime session of one thread each, as many threads as processors

bench/serve_litserve.py is another. All but fastapi have the graph of the bundle in FOLDER. None of
them cleans texts, bounds anything, or says how it is.
"""

import asyncio
import concurrent.futures
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

CORES = os.cpu_count() or 1


class Graph:
    """Tokenizer and session of a bundle."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        about = json.loads((folder / "lmspec.json").read_text(encoding="utf-8"))
        self.labels = about["labels"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def logits(self, text: str) -> Any:
        """(k,) of one text."""
        read = self.tokenizer.encode(text)
        inputs = {"input_ids": [read.ids], "attention_mask": [read.attention_mask]}
        return self.session.run(None, {k: np.array(v, np.int64) for k, v in inputs.items()})[0][0]

    def answer(self, text: str) -> dict[str, Any]:
        """Label and probability."""
        powers = np.exp((logits := self.logits(text)) - logits.max())
        best = int(powers.argmax())
        return {"label": self.labels[best], "score": float(powers[best] / powers.sum())}


def raw(folder: Path, threads: int) -> None:
    """Until standard input ends."""
    graph, texts = Graph(folder), json.loads(sys.stdin.readline())

    def work(part: list[str]) -> None:
        for text in part:
            graph.logits(text)

    work(texts[:50])
    print("ready", flush=True)
    for _ in sys.stdin:
        parts = [texts[i::threads] for i in range(threads)]
        workers = [threading.Thread(target=work, args=(part,)) for part in parts]
        used, start = time.process_time(), time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(json.dumps([time.process_time() - used, time.perf_counter() - start]), flush=True)


def fastapi(folder: Path, port: int) -> None:
    """`def`, so that FastAPI calls it in a thread of its pool, as its documentation has it."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from transformers import pipeline

    app = FastAPI()
    classify = pipeline("text-classification", model=str(folder), tokenizer=str(folder))

    class Asked(BaseModel):
        text: str

    @app.post("/v1/classify")
    def answer(asked: Asked) -> dict[str, Any]:
        found: dict[str, Any] = classify(asked.text, truncation=True)[0]
        return found

    uvicorn.run(app, port=port, log_level="warning", access_log=False)


def direct(folder: Path, port: int) -> None:
    """Few layers: a router, a pool, a graph."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    graph, pool = Graph(folder), concurrent.futures.ThreadPoolExecutor(CORES)

    async def answer(request: Request) -> JSONResponse:
        text = json.loads(await request.body())["text"]
        loop = asyncio.get_running_loop()
        return JSONResponse(await loop.run_in_executor(pool, graph.answer, text))

    app = Starlette(routes=[Route("/v1/classify", answer, methods=["POST"])])
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["raw", folder, threads]:
            raw(Path(folder), int(threads))
        case [("fastapi" | "direct") as kind, folder, port]:
            {"fastapi": fastapi, "direct": direct}[kind](Path(folder), int(port))
        case _:
            sys.exit(__doc__)
