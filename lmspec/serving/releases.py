"""releases: what is served now, and what takes its place: the same for every kind of bundle."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Generic, NamedTuple, TypeVar

from lmspec.errors import LmspecError
from lmspec.serving.asking import Refused
from lmspec.serving.keys import Keys
from lmspec.serving.limits import Limits
from lmspec.serving.measures import Measures
from lmspec.serving.opening import Opened
from lmspec.serving.sent import Take
from lmspec.serving.waiting import Line

Log = Callable[..., None]  # event, and its values by name


class Given(NamedTuple):
    """What is to be served: a bundle, the commit of git that has its provenance, and to whom.

    keys  None: to everybody
    """

    bundle: Opened
    commit: str | None = None
    keys: Keys | None = None


class AnyRelease:
    """A bundle that is served, with threads of its own.

    bundle    as it was opened
    line      what waits for them
    document  OpenAPI
    """

    bundle: Opened
    line: Line[Any, Any]
    document: dict[str, Any]

    def __init__(self, given: Given) -> None:
        self.bundle, self.commit, self.keys = given

    @property
    def limits(self) -> Limits:
        """Those of its bundle."""
        return self.bundle.limits

    @property
    def digest(self) -> str:
        """The identity of its bundle."""
        return self.bundle.manifest.digest

    def about(self) -> dict[str, Any]:
        """What /v1/bundle has of it."""
        manifest = self.bundle.manifest
        return {
            "name": self.bundle.name,
            "title": manifest.title,
            "digest": self.digest,
            "commit": self.commit,
            "made_from": manifest.made_from,
            "limits": self.limits.values(),
        }

    def card(self) -> dict[str, Any]:
        """What /v1/card has of it."""
        card = self.bundle.card
        return {"bundle": self.digest, "card": card.text, "scores": card.scores}

    def close(self) -> None:
        """Take no more requests, and end the threads when all that wait are answered."""
        self.line.close()


Served = TypeVar("Served", bound=AnyRelease)


class AnyService(Generic[Served]):
    """What the endpoints share.

    current   what is served now: a request stays with the release that it came to
    draining  it is about to stop: it answers, and asks for no more
    take      is given each text that was answered; None: no one wants to know
    """

    measures: Measures
    take: Take | None = None

    def __init__(self, given: Given, log: Log) -> None:
        self.log, self.draining = log, False
        self._serve(self.release(given))

    def release(self, given: Given) -> Served:
        """A bundle with its threads. Raises LmspecError if it is of another kind."""
        raise NotImplementedError

    def replace(self, given: Given) -> Served:
        """Serve another bundle from now on. Returns the former one, which is to be closed.

        Raises LmspecError if it is of another kind.
        """
        former = self.current
        self._serve(self.release(given))
        return former

    def _serve(self, release: Served) -> None:
        self.current = release
        self.measures.serves(release.bundle.name, release.digest)

    def refused(self, line: Line[Any, Any]) -> Refused:
        """There is no room for the texts of a request."""
        self.measures.shed.add("queue")
        message = f"{line.waiting} texts wait, and {line.most} may"
        return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message)


def overdue(limits: Limits) -> Refused:
    """A request that took too long."""
    message = f"there was no answer within {limits.timeout_ms} ms"
    return Refused(HTTPStatus.GATEWAY_TIMEOUT, "timeout", message)


def other_kind(bundle: Opened) -> LmspecError:
    """A bundle that has other endpoints than the one that is served."""
    found = "it predicts labels or writes, and the bundle that is served does the other"
    return LmspecError(str(bundle.folder), found, "start another `lmspec serve` for it")
