"""app: the endpoints of a service: requests in, JSON out, and a line in the log for each."""

import random
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Mapping
from http import HTTPStatus
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lmspec.serving import asking, inference, page
from lmspec.serving.asking import Asked, Refused
from lmspec.serving.bodies import Bodies, Json, header
from lmspec.serving.hosts import Hosts
from lmspec.serving.keys import Keys
from lmspec.serving.releases import AnyService
from lmspec.serving.sent import afterwards
from lmspec.serving.service import Answers, Release, Service
from lmspec.serving.tracing import Span

CLASSIFY, BUNDLE, CARD = "/v1/classify", "/v1/bundle", "/v1/card"
OPENAPI, COMPARED = "/openapi.json", "/compared"  # a second bundle: the same paths below it
HEALTH, READY, METRICS = "/healthz", "/readyz", "/metrics"
NO_KEY = Refused(HTTPStatus.UNAUTHORIZED, "no_key", "send `Authorization: Bearer KEY`", close=True)
OTHER_HOST = Refused(
    HTTPStatus.MISDIRECTED_REQUEST,
    "other_host",
    "this service has no such name; `lmspec serve --allow-host NAME` gives it one",
    close=True,
)
FAULT = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "the service has a fault")
RETRY_SECONDS = "1"
MEDIA_TYPE = re.compile(r'application/json(\s*;\s*charset\s*=\s*"?utf-8"?)?\s*', re.IGNORECASE)
HEALTHY = {path + name for path in ("", COMPARED) for name in (HEALTH, READY)}
Endpoint = Callable[[Request], Awaitable[Response]]
GONE = 499  # as nginx logs it: the client did not wait for the response


def app(service: Service, compared: Service | None = None, hosts: Hosts | None = None) -> ASGIApp:
    """The whole application.

    compared  of a second bundle, whose answers the page shows beside those of the first
    hosts     names by which it may be asked; None: any
    """
    shown, bodies = page.routes(), Bodies(service)
    routes = [*shown, *routes_of(Endpoints(service, bodies, compared=compared))]
    if compared is not None:
        routes += routes_of(Endpoints(compared, Bodies(compared), COMPARED), COMPARED)
    routes += inference.Inference(service, bodies).routes()
    return observed(service, routes, hosts, {route.path for route in shown})


def observed(
    service: AnyService[Any],
    routes: list[Route],
    hosts: Hosts | None = None,
    shown: Collection[str] = (),
) -> ASGIApp:
    """Routes with what every request gets: an id, a check of its key, a line in the log.

    hosts  names by which it may be asked; None: any
    shown  paths that need no key
    """
    starlette = Starlette(routes=routes, exception_handlers=dict(HANDLERS))
    starlette.router.redirect_slashes = False
    keyless = HEALTHY | {inference.LIVE, inference.READY} | set(shown)
    return Observed(starlette, service, routes, keyless, hosts)


def routes_of(endpoints: "Endpoints", prefix: str = "") -> list[Route]:
    """The paths of one bundle."""
    return [
        Route(prefix + CLASSIFY, endpoints.classify, methods=["POST"]),
        Route(prefix + BUNDLE, endpoints.bundle),
        Route(prefix + CARD, endpoints.card),
        Route(prefix + OPENAPI, endpoints.openapi),
        Route(prefix + HEALTH, endpoints.healthy),
        Route(prefix + READY, endpoints.ready),
        Route(prefix + METRICS, endpoints.metrics),
    ]


class About:
    """One method for each endpoint that every service has."""

    def __init__(self, service: AnyService[Any]) -> None:
        self._about = service

    async def card(self, request: Request) -> Response:
        """GET /v1/card."""
        return Json(self._about.current.card())

    async def bundle(self, request: Request) -> Response:
        """GET /v1/bundle."""
        return Json(self._about.current.about())

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        return Json(self._about.current.document)

    async def healthy(self, request: Request) -> Response:
        """GET /healthz: the process answers."""
        return Json({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """GET /readyz: send requests here?"""
        if self._about.draining:
            return Json({"status": "draining"}, HTTPStatus.SERVICE_UNAVAILABLE)
        return Json({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """GET /metrics."""
        text = self._about.measures.text()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


class Endpoints(About):
    """One method for each endpoint of a bundle that predicts labels.

    prefix    of their paths
    compared  the second bundle, if this is the first of two
    """

    def __init__(
        self, service: Service, bodies: Bodies, prefix: str = "", compared: Service | None = None
    ) -> None:
        super().__init__(service)
        self._service, self._bodies = service, bodies
        self._prefix, self._compared = prefix, compared

    async def classify(self, request: Request) -> Response:
        """POST /v1/classify."""
        service = self._service
        require_json(request.scope)
        async with self._bodies.of(request) as body:
            release = service.current
            asked = asking.asked(body, release.limits)
            seen = request.scope["lmspec"]
            seen["id"] = asked.id or seen["id"]
            seen["texts"], seen["bytes"] = len(asked.texts), len(body)
            del body
            answers, waited = await service.answers(release, asked)
        seen["queue_ms"] = round(1000 * waited, 3)
        return answering(service, release, asked, answers, seen)

    async def bundle(self, request: Request) -> Response:
        """GET /v1/bundle."""
        beside = self._compared.current.digest if self._compared else None
        return Json(self._service.current.about() | {"compared": beside})

    async def openapi(self, request: Request) -> Response:
        """GET /openapi.json."""
        document = self._service.current.document
        servers = {"servers": [{"url": self._prefix}]} if self._prefix else {}
        return Json(document | servers)


def answering(
    service: Service, release: Release, asked: Asked, answers: Answers, seen: Mapping[str, Any]
) -> Response:
    """The response to what has answers."""
    response = Json({"id": seen["id"], "bundle": release.digest, "answers": answers})
    response.background = afterwards(service.take, release, seen["id"], asked.texts, answers)
    return response


def require_json(scope: Scope) -> None:
    """Raise Refused unless the body is JSON as it is: a form of another web page cannot send it."""
    if not MEDIA_TYPE.fullmatch(header(scope, b"content-type")):
        message = "send `Content-Type: application/json`"
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", message, close=True)


async def refused(request: Request, error: Exception) -> Response:
    """The response to what is refused."""
    assert isinstance(error, Refused)
    path = request.scope["path"]
    return refusing(error, request.scope["lmspec"], path.startswith(inference.PREFIX))


def refusing(error: Refused, seen: dict[str, Any], brief: bool = False) -> Response:
    """The same.

    seen   of the request; the log has the code, too
    brief  with the message alone, as clients of the Open Inference Protocol parse it
    """
    seen["error"] = error.code
    values: dict[str, Any] = {"id": seen["id"], "error": error.values()}
    response = Json({"error": error.message} if brief else values, error.status)
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
    return await refused(request, FAULT)


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
    """Gives each request an id, and notes its response: in the log and in the measures.

    inner  is asked for what no route has as its whole path: a router and its middleware take as
           long as all else that HTTP needs
    """

    def __init__(
        self,
        inner: ASGIApp,
        service: AnyService[Any],
        routes: Collection[Route],
        keyless: set[str],
        hosts: Hosts | None,
    ) -> None:
        self._inner, self._service = inner, service
        self._paths = {route.path for route in routes}
        self._endpoints = {
            (method, route.path): route.endpoint
            for route in routes
            for method in route.methods or ()
            if iscoroutinefunction(route.endpoint) and not route.param_convertors
        }
        self._keyless, self._hosts = keyless, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        span = Span(scope)
        seen: dict[str, Any] = {"id": identity(scope), **span.ids}
        scope["lmspec"], sending = seen, Sending(send, self._service, seen)
        try:
            keys = None if scope["path"] in self._keyless else self._service.current.keys
            if found := refusal(keys, self._hosts, scope):
                await (await refused(Request(scope), found))(scope, receive, sending)
            elif endpoint := self._endpoints.get((scope["method"], scope["path"])):
                await responded(endpoint, scope, receive, sending)
            else:
                await self._inner(scope, receive, sending)
        except Exception as error:  # the response to it is sent
            seen |= fault(error)
        finally:
            self._note(scope, sending.status, time.perf_counter() - began, seen, span)

    def _note(
        self, scope: Scope, status: int, seconds: float, seen: dict[str, Any], span: Span
    ) -> None:
        path = getattr(scope.get("route"), "path", scope["path"])
        path = path if path in self._paths else "other"
        method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST") else "other"
        span.end(method, path, status, seen)
        note(self._service, method, path, status, seconds, seen)


def refusal(keys: Keys | None, hosts: Hosts | None, scope: Scope) -> Refused | None:
    """Why a request is refused, whatever it asks for.

    keys, hosts  None: any
    """
    if hosts and not hosts.hold(scope):
        return OTHER_HOST
    if keys and not keys.hold(header(scope, b"authorization")):
        return NO_KEY
    return None


def fault(error: Exception) -> dict[str, str]:
    """What the log has of it: not the message, which could hold texts."""
    place = (traceback.extract_tb(error.__traceback__) or [None])[-1]
    at = f"{Path(place.filename).name}:{place.lineno}" if place else "unknown"
    return {"fault": type(error).__name__, "at": at}


def note(
    service: AnyService[Any],
    method: str,
    path: str,
    status: int,
    seconds: float,
    seen: Mapping[str, Any],
) -> None:
    """Count a response, and log it. path: one of a few."""
    service.measures.responded(path, status, seconds)
    ms = round(1000 * seconds, 3)
    service.log("request", method=method, endpoint=path, status=status, ms=ms, **seen)


class Sending:
    """Sends a response, with what every one has, and notes its status."""

    status = GONE

    def __init__(self, send: Send, service: AnyService[Any], seen: dict[str, Any]) -> None:
        self._send, self._service, self._seen = send, service, seen
        self.begun = False

    async def __call__(self, message: Message) -> None:
        """ASGI."""
        if message["type"] == "http.response.start":
            self.begun, self.status = True, message["status"]
            message["headers"].append((b"x-request-id", self._seen["id"].encode("ascii")))
            if self._service.draining:
                message["headers"].append((b"connection", b"close"))
        await self._send(message)


async def responded(endpoint: Endpoint, scope: Scope, receive: Receive, sending: Sending) -> None:
    """Send what an endpoint returns, or what its error means, also one of a response that has not
    begun. Raises a fault of the service."""
    request = Request(scope, receive)
    try:
        response = await endpoint(request)
        await response(scope, receive, sending)
    except Exception as error:
        if sending.begun:
            raise
        handler = next(handler for kind, handler in HANDLERS if isinstance(error, kind))
        await (await handler(request, error))(scope, receive, sending)
        if handler is failed:
            raise


HANDLERS: Any = (
    (Refused, refused),
    (HTTPException, unknown),
    (ClientDisconnect, gone),
    (Exception, failed),
)


def identity(scope: Scope) -> str:
    """The id that a client gave the request, if it can be logged; else a new one."""
    given = header(scope, b"x-request-id")
    if given and asking.is_id(given):
        return given
    return f"{random.getrandbits(64):016x}"  # tells requests apart, and is no secret
