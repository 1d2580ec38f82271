"""bodies: the bodies of requests, read within bounds: of each, and of all together."""

import zlib
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope

from lmspec.serving import compact
from lmspec.serving.asking import Refused
from lmspec.serving.limits import Limits
from lmspec.serving.releases import AnyService

MOST_HELD_BYTES = 64 * 2**20  # of bodies that are read, of all requests together
WINDOWS = {"gzip": 31, "deflate": 15}  # of zlib, by Content-Encoding


class Bodies:
    """Knows how many bytes are read now."""

    def __init__(self, service: AnyService[Any]) -> None:
        self._service, self._held_bytes = service, 0

    def of(self, request: Request, inflate: bool = False) -> "Held":
        """The body of a request, which counts until it is left.

        inflate  take a compressed one, too
        """
        return Held(self, request, inflate)

    def hold(self, size: int, most: int) -> None:
        """So many bytes more. Raises Refused if all together are too many."""
        if self._held_bytes + size > max(MOST_HELD_BYTES, most):
            self._service.measures.shed.add("memory")
            message = "the bodies that are read now fill the memory for them"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message, close=True)
        self._held_bytes += size

    def release(self, size: int) -> None:
        """So many bytes less."""
        self._held_bytes -= size

    @property
    def most(self) -> int:
        """Bytes of one body."""
        limits: Limits = self._service.current.limits
        return limits.max_body_bytes


class Held:
    """`async with` gives the body. Raises Refused if it is too large, or all together are."""

    def __init__(self, bodies: Bodies, request: Request, inflate: bool) -> None:
        self._bodies, self._request, self._inflate = bodies, request, inflate
        self._size = 0

    async def __aenter__(self) -> bytes:
        scope, most = self._request.scope, self._bodies.most
        encoding = header(scope, b"content-encoding").lower() or "identity"
        if encoding != "identity" and not (self._inflate and encoding in WINDOWS):
            message = f"send the body without Content-Encoding {encoding[:20]}"
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoded", message, close=True)
        size = length(scope, most) if encoding == "identity" else most
        self._bodies.hold(size, most)
        self._size = size
        try:
            body = await whole(self._request.receive, most)
            return body if encoding == "identity" else inflated(body, encoding, most)
        except BaseException:
            self._bodies.release(size)
            raise

    async def __aexit__(self, *error: object) -> None:
        self._bodies.release(self._size)


def header(scope: Scope, name: bytes) -> str:
    """Of a request, the first of that name; empty without one."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


def length(scope: Scope, most: int) -> int:
    """Bytes of the body, at most. Raises Refused if they are too many."""
    given = header(scope, b"content-length")
    if not given.isdecimal():
        return most
    if len(given) > 18 or int(given) > most:
        raise too_large(most)
    return int(given)


async def whole(receive: Receive, most: int) -> bytes:
    """The body. Raises Refused as soon as it has too many bytes, ClientDisconnect."""
    parts, total, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part, more = message.get("body", b""), message.get("more_body", False)
        total += len(part)
        if total > most:
            raise too_large(most)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def inflated(body: bytes, encoding: str, most: int) -> bytes:
    """A compressed body, of which no more than that is written to memory. Raises Refused."""
    stream = zlib.decompressobj(WINDOWS[encoding])
    try:
        content = stream.decompress(body, most + 1)
    except zlib.error:
        content = b""
    if len(content) > most:
        raise too_large(most)
    if not stream.eof or stream.unused_data:
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", f"the body is not {encoding}")
    return content


def too_large(most: int) -> Refused:
    """More bytes than a body may have."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Refused(status, "body_too_large", f"a body may have {most} bytes", close=True)


class Json(Response):
    """Values."""

    def __init__(self, values: Any, status: int = HTTPStatus.OK) -> None:
        self.body = compact.content(values)
        self.status_code, self.background = status, None
        size = b"%d" % len(self.body)
        self.raw_headers = [(b"content-length", size), (b"content-type", b"application/json")]
