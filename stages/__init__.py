"""stages: one thin script per noun: load, do, write, report. DVC runs them as `python -m stages.<noun> <key>`."""
