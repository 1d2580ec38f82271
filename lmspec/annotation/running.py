"""running: the page of `lmspec label` behind a socket of this machine alone, until Ctrl and C."""

import contextlib
import secrets
from collections.abc import Callable

import uvicorn

from lmspec.annotation import page
from lmspec.annotation.session import Session
from lmspec.serving import running

LOOPBACK = "127.0.0.1"
TOKEN_BYTES = 24


def run(session: Session, port: int, ready: Callable[[str], None]) -> None:
    """Answer the page until the process is interrupted.

    ready  called with its address, whose fragment has the token: it is in no request's path, so in
           no log
    Raises LmspecError if the port is taken.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    listener = running.bound(LOOPBACK, port)
    config = uvicorn.Config(
        page.app(session, token),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )
    ready(f"{running.address(listener)}/#{token}")
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn ends, then raises it again
        uvicorn.Server(config).run(sockets=[listener])
