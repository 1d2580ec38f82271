"""stages: one thin script per noun: load, do, write, report. DVC runs them as `python -m stages.<noun> <key>`."""

from pathlib import Path

from lmspec.run import interpreter

interpreter.prepare(Path.cwd())  # before anything is imported that the wrong Python does not have

from lmspec.run import supervisor  # noqa: E402

supervisor.begin(
    Path.cwd()
)  # before anything is imported that starts threads: the seal would leave them free
