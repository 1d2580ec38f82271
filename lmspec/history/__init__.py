"""history: a metric or a gate over the commits of a branch."""
