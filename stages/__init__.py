"""stages: one thin script per noun: load, do, write, report. DVC runs them as `python -m stages.<noun> <key>`."""

from pathlib import Path

from lmspec import environment

environment.prepare(Path.cwd())  # before anything is imported that the wrong Python does not have

from lmspec import supervise  # noqa: E402

supervise.begin(Path.cwd())  # before anything is imported that starts threads: the seal would leave them free
