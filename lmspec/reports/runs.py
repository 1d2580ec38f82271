"""runs: what ran on this machine, in sections for a terminal or a pipe."""

import itertools
import time
from collections.abc import Iterator, Sequence

from lmspec.methods.curves import Row
from lmspec.pipeline.durations import measured
from lmspec.pipeline.runs import Run
from lmspec.reports import tables, words
from lmspec.reports.results import spark
from lmspec.reports.tables import Table
from lmspec.reports.terminal import Section
from lmspec.reports.words import Tone

MOST_ROWS = 12  # of evaluations
TONES: dict[str, Tone] = {"built": "plain", "running": "good"}
NOTE = (
    "course: of the dev metric that early stopping watches, from the first evaluation to the last"
)


def overview(found: Sequence[Run]) -> Iterator[Section]:
    """A row for each run."""
    if not found:
        yield Section("nothing has run here yet: `dvc repro` builds")
        return
    yield Section("runs here, newest first", table=_runs(found, NOTE), whole=("stage",))
    if any(run.folder for run in found):
        yield Section("more: `lmspec runs STAGE`; `tensorboard --logdir .lmspec/runs`")


def detail(found: Sequence[Run]) -> Iterator[Section]:
    """Runs of one stage, and the curve of the newest that has one."""
    yield from overview(found)
    run = next((run for run in found if run.curves), None)
    if run is None or run.folder is None:
        return
    for name, curve in run.curves.items():
        several = f" of {name}" if len(run.curves) > 1 else ""
        yield Section(f"newest curve{several}", table=_course(curve))
    yield Section("evaluations", table=_evaluations(run))
    yield Section(f"all of it: {run.folder.as_posix()}")


def _runs(found: Sequence[Run], note: str) -> Table:
    heads = (
        "stage:name|ended:text|status:text|time:number|peak memory:number|step:text|best:text"
        "|course:text"
    )
    tones = (TONES.get(run.status, "bad") for run in found)
    has_course = any(len(run.evaluations) > 2 for run in found)
    return tables.table("runs", heads, map(_run, found), tones, note if has_course else "")


def _run(run: Run) -> Sequence[object]:
    ended = None if run.ended is None else time.localtime(run.ended)
    column = [row[run.metric] for row in run.evaluations if run.metric in row]
    best = (min if run.metric.endswith("loss") else max)(column, default=None)
    step = None if run.progress is None else f"{run.progress[0]:,}/{run.progress[1]:,}"
    went_on = "" if run.resumed_at is None else f", went on at {run.resumed_at:,.0f}"
    return (
        run.stage,
        ended and time.strftime("%Y-%m-%d %H:%M", ended),
        run.status,
        measured(run.seconds),
        None if run.peak_mib is None else f"{run.peak_mib:,.0f} MiB",
        None if step is None else f"{step}{went_on}",
        None if best is None else f"{run.metric.replace('_', ' ')} {words.number(best)}",
        spark(column, 20),
    )


def _course(curve: Sequence[Row]) -> Table:
    """First and last value of each column."""
    names = dict.fromkeys(itertools.chain(*curve))
    columns = {
        name: [row[name] for row in curve if isinstance(row.get(name), float)] for name in names
    }
    rows = (
        (name, words.number(column[0]), words.number(column[-1]), spark(column))
        for name, column in columns.items()
        if column and name not in ("time", "epoch")
    )
    return tables.table("curve", "column:name|first:number|last:number|course:text", rows)


def _evaluations(run: Run) -> Table:
    """At most so many, evenly spread, the last one among them."""
    every = run.evaluations
    if len(every) > MOST_ROWS:
        places = (round(i * (len(every) - 1) / (MOST_ROWS - 1)) for i in range(MOST_ROWS))
        every = [every[i] for i in places]
    names = [
        name
        for name in dict.fromkeys(itertools.chain(*every))
        if name in ("step", "epoch", "train_loss") or name.startswith("dev_")
    ]
    heads = "|".join(f"{name.replace('_', ' ')}:number" for name in names)
    rows = ([words.number(row.get(name)) for name in names] for row in every)
    return tables.table("evaluations", heads, rows)
