"""waiting: the texts of all requests wait in one bounded line for a few threads.

Texts are counted, not requests, so that one text and a list are refused alike. Requests take turns,
text by text: one text does not wait for a list that came before it, and a list uses every thread.
Each text is computed alone, since those of a batch change each other's answers in int8.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(eq=False)
class Job(Generic[Item, Result]):
    """The texts of one request.

    finished  called once, by a thread, when each text has its result
    results   of each text; an exception if its computation failed
    began     when the first text was taken, by `time.monotonic`
    """

    texts: Sequence[Item]
    finished: Callable[[], object]
    results: list[Result | Exception | None] = field(default_factory=list)
    began: float | None = None
    _next: int = 0
    _done: int = 0

    def __post_init__(self) -> None:
        self.results = [None] * len(self.texts)

    @property
    def _left(self) -> int:
        return len(self.texts) - self._next


class Line(Generic[Item, Result]):
    """A bounded line, the threads that work on it, and a thread that helps now and then.

    compute  what is done with a text; several threads call it
    threads  texts that are computed at once, with those that `help` computes
    most     texts that may wait
    """

    def __init__(self, compute: Callable[[Item], Result], threads: int, most: int) -> None:
        self._compute, self.most = compute, most
        self._waiting = 0  # texts
        self._jobs: deque[Job[Item, Result]] = deque()
        self._free = threads  # texts that could be computed beside those that are
        self._idle = 0  # threads that wait for a text
        self._woken = 0  # threads that were woken for one, and have not gone on yet
        self._ready = threading.Condition(threading.Lock())
        self._open = True
        self._threads = [
            threading.Thread(target=self._work, name=f"texts-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Texts that no thread has taken."""
        return self._waiting

    def put(self, job: Job[Item, Result], helped: bool = False) -> bool:
        """Let the texts of a job wait. Is there room for them?

        helped  `help` will be called soon, so one text needs no thread to be woken
        """
        with self._ready:
            if not self._open or self._waiting + len(job.texts) > self.most:
                return False
            self._waiting += len(job.texts)
            self._jobs.append(job)
            self._wake(helped)
        return True

    def help(self, suits: Callable[[Item], bool]) -> bool:
        """Compute the next text on this thread, if it suits. Has it, and are there more?"""
        with self._ready:
            job = self._jobs[0] if self._jobs and self._free else None
            if job is None or not suits(job.texts[job._next]):
                self._wake(helped=False)
                return False
            taken = self._taken()
        self._finish(*taken)
        with self._ready:
            if not self._jobs:
                return False
            self._wake(helped=True)
            return True

    def computed(self, item: Item) -> Result | Exception:
        """What comes of a text, here and now."""
        try:
            return self._compute(item)
        except Exception as error:  # of one text: the others, and the thread, go on
            return error

    def drop(self, job: Job[Item, Result]) -> None:
        """Compute no more texts of a job; `finished` is not called unless all are taken."""
        with self._ready:
            if job._left and job in self._jobs:
                self._jobs.remove(job)
                self._waiting -= job._left

    def close(self) -> None:
        """Take no more jobs; the threads end when none is left."""
        with self._ready:
            self._open = False
            self._wake_all()
        for thread in self._threads:
            thread.join()

    def _wake(self, helped: bool) -> None:
        """So many threads as there are texts that wait, or processors for them."""
        number = min(self._idle, min(self._waiting, self._free) - helped - self._woken)
        if number > 0:
            self._idle -= number
            self._woken += number
            self._ready.notify(number)

    def _wake_all(self) -> None:
        """To end."""
        self._woken += self._idle
        self._idle = 0
        self._ready.notify_all()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            self._finish(*taken)

    def _take(self) -> tuple[Job[Item, Result], int] | None:
        """The next text, as soon as there is one, and a processor for it; None at the end."""
        with self._ready:
            while not (self._jobs and self._free):
                if not (self._open or self._jobs):
                    self._wake_all()
                    return None
                self._idle += 1
                self._ready.wait()
                self._woken -= 1
            return self._taken()

    def _taken(self) -> tuple[Job[Item, Result], int]:
        """The next text, of the job whose turn it is."""
        job = self._jobs.popleft()
        number = job._next
        job._next += 1
        self._waiting -= 1
        self._free -= 1
        if job._left:
            self._jobs.append(job)
        if job.began is None:
            job.began = time.monotonic()
        return job, number

    def _finish(self, job: Job[Item, Result], number: int) -> None:
        result = self.computed(job.texts[number])
        with self._ready:
            job.results[number] = result
            job._done += 1
            self._free += 1
            last = job._done == len(job.texts)
        if last:
            job.finished()
