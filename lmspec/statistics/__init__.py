"""statistics: tests, intervals, bootstrap: arrays in, numbers out."""
