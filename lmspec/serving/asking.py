"""asking: the body of a request -> what it asks for, or why it is refused."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NoReturn

from lmspec.methods.reading import Windows
from lmspec.serving.limits import Limits

ID = r"[A-Za-z0-9._~:/+=-]{1,128}"  # it is logged, so it holds nothing that acts
FIELDS = ("text", "texts", "top", "id")
MOST_LABELS = 100_000  # of `top`
Content = str | Windows  # a text, or what a client has read of it


class Refused(Exception):
    """Why a request, or one text of it, has no answer.

    status   of the response, if the request is refused as a whole
    code     for programs
    message  for people
    close    the rest of the request is not read, so the connection ends
    """

    def __init__(self, status: HTTPStatus, code: str, message: str, *, close: bool = False) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.close = status, code, message, close

    def values(self) -> dict[str, str]:
        """As JSON has it."""
        return {"code": self.code, "message": self.message}


@dataclass(frozen=True)
class Text:
    """One text of a request; why it is refused, if it is."""

    text: Content = ""
    id: str | None = None
    refused: Refused | None = None


@dataclass(frozen=True)
class Asked:
    """What a request asks for.

    top     so many labels, the most probable ones; None: all
    id      that the client gave the request
    single  it has one text, and no list
    """

    texts: Sequence[Text]
    top: int | None
    id: str | None
    single: bool


def asked(body: bytes, limits: Limits) -> Asked:
    """Parse a body. A text of a list that is refused is refused alone. Raises Refused."""
    values = parsed(body)
    for name in values:
        if name not in FIELDS:
            malformed(f"there is no field {name[:50]!r}; the fields are {', '.join(FIELDS)}")
    if ("text" in values) == ("texts" in values):
        malformed("give either `text`, or `texts` with a list")
    top, identity = _top(values), _id(values)
    if "text" in values:
        only = text(values["text"], limits)
        if only.refused:
            raise only.refused
        return Asked((only,), top, identity, single=True)
    texts = values["texts"]
    if not isinstance(texts, list) or not texts:
        malformed("`texts` is a list of one text or more")
    require_number(len(texts), limits)
    return Asked([_element(one, limits) for one in texts], top, identity, single=False)


def require_number(texts: int, limits: Limits) -> None:
    """Raise Refused if a request has too many texts."""
    if texts > limits.max_texts:
        message = f"a request may have {limits.max_texts} texts, and has {texts}"
        raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, "too_many_texts", message)


def is_id(value: Any) -> bool:
    """May it name a request or a text?"""
    return isinstance(value, str) and re.fullmatch(ID, value) is not None


def parsed(body: bytes) -> dict[str, Any]:
    """Raises Refused unless the body is one JSON object in UTF-8."""
    try:
        values = JSON.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        malformed(f"the body is not UTF-8: byte {error.start}")
    except RecursionError:
        malformed("the body is nested too deeply")
    except ValueError as error:
        malformed(f"the body is not JSON: {str(error)[:200]}")
    if not isinstance(values, dict):
        malformed('the body is no JSON object, such as {"text": "A text."}')
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object has a field twice")
    return values


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)


def _top(values: Mapping[str, Any]) -> int | None:
    """None without one. JSON has one kind of numbers, so 3.0 is 3."""
    if "top" not in values:
        return None
    top = values["top"]
    if isinstance(top, float) and top.is_integer():
        top = int(top)
    if type(top) is not int or not 1 <= top <= MOST_LABELS:
        malformed(f"`top` is a whole number from 1 to {MOST_LABELS}")
    return top


def _id(values: Mapping[str, Any]) -> str | None:
    identity = values.get("id")
    if "id" in values and not is_id(identity):
        malformed("an `id` is text of 1 to 128 ASCII letters, digits and ._~:/+=-")
    return identity


def _element(value: Any, limits: Limits) -> Text:
    """One of `texts`: a text, or an object of `text` and `id`."""
    if not isinstance(value, dict):
        return text(value, limits)
    try:
        identity = _id(value)
    except Refused as error:
        return Text(refused=error)
    if not value.keys() <= {"text", "id"} or "text" not in value:
        return Text(id=identity, refused=_no_text("it is no object of `text` and `id`"))
    return text(value["text"], limits, identity)


def text(value: Any, limits: Limits, identity: str | None = None) -> Text:
    """One text, or why it is refused."""
    if not isinstance(value, str):
        return Text(id=identity, refused=_no_text("it is not a text"))
    most = limits.max_text_bytes
    if len(value) > most or len(value.encode("utf-8", "surrogatepass")) > most:
        message = f"the text has more than {most} bytes in UTF-8"
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return Text(id=identity, refused=Refused(status, "text_too_long", message))
    return Text(value, identity)


def _no_text(message: str) -> Refused:
    return Refused(HTTPStatus.BAD_REQUEST, "no_text", message)


def malformed(message: str) -> NoReturn:
    """Refuse a request that is not as described."""
    raise Refused(HTTPStatus.BAD_REQUEST, "malformed", message)
