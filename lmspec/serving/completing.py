"""completing: the body of a request to write -> what it asks for, or why it is refused."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from lmspec.formats.predict_writing import Asked, Settings
from lmspec.serving import asking, fields
from lmspec.serving.asking import Refused, malformed
from lmspec.serving.limits import Limits
from lmspec.writing.prompting import ASSISTANT, SYSTEM, USER
from lmspec.writing.sampling import Sampling

ROLES = {"system": SYSTEM, "developer": SYSTEM, "user": USER, "assistant": ASSISTANT}
DRAWS = ("temperature", "top_p", "top_k", "min_p", "seed")
MOST_STOPS, MOST_DEPTH = 16, 64  # of a JSON schema: what reads it recurses
OTHER_TEXTS = ("prompt", "stop", "stream_options", "response_format", "model")
OTHER_CHATS = ("messages", *OTHER_TEXTS[1:])
Rule = tuple[str, Any]  # kind of a constraint, and what it is made of


@dataclass(frozen=True)
class Wanted:
    """What a request asks for.

    model    None: whichever is served
    asked    prompts, each with a text of its own; or one conversation
    given    fields that are not null
    stop     None: as the bundle has it
    rule     None: the bundle's constraint; ("text", None): no constraint
    usage    is a stream to end with the numbers of tokens?
    """

    model: str | None
    asked: Sequence[Asked]
    given: Mapping[str, Any]
    stop: tuple[str, ...] | None
    rule: Rule | None
    usage: bool

    @property
    def stream(self) -> bool:
        """Is each token to be sent at once?"""
        return bool(self.given.get("stream"))

    def settings(self, own: Settings) -> Settings:
        """Those of the bundle, with what the request changes, but for its constraint.

        Raises Refused.
        """
        limits = [self.given[name] for name in MAXIMA if name in self.given]
        return dataclasses.replace(
            own,
            new_tokens=min(limits, default=own.new_tokens),
            sampling=self._sampling(own.sampling),
            stop=own.stop if self.stop is None else self.stop,
            penalty=self.given.get("repetition_penalty", own.penalty),
            constraint=None if self.rule else own.constraint,
        )

    def _sampling(self, own: Sampling | None) -> Sampling | None:
        """None: the most probable token each time, with any seed."""
        given = {name: self.given[name] for name in DRAWS if name in self.given}
        if given.get("temperature") == 0:
            return None
        if own is None and "temperature" not in given:
            for name, nothing in (("top_p", 1), ("top_k", None), ("min_p", 0)):
                if given.get(name, nothing) != nothing:
                    found = "and this bundle takes the most probable token each time"
                    malformed(f"`{name}` is of draws, {found}: give `temperature`, too")
            return None
        if given.get("min_p") == 0:
            given["min_p"] = None
        return dataclasses.replace(own or Sampling(), **given)


MAXIMA = ("max_tokens", "max_completion_tokens")


def texts(body: bytes, limits: Limits) -> Wanted:
    """Of /v1/completions. Raises Refused."""
    values = _known(body, fields.OF_TEXTS, OTHER_TEXTS)
    return _wanted(values, fields.OF_TEXTS, _prompts(values.get("prompt"), limits))


def chat(body: bytes, limits: Limits) -> Wanted:
    """Of /v1/chat/completions. Raises Refused."""
    values = _known(body, fields.OF_CHATS, OTHER_CHATS)
    return _wanted(values, fields.OF_CHATS, [_messages(values.get("messages"), limits)])


def _known(body: bytes, known: Mapping[str, Any], others: Sequence[str]) -> dict[str, Any]:
    """The fields that are not null, of which each is known."""
    values = asking.parsed(body)
    for name in values:
        if name not in known and name not in others:
            names = ", ".join(sorted([*known, *others]))
            malformed(f"there is no field {name[:50]!r}; the fields are {names}")
    return {name: value for name, value in values.items() if value is not None}


def _wanted(
    values: Mapping[str, Any], known: Mapping[str, fields.Field], asked: Sequence[Asked]
) -> Wanted:
    model = values.get("model")
    if not isinstance(model, str | None):
        malformed("`model` is a text")
    given = {n: field.read(n, values[n]) for n, field in known.items() if n in values}
    stop = _stop(values["stop"]) if "stop" in values else None
    rule = _rule(values["response_format"]) if "response_format" in values else None
    usage = _usage(values.get("stream_options"), bool(given.get("stream")))
    return Wanted(model, asked, given, stop, rule, usage)


def _prompts(value: Any, limits: Limits) -> list[Asked]:
    prompts = [value] if isinstance(value, str) else value
    if not isinstance(prompts, list) or not prompts:
        malformed("`prompt` is a text, or a list of one text or more")
    asking.require_number(len(prompts), limits)
    if not all(isinstance(prompt, str) for prompt in prompts):
        malformed("`prompt` is a text, or a list of texts; ids of tokens are not read")
    for prompt in prompts:
        _require_length(prompt, limits)
    return [*prompts]


def _messages(value: Any, limits: Limits) -> Asked:
    """A conversation, which is as long as a text may be."""
    if not isinstance(value, list) or not value:
        malformed("`messages` is a list of one message or more")
    messages = [_message(one) for one in value]
    _require_length("".join(message["content"] for message in messages), limits)
    return messages


def _message(value: Any) -> dict[str, str]:
    """Raises Refused. A field that is null is no field, as in what a client was answered."""
    given = {n: v for n, v in value.items() if v is not None} if isinstance(value, dict) else {}
    if given.keys() != {"role", "content"}:
        malformed("a message is an object of `role` and `content`")
    role, content = given["role"], given["content"]
    if not isinstance(role, str) or role not in ROLES:
        malformed(f"the `role` of a message is one of {', '.join(ROLES)}")
    return {"role": ROLES[role], "content": _content(content)}


def _content(value: Any) -> str:
    """A text, or the texts of its parts."""
    parts = [{"type": "text", "text": value}] if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(map(_is_text_part, parts)):
        malformed("the `content` of a message is a text, or a list of parts of type `text`")
    return "".join(part["text"] for part in parts)


def _is_text_part(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and part.keys() == {"type", "text"}
        and part["type"] == "text"
        and isinstance(part["text"], str)
    )


def _require_length(text: str, limits: Limits) -> None:
    refused = asking.text(text, limits).refused
    if refused:
        raise refused


def _stop(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value
    is_list = isinstance(stops, list) and all(isinstance(one, str) and one for one in stops)
    if not is_list or len(stops) > MOST_STOPS:
        malformed(f"`stop` is a text, or a list of at most {MOST_STOPS}, none of them empty")
    return tuple(stops)


def _usage(value: Any, stream: bool) -> bool:
    if value is None:
        return False
    if not stream:
        malformed("`stream_options` is of `stream: true`")
    if not isinstance(value, dict) or not value.keys() <= {"include_usage"}:
        malformed("`stream_options` is an object of `include_usage`")
    usage = value.get("include_usage", False)
    if not isinstance(usage, bool):
        malformed("`include_usage` is true or false")
    return usage


def _rule(value: Any) -> Rule:
    """Of `response_format`."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text" and value.keys() == {"type"}:
        return "text", None
    if kind == "json_object" and value.keys() == {"type"}:
        return "json_schema", {"type": "object"}
    if kind == "regex" and value.keys() == {"type", "pattern"} and is_text(value["pattern"]):
        return "regex", value["pattern"]
    if kind != "json_schema" or value.keys() != {"type", "json_schema"}:
        kinds = (
            "`text`, `json_object`, `json_schema` with its `json_schema`, `regex` with `pattern`"
        )
        malformed(f"`response_format` is an object with a `type`: {kinds}")
    return "json_schema", _schema(value["json_schema"])


def _schema(value: Any) -> dict[str, Any]:
    """The `schema` of a `json_schema`; its name, what it is for, and `strict` change nothing."""
    named = {"name": str, "description": str, "strict": bool}
    if not isinstance(value, dict) or not value.keys() <= {"schema", *named}:
        malformed(f"`json_schema` is an object of `schema`, and may have {', '.join(named)}")
    for name, kind in named.items():
        if not isinstance(value.get(name), kind | None):
            malformed(f"the `{name}` of `json_schema` is {'a text' if kind is str else 'a flag'}")
    schema = value.get("schema")
    if not isinstance(schema, dict) or depth(schema) > MOST_DEPTH:
        malformed(f"its `schema` is an object, at most {MOST_DEPTH} levels deep")
    return schema


def depth(value: Any) -> int:
    """Levels of lists and objects."""
    levels, inner = 0, [value]
    while inner:
        levels += 1
        inner = [
            one
            for outer in inner
            if isinstance(outer, dict | list)
            for one in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return levels


def is_text(value: Any) -> bool:
    """One that UTF-8 can hold."""
    return isinstance(value, str) and not any("\ud800" <= sign <= "\udfff" for sign in value)


def too_long(tokens: int, positions: int) -> Refused:
    """A prompt that leaves no room for a text."""
    message = f"the prompt has {tokens} tokens, and the model reads {positions} with its text"
    return Refused(HTTPStatus.BAD_REQUEST, "context_length_exceeded", message)
