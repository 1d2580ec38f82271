"""requestlog: answered texts in Parquet files, which a table of a corpus can read.

A file is replaced as a whole, by one that has more rows, so that each can be read at any time. What
a kill loses are the rows of the last few seconds.
"""

import math
import os
import re
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from prometheus_client import CollectorRegistry, Counter

from lmspec.errors import LmspecError
from lmspec.formats.predict_forms import SURROGATES
from lmspec.serving.apart import Shadowed
from lmspec.serving.bounded import Bounded
from lmspec.serving.releases import Log
from lmspec.serving.sent import Sent
from lmspec.serving.shadow import Sign

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

WRITE_SECONDS = 5.0  # from the first row that is not on disk to its being there
FILE_ROWS, FILE_BYTES = 50_000, 2**23  # of texts; then the next file begins
MOST_WAITING, MOST_WAITING_BYTES = 20_000, 2**25
CHUNK = 64  # rows: making columns of them holds the service up for less than a millisecond
ENDING = ".parquet"
PRIVATE = stat.S_IRUSR | stat.S_IWUSR
SCHEMA: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "time": pl.Datetime("ms", "UTC"),
    "id": pl.String,
    "number": pl.UInt32,
    "text": pl.String,
    "label": pl.String,
    "confidence": pl.Float64,
    "probabilities": pl.List(pl.Struct({"label": pl.String, "probability": pl.Float64})),
    "bundle": pl.String,
    "commit": pl.String,
    "shadow_label": pl.String,
    "shadow_confidence": pl.Float64,
    "shadow_bundle": pl.String,
}
TEXT = list(SCHEMA).index("text")
Row = tuple[Any, ...]


class Files:
    """FOLDER/NAME-000001.parquet and so on: each is whole, and only their owner reads them.

    path  FOLDER/NAME.parquet
    most  files that are kept; the oldest ones are removed
    Raises LmspecError if they cannot be written, or another service writes them.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._folder, self._name, self._most = path.parent, path.stem, most
        if path.suffix != ENDING or not path.stem:
            found = f"files are called by it, and it does not end in {ENDING}"
            raise LmspecError(f"--log {path}", found, "name a path such as logs/requests.parquet")
        self._pattern = re.compile(re.escape(path.stem) + r"-(\d{6,})" + re.escape(ENDING))
        self._part = self._folder / f".{path.stem}.part"
        try:
            self._lock = self._locked()
            self._write_part(pl.DataFrame(schema=SCHEMA))
            self._part.unlink()
            self._number = max(self._numbers(), default=0) + 1
        except BlockingIOError:
            found = "another service writes its requests into this folder"
            raise LmspecError(str(self._folder), found, "give each a folder of its own") from None
        except OSError as error:
            found = f"requests cannot be written there: {error.strerror or error}"
            remedy = "name a path in a folder that is there, and that you may write to"
            raise LmspecError(str(self._folder), found, remedy) from None

    def begin(self) -> None:
        """The next file, from now on."""
        self._number += 1

    def write(self, frame: pl.DataFrame) -> None:
        """In place of what the file has. Raises OSError."""
        self._write_part(frame)
        path = self._path(self._number)
        self._part.replace(path)
        for number in sorted(self._numbers())[: -self._most]:
            self._path(number).unlink(missing_ok=True)

    def close(self) -> None:
        """Let another service have the folder."""
        if self._lock is not None:
            os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self._folder / f"{self._name}-{number:06d}{ENDING}"

    def _numbers(self) -> list[int]:
        found = (self._pattern.fullmatch(path.name) for path in self._folder.iterdir())
        return [int(match[1]) for match in found if match]

    def _locked(self) -> int | None:
        """The folder itself is locked, so no other file is needed."""
        if fcntl is None:
            return None
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(folder)
            raise
        return folder

    def _write_part(self, frame: pl.DataFrame) -> None:
        self._part.unlink(missing_ok=True)  # of a service that was killed
        number = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(number, "wb") as stream:
            frame.write_parquet(stream)
            stream.flush()
            os.fsync(number)


class RequestLog:
    """Takes answered texts, and has a thread write them.

    path, most  as of Files
    registry    of the measures of the service
    Raises LmspecError.
    """

    def __init__(self, path: Path, most: int, registry: CollectorRegistry, log: Log) -> None:
        self._files, self._log = Files(path, most), log
        series = Counter("lmspec_log_rows", "Rows of --log.", ["result"], registry=registry)
        self._written, self._dropped = series.labels("written"), series.labels("dropped")
        self._line: Bounded[Row | Sign] = Bounded(MOST_WAITING, MOST_WAITING_BYTES)
        # of the thread alone: rows of the file, those that are in no frame yet, their bytes, and
        # how many of them are not on disk
        self._frames: list[pl.DataFrame] = []
        self._rows: list[Row] = []
        self._bytes = self._unwritten = 0
        self._thread = threading.Thread(target=self._work, name="requestlog", daemon=True)
        self._thread.start()

    def take(self, sent: Sent, shadowed: Shadowed | None = None) -> None:
        """Keep a text, if there is room. Never waits, never raises."""
        if not self._line.put(row(sent, shadowed), len(sent.text)):
            self._dropped.inc()

    def close(self) -> None:
        """Write what is left."""
        self._line.put(Sign.END, always=True)
        self._thread.join()
        self._files.close()

    def _work(self) -> None:
        item: Row | Sign | None = None
        due = math.inf  # when what is not on disk is to be there, by `time.monotonic`
        while item is not Sign.END:
            waits = None if due == math.inf else max(0.0, due - time.monotonic())
            item = self._line.take(waits)
            if isinstance(item, tuple):
                self._add(item)
                due = min(due, time.monotonic() + WRITE_SECONDS)
            if item is Sign.END or self._full or time.monotonic() >= due:
                self._write()
                due = math.inf

    @property
    def _full(self) -> bool:
        rows = len(self._rows) + sum(frame.height for frame in self._frames)
        return rows >= FILE_ROWS or self._bytes >= FILE_BYTES

    def _add(self, row: Row) -> None:
        self._rows.append(row)
        self._bytes += len(row[TEXT])
        self._unwritten += 1
        if len(self._rows) >= CHUNK:
            self._convert()

    def _convert(self) -> None:
        self._frames.append(pl.DataFrame(self._rows, schema=SCHEMA, orient="row"))
        self._rows = []

    def _write(self) -> None:
        """The file with its new rows. If that fails, it is tried again, until the file is full."""
        self._convert()
        self._frames = [pl.concat(self._frames, rechunk=True)]
        if self._unwritten:
            try:
                self._files.write(self._frames[0])
            except (OSError, pl.exceptions.PolarsError) as error:
                self._log("log failed", error=str(error).partition("\n")[0][:200])
            else:
                self._written.inc(self._unwritten)
                self._unwritten = 0
        if self._full:
            self._dropped.inc(self._unwritten)
            self._frames, self._bytes, self._unwritten = [], 0, 0
            self._files.begin()


def row(sent: Sent, shadowed: Shadowed | None) -> Row:
    """In the order of SCHEMA."""
    text = sent.text
    if SURROGATES.search(text):  # no UTF-8: halves of pairs, as JSON can escape them
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    each = [{"label": label, "probability": p} for label, p in sent.probabilities.items()]
    return (
        sent.time,
        sent.request,
        sent.number,
        text,
        sent.label,
        sent.confidence,
        each,
        sent.bundle,
        sent.commit,
        *(shadowed or (None, None, None)),
    )
