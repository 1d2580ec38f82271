"""writing: a bundle that writes, its slots, its measures: a prompt -> its text, token by token."""

import asyncio
import contextlib
import dataclasses
import functools
import threading
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

from lmspec.formats import predict_writing
from lmspec.formats.predict_writing import Settings, Writer
from lmspec.serving import openapi_writing
from lmspec.serving.asking import Refused
from lmspec.serving.completing import Rule, Wanted
from lmspec.serving.decoding import Answer, Decoding, Event, Prompt
from lmspec.serving.measures import WritingMeasures
from lmspec.serving.opening import WritingBundle
from lmspec.serving.releases import AnyRelease, AnyService, Given, Log, other_kind, overdue
from lmspec.serving.waiting import Job, Line
from lmspec.writing.constraining import ConstraintError

EMPTY = Refused(HTTPStatus.BAD_REQUEST, "empty_text", "there is nothing to read in the prompt")
FAILED = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "the text could not be written")


class WritingRelease(AnyRelease):
    """A bundle that writes.

    slots  texts that grow side by side: one, if its texts depend on their company
    """

    bundle: WritingBundle

    def __init__(self, given: Given, slots: int) -> None:
        if not isinstance(given.bundle, WritingBundle):
            raise other_kind(given.bundle)
        super().__init__(given)
        self.slots = slots if self.writer.batch_invariant else 1
        self._decoding = Decoding(self.writer)
        self.line: Line[Prompt, None] = Line(self._decoding.write, self.slots, self.limits.queue)

    @property
    def writer(self) -> Writer:
        """What predict.py of the bundle runs."""
        return self.bundle.writer

    @functools.cached_property
    def document(self) -> dict[str, Any]:  # type: ignore[override]
        """OpenAPI."""
        title, name = self.bundle.manifest.title, self.bundle.name
        return openapi_writing.document(title, name, self.limits, self.keys is not None)

    def about(self) -> dict[str, Any]:
        """What /v1/bundle has of it."""
        writer = self.writer
        return super().about() | {
            "generation": self.bundle.generation,
            "chats": writer.chats,
            "positions": writer.decoder.positions,
            "batch_invariant": writer.batch_invariant,
            "slots": self.slots,
        }

    def close(self) -> None:
        """Take no more requests, and end the threads when all that wait are answered."""
        super().close()
        self._decoding.close()


class Making:
    """The settings of one request, made once, by the first thread that needs them.

    Raises Refused if the constraint cannot be followed.
    """

    def __init__(self, writer: Writer, settings: Settings, rule: Rule | None) -> None:
        self._writer, self._settings, self._rule = writer, settings, rule
        self._lock = threading.Lock()

    def __call__(self) -> Settings:
        """With the constraint, which takes a while to compile."""
        with self._lock:
            if self._rule is not None:
                kind, value = self._rule
                if value is not None:
                    constraint = self._constraint(kind, value)
                    self._settings = dataclasses.replace(self._settings, constraint=constraint)
                self._rule = None
            return self._settings

    def _constraint(self, kind: str, value: Any) -> Any:
        try:
            return getattr(self._writer, kind)(value)
        except (predict_writing.Refused, ValueError, TypeError, RecursionError) as error:
            raise unfit(error) from None


class Events:
    """What happens to the texts of a request, in order."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Event | Exception] = asyncio.Queue()

    def put(self, event: Event | Exception) -> None:
        """Called by any thread; when the service has ended, no one asks."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._queue.put_nowait, event)

    async def next(self) -> Event:
        """Raises what was put in place of an event."""
        event = await self._queue.get()
        if isinstance(event, Exception):
            raise event
        return event


class WritingService(AnyService[WritingRelease]):
    """What answers with texts.

    slots  texts that grow side by side, at most
    """

    measures: WritingMeasures

    def __init__(self, given: Given, slots: int, log: Log) -> None:
        self.slots = slots
        self.measures = WritingMeasures(lambda: self.current.line.waiting)
        super().__init__(given, log)

    def release(self, given: Given) -> WritingRelease:
        """A bundle with its threads. Raises LmspecError if it does not write."""
        return WritingRelease(given, self.slots)

    @contextlib.asynccontextmanager
    async def writing(self, release: WritingRelease, wanted: Wanted) -> AsyncIterator[Events]:
        """Texts for the prompts of a request; leaving it frees their slots.

        Raises Refused if there is no room, or if it takes too long.
        """
        writer = release.writer
        settings = Making(writer, wanted.settings(writer.settings), wanted.rule)
        events = Events()
        prompts = [
            Prompt(number, asked, settings, wanted.stream, events.put)
            for number, asked in enumerate(wanted.asked)
        ]
        arrived = asyncio.get_running_loop().time()
        job: Job[Prompt, None] = Job(prompts, lambda: None)
        if not release.line.put(job):
            raise self.refused(release.line)
        try:
            async with asyncio.timeout(release.limits.timeout_ms / 1000):
                yield events
        except TimeoutError:
            raise overdue(release.limits) from None
        finally:
            for prompt in prompts:
                prompt.left = True
            release.line.drop(job)
            if job.began is not None:  # both are of the monotonic clock
                self.measures.waited.add(max(0.0, job.began - arrived))

    def answer(self, release: WritingRelease, ended: Answer | Exception, arrived: float) -> Answer:
        """A text that has ended, counted. Raises Refused.

        arrived  when the request did, by `time.monotonic`
        """
        measures = self.measures
        refused = None
        if isinstance(ended, Exception):
            refused = self._why(ended)
        elif not ended.prompt_tokens and release.limits.empty_text == "refused":
            refused = EMPTY
        if refused:
            measures.texts.add(refused.code)
            raise refused
        assert isinstance(ended, Answer)
        measures.texts.add("answered" if ended.prompt_tokens else "empty")
        measures.writes(ended.prompt_tokens, len(ended.tokens), ended.stopped)
        if ended.tokens:
            measures.first_token.add(ended.first - arrived)
        if len(ended.tokens) > 1 and ended.last > ended.first:
            measures.rate.add((len(ended.tokens) - 1) / (ended.last - ended.first))
        return ended

    def _why(self, error: Exception) -> Refused:
        if isinstance(error, Refused):
            return error
        if isinstance(error, predict_writing.Refused):
            return Refused(HTTPStatus.BAD_REQUEST, "malformed", str(error))
        if isinstance(error, ConstraintError):
            return unfit(error)
        self.log("failed", error=type(error).__name__)
        return FAILED


def unfit(error: Exception) -> Refused:
    """A constraint that texts of this model cannot be held to."""
    found = str(error) if isinstance(error, predict_writing.Refused | ConstraintError) else ""
    message = found or "the constraint cannot be read"
    return Refused(HTTPStatus.BAD_REQUEST, "constraint", message[:500])
