"""page: the endpoints of the page of `lmspec label`: a token for each request, and local names."""

import json
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from lmspec.annotation.session import Session
from lmspec.errors import LmspecError
from lmspec.formats.worklist import Row
from lmspec.serving import page
from lmspec.serving.hosts import Hosts

FOLDER = Path(__file__).parent / "static"
SHARED = ("page.css", "elements.js", "icon.svg")  # of the page of a service
MOST_BYTES = 10_000  # of a body
ROW, LABEL, UNDO, DISAGREEMENTS = "/v1/row", "/v1/label", "/v1/undo", "/v1/disagreements"
DECIDE, UNSURE = "/v1/decide", "/v1/unsure"
NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def app(session: Session, token: str) -> ASGIApp:
    """The whole application. token: what each request beside those for files must know."""
    endpoints = Endpoints(session, token)
    files = {path.name: path for path in sorted(FOLDER.iterdir()) if path.suffix in page.TYPES}
    files |= {name: page.FOLDER / name for name in SHARED}
    routes = [page.file(page.STATIC + name, path) for name, path in files.items()]
    routes.append(page.file(page.ROOT, FOLDER / "index.html"))
    routes.append(Route(ROW, endpoints.answering(endpoints.row), methods=["POST"]))
    for path, answer in (
        (LABEL, endpoints.label),
        (UNSURE, endpoints.unsure),
        (DECIDE, endpoints.decide),
        (UNDO, endpoints.undo),
        (DISAGREEMENTS, endpoints.disagreements),
    ):
        routes.append(Route(path, endpoints.answering(answer), methods=["POST"]))
    return Local(Starlette(routes=routes))


class Local:
    """Refuses requests under other names than those of this machine (DNS rebinding)."""

    def __init__(self, inner: ASGIApp) -> None:
        self._inner, self._hosts = inner, Hosts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and not self._hosts.hold(scope):
            refused = failed("this page has no such name", HTTPStatus.MISDIRECTED_REQUEST)
            await refused(scope, receive, send)
        else:
            await self._inner(scope, receive, send)


class Endpoints:
    """What the page asks. Requests are answered one at a time, so that lines keep their order."""

    def __init__(self, session: Session, token: str) -> None:
        self._session, self._token = session, token

    def answering(
        self, answer: Callable[[dict[str, str]], Any]
    ) -> Callable[[Request], Awaitable[Response]]:
        """An endpoint: a JSON object of texts in, JSON out."""

        async def asked(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if not secrets.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                message = "open the address that `lmspec label` printed"
                return failed(message, HTTPStatus.UNAUTHORIZED)
            try:
                values = _values(await _body(request))
            except (ValueError, ClientDisconnect):
                return failed("the body is no JSON object of texts", HTTPStatus.BAD_REQUEST)
            try:
                return Response(
                    json.dumps(answer(values)), media_type="application/json", headers=NO_STORE
                )
            except KeyError as error:
                return failed(f"the body lacks {error}", HTTPStatus.BAD_REQUEST)
            except (LmspecError, OSError) as error:
                return failed(str(error), HTTPStatus.CONFLICT)

        return asked

    def row(self, values: dict[str, str]) -> dict[str, Any]:
        """POST /v1/row: the next row of an annotator, and how far that is."""
        annotator = values["annotator"]
        progress, row = self._session.progress(annotator), self._session.next(annotator)
        return {
            "list": self._session.name,
            "labels": self._session.labels,
            "file": self._session.file.place,
            "row": row and _shown(row),
            "rows": progress.rows,
            "left": progress.left,
            "disagreements": len(self._session.disagreements()),
        }

    def label(self, values: dict[str, str]) -> dict[str, Any]:
        """POST /v1/label."""
        self._session.label(values["annotator"], values["id"], values["label"])
        return self.row(values)

    def unsure(self, values: dict[str, str]) -> dict[str, Any]:
        """POST /v1/unsure."""
        self._session.unsure(values["annotator"], values["id"])
        return self.row(values)

    def undo(self, values: dict[str, str]) -> dict[str, Any]:
        """POST /v1/undo."""
        row = self._session.undo(values["annotator"])
        return self.row(values) | {"undone": row and row.id}

    def decide(self, values: dict[str, str]) -> dict[str, Any]:
        """POST /v1/decide."""
        self._session.decide(values["annotator"], values["id"], values["label"])
        return self.disagreements(values)

    def disagreements(self, values: dict[str, str]) -> dict[str, Any]:
        """POST /v1/disagreements: rows with different labels, and who gave which."""
        return {
            "labels": self._session.labels,
            "rows": [
                _shown(one.row)
                | {"given": [{"annotator": who, "label": label} for who, label in one.labels]}
                for one in self._session.disagreements()
            ],
        }


def _shown(row: Row) -> dict[str, Any]:
    return row._asdict()


async def _body(request: Request) -> bytes:
    """The body. Raises ValueError if it is too long."""
    parts = b""
    async for part in request.stream():
        parts += part
        if len(parts) > MOST_BYTES:
            raise ValueError
    return parts


def _values(body: bytes) -> dict[str, str]:
    values = json.loads(body)
    if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
        raise ValueError
    return values


def failed(message: str, status: HTTPStatus) -> Response:
    """An error, as the page shows it."""
    content = json.dumps({"error": {"message": message}})
    return Response(content, status, media_type="application/json", headers=NO_STORE)
