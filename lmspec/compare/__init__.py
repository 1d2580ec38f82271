"""compare: the metrics of two commits -> their differences, as tables."""
