"""stages: one thin script per noun: load, do, write, report."""
