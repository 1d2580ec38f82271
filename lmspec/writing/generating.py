"""generating: prompts as token ids -> texts, token by token, several requests at a time.

A bundle has a copy of this file, so it imports nothing of lmspec.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

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

    finished: bool  # nothing may follow, except the end

    def mask(self) -> Bools:
        """(V,) which tokens may come next."""

    def accept(self, token: int) -> None:
        """The token that comes next."""


class Constraint(Protocol):
    """What texts have to look like."""

    def begin(self) -> Allowed:
        """For a new text."""


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn. What is None has no effect.

    temperature  divides the logits; more than 0
    top_p        the most probable tokens, until they have this much probability together, in 0..1
    top_k        this many of the most probable tokens
    min_p        tokens with at least this share of the probability of the most probable one
    seed         of the draws
    """

    temperature: float
    top_p: float | None
    top_k: int | None
    min_p: float | None
    seed: int


@dataclass(frozen=True)
class Request:
    """What is asked for. The same request gets the same text, whatever else is asked for.

    ids         (t,) the prompt, at least one token
    new_tokens  most that are generated, the end token included
    sampling    None: greedy, the most probable token
    stop        strings that end the text, which has none of them
    key         of its draws, beside the seed: `key_of` the prompt
    penalty     of tokens that are in prompt or text already: positive logits are divided by it,
                others multiplied
    constraint  of the text
    """

    ids: Ids
    new_tokens: int
    sampling: Sampling | None = None
    stop: tuple[str, ...] = ()
    key: int = 0
    penalty: float | None = None
    constraint: Constraint | None = None


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
