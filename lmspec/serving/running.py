"""running: a service behind a socket, from its first request to a clean end."""

import asyncio
import contextlib
import ctypes
import gc
import itertools
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from lmspec.errors import LmspecError
from lmspec.serving.connections import BoundedProtocol
from lmspec.serving.direct import Direct
from lmspec.serving.hosts import Hosts
from lmspec.serving.releases import AnyService
from lmspec.serving.reloading import Reloading, Reopen
from lmspec.serving.service import Service
from lmspec.serving.starting import application
from lmspec.serving.tls import Tls

KEEP_ALIVE_SECONDS = 75  # longer than proxies keep an idle connection, so that they close it first
FAREWELL_SECONDS = 1.0  # `/readyz` says `draining`, and requests are still taken
BACKLOG = 1024
HANDSHAKING_SECONDS = 0.1  # for connections that are being made when no more are admitted
# Of Linux: a program for its socket filter (BPF), and the option that sets it.
SO_ATTACH_FILTER = 26
ONLY_ACKNOWLEDGED = (
    (0x30, 0, 0, 13),  # load the flags of the TCP header
    (0x45, 0, 1, 0x10),  # is ACK among them?
    (0x06, 0, 0, 0xFFFFFFFF),  # then take it
    (0x06, 0, 0, 0),  # else drop it: it is the first of a connection
)
HANDSHAKE_SECONDS = 10.0  # of TLS
GOODBYE_SECONDS = 1.0  # of TLS: a client that does not answer it keeps no service from its end


class Server(uvicorn.Server):
    """uvicorn, which neither takes signals nor ends by one, and says when it is ready."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], direct: Direct | None = None
    ) -> None:
        super().__init__(config)
        self._ready, self._direct = ready, direct
        self._queues: list[socket.socket] = []

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """`run` has the signals: uvicorn would raise them again, and end with a failure."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so: as uvicorn does, and with bounds on TLS."""
        # a second handle, so that the queue of the socket outlives the listening of the loop
        self._queues = [listener.dup() for listener in sockets or ()]
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._protocol, sock=listener, backlog=BACKLOG, **self._encryption()
            )
            for listener in sockets or ()
        ]
        self.started = True
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, but for connections that a client has made and no one has taken: closing a
        listening socket resets them."""
        for queue in self._queues:
            if admit_no_more(queue):
                await asyncio.sleep(HANDSHAKING_SECONDS)
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for queue in self._queues:
            await self._take(queue)
            queue.close()
        await super().shutdown()

    async def _take(self, listener: socket.socket) -> None:
        """Accept all that wait; nothing may come between the last and closing the socket."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        with contextlib.suppress(OSError):  # in the end BlockingIOError: no more wait
            while True:
                connection, _ = listener.accept()
                connection.setblocking(False)
                await loop.connect_accepted_socket(self._protocol, connection, **self._encryption())

    def _encryption(self) -> dict[str, Any]:
        if self.config.ssl is None:
            return {}
        return {
            "ssl": self.config.ssl,
            "ssl_handshake_timeout": HANDSHAKE_SECONDS,
            "ssl_shutdown_timeout": GOODBYE_SECONDS,
        }

    def _protocol(self) -> asyncio.Protocol:
        return BoundedProtocol(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
            _loop=asyncio.get_running_loop(),
            direct=self._direct,
        )


def admit_no_more(listener: socket.socket) -> bool:
    """Let the kernel drop what asks for a new connection, as far as it can: Linux. Is it so?

    Else a connection that is made between the last look at the queue and its end is reset. Its
    client asks again after a second, and is refused then.
    """
    if sys.platform != "linux":
        return False
    code = b"".join(itertools.starmap(struct.Struct("HBBI").pack, ONLY_ACKNOWLEDGED))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HL", len(ONLY_ACKNOWLEDGED), ctypes.addressof(buffer))
    with contextlib.suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        return True
    return False


def bound(host: str, port: int) -> socket.socket:
    """A socket that is bound. Raises LmspecError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        found = f"the service cannot listen there: {error.strerror or error}"
        remedy = "give another --port or --host; with --port 0 the system chooses a port"
        raise LmspecError(f"{host}:{port}", found, remedy) from None
    return listener


def address(listener: socket.socket, tls: Tls | None = None) -> str:
    """Its URL."""
    host, port = listener.getsockname()[:2]
    scheme = "http" if tls is None else "https"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def server(
    service: AnyService[Any],
    ready: Callable[[], None],
    compared: AnyService[Any] | None = None,
    hosts: Hosts | None = None,
    tls: Tls | None = None,
    asked: ASGIApp | None = None,
) -> Server:
    """What answers requests once it is given a socket. ready: called when the first can come."""
    config = uvicorn.Config(
        asked or application(service, compared, hosts),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ssl_context_factory=(lambda config, usual: tls.context) if tls else None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=service.current.limits.drain_seconds,
    )
    direct = Direct(service, hosts) if isinstance(service, Service) else None
    return Server(config, ready, direct)


def run(
    service: AnyService[Any],
    listener: socket.socket,
    ready: Callable[[], None],
    reopen: Reopen,
    compared: tuple[AnyService[Any], Reopen] | None = None,
    hosts: Hosts | None = None,
    tls: Tls | None = None,
    asked: ASGIApp | None = None,
) -> int:
    """Answer requests until SIGTERM or SIGINT. Returns the exit status: 1 if one was lost.

    reopen    on SIGHUP: what to serve from now on. Raises LmspecError.
    compared  the same of a second bundle
    hosts     names by which the service may be asked; None: any
    asked     what answers requests, if it is less than all that such a service has
    """
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # threads are ours to count
    gc.collect()
    gc.freeze()  # what is loaded stays: searching it for garbage, again and again, finds none
    served = [(service, reopen), *([compared] if compared else [])]
    serving = server(service, ready, compared[0] if compared else None, hosts, tls, asked)

    def stop(loop: asyncio.AbstractEventLoop) -> None:
        if service.draining:  # the second signal
            serving.force_exit = serving.should_exit = True
            return
        for each, _ in served:
            each.draining = True
        service.log("draining", waiting=service.current.line.waiting)
        loop.call_later(FAREWELL_SECONDS, setattr, serving, "should_exit", True)

    async def until_stopped() -> None:
        loop = asyncio.get_running_loop()
        reloads = [Reloading(*each) for each in served]

        def reload() -> None:
            for each in reloads:
                each.ask()

        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, reload)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, loop)
        await serving.serve(sockets=[listener])

    with asyncio.Runner(loop_factory=serving.config.get_loop_factory()) as runner:
        runner.run(until_stopped())
    lost = len(serving.server_state.tasks)
    service.log("stopped", lost=lost)
    return 1 if lost else 0


def processors() -> int:
    """How many processors this process may use: of its affinity and of its control group."""
    if hasattr(os, "sched_getaffinity"):
        number = len(os.sched_getaffinity(0))
    else:
        number = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        number = min(number, max(1, round(int(quota) / int(period))))
    return number
