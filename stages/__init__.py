"""stages: one thin script per noun: load, do, write, report. `python -m lmspec.run <noun> <name>` runs them."""
