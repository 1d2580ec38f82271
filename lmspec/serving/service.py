"""service: a bundle, the line for its threads, its measures: one text -> its answer."""

import asyncio
import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, NamedTuple

from lmspec.formats.predict import Answer, Classifier
from lmspec.methods.abstaining import UNSURE
from lmspec.serving import openapi
from lmspec.serving.asking import Asked, Content, Refused, Text
from lmspec.serving.measures import LabelMeasures
from lmspec.serving.opening import Bundle
from lmspec.serving.releases import AnyRelease, AnyService, Given, Log, other_kind, overdue
from lmspec.serving.waiting import Job, Line

Answers = list[dict[str, Any]]
EMPTY = Refused(HTTPStatus.BAD_REQUEST, "empty_text", "there is nothing to read in the text")
SHORT = 1024  # characters, or ids
QUICK_SECONDS = 0.01
FAILED = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "the text could not be computed")


class Answered(NamedTuple):
    """answer: empty for a text of white space alone; tokens: those of the text."""

    answer: Answer
    tokens: int


def compute(classifier: Classifier, text: Content) -> Answered:
    """As `Classifier.predict` does."""
    if isinstance(text, str):
        return Answered(*classifier.answer(text))
    return Answered(classifier.answers(text)[0], int(text.tokens.sum()))


def settle(future: asyncio.Future[None]) -> None:
    """Unless no request waits for it any more."""
    if not future.done():
        future.set_result(None)


class Pending:
    """A request whose texts wait, or are computed. Made and settled by the event loop.

    then        called once, when all have their results, or the time is over
    is_overdue  is the time over?
    """

    def __init__(self, release: "Release", asked: Asked, then: Callable[[], object]) -> None:
        self.release, self.asked, self._then = release, asked, then
        self.loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self.is_overdue = self._is_settled = False
        texts = [text.text for text in asked.texts if text.refused is None]
        self.job: Job[Content, Answered] = Job(texts, self._finished)
        self._arrived = time.monotonic()
        seconds = release.limits.timeout_ms / 1000
        self._timer = self.loop.call_later(seconds, self.settle, True)

    @property
    def waited(self) -> float | None:
        """Seconds until the first text was taken; None if none was."""
        return None if self.job.began is None else self.job.began - self._arrived

    def settle(self, is_overdue: bool = False) -> None:
        """Once; what comes later changes nothing."""
        if not self._is_settled:
            self.is_overdue = is_overdue
            self.leave()
            self._then()

    def leave(self) -> None:
        """No one waits for it any more."""
        if not self._is_settled:
            self._is_settled = True
            self._timer.cancel()
            self.release.line.drop(self.job)

    def _finished(self) -> None:
        """Called by the thread that has computed the last text."""
        if threading.get_ident() == self._thread:
            self.settle()
        else:
            self.loop.call_soon_threadsafe(self.settle)


def is_short(content: Content) -> bool:
    """May the event loop compute it, if this bundle is quick?"""
    size = len(content) if isinstance(content, str) else len(content.ids[0])
    return size <= SHORT


def is_quick(classifier: Classifier) -> bool:
    """Does even the longest short text keep the event loop from requests for a moment only?"""
    words = ("the words of a short text " * SHORT)[:SHORT]
    taken = []
    for _ in range(3):
        began = time.thread_time()
        classifier.predict(words)
        taken.append(time.thread_time() - began)
    return min(taken) <= QUICK_SECONDS


class Release(AnyRelease):
    """A bundle that predicts labels.

    quick   may the event loop compute its short texts? That takes less than to hand them to threads
    helped  will it compute one soon?
    """

    bundle: Bundle
    helped = False

    def __init__(self, given: Given, threads: int) -> None:
        if not isinstance(given.bundle, Bundle):
            raise other_kind(given.bundle)
        super().__init__(given)
        self.quick = is_quick(self.bundle.classifier)
        computing = functools.partial(compute, self.bundle.classifier)
        self.line: Line[Content, Answered] = Line(computing, threads, self.limits.queue)

    @functools.cached_property
    def document(self) -> dict[str, Any]:  # type: ignore[override]
        """OpenAPI."""
        labels = self.bundle.classifier.labels
        abstains = self.bundle.classifier.abstains
        title = self.bundle.manifest.title
        return openapi.document(title, self.limits, labels, self.keys is not None, abstains)

    def about(self) -> dict[str, Any]:
        """What /v1/bundle has of it."""
        classifier = self.bundle.classifier
        more = {"labels": classifier.labels, "max_length": classifier.max_length}
        target = classifier.target and dataclasses.asdict(classifier.target)
        return super().about() | more | {"target": target}


class Service(AnyService[Release]):
    """What answers with labels.

    threads  texts that are computed at once
    """

    measures: LabelMeasures

    def __init__(self, given: Given, threads: int, log: Log) -> None:
        self.threads = threads
        self.measures = LabelMeasures(lambda: self.current.line.waiting)
        super().__init__(given, log)

    def release(self, given: Given) -> Release:
        """A bundle with its threads. Raises LmspecError if it predicts no labels."""
        return Release(given, self.threads)

    def _serve(self, release: Release) -> None:
        super()._serve(release)
        classifier = release.bundle.classifier
        self.measures.tells_apart([*classifier.labels, *[UNSURE] * classifier.abstains])

    async def answers(self, release: Release, asked: Asked) -> tuple[Answers, float]:
        """One JSON object for each text, in order; how many seconds they waited.

        Raises Refused if there is no room, if it takes too long, or if the only text has no answer.
        """
        settled = asyncio.get_running_loop().create_future()
        pending = self.begin(release, asked, functools.partial(settle, settled))
        try:
            await settled
        finally:
            pending.leave()
        return self.answered(pending)

    def begin(self, release: Release, asked: Asked, then: Callable[[], object]) -> "Pending":
        """Let the texts of a request wait. Raises Refused if there is no room.

        then  called once, by the event loop, when `answered` can be
        """
        pending = Pending(release, asked, then)
        texts, loop = pending.job.texts, pending.loop
        if not texts:
            loop.call_soon(pending.settle)
            return pending
        helped = release.quick and is_short(texts[0])
        if not release.line.put(pending.job, helped):
            pending.leave()
            raise self.refused(release.line)
        if helped and not release.helped:
            release.helped = True
            loop.call_soon(self._help, loop, release)
        return pending

    def answered(self, pending: "Pending") -> tuple[Answers, float]:
        """As `answers`. Raises Refused."""
        release, asked = pending.release, pending.asked
        if pending.is_overdue:
            raise overdue(release.limits)
        waited = pending.waited
        if waited is not None:
            self.measures.waited.add(waited)
        computed = iter(pending.job.results)
        answers = [self._shown(release, text, computed, asked) for text in asked.texts]
        return answers, waited or 0.0

    def _help(self, loop: asyncio.AbstractEventLoop, release: Release) -> None:
        """Compute a short text in place of a thread; then what has arrived meanwhile is read."""
        release.helped = release.line.help(is_short)
        if release.helped:
            loop.call_soon(self._help, loop, release)

    def _shown(
        self,
        release: Release,
        text: Text,
        computed: Iterator[Answered | Exception | None],
        asked: Asked,
    ) -> dict[str, Any]:
        """The answer to a text, or its error."""
        refused = text.refused
        shown: dict[str, Any] = {} if text.id is None else {"id": text.id}
        if refused is None:
            result = next(computed)
            if not isinstance(result, Answered):
                self.log("failed", error=type(result).__name__)
                refused = FAILED
            elif result.answer or release.limits.empty_text == "no_answer":
                return shown | self._answer(release, result, asked.top)
            else:
                refused = EMPTY
        self.measures.texts.add(refused.code)
        if asked.single:
            raise refused
        return shown | {"error": refused.values()}

    def _answer(self, release: Release, answered: Answered, top: int | None) -> dict[str, Any]:
        label = release.bundle.classifier.label(answered.answer)
        if label is None:
            self.measures.texts.add("empty")
            return {"label": None, "confidence": None, "probabilities": {}}
        confidence = next(iter(answered.answer.values()))
        self.measures.answered(label, confidence, answered.tokens)
        best = answered.answer if top is None else dict([*answered.answer.items()][:top])
        return {"label": label, "confidence": confidence, "probabilities": best}
