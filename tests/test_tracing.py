"""Each request has a span of OpenTelemetry, if it is installed, and the span has no texts."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from lmspec.serving import app, tracing
from tests import bundles
from tests.serving import Client

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    place = tmp_path_factory.mktemp("bundles") / "release"
    place.mkdir()
    client = Client(bundles.make(place))
    yield client
    client.close()


def test_each_request_has_a_span(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the trace of its client, with what the log has; a fault of the service is an error."""
    pytest.importorskip("opentelemetry.sdk", reason="pip install opentelemetry-sdk")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing.trace, "get_tracer_provider", lambda: provider)
    monkeypatch.setattr(tracing.trace, "get_tracer", provider.get_tracer)
    client.post({"texts": ["wonderful", "\u20ac"]}, traceparent=f"00-{TRACE}-{PARENT}-01")
    client.post({"text": "wonderful", "wonderful": 1})
    client.get("/wonderful")
    infer = asyncio.run(client.ask("POST", "/v2/models/release/infer", (b"wonderful",), {}))
    assert infer.status == 400

    def fail(*_: Any) -> None:
        raise RuntimeError("wonderful")

    monkeypatch.setattr(client.service, "answers", fail)
    assert client.post({"text": "wonderful"}).status == 500
    first, *others = spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == [
        f"POST {app.CLASSIFY}",
        f"POST {app.CLASSIFY}",
        "GET other",
        "POST /v2/models/{model}/infer",
        f"POST {app.CLASSIFY}",
    ]
    statuses = [span.attributes["http.response.status_code"] for span in spans]
    assert statuses == [200, 400, 404, 400, 500]
    assert [span.status.is_ok for span in spans] == [True] * 4 + [False]
    assert f"{first.parent.span_id:016x}" == PARENT and first.attributes["lmspec.texts"] == 2
    assert [span.parent for span in others] == [None] * 4
    logged = [entry["trace"] for entry in client.log if entry["event"] == "request"]
    assert logged == [f"{span.context.trace_id:032x}" for span in spans] and logged[0] == TRACE
    assert [span.attributes["lmspec.request_id"] for span in spans] == [
        entry["id"] for entry in client.log if entry["event"] == "request"
    ]
    assert others[-1].attributes["error.type"] == "RuntimeError"
    assert "wonderful" not in "".join(span.to_json() for span in spans)


def test_without_the_package_nothing_is_traced(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the log has no trace."""
    monkeypatch.setattr(tracing, "trace", None)
    assert client.post({"text": "x"}, traceparent=f"00-{TRACE}-{PARENT}-01").status == 200
    assert "trace" not in client.log[-1]


def test_without_a_provider_nothing_is_traced(client: Client) -> None:
    """The package often comes with others, and what it would trace is read nowhere."""
    pytest.importorskip("opentelemetry", reason="pip install opentelemetry-sdk")
    assert not tracing.is_on()
    assert client.post({"text": "x"}, traceparent=f"00-{TRACE}-{PARENT}-01").status == 200
    assert "trace" not in client.log[-1]
