"""measured: a server in a process of its own, and what it used: processor time and memory.

It listens at a Unix socket, since a stage has no network.
"""

import contextlib
import functools
import multiprocessing
import os
import socket
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from lmspec.methods import peakmemory

Serve = Callable[[socket.socket, Callable[[], None]], object]  # socket; called when it is ready
START_SECONDS = 120.0
STOP_SECONDS = 10.0
BACKLOG = 256
PATH = "/v1/classify"


class Used(NamedTuple):
    """Seconds of processors, and peak resident bytes, since it was started."""

    seconds: float
    peak: int


class Server:
    """Answers until it is left."""

    def __init__(self, path: Path, pipe: Connection) -> None:
        self._path, self._pipe = path, pipe

    def connect(self) -> socket.socket:
        """A connection of a client."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self._path))
        return connection

    def used(self) -> Used:
        """Until now. Raises EOFError if it has died."""
        self._pipe.send(None)
        return Used(*self._pipe.recv())


@contextlib.contextmanager
def server(serve: Serve) -> Iterator[Server]:
    """Start what serves (picklable). Raises RuntimeError if it does not start."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "server")
        process = context.Process(target=_run, args=(serve, str(path), theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            if not ours.poll(START_SECONDS):
                raise RuntimeError(f"the server did not start within {START_SECONDS:.0f} s")
            ours.recv()
            yield Server(path, ours)
        except EOFError:
            raise RuntimeError("the server died; what it printed is above") from None
        finally:
            process.terminate()
            process.join(STOP_SECONDS)
            process.kill()


def _run(serve: Serve, path: str, pipe: Connection) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(BACKLOG)
    threading.Thread(target=_answer, args=(pipe,), daemon=True).start()
    serve(listener, functools.partial(pipe.send, None))


def _answer(pipe: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.recv()
            # its public name would make every `speed` out of date
            pipe.send((time.process_time(), peakmemory._own_peak()))


def service(folder: Path, threads: int, listener: socket.socket, ready: Callable[[], None]) -> None:
    """What `lmspec serve` runs, but for its page, which is no input; its log goes nowhere."""
    import httptools  # noqa: F401  uvicorn looks for both: so they are in the cache key
    import uvloop  # noqa: F401

    from lmspec.serving import app, logs, opening, running
    from lmspec.serving.bodies import Bodies
    from lmspec.serving.releases import Given
    from lmspec.serving.service import Service

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        given = Given(opening.opened(folder, any_owner=True))
        made = Service(given, threads, logs.Log(nowhere.write))
        asked = app.observed(made, app.routes_of(app.Endpoints(made, Bodies(made))))
        running.run(made, listener, ready, lambda: given, asked=asked)


def plain(
    predict: Callable[[], Callable[[str], dict[str, float]]],
    listener: socket.socket,
    ready: Callable[[], None],
) -> None:
    """A model behind an application as one would write it first: a thread of a pool a request.

    predict  loads the model
    """
    import uvicorn
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    loaded = predict()

    async def classify(request: Request) -> JSONResponse:
        values = await request.json()
        answer = await run_in_threadpool(loaded, values["text"])
        label = max(answer, key=lambda name: answer[name])
        return JSONResponse({"label": label, "probabilities": answer})

    @contextlib.asynccontextmanager
    async def started(application: Starlette) -> AsyncIterator[None]:
        ready()
        yield

    routes = [Route(PATH, classify, methods=["POST"])]
    application = Starlette(routes=routes, lifespan=started)
    config = uvicorn.Config(application, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])
