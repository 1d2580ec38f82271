"""app: the endpoints of a service: requests in, JSON out, and a line in the log for each."""

import json
import re
import secrets
import time
import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmspec.serving import asking
from lmspec.serving.asking import Refused
from lmspec.serving.service import Service

CLASSIFY, BUNDLE, OPENAPI = "/v1/classify", "/v1/bundle", "/openapi.json"
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
NO_KEY = Refused(HTTPStatus.UNAUTHORIZED, "no_key", "send `Authorization: Bearer KEY`", close=True)
RETRY_SECONDS = "1"
MOST_HELD_BYTES = 64 * 2**20  # of bodies that are read, of all requests together
MEDIA_TYPE = re.compile(r'application/json(\s*;\s*charset\s*=\s*"?utf-8"?)?\s*', re.IGNORECASE)
OPEN = {HEALTH, READY}  # without a key
GONE = 499  # as nginx logs it: the client did not wait for the response


def app(service: Service) -> ASGIApp:
    """The whole application."""
    endpoints = Endpoints(service)
    routes = [
        Route(CLASSIFY, endpoints.classify, methods=["POST"]),
        Route(BUNDLE, endpoints.bundle),
        Route(OPENAPI, endpoints.openapi),
        Route(HEALTH, endpoints.healthy),
        Route(READY, endpoints.ready),
        Route(METRICS, endpoints.metrics),
    ]
    handlers: Any = {
        Refused: refused,
        HTTPException: unknown,
        ClientDisconnect: gone,
        Exception: failed,
    }
    starlette = Starlette(routes=routes, exception_handlers=handlers)
    starlette.router.redirect_slashes = False
    return Observed(starlette, service, {route.path for route in routes})


class Endpoints:
    """One method for each endpoint."""

    def __init__(self, service: Service) -> None:
        self._service, self._held_bytes = service, 0

    async def classify(self, request: Request) -> Response:
        """POST /v1/classify."""
        service, most = self._service, self._service.current.limits.max_body_bytes
        require_json(request.headers)
        held = length(request.headers, most)
        if self._held_bytes + held > max(MOST_HELD_BYTES, most):
            service.measures.shed.labels("memory").inc()
            message = "the bodies that are read now fill the memory for them"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message, close=True)
        self._held_bytes += held
        try:
            body = await whole(request, most)
            release = service.current  # it may be another one now
            asked = asking.asked(body, release.limits)
            seen = request.scope["lmspec"]
            seen["id"] = asked.id or seen["id"]
            seen["texts"], seen["bytes"] = len(asked.texts), len(body)
            del body
            answers, waited = await service.answers(release, asked)
        finally:
            self._held_bytes -= held
        seen["queue_ms"] = round(1000 * waited, 3)
        return in_json({"id": seen["id"], "bundle": release.digest, "answers": answers})

    async def bundle(self, request: Request) -> Response:
        """GET /v1/bundle."""
        release = self._service.current
        bundle = release.bundle
        about = bundle.manifest
        return in_json(
            {
                "name": bundle.name,
                "title": about.title,
                "digest": about.digest,
                "commit": release.commit,
                "made_from": about.made_from,
                "labels": bundle.classifier.labels,
                "max_length": bundle.classifier.max_length,
                "limits": bundle.limits.values(),
            }
        )

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return in_json(self._service.current.document)

    async def healthy(self, request: Request) -> Response:
        """GET /healthz: the process answers."""
        return in_json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """GET /readyz: send requests here?"""
        if self._service.draining:
            return in_json({"status": "draining"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return in_json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """GET /metrics."""
        text = self._service.measures.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def require_json(headers: Headers) -> None:
    """Raise Refused unless the body is JSON as it is: a form of another web page cannot send it."""
    if not MEDIA_TYPE.fullmatch(headers.get("content-type", "")):
        message = "send `Content-Type: application/json`"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", message, close=True)
    if headers.get("content-encoding", "identity").lower() != "identity":
        message = "send the body without Content-Encoding"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoded", message, close=True)


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


def too_large(most: int) -> Refused:
    """More bytes than a body may have."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return Refused(status, "body_too_large", f"a body may have {most} bytes", close=True)


def in_json(values: Any, status: int = HTTPStatus.OK) -> Response:
    """A response; JSON in ASCII, which holds any text."""
    content = json.dumps(values, separators=(",", ":")).encode("ascii")
    return Response(content, status, media_type="application/json")


async def refused(request: Request, error: Exception) -> Response:
    """The response to what is refused."""
    assert isinstance(error, Refused)
    request.scope["lmspec"]["error"] = error.code
    values = {"id": request.scope["lmspec"]["id"], "error": error.values()}
    response = in_json(values, error.status)
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["retry-after"] = RETRY_SECONDS
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = "Bearer"
    if error.close:
        response.headers["connection"] = "close"
    return response


async def gone(request: Request, error: Exception) -> Response:
    """Noted, and sent to no one."""
    return Response(status_code=GONE)


async def failed(request: Request, error: Exception) -> Response:
    """The response to a fault of the service."""
    fault = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "the service has a fault")
    return await refused(request, fault)


async def unknown(request: Request, error: Exception) -> Response:
    """The response to a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    code = {HTTPStatus.NOT_FOUND: "no_endpoint", HTTPStatus.METHOD_NOT_ALLOWED: "no_method"}
    message = f"{status.phrase}; see {OPENAPI}"
    shown = Refused(status, code.get(status, "refused"), message, close=True)
    response = await refused(request, shown)
    response.headers.update(error.headers or {})
    return response


class Observed:
    """Gives each request an id, and notes its response: in the log and in the measures."""

    def __init__(self, inner: ASGIApp, service: Service, paths: set[str]) -> None:
        self._inner, self._service, self._paths = inner, service, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        seen: dict[str, Any] = {"id": identity(Headers(scope=scope))}
        scope["lmspec"], status = seen, GONE

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = seen["id"]
                if self._service.draining:
                    headers["connection"] = "close"
            await send(message)

        try:
            keys = self._service.current.keys
            if keys and scope["path"] not in OPEN and not keys.hold(authorization(scope)):
                await (await refused(Request(scope), NO_KEY))(scope, receive, noting)
            else:
                await self._inner(scope, receive, noting)
        except Exception as error:  # the response to it is sent
            place = (traceback.extract_tb(error.__traceback__) or [None])[-1]
            at = f"{Path(place.filename).name}:{place.lineno}" if place else "unknown"
            seen |= {"fault": type(error).__name__, "at": at}  # a message could hold texts
        finally:
            self._note(scope, status, time.perf_counter() - began, seen)

    def _note(self, scope: Scope, status: int, seconds: float, seen: dict[str, Any]) -> None:
        path = scope["path"] if scope["path"] in self._paths else "other"
        measures = self._service.measures
        measures.requests.labels(path, str(status)).inc()
        measures.seconds.labels(path).observe(seconds)
        self._service.log(
            "request",
            method=scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other",
            endpoint=path,
            status=status,
            ms=round(1000 * seconds, 3),
            **seen,
        )


def authorization(scope: Scope) -> str:
    """Empty without the header."""
    return Headers(scope=scope).get("authorization", "")


def identity(headers: Headers) -> str:
    """The id that a client gave the request, if it can be logged; else a new one."""
    given = headers.get("x-request-id", "")
    return given if re.fullmatch(asking.ID, given) else secrets.token_hex(8)
