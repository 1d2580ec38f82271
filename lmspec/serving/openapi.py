"""openapi: the document of the endpoints, with the limits and labels of the bundle.

tests/test_serving.py holds it against the service: a body that its schema accepts is taken, any
other is refused, and each response is as it says.
"""

from collections.abc import Sequence

from lmspec.serving.asking import MOST_LABELS
from lmspec.serving.limits import Limits
from lmspec.serving.schemas import (
    COMPARED,
    DIGEST,
    IDENTITY,
    Values,
    card,
    content,
    error,
    get,
    guarded,
    metrics,
    object_of,
    problem,
    ready,
    ref,
    refusals,
    status,
)

BESIDE = "The endpoints below /v2 are those of the Open Inference Protocol, which describes them."


def document(title: str, limits: Limits, labels: Sequence[str], keys: bool) -> Values:
    """OpenAPI 3.1. keys: does a request need one?"""
    values = _document(title, limits, labels)
    return guarded(values) if keys else values


def _document(title: str, limits: Limits, labels: Sequence[str]) -> Values:
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": BESIDE},
        "paths": {
            "/v1/classify": {"post": _classify(limits)},
            "/v1/bundle": {"get": get("What is served: labels, limits, origin", ref("Bundle"))},
            "/v1/card": {"get": get("Its model card, scores and mistakes", ref("Card"))},
            "/openapi.json": {"get": get("This document", {"type": "object"})},
            "/healthz": {"get": get("Does the process answer?", status("ok"))},
            "/readyz": {"get": ready()},
            "/metrics": {"get": metrics()},
        },
        "components": {
            "schemas": {
                "Request": _request(limits),
                "Response": _response(limits),
                "Answer": _answer(labels),
                "Failure": _failure(),
                "Error": error(),
                "Bundle": _bundle(limits),
                "Card": card(),
            }
        },
    }


def _classify(limits: Limits) -> Values:
    return {
        "operationId": "classify",
        "summary": "The labels of one text or of a list",
        "description": "Each text is computed alone, as `predict.py` of the bundle does: its answer"
        " depends on nothing but the text. A text of a list that is refused has an `error` in place"
        f" of an answer. A body may have {limits.max_body_bytes} bytes.",
        "requestBody": {"required": True, "content": content(ref("Request"))},
        "responses": {
            "200": {"description": "answers", "content": content(ref("Response"))},
            **refusals(),
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
        "items": {"anyOf": [ref("Answer"), ref("Failure")]},
        "description": "one for each text, in order",
    }
    digest = {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "identity of the bundle",
    }
    return object_of({"id": IDENTITY, "bundle": digest, "answers": answers})


def _answer(labels: Sequence[str]) -> Values:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return object_of(
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


def _failure() -> Values:
    return object_of({"error": problem()}, {"id": IDENTITY})


def _bundle(limits: Limits) -> Values:
    text, whole = {"type": "string"}, {"type": "integer", "minimum": 1}
    bounds = {n: whole if isinstance(v, int) else text for n, v in limits.values().items()}
    return object_of(
        {
            "name": text,
            "title": text,
            "digest": DIGEST,
            "commit": {"type": ["string", "null"], "description": "of git, if it is known"},
            "made_from": {"type": "object", "additionalProperties": text},
            "labels": {"type": "array", "items": text},
            "max_length": {"type": ["integer", "null"], "description": "tokens read at once"},
            "limits": object_of(bounds),
            "compared": COMPARED,
        }
    )
