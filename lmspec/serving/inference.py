"""inference: the endpoints of the Open Inference Protocol v2 over HTTP."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lmspec.serving import metadata, tensors
from lmspec.serving.asking import Refused
from lmspec.serving.bodies import Bodies, Json
from lmspec.serving.sent import afterwards
from lmspec.serving.service import Release, Service

PREFIX = "/v2"
MODEL = f"{PREFIX}/models/{{model}}"
VERSION = f"{MODEL}/versions/{{version}}"
LIVE, READY = f"{PREFIX}/health/live", f"{PREFIX}/health/ready"
HEAD_BYTES = "inference-header-content-length"
KINDS = ("", "application/json", "application/octet-stream")
EXTENSIONS = ["binary_tensor_data", "model_configuration"]
VERSION_DIGITS = 16  # of the digest of the bundle


class Inference:
    """One method for each endpoint."""

    def __init__(self, service: Service, bodies: Bodies) -> None:
        self._service, self._bodies = service, bodies

    def routes(self) -> list[Route]:
        """With and without a version, as clients ask for both."""
        return [
            Route(PREFIX, self.server),
            Route(LIVE, self.live),
            Route(READY, self.ready),
            *(Route(path, self.model) for path in (MODEL, VERSION)),
            *(Route(f"{path}/ready", self.model_ready) for path in (MODEL, VERSION)),
            *(Route(f"{path}/config", self.config) for path in (MODEL, VERSION)),
            *(Route(f"{path}/infer", self.infer, methods=["POST"]) for path in (MODEL, VERSION)),
        ]

    async def server(self, request: Request) -> Response:
        """GET /v2."""
        return Json({"name": "lmspec", "version": "2", "extensions": EXTENSIONS})

    async def live(self, request: Request) -> Response:
        """GET /v2/health/live."""
        return Json({"live": True})

    async def ready(self, request: Request) -> Response:
        """GET /v2/health/ready."""
        return self._ready({})

    async def model(self, request: Request) -> Response:
        """GET /v2/models/NAME."""
        bundle = self._named(request).bundle
        version = bundle.manifest.digest[:VERSION_DIGITS]
        return Json(metadata.metadata(bundle.name, version, bundle.classifier.labels))

    async def config(self, request: Request) -> Response:
        """GET /v2/models/NAME/config."""
        bundle = self._named(request).bundle
        labels = bundle.classifier.labels
        return Json(metadata.config(bundle.name, labels, bundle.target))

    async def model_ready(self, request: Request) -> Response:
        """GET /v2/models/NAME/ready."""
        return self._ready({"name": self._named(request).bundle.name})

    async def infer(self, request: Request) -> Response:
        """POST /v2/models/NAME/infer."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in KINDS:
            message = "send `Content-Type: application/json`, or application/octet-stream"
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "not_json", message, close=True)
        async with self._bodies.of(request, inflate=True) as body:
            release = self._named(request)
            reader = release.bundle.classifier.reader
            asked = tensors.inference(body, _head_bytes(request), release.limits, reader)
            seen = request.scope["lmspec"]
            seen["id"] = asked.asked.id or seen["id"]
            seen["texts"], seen["bytes"] = len(asked.asked.texts), len(body)
            answers, waited = await self._service.answers(release, asked.asked)
        seen["queue_ms"] = round(1000 * waited, 3)
        for number, answer in enumerate(answers):
            if "error" in answer:
                message = f"text {number}: {answer['error']['message']}"
                raise Refused(HTTPStatus.BAD_REQUEST, answer["error"]["code"], message)
        version = release.digest[:VERSION_DIGITS]
        about = {"model_name": release.bundle.name, "model_version": version}
        about |= {} if asked.asked.id is None else {"id": asked.asked.id}
        labels = release.bundle.classifier.labels
        content, head_bytes = tensors.rendered(asked, answers, labels, about)
        texts, take = asked.asked.texts, self._service.take
        then = afterwards(take, release, seen["id"], texts, answers)
        if head_bytes is None:
            return Response(content, media_type="application/json", background=then)
        headers = {HEAD_BYTES: str(head_bytes)}
        media_type = "application/octet-stream"
        return Response(content, headers=headers, media_type=media_type, background=then)

    def _ready(self, values: dict[str, str]) -> Response:
        ready = not self._service.draining
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Json(values | {"ready": ready}, status)

    def _named(self, request: Request) -> Release:
        """What is served now, if it has the name and the version. Raises Refused."""
        release = self._service.current
        name, version = release.bundle.name, release.digest[:VERSION_DIGITS]
        parts = request.path_params
        if parts["model"] != name or parts.get("version", version) not in (version, release.digest):
            message = f"there is model {name}, version {version}, and no other"
            raise Refused(HTTPStatus.NOT_FOUND, "no_model", message, close=True)
        return release


def _head_bytes(request: Request) -> int | None:
    """How much of the body is JSON; None: all. Raises Refused."""
    given = request.headers.get(HEAD_BYTES)
    if given is None:
        return None
    if not given.isdecimal() or len(given) > 12:
        message = "Inference-Header-Content-Length is no number"
        raise Refused(HTTPStatus.BAD_REQUEST, "malformed", message)
    return int(given)
