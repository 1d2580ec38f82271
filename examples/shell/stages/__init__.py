"""stages: one thin script per noun, run by `python -m lmspec.run <noun> <name>`."""
