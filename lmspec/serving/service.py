"""service: a bundle, the line for its threads, its measures: one text -> its answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from lmspec.formats.predict import Answer
from lmspec.serving.asking import Asked, Refused, Text
from lmspec.serving.measures import Measures
from lmspec.serving.opening import Bundle
from lmspec.serving.waiting import Job, Line

Log = Callable[..., None]  # event, and its values by name
EMPTY = Refused(HTTPStatus.BAD_REQUEST, "empty_text", "there is nothing to read in the text")
FAILED = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "the text could not be computed")


@dataclass(frozen=True)
class Answered:
    """answer: empty for a text of white space alone; tokens: those of the text."""

    answer: Answer
    tokens: int


class Service:
    """What the endpoints share.

    threads  texts that are computed at once
    commit   of git that built the bundle, if it is known
    draining it is about to stop: it answers, and asks for no more
    """

    def __init__(self, bundle: Bundle, threads: int, commit: str | None, log: Log) -> None:
        self.bundle, self.threads, self.commit, self.log = bundle, threads, commit, log
        self.line: Line[Answered] = Line(self._compute, threads, bundle.limits.queue)
        identity = {"name": bundle.name, "digest": bundle.manifest.digest}
        self.measures = Measures(identity, bundle.classifier.labels, lambda: self.line.waiting)
        self.draining = False

    def _compute(self, text: str) -> Answered:
        """As `Classifier.predict` does."""
        classifier = self.bundle.classifier
        cleaned = classifier.clean(text)
        if not cleaned:
            return Answered({}, 0)
        windows = classifier.reader.read([cleaned])
        return Answered(classifier.answers(windows)[0], int(windows.tokens.sum()))

    async def answers(self, asked: Asked) -> tuple[list[dict[str, Any]], float]:
        """One JSON object for each text, in order; how many seconds they waited.

        Raises Refused if there is no room, if it takes too long, or if the only text has no answer.
        """
        good = [text.text for text in asked.texts if text.refused is None]
        results: Sequence[Answered | Exception | None] = ()
        waited = 0.0
        if good:
            results, waited = await self._results(good)
        computed = iter(results)
        answers = [self._shown(text, computed, asked) for text in asked.texts]
        return answers, waited

    async def _results(
        self, texts: Sequence[str]
    ) -> tuple[Sequence[Answered | Exception | None], float]:
        loop = asyncio.get_running_loop()
        arrived, done = loop.time(), asyncio.Event()
        job: Job[Answered] = Job(texts, lambda: loop.call_soon_threadsafe(done.set))
        if not self.line.put(job):
            self.measures.shed.labels("queue").inc()
            message = f"{self.line.waiting} texts wait, and {self.line.most} may"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message)
        try:
            async with asyncio.timeout(self.bundle.limits.timeout_ms / 1000):
                await done.wait()
        except TimeoutError:
            message = f"there was no answer within {self.bundle.limits.timeout_ms} ms"
            raise Refused(HTTPStatus.GATEWAY_TIMEOUT, "timeout", message) from None
        finally:
            self.line.drop(job)
        waited = max(0.0, (job.began or arrived) - arrived)  # both are of the monotonic clock
        self.measures.waited.observe(waited)
        return job.results, waited

    def _shown(self, text: Text, computed: Any, asked: Asked) -> dict[str, Any]:
        """The answer to a text, or its error."""
        refused = text.refused
        shown: dict[str, Any] = {} if text.id is None else {"id": text.id}
        if refused is None:
            result = next(computed)
            if isinstance(result, Answered):
                answered = self._answer(result, asked.top)
                if answered is not None:
                    return shown | answered
                refused = EMPTY
            else:
                self.log("failed", error=type(result).__name__)
                refused = FAILED
        self.measures.texts.labels(refused.code).inc()
        if asked.single:
            raise refused
        return shown | {"error": refused.values()}

    def _answer(self, answered: Answered, top: int | None) -> dict[str, Any] | None:
        """None for an empty text, if it is refused."""
        if not answered.answer and self.bundle.limits.empty_text == "refused":
            return None
        measures, best = self.measures, list(answered.answer.items())[:top]
        measures.texts.labels("answered" if best else "empty").inc()
        if not best:
            return {"label": None, "confidence": None, "probabilities": {}}
        label, confidence = best[0]
        measures.tokens.inc(answered.tokens)
        measures.labels.labels(label).inc()
        measures.confidence.observe(confidence)
        return {"label": label, "confidence": confidence, "probabilities": dict(best)}
