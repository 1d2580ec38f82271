"""timing: how fast a decoder reads prompts and writes after them: one alone, and several together.

It is the time of `generate`, as scores, a bundle and a server have it, with all that it does beside
the model: choosing each token, its probability, the text.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lmspec.errors import LmspecError
from lmspec.writing.generating import Decoder, Ids, Request, generate
from lmspec.writing.growing import Tokenizer

STATISTICS = Path("/proc/stat")
# Of its first line, after the name: nice and user time, that of the kernel, of interrupts, and what
# a hypervisor took; not idle (3) and waiting (4). That of guests is in user time, too.
BUSY = (0, 1, 2, 5, 6, 7)


@dataclass(frozen=True)
class Round:
    """Seconds of one round.

    first   from a prompt to its first token; rest: from there to the last one
    firsts  from a batch of prompts to the first token of each; rests: from there to the last one
    """

    first: float
    rest: float
    firsts: float
    rests: float


@dataclass(frozen=True)
class Contestant:
    """A decoder with its prompts.

    prompts     (p,) of them, in one length
    new_tokens  after each
    together    how many prompts are continued at a time
    """

    decoder: Decoder
    tokenizer: Tokenizer
    prompts: Sequence[Ids]
    new_tokens: int
    together: int

    def round(self, number: int) -> Round:
        """Continue the next prompt alone, then that and those after it together."""
        begin = number * self.together
        chosen = [self.prompts[(begin + i) % len(self.prompts)] for i in range(self.together)]
        return Round(*self.seconds(chosen[:1]), *self.seconds(chosen))

    def seconds(self, prompts: Sequence[Ids]) -> tuple[float, float]:
        """(until each prompt has its first token, from there to the end)."""
        requests = [Request(ids, self.new_tokens) for ids in prompts]
        start = time.perf_counter()
        tokens = generate(self.decoder, requests, self.tokenizer, (), len(requests))
        for _ in prompts:
            next(tokens)
        between = time.perf_counter()
        for _ in tokens:
            pass
        return between - start, time.perf_counter() - between


def require_room(positions: int, reads: int, writes: int, place: str) -> None:
    """Raise LmspecError if a decoder at a place cannot read a prompt and so many new tokens."""
    if reads + writes > positions:
        found = f"{reads} tokens and {writes} new ones are more than the {positions} tokens that it"
        raise LmspecError(place, f"{found} reads", "lower `prompt_tokens` or `new_tokens`")


def prompts(rows: Sequence[Ids], tokens: int) -> list[Ids]:
    """As many prompts as rows, each of so many tokens: those of a row, and of the rows after it."""
    whole, starts = np.concatenate(rows), np.cumsum([0, *map(len, rows)])[:-1]
    round_and_round = np.concatenate([whole, np.resize(whole, tokens)])
    return [round_and_round[start : start + tokens] for start in starts.tolist()]


def in_turn(one: Contestant, other: Contestant, rounds: int) -> tuple[list[Round], list[Round]]:
    """Both in every round; odd rounds reverse. One round before the first is not counted."""
    taken: tuple[list[Round], list[Round]] = ([], [])
    for number in range(-1, rounds):
        for which in (0, 1) if number % 2 == 0 else (1, 0):
            found = (one, other)[which].round(max(number, 0))
            if number >= 0:
                taken[which].append(found)
    return taken


Rates = dict[str, NDArray[np.float64]]


def rates(rounds: Sequence[Round], contestant: Contestant) -> Rates:
    """Column -> (rounds,): milliseconds, and tokens per second of all that are continued."""
    read, written = len(contestant.prompts[0]), contestant.new_tokens - 1
    first, rest, firsts, rests = np.array(
        [(r.first, r.rest, r.firsts, r.rests) for r in rounds], np.float64
    ).T
    return {
        "first_token_ms": first * 1e3,
        "prefill_tokens_per_second": read / first,
        "decode_tokens_per_second": written / rest,
        "batch_prefill_tokens_per_second": contestant.together * read / firsts,
        "batch_decode_tokens_per_second": contestant.together * written / rests,
    }


@dataclass(frozen=True)
class Work:
    """Seconds that processors have computed: all of them, and for this process; the time it is."""

    all: float
    own: float
    at: float

    @classmethod
    def until_now(cls) -> "Work | None":
        """None where the kernel does not say."""
        if not STATISTICS.exists():
            return None
        fields = STATISTICS.read_text().split("\n", 1)[0].split()[1:]
        ticks = sum(int(fields[place]) for place in BUSY)
        own = os.times()
        used = own.user + own.system + own.children_user + own.children_system
        return cls(ticks / os.sysconf("SC_CLK_TCK"), used, time.perf_counter())

    def others_share(self, since: "Work") -> float:
        """Share of the processors' time in which they computed for other processes."""
        there_was = (self.at - since.at) * (os.cpu_count() or 1)
        others = (self.all - since.all) - (self.own - since.own)
        return min(1.0, max(0.0, others / there_was)) if there_was > 0 else 0.0
