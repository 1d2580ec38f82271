"""decoding: a thread that writes the texts of all requests side by side.

A text comes from the thread of the line that took its prompt: that reads the prompt, and waits for
the text. One prompt is read at a time, while the others' texts grow.
"""

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from lmspec.formats.predict_writing import Asked, Settings, Writer
from lmspec.serving.completing import too_long
from lmspec.writing.generating import Batch, Failed, Text, Token


class Left(Exception):
    """No one waits for the text any more."""


@dataclass(frozen=True)
class Answer:
    """A whole text.

    prompt_tokens  0: there was nothing to read
    tokens         with the one that ended it
    first, last    when these came, by `time.monotonic`
    """

    prompt_tokens: int
    tokens: tuple[Token, ...]
    first: float
    last: float

    @property
    def text(self) -> str:
        """What the tokens say."""
        return "".join(token.text for token in self.tokens)

    @property
    def stopped(self) -> str:
        """As of the last token."""
        return (self.tokens[-1].stopped or "") if self.tokens else "end"


class Event(NamedTuple):
    """What happens to a text.

    number  of its prompt in the request
    token   the next one; None at the end
    ended   at the end: the whole, or why there is none
    """

    number: int
    token: Token | None
    ended: Answer | Exception | None


@dataclass(eq=False)
class Prompt:
    """What a text is to be written for.

    settings  called by the thread that reads the prompt
    each      is each token to be known at once, or the end alone?
    notify    called by threads
    left      no one waits for the text any more
    """

    number: int
    asked: Asked
    settings: Callable[[], Settings]
    each: bool
    notify: Callable[[Event], object]
    left: bool = False


@dataclass(eq=False)
class Growing:
    """A text that is being written.

    done   it has ended, or has an error
    """

    prompt: Prompt
    text: Text
    tokens: list[Token] = field(default_factory=list)
    first: float = 0.0
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def add(self, token: Token) -> None:
        """One more token."""
        self.first = self.first or time.monotonic()
        self.tokens.append(token)
        if self.prompt.each:
            self.prompt.notify(Event(self.prompt.number, token, None))
        if token.stopped is not None:
            self.done.set()

    def fail(self, error: Exception) -> None:
        """There will be no text."""
        self.error = error
        self.done.set()


class Decoding:
    """The thread, and what several others ask it for."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._ends = frozenset([writer.encoder.end_id])
        self._numbers = itertools.count()
        self._reading = threading.Lock()
        self._batch = Batch(writer.decoder)
        self._growing: dict[int, Growing] = {}  # of the thread alone
        self._changed = threading.Condition()
        self._joining: list[Growing] = []
        self._open = True
        self._thread = threading.Thread(target=self._work, name="decoding", daemon=True)
        self._thread.start()

    def write(self, prompt: Prompt) -> None:
        """Write a text, and notify of its end: called by a thread of the line."""
        try:
            ended: Answer | Exception = self._answer(prompt)
        except Exception as error:  # of one text: the others, and the thread, go on
            ended = error
        prompt.notify(Event(prompt.number, None, ended))

    def close(self) -> None:
        """End the thread, when no text grows any more."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _answer(self, prompt: Prompt) -> Answer:
        writer = self._writer
        ids = writer.ids(prompt.asked)
        if ids is None:
            now = time.monotonic()
            return Answer(0, (), now, now)
        if len(ids) >= writer.decoder.positions:
            raise too_long(len(ids), writer.decoder.positions)
        request = writer.request(ids, prompt.settings())
        tokenizer = writer.encoder.tokenizer
        text = Text(next(self._numbers), request, writer.decoder, tokenizer, self._ends)
        growing = Growing(prompt, text)
        with self._reading:
            if prompt.left:
                raise Left
            growing.add(text.first(writer.decoder))
        if text.stopped is None:
            with self._changed:
                self._joining.append(growing)
                self._changed.notify()
            growing.done.wait()
        if growing.error:
            raise growing.error
        return Answer(len(ids), tuple(growing.tokens), growing.first, time.monotonic())

    def _work(self) -> None:
        while self._join():
            self._part()
            if not self._growing:
                continue
            try:
                found = self._batch.step()
            except Exception as error:  # of the decoder: whose text it was is not known
                for number, growing in self._growing.items():
                    self._batch.leave(number)
                    growing.fail(error)
                self._growing.clear()
                continue
            for one in found:
                self._note(one)

    def _join(self) -> bool:
        """Wait for texts to write. False: there will be none."""
        with self._changed:
            while self._open and not self._joining and not self._growing:
                self._changed.wait()
            joining, self._joining = self._joining, []
        for growing in joining:
            self._growing[growing.text.number] = growing
            self._batch.join(growing.text)
        return bool(self._growing) or self._open

    def _part(self) -> None:
        """Texts that no one waits for grow no further."""
        for number, growing in [*self._growing.items()]:
            if growing.prompt.left:
                self._batch.leave(number)
                self._growing.pop(number).fail(Left())

    def _note(self, found: Token | Failed) -> None:
        if isinstance(found, Failed):
            self._growing.pop(found.request).fail(found.error)
            return
        growing = self._growing[found.request]
        if found.stopped is not None:
            del self._growing[found.request]
        growing.add(found)
