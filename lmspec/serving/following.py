"""following: what a service does with its answers when they are sent, as its command has it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from lmspec.errors import LmspecError
from lmspec.serving.releases import AnyService, Log
from lmspec.serving.service import Service
from lmspec.serving.shadow import Shadow

if TYPE_CHECKING:  # at run time only where requests are kept: polars takes memory
    from lmspec.serving.requestlog import RequestLog


class Following:
    """A shadow, a log of requests, or both.

    shadow        folder of the second bundle
    any_owner     take files of it that another user could change
    texts         shall the log of what differs have the texts?
    kept, files   path of the log of requests, and how many files of it are kept
    Raises LmspecError.
    """

    def __init__(
        self,
        service: AnyService[Any],
        log: Log,
        shadow: Path | None = None,
        any_owner: bool = False,
        texts: bool = False,
        kept: Path | None = None,
        files: int = 1,
    ) -> None:
        self._requests: RequestLog | None = None
        self._shadow: Shadow | None = None
        if shadow is None and kept is None:
            return
        if not isinstance(service, Service):
            found = "its model writes, and what is compared or kept are labels"
            options = "--shadow and --log"
            raise LmspecError(str(service.current.bundle.folder), found, f"leave {options} out")
        registry = service.measures.registry
        if kept is not None:
            self._requests = _log_of(kept, files, registry, log)
            service.take = self._requests.take
        if shadow is not None:
            labels = service.current.bundle.classifier.labels
            keep = self._requests.take if self._requests else lambda sent, shadowed: None
            self._shadow = Shadow(shadow, any_owner, labels, registry, log, texts, keep)
            service.take = self._shadow.take

    def reload(self) -> None:
        """Open the folder of the shadow again."""
        if self._shadow:
            self._shadow.reload()

    def close(self) -> None:
        """When the last answer is sent."""
        if self._shadow:
            self._shadow.close()
        if self._requests:
            self._requests.close()


def _log_of(path: Path, files: int, registry: CollectorRegistry, log: Log) -> "RequestLog":
    os.environ.setdefault("POLARS_MAX_THREADS", "1")  # processors are for answers
    from lmspec.serving.requestlog import RequestLog

    return RequestLog(path, files, registry, log)
