"""shadow: a second bundle is asked what the first has answered, and what differs is counted.

It is asked once an answer is sent, from a line of its own that drops what finds no room, and it
computes in another process, at the lowest priority. So it changes, fails and slows down no answer;
where it fails, hangs or dies, that is counted.
"""

import threading
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from prometheus_client import CollectorRegistry

from lmspec.errors import LmspecError, some
from lmspec.serving.apart import Failed, Process, Shadowed
from lmspec.serving.bounded import Bounded
from lmspec.serving.differences import DIFFERS, DROPPED, FAILED, OTHER_LABELS, SAME, Differences
from lmspec.serving.releases import Log
from lmspec.serving.sent import Sent

MOST_WAITING = 256  # texts
MOST_WAITING_BYTES = 2**24
REST_SECONDS = 30.0  # at least, between two starts
END_SECONDS = 2.0  # for the texts that wait when the service ends
Keep = Callable[[Sent, Shadowed | None], object]


class Sign(Enum):
    """What a line holds beside texts."""

    RELOAD = "open the folder again"
    END = "end"


class Shadow:
    """Asks a second bundle, and counts.

    labels    of the bundle that is served: the shadow has the same
    registry  of the measures of the service
    texts     shall the log have the texts whose answers differ?
    keep      is given each text with what the shadow answers, if it does
    Raises LmspecError if the folder has no such bundle.
    """

    def __init__(
        self,
        folder: Path,
        any_owner: bool,
        labels: Sequence[str],
        registry: CollectorRegistry,
        log: Log,
        texts: bool = False,
        keep: Keep = lambda sent, shadowed: None,
    ) -> None:
        self._folder, self._any_owner = folder, any_owner
        self._log, self._keep = log, keep
        self._line: Bounded[Sent | Sign] = Bounded(MOST_WAITING, MOST_WAITING_BYTES)
        self._hurry = False  # the service ends: what waits is dropped
        self._compared: tuple[Sequence[str], bool] = ((), False)
        self._process: Process | None = None
        process = self._process = self._started()
        if not self._same_labels(labels):
            process.close()
            known = process.labels
            found = f"its labels are {some(known)}, and those of the service {some(labels)}"
            remedy = "name a bundle with the same labels: answers with others cannot be compared"
            raise LmspecError(str(folder), found, remedy)
        self.found = Differences(registry, log, texts)
        self.found.by(process.name, process.digest)
        self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
        self._thread.start()

    def take(self, sent: Sent) -> None:
        """Let a text wait for the shadow, if there is room. Never waits, never raises."""
        if not self._line.put(sent, len(sent.text)):
            self._note(sent, DROPPED)

    def reload(self) -> None:
        """Open the folder again, soon; if that is refused, the former bundle goes on."""
        self._line.put(Sign.RELOAD, always=True)

    def close(self) -> None:
        """Wait for the last answers a moment, and write how many there were of each kind."""
        self._line.put(Sign.END, always=True)
        self._thread.join(END_SECONDS)
        self._hurry = True
        while self._thread.is_alive():
            for process in (self._process, self._starting):
                if process:
                    process.kill()
            self._thread.join(0.1)
        if self._process:
            self._process.close()
        self.found.end()

    def _work(self) -> None:
        while (item := self._line.take()) is not Sign.END:
            if isinstance(item, Sent):
                self._ask(item)
            elif not self._hurry:
                self._reload()

    def _ask(self, sent: Sent) -> None:
        if self._hurry:
            self._note(sent, DROPPED)
            return
        process = self._ready()
        if process is None:
            self._note(sent, FAILED)
            return
        if not self._same_labels(sent.labels):
            self._note(sent, OTHER_LABELS)
            return
        try:
            shadowed = process.answer(sent.text)
        except Failed as error:
            self._log("shadow failed", id=sent.request, number=sent.number, error=str(error))
            self._note(sent, FAILED)
        except (OSError, ValueError, LookupError) as error:
            self._log("shadow died", id=sent.request, error=type(error).__name__)
            process.close()
            self._process = None
            self._note(sent, FAILED)
        else:
            self._note(sent, SAME if shadowed.label == sent.label else DIFFERS, shadowed)

    def _note(self, sent: Sent, result: str, shadowed: Shadowed | None = None) -> None:
        """Called by the thread, and for what is dropped by the service."""
        self.found.note(sent, result, shadowed)
        self._keep(sent, shadowed)

    def _same_labels(self, labels: Sequence[str]) -> bool:
        """Are these the shadow's, in any order? The same list, as of one release, is looked at
        once."""
        known, same = self._compared
        if labels is not known:
            same = self._process is not None and {*labels} == {*self._process.labels}
            self._compared = labels, same
        return same

    def _ready(self) -> Process | None:
        """The process; another if it has died, but not again and again."""
        rested = time.monotonic() - self._began >= REST_SECONDS
        if self._process is None and rested and not self._hurry:
            self._replace()
        return self._process

    def _reload(self) -> None:
        former = self._process
        if self._replace() and former:
            former.close()

    def _replace(self) -> bool:
        """Is there another process?"""
        try:
            self._process = self._started()
        except (LmspecError, OSError) as error:
            self._log("shadow refused", error=str(error))
            return False
        self._compared = ((), False)
        self.found.by(self._process.name, self._process.digest)
        return True

    def _started(self) -> Process:
        """Raises LmspecError, OSError."""
        self._began = time.monotonic()
        process = self._starting = Process(self._folder, self._any_owner)
        process.open()
        return process
