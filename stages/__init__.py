"""stages: one thin script per noun: load, do, write, report. DVC runs them as `python -m stages.<noun> <key>`."""

from pathlib import Path

from lmspec import environment

environment.prepare(Path.cwd())  # before a stage imports what the wrong Python does not have
