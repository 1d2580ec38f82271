"""shapes: texts as clients of OpenAI's API read them, whole and in parts."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from lmspec.serving import compact
from lmspec.serving.decoding import Answer

Values = dict[str, Any]
REASONS: Mapping[str, str] = {  # why a text ends -> `finish_reason`
    "end": "stop",
    "stop": "stop",
    "limit": "length",
    "positions": "length",
}
DONE = b"data: [DONE]\n\n"


class Shape:
    """The responses to one request.

    identity  of the request
    model     name of the bundle
    digest    of the bundle
    usage     does a stream end with the numbers of tokens?
    """

    whole_kind = part_kind = ""

    def __init__(self, identity: str, model: str, digest: str, usage: bool) -> None:
        self._same = {"id": identity, "created": int(time.time()), "model": model}
        self._same["system_fingerprint"] = digest
        self._usage = usage

    def whole(self, answers: Sequence[Answer]) -> Values:
        """All texts, which have ended."""
        choices = [self.choice(number, answer) for number, answer in enumerate(answers)]
        return self._values(self.whole_kind, choices) | {"usage": usage(answers)}

    def opening(self) -> list[Values]:
        """What comes before the first part of a stream."""
        return []

    def part(self, number: int, text: str) -> Values:
        """More of a text."""
        return self._part(self.delta(number, text))

    def end(self, number: int, answer: Answer) -> Values:
        """A text has ended."""
        return self._part(self.delta(number, None) | {"finish_reason": reason(answer)})

    def usage(self, answers: Sequence[Answer]) -> Values:
        """The last part of a stream."""
        return self._values(self.part_kind, []) | {"usage": usage(answers)}

    def choice(self, number: int, answer: Answer) -> Values:
        """A whole text."""
        raise NotImplementedError

    def delta(self, number: int, text: str | None) -> Values:
        """More of a text; None: nothing."""
        raise NotImplementedError

    def _part(self, choice: Values) -> Values:
        values = self._values(self.part_kind, [choice])
        return values | {"usage": None} if self._usage else values

    def _values(self, kind: str, choices: Sequence[Values]) -> Values:
        return {**self._same, "object": kind, "choices": choices}


class Texts(Shape):
    """Of /v1/completions."""

    whole_kind = part_kind = "text_completion"

    def choice(self, number: int, answer: Answer) -> Values:
        """A whole text."""
        return self.delta(number, answer.text) | {"finish_reason": reason(answer)}

    def delta(self, number: int, text: str | None) -> Values:
        """More of a text; None: nothing."""
        return {"index": number, "text": text or "", "logprobs": None, "finish_reason": None}


class Chat(Shape):
    """Of /v1/chat/completions."""

    whole_kind, part_kind = "chat.completion", "chat.completion.chunk"

    def choice(self, number: int, answer: Answer) -> Values:
        """A whole text."""
        message = {"role": "assistant", "content": answer.text}
        ended = reason(answer)
        return {"index": number, "message": message, "logprobs": None, "finish_reason": ended}

    def delta(self, number: int, text: str | None) -> Values:
        """More of a text; None: nothing."""
        more = {} if text is None else {"content": text}
        return {"index": number, "delta": more, "logprobs": None, "finish_reason": None}

    def opening(self) -> list[Values]:
        """Who writes."""
        delta = {"role": "assistant", "content": ""}
        return [self._part(self.delta(0, None) | {"delta": delta})]


def reason(answer: Answer) -> str:
    """Why it ends."""
    return REASONS[answer.stopped]


def usage(answers: Sequence[Answer]) -> dict[str, int]:
    """How many tokens there are."""
    read = sum(answer.prompt_tokens for answer in answers)
    written = sum(len(answer.tokens) for answer in answers)
    tokens = {"prompt_tokens": read, "completion_tokens": written}
    return tokens | {"total_tokens": read + written}


def sent(values: Values) -> bytes:
    """A server-sent event."""
    return b"data: " + compact.content(values) + b"\n\n"
