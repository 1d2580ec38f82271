"""compare: two revisions -> one report: changes, metrics, flips, gates."""
