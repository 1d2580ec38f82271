"""generating: prompts as token ids -> texts, token by token, several requests at a time.

A bundle has a copy of this file, so of lmspec it imports only what is copied, too.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lmspec.writing.growing import GrowingText, Tokenizer
from lmspec.writing.sampling import Sampling, adjusted, chosen, draw, log_probability

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Past = Any  # what a decoder keeps of the tokens that it has read of one request


class Decoder(Protocol):
    """A model that writes: logits of the next token, given those before.

    vocabulary  V: how many logits there are
    positions   how many tokens it can read, those of the prompt included
    """

    vocabulary: int
    positions: int

    def prefill(self, ids: Ids) -> tuple[Past, Floats]:
        """(t,) tokens of one request -> its past, and the logits (V,) after the last of them."""

    def step(self, pasts: Sequence[Past], tokens: Ids) -> tuple[list[Past], Floats]:
        """One more token (b,) of each of b requests -> their pasts, and the logits (b, V).

        A past is used once: the one returned replaces it. A request's logits are the same bits
        whatever the others are, and in whatever order; else its text depends on its company.
        """

    def logits(self, rows: Sequence[Ids]) -> Iterator[Floats]:
        """(t, V) of each row in order, after each of its t tokens: what a loss is computed of."""


class Allowed(Protocol):
    """Which tokens a constraint allows next, in one text."""

    @property
    def finished(self) -> bool:
        """Is the text complete, so that nothing but the end may follow?"""

    def mask(self) -> Bools:
        """(V,) which tokens may come next; the end tokens, where the text may end."""

    def accept(self, token: int) -> None:
        """The token that comes next."""


class Constraint(Protocol):
    """What texts have to look like."""

    def begin(self) -> Allowed:
        """For a new text."""


@dataclass(frozen=True)
class Request:
    """What is asked for. The same request gets the same text, whatever else is asked for.

    ids         (t,) the prompt, at least one token
    new_tokens  most that are generated, the end token included
    sampling    None: greedy, the most probable token
    stop        strings that end the text, which has none of them
    key         of its draws, beside the seed: `key_of` the prompt
    penalty     of repetition: for tokens that prompt or text have already, positive logits are
                divided by it, others multiplied; more than 0
    constraint  of the text
    end_penalty  by how much the logits of end tokens are lowered: more makes longer texts
    Raises ValueError.
    """

    ids: Ids
    new_tokens: int
    sampling: Sampling | None = None
    stop: tuple[str, ...] = ()
    key: int = 0
    penalty: float | None = None
    constraint: Constraint | None = None
    end_penalty: float = 0.0

    def __post_init__(self) -> None:
        if len(self.ids) == 0:
            raise ValueError("a prompt has at least one token")
        if self.new_tokens < 1:
            raise ValueError(f"new_tokens is at least 1, not {self.new_tokens}")
        if "" in self.stop:
            raise ValueError("a stop string has at least one character")
        if self.penalty is not None and not 0 < self.penalty < np.inf:
            raise ValueError(f"a penalty is more than 0, not {self.penalty}")
        if not 0 <= self.end_penalty < np.inf:
            raise ValueError(f"an end penalty is at least 0, not {self.end_penalty}")


@dataclass(frozen=True)
class Token:
    """One more token of a text.

    request          position of its request
    id               -1 if the prompt leaves no room for any
    text             what is certain of the text with it, and was not before
    log_probability  by the model alone: without penalty, constraint and sampling
    stopped          why the text ends here: `end` (token, or constraint), `stop` (string), `limit`
                     (of new tokens) or `positions` (of the model); None if it goes on
    """

    request: int
    id: int
    text: str
    log_probability: float
    stopped: str | None


@dataclass(frozen=True)
class Written:
    """A whole text.

    ids              (n,) its tokens, with the one that ended it
    log_probability  sum over these tokens
    stopped          as of its last `Token`
    """

    ids: Ids
    text: str
    log_probability: float
    stopped: str


def key_of(ids: Ids, number: int = 0) -> int:
    """The key of a request's draws: of its prompt, so neither of its place nor of its company.

    number  apart for each of several texts of one prompt
    """
    digest = hashlib.sha256(np.asarray(ids, "<i8").tobytes()).digest()
    return int.from_bytes(digest[:8], "little") ^ number


def texts(
    decoder: Decoder,
    requests: Iterable[Request],
    tokenizer: Tokenizer,
    end_ids: Sequence[int],
    slots: int,
) -> list[Written]:
    """The text of each request, in order. Arguments and errors are those of `generate`."""
    tokens: dict[int, list[Token]] = {}
    for token in generate(decoder, requests, tokenizer, end_ids, slots):
        tokens.setdefault(token.request, []).append(token)
    return [_written(tokens[number]) for number in range(len(tokens))]


def _written(tokens: Sequence[Token]) -> Written:
    return Written(
        np.array([token.id for token in tokens if token.id >= 0], np.int64),
        "".join(token.text for token in tokens),
        sum(token.log_probability for token in tokens),
        tokens[-1].stopped or "",
    )


def generate(
    decoder: Decoder,
    requests: Iterable[Request],
    tokenizer: Tokenizer,
    end_ids: Sequence[int],
    slots: int,
) -> Iterator[Token]:
    """Each token as it is generated; those of up to `slots` requests alternate.

    requests   the next one is taken as soon as another is finished
    tokenizer  whose tokens they are
    end_ids    tokens that end a text; in a prompt they end nothing
    Raises ValueError if the logits are no numbers, or a constraint allows no token.
    """
    if slots < 1:
        raise ValueError(f"slots is at least 1, not {slots}")
    ends = frozenset(end_ids)
    batch, waiting = Batch(decoder), enumerate(requests)
    while True:
        while len(batch) < slots and (asked := next(waiting, None)) is not None:
            begun = Text(*asked, decoder, tokenizer, ends)
            yield begun.first(decoder)
            batch.join(begun)
        if not len(batch):
            return
        for token in batch.step():
            if isinstance(token, Failed):
                raise token.error
            yield token


@dataclass(frozen=True)
class Failed:
    """A text that cannot go on: its logits are no numbers, or its constraint allows no token.

    request  number of its request
    """

    request: int
    error: ValueError


class Batch:
    """Texts that grow together; between two steps any may join, or leave.

    A text does not depend on the others, nor on when they come and go.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._texts: dict[int, Text] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def join(self, text: "Text") -> None:
        """A text that has its first token; none that has ended with it."""
        if text.stopped is None:
            self._texts[text.number] = text

    def leave(self, number: int) -> None:
        """The text of that number, if it is there, grows no further."""
        self._texts.pop(number, None)

    def step(self) -> list[Token | Failed]:
        """One more token of each text. Those that have ended, or failed, have left."""
        texts = list(self._texts.values())
        last = np.array([text.last for text in texts], np.int64)
        pasts, logits = self._decoder.step([text.past for text in texts], last)
        found: list[Token | Failed] = []
        for text, past, row in zip(texts, pasts, logits, strict=True):
            text.past = past
            try:
                found.append(text.following(row))
            except ValueError as error:
                found.append(Failed(text.number, error))
                self.leave(text.number)
            if text.stopped is not None:
                self.leave(text.number)
        return found


class Text:
    """A text that grows.

    number   of its request
    past     of its tokens but the last
    last     the token that the decoder has not read yet
    stopped  as of its last `Token`
    """

    past: Past
    last: int
    stopped: str | None = None

    def __init__(
        self,
        number: int,
        request: Request,
        decoder: Decoder,
        tokenizer: Tokenizer,
        ends: frozenset[int],
    ) -> None:
        self.number, self._request, self._ends = number, request, ends
        self._room = min(request.new_tokens, decoder.positions - len(request.ids))
        self._text = GrowingText(tokenizer, request.stop)
        self._allowed = request.constraint.begin() if request.constraint else None
        self._count = 0
        self._seen: Bools | None = None
        if request.penalty is not None:
            self._seen = np.zeros(decoder.vocabulary, np.bool_)
            self._seen[request.ids] = True

    def first(self, decoder: Decoder) -> Token:
        """Read the prompt."""
        if self._room < 1:
            self.stopped = "positions"
            return Token(self.number, -1, "", 0.0, self.stopped)
        self.past, logits = decoder.prefill(self._request.ids)
        return self.following(logits)

    def following(self, logits: Floats) -> Token:
        """The next token, of the logits (V,) after what was read."""
        request = self._request
        mask = self._allowed.mask() if self._allowed else None
        if mask is not None and not mask.any():
            raise ValueError("the constraint allows no token, not even the end of the text")
        ends = sorted(self._ends) if request.end_penalty else ()
        scores = adjusted(logits, self._seen, request.penalty, mask, ends, request.end_penalty)
        sampling = request.sampling
        number = draw(sampling.seed, request.key, self._count) if sampling else 0.0
        self.last = chosen(scores, sampling, number)
        self._count += 1
        text, self.stopped = self._adding(self.last)
        certainty = log_probability(logits, self.last)
        return Token(self.number, self.last, text, certainty, self.stopped)

    def _adding(self, token: int) -> tuple[str, str | None]:
        """(what a token adds to the text, why the text ends with it)."""
        if token in self._ends:
            return self._text.rest(), "end"
        text, is_stopped = self._text.add(token)
        if is_stopped:
            return text, "stop"
        if self._seen is not None:
            self._seen[token] = True
        if self._allowed is not None:
            self._allowed.accept(token)
            if self._allowed.finished:
                return text + self._text.rest(), "end"
        if self._count < self._room:
            return text, None
        is_limit = self._room == self._request.new_tokens
        return text + self._text.rest(), "limit" if is_limit else "positions"
