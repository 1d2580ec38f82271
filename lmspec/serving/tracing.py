"""tracing: a span of OpenTelemetry for each request, if something takes it; without texts.

The package often comes with others, and does nothing by itself: `opentelemetry-instrument` says
where spans go.
"""

import importlib
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Scope

try:
    trace: Any = importlib.import_module("opentelemetry.trace")
    propagate: Any = importlib.import_module("opentelemetry.propagate")
except ImportError:
    trace = None

FAULT = 500  # and above: an error of the service, as the conventions for HTTP have it
NAMES = {"id": "lmspec.request_id", "texts": "lmspec.texts", "queue_ms": "lmspec.queue_ms"}
NAMES |= {"error": "error.type", "fault": "error.type"}


def is_on() -> bool:
    """Do spans go anywhere? Until a provider is set, OpenTelemetry has one that drops them."""
    return trace is not None and not isinstance(
        trace.get_tracer_provider(), trace.ProxyTracerProvider
    )


class Span:
    """Of one request, which may be part of its client's trace (the header `traceparent`)."""

    def __init__(self, scope: Scope) -> None:
        self._span: Any = None
        if is_on():
            parent = propagate.extract(Headers(scope=scope))
            tracer = trace.get_tracer("lmspec.serving")
            self._span = tracer.start_span("HTTP", parent, trace.SpanKind.SERVER)

    @property
    def ids(self) -> dict[str, str]:
        """For the log; empty if nothing is traced."""
        if self._span is None or not self._span.is_recording():
            return {}
        return {"trace": trace.format_trace_id(self._span.get_span_context().trace_id)}

    def end(self, method: str, endpoint: str, status: int, seen: Mapping[str, Any]) -> None:
        """With what the log has. Source: OpenTelemetry's semantic conventions for HTTP servers."""
        if self._span is None:
            return
        self._span.update_name(f"{method} {endpoint}")
        self._span.set_attribute("http.request.method", method)
        self._span.set_attribute("http.route", endpoint)
        self._span.set_attribute("http.response.status_code", status)
        for name, attribute in NAMES.items():
            if name in seen:
                self._span.set_attribute(attribute, seen[name])
        if status >= FAULT:
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()
