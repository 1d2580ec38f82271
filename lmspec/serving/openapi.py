"""openapi: the document of the endpoints, with the limits and labels of the bundle.

tests/test_serving.py holds it against the service: a body that its schema accepts is taken, any
other is refused, and each response is as it says.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lmspec.serving.asking import ID, MOST_LABELS
from lmspec.serving.limits import Limits

Values = dict[str, Any]
NOTHING: Mapping[str, Values] = {}
BESIDE = "The endpoints below /v2 are those of the Open Inference Protocol, which describes them."
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


def document(title: str, limits: Limits, labels: Sequence[str], keys: bool) -> Values:
    """OpenAPI 3.1. keys: does a request need one?"""
    values = _document(title, limits, labels)
    if keys:
        values["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        values["security"] = [{"key": []}]
        for path, operations in values["paths"].items():
            for operation in operations.values():
                if path in ("/healthz", "/readyz"):
                    operation["security"] = []
                else:
                    operation["responses"]["401"] = _refusal("no key, or an unknown one")
    return values


def _document(title: str, limits: Limits, labels: Sequence[str]) -> Values:
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": BESIDE},
        "paths": {
            "/v1/classify": {"post": _classify(limits)},
            "/v1/bundle": {"get": _get("What is served: labels, limits, origin", _ref("Bundle"))},
            "/openapi.json": {"get": _get("This document", {"type": "object"})},
            "/healthz": {"get": _get("Does the process answer?", _status("ok"))},
            "/readyz": {"get": _ready()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": {
                "Request": _request(limits),
                "Response": _response(limits),
                "Answer": _answer(labels),
                "Failure": _failure(),
                "Error": _error(),
                "Bundle": _bundle(limits),
            }
        },
    }


def _classify(limits: Limits) -> Values:
    errors: Values = {status: _refusal(text) for status, text in ERRORS.items()}
    seconds = {"description": "seconds", "schema": {"type": "string"}}
    errors["503"]["headers"] = {"Retry-After": seconds}
    return {
        "operationId": "classify",
        "summary": "The labels of one text or of a list",
        "description": "Each text is computed alone, as `predict.py` of the bundle does: its answer"
        " depends on nothing but the text. A text of a list that is refused has an `error` in place"
        f" of an answer. A body may have {limits.max_body_bytes} bytes.",
        "requestBody": {"required": True, "content": _json(_ref("Request"))},
        "responses": {
            "200": {"description": "answers", "content": _json(_ref("Response"))},
            **errors,
        },
    }


def _request(limits: Limits) -> Values:
    text = f"at most {limits.max_text_bytes} bytes in UTF-8"
    elements = {
        "type": "array",
        "minItems": 1,
        "maxItems": limits.max_texts,
        "items": {},
        "description": f"texts, or objects of `text` and `id`; of each text {text}",
        "examples": [["A text.", {"id": "a-1", "text": "Another one."}]],
    }
    return {
        "type": "object",
        "properties": {
            "text": {"type": "string", "maxLength": limits.max_text_bytes, "description": text},
            "texts": elements,
            "top": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_LABELS,
                "description": "so many labels, the most probable ones; all without it",
            },
            "id": IDENTITY,
        },
        "oneOf": [{"required": ["text"]}, {"required": ["texts"]}],
        "additionalProperties": False,
        "examples": [{"text": "A text.", "top": 1}, {"texts": ["A text.", "Another one."]}],
    }


def _response(limits: Limits) -> Values:
    answers = {
        "type": "array",
        "minItems": 1,
        "maxItems": limits.max_texts,
        "items": {"anyOf": [_ref("Answer"), _ref("Failure")]},
        "description": "one for each text, in order",
    }
    digest = {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "identity of the bundle",
    }
    return _object({"id": IDENTITY, "bundle": digest, "answers": answers})


def _answer(labels: Sequence[str]) -> Values:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return _object(
        {
            "label": {"enum": [*labels, None], "description": "null: there is nothing to read"},
            "confidence": {"anyOf": [share, {"type": "null"}], "description": "of the label"},
            "probabilities": {
                "type": "object",
                "propertyNames": {"enum": list(labels)},
                "additionalProperties": share,
                "description": "label -> probability, the most probable first",
            },
        },
        {"id": IDENTITY},
    )


def _error() -> Values:
    identity = {"anyOf": [IDENTITY, {"type": "null"}]}
    return _object({"id": identity, "error": _problem()})


def _failure() -> Values:
    return _object({"error": _problem()}, {"id": IDENTITY})


def _problem() -> Values:
    return _object({"code": {"type": "string"}, "message": {"type": "string"}})


def _bundle(limits: Limits) -> Values:
    text, whole = {"type": "string"}, {"type": "integer", "minimum": 1}
    bounds = {n: whole if isinstance(v, int) else text for n, v in limits.values().items()}
    return _object(
        {
            "name": text,
            "title": text,
            "digest": DIGEST,
            "commit": {"type": ["string", "null"], "description": "of git, if it is known"},
            "made_from": {"type": "object", "additionalProperties": text},
            "labels": {"type": "array", "items": text},
            "max_length": {"type": ["integer", "null"], "description": "tokens read at once"},
            "limits": _object(bounds),
        }
    )


def _get(summary: str, schema: Values) -> Values:
    answer = {"description": "as it is", "content": _json(schema)}
    return {"summary": summary, "responses": {"200": answer}}


def _ready() -> Values:
    operation = _get("Send requests here?", _status("ready"))
    stopping = {"description": "it is about to stop", "content": _json(_status("draining"))}
    operation["responses"]["503"] = stopping
    return operation


def _metrics() -> Values:
    text = {"text/plain": {"schema": {"type": "string"}}}
    answer = {"description": "the text format of Prometheus", "content": text}
    return {"summary": "Metrics", "responses": {"200": answer}}


def _refusal(text: str) -> Values:
    return {"description": text, "content": _json(_ref("Error"))}


def _status(word: str) -> Values:
    return _object({"status": {"const": word}})


def _object(properties: Mapping[str, Values], optional: Mapping[str, Values] = NOTHING) -> Values:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": {**properties, **optional},
        "required": list(properties),
        "additionalProperties": False,
    }


def _json(schema: Values) -> Values:
    return {"application/json": {"schema": schema}}


def _ref(name: str) -> Values:
    return {"$ref": f"#/components/schemas/{name}"}
