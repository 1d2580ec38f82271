"""service: a bundle, the line for its threads, its measures: one text -> its answer."""

import asyncio
import dataclasses
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from lmspec.formats.predict import Answer, Classifier
from lmspec.serving import openapi
from lmspec.serving.asking import Asked, Content, Refused, Text
from lmspec.serving.measures import LabelMeasures
from lmspec.serving.opening import Bundle
from lmspec.serving.releases import AnyRelease, AnyService, Given, Log, other_kind, overdue
from lmspec.serving.waiting import Job, Line

EMPTY = Refused(HTTPStatus.BAD_REQUEST, "empty_text", "there is nothing to read in the text")
FAILED = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "the text could not be computed")


@dataclass(frozen=True)
class Answered:
    """answer: empty for a text of white space alone; tokens: those of the text."""

    answer: Answer
    tokens: int


def compute(classifier: Classifier, text: Content) -> Answered:
    """As `Classifier.predict` does."""
    if isinstance(text, str):
        cleaned = classifier.clean(text)
        if not cleaned:
            return Answered({}, 0)
        windows = classifier.reader.read([cleaned])
    else:
        windows = text
    return Answered(classifier.answers(windows)[0], int(windows.tokens.sum()))


def settle(future: asyncio.Future[bool], value: bool) -> None:
    """Unless it is, or no request waits for it any more."""
    if not future.done():
        future.set_result(value)


class Release(AnyRelease):
    """A bundle that predicts labels."""

    bundle: Bundle

    def __init__(self, given: Given, threads: int) -> None:
        super().__init__(given)
        if not isinstance(given.bundle, Bundle):
            raise other_kind(given.bundle)
        self.bundle = given.bundle
        computing = functools.partial(compute, self.bundle.classifier)
        self.line: Line[Content, Answered] = Line(computing, threads, self.limits.queue)

    @functools.cached_property
    def document(self) -> dict[str, Any]:  # type: ignore[override]
        """OpenAPI."""
        labels = self.bundle.classifier.labels
        title = self.bundle.manifest.title
        return openapi.document(title, self.limits, labels, self.keys is not None)

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
        self.measures.tells_apart(release.bundle.classifier.labels)

    async def answers(self, release: Release, asked: Asked) -> tuple[list[dict[str, Any]], float]:
        """One JSON object for each text, in order; how many seconds they waited.

        Raises Refused if there is no room, if it takes too long, or if the only text has no answer.
        """
        good = [text.text for text in asked.texts if text.refused is None]
        results, waited = await self._results(release, good) if good else ((), 0.0)
        computed = iter(results)
        return [self._shown(release, text, computed, asked) for text in asked.texts], waited

    async def _results(
        self, release: Release, texts: Sequence[Content]
    ) -> tuple[Sequence[Answered | Exception | None], float]:
        loop, line = asyncio.get_running_loop(), release.line
        arrived, in_time = loop.time(), loop.create_future()
        finished = functools.partial(loop.call_soon_threadsafe, settle, in_time, True)
        job: Job[Content, Answered] = Job(texts, finished)
        if not line.put(job):
            raise self.refused(line)
        timer = loop.call_later(release.limits.timeout_ms / 1000, settle, in_time, False)
        try:
            if not await in_time:
                raise overdue(release.limits)
        finally:
            timer.cancel()
            line.drop(job)
        waited = max(0.0, (job.began or arrived) - arrived)  # both are of the monotonic clock
        self.measures.waited.observe(waited)
        return job.results, waited

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
                return shown | self._answer(result, asked.top)
            else:
                refused = EMPTY
        self.measures.text_of(refused.code).inc()
        if asked.single:
            raise refused
        return shown | {"error": refused.values()}

    def _answer(self, answered: Answered, top: int | None) -> dict[str, Any]:
        measures, best = self.measures, list(answered.answer.items())[:top]
        measures.text_of("answered" if best else "empty").inc()
        if not best:
            return {"label": None, "confidence": None, "probabilities": {}}
        label, confidence = best[0]
        measures.tokens.inc(answered.tokens)
        measures.answer_of(label).inc()
        measures.confidence.observe(confidence)
        return {"label": label, "confidence": confidence, "probabilities": dict(best)}
