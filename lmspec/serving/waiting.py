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
    """A bounded line, and the threads that work on it.

    compute  what is done with a text; several threads call it
    most     texts that may wait
    """

    def __init__(self, compute: Callable[[Item], Result], threads: int, most: int) -> None:
        self._compute, self.most = compute, most
        self._waiting = 0  # texts
        self._jobs: deque[Job[Item, Result]] = deque()
        self._ready = threading.Condition()
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

    def put(self, job: Job[Item, Result]) -> bool:
        """Let the texts of a job wait. Is there room for them?"""
        with self._ready:
            if not self._open or self._waiting + len(job.texts) > self.most:
                return False
            self._waiting += len(job.texts)
            self._jobs.append(job)
            self._ready.notify(len(job.texts))
        return True

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
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            job, number = taken
            try:
                result: Result | Exception = self._compute(job.texts[number])
            except Exception as error:  # of one text: the others, and the thread, go on
                result = error
            with self._ready:
                job.results[number] = result
                job._done += 1
                last = job._done == len(job.texts)
            if last:
                job.finished()

    def _take(self) -> tuple[Job[Item, Result], int] | None:
        """The next text, of the job whose turn it is: the place where texts could be batched."""
        with self._ready:
            while not self._jobs:
                if not self._open:
                    return None
                self._ready.wait()
            job = self._jobs.popleft()
            number = job._next
            job._next += 1
            self._waiting -= 1
            if job._left:
                self._jobs.append(job)
            if job.began is None:
                job.began = time.monotonic()
            return job, number
