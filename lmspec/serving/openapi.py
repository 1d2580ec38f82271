"""openapi: the document of the endpoints, with the limits and labels of the bundle.

tests/test_serving.py holds it against the service: a body that its schema accepts is taken, any
other is refused, and each response is as it says.
"""

from collections.abc import Sequence

from lmspec.methods.abstaining import UNSURE
from lmspec.serving import schemas
from lmspec.serving.asking import MOST_LABELS
from lmspec.serving.limits import Limits
from lmspec.serving.schemas import (
    COMPARED,
    DIGEST,
    IDENTITY,
    Values,
    content,
    get,
    object_of,
    problem,
    ref,
    refusals,
)

BESIDE = "The endpoints below /v2 are those of the Open Inference Protocol, which describes them."


def document(
    title: str, limits: Limits, labels: Sequence[str], keys: bool, abstains: bool = False
) -> Values:
    """OpenAPI 3.1.

    keys      does a request need one?
    abstains  may an answer be `unsure`?
    """
    paths: dict[str, Values] = {
        "/v1/classify": {"post": _classify(limits)},
        "/v1/bundle": {"get": get("What is served: labels, limits, origin", ref("Bundle"))},
        "/v1/card": {"get": get("Its model card, scores and mistakes", ref("Card"))},
    }
    parts = {
        "Request": _request(limits),
        "Response": _response(limits),
        "Answer": _answer(labels, abstains),
        "Failure": _failure(),
        "Bundle": _bundle(limits),
    }
    return schemas.document({"title": title, "description": BESIDE}, paths, parts, keys)


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
    digest = DIGEST | {"description": "identity of the bundle"}
    return object_of({"id": IDENTITY, "bundle": digest, "answers": answers})


def _answer(labels: Sequence[str], abstains: bool) -> Values:
    answers = [*labels, *[UNSURE] * abstains]
    may_be = f"; {UNSURE}: none alone is probable enough" if abstains else ""
    share = {"type": "number", "minimum": 0, "maximum": 1}
    return object_of(
        {
            "label": {
                "enum": [*answers, None],
                "description": f"null: there is nothing to read{may_be}",
            },
            "confidence": {
                "anyOf": [share, {"type": "null"}],
                "description": "of the most probable label" if abstains else "of the label",
            },
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
    more: dict[str, Values] = {
        "labels": {"type": "array", "items": {"type": "string"}},
        "max_length": {"type": ["integer", "null"], "description": "tokens read at once"},
        "target": {
            "type": ["object", "null"],
            "description": "which of the bundle's graphs computes, if it has several",
        },
        "compared": COMPARED,
    }
    return schemas.bundle(limits, more)
