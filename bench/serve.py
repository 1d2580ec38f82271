"""bench/serve: `lmspec serve` beside other ways to answer over HTTP, interleaved, in one run.

    python bench/serve.py > bench/serve.md             (the release of this repository: `dvc repro`)
    python bench/serve.py FOLDER > bench/serve.md      (of another copy of it, with its data/)

Needs the extra `peers`, about 5 minutes, and a machine without other work: it says how much others
used. All servers run at the same time, and one is asked at a time, in every round in another order;
the floor is onnxruntime in a loop, without a server. The clients are one process beside them.
"""

import contextlib
import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import psutil
from serve_peers import CORES
from validate import processor

from lmspec.methods import clients
from lmspec.serving import measured
from lmspec.specs.load import CLIENTS
from lmspec.writing import timing

ROOT = Path(__file__).parent.parent
PEERS = str(ROOT / "bench/serve_peers.py")
LITSERVE_PEER = str(ROOT / "bench/serve_litserve.py")
ROUNDS = 5
START_SECONDS = 120
OURS, RAW, SAME, TEACHER = "lmspec serve", "onnxruntime in a loop", "same weights", "teacher"
LITSERVE, DIRECT = "LitServe", "Starlette on the graph"
NAIVE = "transformers.pipeline behind FastAPI, {}"
CPU_BAR, SAME_BAR, TEACHER_BAR, TAIL_BAR, MEMORY_BAR = 1.2, 6.0, 8.0, 4.0, 150.0


@dataclass
class Contestant:
    """A server, or the floor.

    requests  of each measurement
    figures   number of clients -> figure -> of each round
    seconds   number of clients -> of each request
    memory    resident bytes at the end
    """

    name: str
    command: Sequence[str]
    requests: int
    process: Any = None
    port: int = 0
    figures: dict[int, dict[str, list[float]]] = field(default_factory=dict)
    seconds: dict[int, list[float]] = field(default_factory=dict)
    memory: int = 0

    def note(self, number: int, wall: float, cpu: float, seconds: Sequence[float]) -> None:
        """One measurement."""
        found = self.figures.setdefault(number, {"rate": [], "cpu": []})
        found["rate"].append(self.requests / wall)
        found["cpu"].append(1000 * cpu / self.requests)
        self.seconds.setdefault(number, []).extend(seconds)

    def milliseconds(self, number: int, quantile: float) -> float:
        """Of all requests of so many clients."""
        return float(np.quantile(self.seconds[number], quantile)) * 1000


def main() -> None:
    """Print the table and the bars."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    texts = pl.read_parquet(folder / "data/splits/reviews/test.parquet")["text"].to_list()
    random.Random(1).shuffle(texts)
    before = timing.Work.until_now()
    everyone = contestants(folder)
    with contextlib.ExitStack() as stack:
        for one in everyone:
            stack.enter_context(started(one, texts))
        for number in range(-1, ROUNDS):  # the first is not counted
            shifted = [everyone[(i + number) % len(everyone)] for i in range(len(everyone))]
            for one in shifted:
                for count in CLIENTS:
                    measure(one, texts, count, counted=number >= 0)
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
        for one in everyone:
            one.memory = sum(each.memory_info().rss for each in tree(one))
    after = timing.Work.until_now()
    print(table(everyone))
    print("\n".join(bars({one.name: one for one in everyone})))
    if before and after:
        print(f"\nOthers used {after.others_share(before):.0%} of the processors' time.")


def contestants(folder: Path) -> list[Contestant]:
    """As they are started; `PORT` is filled in."""
    bundle = str(folder / "data/bundle/release")
    same, teacher = (str(folder / "data" / path) for path in ("updated/tweets", "model/minilm"))
    python = sys.executable
    ours = [python, "-m", "lmspec", "serve", bundle, "--port", "PORT", "--any-owner"]
    return [
        Contestant(RAW, [python, PEERS, "raw", bundle], 800),
        Contestant(OURS, ours, 800),
        Contestant(DIRECT, [python, PEERS, "direct", bundle, "PORT"], 800),
        Contestant(LITSERVE, [python, LITSERVE_PEER, bundle, "PORT"], 800),
        Contestant(NAIVE.format(SAME), [python, PEERS, "fastapi", same, "PORT"], 200),
        Contestant(NAIVE.format(TEACHER), [python, PEERS, "fastapi", teacher, "PORT"], 200),
    ]


@contextlib.contextmanager
def started(one: Contestant, texts: Sequence[str]) -> Iterator[None]:
    """Run it until the end."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false"}
    if one.name == RAW:
        processes = {}
        for threads in (1, CORES):
            process = subprocess.Popen(
                [*one.command, str(threads)], stdin=-1, stdout=-1, text=True, env=environment
            )
            assert process.stdin and process.stdout
            process.stdin.write(json.dumps(texts[: one.requests]) + "\n")
            process.stdin.flush()
            process.stdout.readline()
            processes[threads] = process
        one.process = processes
        yield
        for process in processes.values():
            process.communicate()
        return
    with socket.create_server(("127.0.0.1", 0)) as free:
        one.port = free.getsockname()[1]
    command = [str(one.port) if word == "PORT" else word for word in one.command]
    with subprocess.Popen(command, stdout=2, stderr=subprocess.DEVNULL, env=environment) as process:
        one.process = process
        try:
            wait(one)
            yield
        finally:
            children = tree(one)[1:]
            process.terminate()
            process.wait(60)
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


def wait(one: Contestant) -> None:
    """Until it answers."""
    end = time.monotonic() + START_SECONDS
    while one.process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError):
            if clients.ask(connect(one.port), [request("a text")], 1).statuses[0] == 200:
                return
        time.sleep(0.2)
    sys.exit(f"{one.name} does not start: {' '.join(one.command)}")


def connect(port: int) -> Callable[[], socket.socket]:
    """Makes connections."""

    def make() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    return make


def request(text: str) -> bytes:
    """The same for all."""
    return clients.request(measured.PATH, {"text": text})


def measure(one: Contestant, texts: Sequence[str], count: int, counted: bool) -> None:
    """So many clients; for the floor one thread, or as many as processors."""
    if one.name == RAW:
        process = one.process[1 if count == 1 else CORES]
        process.stdin.write("go\n")
        process.stdin.flush()
        cpu, wall = json.loads(process.stdout.readline())
        seconds: Sequence[float] = ()
    else:
        requests = [request(texts[i % len(texts)]) for i in range(one.requests)]
        used = processors(one)
        asked = clients.ask(connect(one.port), requests, count)
        if set(asked.statuses.tolist()) != {clients.OK}:
            sys.exit(f"{one.name} refused some")
        cpu, wall, seconds = processors(one) - used, asked.wall, asked.seconds.tolist()
    if counted:
        one.note(count, wall, cpu, seconds)


def tree(one: Contestant) -> list[psutil.Process]:
    """Its processes."""
    if one.name == RAW:
        return [psutil.Process(one.process[1].pid)]
    process = psutil.Process(one.process.pid)
    return [process, *process.children(recursive=True)]


def processors(one: Contestant) -> float:
    """Seconds of processors that its processes have used."""
    return sum(sum(each.cpu_times()[:2]) for each in tree(one))


def table(everyone: Sequence[Contestant]) -> str:
    """Medians over the rounds; quantiles over all requests."""
    lines = [
        "# `lmspec serve` beside other ways to answer over HTTP\n",
        f"{CORES} processors, {processor()}, Python {platform.python_version()}, {ROUNDS} rounds. "
        "The release of this repository (int8), one review a request, of 1, 8 and 64 clients, "
        "which use the same processors. Median over rounds; p50 and p99 over all requests. The "
        "floor has one thread in the place of 1 client, and one a processor for more.\n",
        "| | CPU-ms a request, 1 / 8 / 64 | requests/s, 1 / 8 / 64 | p50, ms | p99, ms | MB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in everyone:
        cpu = " / ".join(f"{median(one.figures[n]['cpu']):.2f}" for n in CLIENTS)
        rate = " / ".join(f"{median(one.figures[n]['rate']):.0f}" for n in CLIENTS)
        low, high = (
            " / ".join(f"{one.milliseconds(n, q):.1f}" for n in CLIENTS if one.seconds[n]) or "–"
            for q in (0.5, 0.99)
        )
        lines.append(f"| {one.name} | {cpu} | {rate} | {low} | {high} | {one.memory / 1e6:.0f} |")
    return "\n".join([*lines, ""])


def bars(of: dict[str, Contestant]) -> Iterator[str]:
    """What was asked of it, and whether it is met: medians of ratios within rounds."""
    ours = of[OURS]

    def ratio(other: str, figure: str, count: int) -> float:
        own, theirs = (of[name].figures[count][figure] for name in (OURS, other))
        return median(a / b for a, b in zip(own, theirs, strict=True))

    for count in CLIENTS:
        yield verdict(f"CPU / {RAW}, {count}", ratio(RAW, "cpu", count), CPU_BAR, most=True)
    for name, bar in ((SAME, SAME_BAR), (TEACHER, TEACHER_BAR)):
        for count in CLIENTS:
            other = NAIVE.format(name)
            yield verdict(f"throughput / {other}, {count}", ratio(other, "rate", count), bar)
    for count in CLIENTS:
        tail = ours.milliseconds(count, 0.99) / ours.milliseconds(count, 0.5)
        yield verdict(f"p99 / p50, {count}", tail, TAIL_BAR, most=True)
    yield verdict("resident MB", ours.memory / 1e6, MEMORY_BAR, most=True)
    for name in (DIRECT, LITSERVE):
        found = ", ".join(f"{ratio(name, 'rate', count):.2f}" for count in CLIENTS)
        yield f"- throughput / {name}: {found}."


def verdict(title: str, value: float, bar: float, most: bool = False) -> str:
    """A line."""
    met = value <= bar if most else value >= bar
    return f"- {title}: {value:.2f}; bar: at {'most' if most else 'least'} {bar:g}: " + (
        "met." if met else "**missed.**"
    )


if __name__ == "__main__":
    main()
