"""starting: a bundle -> the service and the application of its kind."""

from typing import Any

from starlette.types import ASGIApp

from lmspec.errors import LmspecError
from lmspec.serving import app
from lmspec.serving.hosts import Hosts
from lmspec.serving.opening import WritingBundle
from lmspec.serving.releases import AnyService, Given, Log
from lmspec.serving.service import Service

SLOTS = 8


def service(given: Given, threads: int, slots: int | None, log: Log) -> AnyService[Any]:
    """What answers with labels, or with texts.

    threads  texts that are computed at once, of a bundle that predicts labels
    slots    texts that grow side by side, of one that writes
    Raises LmspecError.
    """
    bundle = given.bundle
    if isinstance(bundle, WritingBundle):
        from lmspec.serving.writing import WritingService

        if slots is not None and slots > 1 and not bundle.writer.batch_invariant:
            found = "its texts would depend on what is written beside them, so they have one slot"
            remedy = "leave --slots out, or build the bundle of a graph whose batch_difference is 0"
            raise LmspecError(str(bundle.folder), found, remedy)
        return WritingService(given, slots or SLOTS, log)
    if slots is not None:
        found = "slots are of bundles that write, and this one predicts labels"
        raise LmspecError("lmspec serve --slots", found, "leave it out; there is --threads")
    return Service(given, threads, log)


def compared(first: Given, second: Given, threads: int, log: Log) -> Service:
    """What answers beside the first bundle. Raises LmspecError if one of them writes."""
    for given in (first, second):
        if isinstance(given.bundle, WritingBundle):
            found = "its model writes, and the page compares labels"
            raise LmspecError(str(given.bundle.folder), found, "leave --compare out")
    return Service(second, threads, log)


def application(
    service: AnyService[Any], compared: AnyService[Any] | None = None, hosts: Hosts | None = None
) -> ASGIApp:
    """What answers its requests.

    compared  of a second bundle, if there is one
    hosts     names by which it may be asked; None: any
    """
    if isinstance(service, Service):
        assert compared is None or isinstance(compared, Service)
        return app.app(service, compared, hosts)
    from lmspec.serving import completions
    from lmspec.serving.writing import WritingService

    assert isinstance(service, WritingService)
    return completions.app_of(service, hosts)
