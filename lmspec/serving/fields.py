"""fields: the fields of a request to write: how each is read, and its schema, which are one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lmspec.serving.asking import malformed

Values = dict[str, Any]
MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True)
class Number:
    """A number.

    low, high   between which it is, both included
    above       more than `low`, which is not included
    whole       JSON has one kind of numbers, so 3.0 is 3
    """

    description: str
    low: float
    high: float
    above: bool = False
    whole: bool = False

    def read(self, name: str, value: Any) -> float:
        """Raises Refused."""
        if self.whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        is_number = type(value) is int or (type(value) is float and not self.whole)
        if (
            not is_number
            or not self.low <= value <= self.high
            or (self.above and value == self.low)
        ):
            kind = "a whole number" if self.whole else "a number"
            first = f"above {self.low:g}" if self.above else f"from {self.low:g}"
            malformed(f"`{name}` is {kind} {first} to {self.high}")
        return float(value) if not self.whole else value

    def schema(self) -> Values:
        """JSON Schema."""
        kind = "integer" if self.whole else "number"
        least = "exclusiveMinimum" if self.above else "minimum"
        bounds = {least: self.low, "maximum": self.high}
        return {"type": [kind, "null"], **bounds, "description": self.description}


@dataclass(frozen=True)
class Flag:
    """True or false."""

    description: str

    def read(self, name: str, value: Any) -> bool:
        """Raises Refused."""
        if not isinstance(value, bool):
            malformed(f"`{name}` is true or false")
        return value

    def schema(self) -> Values:
        """JSON Schema."""
        return {"type": ["boolean", "null"], "description": self.description}


@dataclass(frozen=True)
class Fixed:
    """A field that clients send, and that may only have the value that changes nothing.

    values  of which it may have one, beside null
    remedy  for who wants another one
    """

    values: tuple[Any, ...]
    remedy: str = "leave it out"

    def read(self, name: str, value: Any) -> None:
        """Raises Refused."""
        same = [one for one in self.values if one == value and is_flag(one) == is_flag(value)]
        if not same:
            only = " or ".join(map(json.dumps, self.values))
            found = f"can only be {only}" if only else "is not supported"
            malformed(f"`{name}` {found}: {self.remedy}")

    def schema(self) -> Values:
        """JSON Schema."""
        return {"enum": [*self.values, None], "description": f"no other value: {self.remedy}"}


@dataclass(frozen=True)
class Ignored:
    """A text for the logs of others."""

    def read(self, name: str, value: Any) -> None:
        """Raises Refused."""
        if not isinstance(value, str):
            malformed(f"`{name}` is a text")

    def schema(self) -> Values:
        """JSON Schema."""
        return {"type": ["string", "null"], "description": "neither used nor logged"}


Field = Number | Flag | Fixed | Ignored

TOKENS = Number("new tokens, at most", 1, MOST_TOKENS, whole=True)
BOTH: Mapping[str, Field] = {
    "max_tokens": TOKENS,
    "temperature": Number("of the draws; 0: the most probable token each time", 0, 100),
    "top_p": Number("draw of the most probable tokens with this probability", 0, 1, above=True),
    "top_k": Number("draw of so many of the most probable tokens", 1, MOST_TOKENS, whole=True),
    "min_p": Number("draw of tokens with this share of the first one's probability", 0, 1),
    "seed": Number("of the draws: the same one gives the same text", 0, 2**64 - 1, whole=True),
    "repetition_penalty": Number("of tokens that are there already", 0, 100, above=True),
    "stream": Flag("server-sent events"),
    "n": Fixed((1,), "ask several times, each time with another `seed`"),
    "presence_penalty": Fixed((0,), "use `repetition_penalty`"),
    "frequency_penalty": Fixed((0,), "use `repetition_penalty`"),
    "logit_bias": Fixed(({},)),
    "user": Ignored(),
}
OF_TEXTS: Mapping[str, Field] = {
    **BOTH,
    "best_of": Fixed((1,)),
    "echo": Fixed((False,)),
    "logprobs": Fixed(()),
    "suffix": Fixed(()),
}
OF_CHATS: Mapping[str, Field] = {
    **BOTH,
    "max_completion_tokens": TOKENS,
    "logprobs": Fixed((False,)),
    "top_logprobs": Fixed((0,)),
}


def is_flag(value: Any) -> bool:
    """True is 1 in Python, and not in JSON."""
    return isinstance(value, bool)
