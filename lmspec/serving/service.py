"""service: a bundle, the line for its threads, its measures: one text -> its answer."""

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, NamedTuple

from lmspec.formats.predict import Answer, Classifier
from lmspec.serving import openapi
from lmspec.serving.asking import Asked, Content, Refused, Text
from lmspec.serving.keys import Keys
from lmspec.serving.limits import Limits
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


class Given(NamedTuple):
    """What is to be served: a bundle, the commit of git that has its provenance, and to whom.

    keys  None: to everybody
    """

    bundle: Bundle
    commit: str | None = None
    keys: Keys | None = None


class Release:
    """A bundle that is served, with threads of its own."""

    def __init__(self, given: Given, threads: int) -> None:
        self.bundle, self.commit, self.keys = given
        computing = functools.partial(compute, self.bundle.classifier)
        self.line: Line[Content, Answered] = Line(computing, threads, self.limits.queue)

    @property
    def limits(self) -> Limits:
        """Those of its bundle."""
        return self.bundle.limits

    @property
    def digest(self) -> str:
        """The identity of its bundle."""
        return self.bundle.manifest.digest

    @functools.cached_property
    def document(self) -> dict[str, Any]:
        """OpenAPI."""
        labels = self.bundle.classifier.labels
        title = self.bundle.manifest.title
        return openapi.document(title, self.limits, labels, self.keys is not None)


class Service:
    """What the endpoints share.

    threads   texts that are computed at once
    current   what is served now: a request stays with the release that it came to
    draining  it is about to stop: it answers, and asks for no more
    """

    def __init__(self, given: Given, threads: int, log: Log) -> None:
        self.threads, self.log = threads, log
        self.draining = False
        self.measures = Measures(lambda: self.current.line.waiting)
        self._serve(Release(given, threads))

    def replace(self, given: Given) -> Release:
        """Serve another bundle from now on. Returns the former one, whose line is to be closed."""
        former = self.current
        self._serve(Release(given, self.threads))
        return former

    def _serve(self, release: Release) -> None:
        self.current = release
        self.measures.serves(release.bundle.name, release.digest, release.bundle.classifier.labels)

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
        arrived, done = loop.time(), asyncio.Event()
        job: Job[Content, Answered] = Job(texts, lambda: loop.call_soon_threadsafe(done.set))
        if not line.put(job):
            self.measures.shed.labels("queue").inc()
            message = f"{line.waiting} texts wait, and {line.most} may"
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "busy", message)
        try:
            async with asyncio.timeout(release.limits.timeout_ms / 1000):
                await done.wait()
        except TimeoutError:
            message = f"there was no answer within {release.limits.timeout_ms} ms"
            raise Refused(HTTPStatus.GATEWAY_TIMEOUT, "timeout", message) from None
        finally:
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
        self.measures.texts.labels(refused.code).inc()
        if asked.single:
            raise refused
        return shown | {"error": refused.values()}

    def _answer(self, answered: Answered, top: int | None) -> dict[str, Any]:
        measures, best = self.measures, list(answered.answer.items())[:top]
        measures.texts.labels("answered" if best else "empty").inc()
        if not best:
            return {"label": None, "confidence": None, "probabilities": {}}
        label, confidence = best[0]
        measures.tokens.inc(answered.tokens)
        measures.labels.labels(label).inc()
        measures.confidence.observe(confidence)
        return {"label": label, "confidence": confidence, "probabilities": dict(best)}
