"""completions: the endpoints of a service that writes, as clients of OpenAI's API ask for them."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lmspec.serving import app, completing, page, shapes
from lmspec.serving.asking import Refused
from lmspec.serving.bodies import Bodies, Json
from lmspec.serving.completing import Wanted
from lmspec.serving.decoding import Answer, Event
from lmspec.serving.hosts import Hosts
from lmspec.serving.limits import Limits
from lmspec.serving.shapes import Chat, Shape, Texts
from lmspec.serving.writing import Events, WritingRelease, WritingService

TEXTS, CHAT, MODELS = "/v1/completions", "/v1/chat/completions", "/v1/models"
MODEL = f"{MODELS}/{{model}}"
FAREWELL_SECONDS = 1.0  # for the last event of a stream whose time is over
STREAM = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


def app_of(service: WritingService, hosts: Hosts | None = None) -> ASGIApp:
    """The whole application.

    hosts  names by which it may be asked; None: any
    """
    about, shown = app.About(service), page.routes()
    routes = [
        *shown,
        *Completions(service, Bodies(service)).routes(),
        Route(app.BUNDLE, about.bundle),
        Route(app.CARD, about.card),
        Route(app.OPENAPI, about.openapi),
        Route(app.HEALTH, about.healthy),
        Route(app.READY, about.ready),
        Route(app.METRICS, about.metrics),
    ]
    return app.observed(service, routes, hosts, {route.path for route in shown})


class Completions:
    """One method for each endpoint."""

    def __init__(self, service: WritingService, bodies: Bodies) -> None:
        self._service, self._bodies = service, bodies
        self._began = int(time.time())

    def routes(self) -> list[Route]:
        """All of them."""
        return [
            Route(TEXTS, self.texts, methods=["POST"]),
            Route(CHAT, self.chat, methods=["POST"]),
            Route(MODELS, self.models),
            Route(MODEL, self.model),
        ]

    async def texts(self, request: Request) -> Response:
        """POST /v1/completions."""
        return await self._written(request, completing.texts, Texts)

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        return await self._written(request, completing.chat, Chat)

    async def models(self, request: Request) -> Response:
        """GET /v1/models."""
        return Json({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        """GET /v1/models/NAME."""
        _require_name(self._service.current, request.path_params["model"])
        return Json(self._model())

    async def _written(
        self,
        request: Request,
        parse: Callable[[bytes, Limits], Wanted],
        shape: Callable[[str, str, str, bool], Shape],
    ) -> Response:
        app.require_json(request.scope)
        release, seen = self._service.current, request.scope["lmspec"]
        async with self._bodies.of(request) as body:
            seen["bytes"] = len(body)
            wanted = parse(body, release.limits)
            del body
        if wanted.model is not None:
            _require_name(release, wanted.model)
        seen["texts"] = len(wanted.asked)
        shaped = shape(seen["id"], release.bundle.name, release.digest, wanted.usage)
        return Writing(self._service, release, wanted, shaped, seen)

    def _model(self) -> dict[str, Any]:
        name = self._service.current.bundle.name
        return {"id": name, "object": "model", "created": self._began, "owned_by": "lmspec"}


class Writing(Response):
    """A response that is written as its texts grow. A client that leaves frees their slots."""

    def __init__(
        self,
        service: WritingService,
        release: WritingRelease,
        wanted: Wanted,
        shape: Shape,
        seen: dict[str, Any],
    ) -> None:
        super().__init__()
        self._service, self._release = service, release
        self._wanted, self._shape, self._seen = wanted, shape, seen
        self._arrived = time.monotonic()
        self._answers: dict[int, Answer] = {}
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Raises Refused, ClientDisconnect as long as nothing is sent."""
        try:
            async with self._service.writing(self._release, self._wanted) as events:
                watching = asyncio.create_task(_watch(receive, events))
                try:
                    await (self._stream(events, send) if self._wanted.stream else self._all(events))
                finally:
                    watching.cancel()
        except (Refused, ClientDisconnect) as error:
            if not self._begun:
                raise
            await self._end(error, send)
        finally:
            self._note()
        if not self._wanted.stream:
            await Json(self._shape.whole(self._in_order()))(scope, receive, send)

    @property
    def _is_whole(self) -> bool:
        return len(self._answers) == len(self._wanted.asked)

    async def _all(self, events: Events) -> None:
        """Wait for the texts."""
        while not self._is_whole:
            event = await events.next()
            if event.ended is not None:
                self._answers[event.number] = self._answer(event.ended)

    async def _stream(self, events: Events, send: Send) -> None:
        parts = self._parts(await events.next())  # an error is a response as long as it can be
        self._begun = True
        start = {"type": "http.response.start", "status": HTTPStatus.OK, "headers": [*STREAM]}
        await send(start)
        parts = self._shape.opening() + parts
        while True:
            for part in parts:
                await _send(send, shapes.sent(part))
            if self._is_whole:
                break
            parts = self._parts(await events.next())
        if self._wanted.usage:
            await _send(send, shapes.sent(self._shape.usage(self._in_order())))
        await _send(send, shapes.DONE, more=False)

    def _parts(self, event: Event) -> list[dict[str, Any]]:
        """What an event adds to a stream. Raises Refused."""
        parts = []
        if event.token is not None and event.token.text:
            parts.append(self._shape.part(event.number, event.token.text))
        if event.ended is not None:
            answer = self._answers[event.number] = self._answer(event.ended)
            parts.append(self._shape.end(event.number, answer))
        return parts

    async def _end(self, error: Refused | ClientDisconnect, send: Send) -> None:
        """A stream that has begun ends without `[DONE]`: its client sees that it is not whole."""
        self._seen["error"] = error.code if isinstance(error, Refused) else "gone"
        if isinstance(error, Refused):
            values = {"id": self._seen["id"], "error": error.values()}
            with contextlib.suppress(TimeoutError):  # it reads nothing
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await _send(send, shapes.sent(values), more=False)

    def _answer(self, ended: Answer | Exception) -> Answer:
        return self._service.answer(self._release, ended, self._arrived)

    def _in_order(self) -> list[Answer]:
        return [self._answers[number] for number in sorted(self._answers)]

    def _note(self) -> None:
        """For the log."""
        answers = self._in_order()
        self._seen["prompt_tokens"] = sum(answer.prompt_tokens for answer in answers)
        self._seen["tokens"] = sum(len(answer.tokens) for answer in answers)
        firsts = [answer.first for answer in answers if answer.tokens]
        if firsts:
            self._seen["first_ms"] = round(1000 * (min(firsts) - self._arrived), 3)


async def _watch(receive: Receive, events: Events) -> None:
    """Notice that the client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    events.put(ClientDisconnect())


async def _send(send: Send, content: bytes, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": content, "more_body": more})


def _require_name(release: WritingRelease, name: str) -> None:
    """Raise Refused if the bundle that is served has another name."""
    if name != release.bundle.name:
        message = f"there is model {release.bundle.name}, and no other"
        raise Refused(HTTPStatus.NOT_FOUND, "no_model", message)
