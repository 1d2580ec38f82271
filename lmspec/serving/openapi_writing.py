"""openapi_writing: the document of the endpoints of a bundle that writes.

tests/test_serving_document.py holds it against the service, as with openapi.py.
"""

from collections.abc import Mapping

from lmspec.serving import completing, fields, schemas
from lmspec.serving.limits import Limits
from lmspec.serving.schemas import (
    DIGEST,
    IDENTITY,
    Values,
    content,
    get,
    object_of,
    ref,
    refusal,
    refusals,
)
from lmspec.serving.shapes import REASONS

TEXT: Values = {"type": "string"}
COUNT: Values = {"type": "integer", "minimum": 0}
STREAMED = (
    "With `stream: true` events of `data: {...}` follow each other, the last of them"
    " `data: [DONE]`; an event with `error` is the last one of a text that could not be finished."
)
ALONE = (
    "A text depends on its prompt and on these fields alone, whatever else is asked at the same"
    " time, and is the one that `predict.py` of the bundle gives."
)


def document(title: str, name: str, limits: Limits, keys: bool) -> Values:
    """OpenAPI 3.1.

    name  of the bundle
    keys  does a request need one?
    """
    paths: dict[str, Values] = {
        "/v1/completions": {"post": _post("completions", "Texts for prompts", limits)},
        "/v1/chat/completions": {"post": _post("chat", "An answer in a conversation", limits)},
        "/v1/models": {"get": get("What is served", ref("models"))},
        "/v1/models/{model}": {"get": _model()},
        "/v1/card": {"get": get("Its model card", ref("Card"))},
        "/v1/bundle": {"get": get("What is served: how it writes, limits", ref("Bundle"))},
    }
    models: dict[str, Values] = {
        "object": {"const": "list"},
        "data": {"type": "array", "items": ref("model")},
    }
    parts = {
        "completions_request": _request(fields.OF_TEXTS, _of_texts(name, limits)),
        "completions": _response("text_completion", _text()),
        "chat_request": _request(fields.OF_CHATS, _of_chats(name, limits)),
        "chat": _response("chat.completion", _message()),
        "completions_part": _part("text_completion", _text()),
        "chat_part": _part("chat.completion.chunk", _delta()),
        "model": ref_of_model(name),
        "models": object_of(models),
        "Bundle": _bundle(limits),
    }
    return schemas.document({"title": title, "description": ALONE}, paths, parts, keys)


def _post(kind: str, summary: str, limits: Limits) -> Values:
    written = {**content(ref(kind)), "text/event-stream": {"schema": TEXT}}
    responses = {"200": {"description": "texts", "content": written}, **refusals()}
    responses["404"] = refusal("there is no such `model`")
    return {
        "operationId": kind,
        "summary": summary,
        "description": f"{STREAMED} An event is a `{kind}_part`. A body may have"
        f" {limits.max_body_bytes} bytes.",
        "requestBody": {"required": True, "content": content(ref(f"{kind}_request"))},
        "responses": responses,
    }


def _model() -> Values:
    operation = get("What is served, by its name", ref("model"))
    place = {"name": "model", "in": "path", "required": True, "schema": TEXT}
    operation["parameters"] = [place]
    operation["responses"]["404"] = refusal("there is no such model")
    return operation


def ref_of_model(name: str) -> Values:
    """The one model."""
    kind, owner = {"const": "model"}, {"const": "lmspec"}
    return object_of({"id": {"const": name}, "object": kind, "created": COUNT, "owned_by": owner})


def _request(known: Mapping[str, fields.Field], others: Mapping[str, Values]) -> Values:
    needed = [name for name in ("prompt", "messages") if name in others]
    return {
        "type": "object",
        "properties": {**others, **{name: field.schema() for name, field in known.items()}},
        "required": needed,
        "additionalProperties": False,
        # the options of a stream are of a stream
        "if": {
            "properties": {"stream_options": {"type": "object"}},
            "required": ["stream_options"],
        },
        "then": {"properties": {"stream": {"const": True}}, "required": ["stream"]},
    }


def _of_texts(name: str, limits: Limits) -> dict[str, Values]:
    text = {"type": "string", "maxLength": limits.max_text_bytes}
    many = {"type": "array", "minItems": 1, "maxItems": limits.max_texts, "items": text}
    bytes_ = f"of each at most {limits.max_text_bytes} bytes in UTF-8"
    prompt = {"anyOf": [text, many], "description": f"as predict.py takes them; {bytes_}"}
    return {"prompt": prompt, **_of_both(name)}


def _of_chats(name: str, limits: Limits) -> dict[str, Values]:
    part = object_of({"type": {"const": "text"}, "text": TEXT})
    message = {
        "type": "object",
        "properties": {
            "role": {"enum": list(completing.ROLES)},
            "content": {"anyOf": [TEXT, {"type": "array", "items": part}]},
        },
        "required": ["role", "content"],
        "additionalProperties": {"type": "null"},
    }
    messages = {
        "type": "array",
        "minItems": 1,
        "items": message,
        "description": "the last one is the user's; all together have at most"
        f" {limits.max_text_bytes} bytes in UTF-8",
    }
    return {"messages": messages, **_of_both(name)}


def _of_both(name: str) -> dict[str, Values]:
    one = {"type": "string", "minLength": 1}
    stops = {"type": "array", "maxItems": completing.MOST_STOPS, "items": one}
    options = {
        "type": ["object", "null"],
        "properties": {"include_usage": {"type": "boolean"}},
        "additionalProperties": False,
    }
    return {
        "model": {"enum": [name, None], "description": "the one that is served"},
        "stop": {"anyOf": [one, stops, {"type": "null"}], "description": "texts that end a text"},
        "stream_options": options,
        "response_format": _formats(),
    }


def _formats() -> Values:
    none: Values = {"type": "null"}
    schema = {"type": "object", "description": f"at most {completing.MOST_DEPTH} levels deep"}
    named = object_of(
        {"schema": schema},
        {
            "name": {"type": ["string", "null"]},
            "description": {"type": ["string", "null"]},
            "strict": {"type": ["boolean", "null"]},
        },
    )
    kinds = [
        object_of({"type": {"const": "text"}}),
        object_of({"type": {"const": "json_object"}}),
        object_of({"type": {"const": "json_schema"}, "json_schema": named}),
        object_of({"type": {"const": "regex"}, "pattern": TEXT}),
    ]
    return {"anyOf": [*kinds, none], "description": "what each text is held to; `text`: nothing"}


def _response(kind: str, choice: Values) -> Values:
    choices = {"type": "array", "minItems": 1, "items": choice}
    return object_of(_same(kind) | {"choices": choices, "usage": _usage()})


def _part(kind: str, choice: Values) -> Values:
    choices = {"type": "array", "maxItems": 1, "items": choice}
    usage = {"anyOf": [_usage(), {"type": "null"}]}
    return object_of(_same(kind) | {"choices": choices}, {"usage": usage})


def _same(kind: str) -> dict[str, Values]:
    return {
        "id": IDENTITY,
        "object": {"const": kind},
        "created": COUNT,
        "model": TEXT,
        "system_fingerprint": DIGEST,
    }


def _usage() -> Values:
    return object_of(
        {"prompt_tokens": COUNT, "completion_tokens": COUNT, "total_tokens": COUNT},
    )


def _text() -> Values:
    return _choice({"text": TEXT})


def _message() -> Values:
    return _choice({"message": object_of({"role": {"const": "assistant"}, "content": TEXT})})


def _delta() -> Values:
    return _choice({"delta": object_of({}, {"role": {"const": "assistant"}, "content": TEXT})})


def _choice(text: dict[str, Values]) -> Values:
    ends = {"enum": [*sorted({*REASONS.values()}), None]}
    return object_of({"index": COUNT, **text, "logprobs": {"type": "null"}, "finish_reason": ends})


def _bundle(limits: Limits) -> Values:
    whole = {"type": "integer", "minimum": 1}
    more: dict[str, Values] = {
        "generation": {"type": "object", "description": "how it writes unless it is asked to"},
        "chats": {"type": "boolean", "description": "does it read conversations?"},
        "positions": {**whole, "description": "tokens of a prompt and its text"},
        "batch_invariant": {"type": "boolean", "description": "are texts written together?"},
        "slots": {**whole, "description": "texts that are written together, at most"},
    }
    return schemas.bundle(limits, more)
