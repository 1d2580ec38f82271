"""bodies: the bodies of requests, read within bounds: of each, and of all together."""

import contextlib
import json
import zlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from lmspec.serving.asking import Refused
from lmspec.serving.releases import AnyService

MOST_HELD_BYTES = 64 * 2**20  # of bodies that are read, of all requests together
JSON = json.JSONEncoder(separators=(",", ":"))  # made once: that takes as long as encoding
WINDOWS = {"gzip": 31, "deflate": 15}  # of zlib, by Content-Encoding


class Bodies:
    """Knows how many bytes are read now."""

    def __init__(self, service: AnyService[Any]) -> None:
        self._service, self._held_bytes = service, 0

    @contextlib.asynccontextmanager
    async def of(self, request: Request, inflate: bool = False) -> AsyncIterator[bytes]:
        """The body of a request. Raises Refused if it is too large, or all together are.

        inflate  take a compressed one, too
        """
        most = self._service.current.limits.max_body_bytes
        encoding = request.headers.get("content-encoding", "identity").lower()
        if encoding != "identity" and not (inflate and encoding in WINDOWS):
            message = f"send the body without Content-Encoding {encoding[:20]}"
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoded", message, close=True)
        held = length(request.headers, most) if encoding == "identity" else most
        if self._held_bytes + held > max(MOST_HELD_BYTES, most):
            self._service.measures.shed.labels("memory").inc()
            message = "the bodies that are read now fill the memory for them"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message, close=True)
        self._held_bytes += held
        try:
            body = await whole(request, most)
            yield body if encoding == "identity" else inflated(body, encoding, most)
        finally:
            self._held_bytes -= held


def length(headers: Headers, most: int) -> int:
    """Bytes of the body, at most. Raises Refused if they are too many."""
    given = headers.get("content-length", "")
    if not given.isdecimal():
        return most
    if len(given) > 18 or int(given) > most:
        raise too_large(most)
    return int(given)


async def whole(request: Request, most: int) -> bytes:
    """The body. Raises Refused as soon as it has too many bytes."""
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > most:
            raise too_large(most)
        parts.append(part)
    return b"".join(parts)


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


def in_json(values: Any, status: int = HTTPStatus.OK) -> Response:
    """A response; JSON in ASCII, which holds any text."""
    content = JSON.encode(values).encode("ascii")
    return Response(content, status, media_type="application/json")
