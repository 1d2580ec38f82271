"""sent: an answer, once it is sent: a shadow may be asked the same, and a file may keep it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.background import BackgroundTask

from lmspec.serving.asking import Text


@dataclass(frozen=True, slots=True)
class Sent:
    """A text, and the answer that was sent.

    time           milliseconds since 1970, UTC
    request        its id
    number         of the text in the request, from 0
    label          the answer
    probabilities  as they were sent: the most probable label first
    labels         all that the bundle tells apart
    bundle         its digest
    commit         that has its provenance; None if git does not know it
    """

    time: int
    request: str
    number: int
    text: str
    label: str
    probabilities: Mapping[str, float]
    labels: Sequence[str]
    bundle: str
    commit: str | None

    @property
    def confidence(self) -> float:
        """The probability of the most probable label."""
        return next(iter(self.probabilities.values()))


Take = Callable[[Sent], object]


def afterwards(
    take: Take | None,
    release: Any,
    request: str,
    texts: Sequence[Text],
    answers: Sequence[Mapping[str, Any]],
) -> BackgroundTask | None:
    """What a response does when it is sent, if anyone wants to know of it.

    take     is given each text that has a label; texts that came as ids are none
    release  a `Release` of serving/service.py, whose answers these are
    """
    return BackgroundTask(_note, take, release, request, texts, answers) if take else None


async def _note(  # a coroutine, since starlette has a thread run what is none
    take: Take,
    release: Any,
    request: str,
    texts: Sequence[Text],
    answers: Sequence[Mapping[str, Any]],
) -> None:
    now = time.time_ns() // 1_000_000
    labels, digest, commit = release.bundle.classifier.labels, release.digest, release.commit
    for number, (text, answer) in enumerate(zip(texts, answers, strict=True)):
        probabilities = answer.get("probabilities")
        if probabilities and isinstance(text.text, str):
            answered = text.text, answer["label"], probabilities
            take(Sent(now, request, number, *answered, labels, digest, commit))
