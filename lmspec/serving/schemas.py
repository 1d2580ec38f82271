"""schemas: what the OpenAPI documents of all kinds of bundles are made of."""

from collections.abc import Mapping
from typing import Any

from lmspec.serving.asking import ID
from lmspec.serving.limits import Limits

Values = dict[str, Any]
NOTHING: Mapping[str, Values] = {}
IDENTITY: Values = {
    "type": "string",
    "pattern": rf"^{ID}(?!\n)$",
    "description": "given back with the answer, and logged",
}
DIGEST: Values = {
    "type": "string",
    "pattern": "^[0-9a-f]{64}$",
    "description": "identity of the bundle: the SHA-256 of its manifest",
}
COMPARED: Values = {
    "anyOf": [DIGEST, {"type": "null"}],
    "description": "a second bundle, which answers on the same paths below /compared",
}
ERRORS = {
    "400": "not UTF-8, not JSON, not as described here, or the only text has nothing to read",
    "408": "the request did not arrive in time; the connection is closed",
    "413": "the body is too long",
    "415": "another Content-Type than application/json, or a Content-Encoding",
    "422": "the list or the only text is too long",
    "431": "request line and headers are too long",
    "500": "a fault of the service",
    "503": "too many texts wait: nothing was computed, try again after `Retry-After` seconds",
    "504": "no answer in time",
}


def document(
    info: Mapping[str, str],
    paths: Mapping[str, Values],
    schemas: Mapping[str, Values],
    keys: bool,
) -> Values:
    """OpenAPI 3.1 of a service, with the endpoints that every service has.

    info           its title, and a description
    paths, schemas  its own, with a schema `Bundle`
    keys           does a request need one?
    """
    values: Values = {
        "openapi": "3.1.0",
        "info": {**info, "version": "1"},
        "paths": {
            **paths,
            "/openapi.json": {"get": get("This document", {"type": "object"})},
            "/healthz": {"get": get("Does the process answer?", status("ok"))},
            "/readyz": {"get": ready()},
            "/metrics": {"get": metrics()},
        },
        "components": {"schemas": {**schemas, "Error": error(), "Card": card()}},
    }
    return _guarded(values) if keys else values


def bundle(limits: Limits, more: Mapping[str, Values]) -> Values:
    """What is served. more: fields of its kind."""
    text, whole = {"type": "string"}, {"type": "integer", "minimum": 1}
    bounds = {n: whole if isinstance(v, int) else text for n, v in limits.values().items()}
    return object_of(
        {
            "name": text,
            "title": text,
            "digest": DIGEST,
            "commit": {"type": ["string", "null"], "description": "of git, if it is known"},
            "made_from": {"type": "object", "additionalProperties": text},
            "limits": object_of(bounds),
            **more,
        }
    )


def _guarded(values: Values) -> Values:
    """The document of a service that asks for a key."""
    values["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    values["security"] = [{"key": []}]
    for path, operations in values["paths"].items():
        for operation in operations.values():
            if path in ("/healthz", "/readyz"):
                operation["security"] = []
            else:
                operation["responses"]["401"] = refusal("no key, or an unknown one")
    return values


def error() -> Values:
    """What a refused request gets."""
    identity = {"anyOf": [IDENTITY, {"type": "null"}]}
    return object_of({"id": identity, "error": problem()})


def problem() -> Values:
    """Why, for programs and for people."""
    return object_of({"code": {"type": "string"}, "message": {"type": "string"}})


def card() -> Values:
    """What a bundle has for people."""
    text: Values = {"type": "string"}
    share: Values = {"type": "number", "minimum": 0, "maximum": 1}
    accuracy: Values = {"texts": text, "examples": {"type": "integer", "minimum": 1}}
    accuracy |= dict.fromkeys(("accuracy", "low", "high"), share)
    mistake = dict.fromkeys(("dataset", "text", "label", "predicted"), text)
    scores = object_of(
        {
            "of": text,
            "scores": text,
            "confidence": share | {"description": "of the intervals from `low` to `high`"},
            "accuracies": {"type": "array", "items": object_of(accuracy)},
            "mistakes": {"type": "array", "items": object_of(mistake | {"confidence": share})},
        }
    )
    described = {"description": "on test texts; null: the bundle does not have them"}
    return object_of(
        {
            "bundle": DIGEST,
            "card": text | {"description": "Markdown"},
            "scores": {"anyOf": [scores, {"type": "null"}]} | described,
        }
    )


def get(summary: str, schema: Values) -> Values:
    """A GET that always succeeds."""
    answer = {"description": "as it is", "content": content(schema)}
    return {"summary": summary, "responses": {"200": answer}}


def ready() -> Values:
    """GET /readyz."""
    operation = get("Send requests here?", status("ready"))
    stopping = {"description": "it is about to stop", "content": content(status("draining"))}
    operation["responses"]["503"] = stopping
    return operation


def metrics() -> Values:
    """GET /metrics."""
    text = {"text/plain": {"schema": {"type": "string"}}}
    answer = {"description": "the text format of Prometheus", "content": text}
    return {"summary": "Metrics", "responses": {"200": answer}}


def refusals() -> Values:
    """The responses of a POST that is refused, by status."""
    errors: Values = {status: refusal(text) for status, text in ERRORS.items()}
    seconds = {"description": "seconds", "schema": {"type": "string"}}
    errors["503"]["headers"] = {"Retry-After": seconds}
    return errors


def refusal(text: str) -> Values:
    """A response with an error."""
    return {"description": text, "content": content(ref("Error"))}


def status(word: str) -> Values:
    """An object of one word."""
    return object_of({"status": {"const": word}})


def object_of(properties: Mapping[str, Values], optional: Mapping[str, Values] = NOTHING) -> Values:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": list(properties),
        "additionalProperties": False,
    }


def content(schema: Values) -> Values:
    """JSON of a schema."""
    return {"application/json": {"schema": schema}}


def ref(name: str) -> Values:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}
